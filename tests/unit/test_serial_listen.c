/* Instruments that have to be told to talk: on_open again after silence, on a pty, by a clock that is moved by hand. */
#include <fcntl.h>
#include <poll.h>
#include <termios.h>

#include "drivers/serial/driver.h"
#include "tests/unit/serial_rig.h"

#define MS INT64_C(1000)
#define S  (1000 * MS)

static struct world {
    int64_t now_us;
    int master;
    char name[64];
    struct rig rig;
    struct serial_bus_conf conf;
    struct serial_line_state line;
    struct serial_device state;
    struct gw_host host;
    struct gw_bus bus;
    struct gw_device device;
    size_t n_heard;
} w;

/* A little passes whenever somebody looks, so that nobody waits for a moment that never comes. */
static int64_t tell_time(void *ctx)
{
    (void)ctx;
    return w.now_us += 10;
}

static void say_nothing(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

static int setup(void **state)
{
    (void)state;
    struct gw_driver_diag diag;

    memset(&w, 0, sizeof w);
    w.now_us = 1000 * S;
    w.master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    assert_true(w.master >= 0 && grantpt(w.master) == 0 && unlockpt(w.master) == 0 &&
                ptsname_r(w.master, w.name, sizeof w.name) == 0);
    rig_load(&w.rig,
             "      - { name: d, frame: { end: '\\n' }, on_open: [{ send: 'GO\\r' }], points: [{ "
             "name: v, from: frame }] }\n",
             NULL);
    w.conf = *(const struct serial_bus_conf *)w.rig.config->buses[0].driver_conf;
    w.conf.port = w.name;
    w.host =
        (struct gw_host){.now_us = tell_time, .debug = say_nothing, .wake_fd = -1, .listen_fd = -1};
    w.bus = (struct gw_bus){"b", &w.conf, &w.line, &w.host, &w.device, 1};
    w.device = (struct gw_device){"d", &w.bus, w.rig.conf, &w.state, w.rig.points, 1, 0};
    assert_int_equal(serial_prepare(&w.device), GW_OK);
    assert_int_equal(serial_open(&w.bus, w.now_us + 5 * S, &diag), GW_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    serial_close(&w.bus);
    serial_release(&w.device);
    rig_done(&w.rig);
    close(w.master);
    return 0;
}

static void count(void *ctx, struct gw_device *device, uint16_t point,
                  const struct gw_result *result, int64_t acquired_us)
{
    (void)ctx, (void)device, (void)point, (void)acquired_us;
    w.n_heard += result->err == GW_OK;
}

static void wait_for_bytes(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&ready, 1, 10000), 1);
}

/* Lets so much time pass, looks at the port, and sees whether the instrument was told to talk, once. A telling that comes too
 * late to be seen here is one too many for the next look. */
static void pass(int64_t us, bool is_told)
{
    char told[64];
    ssize_t len;

    w.now_us += us;
    while (serial_listen(&w.bus, w.now_us, count, NULL) == GW_OK)
        ;
    if (is_told)
        wait_for_bytes(w.master);
    len = read(w.master, told, sizeof told);
    assert_int_equal(len, is_told ? 3 : -1);
    assert_true(!is_told || memcmp(told, "GO\r", 3) == 0);
}

static void a_silent_instrument_is_told_again_after_ten_seconds(void **state)
{
    (void)state;

    pass(0, true); /* the port was opened */
    pass(9 * S, false);
    pass(900 * MS, false);
    pass(200 * MS, true);
    pass(9 * S, false);
    pass(2 * S, true);
}

static void one_that_talks_is_left_alone(void **state)
{
    (void)state;

    pass(0, true);
    for (size_t i = 1; i <= 10; i++) {
        assert_int_equal(write(w.master, "5\n", 2), 2);
        wait_for_bytes(w.line.port.fd);
        pass(6 * S, false);
        assert_int_equal(w.n_heard, i);
    }
    pass(6 * S, false);
    pass(5 * S, true); /* 11 s since it was heard */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_silent_instrument_is_told_again_after_ten_seconds, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_talks_is_left_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
