/* wire_socket: connects to the host of a bus and says in a sentence why it could not.
 * Not by libmodbus: its connect calls every failure "connection refused", gives each address the whole time, and
 * cannot be interrupted. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/modbus/wire_impl.h"

void wire_socket_hurry(int fd)
{
    static const int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

static enum gw_err say_failure(const struct modbus_bus_conf *conf, enum gw_err err, int error,
                               struct gw_driver_diag *diag)
{
    const char *host = conf->host;
    long long port = conf->tcp_port;

    if (err == GW_E_TIMEOUT || error == ETIMEDOUT)
        snprintf(diag->text, sizeof diag->text, "host %s does not answer on port %lld", host, port);
    else if (error == ECONNREFUSED)
        snprintf(diag->text, sizeof diag->text, "host %s refuses connections to port %lld", host,
                 port);
    else
        snprintf(diag->text, sizeof diag->text, "host %s port %lld is unreachable: %s", host, port,
                 strerror(error));
    return err;
}

enum gw_err wire_socket_dial(const struct modbus_bus_conf *conf, const struct gw_host *host,
                             int64_t deadline_us, int *ret_fd, struct gw_driver_diag *diag)
{
    struct addrinfo *list;
    char service[8];

    diag->key = "host";
    snprintf(service, sizeof service, "%u", (unsigned)conf->tcp_port & 0xFFFF);
    enum gw_err err = link_look_up(conf->host, service, &list, diag);
    if (err)
        return err;
    err = link_dial(list, host, deadline_us, ret_fd);
    return err && err != GW_E_CLOSED ? say_failure(conf, err, errno, diag) : err;
}
