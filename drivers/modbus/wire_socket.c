/* wire_socket: connects a TCP socket before a deadline and says in a sentence why it could not.
 * Not by libmodbus: its connect calls every failure "connection refused", gives each address the whole time, and
 * cannot be interrupted. The name look-up blocks; it is done only when the host is not an address. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/modbus/wire_impl.h"

static enum gw_err look_up(const struct modbus_bus_conf *conf, struct addrinfo **ret_list,
                           struct gw_driver_diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    char service[8];

    snprintf(service, sizeof service, "%u", (unsigned)conf->tcp_port & 0xFFFF);
    int rc = getaddrinfo(conf->host, service, &hints, ret_list);
    if (rc == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        rc = getaddrinfo(conf->host, service, &hints, ret_list);
    }
    if (rc == 0)
        return GW_OK;
    snprintf(diag->text, sizeof diag->text, "host %s is unknown: %s", conf->host,
             rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    return GW_E_LINK;
}

static enum gw_err finish_connect(const struct gw_host *host, int fd, int64_t until_us)
{
    int error = 0;
    socklen_t size = sizeof error;

    enum gw_err err = wire_wait(host, fd, POLLOUT, until_us);
    if (err)
        return err;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return GW_E_LINK;
    errno = error;
    return error ? GW_E_LINK : GW_OK;
}

static enum gw_err connect_one(const struct addrinfo *address, const struct gw_host *host,
                               int64_t until_us, int *ret_fd)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    enum gw_err err = GW_OK;

    if (fd < 0)
        return GW_E_LINK;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        err = errno == EINPROGRESS ? finish_connect(host, fd, until_us) : GW_E_LINK;
    if (!err) {
        *ret_fd = fd;
        return GW_OK;
    }

    int error = errno;
    close(fd);
    errno = error;
    return err;
}

/* A peer that lost its power never says so: probes find it in a minute, unacknowledged data in ten seconds. */
static void set_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 30}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
        {IPPROTO_TCP, TCP_KEEPCNT, 3},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 10000},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

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
    int64_t n_left = 0;

    diag->key = "host";
    enum gw_err err = look_up(conf, &list, diag);
    if (err)
        return err;
    for (const struct addrinfo *address = list; address; address = address->ai_next)
        n_left++;

    int error = 0;
    err = GW_E_LINK;
    for (const struct addrinfo *address = list; address; address = address->ai_next) {
        int64_t now_us = host->now_us(host->ctx);

        err = connect_one(address, host, now_us + (deadline_us - now_us) / n_left--, ret_fd);
        error = errno;
        if (!err || err == GW_E_CLOSED)
            break;
    }
    freeaddrinfo(list);
    if (!err)
        set_options(*ret_fd);
    return err && err != GW_E_CLOSED ? say_failure(conf, err, error, diag) : err;
}
