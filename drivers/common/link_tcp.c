/* link_tcp: finds and connects a TCP peer before a deadline. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/common/link.h"

enum gw_err link_look_up(const char *host, const char *service, struct addrinfo **ret_list,
                         struct gw_driver_diag *diag)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    int rc = getaddrinfo(host, service, &hints, ret_list);

    if (rc == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        rc = getaddrinfo(host, service, &hints, ret_list);
    }
    if (rc == 0)
        return GW_OK;
    snprintf(diag->text, sizeof diag->text, "host %.100s is unknown: %.60s", host,
             rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    return GW_E_LINK;
}

static enum gw_err finish_connect(const struct gw_host *host, int fd, int64_t until_us)
{
    int error = 0;
    socklen_t size = sizeof error;

    enum gw_err err = link_wait(host, fd, POLLOUT, host->wake_fd, until_us);
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

enum gw_err link_dial(struct addrinfo *list, const struct gw_host *host, int64_t deadline_us,
                      int *ret_fd)
{
    enum gw_err err = GW_E_LINK;
    int64_t n_left = 0;

    for (const struct addrinfo *address = list; address; address = address->ai_next)
        n_left++;
    for (const struct addrinfo *address = list; address; address = address->ai_next) {
        int64_t now_us = host->now_us(host->ctx);

        err = connect_one(address, host, now_us + (deadline_us - now_us) / n_left--, ret_fd);
        if (!err || err == GW_E_CLOSED)
            break;
    }
    int error = errno;
    freeaddrinfo(list);
    errno = error;
    if (!err)
        set_options(*ret_fd);
    return err;
}
