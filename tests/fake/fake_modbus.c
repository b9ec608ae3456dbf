/* fake_modbus: the slave's thread, its links and its faults. One peer at a time. */
#include "tests/fake/fake_modbus.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_MAX = 700, LATER_MAX = 512 };

/* Bytes that go out at a time to come. */
struct later {
    int64_t at_us;
    uint64_t connection; /* dropped when the peer has connected anew; RTU: always the same */
    size_t len;
    uint8_t bytes[300];
};

struct fake_modbus {
    enum fake_transport transport;
    struct fake_script script;
    pthread_t thread;
    int stop_fd;
    int listen_fd; /* TCP */
    int fd;        /* pty master or the connection; -1 without a peer */
    int pty_fd; /* the other side of the pty, kept open so that the master never sees a hang-up */
    char dir[64], link[80];
    uint16_t tcp_port;
    atomic_ullong n_requests, n_connections;
    size_t n_rx;
    uint8_t rx[1024];
    uint64_t noise;
    uint16_t last_transaction;
    size_t n_later;
    struct later later[LATER_MAX];
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

/* ---- Links ---- */

static void open_pty(struct fake_modbus *fake)
{
    struct termios raw;
    char name[64];

    fake->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    must(fake->fd >= 0 && grantpt(fake->fd) == 0 && unlockpt(fake->fd) == 0, "pty");
    must(ptsname_r(fake->fd, name, sizeof name) == 0, "ptsname");
    fake->pty_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    must(fake->pty_fd >= 0 && tcgetattr(fake->pty_fd, &raw) == 0, name);
    cfmakeraw(&raw);
    must(tcsetattr(fake->pty_fd, TCSANOW, &raw) == 0, name);
    unlink(fake->link);
    must(symlink(name, fake->link) == 0, fake->link);
}

static void open_listener(struct fake_modbus *fake)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fake->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must(fake->listen_fd >= 0, "socket");
    must(bind(fake->listen_fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(fake->listen_fd, 64) == 0, "listen");
    must(getsockname(fake->listen_fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
    fake->tcp_port = ntohs(address.sin_port);
}

static void close_link(struct fake_modbus *fake)
{
    if (fake->fd >= 0)
        close(fake->fd);
    if (fake->pty_fd >= 0)
        close(fake->pty_fd);
    fake->fd = fake->pty_fd = -1;
    fake->n_rx = 0;
}

static void drop_link(struct fake_modbus *fake)
{
    close_link(fake);
    if (fake->transport == FAKE_RTU)
        open_pty(fake);
}

static void take_connection(struct fake_modbus *fake)
{
    int fd = accept4(fake->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    close_link(fake);
    fake->fd = fd;
    atomic_fetch_add(&fake->n_connections, 1);
}

/* ---- Sending ---- */

static void send_bytes(struct fake_modbus *fake, const uint8_t *bytes, size_t len)
{
    if (fake->fd < 0)
        return;
    ssize_t n = fake->transport == FAKE_RTU ? write(fake->fd, bytes, len)
                                            : send(fake->fd, bytes, len, MSG_NOSIGNAL);
    (void)n; /* a peer that has gone is no failure of the slave */
}

static void send_later(struct fake_modbus *fake, int64_t at_us, const uint8_t *bytes, size_t len)
{
    must(fake->n_later < LATER_MAX && len <= sizeof fake->later[0].bytes, "room for late frames");
    struct later *later = &fake->later[fake->n_later++];

    later->at_us = at_us;
    later->connection = atomic_load(&fake->n_connections);
    later->len = len;
    memcpy(later->bytes, bytes, len);
}

static bool is_too_late(const struct fake_modbus *fake, int64_t at_us)
{
    return fake->script.stall_us > 0 && now_us() - at_us > fake->script.stall_us;
}

/* Sends what is due; returns the time until the next, in ms, -1 for none. */
static int send_due(struct fake_modbus *fake)
{
    int64_t next_us = INT64_MAX, now = now_us();

    for (size_t i = 0; i < fake->n_later;) {
        struct later *later = &fake->later[i];

        if (later->at_us <= now) {
            if ((fake->transport != FAKE_TCP ||
                 later->connection == atomic_load(&fake->n_connections)) &&
                !is_too_late(fake, later->at_us))
                send_bytes(fake, later->bytes, later->len);
            fake->n_later--; /* the order is kept: parts of one frame must not change places */
            memmove(later, later + 1, (fake->n_later - i) * sizeof *later);
            continue;
        }
        if (later->at_us < next_us)
            next_us = later->at_us;
        i++;
    }
    return next_us == INT64_MAX ? -1 : (int)((next_us - now + 999) / 1000);
}

/* ---- Frames ---- */

static uint16_t crc(const uint8_t *bytes, size_t len)
{
    uint16_t sum = 0xFFFF;

    while (len--) {
        sum ^= *bytes++;
        for (int i = 0; i < 8; i++)
            sum = (uint16_t)((sum >> 1) ^ (sum & 1 ? 0xA001 : 0));
    }
    return sum;
}

static size_t frame(const struct fake_modbus *fake, uint8_t *out, uint16_t transaction,
                    uint8_t unit, const uint8_t *pdu, size_t len)
{
    if (fake->transport == FAKE_TCP) {
        out[0] = (uint8_t)(transaction >> 8);
        out[1] = (uint8_t)transaction;
        out[2] = out[3] = 0;
        out[4] = (uint8_t)((len + 1) >> 8);
        out[5] = (uint8_t)(len + 1);
        out[6] = unit;
        memcpy(out + 7, pdu, len);
        return len + 7;
    }
    out[0] = unit;
    memcpy(out + 1, pdu, len);
    uint16_t sum = crc(out, len + 1);
    out[len + 1] = (uint8_t)sum;
    out[len + 2] = (uint8_t)(sum >> 8);
    return len + 3;
}

static uint16_t word(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* ---- Answers ---- */

static size_t answer_read(const struct fake_modbus *fake, const struct fake_request *request,
                          uint8_t *reply)
{
    uint8_t function = request->pdu[0];
    uint16_t first = word(request->pdu + 1), count = word(request->pdu + 3);
    bool is_bits = function <= 2;

    reply[0] = function;
    reply[1] = (uint8_t)(is_bits ? (count + 7) / 8 : 2 * count);
    memset(reply + 2, 0, reply[1]);
    for (uint16_t i = 0; i < count; i++) {
        uint16_t value =
            fake->script.value(fake->script.ctx, request->unit, function, (uint16_t)(first + i));
        if (is_bits) {
            reply[2 + i / 8] |= (uint8_t)((value & 1) << i % 8);
        } else {
            reply[2 + 2 * i] = (uint8_t)(value >> 8);
            reply[3 + 2 * i] = (uint8_t)value;
        }
    }
    return 2u + reply[1];
}

static bool write_one(const struct fake_modbus *fake, const struct fake_request *request,
                      uint16_t address, uint16_t value)
{
    return !fake->script.write ||
           fake->script.write(fake->script.ctx, request->unit, request->pdu[0], address, value);
}

static size_t answer_write(const struct fake_modbus *fake, const struct fake_request *request,
                           uint8_t *reply)
{
    const uint8_t *pdu = request->pdu;
    uint16_t first = word(pdu + 1), count = word(pdu + 3);
    bool is_done = true;

    if (pdu[0] == 15)
        for (uint16_t i = 0; i < count && is_done; i++)
            is_done = write_one(fake, request, (uint16_t)(first + i), pdu[6 + i / 8] >> i % 8 & 1);
    else if (pdu[0] == 16)
        for (uint16_t i = 0; i < count && is_done; i++)
            is_done = write_one(fake, request, (uint16_t)(first + i), word(pdu + 6 + 2 * i));
    else /* 5 and 6; of 22 the masks are not told apart */
        is_done = write_one(fake, request, first, count);

    if (!is_done) {
        reply[0] = pdu[0] | 0x80;
        reply[1] = 2;
        return 2;
    }
    size_t len = pdu[0] == 22 ? 7 : 5;
    memcpy(reply, pdu, len);
    return len;
}

static size_t answer(const struct fake_modbus *fake, const struct fake_request *request,
                     uint8_t *reply)
{
    uint8_t function = request->pdu[0];

    if (function >= 1 && function <= 4)
        return answer_read(fake, request, reply);
    if (function == 5 || function == 6 || function == 15 || function == 16 || function == 22)
        return answer_write(fake, request, reply);
    reply[0] = function | 0x80;
    reply[1] = 1;
    return 2;
}

static size_t make_noise(struct fake_modbus *fake, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        fake->noise = fake->noise * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(fake->noise >> 56);
    }
    return len;
}

/* Changes the PDU, unit or transaction before framing. */
static size_t spoil_content(const struct fake_action *action, uint8_t *pdu, size_t len,
                            uint8_t *unit, uint16_t *transaction, uint16_t last_transaction)
{
    switch (action->fault) {
    case FAKE_EXCEPTION:
        pdu[0] |= 0x80;
        pdu[1] = action->exception;
        return 2;
    case FAKE_WRONG_UNIT:
        *unit = (uint8_t)((*unit + 7) % 16 + 1); /* not the neighbour, which is asked next */
        return len;
    case FAKE_WRONG_FUNCTION:
        pdu[0] = pdu[0] == 3 ? 4 : 3;
        return len;
    case FAKE_WRONG_LENGTH:
        if (pdu[0] <= 4)
            pdu[1] = (uint8_t)(pdu[1] + 2);
        pdu[len] = pdu[len + 1] = 0x11;
        return len + 2;
    case FAKE_WRONG_TRANSACTION:
        *transaction = last_transaction;
        return len;
    default:
        return len;
    }
}

static void send_parts(struct fake_modbus *fake, const uint8_t *out, size_t len, size_t part,
                       int64_t pause_us)
{
    int64_t at_us = now_us();

    for (size_t i = 0; i < len; i += part, at_us += pause_us)
        send_later(fake, at_us, out + i, len - i < part ? len - i : part);
}

static void send_noisy(struct fake_modbus *fake, enum fake_fault fault, const uint8_t *out,
                       size_t len)
{
    uint8_t bytes[FRAME_MAX];
    size_t n = 0;

    if (fault != FAKE_TRAILING)
        n = make_noise(fake, bytes, fault == FAKE_GARBAGE ? 1 + (size_t)(fake->noise % 100) : 2);
    if (fault != FAKE_GARBAGE) {
        memcpy(bytes + n, out, len);
        n += len;
    }
    if (fault == FAKE_TRAILING)
        n += make_noise(fake, bytes + n, 3);
    if (fault == FAKE_OVERLONG) {
        memcpy(bytes, out, 3);
        n = 3 + make_noise(fake, bytes + 3, 600);
    }
    send_bytes(fake, bytes, n);
}

static void send_spoiled(struct fake_modbus *fake, const struct fake_action *action,
                         const uint8_t *request, size_t request_len, uint8_t *out, size_t len)
{
    switch (action->fault) {
    case FAKE_SILENCE:
        break;
    case FAKE_LATE:
        send_later(fake, now_us() + action->delay_us, out, len);
        break;
    case FAKE_BAD_CRC:
        out[len - 1] ^= 0x55;
        send_bytes(fake, out, len);
        break;
    case FAKE_TRUNCATED:
        send_bytes(fake, out, len - 1 - (size_t)(fake->noise++ % (len - 1)));
        break;
    case FAKE_TRAILING:
    case FAKE_GARBAGE_PREFIX:
    case FAKE_GARBAGE:
    case FAKE_OVERLONG:
        send_noisy(fake, action->fault, out, len);
        break;
    case FAKE_ECHO_AND_ANSWER:
        send_bytes(fake, request, request_len);
        send_bytes(fake, out, len);
        break;
    case FAKE_ECHO:
        send_bytes(fake, request, request_len);
        break;
    case FAKE_SPLIT:
        send_parts(fake, out, len, len / 2, action->delay_us);
        break;
    case FAKE_TRICKLE:
        send_parts(fake, out, len, 1, action->delay_us);
        break;
    case FAKE_DROP_IN_FRAME:
        send_bytes(fake, out, len / 2);
        drop_link(fake);
        break;
    default:
        send_bytes(fake, out, len);
        break;
    }
}

static void serve(struct fake_modbus *fake, const struct fake_request *request,
                  uint16_t transaction, const uint8_t *bytes, size_t len)
{
    struct fake_action action = {.fault = FAKE_GOOD};
    uint8_t pdu[300], out[FRAME_MAX], unit = request->unit;

    atomic_fetch_add(&fake->n_requests, 1);
    if (fake->script.choose)
        action = fake->script.choose(fake->script.ctx, request);
    size_t pdu_len = answer(fake, request, pdu);
    if (action.fault == FAKE_OUT_OF_ORDER) {
        size_t old_len = frame(fake, out, fake->last_transaction, unit, pdu, pdu_len);
        send_bytes(fake, out, old_len);
    }
    uint16_t true_transaction = transaction;
    pdu_len = spoil_content(&action, pdu, pdu_len, &unit, &transaction, fake->last_transaction);
    fake->last_transaction = true_transaction;
    size_t out_len = frame(fake, out, transaction, unit, pdu, pdu_len);
    send_spoiled(fake, &action, bytes, len, out, out_len);
}

/* Gives the length of the request that the bytes begin with; 0 when it is not complete or none. */
static size_t rtu_request_len(const uint8_t *bytes, size_t n)
{
    size_t len = 8;

    if (n < 8)
        return 0;
    if (bytes[1] == 15 || bytes[1] == 16)
        len = 9u + bytes[6];
    else if (bytes[1] == 22)
        len = 10;
    else if (bytes[1] == 23)
        len = n < 11 ? 11 : 13u + bytes[10];
    return n >= len && word(bytes + len - 2) ==
                           (uint16_t)(crc(bytes, len - 2) << 8 | crc(bytes, len - 2) >> 8)
               ? len
               : 0;
}

static size_t take_request(struct fake_modbus *fake)
{
    struct fake_request request;
    uint8_t bytes[sizeof fake->rx];
    uint16_t transaction = 0;
    size_t len, head = fake->transport == FAKE_TCP ? 7 : 1;

    if (fake->transport == FAKE_TCP)
        len =
            fake->n_rx >= 8 && fake->n_rx >= 6u + word(fake->rx + 4) ? 6u + word(fake->rx + 4) : 0;
    else
        len = rtu_request_len(fake->rx, fake->n_rx);
    if (len == 0)
        return 0;

    memcpy(bytes, fake->rx, len);
    fake->n_rx -= len;
    memmove(fake->rx, fake->rx + len, fake->n_rx);
    if (fake->transport == FAKE_TCP)
        transaction = word(bytes);
    request.unit = bytes[head - 1];
    request.pdu = bytes + head;
    request.pdu_len = len - head - (fake->transport == FAKE_TCP ? 0 : 2);
    serve(fake, &request, transaction, bytes, len);
    return len;
}

static void read_peer(struct fake_modbus *fake)
{
    ssize_t n = read(fake->fd, fake->rx + fake->n_rx, sizeof fake->rx - fake->n_rx);

    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        drop_link(fake);
        return;
    }
    fake->n_rx += (size_t)n;
    while (take_request(fake) > 0)
        ;
    if (fake->n_rx > 300) /* no request is so long: it lost its place */
        fake->n_rx = 0;
}

static void *run(void *ctx)
{
    struct fake_modbus *fake = ctx;

    while (true) {
        int wait_ms = send_due(fake);
        struct pollfd fds[3] = {
            {.fd = fake->stop_fd, .events = POLLIN},
            {.fd = fake->fd, .events = POLLIN},
            {.fd = fake->listen_fd, .events = POLLIN},
        };

        if (poll(fds, 3, wait_ms) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents)
            read_peer(fake);
        if (fds[2].revents)
            take_connection(fake);
    }
}

struct fake_modbus *fake_modbus_start(enum fake_transport transport,
                                      const struct fake_script *script)
{
    struct fake_modbus *fake = calloc(1, sizeof *fake);

    must(fake != NULL, "memory");
    fake->transport = transport;
    fake->script = *script;
    fake->fd = fake->pty_fd = fake->listen_fd = -1;
    fake->noise = 1;
    fake->stop_fd = eventfd(0, EFD_CLOEXEC);
    must(fake->stop_fd >= 0, "eventfd");
    snprintf(fake->dir, sizeof fake->dir, "/tmp/field2mqtt-fake-XXXXXX");
    must(mkdtemp(fake->dir) != NULL, fake->dir);
    snprintf(fake->link, sizeof fake->link, "%s/tty", fake->dir);
    if (transport == FAKE_RTU)
        open_pty(fake);
    else
        open_listener(fake);
    must(pthread_create(&fake->thread, NULL, run, fake) == 0, "thread");
    return fake;
}

void fake_modbus_stop(struct fake_modbus *fake)
{
    uint64_t one = 1;

    must(write(fake->stop_fd, &one, sizeof one) == sizeof one, "eventfd");
    pthread_join(fake->thread, NULL);
    close_link(fake);
    if (fake->listen_fd >= 0)
        close(fake->listen_fd);
    close(fake->stop_fd);
    unlink(fake->link);
    rmdir(fake->dir);
    free(fake);
}

const char *fake_modbus_port(const struct fake_modbus *fake)
{
    return fake->link;
}

uint16_t fake_modbus_tcp_port(const struct fake_modbus *fake)
{
    return fake->tcp_port;
}

uint64_t fake_modbus_n_requests(const struct fake_modbus *fake)
{
    return atomic_load(&fake->n_requests);
}

uint64_t fake_modbus_n_connections(const struct fake_modbus *fake)
{
    return atomic_load(&fake->n_connections);
}
