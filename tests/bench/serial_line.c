/* serial_line: both ends of a line for measuring: `feed` is an instrument that sends frames at the pace of 921,600 baud,
 * `read` the least that a program can do with them: a bare read loop that counts lines.
 *
 * usage: serial_line feed LINK SECONDS     makes a pty and the link, waits until somebody has set the line, sends, and
 *                                          prints: frames sent, frames that found no room
 *        serial_line read LINK             counts lines until the line is gone, and prints: lines, CPU in us */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BAUD = 921600, BYTES_PER_S = BAUD / 10, TICK_US = 2000, SETTLE_US = 500000 };

/* An MT-SICS answer; its value changes with each. */
enum { FRAME_LEN = 18 };

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void wait_us(int64_t us)
{
    const struct timespec pause = {us / 1000000, us % 1000000 * 1000};

    nanosleep(&pause, NULL);
}

/* ---- feed ---- */

static void wait_until_set(int master)
{
    struct termios2 settings;

    do
        wait_us(10000);
    while (ioctl(master, TCGETS2, &settings) != 0 || settings.c_ospeed != BAUD);
    wait_us(SETTLE_US);
}

static int feed(const char *link, int64_t seconds)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    char name[64], frame[FRAME_LEN + 1];
    uint64_t n_sent = 0, n_refused = 0;

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 ||
        ptsname_r(master, name, sizeof name) != 0)
        return 1;
    int slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    unlink(link);
    if (slave < 0 || symlink(name, link) != 0)
        return 1;
    wait_until_set(master);
    close(slave); /* so that the reader hears of the end */
    int64_t begin_us = now_us(), end_us = begin_us + seconds * 1000000;
    for (int64_t at_us = begin_us; at_us < end_us; at_us = now_us()) {
        uint64_t n_due = (uint64_t)((at_us - begin_us) * BYTES_PER_S / 1000000 / FRAME_LEN);

        for (; n_sent + n_refused < n_due;) {
            snprintf(frame, sizeof frame, "S S %10.2f g\r\n",
                     (double)((n_sent + n_refused) % 100000) / 100);
            if (write(master, frame, FRAME_LEN) == FRAME_LEN)
                n_sent++;
            else
                n_refused++;
        }
        wait_us(TICK_US);
    }
    wait_us(SETTLE_US);
    unlink(link);
    close(master);
    printf("%llu %llu\n", (unsigned long long)n_sent, (unsigned long long)n_refused);
    return 0;
}

/* ---- read ---- */

static int open_line(const char *link)
{
    struct termios2 settings;
    int fd = open(link, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || ioctl(fd, TCGETS2, &settings) != 0)
        return -1;
    settings.c_iflag = settings.c_oflag = settings.c_lflag = 0;
    settings.c_cflag = CS8 | CREAD | CLOCAL | BOTHER | BOTHER << IBSHIFT;
    settings.c_ospeed = settings.c_ispeed = BAUD;
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    return ioctl(fd, TCSETS2, &settings) == 0 ? fd : -1;
}

static int read_bare(const char *link)
{
    struct pollfd line = {.fd = open_line(link), .events = POLLIN};
    uint64_t n_lines = 0;
    struct rusage usage;
    char bytes[4096];

    if (line.fd < 0)
        return 1;
    while (poll(&line, 1, -1) >= 0) {
        ssize_t n = read(line.fd, bytes, sizeof bytes);

        if (n <= 0 && errno != EAGAIN)
            break;
        for (const char *c = bytes; n > 0; c++, n--)
            n_lines += *c == '\n';
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%llu %lld\n", (unsigned long long)n_lines,
           (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
               usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "feed") == 0)
        return feed(argv[2], strtol(argv[3], NULL, 10));
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_bare(argv[2]);
    fprintf(stderr, "usage: serial_line feed LINK SECONDS | serial_line read LINK\n");
    return 64;
}
