/* The wire against a slave that misbehaves: over a pty, TCP, and RTU over TCP. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "drivers/modbus/wire.h"
#include "tests/fake/fake_modbus.c" /* unit tests are linked with the driver only */

/* SLACK only bounds what hangs: a busy machine may hold up the slave or the wire for seconds. */
enum { TIMEOUT_US = 60000, SLACK_US = 10000000 };

struct line {
    struct fake_modbus *fake;
    struct modbus_wire *wire;
    struct modbus_bus_conf conf;
    struct gw_host host;
    struct gw_driver_diag diag;
    struct gw_outcome outcome;
    uint16_t values[125];
    int exception;
    pthread_mutex_t lock;
    struct fake_action actions[8]; /* for the requests to come, in order */
    size_t n_actions;
    atomic_int written;
    int64_t asked_us;
};

static int64_t host_now_us(void *ctx)
{
    (void)ctx;
    return now_us();
}

static GW_PRINTF(2, 3) void host_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

/* ---- The slave's side ---- */

static struct fake_action choose(void *ctx, const struct fake_request *request)
{
    struct line *line = ctx;
    struct fake_action action = {.fault = FAKE_GOOD};

    pthread_mutex_lock(&line->lock);
    if (line->n_actions > 0) {
        action = line->actions[0];
        memmove(line->actions, line->actions + 1, --line->n_actions * sizeof action);
    }
    pthread_mutex_unlock(&line->lock);
    (void)request;
    return action;
}

static uint16_t value(void *ctx, uint8_t unit, uint8_t function, uint16_t address)
{
    (void)ctx;
    return function <= 2 ? address % 3 == 0 : (uint16_t)(unit << 8 | (address & 0xFF));
}

static bool write_value(void *ctx, uint8_t unit, uint8_t function, uint16_t address, uint16_t to)
{
    struct line *line = ctx;

    (void)unit;
    (void)function;
    atomic_store(&line->written, to);
    return address != 666;
}

static void next_is(struct line *line, enum fake_fault fault, int64_t delay_us)
{
    pthread_mutex_lock(&line->lock);
    line->actions[line->n_actions++] =
        (struct fake_action){.fault = fault, .delay_us = delay_us, .exception = 2};
    pthread_mutex_unlock(&line->lock);
}

/* ---- The driver's side ---- */

static enum gw_err open_wire(struct line *line)
{
    memset(&line->diag, 0, sizeof line->diag);
    return modbus_wire_open(line->wire, &line->conf, &line->host, now_us() + SLACK_US, &line->diag);
}

static struct line *start(enum fake_transport transport)
{
    struct line *line = calloc(1, sizeof *line);
    struct fake_script script = {
        .ctx = line, .choose = choose, .value = value, .write = write_value};

    signal(SIGPIPE, SIG_DFL); /* nothing may need it ignored */
    assert_non_null(line);
    pthread_mutex_init(&line->lock, NULL);
    line->fake = fake_modbus_start(transport, &script);
    line->wire = calloc(1, modbus_wire_size());
    line->host = (struct gw_host){.now_us = host_now_us, .debug = host_debug, .wake_fd = -1};
    line->conf = (struct modbus_bus_conf){
        .transport = transport == FAKE_RTU   ? MODBUS_RTU
                     : transport == FAKE_TCP ? MODBUS_TCP
                                             : MODBUS_RTU_OVER_TCP,
        .port = fake_modbus_port(line->fake),
        .host = "127.0.0.1",
        .tcp_port = fake_modbus_tcp_port(line->fake),
        .baud = 115200,
        .data_bits = 8,
        .parity = MODBUS_PARITY_NONE,
        .stop_bits = 1,
    };
    return line;
}

static int set_up_rtu(void **state)
{
    *state = start(FAKE_RTU);
    return open_wire(*state) == GW_OK ? 0 : -1;
}

static int set_up_tcp(void **state)
{
    *state = start(FAKE_TCP);
    return open_wire(*state) == GW_OK ? 0 : -1;
}

static int set_up_rtu_over_tcp(void **state)
{
    *state = start(FAKE_RTU_OVER_TCP);
    return open_wire(*state) == GW_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct line *line = *state;

    modbus_wire_close(line->wire);
    modbus_wire_close(line->wire);
    fake_modbus_stop(line->fake);
    free(line->wire);
    free(line);
    return 0;
}

static enum gw_err exchange(struct line *line, uint8_t unit, const uint8_t *pdu, size_t len,
                            struct modbus_exchange *ret_exchange, size_t reply_len, int64_t us)
{
    memset(&line->outcome, 0, sizeof line->outcome);
    *ret_exchange = (struct modbus_exchange){
        .unit = unit, .request = pdu, .request_len = len, .reply_len = reply_len};
    line->asked_us = now_us();
    return modbus_wire_exchange(line->wire, ret_exchange, line->asked_us + us, &line->outcome);
}

/* Reads registers; the values must be those of the unit and the addresses whenever it says OK. */
static enum gw_err read_within(struct line *line, uint8_t unit, uint16_t first, uint16_t count,
                               int64_t timeout_us)
{
    const uint8_t pdu[] = {3, (uint8_t)(first >> 8), (uint8_t)first, 0, (uint8_t)count};
    struct modbus_exchange ex;

    line->exception = 0;
    enum gw_err err = exchange(line, unit, pdu, sizeof pdu, &ex, 2u + 2u * count, timeout_us);
    if (err)
        return err;
    if (ex.reply[0] & 0x80) {
        assert_int_equal(ex.ret_reply_len, 2);
        line->exception = ex.reply[1];
        return GW_E_REFUSED;
    }
    assert_int_equal(ex.ret_reply_len, 2 + 2 * count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(word(ex.reply + 2 + 2 * i), unit << 8 | ((first + (int)i) & 0xFF));
    return GW_OK;
}

static enum gw_err read_once(struct line *line, uint8_t unit, uint16_t first)
{
    return read_within(line, unit, first, 4, TIMEOUT_US);
}

/* Asks with an answer that is later than the timeout. On a busy machine it may be there all the same when the wire looks
 * for it, and is right then: asked again. */
static void read_too_late(struct line *line, uint8_t unit, uint16_t first, int64_t lateness_us)
{
    enum gw_err err = GW_OK;

    for (int n_tries = 0; err == GW_OK && n_tries < 20; n_tries++) {
        next_is(line, FAKE_LATE, lateness_us);
        err = read_once(line, unit, first);
    }
    assert_int_equal(err, GW_E_TIMEOUT);
}

/* After read_too_late: a busy machine may have let the time of doubt pass meanwhile, then nothing is refused any more. */
static void assert_in_doubt(struct line *line, uint8_t unit, uint16_t first)
{
    const int64_t until_us = line->asked_us + TIMEOUT_US + line->outcome.hold_us;
    enum gw_err err = read_within(line, unit, first, 4, SLACK_US);

    if (err == GW_OK) {
        assert_true(now_us() >= until_us);
        return;
    }
    assert_int_equal(err, GW_E_BUSY);
    assert_string_equal(line->outcome.reason, "unconfirmed");
}

/* Asks until the wire is willing again, as the core does. */
static void read_until_good(struct line *line, uint8_t unit, uint16_t first)
{
    int64_t give_up_us = now_us() + 10 * SLACK_US;
    enum gw_err err;

    do {
        err = read_within(line, unit, first, 4, SLACK_US);
        struct pollfd none = {.fd = -1};
        if (err == GW_E_BUSY)
            poll(&none, 1, (int)(line->outcome.hold_us / 1000) + 1);
    } while (err == GW_E_BUSY && now_us() < give_up_us);
    assert_int_equal(err, GW_OK);
}

/* ---- Every transport ---- */

static void a_read_gives_the_values_of_the_slave(void **state)
{
    struct line *line = *state;

    for (uint16_t first = 0; first < 20; first++)
        assert_int_equal(read_within(line, 7, first, (uint16_t)(1 + first * 6), SLACK_US), GW_OK);
    assert_true(line->outcome.acquired_us > 0);
    assert_int_equal(line->outcome.hold_us, 0);
}

static void silence_is_a_timeout_soon_after_the_deadline(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_SILENCE, 0);
    int64_t begin_us = now_us();
    assert_int_equal(read_once(line, 7, 0), GW_E_TIMEOUT);
    assert_in_range(now_us() - begin_us, TIMEOUT_US, TIMEOUT_US + SLACK_US);
    read_until_good(line, 7, 4);
}

static void a_slave_that_sends_a_byte_now_and_then_cannot_stretch_the_deadline(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_TRICKLE, 30000); /* 105 bytes or more: 3 s */
    int64_t begin_us = now_us();
    enum gw_err err = read_within(line, 7, 0, 50, 120000);
    assert_true(err == GW_E_TIMEOUT ||
                err == GW_E_PROTO); /* a pause of a busy machine ends a frame */
    assert_true(now_us() - begin_us < 2500000);
    read_until_good(line, 7, 4);
}

static void an_answer_in_two_parts_is_an_answer(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_SPLIT, 10000);
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
}

static void an_exception_is_handed_up(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_EXCEPTION, 0);
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_E_REFUSED);
    assert_int_equal(line->exception, 2);
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US),
                     GW_OK); /* at once: nothing is in doubt */
}

static void spoiled_answers_are_errors_and_the_next_one_is_clean(void **state)
{
    static const enum fake_fault faults[] = {
        FAKE_BAD_CRC, FAKE_WRONG_UNIT, FAKE_WRONG_FUNCTION, FAKE_WRONG_LENGTH,     FAKE_TRUNCATED,
        FAKE_GARBAGE, FAKE_ECHO,       FAKE_OVERLONG,       FAKE_WRONG_TRANSACTION};
    struct line *line = *state;

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        bool is_harmless = line->conf.transport == MODBUS_TCP ? faults[i] == FAKE_BAD_CRC
                                                              : faults[i] == FAKE_WRONG_TRANSACTION;
        if (is_harmless)
            continue;
        print_message("  fault %d\n", faults[i]);
        next_is(line, faults[i], 0);
        enum gw_err err = read_once(line, 7, (uint16_t)i);
        assert_true(err == GW_E_PROTO || err == GW_E_TIMEOUT);
        read_until_good(line, 7, (uint16_t)(i + 40));
    }
}

static void a_write_is_confirmed_or_refused(void **state)
{
    struct line *line = *state;
    struct modbus_exchange ex;
    const uint8_t good[] = {6, 0, 1, 0x01, 0xF4}, bad[] = {6, 666 >> 8, 666 & 0xFF, 0, 1};

    assert_int_equal(exchange(line, 7, good, sizeof good, &ex, 5, SLACK_US), GW_OK);
    assert_int_equal(ex.ret_reply_len, 5);
    assert_memory_equal(ex.reply, good, 5);
    assert_int_equal(atomic_load(&line->written), 500);

    assert_int_equal(exchange(line, 7, bad, sizeof bad, &ex, 5, SLACK_US), GW_OK);
    assert_int_equal(ex.reply[0], 0x86);
}

static void a_link_that_drops_in_a_frame_is_a_link_error_and_can_be_opened_again(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_DROP_IN_FRAME, 0);
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_E_LINK);
    assert_int_equal(read_once(line, 7, 0), GW_E_CLOSED);
    int64_t give_up_us = now_us() + SLACK_US;
    while (open_wire(line) != GW_OK && now_us() < give_up_us)
        sched_yield(); /* the port comes back when it likes */
    read_until_good(line, 7, 0);
}

static void a_wake_ends_the_wait_at_once(void **state)
{
    struct line *line = *state;

    line->host.wake_fd = eventfd(1, EFD_CLOEXEC);
    int64_t begin_us = now_us();
    assert_int_equal(read_within(line, 7, 0, 4, 5 * SLACK_US), GW_E_CLOSED);
    assert_true(now_us() - begin_us < SLACK_US);
    close(line->host.wake_fd);
    line->host.wake_fd = -1;
}

static void pauses_asked_for_are_kept(void **state)
{
    struct line *line = *state;

    line->conf.request_delay_us = 40000;
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    int64_t begin_us = now_us();
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    assert_true(now_us() - begin_us >= 39000);

    line->conf.request_delay_us = 0;
    line->conf.unit_change_delay_us = 80000;
    begin_us = now_us();
    assert_int_equal(read_within(line, 8, 0, 4, SLACK_US), GW_OK);
    assert_true(now_us() - begin_us >= 79000);
    int64_t fastest_us = SLACK_US;
    for (int i = 0; i < 20;
         i++) { /* the same unit: without a pause, when the machine is not busy */
        begin_us = now_us();
        assert_int_equal(read_within(line, 8, 0, 4, SLACK_US), GW_OK);
        fastest_us = now_us() - begin_us < fastest_us ? now_us() - begin_us : fastest_us;
    }
    assert_true(fastest_us < 79000);
}

static void a_pause_longer_than_the_deadline_is_a_timeout_without_a_request(void **state)
{
    struct line *line = *state;

    line->conf.request_delay_us = SLACK_US;
    uint64_t n_before = fake_modbus_n_requests(line->fake);
    assert_int_equal(read_once(line, 7, 0), GW_E_TIMEOUT);
    assert_int_equal(line->outcome.hold_us, 0);
    assert_int_equal(fake_modbus_n_requests(line->fake), n_before);
}

/* ---- RTU, with and without TCP below ---- */

static void a_late_answer_never_meets_the_next_question(void **state)
{
    struct line *line = *state;

    for (int64_t lateness = 70; lateness <= 180;
         lateness += 22) { /* percent of the timeout: 116-300 */
        read_too_late(line, 7, 0, lateness * 1000);
        assert_in_range(line->outcome.hold_us, 100000, 300000);
        assert_in_doubt(line, 7, 4);
        read_until_good(line, 7, 8);
    }
}

static void while_a_unit_is_in_doubt_its_neighbours_are_read(void **state)
{
    struct line *line = *state;

    read_too_late(line, 7, 0, 90000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(read_within(line, 8, 0, 4, SLACK_US), GW_OK);
    read_until_good(line, 7, 8);
}

static void a_late_answer_that_came_while_nobody_listened_is_dropped(void **state)
{
    struct line *line = *state;
    struct pollfd none = {.fd = -1};

    read_too_late(line, 7, 0, 90000);
    poll(&none, 1, (int)(line->outcome.hold_us / 1000) + 10);
    assert_int_equal(read_within(line, 7, 4, 4, SLACK_US), GW_OK);
}

static void doubt_survives_opening_again(void **state)
{
    struct line *line = *state;

    read_too_late(line, 7, 0, 120000);
    modbus_wire_close(line->wire);
    assert_int_equal(open_wire(line), GW_OK);
    assert_in_doubt(line, 7, 4);
    read_until_good(line, 7, 8);
}

static void noise_around_the_answer_does_no_harm(void **state)
{
    static const enum fake_fault faults[] = {FAKE_TRAILING, FAKE_GARBAGE_PREFIX,
                                             FAKE_ECHO_AND_ANSWER};
    struct line *line = *state;

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        next_is(line, faults[i], 0);
        assert_int_equal(read_within(line, 7, (uint16_t)i, 4, SLACK_US), GW_OK);
        assert_int_equal(read_within(line, 7, (uint16_t)(i + 40), 4, SLACK_US), GW_OK);
    }
}

static void a_damaged_answer_is_asked_for_again_at_once(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_BAD_CRC, 0);
    int64_t begin_us = now_us();
    assert_int_equal(read_within(line, 7, 0, 4, 5 * SLACK_US), GW_E_PROTO);
    assert_string_equal(line->outcome.reason, "bad_crc");
    assert_true(now_us() - begin_us < 4 * SLACK_US); /* not at the deadline */
    assert_int_equal(line->outcome.hold_us, 0);
    assert_int_equal(read_within(line, 7, 4, 4, SLACK_US), GW_OK);
}

static void what_was_wrong_with_an_answer_is_told(void **state)
{
    static const struct {
        enum fake_fault fault;
        const char *reason;
    } rows[] = {{FAKE_WRONG_UNIT, "wrong_unit"},
                {FAKE_WRONG_FUNCTION, "wrong_function"},
                {FAKE_WRONG_LENGTH, "wrong_length"},
                {FAKE_OVERLONG, "bad_crc"}};
    struct line *line = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum gw_err err = GW_E_TIMEOUT;
        for (int n_tries = 0; err == GW_E_TIMEOUT && n_tries < 20; n_tries++) {
            read_until_good(line, 7, 4);
            next_is(line, rows[i].fault, 0); /* which a busy machine may make too late */
            err = read_within(line, 7, 0, 4, 200000);
        }
        assert_int_equal(err, GW_E_PROTO);
        assert_string_equal(line->outcome.reason, rows[i].reason);
        assert_true(line->outcome.hold_us > 0);
        read_until_good(line, 7, 4);
    }
}

static void the_echo_of_a_write_is_no_confirmation_on_a_line_that_echoes(void **state)
{
    struct line *line = *state;
    struct modbus_exchange ex;
    const uint8_t write[] = {6, 0, 1, 0x01, 0xF4};

    next_is(line, FAKE_ECHO_AND_ANSWER, 0);
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    next_is(line, FAKE_ECHO, 0);
    assert_int_not_equal(exchange(line, 7, write, sizeof write, &ex, 5, TIMEOUT_US), GW_OK);

    read_until_good(line, 8, 0);
    next_is(line, FAKE_ECHO_AND_ANSWER, 0);
    assert_int_equal(read_within(line, 8, 0, 4, SLACK_US), GW_OK);
    next_is(line, FAKE_ECHO_AND_ANSWER, 0);
    assert_int_equal(exchange(line, 8, write, sizeof write, &ex, 5, SLACK_US), GW_OK);
}

static void units_above_247_are_served(void **state)
{
    struct line *line = *state;

    assert_int_equal(read_within(line, 248, 0, 4, SLACK_US), GW_OK);
    assert_int_equal(read_within(line, 255, 0, 4, SLACK_US), GW_OK);
}

static void broadcast_is_refused(void **state)
{
    struct line *line = *state;

    assert_int_equal(read_once(line, 0, 0), GW_E_REFUSED);
    assert_string_equal(line->outcome.reason, "broadcast");
    assert_int_equal(fake_modbus_n_requests(line->fake), 0);
}

static void bits_are_read_too(void **state)
{
    struct line *line = *state;
    struct modbus_exchange ex;
    const uint8_t pdu[] = {1, 3, 0, 0, 0x18}; /* its echo has the shape of the reply */

    next_is(line, FAKE_ECHO_AND_ANSWER, 0);
    assert_int_equal(exchange(line, 7, pdu, sizeof pdu, &ex, 5, SLACK_US), GW_OK);
    const uint8_t wanted[] = {1, 3, 0x49, 0x92, 0x24}; /* every third, from 0x300 = 3 x 256 on */
    assert_memory_equal(ex.reply, wanted, sizeof wanted);
}

/* ---- TCP ---- */

static void after_a_timeout_the_next_exchange_connects_again(void **state)
{
    struct line *line = *state;

    read_too_late(line, 7, 0, 100000);
    assert_int_equal(line->outcome.hold_us, 0);
    assert_int_equal(read_within(line, 7, 4, 4, SLACK_US), GW_OK);
    assert_int_equal(fake_modbus_n_connections(line->fake), 2);
}

static void a_stale_answer_before_the_right_one_is_an_error(void **state)
{
    struct line *line = *state;

    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    next_is(line, FAKE_OUT_OF_ORDER, 0);
    assert_int_equal(read_within(line, 7, 4, 4, SLACK_US), GW_E_PROTO);
    assert_string_equal(line->outcome.reason, "wrong_transaction");
    assert_int_equal(read_within(line, 7, 8, 4, SLACK_US), GW_OK);
}

static void what_was_wrong_with_a_tcp_answer_is_told(void **state)
{
    static const struct {
        enum fake_fault fault;
        const char *reason;
    } rows[] = {{FAKE_WRONG_UNIT, "wrong_unit"},
                {FAKE_WRONG_FUNCTION, "wrong_function"},
                {FAKE_WRONG_LENGTH, "wrong_length"},
                {FAKE_WRONG_TRANSACTION, "wrong_transaction"}};
    struct line *line = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        next_is(line, rows[i].fault, 0);
        assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_E_PROTO);
        assert_string_equal(line->outcome.reason, rows[i].reason);
    }
}

static void a_server_that_closes_idle_connections_is_connected_again(void **state)
{
    struct line *line = *state;

    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    /* Another client takes the only place of the slave, which closes ours. */
    struct line other = *line;
    other.wire = calloc(1, modbus_wire_size());
    assert_int_equal(open_wire(&other), GW_OK);
    assert_int_equal(read_within(&other, 7, 0, 4, SLACK_US), GW_OK);
    assert_int_equal(read_within(line, 7, 4, 4, SLACK_US), GW_OK);
    modbus_wire_close(other.wire);
    free(other.wire);
}

static void unit_0_is_a_unit(void **state)
{
    assert_int_equal(read_within(*state, 0, 0, 4, SLACK_US), GW_OK);
}

static void when_the_server_is_gone_the_link_is(void **state)
{
    struct line *line = *state;

    next_is(line, FAKE_SILENCE, 0);
    assert_int_equal(read_once(line, 7, 0), GW_E_TIMEOUT);
    line->conf.tcp_port = 1; /* nobody listens there */
    assert_int_equal(read_once(line, 7, 0), GW_E_LINK);
    assert_int_equal(read_once(line, 7, 0), GW_E_CLOSED);
}

/* ---- Opening ---- */

static void open_fails_with(struct line *line, enum gw_err err, const char *key, const char *part)
{
    assert_int_equal(open_wire(line), err);
    assert_string_equal(line->diag.key, key);
    if (!strstr(line->diag.text, part))
        fail_msg("\"%s\" does not say \"%s\"", line->diag.text, part);
    modbus_wire_close(line->wire);
}

static void a_port_that_cannot_be_opened_is_told_why(void **state)
{
    struct line *line = *state;
    char file[100];

    modbus_wire_close(line->wire);
    line->conf.port = "/nonexistent/tty";
    open_fails_with(line, GW_E_LINK, "port", "port /nonexistent/tty does not exist");
    line->conf.port = "/dev/null";
    open_fails_with(line, GW_E_LINK, "port", "port /dev/null is not a serial port");
    line->conf.port = "/tmp";
    open_fails_with(line, GW_E_LINK, "port", "port /tmp is not a serial port");
    snprintf(file, sizeof file, "%s/file", line->fake->dir);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    line->conf.port = file;
    open_fails_with(line, GW_E_LINK, "port", "is not a serial port");
    chmod(file, 0);
    if (geteuid() != 0)
        open_fails_with(line, GW_E_LINK, "port", "permission denied; it belongs to group");
    unlink(file);
}

static void a_port_in_use_is_left_alone(void **state)
{
    struct line *line = *state;
    struct termios before, after;

    modbus_wire_close(line->wire);
    int fd = open(fake_modbus_port(line->fake), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(tcgetattr(fd, &before), 0);
    cfsetspeed(&before, B1200);
    assert_int_equal(tcsetattr(fd, TCSANOW, &before), 0);
    open_fails_with(line, GW_E_LINK, "port", "is in use by another program");
    assert_int_equal(tcgetattr(fd, &after), 0);
    assert_int_equal(cfgetospeed(&after), B1200);
    close(fd);

    assert_int_equal(open_wire(line), GW_OK);
    fd = open(fake_modbus_port(line->fake), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0);
    if (fd >= 0)
        close(fd);
}

static void any_baud_rate_is_set_as_asked(void **state)
{
    static const int64_t rates[] = {1200, 9600, 19200, 115200, 250000, 31250};
    struct line *line = *state;

    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        line->conf.baud = rates[i];
        assert_int_equal(open_wire(line), GW_OK);
        assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    }
}

static void a_pty_has_no_rs485_mode(void **state)
{
    struct line *line = *state;

    modbus_wire_close(line->wire);
    line->conf.rs485 = MODBUS_RS485_KERNEL;
    open_fails_with(line, GW_E_LINK, "port", "has no RS-485 mode");
    line->conf.rs485 = MODBUS_RS485_RTS_UP;
    open_fails_with(line, GW_E_LINK, "port", "has no RTS line");
}

static void a_host_that_cannot_be_reached_is_told_why(void **state)
{
    struct line *line = *state;

    modbus_wire_close(line->wire);
    line->conf.tcp_port = 1;
    open_fails_with(line, GW_E_LINK, "host", "host 127.0.0.1 refuses connections to port 1");
    line->conf.host = "no-such-host.invalid";
    open_fails_with(line, GW_E_LINK, "host", "host no-such-host.invalid is unknown");
}

static void too_high_a_descriptor_is_refused_in_words(void **state)
{
    struct line *line = *state;
    struct rlimit limit;

    modbus_wire_close(line->wire);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 1100)
        skip();
    struct rlimit high = {.rlim_cur = 1100, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &high), 0);
    int fds[1024], n = 0;
    while (n < 1024 && (n == 0 || fds[n - 1] < 1023))
        fds[n++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    open_fails_with(line, GW_E_LINK, "host", "too many open files");
    while (n > 0)
        close(fds[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static size_t count_fds(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void opening_and_closing_leaks_nothing(void **state)
{
    struct line *line = *state;

    modbus_wire_close(line->wire);
    size_t n_before = count_fds();
    for (int i = 0; i < 20; i++) {
        assert_int_equal(open_wire(line), GW_OK);
        modbus_wire_close(line->wire);
    }
    struct modbus_bus_conf good = line->conf;
    line->conf.port = "/dev/null";
    line->conf.tcp_port = 1;
    for (int i = 0; i < 20; i++)
        assert_int_not_equal(open_wire(line), GW_OK);
    line->conf = good;
    assert_int_equal(open_wire(line), GW_OK);
    assert_int_equal(read_within(line, 7, 0, 4, SLACK_US), GW_OK);
    modbus_wire_close(line->wire);
    /* The slave notices by itself that its peer has gone. */
    int64_t give_up_us = now_us() + SLACK_US;
    while (count_fds() > n_before && now_us() < give_up_us)
        sched_yield();
    assert_true(count_fds() <= n_before);
}

static void a_wire_that_was_never_opened_is_closed(void **state)
{
    struct line *line = *state;

    modbus_wire_close(line->wire);
    memset(line->wire, 0, modbus_wire_size());
    modbus_wire_close(line->wire);
    assert_int_equal(read_once(line, 7, 0), GW_E_CLOSED);
}

#define ON(test, setup)                                                                            \
    {                                                                                              \
#test " (" #setup ")", test, setup, tear_down, NULL                                        \
    }
#define ON_RTUS(test) ON(test, set_up_rtu), ON(test, set_up_rtu_over_tcp)
#define ON_ALL(test)  ON_RTUS(test), ON(test, set_up_tcp)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(a_read_gives_the_values_of_the_slave),
        ON_ALL(silence_is_a_timeout_soon_after_the_deadline),
        ON_ALL(a_slave_that_sends_a_byte_now_and_then_cannot_stretch_the_deadline),
        ON_ALL(an_answer_in_two_parts_is_an_answer),
        ON_ALL(an_exception_is_handed_up),
        ON_ALL(spoiled_answers_are_errors_and_the_next_one_is_clean),
        ON_ALL(a_write_is_confirmed_or_refused),
        ON_ALL(a_link_that_drops_in_a_frame_is_a_link_error_and_can_be_opened_again),
        ON_ALL(a_wake_ends_the_wait_at_once),
        ON_ALL(pauses_asked_for_are_kept),
        ON_ALL(a_pause_longer_than_the_deadline_is_a_timeout_without_a_request),
        ON_ALL(opening_and_closing_leaks_nothing),
        ON_ALL(a_wire_that_was_never_opened_is_closed),
        ON_RTUS(a_late_answer_never_meets_the_next_question),
        ON_RTUS(while_a_unit_is_in_doubt_its_neighbours_are_read),
        ON_RTUS(a_late_answer_that_came_while_nobody_listened_is_dropped),
        ON_RTUS(doubt_survives_opening_again),
        ON_RTUS(noise_around_the_answer_does_no_harm),
        ON_RTUS(a_damaged_answer_is_asked_for_again_at_once),
        ON_RTUS(what_was_wrong_with_an_answer_is_told),
        ON_RTUS(the_echo_of_a_write_is_no_confirmation_on_a_line_that_echoes),
        ON_RTUS(units_above_247_are_served),
        ON_RTUS(broadcast_is_refused),
        ON_RTUS(bits_are_read_too),
        ON(after_a_timeout_the_next_exchange_connects_again, set_up_tcp),
        ON(a_stale_answer_before_the_right_one_is_an_error, set_up_tcp),
        ON(what_was_wrong_with_a_tcp_answer_is_told, set_up_tcp),
        ON(a_server_that_closes_idle_connections_is_connected_again, set_up_tcp),
        ON(unit_0_is_a_unit, set_up_tcp),
        ON(when_the_server_is_gone_the_link_is, set_up_tcp),
        ON(a_port_that_cannot_be_opened_is_told_why, set_up_rtu),
        ON(a_port_in_use_is_left_alone, set_up_rtu),
        ON(any_baud_rate_is_set_as_asked, set_up_rtu),
        ON(a_pty_has_no_rs485_mode, set_up_rtu),
        ON(a_host_that_cannot_be_reached_is_told_why, set_up_tcp),
        ON(too_high_a_descriptor_is_refused_in_words, set_up_tcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
