/* Bus: other devices while it runs. The driver is the fake one, the clock is turned by hand. */
#include "tests/unit/bus_world.h"

#include "gateway/view.h"

static void publish_changes(size_t device, size_t n_points)
{
    for (size_t i = 0; i < n_points; i++)
        world.policies[device][i].when = GW_WHEN_CHANGE;
}

/* Is each exchange of the device since then at a multiple of its interval, and none of them missing? */
static void assert_in_phase(size_t device, int64_t start_us, int64_t interval_us)
{
    int64_t n = 0;

    for (size_t i = 0; i < world.n_exchanges; i++) {
        const struct world_exchange *exchange = &world.exchanges[i];

        if (exchange->device != device)
            continue;
        int64_t late_us = exchange->at_us - start_us - n++ * interval_us;
        if (late_us < 0 || late_us > interval_us / 4)
            fail_msg("poll %lld is %lld us off", (long long)n, (long long)late_us);
    }
    assert_int_equal(n, (world.now_us - start_us + interval_us - 1) / interval_us);
}

static void a_device_that_goes_on_keeps_its_phase_and_says_nothing_twice(void **state)
{
    (void)state;
    world_add_device(3, 1 * S);
    world_add_device(2, 700 * MS);
    world_add_device(2, 300 * MS);
    publish_changes(0, 3);
    world_start();
    int64_t start_us = world.now_us;
    world_run(2300 * MS);
    world_change("20");
    world_run(1400 * MS);
    world_change("0!21");
    world_run(1300 * MS);
    world_change("0");
    world_run(3 * S);

    assert_in_phase(0, start_us, 1 * S);
    assert_int_equal(count_messages("d0/p0", "", 0), 1);
    assert_int_equal(world.n_opens, 1);
    assert_int_equal(count_exchanges(2, world.now_us - 2900 * MS), 0);
}

static void a_new_and_a_changed_device_are_polled_at_once(void **state)
{
    (void)state;
    world_add_device(1, 10 * S);
    world_add_device(1, 10 * S);
    world_add_device(1, 10 * S);
    world.conf.n_devices = 2;
    world_start();
    world_run(5 * S);
    int64_t change_us = world.now_us;
    world_change("0!12");
    world_run(1 * S);

    assert_int_equal(count_exchanges(0, change_us), 0);
    assert_int_equal(count_exchanges(1, change_us), 1);
    assert_int_equal(count_exchanges(2, change_us), 1);
    assert_int_equal(count_messages("d1/p0", "", change_us), 1);
    assert_int_equal(world.loop->stats.n_devices, 3);
}

/* The plan of the cycle stands in the device itself, which moves. */
static void a_cycle_that_is_under_way_is_ended_in_the_new_place(void **state)
{
    (void)state;
    world_add_device(1, 10 * S);
    world_add_device(6, 10 * S);
    world.devices[1].per_request = 1;
    world_start();
    while (count_exchanges(1, 0) < 2)
        (void)gw_bus_loop_step(world.loop);
    world_change("1");
    world_run(1 * S);

    assert_int_equal(count_exchanges(1, 0), 6);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(count_messages(world.topics[1][i], "", 0), 1);
}

static void an_offline_device_keeps_its_pause_and_is_told_once(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world_add_device(1, 1 * S);
    publish_changes(0, 2);
    world.devices[0].is_silent = true;
    world_start();
    world_run(60 * S);
    size_t n_before = count_exchanges(0, 0);
    int64_t change_us = world.now_us;
    world_change("!10");
    world_run(29 * S);

    assert_true(count_exchanges(0, 0) <= n_before + 1); /* its pause is 30 s by now */
    assert_int_equal(count_messages("d0/p0", "", change_us), 0);
    world.devices[0].is_silent = false;
    world_run(31 * S);
    assert_last("d0/p0", "\"quality\":\"good\"");
}

static void a_hole_that_was_found_stays_found(void **state)
{
    (void)state;
    world_add_device(8, 1 * S);
    world_add_device(1, 1 * S);
    world.devices[0].refuses[3] = true;
    world_start();
    world_run(3500 * MS);
    int64_t change_us = world.now_us;
    world_change("0");
    world_run(5 * S);

    for (size_t i = 0; i < world.n_exchanges; i++)
        if (world.exchanges[i].at_us >= change_us)
            assert_int_equal(world.exchanges[i].err, GW_OK);
    assert_int_equal(world.devices[0].n_forgets, 0);
}

static void a_device_that_comes_while_the_link_is_down_is_bad_once(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world_add_device(1, 1 * S);
    world.conf.n_devices = 1;
    world.is_reachable = false;
    world_start();
    world_run(3 * S);
    world_change("01");
    world_run(20 * S);

    assert_int_equal(count_messages("d0/p0", "link_down", 0), 1);
    assert_int_equal(count_messages("d1/p0", "link_down", 0), 1);
    world.is_reachable = true;
    world_run(10 * S);
    assert_last("d0/p0", "\"quality\":\"good\"");
    assert_last("d1/p0", "\"quality\":\"good\"");
}

static void more_points_than_any_device_had_before_have_room(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world_add_device(WORLD_POINTS, 1 * S);
    world.conf.n_devices = 1;
    world_start();
    world_run(1500 * MS);
    world_change("10");
    world_run(2 * S);

    assert_int_equal(count_messages(world.topics[1][WORLD_POINTS - 1], "", 0), 2);
}

static void a_message_of_a_device_that_is_half_read_is_said_before_it_goes(void **state)
{
    (void)state;
    world_add_device(2, 10 * S);
    world_add_device(1, 10 * S);
    world.devices[0].per_request = 1;
    for (size_t i = 0; i < 2; i++)
        world.policies[0][i].per = GW_PER_DEVICE;
    world_start();
    while (count_exchanges(0, 0) < 1)
        (void)gw_bus_loop_step(world.loop);
    world_change("1");

    assert_int_equal(count_messages("d0", "", 0), 1);
}

/* ---- the driver ------------------------------------------------------------------------------------ */

static char calls[64];

static void note(char what, const struct gw_device *device)
{
    const size_t len = strlen(calls);

    assert_ptr_equal(&device->bus->devices[device->index], device);
    snprintf(calls + len, sizeof calls - len, "%c%s ", what, device->name);
}

static void join(struct gw_device *device)
{
    note('+', device);
}

static void leave(struct gw_device *device)
{
    note('-', device);
}

static void the_driver_hears_who_leaves_and_who_joins_an_open_bus(void **state)
{
    (void)state;
    calls[0] = '\0';
    world.driver.join = join;
    world.driver.leave = leave;
    world_add_device(1, 1 * S);
    world_add_device(1, 1 * S);
    world_add_device(1, 1 * S);
    world.conf.n_devices = 2;
    world_start();
    world_change("0!1");
    assert_string_equal(calls, "");
    world_run(1 * S);
    world_change("2!1");

    assert_string_equal(calls, "-d0 -d1 +d2 +d1 ");
}

/* ---- what is seen ---------------------------------------------------------------------------------- */

static void the_view_of_a_device_that_goes_on_goes_on(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world_add_device(3, 1 * S);
    world.devices[1].values[2] = 4711;
    struct gw_view *before = gw_view_new(&world.conf, &world_clock);
    struct gw_bus_conf after = world.conf;
    struct gw_device_conf confs[] = {world.device_confs[1], world.device_confs[0]};
    after.devices = confs;
    struct gw_view *view = gw_view_new(&after, &world_clock);
    const size_t from[] = {1, SIZE_MAX};
    world_start();
    world.loop->view = before;
    world_run(1500 * MS);
    gw_view_take_over(view, before, from);

    assert_string_equal(view->devices[0].points[2].value, "4711");
    assert_true(view->devices[0].has_answered);
    assert_false(view->devices[1].has_answered);
    assert_string_equal(view->devices[1].points[0].reason, "not_read_yet");
    assert_int_equal(view->version, before->version);
    assert_int_equal(view->n_exchanges, before->n_exchanges);
    assert_int_equal(view->stats.n_requests, world.loop->stats.n_requests);
    gw_view_free(before);
    gw_view_free(view);
    world.loop->view = NULL;
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_device_that_goes_on_keeps_its_phase_and_says_nothing_twice),
        T(a_new_and_a_changed_device_are_polled_at_once),
        T(a_cycle_that_is_under_way_is_ended_in_the_new_place),
        T(an_offline_device_keeps_its_pause_and_is_told_once),
        T(a_hole_that_was_found_stays_found),
        T(a_device_that_comes_while_the_link_is_down_is_bad_once),
        T(more_points_than_any_device_had_before_have_room),
        T(a_message_of_a_device_that_is_half_read_is_said_before_it_goes),
        T(the_driver_hears_who_leaves_and_who_joins_an_open_bus),
        T(the_view_of_a_device_that_goes_on_goes_on),
    };

    return cmocka_run_group_tests_name("bus_change", tests, NULL, NULL);
}
