/* 10,000 polls with 20 % mixed faults: not one wrong value, and good ones again after the last fault.
 * Every register says which unit and address it belongs to and at which poll it was read. FIELD2MQTT_SEED repeats a run,
 * FIELD2MQTT_POLLS makes it longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drivers/modbus/wire.h"
#include "tests/fake/fake_modbus.c" /* unit tests are linked with the driver only */

enum { N_UNITS = 16, FAULT_PERCENT = 20, STALL_US = 20000 };

struct trial {
    _Atomic int64_t timeout_us;
    uint64_t random;    /* the slave's thread only, while it runs */
    atomic_int percent; /* of faults */
    atomic_uint poll;   /* number of the poll under way */
    _Atomic int64_t
        asked_us[256]; /* by the low byte of the poll, which stands in the address too */
    const enum fake_fault *faults;
    size_t n_faults;
    uint64_t n_of[FAKE_N_FAULTS];
};

/* What may happen on a line, and on a connection. */
static const enum fake_fault line_faults[] = {
    FAKE_SILENCE,    FAKE_LATE,           FAKE_LATE,         FAKE_EXCEPTION,       FAKE_BAD_CRC,
    FAKE_WRONG_UNIT, FAKE_WRONG_FUNCTION, FAKE_WRONG_LENGTH, FAKE_TRUNCATED,       FAKE_TRAILING,
    FAKE_GARBAGE,    FAKE_GARBAGE_PREFIX, FAKE_ECHO,         FAKE_ECHO_AND_ANSWER, FAKE_SPLIT};
static const enum fake_fault tcp_faults[] = {
    FAKE_SILENCE,        FAKE_LATE,         FAKE_LATE,      FAKE_EXCEPTION, FAKE_WRONG_UNIT,
    FAKE_WRONG_FUNCTION, FAKE_WRONG_LENGTH, FAKE_TRUNCATED, FAKE_TRAILING,  FAKE_GARBAGE,
    FAKE_GARBAGE_PREFIX, FAKE_ECHO,         FAKE_SPLIT,     FAKE_OVERLONG,  FAKE_WRONG_TRANSACTION,
    FAKE_OUT_OF_ORDER,   FAKE_DROP_IN_FRAME};

static uint64_t draw(uint64_t *random, uint64_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % below;
}

static struct fake_action choose(void *ctx, const struct fake_request *request)
{
    struct trial *trial = ctx;
    struct fake_action action = {.fault = FAKE_GOOD};

    /* Read so late by a busy machine that an answer could be later than the script says: there is none. */
    if (now_us() - atomic_load(&trial->asked_us[request->pdu[1]]) > STALL_US)
        return (struct fake_action){.fault = FAKE_SILENCE};
    if (draw(&trial->random, 100) >= (uint64_t)atomic_load(&trial->percent))
        return action;
    action.fault = trial->faults[draw(&trial->random, trial->n_faults)];
    action.exception = (uint8_t)(1 + draw(&trial->random, 11));
    /* Late by one to three timeouts; the second half of a split answer comes before or after the deadline. */
    uint64_t timeout_us = (uint64_t)trial->timeout_us;
    action.delay_us =
        (int64_t)(action.fault == FAKE_LATE ? timeout_us + draw(&trial->random, 2 * timeout_us)
                                            : draw(&trial->random, 2 * timeout_us));
    trial->n_of[action.fault]++;
    return action;
}

static uint16_t value(void *ctx, uint8_t unit, uint8_t function, uint16_t address)
{
    struct trial *trial = ctx;

    (void)function;
    unsigned poll = atomic_load(&trial->poll);
    return (uint16_t)(address % 2 ? poll : (unsigned)unit << 8 | (address & 0xFF));
}

/* ---- The driver's side ---- */

struct count {
    size_t n_good, n_wrong, n_refused, n_failed, n_links;
};

struct master {
    struct modbus_wire *wire;
    struct modbus_bus_conf conf;
    struct gw_host host;
    int64_t hold_until_us[N_UNITS + 1];
    struct count count;
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

static void open_wire(struct master *master)
{
    struct gw_driver_diag diag;
    enum gw_err err =
        modbus_wire_open(master->wire, &master->conf, &master->host, now_us() + 5000000, &diag);

    if (err)
        fail_msg("%s", diag.text);
}

static bool is_right(const struct modbus_exchange *ex, uint16_t first, uint16_t count,
                     unsigned poll)
{
    for (uint16_t i = 0; i < count; i += 2)
        if (word(ex->reply + 2 + 2 * i) != (ex->unit << 8 | ((first + i) & 0xFF)) ||
            word(ex->reply + 4 + 2 * i) != (uint16_t)poll)
            return false;
    return true;
}

/* One poll. Reads of the same length at different addresses follow each other on purpose. */
static enum gw_err poll_unit(struct trial *trial, struct master *master, uint8_t unit,
                             uint16_t first, uint16_t count)
{
    unsigned poll = atomic_fetch_add(&trial->poll, 1) + 1;
    const uint8_t pdu[] = {3, (uint8_t)poll, (uint8_t)first, 0, (uint8_t)count};
    struct modbus_exchange ex = {
        .unit = unit, .request = pdu, .request_len = sizeof pdu, .reply_len = 2u + 2u * count};
    struct gw_outcome outcome = {0};

    atomic_store(&trial->asked_us[(uint8_t)poll], now_us());
    enum gw_err err =
        modbus_wire_exchange(master->wire, &ex, now_us() + trial->timeout_us, &outcome);
    master->hold_until_us[unit] = outcome.hold_us > 0 ? now_us() + outcome.hold_us : 0;
    if (err == GW_OK && ex.reply[0] & 0x80)
        master->count.n_refused++;
    else if (err == GW_OK && is_right(&ex, first, count, poll))
        master->count.n_good++;
    else if (err == GW_OK)
        master->count.n_wrong++;
    else if (err != GW_E_BUSY)
        master->count.n_failed++;
    if (err == GW_E_LINK) {
        master->count.n_links++;
        open_wire(master);
    }
    return err;
}

/* Waits for the unit that may be asked next, as the core would. */
static uint8_t pick_unit(const struct master *master, uint8_t last)
{
    while (true) {
        int64_t now = now_us(), soonest_us = INT64_MAX;

        for (uint8_t i = 1; i <= N_UNITS; i++) {
            uint8_t unit = (uint8_t)((last + i - 1) % N_UNITS + 1);
            if (master->hold_until_us[unit] <= now)
                return unit;
            if (master->hold_until_us[unit] < soonest_us)
                soonest_us = master->hold_until_us[unit];
        }
        struct pollfd none = {.fd = -1};
        poll(&none, 1, (int)((soonest_us - now) / 1000 + 1));
    }
}

static void poll_all(struct trial *trial, struct master *master, size_t n_polls, uint64_t random)
{
    uint8_t unit = 0;
    enum gw_err err = GW_OK;

    for (size_t n = 0; n < n_polls;) {
        /* Most of the time the same unit at once, even when told to wait: that is where late answers hurt. */
        if (unit == 0 || err == GW_E_BUSY || draw(&random, 4) == 0)
            unit = pick_unit(master, unit);
        uint16_t first = (uint16_t)(2 * draw(&random, 100));
        uint16_t count = draw(&random, 8) == 0 ? 6 : 2;
        err = poll_unit(trial, master, unit, first, count);
        n += err != GW_E_BUSY;
    }
}

static void all_units_answer_again(struct trial *trial, struct master *master)
{
    atomic_store(&trial->percent, 0);
    trial->timeout_us = 1000000;
    for (uint8_t unit = 1; unit <= N_UNITS; unit++) {
        int64_t give_up_us = now_us() + 10000000;
        enum gw_err err;

        do {
            struct pollfd none = {.fd = -1};
            int64_t left_us = master->hold_until_us[unit] - now_us();
            poll(&none, 1, left_us > 0 ? (int)(left_us / 1000) + 1 : 0);
            err = poll_unit(trial, master, unit, 10, 2);
        } while (err && now_us() < give_up_us);
        assert_int_equal(err, GW_OK);
    }
}

static uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void run_trial(enum fake_transport transport, int driver_transport, size_t n_polls,
                      int64_t timeout_us)
{
    bool is_tcp = transport == FAKE_TCP;

    n_polls = (size_t)number_from_environment("FIELD2MQTT_POLLS", n_polls);
    struct trial trial = {
        .timeout_us = timeout_us,
        .random = number_from_environment("FIELD2MQTT_SEED", (uint64_t)now_us() | 1),
        .faults = is_tcp ? tcp_faults : line_faults,
        .n_faults = is_tcp ? sizeof tcp_faults / sizeof tcp_faults[0]
                           : sizeof line_faults / sizeof line_faults[0],
    };
    struct fake_script script = {
        .ctx = &trial, .choose = choose, .value = value, .stall_us = STALL_US};

    print_message("seed %llu\n", (unsigned long long)trial.random);
    atomic_store(&trial.percent, FAULT_PERCENT);
    uint64_t random = trial.random * 2 + 1; /* drawn from in this thread; the slave has its own */
    struct fake_modbus *fake = fake_modbus_start(transport, &script);
    struct master master = {
        .wire = calloc(1, modbus_wire_size()),
        .host = {.now_us = host_now_us, .debug = host_debug, .wake_fd = -1},
        .conf = {.transport = driver_transport,
                 .port = fake_modbus_port(fake),
                 .host = "127.0.0.1",
                 .tcp_port = fake_modbus_tcp_port(fake),
                 .baud = 115200,
                 .data_bits = 8,
                 .parity = MODBUS_PARITY_NONE,
                 .stop_bits = 1},
    };

    open_wire(&master);
    poll_all(&trial, &master, n_polls, random);
    struct count count = master.count;
    all_units_answer_again(&trial, &master);
    modbus_wire_close(master.wire);
    fake_modbus_stop(fake);
    free(master.wire);

    print_message("%zu good, %zu refused, %zu failed (%zu links), %zu wrong\n", count.n_good,
                  count.n_refused, count.n_failed, count.n_links, count.n_wrong);
    assert_int_equal(master.count.n_wrong, 0);
    /* 80 % are undisturbed, and several faults do no harm; a busy machine makes timeouts of its own. */
    assert_true(count.n_good > n_polls / 2);
    for (size_t i = 0; i < trial.n_faults; i++)
        assert_true(trial.n_of[trial.faults[i]] > 0);
}

static void a_line_with_faults_gives_no_wrong_value(void **state)
{
    (void)state;
    run_trial(FAKE_RTU, MODBUS_RTU, 10000, 20000);
}

static void a_device_server_with_faults_gives_no_wrong_value(void **state)
{
    (void)state;
    run_trial(FAKE_RTU_OVER_TCP, MODBUS_RTU_OVER_TCP, 10000, 20000);
}

static void a_connection_with_faults_gives_no_wrong_value(void **state)
{
    (void)state;
    run_trial(FAKE_TCP, MODBUS_TCP, 10000, 20000);
}

static void answers_later_than_the_shortest_hold_give_no_wrong_value(void **state)
{
    (void)state;
    run_trial(FAKE_RTU, MODBUS_RTU, 1000, 150000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_with_faults_gives_no_wrong_value),
        cmocka_unit_test(a_device_server_with_faults_gives_no_wrong_value),
        cmocka_unit_test(a_connection_with_faults_gives_no_wrong_value),
        cmocka_unit_test(answers_later_than_the_shortest_hold_give_no_wrong_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
