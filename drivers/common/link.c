/* link: waits and reads; every wait has a deadline and can be ended from outside. */
#include "drivers/common/link.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

enum gw_err link_wait(const struct gw_host *host, int fd, short events, int wake_fd,
                      int64_t until_us)
{
    struct pollfd fds[2] = {
        {.fd = fd, .events = events},
        {.fd = wake_fd, .events = POLLIN},
    };

    while (true) {
        int64_t now_us = host->now_us(host->ctx),
                left_us = until_us > now_us ? until_us - now_us : 0;
        struct timespec left = {(time_t)(left_us / 1000000), (long)(left_us % 1000000 * 1000)};
        int n = ppoll(fds, 2, &left, NULL);

        if (n > 0)
            return fds[1].revents ? GW_E_CLOSED : GW_OK;
        if (n == 0)
            return GW_E_TIMEOUT;
        if (errno != EINTR)
            return GW_E_LINK;
    }
}

enum gw_err link_read(int fd, uint8_t *bytes, size_t size, size_t *ret_len)
{
    ssize_t n;

    do
        n = read(fd, bytes, size);
    while (n < 0 && errno == EINTR);

    if (n < 0 && errno == EAGAIN)
        return GW_E_TIMEOUT;
    /* Terminals are set to say EAGAIN when they have nothing, as sockets do: 0 bytes are the end of a connection or an
     * unplugged adapter. */
    if (n <= 0)
        return GW_E_LINK;
    *ret_len = (size_t)n;
    return GW_OK;
}
