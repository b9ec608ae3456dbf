/* Bus: instruments that speak unasked, alone and beside polled ones. The clock is turned by hand; only the last test has a
 * thread and the system's clock. */
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/unit/bus_world.h"

enum { SCRIPT_MAX = 20000 };

/* What is said when; sorted by time. The points of one message have the same time and device. */
static struct said {
    int64_t at_us;
    size_t device;
    uint16_t point;
    int64_t value;
    enum gw_err err; /* of the whole message, or of the point when `is_result` */
    bool is_result;
} script[SCRIPT_MAX];
static size_t n_said, next_said;
static unsigned n_listens;

static void say(int64_t at_us, size_t device, uint16_t point, int64_t value)
{
    assert_true(n_said < SCRIPT_MAX);
    script[n_said++] = (struct said){at_us, device, point, value, GW_OK, false};
}

static enum gw_err listen_to_script(struct gw_bus *bus, int64_t deadline_us,
                                    void (*heard)(void *, struct gw_device *, uint16_t,
                                                  const struct gw_result *, int64_t),
                                    void *ctx)
{
    n_listens++;
    assert_true(world.is_open);
    if (next_said == n_said || script[next_said].at_us > deadline_us) {
        if (deadline_us > world.now_us)
            world.now_us = deadline_us;
        return GW_E_TIMEOUT;
    }
    const struct said *first = &script[next_said];
    if (world.now_us < first->at_us)
        world.now_us = first->at_us;
    if (first->err != GW_OK && !first->is_result) {
        next_said++;
        return first->err;
    }
    for (; next_said < n_said && script[next_said].at_us == first->at_us &&
           script[next_said].device == first->device;
         next_said++) {
        const struct said *said = &script[next_said];
        const struct gw_result result = {
            .err = said->err,
            .reason = said->err ? "overload" : NULL,
            .value = {.kind = said->err ? GW_NONE : GW_INT, .i = said->value},
        };
        heard(ctx, &bus->devices[said->device], said->point, &result, said->at_us);
    }
    return GW_OK;
}

static int setup(void **state)
{
    int failed = world_setup(state);

    n_said = next_said = 0;
    n_listens = 0;
    world.driver.listen = listen_to_script;
    return failed;
}

/* Adds a device whose points are all heard. */
static size_t add_talker(size_t n_points, int64_t stale_after_us)
{
    size_t d = world_add_device(n_points, 1 * S);

    for (size_t i = 0; i < n_points; i++) {
        world.points[d][i].traits.is_heard = true;
        world.points[d][i].stale_after_us = stale_after_us;
    }
    return d;
}

static void what_is_heard_is_published_with_the_time_of_its_arrival(void **state)
{
    (void)state;
    add_talker(2, 5 * S);
    say(1001 * S + 250 * MS, 0, 0, 42);
    say(1001 * S + 250 * MS, 0, 1, 43);
    world_start();

    world_run(2 * S);

    assert_string_equal(last_message("d0/p0")->payload,
                        "{\"value\":42,\"ts\":1764001001250,\"quality\":\"good\"}");
    assert_last("d0/p1", "43");
    assert_int_equal(world.n_messages, 2);
    assert_int_equal(world.n_exchanges, 0);
    assert_int_equal(world.loop->stats.n_heard, 1);
    assert_int_equal(world.loop->stats.n_readings, 2);
}

static void every_message_of_a_fast_instrument_is_heard(void **state)
{
    (void)state;
    add_talker(1, 5 * S);
    for (int i = 0; i < 10000; i++)
        say(1001 * S + i * MS, 0, 0, i);
    world_start();

    world_run(20 * S);

    assert_int_equal(count_messages("d0/p0", "good", 0), 10000);
}

static void a_silent_instrument_is_stale_once_and_good_when_it_is_heard_again(void **state)
{
    (void)state;
    add_talker(2, 5 * S);
    say(1001 * S, 0, 0, 1);
    say(1001 * S, 0, 1, 1);
    say(1100 * S, 0, 0, 2);
    say(1100 * S, 0, 1, 2);
    world_start();

    world_run_until(1006 * S - 1);
    assert_int_equal(count_messages("d0/p0", "bad", 0), 0);
    world_run_until(1090 * S);

    assert_int_equal(count_messages("d0/p0", "stale", 0), 1);
    assert_int_equal(count_messages("d0/p1", "stale", 0), 1);
    assert_in_range(last_message("d0/p0")->at_us, 1006 * S, 1006 * S + 10 * MS);
    assert_int_equal(count_messages("d0/p0", "\"value\":null", 1006 * S), 1);
    assert_int_equal(world.loop->stats.n_devices_online, 0);
    world_run_until(1101 * S);
    assert_last("d0/p0", "\"value\":2");
    assert_int_equal(world.loop->stats.n_devices_online, 1);
    world_run_until(1200 * S);
    assert_int_equal(count_messages("d0/p0", "stale", 0), 2);
}

static void an_instrument_that_was_never_heard_is_stale_after_its_time(void **state)
{
    (void)state;
    add_talker(1, 5 * S);
    world_start();

    world_run(20 * S);

    assert_int_equal(count_messages("d0/p0", "stale", 0), 1);
    assert_in_range(last_message("d0/p0")->at_us, 1005 * S, 1005 * S + 10 * MS);
}

static void each_point_has_a_time_of_its_own(void **state)
{
    (void)state;
    add_talker(3, 5 * S);
    world.points[0][1].stale_after_us = 20 * S;
    world.points[0][2].stale_after_us = 0; /* a bar code: no news is no fault */
    for (uint16_t i = 0; i < 3; i++)
        say(1001 * S, 0, i, 7);
    world_start();

    world_run_until(1010 * S);
    assert_last("d0/p0", "stale");
    assert_last("d0/p1", "good");
    assert_int_equal(world.loop->stats.n_devices_online, 1);
    world_run_until(1000000 * S);
    assert_last("d0/p1", "stale");
    assert_last("d0/p2", "good");
    assert_int_equal(count_messages("d0/p2", "", 0), 1);
    assert_int_equal(world.loop->stats.n_devices_online, 0);
}

static void a_result_that_is_an_error_is_bad_with_its_reason_and_not_stale(void **state)
{
    (void)state;
    add_talker(1, 5 * S);
    for (int i = 0; i < 20; i++) {
        script[n_said++] = (struct said){1001 * S + i * S, 0, 0, 0, GW_E_RANGE, .is_result = true};
    }
    world_start();

    world_run_until(1020 * S);

    assert_last("d0/p0", "overload");
    assert_int_equal(count_messages("d0/p0", "stale", 0), 0);
}

static void what_cannot_be_trusted_is_counted_and_no_reading(void **state)
{
    (void)state;
    add_talker(1, 60 * S);
    for (int i = 0; i < 5; i++)
        script[n_said++] = (struct said){1001 * S + i * MS, 0, 0, 9, GW_E_PROTO, false};
    say(1002 * S, 0, 0, 1);
    world_start();

    world_run(5 * S);

    assert_int_equal(world.loop->stats.n_proto_errors, 5);
    assert_int_equal(world.n_messages, 1);
    assert_last("d0/p0", "\"value\":1");
}

static void polls_keep_their_interval_beside_a_talker(void **state)
{
    (void)state;
    world_add_device(2, 100 * MS);
    add_talker(1, 5 * S);
    for (int i = 0; i < 5000; i++)
        say(1000 * S + i * 2 * MS, 1, 0, i);
    world_start();

    world_run(10 * S);

    assert_int_equal(count_exchanges(0, 0), 100);
    for (size_t i = 0; i < world.n_exchanges; i++) {
        int64_t late_us = world.exchanges[i].at_us - 1000 * S - (int64_t)i * 100 * MS;
        assert_in_range(late_us, 0, 5 * MS);
    }
    assert_int_equal(count_messages("d1/p0", "good", 0), 5000);
    assert_int_equal(count_messages("d0/p0", "good", 0), 100);
}

static void a_bus_that_has_no_time_for_its_polls_hears_as_well(void **state)
{
    (void)state;
    world_add_device(1, 10 * MS);
    world.devices[0].cost_us = 50 * MS;
    add_talker(1, 1 * S);
    for (int i = 0; i < 100; i++)
        say(1000 * S + i * 100 * MS, 1, 0, i);
    world_start();

    world_run(10 * S);

    assert_int_equal(count_messages("d1/p0", "good", 0), 100);
    assert_int_equal(count_messages("d1/p0", "stale", 0), 0);
}

static void a_point_that_is_heard_is_never_asked_for(void **state)
{
    (void)state;
    size_t d = world_add_device(2, 1 * S);
    world.points[d][1].traits.is_heard = true;
    world.points[d][1].stale_after_us = 5 * S;
    for (int i = 0; i < 20; i++)
        say(1000 * S + i * S, d, 1, i);
    world_start();

    world_run(20 * S - 1);

    assert_int_equal(count_exchanges(d, 0), 20);
    for (size_t i = 0; i < world.n_exchanges; i++)
        assert_int_equal(world.exchanges[i].n_members, 1);
    assert_int_equal(count_messages("d0/p1", "good", 0), 20);
    assert_int_equal(count_messages("d0/p1", "bad", 0), 0);
}

static void a_lost_link_makes_what_is_heard_bad_once_and_it_is_good_again_after(void **state)
{
    (void)state;
    add_talker(2, 5 * S);
    say(1001 * S, 0, 0, 1);
    script[n_said++] = (struct said){1002 * S, 0, 0, 0, GW_E_LINK, false};
    say(1101 * S, 0, 0, 2);
    world_start();
    world_run_until(1002 * S - 1);
    world.is_reachable = false;

    world_run_until(1100 * S);

    assert_int_equal(count_messages("d0/p0", "link_down", 0), 1);
    assert_int_equal(count_messages("d0/p1", "link_down", 0), 1);
    assert_int_equal(count_messages("d0/p0", "stale", 0), 0);
    assert_false(world.loop->stats.is_open);
    world.is_reachable = true;
    world_run_until(1120 * S);
    assert_true(world.loop->stats.is_open);
    assert_int_equal(count_messages("d0/p0", "\"value\":2", 0), 1);
}

static void a_link_that_is_opened_again_at_once_does_not_make_values_younger(void **state)
{
    (void)state;
    add_talker(1, 5 * S);
    say(1001 * S, 0, 0, 1);
    for (int i = 0; i < 10; i++)
        script[n_said++] = (struct said){1002 * S + i * 2 * S, 0, 0, 0, GW_E_LINK, false};
    world_start();

    world_run_until(1020 * S);

    assert_true(world.n_opens >= 9);
    assert_int_equal(count_messages("d0/p0", "stale", 0), 1);
    assert_in_range(last_message("d0/p0")->at_us, 1006 * S, 1006 * S + 10 * MS);
}

static void a_talker_shares_one_message_per_device(void **state)
{
    (void)state;
    size_t d = add_talker(2, 5 * S);
    for (size_t i = 0; i < 2; i++)
        world.policies[d][i].per = GW_PER_DEVICE;
    for (int k = 0; k < 3; k++)
        for (uint16_t i = 0; i < 2; i++)
            say(1001 * S + k * S, 0, i, 10 * k + i);
    world_start();

    world_run_until(1004 * S);

    assert_int_equal(count_messages("d0", "", 0), 3);
    assert_last("d0", "\"p0\":20");
    assert_last("d0", "\"p1\":21");
    world_run_until(1010 * S);
    assert_int_equal(count_messages("d0", "", 0), 4); /* stale, once */
    assert_last("d0", "stale");
}

static enum gw_err listen_without_waiting(struct gw_bus *bus, int64_t deadline_us,
                                          void (*heard)(void *, struct gw_device *, uint16_t,
                                                        const struct gw_result *, int64_t),
                                          void *ctx)
{
    (void)bus, (void)deadline_us, (void)heard, (void)ctx;
    n_listens++;
    return GW_E_TIMEOUT;
}

static void a_driver_that_does_not_wait_does_not_make_the_bus_spin(void **state)
{
    (void)state;
    add_talker(1, 5 * S);
    world.driver.listen = listen_without_waiting;
    world_start();

    world_run(100 * S);

    assert_in_range(n_listens, 50, 210);
}

static void a_bus_without_talkers_does_not_listen(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world_start();

    world_run(100 * S);

    assert_int_equal(n_listens, 0);
}

/* ---- in its thread ---- */

static atomic_uint n_waits;

static enum gw_err wait_for_wake(struct gw_bus *bus, int64_t deadline_us,
                                 void (*heard)(void *, struct gw_device *, uint16_t,
                                               const struct gw_result *, int64_t),
                                 void *ctx)
{
    struct pollfd wake = {.fd = bus->host->listen_fd, .events = POLLIN};

    (void)deadline_us, (void)heard, (void)ctx;
    atomic_fetch_add(&n_waits, 1);
    return poll(&wake, 1, 60000) > 0 ? GW_E_CLOSED : GW_E_TIMEOUT;
}

static enum gw_err ignore_put(struct gw_outbox *outbox, const struct gw_message *message)
{
    (void)outbox, (void)message;
    return GW_OK;
}

static const struct gw_outbox_ops deaf_outbox = {.put = ignore_put};

static void a_bus_that_listens_stops_at_once(void **state)
{
    struct gw_bus_thread *bus = NULL;
    int64_t begin_us = gw_now_us(&gw_system_clock);

    (void)state;
    atomic_store(&n_waits, 0);
    add_talker(1, 3600 * S);
    world.driver.listen = wait_for_wake;
    world.outbox.ops = &deaf_outbox;
    assert_int_equal(gw_bus_start(&world.conf, &world.outbox, &gw_system_clock, 1000, NULL, &bus),
                     GW_OK);
    while (atomic_load(&n_waits) == 0) {
        assert_true(gw_now_us(&gw_system_clock) < begin_us + 20 * S);
        usleep(200);
    }

    gw_bus_ask_stop(bus);
    assert_int_equal(gw_bus_join(bus, gw_now_us(&gw_system_clock) + 20 * S), GW_OK);

    assert_true(gw_now_us(&gw_system_clock) < begin_us + 40 * S);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_heard_is_published_with_the_time_of_its_arrival),
        TEST(every_message_of_a_fast_instrument_is_heard),
        TEST(a_silent_instrument_is_stale_once_and_good_when_it_is_heard_again),
        TEST(an_instrument_that_was_never_heard_is_stale_after_its_time),
        TEST(each_point_has_a_time_of_its_own),
        TEST(a_result_that_is_an_error_is_bad_with_its_reason_and_not_stale),
        TEST(what_cannot_be_trusted_is_counted_and_no_reading),
        TEST(polls_keep_their_interval_beside_a_talker),
        TEST(a_bus_that_has_no_time_for_its_polls_hears_as_well),
        TEST(a_point_that_is_heard_is_never_asked_for),
        TEST(a_lost_link_makes_what_is_heard_bad_once_and_it_is_good_again_after),
        TEST(a_link_that_is_opened_again_at_once_does_not_make_values_younger),
        TEST(a_talker_shares_one_message_per_device),
        TEST(a_driver_that_does_not_wait_does_not_make_the_bus_spin),
        TEST(a_bus_without_talkers_does_not_listen),
        TEST(a_bus_that_listens_stops_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
