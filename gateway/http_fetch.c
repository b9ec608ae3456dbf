#include "gateway/http_fetch.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define NO_GATEWAY "what answers is no gateway"

enum { HOST_MAX = 256, REQUEST_MAX = 2048, SILENCE_S = 5 };

struct place {
    char host[HOST_MAX], port[8];
    bool has_tls;
};

struct connection {
    struct place place;
    int fd;
    struct gw_tls_client *tls; /* NULL: plain */
};

struct answer {
    char *bytes;
    size_t len, room;
};

/* Gives what stands behind "http://" or "https://", or NULL. */
static const char *skip_scheme(const char *url, bool *ret_has_tls)
{
    *ret_has_tls = strncmp(url, "https://", 8) == 0;
    return *ret_has_tls ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
}

/* Takes "http[s]://HOST[:PORT][/]" apart; HOST may be [IPv6]. */
static enum gw_err take_apart(const char *url, struct place *ret_place)
{
    const char *at = skip_scheme(url, &ret_place->has_tls), *end;

    if (!at)
        return GW_E_CONFIG;
    const bool is_v6 = *at == '[';
    at += is_v6;
    end = at + strcspn(at, is_v6 ? "]" : ":/");
    if (end == at || end - at >= HOST_MAX)
        return GW_E_CONFIG;
    snprintf(ret_place->host, HOST_MAX, "%.*s", (int)(end - at), at);
    at = end + (is_v6 && *end == ']');
    snprintf(ret_place->port, sizeof ret_place->port, ret_place->has_tls ? "443" : "80");
    if (*at == ':') {
        size_t n = strspn(at + 1, "0123456789");

        if (n == 0 || n > 5)
            return GW_E_CONFIG;
        snprintf(ret_place->port, sizeof ret_place->port, "%.*s", (int)n, at + 1);
        at += 1 + n;
    }
    return strcmp(at, "") == 0 || strcmp(at, "/") == 0 ? GW_OK : GW_E_CONFIG;
}

static int connect_to(const char *host, const char *port, char why[GW_FETCH_WHY])
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    const struct timeval silence = {.tv_sec = SILENCE_S};
    struct addrinfo *found, *info;
    int rc = getaddrinfo(host, port, &hints, &found), fd = -1;

    if (rc != 0) {
        snprintf(why, GW_FETCH_WHY, "unknown host %.100s (%s)", host, gai_strerror(rc));
        return -1;
    }
    for (info = found; info && fd < 0; info = info->ai_next) {
        fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof silence);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof silence);
        if (connect(fd, info->ai_addr, info->ai_addrlen) == 0)
            break;
        snprintf(why, GW_FETCH_WHY, "%s", strerror(errno));
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static ssize_t send_some(const struct connection *to, const void *bytes, size_t len)
{
    return to->tls ? gw_tls_client_send(to->tls, bytes, len)
                   : send(to->fd, bytes, len, MSG_NOSIGNAL);
}

static ssize_t receive_some(const struct connection *from, void *bytes, size_t size)
{
    return from->tls ? gw_tls_client_receive(from->tls, bytes, size)
                     : recv(from->fd, bytes, size, 0);
}

static enum gw_err send_request(const struct connection *to, const char *path, const char *token)
{
    char request[REQUEST_MAX];
    const char *host = to->place.host;
    const bool is_v6 = strchr(host, ':') != NULL;
    /* 1.0: the answer ends with the connection, and comes in one piece. */
    int len =
        snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s%s%s\r\n%s%s%s\r\n", path,
                 is_v6 ? "[" : "", host, is_v6 ? "]" : "", token ? "Authorization: Bearer " : "",
                 token ? token : "", token ? "\r\n" : "");

    if (len < 0 || (size_t)len >= sizeof request)
        return GW_E_CONFIG;
    return send_some(to, request, (size_t)len) == len ? GW_OK : GW_E_LINK;
}

static enum gw_err receive(const struct connection *from, struct answer *answer)
{
    while (answer->len < GW_FETCH_MAX_BYTES) {
        if (answer->room - answer->len < 4096) {
            size_t room = answer->room ? 2 * answer->room : 64 * 1024;
            char *bytes = realloc(answer->bytes, room);

            if (!bytes)
                return GW_E_NOMEM;
            answer->bytes = bytes;
            answer->room = room;
        }
        ssize_t n = receive_some(from, answer->bytes + answer->len, answer->room - answer->len - 1);
        if (n < 0)
            return errno == EAGAIN ? GW_E_TIMEOUT : GW_E_LINK;
        if (n == 0) {
            answer->bytes[answer->len] = '\0';
            return GW_OK;
        }
        answer->len += (size_t)n;
    }
    return GW_E_NOMEM;
}

static bool is_http(const struct answer *answer)
{
    return strncmp(answer->bytes, "HTTP/", 5) == 0;
}

/* Leaves the body alone in the answer. */
static enum gw_err take_body(struct answer *answer, char why[GW_FETCH_WHY])
{
    char *body = strstr(answer->bytes, "\r\n\r\n");
    const char *space = strchr(answer->bytes, ' ');
    const long code = space ? strtol(space, NULL, 10) : 0;

    if (code < 100 || code > 999 || !body) {
        snprintf(why, GW_FETCH_WHY, NO_GATEWAY);
        return GW_E_REFUSED;
    }
    body += 4;
    answer->len -= (size_t)(body - answer->bytes);
    memmove(answer->bytes, body, answer->len + 1);
    if (code == 200)
        return GW_OK;
    snprintf(why, GW_FETCH_WHY, "%ld, %.150s", code, answer->bytes);
    why[strcspn(why, "\n")] = '\0';
    return GW_E_REFUSED;
}

static enum gw_err exchange(const struct connection *with, const char *path, const char *token,
                            struct answer *answer, char why[GW_FETCH_WHY])
{
    enum gw_err err = send_request(with, path, token);

    if (err == GW_OK)
        err = receive(with, answer);
    if (err == GW_OK && is_http(answer))
        return take_body(answer, why);
    /* What a TLS server says to plain words is an alert, or a reset that overtakes it. */
    const bool may_be_tls = !with->tls && (err == GW_OK || (err == GW_E_LINK && answer->len == 0));
    snprintf(why, GW_FETCH_WHY, "%s%s", err == GW_OK ? NO_GATEWAY : gw_err_str(err),
             may_be_tls ? "; a gateway with TLS is asked with https://" : "");
    return err == GW_OK ? GW_E_REFUSED : err;
}

enum gw_err gw_http_fetch(const struct gw_fetch_from *from, const char *path, char **ret_body,
                          size_t *ret_len, char why[GW_FETCH_WHY])
{
    struct answer answer = {0};
    struct connection with = {0};
    enum gw_err err = GW_OK;

    if (take_apart(from->url, &with.place) != GW_OK) {
        snprintf(why, GW_FETCH_WHY, "%.100s is not http://HOST[:PORT] or https://HOST[:PORT]",
                 from->url);
        return GW_E_CONFIG;
    }
    with.fd = connect_to(with.place.host, with.place.port, why);
    if (with.fd < 0)
        return GW_E_LINK;
    if (with.place.has_tls)
        err = gw_tls_client_new(with.fd, with.place.host, from->ca_file, &with.tls, why);
    if (err == GW_OK)
        err = exchange(&with, path, from->token, &answer, why);
    gw_tls_client_free(with.tls);
    close(with.fd);
    if (err != GW_OK) {
        free(answer.bytes);
        return err;
    }
    *ret_body = answer.bytes;
    *ret_len = answer.len;
    return GW_OK;
}
