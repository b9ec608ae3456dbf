/* slave: plays the devices of a bus: receives requests, has them answered, and sends the answers at the pace of the line.
 *
 * DESIGN: one thread, one poll loop, no sleeping. A pty delivers at once what takes its time on a line, so times are
 * reckoned: a request has arrived when its last character would have, an answer begins a silence and the turnaround
 * after it, and its bytes are handed out no faster than the line carries them. A delayed answer waits in the same
 * queue, while other units go on. */
#include "drivers/modbus/slave.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "drivers/common/link.h"
#include "drivers/modbus/slave_impl.h"
#include "drivers/modbus/wire.h"

enum {
    CLIENTS_MAX = 32,
    ANSWERS_MAX = 32, /* under way at a time; more are dropped, as by a device that is too slow */
    RX_MAX = 1024,
    TURNAROUND_US = 1000,  /* of a device that does not say otherwise */
    STALE_US = 100 * 1000, /* a request that pauses so long is over */
    TICK_US = 1000,        /* bytes due within one tick are handed out together */
    GATEWAY_NO_RESPONSE = 11,
};

struct client {
    int fd;          /* -1: free */
    int64_t last_us; /* when bytes came */
    size_t n_rx;
    uint8_t rx[RX_MAX];
};

struct answer {
    int client;       /* index; -1: free */
    int64_t start_us; /* when its first byte begins */
    size_t len, n_sent;
    uint8_t frame[MODBUS_TCP_FRAME_MAX];
};

struct slave {
    const struct gw_sim *sim;
    const struct modbus_bus_conf *conf;
    bool is_tcp;          /* frames with MBAP header, no pace */
    int listen_fd;        /* -1: a pty */
    struct link_pty pty;  /* its fd is that of the first client */
    int64_t line_free_us; /* end of what is on the line */
    uint64_t random;
    struct client clients[CLIENTS_MAX];
    struct answer answers[ANSWERS_MAX];
};

static int64_t now_of(const struct slave *slave)
{
    const struct gw_host *host = slave->sim->bus->host;

    return host->now_us(host->ctx);
}

/* ---- sending ---- */

static void drop_client(struct slave *slave, int index)
{
    struct client *client = &slave->clients[index];

    if (slave->listen_fd < 0) { /* a pty stays for the next who opens it */
        client->n_rx = 0;
        return;
    }
    close(client->fd);
    client->fd = -1;
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        if (slave->answers[i].client == index)
            slave->answers[i].client = -1;
}

static int64_t byte_due_us(const struct slave *slave, const struct answer *answer, size_t n_bytes)
{
    return answer->start_us + modbus_char_us(slave->conf, n_bytes);
}

/* Hands out the bytes of an answer that are due. */
static void send_due(struct slave *slave, struct answer *answer, int64_t now_us)
{
    const struct client *client = &slave->clients[answer->client];
    size_t n_due = answer->n_sent;

    while (n_due < answer->len && byte_due_us(slave, answer, n_due + 1) <= now_us)
        n_due++;
    if (n_due == answer->n_sent)
        return;
    const uint8_t *bytes = answer->frame + answer->n_sent;
    ssize_t n = slave->listen_fd < 0
                    ? write(client->fd, bytes, n_due - answer->n_sent)
                    : send(client->fd, bytes, n_due - answer->n_sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        drop_client(slave, answer->client);
        answer->client = -1;
        return;
    }
    /* A reader that leaves a full buffer behind loses bytes, as it would on a line. */
    answer->n_sent = n_due;
    if (answer->n_sent == answer->len)
        answer->client = -1;
}

/* Sends what is due and gives the time of the next byte. */
static int64_t send_all_due(struct slave *slave)
{
    int64_t next_us = INT64_MAX, now_us = now_of(slave);

    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        struct answer *answer = &slave->answers[i];
        if (answer->client < 0)
            continue;
        send_due(slave, answer, now_us);
        if (answer->client < 0)
            continue;
        int64_t due_us = byte_due_us(slave, answer, answer->n_sent + 1);
        int64_t end_us = byte_due_us(slave, answer, answer->len);
        if (due_us < now_us + TICK_US)
            due_us = end_us < now_us + TICK_US ? end_us : now_us + TICK_US;
        if (due_us < next_us)
            next_us = due_us;
    }
    return next_us;
}

static void queue_answer(struct slave *slave, int client, int64_t start_us, const uint8_t *frame,
                         size_t len)
{
    for (size_t i = 0; i < ANSWERS_MAX; i++) {
        struct answer *answer = &slave->answers[i];
        if (answer->client >= 0)
            continue;
        *answer = (struct answer){.client = client, .start_us = start_us, .len = len};
        memcpy(answer->frame, frame, len);
        return;
    }
}

/* ---- requests ---- */

static int64_t turnaround_us(const struct slave *slave, uint8_t unit)
{
    const struct gw_bus *bus = slave->sim->bus;

    for (size_t i = 0; i < bus->n_devices; i++) {
        const struct modbus_device_conf *conf = bus->devices[i].conf;
        if (conf->unit == unit && conf->turnaround_us > 0)
            return conf->turnaround_us;
    }
    return slave->is_tcp ? 0 : TURNAROUND_US;
}

/* When the answer to a request of n bytes, which was read just now, begins on the line. */
static int64_t answer_start_us(struct slave *slave, uint8_t unit, size_t n_bytes)
{
    int64_t now_us = now_of(slave);
    int64_t begin_us = slave->line_free_us > now_us ? slave->line_free_us : now_us;
    int64_t end_us = begin_us + modbus_char_us(slave->conf, n_bytes);

    slave->line_free_us = end_us;
    return end_us + modbus_silence_us(slave->conf) + turnaround_us(slave, unit);
}

struct request {
    int client;
    uint16_t transaction;
    uint8_t unit;
    const uint8_t *pdu;
    size_t pdu_len, frame_len;
};

static void answer_request(struct slave *slave, const struct request *request)
{
    int64_t start_us = answer_start_us(slave, request->unit, request->frame_len);
    enum slave_fault fault = slave_draw_fault(&slave->sim->faults, &slave->random);
    uint8_t reply[MODBUS_PDU_MAX], frame[MODBUS_TCP_FRAME_MAX];
    size_t len =
        slave_bank_answer(slave->sim, request->unit, request->pdu, request->pdu_len, reply);

    if (len == 0 && slave->is_tcp) { /* a gateway speaks for the device that is not there */
        reply[0] = request->pdu[0] | 0x80;
        reply[1] = GATEWAY_NO_RESPONSE;
        len = 2;
    }
    if (len == 0 || fault == SLAVE_DROP)
        return;
    if (fault == SLAVE_EXCEPTION)
        len = slave_make_exception(reply, &slave->random);
    len = slave->is_tcp ? modbus_frame_tcp(frame, request->transaction, request->unit, reply, len)
                        : modbus_frame_rtu(frame, request->unit, reply, len);
    if (fault == SLAVE_GARBAGE)
        len = slave_make_garbage(frame, len, slave->is_tcp, &slave->random);
    if (fault == SLAVE_DELAY)
        start_us += slave->sim->faults.delay_us;
    else
        slave->line_free_us = start_us + modbus_char_us(slave->conf, len);
    queue_answer(slave, request->client, start_us, frame, len);
}

/* Gives the length of the frame that a request says it has; 0 while that is unknown. */
static size_t rtu_request_len(const struct slave *slave, const uint8_t *bytes, size_t n)
{
    size_t raw_len = slave_raw_frame_len(slave->sim, bytes, n);

    if (raw_len > 0 || n < 8)
        return raw_len;
    switch (bytes[1]) {
    case MODBUS_FC_WRITE_COILS:
    case MODBUS_FC_WRITE_REGISTERS:
        return 9u + bytes[6];
    case MODBUS_FC_MASK_WRITE:
        return 10;
    case MODBUS_FC_READ_WRITE:
        return n < 11 ? 0 : 13u + bytes[10];
    default:
        return 8;
    }
}

/* Takes a request off the front of what a client sent. Returns how many bytes it used; 0: wait for more. */
static size_t take_rtu(struct slave *slave, int index)
{
    const struct client *client = &slave->clients[index];
    size_t len = rtu_request_len(slave, client->rx, client->n_rx);

    if (len == 0 || len > client->n_rx)
        return 0;
    uint16_t crc = modbus_crc16(client->rx, len - 2);
    if (client->rx[len - 2] != (crc & 0xFF) || client->rx[len - 1] != crc >> 8)
        return 1;
    const struct request request = {
        .client = index,
        .unit = client->rx[0],
        .pdu = client->rx + 1,
        .pdu_len = len - 3,
        .frame_len = len,
    };
    answer_request(slave, &request);
    return len;
}

static size_t take_tcp(struct slave *slave, int index)
{
    const struct client *client = &slave->clients[index];
    const uint8_t *rx = client->rx;

    if (client->n_rx < MODBUS_MBAP_LEN + 1)
        return 0;
    size_t len = 6u + (size_t)(rx[4] << 8 | rx[5]);
    if (rx[2] || rx[3] || len < MODBUS_MBAP_LEN + 1 || len > MODBUS_TCP_FRAME_MAX) {
        drop_client(slave, index); /* whatever this is, it is not Modbus */
        return 0;
    }
    if (len > client->n_rx)
        return 0;
    const struct request request = {
        .client = index,
        .transaction = (uint16_t)(rx[0] << 8 | rx[1]),
        .unit = rx[6],
        .pdu = rx + MODBUS_MBAP_LEN,
        .pdu_len = len - MODBUS_MBAP_LEN,
        .frame_len = len,
    };
    answer_request(slave, &request);
    return len;
}

static void take_requests(struct slave *slave, int index)
{
    struct client *client = &slave->clients[index];
    size_t n;

    while (client->fd >= 0 &&
           (n = slave->is_tcp ? take_tcp(slave, index) : take_rtu(slave, index)) > 0) {
        client->n_rx -= n;
        memmove(client->rx, client->rx + n, client->n_rx);
    }
    if (client->n_rx == RX_MAX)
        client->n_rx = 0;
}

static void read_client(struct slave *slave, int index)
{
    struct client *client = &slave->clients[index];
    ssize_t n = read(client->fd, client->rx + client->n_rx, RX_MAX - client->n_rx);

    if (n > 0) {
        int64_t now_us = now_of(slave);
        if (!slave->is_tcp && now_us - client->last_us > STALE_US) {
            /* The rest of a broken request would swallow the next ones. */
            memmove(client->rx, client->rx + client->n_rx, (size_t)n);
            client->n_rx = 0;
        }
        client->last_us = now_us;
        client->n_rx += (size_t)n;
        take_requests(slave, index);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop_client(slave, index);
    }
}

static void take_connection(struct slave *slave)
{
    int fd = accept4(slave->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (slave->clients[i].fd < 0) {
            slave->clients[i].fd = fd;
            slave->clients[i].n_rx = 0;
            return;
        }
    close(fd);
}

/* ---- life ---- */

static enum gw_err open_place(struct slave *slave, struct gw_driver_diag *diag)
{
    if (slave->conf->transport != MODBUS_RTU)
        return slave_open_port(slave->conf, &slave->listen_fd, diag);
    enum gw_err err = link_open_pty(&slave->pty, slave->conf->port, diag);
    slave->clients[0].fd = slave->pty.fd;
    return err;
}

static void tell_ready(const struct slave *slave)
{
    char where[300];

    if (slave->conf->transport == MODBUS_RTU)
        snprintf(where, sizeof where, "%s", slave->conf->port);
    else
        snprintf(where, sizeof where, "%s:%lld", slave->conf->host,
                 (long long)slave->conf->tcp_port);
    slave->sim->ready(slave->sim->ctx, where);
}

static void close_place(struct slave *slave)
{
    if (slave->listen_fd < 0) {
        link_close_pty(&slave->pty);
        return;
    }
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (slave->clients[i].fd >= 0)
            close(slave->clients[i].fd);
    close(slave->listen_fd);
}

/* Waits for requests, the time of the next byte, or the end. False: the end. */
static bool step(struct slave *slave)
{
    struct pollfd fds[CLIENTS_MAX + 2] = {
        [CLIENTS_MAX] = {.fd = slave->listen_fd, .events = POLLIN},
        [CLIENTS_MAX + 1] = {.fd = slave->sim->stop_fd, .events = POLLIN},
    };
    int64_t next_us = send_all_due(slave), left_us = next_us - now_of(slave);
    struct timespec left = {left_us / 1000000, (long)(left_us % 1000000 * 1000)};

    if (left_us < 0)
        left = (struct timespec){0};
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        fds[i] = (struct pollfd){.fd = slave->clients[i].fd, .events = POLLIN};
    if (ppoll(fds, CLIENTS_MAX + 2, next_us == INT64_MAX ? NULL : &left, NULL) <= 0)
        return true;
    for (int i = 0; i < CLIENTS_MAX; i++)
        if (fds[i].revents)
            read_client(slave, i);
    if (fds[CLIENTS_MAX].revents)
        take_connection(slave);
    return !fds[CLIENTS_MAX + 1].revents;
}

enum gw_err modbus_simulate(const struct gw_sim *sim, struct gw_driver_diag *diag)
{
    struct slave *slave = calloc(1, sizeof *slave);

    if (!slave)
        return GW_E_NOMEM;
    slave->sim = sim;
    slave->conf = sim->bus->conf;
    slave->is_tcp = slave->conf->transport == MODBUS_TCP;
    slave->random = (uint64_t)sim->faults.seed << 1 | 1; /* not 0, or the dice would not roll */
    slave->listen_fd = slave->pty.fd = slave->pty.other_fd = -1;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        slave->clients[i].fd = -1;
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        slave->answers[i].client = -1;

    enum gw_err err = open_place(slave, diag);
    if (!err) {
        tell_ready(slave);
        while (step(slave))
            ;
    }
    close_place(slave);
    free(slave);
    return err;
}
