#include "tests/fake/fake_serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { LATER_MAX = 64, LINE_MAX_LEN = 128, OVERLONG = 8192, TRICKLE_MAX = 64 };

/* Bytes that are sent when their time has come. */
struct later {
    int64_t at_us; /* 0: free */
    size_t len;
    char bytes[LINE_MAX_LEN];
};

struct fake_serial {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all but the thread's rx */
    int stop_fd;
    int fd, other_fd;
    char dir[64], link[96];
    enum fake_serial_fault fault;
    int64_t delay_us;
    struct later later[LATER_MAX];
    size_t n_written;
    double written;
    uint64_t n_requests;
    char rx[256];
    size_t n_rx;
};

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void must(bool is_true, const char *what)
{
    if (is_true)
        return;
    perror(what);
    abort();
}

int fake_serial_value(int address, const char *name)
{
    int value = address * 1000;

    for (; *name; name++)
        value += (unsigned char)*name;
    return value;
}

/* ---- the pty ---- */

static void plug(struct fake_serial *fake)
{
    char name[64], beside[128];
    struct termios raw;

    fake->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    must(fake->fd >= 0 && grantpt(fake->fd) == 0 && unlockpt(fake->fd) == 0 &&
             ptsname_r(fake->fd, name, sizeof name) == 0,
         "pty");
    fake->other_fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    must(fake->other_fd >= 0 && tcgetattr(fake->other_fd, &raw) == 0, "pty");
    cfmakeraw(&raw);
    must(tcsetattr(fake->other_fd, TCSANOW, &raw) == 0, "pty");
    snprintf(beside, sizeof beside, "%s.new", fake->link);
    must(symlink(name, beside) == 0 && rename(beside, fake->link) == 0, "link");
}

static void unplug(struct fake_serial *fake)
{
    close(fake->fd);
    close(fake->other_fd);
}

static void send_bytes(struct fake_serial *fake, const char *bytes, size_t len)
{
    (void)!write(fake->fd, bytes, len);
}

static void send_at(struct fake_serial *fake, int64_t at_us, const char *bytes, size_t len)
{
    for (size_t i = 0; i < LATER_MAX; i++)
        if (fake->later[i].at_us == 0) {
            fake->later[i].at_us = at_us;
            fake->later[i].len = len;
            memcpy(fake->later[i].bytes, bytes, len);
            return;
        }
}

/* ---- messages ---- */

static size_t seal(char line[LINE_MAX_LEN])
{
    unsigned sum = 0;
    size_t len = strlen(line);

    for (size_t i = 0; i < len; i++)
        sum ^= (unsigned char)line[i];
    return len + (size_t)snprintf(line + len, LINE_MAX_LEN - len, "*%02X\r\n", sum);
}

static void send_overlong(struct fake_serial *fake)
{
    static char much[OVERLONG];

    memset(much, '7', sizeof much);
    for (size_t at = 0; at < sizeof much; at += 512)
        send_bytes(fake, much + at, 512);
    send_bytes(fake, "\r\n", 2);
}

static void send_spoiled(struct fake_serial *fake, enum fake_serial_fault fault, int64_t delay_us,
                         const char *line, size_t len)
{
    switch (fault) {
    case FAKE_SERIAL_SILENCE:
        break;
    case FAKE_SERIAL_GARBAGE:
        send_bytes(fake, "\xFF\xE4:flow=3*00\r\n\x80", 15);
        break;
    case FAKE_SERIAL_TRUNCATED:
        send_bytes(fake, line, len - 4);
        break;
    case FAKE_SERIAL_OVERLONG:
        send_overlong(fake);
        break;
    case FAKE_SERIAL_TRICKLE:
        for (size_t i = 0; i < len && i < TRICKLE_MAX; i++)
            send_at(fake, now_us() + (int64_t)(i + 1) * delay_us, line + i, 1);
        break;
    case FAKE_SERIAL_LATE:
        send_at(fake, now_us() + delay_us, line, len);
        break;
    case FAKE_SERIAL_DROP:
        send_bytes(fake, line, len / 2);
        unplug(fake);
        plug(fake);
        break;
    default:
        send_bytes(fake, line, len);
        break;
    }
}

static void take_write(struct fake_serial *fake, int address, const char *name, const char *value,
                       char line[LINE_MAX_LEN])
{
    bool is_locked = strcmp(name, "locked") == 0;

    if (!is_locked) {
        fake->n_written++;
        fake->written = strtod(value, NULL);
    }
    snprintf(line, LINE_MAX_LEN, "%d:%s#%s", address, name, is_locked ? "no" : "ok");
}

static void answer(struct fake_serial *fake, const char *request)
{
    enum fake_serial_fault fault = fake->fault;
    char name[32] = "", value[32] = "", line[LINE_MAX_LEN];
    int address = 0;

    if (sscanf(request + 1, "%d:%31[a-z0-9]=%31s", &address, name, value) < 2)
        return;
    fake->n_requests++;
    fake->fault = FAKE_SERIAL_GOOD;
    if (request[0] == '!')
        take_write(fake, address, name, value, line);
    else if (fault == FAKE_SERIAL_REFUSE)
        snprintf(line, sizeof line, "%d:%s!no", address, name);
    else
        snprintf(line, sizeof line, "%d:%s=%d", address, name, fake_serial_value(address, name));
    size_t len = seal(line);
    send_spoiled(fake, fault, fake->delay_us, line, len);
}

/* ---- the thread ---- */

static int send_due(struct fake_serial *fake)
{
    int64_t now = now_us(), next_us = now + 100000;

    for (size_t i = 0; i < LATER_MAX; i++) {
        struct later *later = &fake->later[i];

        if (later->at_us == 0)
            continue;
        if (later->at_us <= now) {
            send_bytes(fake, later->bytes, later->len);
            later->at_us = 0;
        } else if (later->at_us < next_us) {
            next_us = later->at_us;
        }
    }
    return (int)((next_us - now + 999) / 1000);
}

static void hear(struct fake_serial *fake)
{
    ssize_t n = read(fake->fd, fake->rx + fake->n_rx, sizeof fake->rx - 1 - fake->n_rx);

    if (n <= 0)
        return;
    fake->n_rx += (size_t)n;
    while (true) {
        char *end = memchr(fake->rx, '\r', fake->n_rx);

        if (!end)
            break;
        *end = '\0';
        answer(fake, fake->rx);
        fake->n_rx -= (size_t)(end + 1 - fake->rx);
        memmove(fake->rx, end + 1, fake->n_rx);
    }
    if (fake->n_rx == sizeof fake->rx - 1)
        fake->n_rx = 0;
}

static void *run(void *ctx)
{
    struct fake_serial *fake = ctx;

    while (true) {
        pthread_mutex_lock(&fake->lock);
        int wait_ms = send_due(fake);
        struct pollfd fds[] = {{.fd = fake->fd, .events = POLLIN},
                               {.fd = fake->stop_fd, .events = POLLIN}};
        pthread_mutex_unlock(&fake->lock);
        poll(fds, 2, wait_ms < 2 ? wait_ms : 2);
        if (fds[1].revents)
            return NULL;
        pthread_mutex_lock(&fake->lock);
        hear(fake);
        pthread_mutex_unlock(&fake->lock);
    }
}

/* ---- what tests see ---- */

struct fake_serial *fake_serial_start(void)
{
    struct fake_serial *fake = calloc(1, sizeof *fake);

    must(fake != NULL, "memory");
    snprintf(fake->dir, sizeof fake->dir, "/tmp/field2mqtt-fake-XXXXXX");
    must(mkdtemp(fake->dir) != NULL, "folder");
    snprintf(fake->link, sizeof fake->link, "%s/port", fake->dir);
    pthread_mutex_init(&fake->lock, NULL);
    fake->stop_fd = eventfd(0, EFD_CLOEXEC);
    plug(fake);
    must(pthread_create(&fake->thread, NULL, run, fake) == 0, "thread");
    return fake;
}

void fake_serial_stop(struct fake_serial *fake)
{
    must(write(fake->stop_fd, &(uint64_t){1}, sizeof(uint64_t)) > 0, "stop");
    pthread_join(fake->thread, NULL);
    unplug(fake);
    close(fake->stop_fd);
    unlink(fake->link);
    rmdir(fake->dir);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

const char *fake_serial_port(const struct fake_serial *fake)
{
    return fake->link;
}

void fake_serial_next(struct fake_serial *fake, enum fake_serial_fault fault, int64_t delay_us)
{
    pthread_mutex_lock(&fake->lock);
    fake->fault = fault;
    fake->delay_us = delay_us;
    pthread_mutex_unlock(&fake->lock);
}

void fake_serial_say(struct fake_serial *fake, enum fake_serial_fault fault)
{
    char line[LINE_MAX_LEN];

    pthread_mutex_lock(&fake->lock);
    snprintf(line, sizeof line, "1:heard=%d", fake_serial_value(1, "heard"));
    size_t len = seal(line);
    send_spoiled(fake, fault, 0, line, len);
    pthread_mutex_unlock(&fake->lock);
}

size_t fake_serial_written(struct fake_serial *fake, double *ret_value)
{
    pthread_mutex_lock(&fake->lock);
    size_t n = fake->n_written;
    *ret_value = fake->written;
    pthread_mutex_unlock(&fake->lock);
    return n;
}

uint64_t fake_serial_n_requests(struct fake_serial *fake)
{
    pthread_mutex_lock(&fake->lock);
    uint64_t n = fake->n_requests;
    pthread_mutex_unlock(&fake->lock);
    return n;
}
