/* Bus: what becomes a message, and that no fault ever makes a wrong value. */
#include "tests/unit/bus_world.h"
#include "tests/unit/random.h"

static void publish_per_device(size_t device, enum gw_publish_when when)
{
    for (size_t p = 0; p < world.device_confs[device].n_points; p++) {
        world.policies[device][p].per = GW_PER_DEVICE;
        world.policies[device][p].when = when;
        world.points[device][p].topic = world.device_confs[device].topic;
    }
}

static void a_device_message_comes_once_after_each_cycle_with_all_points(void **state)
{
    (void)state;
    world_add_device(3, 1 * S);
    world.devices[0].per_request = 1;
    publish_per_device(0, GW_WHEN_EVERY);
    world_start();

    world_run(5 * S - 1);

    assert_int_equal(world.n_messages, 5);
    /* Three exchanges of 10 ms: the time is that of the last. */
    assert_string_equal(world.messages[0].payload,
                        "{\"ts\":1764001000030,\"quality\":\"good\",\"p0\":0,\"p1\":1,\"p2\":2}");
}

static void a_device_message_holds_the_latest_of_slower_points(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world.points[0][1].interval_us = 10 * S;
    publish_per_device(0, GW_WHEN_EVERY);
    world_start();
    world_run(1500 * MS);
    world.devices[0].values[0] = 77;
    world.devices[0].values[1] = 88; /* not read yet */

    world_run(3 * S);

    assert_last("d0", "\"p0\":77,\"p1\":1}");
}

static void one_changed_point_brings_the_device_message_and_none_brings_none(void **state)
{
    (void)state;
    world_add_device(3, 1 * S);
    publish_per_device(0, GW_WHEN_CHANGE);
    world_start();
    world_run(5 * S);
    assert_int_equal(world.n_messages, 1);
    world.devices[0].values[2] = -5;

    world_run(5 * S);

    assert_int_equal(world.n_messages, 2);
    assert_last("d0", "\"p0\":0,\"p1\":1,\"p2\":-5}");
}

static void a_device_message_tells_which_points_are_bad_once(void **state)
{
    (void)state;
    world_add_device(3, 1 * S);
    world.devices[0].refuses[1] = true;
    publish_per_device(0, GW_WHEN_CHANGE);
    world_start();
    world_run(5 * S);
    assert_int_equal(world.n_messages, 1);
    assert_last("d0", "\"p1\":null,\"p2\":2,\"bad\":{\"p1\":\"illegal_data_address\"}}");
    world.devices[0].is_silent = true;

    world_run(100 * S);

    assert_last("d0", "\"p0\":null,\"p1\":null,\"p2\":null");
    assert_int_equal(world.n_messages, 2);
}

static void a_text_is_kept_beyond_the_next_exchange(void **state)
{
    char text[] = "SN-4711";

    (void)state;
    world_add_device(2, 1 * S);
    world.points[0][1].interval_us = 60 * S;
    world.points[0][1].traits.kind = GW_TEXT;
    world.devices[0].text = text;
    world.devices[0].text_len = strlen(text);
    publish_per_device(0, GW_WHEN_EVERY);
    world_start();
    world_run(500 * MS);
    memset(text, 'X', strlen(text)); /* what the driver's buffer becomes */

    world_run(2 * S);

    assert_last("d0", "\"p1\":\"SN-4711\"");
}

static void a_text_longer_than_its_room_is_bad_and_hurts_nobody(void **state)
{
    static char text[GW_BUS_TEXT_MAX + 1];

    (void)state;
    memset(text, 'a', sizeof text);
    world_add_device(2, 1 * S);
    world.points[0][1].traits.kind = GW_TEXT;
    world.devices[0].text = text;
    world.devices[0].text_len = sizeof text;
    world_start();

    world_run(500 * MS);

    assert_last("d0/p1", "\"value\":null");
    assert_last("d0/p1", "text_too_long");
    assert_last("d0/p0", "good");
}

static void a_payload_larger_than_allowed_is_left_out_and_counted(void **state)
{
    static char text[180];

    (void)state;
    memset(text, 'a', sizeof text);
    world_add_device(2, 1 * S);
    world.points[0][0].traits.kind = GW_TEXT;
    world.devices[0].text = text;
    world.devices[0].text_len =
        sizeof text; /* with its frame more than the 200 bytes of the world */
    world_start();

    world_run(5 * S - 1);

    assert_int_equal(count_messages("d0/p0", "", 0), 0);
    assert_int_equal(count_messages("d0/p1", "good", 0), 5);
    assert_int_equal(world.loop->stats.n_too_large, 5);
}

static void what_the_outbox_did_not_take_is_offered_again(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world.policies[0][0].when = GW_WHEN_CHANGE;
    world_start();
    world_run(5 * S);
    world.is_full = true;
    world.devices[0].values[0] = 42;
    world_run(5 * S);
    assert_int_equal(world.n_messages, 1);
    world.is_full = false;

    world_run(1 * S);

    assert_int_equal(world.n_messages, 2);
    assert_last("d0/p0", "\"value\":42");
}

static void that_a_device_is_offline_is_told_even_when_the_outbox_was_full(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world_start();
    world_run(5 * S);
    world.is_full = true;
    world.devices[0].is_silent = true;
    world_run(100 * S);
    world.is_full = false;

    world_run(100 * S); /* the next probe */

    assert_int_equal(count_messages("d0/p0", "timeout", 0), 1);
}

static void points_that_are_only_written_are_not_polled(void **state)
{
    (void)state;
    world_add_device(3, 1 * S);
    world.points[0][0].access = GW_ACCESS_W;
    world.points[0][1].traits.can_read = false;
    world_start();
    world_run(2 * S);
    world.devices[0].is_silent = true;
    world_run(20 * S);

    assert_int_equal(count_messages("d0/p0", "", 0), 0);
    assert_int_equal(count_messages("d0/p1", "", 0), 0);
    assert_int_equal(world.exchanges[0].n_members, 1);
}

static void a_device_with_nothing_to_read_costs_nothing(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world.points[0][0].access = GW_ACCESS_W;
    world_add_device(0, 1 * S);
    world_start();

    assert_int_equal(gw_bus_loop_step(world.loop), 0); /* opened */
    assert_int_equal(gw_bus_loop_step(world.loop), INT64_MAX);
    assert_int_equal(world.n_messages, 0);
}

static void what_is_bad_by_wish_is_not_published(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world.policies[0][0].on_bad = GW_ON_BAD_SKIP;
    world_start();
    world_run(2 * S - 1);
    world.devices[0].is_silent = true;

    world_run(60 * S);

    assert_int_equal(world.n_messages, 2);
}

/* ---- ten thousand polls among faults --------------------------------------------------------------- */

static struct test_random dice;
/* Value of each point when it was last delivered with success. It names its device and point. */
static int64_t delivered[WORLD_DEVICES][WORLD_POINTS];

enum { FAULT_PERCENT = 20, STAMP = 1000000 };

static int64_t value_now(size_t device, size_t point)
{
    return (int64_t)(device * WORLD_POINTS + point) * STAMP + world.now_us / (100 * MS) % STAMP;
}

static enum gw_err answer_among_faults(size_t device, const uint16_t *members, size_t n,
                                       struct gw_result *results)
{
    static const enum gw_err faults[] = {GW_E_TIMEOUT, GW_E_PROTO,  GW_E_BUSY, GW_E_REFUSED,
                                         GW_E_LINK,    GW_E_CLOSED, GW_E_RANGE};
    bool is_fault = test_random_below(&dice, 100) < FAULT_PERCENT;

    for (size_t i = 0; i < n; i++) {
        struct gw_result *r = &results[i];

        /* What stands in the results of a failed exchange, or of a failed or partial result, is nobody's value. */
        r->value = (struct gw_value){.kind = GW_INT, .i = -666};
        if (is_fault)
            continue;
        if (test_random_below(&dice, 100) < 3)
            r->err = test_random_below(&dice, 2) ? GW_E_PROTO : GW_E_REFUSED;
        else if (test_random_below(&dice, 100) < 3)
            r->is_partial = true;
        else
            r->value.i = delivered[device][members[i]] = value_now(device, members[i]);
    }
    return is_fault ? faults[test_random_below(&dice, sizeof faults / sizeof faults[0])] : GW_OK;
}

static void check_message(const struct world_message *m)
{
    unsigned device = 0, point = 0;
    long long value = 0;

    assert_int_equal(sscanf(m->topic, "d%u/p%u", &device, &point), 2);
    if (strstr(m->payload, "\"quality\":\"bad\"")) {
        assert_non_null(strstr(m->payload, "\"value\":null"));
        assert_non_null(strstr(m->payload, "\"reason\":\""));
        return;
    }
    assert_int_equal(sscanf(m->payload, "{\"value\":%lld,", &value), 1);
    assert_int_equal(value, delivered[device][point]);
}

static void among_random_faults_no_published_value_is_ever_wrong(void **state)
{
    size_t n_seen = 0, n_good = 0;

    (void)state;
    dice = test_random_start();
    world.answer = answer_among_faults;
    for (size_t d = 0; d < WORLD_DEVICES; d++) {
        world_add_device(8 + d, 100 * MS * (int64_t)(d + 1));
        world.devices[d].per_request = 3 + d;
        world.device_confs[d].timeout_us = 50 * MS;
        world.device_confs[d].retry_max_us = 2 * S;
        world.device_confs[d].offline_after_us = (int64_t)test_random_below(&dice, 2000000);
        world.device_confs[d].retries = (int)test_random_below(&dice, 3);
    }
    world.conf.reopen_min_us = 50 * MS;
    world.conf.reopen_max_us = 500 * MS;
    world_start();

    while (world.n_exchanges < 10000) {
        int64_t wake_us = gw_bus_loop_step(world.loop);

        /* Compared at once: an exchange or two later the device has another value. */
        for (; n_seen < world.n_messages; n_seen++) {
            check_message(&world.messages[n_seen]);
            n_good += strstr(world.messages[n_seen].payload, "good") != NULL;
        }
        if (wake_us > world.now_us)
            world.now_us = wake_us;
        if (test_random_below(&dice, 500) == 0)
            world.is_reachable = !world.is_reachable;
    }

    assert_true(n_good > 10000); /* and it is not so because it published nothing */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_device_message_comes_once_after_each_cycle_with_all_points),
        TEST(a_device_message_holds_the_latest_of_slower_points),
        TEST(one_changed_point_brings_the_device_message_and_none_brings_none),
        TEST(a_device_message_tells_which_points_are_bad_once),
        TEST(a_text_is_kept_beyond_the_next_exchange),
        TEST(a_text_longer_than_its_room_is_bad_and_hurts_nobody),
        TEST(a_payload_larger_than_allowed_is_left_out_and_counted),
        TEST(what_the_outbox_did_not_take_is_offered_again),
        TEST(that_a_device_is_offline_is_told_even_when_the_outbox_was_full),
        TEST(points_that_are_only_written_are_not_polled),
        TEST(a_device_with_nothing_to_read_costs_nothing),
        TEST(what_is_bad_by_wish_is_not_published),
        TEST(among_random_faults_no_published_value_is_ever_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
