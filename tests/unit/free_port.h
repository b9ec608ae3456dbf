/* Ports for tests of which several run at a time. The same as free_port() of tests/e2e/conftest.py. */
#ifndef TESTS_FREE_PORT_H
#define TESTS_FREE_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FREE_PORT_FIRST = 10240, FREE_PORT_COUNT = 22000 };

/* Holds the port by a name in the kernel, until the process ends. */
static inline bool hold_port(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int len =
        snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "field2mqtt-test-port-%d", port);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1) + (socklen_t)len;

    if (fd >= 0 && bind(fd, (struct sockaddr *)&name, size) == 0)
        return true;
    close(fd);
    return false;
}

static inline bool port_is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    bool is_free = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}

/* Gives a port that no other test running at the same time is given, and no outgoing connection takes: below those that
 * the kernel hands out (32768 and up). 0: there is none. */
static inline uint16_t free_port(void)
{
    static int n_given;
    int start = (getpid() * 97 + n_given++) % FREE_PORT_COUNT;

    for (int i = 0; i < FREE_PORT_COUNT; i++) {
        int port = FREE_PORT_FIRST + (start + i) % FREE_PORT_COUNT;
        if (hold_port(port)) {
            if (port_is_free(port))
                return (uint16_t)port;
        }
    }
    return 0;
}

#endif
