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

enum { HOST_MAX = 256, REQUEST_MAX = 2048, SILENCE_S = 5 };

struct answer {
    char *bytes;
    size_t len, room;
};

/* Takes "http://HOST[:PORT][/]" apart; HOST may be [IPv6]. */
static enum gw_err take_apart(const char *url, char host[HOST_MAX], char port[8])
{
    static const char scheme[] = "http://";
    const char *at = url + strlen(scheme), *end;

    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return GW_E_CONFIG;
    const bool is_v6 = *at == '[';
    at += is_v6;
    end = at + strcspn(at, is_v6 ? "]" : ":/");
    if (end == at || end - at >= HOST_MAX)
        return GW_E_CONFIG;
    snprintf(host, HOST_MAX, "%.*s", (int)(end - at), at);
    at = end + (is_v6 && *end == ']');
    snprintf(port, 8, "80");
    if (*at == ':') {
        size_t n = strspn(at + 1, "0123456789");

        if (n == 0 || n > 5)
            return GW_E_CONFIG;
        snprintf(port, 8, "%.*s", (int)n, at + 1);
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

static enum gw_err send_request(int fd, const char *host, const char *path, const char *token)
{
    char request[REQUEST_MAX];
    const bool is_v6 = strchr(host, ':') != NULL;
    /* 1.0: the answer ends with the connection, and comes in one piece. */
    int len =
        snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: %s%s%s\r\n%s%s%s\r\n", path,
                 is_v6 ? "[" : "", host, is_v6 ? "]" : "", token ? "Authorization: Bearer " : "",
                 token ? token : "", token ? "\r\n" : "");

    if (len < 0 || (size_t)len >= sizeof request)
        return GW_E_CONFIG;
    return send(fd, request, (size_t)len, MSG_NOSIGNAL) == len ? GW_OK : GW_E_LINK;
}

static enum gw_err receive(int fd, struct answer *answer)
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
        ssize_t n = recv(fd, answer->bytes + answer->len, answer->room - answer->len - 1, 0);
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

/* Leaves the body alone in the answer. */
static enum gw_err take_body(struct answer *answer, char why[GW_FETCH_WHY])
{
    char *body = strstr(answer->bytes, "\r\n\r\n");
    const char *space = strchr(answer->bytes, ' ');
    const long code = space ? strtol(space, NULL, 10) : 0;

    if (strncmp(answer->bytes, "HTTP/", 5) != 0 || code < 100 || code > 999 || !body) {
        snprintf(why, GW_FETCH_WHY, "what answers is no gateway");
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

enum gw_err gw_http_fetch(const char *url, const char *path, const char *token, char **ret_body,
                          size_t *ret_len, char why[GW_FETCH_WHY])
{
    char host[HOST_MAX], port[8];
    struct answer answer = {0};

    if (take_apart(url, host, port) != GW_OK) {
        snprintf(why, GW_FETCH_WHY, "%.100s is not http://HOST[:PORT]", url);
        return GW_E_CONFIG;
    }
    int fd = connect_to(host, port, why);
    if (fd < 0)
        return GW_E_LINK;
    enum gw_err err = send_request(fd, host, path, token);
    if (err == GW_OK)
        err = receive(fd, &answer);
    close(fd);
    if (err != GW_OK)
        snprintf(why, GW_FETCH_WHY, "%s", gw_err_str(err));
    else
        err = take_body(&answer, why);
    if (err != GW_OK) {
        free(answer.bytes);
        return err;
    }
    *ret_body = answer.bytes;
    *ret_len = answer.len;
    return GW_OK;
}
