/* wire_tcp: one exchange over Modbus TCP. libmodbus receives; the header is ours.
 *
 * DESIGN: libmodbus numbers raw requests 0 and never looks at the unit of a reply, so the frame is made and judged by
 * frame.c. Every error but an exception closes the connection: what comes late goes nowhere. The next exchange
 * connects again by itself, so that one silent unit behind a gateway is no failure of the link for its neighbours;
 * only when that fails, or the peer hangs up in the middle of an answer, the link counts as gone.
 * The response timeout of libmodbus bounds the whole reply as long as its byte timeout is off. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/select.h>
#include <unistd.h>

#include "drivers/modbus/wire_impl.h"

/* After pdu.h, whose constants it shadows by macros of the same values. */
#include <modbus/modbus.h>

enum gw_err wire_tcp_link(struct modbus_wire *wire, int64_t deadline_us,
                          struct gw_driver_diag *diag)
{
    int fd;

    enum gw_err err = wire_socket_dial(wire->conf, wire->host, deadline_us, &fd, diag);
    if (err)
        return err;
    if (fd >= FD_SETSIZE) { /* libmodbus 3.1.6 would write beyond its fd_set */
        snprintf(diag->text, sizeof diag->text,
                 "too many open files: descriptor %d of host %s is above %d", fd, wire->conf->host,
                 FD_SETSIZE - 1);
        close(fd);
        return GW_E_LINK;
    }

    modbus_t *library = modbus_new_tcp("127.0.0.1", MODBUS_TCP_DEFAULT_PORT);
    if (!library) {
        close(fd);
        return GW_E_NOMEM;
    }
    modbus_set_socket(library, fd);
    modbus_set_error_recovery(library, MODBUS_ERROR_RECOVERY_NONE);
    modbus_set_byte_timeout(library, 0, 0);
    if (getrandom(&wire->transaction, sizeof wire->transaction, GRND_NONBLOCK) < 0)
        wire->transaction = (uint16_t)wire_now_us(wire);
    wire->library = library;
    wire->fd = fd;
    wire->is_linked = true;
    return GW_OK;
}

void wire_tcp_unlink(struct modbus_wire *wire)
{
    modbus_close(wire->library);
    modbus_free(wire->library);
    wire->library = NULL;
}

static enum gw_err link_again(struct modbus_wire *wire, int64_t deadline_us)
{
    struct gw_driver_diag diag = {0};

    wire_unlink(wire);
    enum gw_err err = wire_tcp_link(wire, deadline_us, &diag);
    if (err == GW_E_TIMEOUT)
        err = GW_E_LINK;
    if (err == GW_E_LINK)
        wire->host->debug(wire->host->ctx, "%s", diag.text);
    if (!err)
        wire->ready_us = wire_now_us(wire) + wire->conf->connect_delay_us;
    return err;
}

/* Waits until the pauses are over. GW_E_LINK: the peer hung up, or talks unasked and cannot be trusted. */
static enum gw_err wait_until_ready(struct modbus_wire *wire,
                                    const struct modbus_exchange *exchange, int64_t deadline_us)
{
    int64_t ready_us = wire_earliest_us(wire, exchange);

    enum gw_err err = wire_wait(wire->host, wire->fd, POLLIN, wire_sooner(ready_us, deadline_us));
    if (err == GW_OK)
        return GW_E_LINK;
    if (err != GW_E_TIMEOUT)
        return err;
    return ready_us < deadline_us ? GW_OK : GW_E_TIMEOUT;
}

static enum gw_err prepare(struct modbus_wire *wire, const struct modbus_exchange *exchange,
                           int64_t deadline_us)
{
    enum gw_err err = wire->is_linked ? wait_until_ready(wire, exchange, deadline_us) : GW_E_LINK;
    if (err != GW_E_LINK)
        return err;

    /* Servers close idle connections; that is no failure. */
    err = link_again(wire, deadline_us);
    return err ? err : wait_until_ready(wire, exchange, deadline_us);
}

static enum gw_err receive(struct modbus_wire *wire, uint8_t frame[MODBUS_TCP_FRAME_MAX],
                           size_t *ret_len, int64_t deadline_us, const char **ret_reason)
{
    enum gw_err err = wire_wait(wire->host, wire->fd, POLLIN, deadline_us);
    if (err)
        return err;

    wire_socket_hurry(wire->fd);
    int64_t left_us = wire_later(deadline_us - wire_now_us(wire), 1);
    modbus_set_response_timeout(wire->library, (uint32_t)(left_us / 1000000),
                                (uint32_t)(left_us % 1000000));
    int n = modbus_receive_confirmation(wire->library, frame);
    if (n > 0) {
        *ret_len = (size_t)n;
        return GW_OK;
    }
    switch (errno) {
    case ETIMEDOUT:
        *ret_reason = "short_frame";
        return GW_E_TIMEOUT;
    case EMBBADDATA:
        *ret_reason = "wrong_length";
        return GW_E_PROTO;
    default:
        return GW_E_LINK;
    }
}

/* Receives a frame by the length in its header: libmodbus knows only the functions of the specification. */
static enum gw_err receive_raw(struct modbus_wire *wire, uint8_t frame[MODBUS_TCP_FRAME_MAX],
                               size_t *ret_len, int64_t deadline_us, const char **ret_reason)
{
    size_t len = 0, whole = MODBUS_MBAP_LEN, n;

    while (len < whole) {
        enum gw_err err = wire_wait(wire->host, wire->fd, POLLIN, deadline_us);
        if (err == GW_OK)
            err = link_read(wire->fd, frame + len, whole - len, &n);
        else if (err == GW_E_TIMEOUT && len > 0)
            *ret_reason = "short_frame";
        if (err)
            return err;
        len += n;
        if (len == MODBUS_MBAP_LEN)
            whole = 6u + (size_t)(frame[4] << 8 | frame[5]);
        if (whole < MODBUS_MBAP_LEN || whole > MODBUS_TCP_FRAME_MAX) {
            *ret_reason = "wrong_length";
            return GW_E_PROTO;
        }
    }
    *ret_len = len;
    return GW_OK;
}

static enum gw_err ask(struct modbus_wire *wire, struct modbus_exchange *exchange,
                       int64_t deadline_us, struct gw_outcome *outcome)
{
    uint8_t frame[MODBUS_TCP_FRAME_MAX];
    struct modbus_expect expect = {
        .unit = exchange->unit,
        .function = exchange->request[0],
        .reply_len = exchange->reply_len,
        .transaction = ++wire->transaction,
    };
    size_t len = modbus_frame_tcp(frame, expect.transaction, exchange->unit, exchange->request,
                                  exchange->request_len);

    enum gw_err err = wire_send_socket(wire->host, wire->fd, frame, len, deadline_us);
    wire->last_unit = exchange->unit;
    if (!err)
        err = (exchange->raw_reply || !exchange->reply_len ? receive_raw : receive)(
            wire, frame, &len, deadline_us, &outcome->reason);
    wire->last_us = outcome->acquired_us = wire_now_us(wire);
    if (!err)
        err = modbus_tcp_check(frame, len, &expect, &outcome->reason);
    if (err)
        return err;
    exchange->ret_reply_len = len - MODBUS_MBAP_LEN;
    memcpy(exchange->reply, frame + MODBUS_MBAP_LEN, exchange->ret_reply_len);
    return GW_OK;
}

enum gw_err wire_tcp_exchange(struct modbus_wire *wire, struct modbus_exchange *exchange,
                              int64_t deadline_us, struct gw_outcome *outcome)
{
    enum gw_err err = prepare(wire, exchange, deadline_us);
    if (err)
        return err; /* nothing was sent: nothing can come late */
    err = ask(wire, exchange, deadline_us, outcome);
    if (err)
        wire_unlink(wire);
    return err;
}
