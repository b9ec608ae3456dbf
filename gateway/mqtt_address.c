#include "gateway/mqtt_address.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool skip(const char **text, const char *prefix)
{
    const size_t n = strlen(prefix);

    if (strncmp(*text, prefix, n) != 0)
        return false;
    *text += n;
    return true;
}

static bool copy_part(char *to, size_t size, const char *from, size_t len)
{
    if (len == 0 || len >= size)
        return false;
    memcpy(to, from, len);
    to[len] = '\0';
    return true;
}

enum gw_err gw_server_parse(const char *text, struct gw_server *ret_server)
{
    struct gw_server server = {0};

    if (skip(&text, "mqtts://"))
        server.is_tls = true;
    else if (!skip(&text, "mqtt://"))
        return GW_E_RANGE;
    const char *colon = strrchr(text, ':');
    if (!colon)
        return GW_E_RANGE;
    if (!copy_part(server.authority, sizeof server.authority, text, strlen(text)))
        return GW_E_RANGE;
    size_t host_len = (size_t)(colon - text);
    if (host_len > 2 && text[0] == '[' && text[host_len - 1] == ']') {
        text++;
        host_len -= 2;
    }
    if (!copy_part(server.host, sizeof server.host, text, host_len) ||
        !copy_part(server.port, sizeof server.port, colon + 1, strlen(colon + 1)))
        return GW_E_RANGE;
    *ret_server = server;
    return GW_OK;
}

static int look_up(const char *host, const char *port, int flags, struct addrinfo **ret_list)
{
    const struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC, .ai_flags = flags | AI_NUMERICSERV};

    return getaddrinfo(host, port, &hints, ret_list);
}

size_t gw_server_resolve(const struct gw_server *server, struct gw_address *ret_addresses,
                         size_t max, const char **ret_why)
{
    struct addrinfo *list = NULL;
    char number[64]; /* INET6_ADDRSTRLEN and a scope such as %eth0 */
    size_t n = 0;

    const int rc = look_up(server->host, server->port, 0, &list);
    *ret_why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
    if (rc != 0)
        return 0;
    for (const struct addrinfo *at = list; at && n < max; at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, number, sizeof number, NULL, 0,
                        NI_NUMERICHOST))
            continue;
        const bool is_6 = at->ai_family == AF_INET6;
        snprintf(ret_addresses[n++].text, sizeof ret_addresses->text, is_6 ? "[%s]" : "%s", number);
    }
    freeaddrinfo(list);
    if (n == 0)
        *ret_why = "it has no address";
    return n;
}

static bool is_v6(const struct gw_address *address)
{
    return address->text[0] == '[';
}

size_t gw_address_of_library(const struct gw_address *addresses, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_v6(&addresses[i]))
            return i;
    return 0;
}

static int wait_connected(int fd, int64_t timeout_us)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;

    const int n = poll(&poll_fd, 1, (int)(timeout_us / 1000));
    if (n == 0)
        return ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno;
    return error;
}

/* An address without its brackets. */
static const char *number_of(const struct gw_address *address, char *text, size_t size)
{
    snprintf(text, size, "%s", address->text + is_v6(address));
    if (is_v6(address))
        text[strlen(text) - 1] = '\0';
    return text;
}

int gw_server_open(const struct gw_server *server, const struct gw_address *address,
                   int64_t timeout_us, int *ret_errno)
{
    char number[sizeof address->text];
    struct addrinfo *list = NULL;
    int error = 0;

    number_of(address, number, sizeof number);
    if (look_up(number, server->port, AI_NUMERICHOST, &list) != 0) {
        *ret_errno = EADDRNOTAVAIL;
        return -1;
    }
    const int fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) < 0)
        error = errno;
    if (error == EINPROGRESS)
        error = wait_connected(fd, timeout_us);
    freeaddrinfo(list);
    if (error == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    *ret_errno = error;
    return -1;
}
