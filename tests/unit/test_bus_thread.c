/* Bus: its thread. The driver is the fake one, the clock is the system's; nothing is measured against absolute times. */
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/bus_world.h"

static atomic_uint n_runs;
static atomic_bool may_return;

static enum gw_err quick_execute(struct gw_device *device, const struct gw_request *request,
                                 const uint16_t *members, int64_t deadline_us,
                                 struct gw_result *results, struct gw_outcome *outcome)
{
    (void)device, (void)members, (void)deadline_us, (void)outcome;
    for (size_t i = 0; i < request->n_members; i++)
        results[i].value = (struct gw_value){.kind = GW_INT, .i = 1};
    atomic_fetch_add(&n_runs, 1);
    return GW_OK;
}

static enum gw_err hanging_execute(struct gw_device *device, const struct gw_request *request,
                                   const uint16_t *members, int64_t deadline_us,
                                   struct gw_result *results, struct gw_outcome *outcome)
{
    (void)device, (void)request, (void)members, (void)deadline_us, (void)results, (void)outcome;
    atomic_fetch_add(&n_runs, 1);
    while (!atomic_load(&may_return))
        usleep(1000); /* plays a driver stuck in a system call */
    return GW_E_TIMEOUT;
}

static enum gw_err count_put(struct gw_outbox *outbox, const struct gw_message *message)
{
    (void)outbox, (void)message;
    return GW_OK;
}

static const struct gw_outbox_ops counting_outbox = {.put = count_put};

static struct gw_bus_thread *start(enum gw_err (*execute)(struct gw_device *,
                                                          const struct gw_request *,
                                                          const uint16_t *, int64_t,
                                                          struct gw_result *, struct gw_outcome *))
{
    struct gw_bus_thread *bus = NULL;

    atomic_store(&n_runs, 0);
    world.outbox.ops = &counting_outbox;
    world.driver.execute = execute;
    world_add_device(4, 1 * MS);
    assert_int_equal(gw_bus_start(&world.conf, &world.outbox, &gw_system_clock, 1000, NULL, &bus),
                     GW_OK);
    return bus;
}

static void wait_for_runs(unsigned n)
{
    int64_t end_us = gw_now_us(&gw_system_clock) + 20 * S;

    while (atomic_load(&n_runs) < n) {
        assert_true(gw_now_us(&gw_system_clock) < end_us);
        usleep(200);
    }
}

static int64_t in_20_s(void)
{
    return gw_now_us(&gw_system_clock) + 20 * S;
}

static void a_bus_polls_in_its_thread_until_asked_to_stop(void **state)
{
    struct gw_bus_thread *bus = start(quick_execute);
    struct gw_bus_stats stats;

    (void)state;
    wait_for_runs(50);
    gw_bus_stats(bus, &stats);

    gw_bus_ask_stop(bus);
    assert_int_equal(gw_bus_join(bus, in_20_s()), GW_OK);

    assert_true(stats.is_open);
    assert_in_range(stats.n_requests, 1, 1000000);
    assert_int_equal(stats.n_readings, 4 * stats.n_requests);
    assert_false(world.is_open);
}

static void a_bus_that_waits_for_its_link_stops_at_once(void **state)
{
    struct gw_bus_thread *bus;

    (void)state;
    world.is_reachable = false;
    world.conf.reopen_min_us = world.conf.reopen_max_us = 3600 * S;
    bus = start(quick_execute);

    gw_bus_ask_stop(bus);
    assert_int_equal(gw_bus_join(bus, in_20_s()), GW_OK);

    assert_int_equal(atomic_load(&n_runs), 0);
}

static void a_bus_that_hangs_in_its_driver_is_reported_and_freed_when_it_returns(void **state)
{
    struct gw_bus_thread *bus = start(hanging_execute);

    (void)state;
    wait_for_runs(1);
    gw_bus_ask_stop(bus);
    assert_int_equal(gw_bus_join(bus, gw_now_us(&gw_system_clock) + 20 * MS), GW_E_TIMEOUT);

    atomic_store(&may_return, true);
    assert_int_equal(gw_bus_join(bus, in_20_s()), GW_OK);
}

static void a_bus_that_hangs_in_its_driver_is_late(void **state)
{
    struct gw_bus_thread *bus;

    (void)state;
    atomic_store(&may_return, false);
    bus = start(hanging_execute);
    wait_for_runs(1);
    int64_t now_us = gw_now_us(&gw_system_clock);

    int64_t late_now_us = gw_bus_late_us(bus, now_us),
            late_soon_us = gw_bus_late_us(bus, now_us + 600 * S);

    atomic_store(&may_return, true);
    gw_bus_ask_stop(bus);
    assert_int_equal(gw_bus_join(bus, in_20_s()), GW_OK);
    assert_int_equal(late_now_us, 0);
    assert_in_range(late_soon_us, 1 * S, 600 * S);
}

static void a_bus_that_waits_for_an_hour_is_not_late_before(void **state)
{
    struct gw_bus_thread *bus;

    (void)state;
    world.is_reachable = false;
    world.conf.reopen_min_us = world.conf.reopen_max_us = 3600 * S; /* less up to a quarter */
    bus = start(quick_execute);
    int64_t end_us = in_20_s(), now_us;
    do {
        usleep(200);
        now_us = gw_now_us(&gw_system_clock);
    } while (gw_bus_late_us(bus, now_us + 2600 * S) > 0 && now_us < end_us);

    int64_t late_us = gw_bus_late_us(bus, now_us + 2600 * S),
            much_later_us = gw_bus_late_us(bus, now_us + 4000 * S);

    gw_bus_ask_stop(bus);
    assert_int_equal(gw_bus_join(bus, in_20_s()), GW_OK);
    assert_int_equal(late_us, 0);
    assert_in_range(much_later_us, 1, 4000 * S);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_bus_polls_in_its_thread_until_asked_to_stop),
        TEST(a_bus_that_waits_for_its_link_stops_at_once),
        TEST(a_bus_that_hangs_in_its_driver_is_reported_and_freed_when_it_returns),
        TEST(a_bus_that_hangs_in_its_driver_is_late),
        TEST(a_bus_that_waits_for_an_hour_is_not_late_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
