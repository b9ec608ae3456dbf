/* slave_place: the TCP port where simulated devices are reached, and the redirection of a configuration to it or to
 * the link of a pty. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/modbus/slave.h"
#include "drivers/modbus/slave_impl.h"

enum { N_LOOPBACK = 250, BACKLOG = 16 };

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0;
}

enum gw_err modbus_redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                            char *buf, size_t size)
{
    struct modbus_bus_conf *conf = bus_conf;
    int len;

    if (conf->transport == MODBUS_RTU) {
        len = snprintf(buf, size, "%s/%s", place->dir, bus_name);
        if (len < 0 || (size_t)len >= size || strchr(bus_name, '/'))
            return GW_E_RANGE;
        conf->port = buf;
        return GW_OK;
    }

    if (conf->tcp_port + place->port_offset < 1 || conf->tcp_port + place->port_offset > 65535)
        return GW_E_RANGE;
    conf->tcp_port += place->port_offset;
    if (is_loopback(conf->host))
        return GW_OK;
    len = snprintf(buf, size, "127.0.0.%zu", 1 + place->bus_index % N_LOOPBACK);
    if (len < 0 || (size_t)len >= size)
        return GW_E_RANGE;
    conf->host = buf;
    return GW_OK;
}

static enum gw_err say(struct gw_driver_diag *diag, const char *key, const char *place,
                       const char *what)
{
    diag->key = key;
    snprintf(diag->text, sizeof diag->text, "%s %s", place, what);
    return GW_E_LINK;
}

static int listen_on(const struct addrinfo *address)
{
    static const int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;

    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

enum gw_err slave_open_port(const struct modbus_bus_conf *conf, int *ret_fd,
                            struct gw_driver_diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
    char service[8], place[160];

    snprintf(service, sizeof service, "%u", (unsigned)conf->tcp_port & 0xFFFF);
    snprintf(place, sizeof place, "%s:%s", conf->host, service);
    int rc = getaddrinfo(conf->host, service, &hints, &list);
    if (rc != 0)
        return say(diag, "host", place, gai_strerror(rc));
    int fd = listen_on(list);
    int error = errno;
    freeaddrinfo(list);
    if (fd >= 0) {
        *ret_fd = fd;
        return GW_OK;
    }
    if (error == EACCES)
        return say(diag, "port", place,
                   "needs privileges, as all ports below 1024; shift the ports, by 10000 say");
    return say(diag, "port", place,
               error == EADDRINUSE ? "is in use by another program" : strerror(error));
}
