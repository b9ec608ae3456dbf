/* Any bytes as HTTP requests at the gateway's own server: every answer is one of HTTP with a status that it may have, and who
 * has no token sees no more than whether all is well, whatever is asked for. */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "gateway/http.h"
#include "tests/unit/free_port.h"

static const char token[] = "Zq7-this-is-what-opens-91x";
static struct gw_board board;
static struct gw_http_conf confs[2] = {{.address = "127.0.0.1"}, {.address = "127.0.0.1"}};

static void start(void)
{
    char why[GW_HTTP_WHY];
    struct gw_http *http;

    gw_board_init(&board, &gw_system_clock, "plant", "1.0");
    for (int i = 0; i < 2; i++) {
        confs[i].port = free_port();
        confs[i].token = i == 1 ? token : NULL;
        assert(gw_http_start(&confs[i], &board, &http, why) == GW_OK);
    }
}

static int connect_to(const struct gw_http_conf *conf)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)conf->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger at_once = {.l_onoff = 1}; /* else no port would be left soon */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    assert(connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* Gives the answer as far as it comes; what streams for ever is left after its beginning. */
static size_t ask(int fd, const uint8_t *data, size_t size, char *answer, size_t max)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    size_t len = 0;
    ssize_t n;

    (void)!send(fd, data, size, MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    while (len < max && poll(&poller, 1, 2000) == 1 &&
           (n = recv(fd, answer + len, max - len, 0)) > 0) {
        len += (size_t)n;
        if (memmem(answer, len, "text/event-stream", 17))
            break;
    }
    return len;
}

static void check_answer(const char *answer, size_t len, bool may_see)
{
    static const char *const allowed[] = {"100", "200", "400", "401", "404", "405", "408", "411",
                                          "413", "414", "421", "431", "500", "501", "503", "505"};
    static const char *const hidden[] = {"# HELP", "\"epoch\"", "\"gateway\"", "page.js",
                                         "text/event-stream"};
    bool is_known = false;

    if (len < 12)
        return;
    assert(memcmp(answer, "HTTP/1.", 7) == 0);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        is_known |= memcmp(answer + 9, allowed[i], 3) == 0;
    assert(is_known);
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0] && !may_see; i++)
        assert(!memmem(answer, len, hidden[i], strlen(hidden[i])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char answer[64 * 1024];

    if (size == 0)
        return 0;
    if (confs[0].port == 0)
        start();
    bool is_closed = data[0] & 1; /* whether a token is needed; no input is given that has it */
    int fd = connect_to(&confs[is_closed]);
    size_t len = ask(fd, data + 1, size - 1, answer, sizeof answer);
    close(fd);
    check_answer(answer, len, !is_closed);
    return 0;
}
