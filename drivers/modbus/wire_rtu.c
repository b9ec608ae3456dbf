/* wire_rtu: one exchange over RTU, on a serial line or through a serial device server.
 *
 * DESIGN: RTU has no transaction id. A late answer of the same length is taken for the next one, and from then on
 * every value is wrong with success (measured with libmodbus). So:
 * 1. Nothing is sent before the line has been silent for 3.5 characters; what comes meanwhile is looked at and dropped.
 * 2. A unit that owes an answer is in doubt for two more timeouts (0.2-3 s) and is not asked: its late answer cannot
 *    meet a question. Other units are asked; the late answer is a foreign frame to them, and waiting goes on.
 * 3. A unit is in doubt too when it speaks unasked, and when its answer was anything but a whole frame of the expected
 *    shape with a wrong CRC, which was the answer, and will not come twice.
 * An answer is given out only to the question of a unit without doubt; it is wrong only if it comes more than three
 * timeouts (or timeout + 3 s) after its question.
 *
 * Receiving is ours, not libmodbus's: 3.1.6 returns 0 for a frame of another unit and reads the rest of a
 * frame behind one noise byte as a new one, knows no units above 247, and cannot be interrupted. */
#include <poll.h>
#include <string.h>

#include "drivers/modbus/wire_impl.h"

enum {
    DOUBT_TIMEOUTS = 3,         /* an answer may come so many timeouts after its request, and */
    DOUBT_SLACK_US = 50 * 1000, /* ... on the way through adapters */
    DOUBT_MIN_US = 200 * 1000,
    DOUBT_MAX_US = 3000 * 1000,
    GAP_CHARS = 20, /* a frame that pauses for more than these and the gap is over */
    GAP_US = 50 * 1000,
    GAP_TCP_US = 200 * 1000, /* networks stall longer than serial adapters */
    NOISE_BYTES = 4,         /* fewer bytes are what a driver being switched adds, not an answer */
};

/* One exchange under way. */
struct turn {
    struct modbus_wire *wire;
    struct modbus_expect expect;
    int64_t sent_us; /* end of the request on the line */
    int64_t deadline_us;
    const char *reason; /* the worst seen so far */
    bool
        has_begun; /* the unit has answered, wrongly, or the bytes look like the begin of its answer */
    bool has_answered; /* wrongly */
    bool is_damaged;   /* ... exactly those of the awaited frame, with a wrong CRC */
    bool has_echo;
    size_t n_noise;
};

static void put_in_doubt(struct modbus_wire *wire, uint8_t unit, int64_t until_us)
{
    if (wire->doubt_until_us[unit] < until_us)
        wire->doubt_until_us[unit] = until_us;
}

/* The unit may still answer. */
static void owe_answer(struct turn *turn, struct gw_outcome *outcome)
{
    int64_t now_us = wire_now_us(turn->wire);
    int64_t until_us =
        turn->sent_us + DOUBT_SLACK_US + DOUBT_TIMEOUTS * (turn->deadline_us - turn->sent_us);

    until_us = wire_later(until_us, now_us + DOUBT_MIN_US);
    until_us = wire_sooner(until_us, now_us + DOUBT_MAX_US);
    put_in_doubt(turn->wire, turn->expect.unit, until_us);
    if (turn->wire->n_owed[turn->expect.unit] < UINT8_MAX)
        turn->wire->n_owed[turn->expect.unit]++;
    outcome->hold_us = turn->wire->doubt_until_us[turn->expect.unit] - now_us;
}

static bool is_in_doubt(struct modbus_wire *wire, uint8_t unit, struct gw_outcome *outcome)
{
    int64_t left_us = wire->doubt_until_us[unit] - wire_now_us(wire);

    if (left_us <= 0)
        return false;
    outcome->hold_us = left_us;
    outcome->reason = "unconfirmed";
    return true;
}

static void drop(struct modbus_wire *wire, size_t n)
{
    wire->n_discarded += n;
    wire->n_rx -= n;
    memmove(wire->rx, wire->rx + n, wire->n_rx);
}

/* A sound frame that nobody asked for now: an answer that was owed, or the unit does what it should not. Returns
 * whether it was owed. */
static bool note_stray(struct modbus_wire *wire, uint8_t unit)
{
    if (wire->n_owed[unit] > 0) {
        wire->n_owed[unit]--;
        wire->late_unit = unit;
        return true;
    }
    wire->host->debug(wire->host->ctx, "unit %u speaks unasked", unit);
    put_in_doubt(wire, unit, wire_now_us(wire) + DOUBT_MIN_US);
    return false;
}

static enum gw_err read_more(struct modbus_wire *wire)
{
    size_t n;

    /* The older half can hold no frame that is still incomplete. */
    if (wire->n_rx == sizeof wire->rx)
        drop(wire, sizeof wire->rx / 2);
    if (wire->conf->transport == MODBUS_RTU_OVER_TCP)
        wire_socket_hurry(wire->fd);
    enum gw_err err = link_read(wire->fd, wire->rx + wire->n_rx, sizeof wire->rx - wire->n_rx, &n);
    if (err)
        return err == GW_E_TIMEOUT ? GW_OK : err;
    wire->n_rx += n;
    wire->last_us = wire_now_us(wire);
    return GW_OK;
}

/* Looks what came unasked, drops it, and remembers who spoke. */
static void drop_strays(struct modbus_wire *wire)
{
    const struct modbus_expect nothing = {.unit = 0};

    while (wire->n_rx > 0) {
        struct modbus_seen seen = modbus_rtu_scan(wire->rx, wire->n_rx, &nothing);

        if (seen.kind == MODBUS_SEEN_NOTHING) {
            drop(wire, wire->n_rx);
            return;
        }
        note_stray(wire, wire->rx[seen.at]);
        drop(wire, seen.at + seen.len);
    }
}

/* Waits for the pauses and for silence on the line. */
static enum gw_err wait_for_silence(struct modbus_wire *wire,
                                    const struct modbus_exchange *exchange, int64_t deadline_us,
                                    struct gw_outcome *outcome)
{
    int64_t silence_us = modbus_silence_us(wire->conf);
    int64_t ready_us = wire_earliest_us(wire, exchange);

    while (true) {
        ready_us = wire_later(ready_us, wire->last_us + silence_us);

        enum gw_err err =
            wire_wait(wire->host, wire->fd, POLLIN, wire_sooner(ready_us, deadline_us));
        if (err == GW_E_TIMEOUT && ready_us < deadline_us)
            break;
        if (err == GW_OK) {
            err = read_more(wire);
            outcome->reason = "line_busy"; /* unless silence comes in time */
        }
        if (err)
            return err;
    }
    outcome->reason = NULL;
    drop_strays(wire);
    return GW_OK;
}

static enum gw_err send_request(struct turn *turn, const struct modbus_exchange *exchange)
{
    struct modbus_wire *wire = turn->wire;
    const struct modbus_expect *expect = &turn->expect;
    enum gw_err err =
        wire->conf->transport == MODBUS_RTU
            ? wire_serial_send(wire, exchange->unit, exchange->request, exchange->request_len)
            : wire_send_socket(wire->host, wire->fd, expect->sent, expect->sent_len,
                               turn->deadline_us);

    wire->last_unit = exchange->unit;
    wire->last_us = wire_now_us(wire) + modbus_char_us(wire->conf, expect->sent_len);
    turn->sent_us = wire_sooner(wire->last_us, turn->deadline_us);
    return err;
}

static void judge_foreign(struct turn *turn, const uint8_t *frame)
{
    if (frame[0] == turn->expect.unit) {
        turn->has_answered = true; /* no use to wait long for another one */
        turn->reason =
            (frame[1] & 0x7F) == turn->expect.function ? "wrong_length" : "wrong_function";
    } else if (!note_stray(turn->wire, frame[0])) {
        turn->reason = "wrong_unit";
    }
}

/* Judges what has come so far. Returns true when the answer is there; it then begins at rx[0]. */
static bool find_reply(struct turn *turn, size_t *ret_len)
{
    struct modbus_wire *wire = turn->wire;

    while (true) {
        struct modbus_seen seen = modbus_rtu_scan(wire->rx, wire->n_rx, &turn->expect);

        if (seen.kind == MODBUS_SEEN_NOTHING) {
            turn->has_begun = seen.has_begun || turn->has_answered;
            turn->is_damaged = seen.is_reply_size && turn->n_noise == 0 && !turn->reason;
            return false;
        }
        turn->n_noise += seen.at;
        drop(wire, seen.at);
        if (seen.kind == MODBUS_SEEN_REPLY) {
            *ret_len = seen.len;
            return true;
        }
        if (seen.kind == MODBUS_SEEN_ECHO) {
            turn->has_echo = true;
            turn->expect.must_skip_echo = false;
        } else {
            judge_foreign(turn, wire->rx);
        }
        drop(wire, seen.len);
    }
}

/* No answer will come any more: says what was there instead. */
static enum gw_err give_up(struct turn *turn, bool is_over, struct gw_outcome *outcome)
{
    size_t n_noise = turn->n_noise + turn->wire->n_rx;

    outcome->reason = turn->reason;
    if (turn->is_damaged)
        outcome->reason = "bad_crc";
    else if (turn->has_begun && !turn->reason)
        outcome->reason =
            turn->wire->n_rx >= turn->expect.reply_len + 3 ? "bad_crc" : "short_frame";
    else if (n_noise >= NOISE_BYTES && !turn->reason)
        outcome->reason = "bad_crc";

    if (!turn->is_damaged)
        owe_answer(turn, outcome);
    drop(turn->wire, turn->wire->n_rx);
    /* A frame that was still coming in at the deadline is a slow answer, not a broken one. */
    if (!outcome->reason || (!is_over && !turn->is_damaged && !turn->reason && turn->has_begun))
        return GW_E_TIMEOUT;
    return GW_E_PROTO;
}

static enum gw_err receive(struct turn *turn, size_t *ret_len, struct gw_outcome *outcome)
{
    struct modbus_wire *wire = turn->wire;
    int64_t gap_us = wire->conf->transport == MODBUS_RTU ? GAP_US : GAP_TCP_US;

    gap_us += modbus_char_us(wire->conf, GAP_CHARS);

    while (!find_reply(turn, ret_len)) {
        int64_t over_us = turn->has_begun ? wire->last_us + gap_us : turn->deadline_us;

        enum gw_err err =
            wire_wait(wire->host, wire->fd, POLLIN, wire_sooner(over_us, turn->deadline_us));
        if (err == GW_E_TIMEOUT)
            return give_up(turn, over_us < turn->deadline_us, outcome);
        if (err == GW_OK)
            err = read_more(wire);
        if (err) {
            owe_answer(turn, outcome);
            return err;
        }
    }
    return GW_OK;
}

static enum gw_err ask(struct turn *turn, struct modbus_exchange *exchange,
                       struct gw_outcome *outcome)
{
    struct modbus_wire *wire = turn->wire;
    size_t len = 0;

    enum gw_err err = send_request(turn, exchange);
    if (err)
        owe_answer(turn, outcome);
    else
        err = receive(turn, &len, outcome);
    outcome->acquired_us = wire_now_us(wire);
    if (err)
        return err;

    wire->has_echo = turn->has_echo;
    wire->n_owed[exchange->unit] = 0;
    exchange->ret_reply_len = len - 3;
    memcpy(exchange->reply, wire->rx + 1, exchange->ret_reply_len);
    wire->n_rx -= len;
    memmove(wire->rx, wire->rx + len, wire->n_rx);
    return GW_OK;
}

enum gw_err wire_rtu_exchange(struct modbus_wire *wire, struct modbus_exchange *exchange,
                              int64_t deadline_us, struct gw_outcome *outcome)
{
    uint8_t frame[MODBUS_RTU_FRAME_MAX];

    if (exchange->unit == 0) { /* broadcast: nobody answers */
        outcome->reason = "broadcast";
        return GW_E_REFUSED;
    }
    if (is_in_doubt(wire, exchange->unit, outcome))
        return GW_E_BUSY;

    enum gw_err err = wait_for_silence(wire, exchange, deadline_us, outcome);
    if (err)
        return err;
    if (is_in_doubt(wire, exchange->unit, outcome)) { /* it spoke while we waited */
        outcome->reason = "late_answer";
        return GW_E_BUSY;
    }

    struct turn turn = {
        .wire = wire,
        .deadline_us = deadline_us,
        .expect =
            {
                .unit = exchange->unit,
                .function = exchange->request[0],
                .reply_len = exchange->reply_len,
                .sent = frame,
                .sent_len = modbus_frame_rtu(frame, exchange->unit, exchange->request,
                                             exchange->request_len),
                .raw_reply = exchange->raw_reply,
                .must_skip_echo = wire->has_echo,
            },
    };
    return ask(&turn, exchange, outcome);
}
