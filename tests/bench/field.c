/* field: many simulated Modbus TCP devices in one process, quick enough that it is never what is measured.
 * Each device has a port of its own and answers functions 3 and 4 for every unit. Register r holds 7 r plus the number of polls
 * so far (requests for register 0), shifted for each r and divided by PERIOD: with PERIOD 1 all registers change at each
 * poll, with PERIOD 100 one in a hundred does.
 *
 * usage: field N_DEVICES N_DEAD PERIOD INTERVAL_MS     the last N_DEAD take connections and never answer
 * Prints the ports, then for each line on its standard input what happened since the line before: requests, polls,
 * registers, and how far the time between two polls of a device was from the interval, 50th and 99th percentile in us.
 * Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, 3.1; MODBUS Application Protocol V1.1b3, 6.3. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOTS_MAX = 8192, /* descriptors */
    REQUEST_LEN = 12, /* MBAP header, function, address, count */
    COUNT_MAX = 125,  /* registers in one request */
    STEP_US = 100,    /* of the histogram */
    STEPS = 50000,
    EVENTS = 64,
    SHIFT = 619, /* prime to 100 and 1,000: as many registers change at each poll */
};

struct device {
    uint64_t n_polls;
    int64_t last_us;
    bool is_dead;
};

/* What a descriptor is: a listener (no buffer) or a connection of a device. */
struct slot {
    struct device *device;
    bool is_listener;
    uint8_t buffer[1024];
    size_t len;
};

static struct slot *slots[SLOTS_MAX];
static uint64_t n_requests, n_polls, n_registers, histogram[STEPS];
static int64_t interval_us;
static unsigned period;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void watch(int epoll, int fd, struct device *device, bool is_listener)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd >= SLOTS_MAX || !(slots[fd] = calloc(1, sizeof *slots[fd])))
        die("too many descriptors");
    slots[fd]->device = device;
    slots[fd]->is_listener = is_listener;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll_ctl");
}

static void open_device(int epoll, struct device *device)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 8) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("listen");
    printf("%d ", ntohs(address.sin_port));
    watch(epoll, fd, device, true);
}

static void count_poll(struct device *device)
{
    const int64_t now = now_us();

    if (device->last_us > 0) {
        const int64_t off = llabs(now - device->last_us - interval_us) / STEP_US;
        histogram[off < STEPS ? off : STEPS - 1]++;
    }
    device->last_us = now;
    device->n_polls++;
    n_polls++;
}

/* Makes the answer to a request of REQUEST_LEN bytes; returns its length. */
static size_t answer(struct device *device, const uint8_t *request, uint8_t *out)
{
    const unsigned first = (unsigned)request[8] << 8 | request[9];
    const unsigned count = (unsigned)request[10] << 8 | request[11];

    memcpy(out, request, 8);
    n_requests++;
    if ((request[7] != 3 && request[7] != 4) || count == 0 || count > COUNT_MAX) {
        out[5] = 3;
        out[7] |= 0x80;
        out[8] = 1;
        return 9;
    }
    if (first == 0)
        count_poll(device);
    n_registers += count;
    out[4] = 0;
    out[5] = (uint8_t)(3 + 2 * count);
    out[8] = (uint8_t)(2 * count);
    for (unsigned i = 0; i < count; i++) {
        const uint64_t at = first + i, value = at * 7 + (device->n_polls + at * SHIFT) / period;
        out[9 + 2 * i] = (uint8_t)(value >> 8);
        out[10 + 2 * i] = (uint8_t)value;
    }
    return 9 + 2 * count;
}

static void serve(int fd, struct slot *slot)
{
    uint8_t out[9 + 2 * COUNT_MAX];
    const ssize_t got = read(fd, slot->buffer + slot->len, sizeof slot->buffer - slot->len);
    size_t at = 0;

    if (got <= 0) {
        close(fd);
        slots[fd] = NULL;
        free(slot);
        return;
    }
    slot->len += (size_t)got;
    for (; slot->len - at >= REQUEST_LEN; at += REQUEST_LEN) {
        if (slot->device->is_dead)
            continue;
        const size_t len = answer(slot->device, slot->buffer + at, out);
        if (write(fd, out, len) != (ssize_t)len)
            break;
    }
    memmove(slot->buffer, slot->buffer + at, slot->len - at);
    slot->len -= at;
}

static long percentile_us(uint64_t total, double share)
{
    uint64_t sum = 0;

    for (long i = 0; i < STEPS; i++) {
        sum += histogram[i];
        if ((double)sum >= share * (double)total && sum > 0)
            return (i + 1) * STEP_US;
    }
    return 0;
}

static void tell(void)
{
    uint64_t total = 0;

    for (size_t i = 0; i < STEPS; i++)
        total += histogram[i];
    printf("%llu %llu %llu %ld %ld\n", (unsigned long long)n_requests, (unsigned long long)n_polls,
           (unsigned long long)n_registers, percentile_us(total, 0.5), percentile_us(total, 0.99));
    fflush(stdout);
    n_requests = n_polls = n_registers = 0;
    memset(histogram, 0, sizeof histogram);
}

static void handle(int epoll, int fd)
{
    char line[64];
    struct slot *slot = slots[fd];

    if (fd == STDIN_FILENO) {
        if (read(fd, line, sizeof line) <= 0)
            exit(0);
        tell();
    } else if (slot && slot->is_listener) {
        const int one = 1, conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (conn < 0)
            return;
        setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(epoll, conn, slot->device, false);
    } else if (slot) {
        serve(fd, slot);
    }
}

int main(int argc, char **argv)
{
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[EVENTS];
    struct rlimit limit;

    if (argc != 5)
        return 64;
    const long n_devices = strtol(argv[1], NULL, 10), n_dead = strtol(argv[2], NULL, 10);
    period = (unsigned)strtoul(argv[3], NULL, 10);
    interval_us = strtol(argv[4], NULL, 10) * 1000;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct device *devices = calloc((size_t)n_devices + 1, sizeof *devices);
    if (!devices || period == 0)
        return 64;
    for (long i = 0; i < n_devices; i++) {
        devices[i].is_dead = i >= n_devices - n_dead;
        open_device(epoll, &devices[i]);
    }
    printf("\n");
    fflush(stdout);
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = STDIN_FILENO});
    for (;;) {
        const int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++)
            handle(epoll, events[i].data.fd);
    }
}
