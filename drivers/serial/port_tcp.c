/* port_tcp: a TCP connection to a serial device server, as a port: tcp://host:port. The name look-up blocks; it is done only
 * when the host is not an address. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

struct address {
    char host[256], service[8];
};

/* tcp://host:port, tcp://[::1]:port */
static bool parse(const char *name, struct address *ret_address)
{
    const char *host = name + strlen("tcp://"), *colon = strrchr(host, ':');
    char *end;

    if (!colon || colon == host)
        return false;
    size_t len = (size_t)(colon - host);
    long service = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end || service < 1 || service > 65535)
        return false;
    if (host[0] == '[' && colon[-1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof ret_address->host)
        return false;
    memcpy(ret_address->host, host, len);
    ret_address->host[len] = '\0';
    snprintf(ret_address->service, sizeof ret_address->service, "%ld", service);
    return true;
}

bool serial_check_tcp_name(const char *name)
{
    struct address address;

    return strncmp(name, "tcp://", 6) == 0 && parse(name, &address);
}

static enum gw_err look_up(const struct address *address, struct addrinfo **ret_list,
                           struct gw_driver_diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    int rc = getaddrinfo(address->host, address->service, &hints, ret_list);

    if (rc == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        rc = getaddrinfo(address->host, address->service, &hints, ret_list);
    }
    if (rc == 0)
        return GW_OK;
    snprintf(diag->text, sizeof diag->text, "host %.100s is unknown: %.60s", address->host,
             rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    return GW_E_LINK;
}

static enum gw_err finish_connect(const struct gw_host *host, int fd, int64_t until_us)
{
    int error = 0;
    socklen_t size = sizeof error;

    enum gw_err err = serial_wait(host, fd, POLLOUT, host->wake_fd, until_us);
    if (err != GW_OK)
        return err;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return GW_E_LINK;
    errno = error;
    return error ? GW_E_LINK : GW_OK;
}

static enum gw_err connect_one(const struct addrinfo *info, const struct gw_host *host,
                               int64_t until_us, int *ret_fd)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    enum gw_err err = GW_OK;

    if (fd < 0)
        return GW_E_LINK;
    if (connect(fd, info->ai_addr, info->ai_addrlen) != 0)
        err = errno == EINPROGRESS ? finish_connect(host, fd, until_us) : GW_E_LINK;
    if (err == GW_OK) {
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

static enum gw_err dial(struct serial_port *port, const struct addrinfo *list, int64_t deadline_us,
                        int *ret_error)
{
    enum gw_err err = GW_E_LINK;
    int64_t n_left = 0;

    for (const struct addrinfo *info = list; info; info = info->ai_next)
        n_left++;
    for (const struct addrinfo *info = list; info; info = info->ai_next) {
        int64_t now_us = serial_now_us(port);

        err = connect_one(info, port->host, now_us + (deadline_us - now_us) / n_left--, &port->fd);
        *ret_error = errno;
        if (err == GW_OK || err == GW_E_CLOSED)
            break;
    }
    return err;
}

static enum gw_err say_failure(const char *name, enum gw_err err, int error,
                               struct gw_driver_diag *diag)
{
    if (err == GW_E_TIMEOUT || error == ETIMEDOUT)
        snprintf(diag->text, sizeof diag->text, "port %.120s does not answer", name);
    else if (error == ECONNREFUSED)
        snprintf(diag->text, sizeof diag->text, "port %.120s refuses connections", name);
    else
        snprintf(diag->text, sizeof diag->text, "port %.120s is unreachable: %.60s", name,
                 strerror(error));
    return err;
}

/* The line is the device server's. */
static enum gw_err set_line(struct serial_port *port, const struct serial_line *line,
                            const char **ret_why)
{
    (void)port, (void)line;
    *ret_why = "is a TCP connection, which cannot change the baud rate of its device server";
    return GW_E_REFUSED;
}

static void close_port(struct serial_port *port)
{
    close(port->fd);
}

static const struct serial_port_ops tcp = {
    .set_line = set_line, .close = close_port, .is_socket = true};

enum gw_err serial_open_tcp(struct serial_port *port, int64_t deadline_us,
                            struct gw_driver_diag *diag)
{
    const char *name = port->conf->name;
    struct address address;
    struct addrinfo *list;
    int error = 0;

    if (!parse(name, &address)) {
        snprintf(diag->text, sizeof diag->text, "port %.120s is not tcp://HOST:PORT", name);
        return GW_E_LINK;
    }
    enum gw_err err = look_up(&address, &list, diag);
    if (err != GW_OK)
        return err;
    err = dial(port, list, deadline_us, &error);
    freeaddrinfo(list);
    if (err != GW_OK)
        return err == GW_E_CLOSED ? err : say_failure(name, err, error, diag);
    set_options(port->fd);
    port->ops = &tcp;
    return GW_OK;
}
