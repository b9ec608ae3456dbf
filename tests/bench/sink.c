/* sink: subscribes at a broker with QoS 0 and counts what arrives, quick enough that it is never what is measured.
 *
 * usage: sink PORT FILTER
 * Prints "ready" when the broker has confirmed, then for each line on its standard input: messages and payload bytes so far.
 * Source: MQTT 3.1.1, 2.2.3 (remaining length), 3.1, 3.3, 3.8. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t n_messages, n_bytes;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), large = 4 << 20;

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    return fd;
}

static void send_all(int fd, const void *bytes, size_t len)
{
    if (write(fd, bytes, len) != (ssize_t)len)
        die("write");
}

static void subscribe(int fd, const char *filter)
{
    static const uint8_t hello[] = {0x10, 16, 0, 4, 'M', 'Q', 'T', 'T', 4,
                                    2,    0,  0, 0, 4,   's', 'i', 'n', 'k'};
    const size_t len = strlen(filter);
    uint8_t packet[128] = {0x82, (uint8_t)(len + 5), 0, 1, 0, (uint8_t)len};

    if (len > 100)
        die("filter");
    memcpy(packet + 6, filter, len);
    send_all(fd, hello, sizeof hello);
    send_all(fd, packet, len + 7); /* the last byte: QoS 0 */
}

/* Takes one packet off the front; returns its length, 0 when it is not whole. */
static size_t take(const uint8_t *at, size_t len)
{
    size_t remaining = 0, head = 1;

    for (unsigned shift = 0; head < len && head < 5; shift += 7) {
        remaining |= (size_t)(at[head] & 0x7f) << shift;
        if (!(at[head++] & 0x80)) {
            if (head + remaining > len)
                return 0;
            if (at[0] >> 4 == 3) {
                n_messages++;
                n_bytes += remaining - 2 - ((size_t)at[head] << 8 | at[head + 1]);
            } else if (at[0] >> 4 == 9) {
                printf("ready\n");
                fflush(stdout);
            }
            return head + remaining;
        }
    }
    return 0;
}

static void read_packets(int fd)
{
    static uint8_t buffer[1 << 20];
    static size_t len;
    const ssize_t got = read(fd, buffer + len, sizeof buffer - len);
    size_t at = 0, n;

    if (got <= 0)
        exit(0);
    len += (size_t)got;
    while ((n = take(buffer + at, len - at)) > 0)
        at += n;
    memmove(buffer, buffer + at, len - at);
    len -= at;
}

int main(int argc, char **argv)
{
    char line[64];

    if (argc != 3)
        return 64;
    const int fd = connect_to(argv[1]);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    subscribe(fd, argv[2]);
    while (poll(fds, 2, -1) >= 0) {
        if (fds[0].revents)
            read_packets(fd);
        if (!fds[1].revents)
            continue;
        if (read(STDIN_FILENO, line, sizeof line) <= 0)
            return 0;
        printf("%llu %llu\n", (unsigned long long)n_messages, (unsigned long long)n_bytes);
        fflush(stdout);
    }
}
