/* rtu_line: a serial line at its real pace with simulated Modbus RTU slaves, on a pty, which has no pace of its own.
 * A request occupies the line for as long as its characters take, the slave thinks, the answer occupies the line again, and
 * only when its last character would be through the master is given it. The next request may legally begin 3.5 characters
 * later (1.75 ms above 19,200 baud). What a master lets pass beyond that is its loss; that this program itself is woken late
 * is not.
 *
 * usage: rtu_line LINK BAUD N_UNITS N_SILENT TURNAROUND_US     units 1..N_UNITS; the last N_SILENT never answer
 * Prints "ready", then for each line on its standard input, since the line before: requests, answers, registers, requests
 * begun before the silence was over, utilisation of the line in 1/10,000 (answered exchanges only), longest loss in us.
 * Source: MODBUS over Serial Line V1.02, 2.5.1.1 (silence), 2.5.1.2 (CRC); 8N1, 10 bits a character. */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_LEN = 8, COUNT_MAX = 125, BITS = 10 };

static struct {
    unsigned long baud, n_units, n_silent;
    int64_t turnaround_us, silence_us;
} line;

static struct {
    uint64_t n_requests, n_answers, n_registers, n_early;
    int64_t least_us, loss_us, longest_us;
} told;

static int64_t free_us; /* when the last character went over the line */
static bool
    was_answered; /* the exchange before; what follows on a missing answer is the timeout's */

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t chars_us(size_t n)
{
    return (int64_t)(n * BITS * 1000000 / line.baud);
}

static void wait_until(int64_t until_us)
{
    const struct timespec at = {until_us / 1000000, until_us % 1000000 * 1000};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static uint16_t crc16(const uint8_t *bytes, size_t len)
{
    uint16_t crc = 0xffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xa001 : crc >> 1);
    }
    return crc;
}

/* What passed since the line was free, against the silence that has to. */
static void judge_begin(int64_t begin_us)
{
    const int64_t loss_us = begin_us - free_us - line.silence_us;

    if (free_us == 0)
        return;
    if (loss_us < 0)
        told.n_early++;
    if (loss_us > 0 && was_answered) {
        told.loss_us += loss_us;
        if (told.longest_us < loss_us)
            told.longest_us = loss_us;
    }
}

static size_t build_answer(const uint8_t *request, uint8_t *out)
{
    const unsigned first = (unsigned)request[2] << 8 | request[3];
    const unsigned count = (unsigned)request[4] << 8 | request[5];
    size_t len = 3 + 2 * (size_t)count;

    out[0] = request[0];
    out[1] = request[1];
    out[2] = (uint8_t)(2 * count);
    for (unsigned i = 0; i < count; i++) {
        const uint64_t value = told.n_requests + first + i;
        out[3 + 2 * i] = (uint8_t)(value >> 8);
        out[4 + 2 * i] = (uint8_t)value;
    }
    const uint16_t crc = crc16(out, len);
    out[len] = (uint8_t)crc;
    out[len + 1] = (uint8_t)(crc >> 8);
    told.n_registers += count;
    return len + 2;
}

static void exchange(int fd, const uint8_t *request, int64_t begin_us)
{
    uint8_t answer[5 + 2 * COUNT_MAX];
    const unsigned count = (unsigned)request[4] << 8 | request[5];

    judge_begin(begin_us);
    told.n_requests++;
    free_us = begin_us + chars_us(REQUEST_LEN);
    was_answered = request[0] >= 1 && request[0] <= line.n_units - line.n_silent;
    if (!was_answered || count == 0 || count > COUNT_MAX)
        return;
    const size_t len = build_answer(request, answer);
    wait_until(free_us + line.turnaround_us + chars_us(len));
    told.n_answers++;
    told.least_us += chars_us(REQUEST_LEN + len) + line.turnaround_us + line.silence_us;
    free_us = now_us();
    if (write(fd, answer, len) != (ssize_t)len)
        exit(1);
}

static void read_line(int fd)
{
    static uint8_t buffer[256];
    static size_t len;
    static int64_t begin_us;
    const ssize_t got = read(fd, buffer + len, sizeof buffer - len);

    if (got <= 0) { /* nobody has opened it */
        wait_until(now_us() + 10000);
        return;
    }
    if (len == 0)
        begin_us = now_us();
    len += (size_t)got;
    if (len < REQUEST_LEN)
        return;
    const uint16_t crc = crc16(buffer, REQUEST_LEN - 2);
    if (len == REQUEST_LEN && buffer[6] == (uint8_t)crc && buffer[7] == crc >> 8)
        exchange(fd, buffer, begin_us);
    len = 0;
}

static void tell(void)
{
    const int64_t all_us = told.least_us + told.loss_us;

    printf("%llu %llu %llu %llu %lld %lld\n", (unsigned long long)told.n_requests,
           (unsigned long long)told.n_answers, (unsigned long long)told.n_registers,
           (unsigned long long)told.n_early,
           (long long)(all_us > 0 ? told.least_us * 10000 / all_us : 0),
           (long long)told.longest_us);
    fflush(stdout);
    memset(&told, 0, sizeof told);
}

static int open_line(const char *link)
{
    char name[64];
    struct termios raw;
    const int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || ptsname_r(fd, name, sizeof name) != 0)
        exit(1);
    const int other = open(name, O_RDWR | O_NOCTTY); /* kept, so that the line stays */
    tcgetattr(other, &raw);
    cfmakeraw(&raw);
    tcsetattr(other, TCSANOW, &raw);
    unlink(link);
    if (symlink(name, link) != 0)
        exit(1);
    puts("ready");
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    char text[64];

    if (argc != 6)
        return 64;
    line.baud = strtoul(argv[2], NULL, 10);
    line.n_units = strtoul(argv[3], NULL, 10);
    line.n_silent = strtoul(argv[4], NULL, 10);
    line.turnaround_us = strtol(argv[5], NULL, 10);
    if (line.baud == 0 || line.n_silent > line.n_units)
        return 64;
    line.silence_us = line.baud > 19200 ? 1750 : (int64_t)(35 * BITS * 100000 / line.baud);
    const int fd = open_line(argv[1]);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0) {
        if (fds[0].revents)
            read_line(fd);
        if (!fds[1].revents)
            continue;
        if (read(STDIN_FILENO, text, sizeof text) <= 0)
            return 0;
        tell();
    }
}
