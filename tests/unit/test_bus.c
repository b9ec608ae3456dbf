/* Bus: polling, failing devices, refused points, what is published. The clock is turned by hand. */
#include "tests/unit/bus_world.h"

static void every_point_is_polled_in_its_interval_without_drift(void **state)
{
    (void)state;
    world_add_device(3, 100 * MS);
    world.cost_us = 37 * MS;
    world_start();

    world_run(10 * S);

    assert_int_equal(count_exchanges(0, 0), 100);
    for (size_t i = 0; i < world.n_exchanges; i++)
        assert_int_equal(world.exchanges[i].at_us, 1000 * S + (int64_t)i * 100 * MS);
    for (size_t p = 0; p < 3; p++)
        assert_int_equal(count_messages(world.topics[0][p], "good", 0), 100);
    assert_int_equal(world.loop->stats.n_overruns, 0);
}

static void a_reading_carries_the_wall_clock_of_its_arrival(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world.cost_us = 250 * MS;
    world_start();

    world_run(500 * MS);

    /* Asked at 1000 s, answered 250 ms later. */
    assert_string_equal(last_message("d0/p0")->payload,
                        "{\"value\":0,\"ts\":1764001000250,\"quality\":\"good\"}");
}

static void with_align_polls_stand_on_multiples_of_the_wall_clock(void **state)
{
    (void)state;
    world_add_device(1, 300 * MS); /* no divisor of the wall clock at the start */
    world.conf.align = true;
    world_start();

    world_run(10 * S);

    assert_true(world.n_exchanges > 30);
    assert_int_not_equal((1764000000000 + world.exchanges[0].at_us / MS) % 300, 0);
    for (size_t i = 1; i < world.n_exchanges; i++) /* the first one comes at once */
        assert_int_equal((1764000000000 + world.exchanges[i].at_us / MS) % 300, 0);
}

static void polls_that_come_too_late_are_merged_and_counted(void **state)
{
    (void)state;
    world_add_device(1, 100 * MS);
    world.cost_us = 250 * MS; /* more than the interval */
    world_start();

    world_run(10 * S);

    assert_int_equal(count_exchanges(0, 0), 40);
    /* 100 polls were due from 0 to 9.9 s; the last one taken began at 9.75 s and covers those up to 9.7 s. */
    assert_int_equal(world.loop->stats.n_overruns, 98 - 40);
}

static void groups_of_one_device_share_requests_when_they_meet(void **state)
{
    (void)state;
    world_add_device(4, 1 * S);
    world.points[0][0].interval_us = 250 * MS;
    world_start();

    world_run(4 * S - 1);

    size_t n_all = 0, n_fast = 0;
    for (size_t i = 0; i < world.n_exchanges; i++) {
        n_all += world.exchanges[i].n_members == 4;
        n_fast += world.exchanges[i].n_members == 1;
    }
    assert_int_equal(n_all, 4);
    assert_int_equal(n_fast, 12);
}

static void the_deadline_of_a_request_is_its_wire_time_and_the_timeout(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world.device_confs[0].timeout_us = 200 * MS;
    world_start();

    world_run(10 * MS);

    assert_int_equal(world.exchanges[0].deadline_us - world.exchanges[0].at_us, 205 * MS);
}

static void a_long_cycle_does_not_hold_up_a_faster_device(void **state)
{
    (void)state;
    world_add_device(60, 10 * S);
    world.devices[0].per_request = 1;
    world.devices[0].cost_us = 50 * MS; /* 3 s for a cycle */
    world_add_device(1, 200 * MS);
    world_start();

    world_run(10 * S);

    assert_int_equal(count_exchanges(0, 0), 60);
    assert_int_equal(count_messages("d1/p0", "good", 0), 50);
    assert_int_equal(world.loop->stats.n_overruns, 0);
    for (size_t i = 1; i < world.n_exchanges; i++)
        if (world.exchanges[i].device == 1) {
            int64_t late_us = world.exchanges[i].at_us % (200 * MS);

            assert_true(late_us <= 50 * MS); /* at most the exchange that was under way */
        }
}

static void on_an_overloaded_bus_every_device_gets_its_turn(void **state)
{
    (void)state;
    for (size_t d = 0; d < 3; d++)
        world_add_device(8, d == 0 ? 10 * MS : 1 * S);
    for (size_t d = 0; d < 3; d++)
        world.devices[d].per_request = 1;
    world.devices[0].cost_us = 100 * MS; /* 0.8 s for what is wanted each 10 ms */
    world.devices[1].cost_us = 100 * MS;
    world.devices[2].cost_us = 100 * MS;
    world_start();

    world_run(60 * S);

    for (size_t d = 0; d < 3; d++)
        assert_true(count_exchanges(d, 0) >
                    600 / 6); /* of 600 in all, at least half of a fair share */
}

static void a_held_device_is_left_alone_while_the_others_go_on(void **state)
{
    (void)state;
    world_add_device(2, 100 * MS);
    world.devices[0].per_request = 1;
    world.devices[0].hold_us = 300 * MS;
    world_add_device(1, 100 * MS);
    world_start();

    world_run(10 * S);

    int64_t free_us = 0;
    for (size_t i = 0; i < world.n_exchanges; i++) {
        if (world.exchanges[i].device != 0)
            continue;
        assert_true(world.exchanges[i].at_us >= free_us);
        free_us = world.exchanges[i].at_us + 310 * MS;
    }
    assert_true(count_exchanges(0, 0) >= 30);
    assert_int_equal(count_exchanges(1, 0), 100);
}

/* ---- failing devices ------------------------------------------------------------------------------- */

static void a_timeout_within_the_retries_is_asked_again_and_hurts_nothing(void **state)
{
    (void)state;
    world_add_device(2, 5 * S);
    world.devices[0].n_silent = 1;
    world_start();

    world_run(4 * S);

    assert_int_equal(count_exchanges(0, 0), 2);
    assert_int_equal(count_messages("d0/p0", "good", 0), 1);
    assert_int_equal(count_messages("d0/p0", "bad", 0), 0);
}

static void an_untrusted_answer_is_asked_again_like_a_timeout(void **state)
{
    (void)state;
    world_add_device(1, 5 * S);
    world.devices[0].is_garbled = true;
    world_start();

    world_run(500 * MS);

    assert_true(count_exchanges(0, 0) >= 2);
    assert_last("d0/p0", "\"value\":null");
    assert_last("d0/p0", "bad_crc");
}

static void the_request_that_failed_is_asked_first_next_time(void **state)
{
    (void)state;
    world_add_device(6, 1 * S);
    world.devices[0].per_request = 2;
    world_start();
    world_run(1 * S);
    size_t before = world.n_exchanges;

    world_run(15 * MS); /* p0 and p2 are through */
    world.devices[0].is_silent = true;
    world_run(5 * S); /* suspect, then offline, and probed once */
    for (size_t i = before + 2; i < world.n_exchanges; i++)
        assert_int_equal(world.exchanges[i].first, 4);
    assert_int_equal(world.loop->stats.n_devices_online, 0);
    while (world.exchanges[world.n_exchanges - 1].first == 4)
        world_run(1 * S); /* every second probe begins with another point */
    size_t silent = world.n_exchanges;
    int64_t since_us = world.now_us;
    world.devices[0].is_silent = false;
    while (world.n_exchanges == silent)
        world_run(100 * MS);
    world_run(50 * MS); /* the rest of that cycle */

    assert_int_equal(world.exchanges[silent].first, world.exchanges[silent - 1].first);
    for (size_t p = 0; p < 6; p++) /* and nothing is read twice in it */
        assert_int_equal(count_messages(world.topics[0][p], "good", since_us), 1);
}

static void a_dead_unit_costs_its_neighbours_one_timeout_per_probe(void **state)
{
    (void)state;
    world_add_device(8, 100 * MS);
    world.devices[0].per_request = 1;
    world.device_confs[0].timeout_us = 200 * MS;
    world_add_device(1, 100 * MS);
    world.devices[0].is_silent = true;
    world_start();
    world_run(10 * S);
    int64_t since_us = world.now_us;

    world_run(300 * S);

    size_t n_probes = count_exchanges(0, since_us);
    assert_in_range(n_probes, 9, 14); /* every 30 s at last */
    /* A probe takes 205 ms; of the neighbour's 3000 polls no more than the two that fall into each are lost. */
    assert_true(count_exchanges(1, since_us) >= 3000 - 2 * n_probes);
    for (size_t i = 1; i < world.n_exchanges;
         i++) /* and never two probes in a row without the neighbour */
        assert_false(world.exchanges[i].at_us >= since_us && world.exchanges[i].device == 0 &&
                     world.exchanges[i - 1].device == 0);
}

static void an_offline_device_is_bad_once_with_a_reason(void **state)
{
    (void)state;
    world_add_device(2, 100 * MS);
    world.points[0][1].interval_us = 60 * S; /* not due when it happens */
    world_start();
    world_run(1 * S);
    world.devices[0].is_silent = true;

    world_run(600 * S);

    for (size_t p = 0; p < 2; p++) {
        assert_int_equal(count_messages(world.topics[0][p], "bad", 0), 1);
        assert_last(world.topics[0][p], "\"reason\":\"timeout\"");
    }
    assert_int_equal(world.loop->stats.n_devices_online, 0);
}

static void a_device_that_comes_back_is_good_at_once_with_all_its_points(void **state)
{
    (void)state;
    world_add_device(2, 100 * MS);
    world.points[0][1].interval_us = 3600 * S;
    world_start();
    world_run(1 * S);
    world.devices[0].is_silent = true;
    world_run(600 * S);
    world.devices[0].is_silent = false;
    int64_t since_us = world.now_us;

    world_run(31 * S); /* the longest pause */

    assert_true(count_messages("d0/p0", "good", since_us) > 1);
    assert_int_equal(count_messages("d0/p1", "good", since_us), 1);
    assert_int_equal(world.loop->stats.n_devices_online, 1);
}

static void a_device_is_suspect_no_longer_than_it_has_to_be(void **state)
{
    (void)state;
    world_add_device(1, 60 * S);
    world.devices[0].n_silent = 2; /* one more than its retries */
    world_start();

    world_run(10 * S);

    /* Bad for the moment, but not for the 60 s to its next turn. */
    assert_int_equal(count_messages("d0/p0", "timeout", 0), 1);
    assert_last("d0/p0", "good");
}

static void a_failing_device_leaves_what_it_did_not_ask_for_good_until_it_is_offline(void **state)
{
    (void)state;
    world_add_device(2, 100 * MS);
    world.points[0][1].interval_us = 60 * S;
    world.device_confs[0].retries = 0;
    world_start();
    world_run(1 * S);
    world.devices[0].is_silent = true;

    world_run(1200 * MS);
    assert_last("d0/p0", "timeout");
    assert_last("d0/p1", "good");
    world_run(10 * S);
    assert_last("d0/p1", "timeout");
}

static void busy_is_asked_again_after_a_pause_and_does_not_count_as_failing(void **state)
{
    (void)state;
    world_add_device(1, 5 * S);
    world.device_confs[0].retries = 0;
    world.devices[0].n_busy = 5;
    world_start();

    world_run(4 * S);

    assert_int_equal(count_exchanges(0, 0), 6);
    for (size_t i = 1; i < 6; i++) /* 10 ms of exchange, 100 ms of pause */
        assert_int_equal(world.exchanges[i].at_us - world.exchanges[i - 1].at_us, 110 * MS);
    assert_int_equal(count_messages("d0/p0", "bad", 0), 0);
    assert_int_equal(count_messages("d0/p0", "good", 0), 1);
}

static void a_device_that_is_busy_for_ever_ends_as_offline(void **state)
{
    (void)state;
    world_add_device(1, 100 * MS);
    world_add_device(1, 100 * MS);
    world.devices[0].n_busy = 1000000;
    world_start();

    world_run(60 * S);

    assert_last("d0/p0", "busy");
    assert_int_equal(world.loop->stats.n_devices_online, 1);
    assert_true(count_messages("d1/p0", "good", 0) > 590);
}

/* ---- refused points -------------------------------------------------------------------------------- */

static void a_refused_request_is_split_until_the_unreadable_point_is_found(void **state)
{
    (void)state;
    world_add_device(16, 1 * S);
    world.devices[0].refuses[5] = true;
    world_start();

    world_run(1 * S - 1);

    for (size_t p = 0; p < 16; p++)
        assert_last(world.topics[0][p], p == 5 ? "illegal_data_address" : "good");
    /* 16 refused, 8 refused + 8, 4 + 4 refused, 2 refused + 2, 1 + 1 refused: all in one cycle. */
    assert_int_equal(count_exchanges(0, 0), 9);
    assert_int_equal(world.loop->stats.n_devices_online, 1);
}

static void a_refused_point_is_bad_once_and_asked_again_with_a_growing_pause(void **state)
{
    (void)state;
    world_add_device(4, 1 * S);
    world.devices[0].refuses[2] = true;
    world_start();

    world_run(590 * S);

    assert_int_equal(count_messages("d0/p2", "illegal_data_address", 0), 1);
    int64_t tried_us = 0, pause_us = 0;
    for (size_t i = 0; i < world.n_exchanges; i++) {
        const struct world_exchange *e = &world.exchanges[i];

        if (e->first != 2 || e->n_members != 1)
            continue;
        if (tried_us > 0) {
            assert_true(e->at_us - tried_us >= (pause_us > 0 ? 2 * pause_us - 2 * S : 10 * S));
            pause_us = e->at_us - tried_us;
        }
        tried_us = e->at_us;
    }
    assert_true(pause_us >= 160 * S);
    assert_int_equal(count_messages("d0/p1", "good", 0), 590);
    assert_int_equal(count_messages("d0/p3", "good", 0), 590);
}

static void a_refused_point_that_can_be_read_again_is_good_again(void **state)
{
    (void)state;
    world_add_device(4, 1 * S);
    world.devices[0].refuses[2] = true;
    world_start();
    world_run(5 * S);
    world.devices[0].refuses[2] = false;

    world_run(10 * S);

    assert_last("d0/p2", "good");
    int64_t since_us = world.now_us;
    world_run(10 * S);
    assert_int_equal(count_messages("d0/p2", "good", since_us), 10);
}

static void the_driver_forgets_its_holes_every_ten_minutes(void **state)
{
    (void)state;
    world_add_device(4, 1 * S);
    world_add_device(4, 1 * S);
    world.devices[0].refuses[2] = true;
    world_start();

    world_run(1900 * S);

    assert_int_equal(world.devices[0].n_forgets, 3);
    assert_int_equal(world.devices[1].n_forgets, 0);
}

static void a_driver_that_cannot_split_loses_only_that_request(void **state)
{
    (void)state;
    world_add_device(4, 1 * S);
    world.devices[0].per_request = 2;
    world.devices[0].refuses[1] = true;
    world.driver.split = NULL;
    world_start();

    world_run(5 * S);

    assert_last("d0/p0", "illegal_data_address");
    assert_last("d0/p1", "illegal_data_address");
    assert_last("d0/p2", "good");
    assert_last("d0/p3", "good");
}

static enum gw_err split_for_ever(struct gw_device *device, const struct gw_request *request,
                                  const uint16_t *members, struct gw_plan *plan)
{
    (void)device;
    add_request(plan, members, request->n_members);
    return GW_OK;
}

static void a_driver_that_splits_for_ever_is_stopped(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world.devices[0].refuses[0] = true;
    world.driver.split = split_for_ever;
    world_start();

    world_run(1 * S - 1);

    assert_true(count_exchanges(0, 0) < 100);
    assert_last("d0/p0", "illegal_data_address");
}

static enum gw_err refuse_p1(size_t device, const uint16_t *members, size_t n,
                             struct gw_result *results)
{
    (void)device;
    for (size_t i = 0; i < n; i++)
        if (members[i] == 1)
            results[i] = (struct gw_result){.err = GW_E_REFUSED, .reason = "illegal_function"};
        else
            results[i].value = (struct gw_value){.kind = GW_INT, .i = 7};
    return GW_OK;
}

static void a_point_refused_on_its_own_is_blocked_on_its_own(void **state)
{
    (void)state;
    world_add_device(3, 1 * S);
    world.answer = refuse_p1;
    world_start();

    world_run(5 * S - 1);

    assert_int_equal(count_messages("d0/p1", "illegal_function", 0), 1);
    assert_int_equal(count_messages("d0/p2", "good", 0), 5);
    assert_int_equal(world.exchanges[world.n_exchanges - 1].n_members, 2);
}

static enum gw_err deliver_p0_partly(size_t device, const uint16_t *members, size_t n,
                                     struct gw_result *results)
{
    (void)device;
    for (size_t i = 0; i < n; i++) {
        results[i].is_partial = members[i] == 0;
        results[i].value = (struct gw_value){.kind = GW_INT, .i = 1};
    }
    return GW_OK;
}

static void a_point_that_was_never_delivered_whole_is_bad(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world.answer = deliver_p0_partly;
    world_start();

    world_run(3 * S - 1);

    assert_int_equal(count_messages("d0/p0", "good", 0), 0);
    assert_int_equal(count_messages("d0/p0", "incomplete", 0), 1);
    assert_int_equal(count_messages("d0/p1", "good", 0), 3);
}

static enum gw_err no_plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                           struct gw_plan *plan)
{
    (void)points, (void)n_points;
    return device->index == 0 ? GW_OK : world_plan(device, points, n_points, plan);
}

static void a_driver_that_cannot_plan_makes_bad_points_not_a_stop(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world_add_device(1, 1 * S);
    world.driver.plan = no_plan; /* leaves out what was asked for */
    world_start();

    world_run(5 * S - 1);

    assert_int_equal(count_messages("d0/p0", "no_plan", 0), 1);
    assert_int_equal(count_messages("d1/p0", "good", 0), 5);
}

static void a_register_met_with_silence_does_not_take_its_device_away(void **state)
{
    (void)state;
    world_add_device(8, 1 * S);
    world.devices[0].per_request = 4;
    world_add_device(1, 1 * S);
    world.devices[0].ignores[5] = true;
    world_start();

    world_run(120 * S);

    /* From now on only that register is bad, and the time lost on it is small. */
    int64_t since_us = world.now_us;
    world_run(300 * S);
    for (size_t p = 0; p < 8; p++)
        if (p != 5)
            assert_true(count_messages(world.topics[0][p], "good", since_us) >= 290);
    assert_last("d0/p5", "timeout");
    assert_int_equal(count_messages("d0/p5", "", since_us), 0);
    assert_true(count_messages("d1/p0", "good", since_us) >= 290);
    assert_int_equal(world.loop->stats.n_devices_online, 2);
}

static void a_device_that_dies_is_not_taken_apart(void **state)
{
    (void)state;
    world_add_device(16, 1 * S);
    world.devices[0].per_request = 4;
    world_start();
    for (int i = 0; i < 20; i++) { /* at every place of its cycle */
        world.devices[0].is_silent = true;
        world_run(97 * S);
        world.devices[0].is_silent = false;
        world_run(64 * S + i * 3 * MS);
    }
    int64_t since_us = world.now_us;

    world_run(10 * S);

    for (size_t p = 0; p < 16; p++) {
        assert_in_range(count_messages(world.topics[0][p], "good", since_us), 9, 11);
        assert_false(world.devices[0].holes[p]);
        assert_false(world.loop->devices[0].points[p].is_refused);
    }
}

/* ---- the link -------------------------------------------------------------------------------------- */

static void a_link_that_breaks_is_opened_again_with_nothing_lost(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world_start();
    world_run(1500 * MS);
    world.n_link_breaks = 1; /* an idle connection that the server has closed */

    world_run(10 * S);

    assert_int_equal(world.n_opens, 2);
    assert_int_equal(count_messages("d0/p0", "bad", 0), 0);
    assert_int_equal(count_messages("d0/p0", "good", 0), 12);
}

static void a_link_that_is_gone_makes_all_points_bad_once(void **state)
{
    (void)state;
    world_add_device(2, 1 * S);
    world_add_device(1, 60 * S);
    world_start();
    world_run(1500 * MS);
    world.link_breaks = true;
    world.is_reachable = false;

    world_run(600 * S);

    assert_int_equal(count_messages("d0/p0", "link_down", 0), 1);
    assert_int_equal(count_messages("d0/p1", "link_down", 0), 1);
    assert_int_equal(count_messages("d1/p0", "link_down", 0), 1);
    assert_false(world.loop->stats.is_open);
    /* 1, 2, 4, 8, 8 ... s, each up to a quarter shorter. */
    assert_in_range(world.n_open_tries, 600 / 8, 600 / 6 + 6);
}

static void a_link_that_returns_is_read_at_once(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world_add_device(1, 3600 * S);
    world_start();
    world_run(1500 * MS);
    world.link_breaks = true;
    world.is_reachable = false;
    world_run(600 * S);
    world.link_breaks = false;
    world.is_reachable = true;
    int64_t since_us = world.now_us;

    world_run(9 * S);

    assert_true(count_messages("d0/p0", "good", since_us) >= 1);
    assert_int_equal(count_messages("d1/p0", "good", since_us), 1);
    assert_true(world.loop->stats.is_open);
}

static void a_link_that_is_down_at_the_start_is_bad_once_and_picked_up(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world.is_reachable = false;
    world_start();
    world_run(100 * S);
    assert_int_equal(count_messages("d0/p0", "link_down", 0), 1);
    world.is_reachable = true;

    world_run(9 * S);

    assert_last("d0/p0", "good");
}

static void a_host_that_accepts_and_hangs_up_is_down_and_backed_off(void **state)
{
    (void)state;
    world_add_device(1, 100 * MS);
    world.link_breaks = true;
    world_start();

    world_run(600 * S);

    assert_int_equal(count_messages("d0/p0", "link_down", 0), 1);
    assert_int_equal(world.n_messages, 1);
    assert_in_range(world.n_opens, 600 / 8, 600 / 6 + 6);
}

static void a_server_that_closes_after_every_answer_is_no_failure(void **state)
{
    (void)state;
    world_add_device(1, 1 * S);
    world_start();
    for (int i = 0; i < 20; i++) {
        world_run(1 * S);
        world.n_link_breaks = 1;
    }

    assert_int_equal(count_messages("d0/p0", "bad", 0), 0);
    assert_int_equal(count_messages("d0/p0", "good", 0), 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_point_is_polled_in_its_interval_without_drift),
        TEST(a_reading_carries_the_wall_clock_of_its_arrival),
        TEST(with_align_polls_stand_on_multiples_of_the_wall_clock),
        TEST(polls_that_come_too_late_are_merged_and_counted),
        TEST(groups_of_one_device_share_requests_when_they_meet),
        TEST(the_deadline_of_a_request_is_its_wire_time_and_the_timeout),
        TEST(a_long_cycle_does_not_hold_up_a_faster_device),
        TEST(on_an_overloaded_bus_every_device_gets_its_turn),
        TEST(a_held_device_is_left_alone_while_the_others_go_on),
        TEST(a_timeout_within_the_retries_is_asked_again_and_hurts_nothing),
        TEST(an_untrusted_answer_is_asked_again_like_a_timeout),
        TEST(the_request_that_failed_is_asked_first_next_time),
        TEST(a_dead_unit_costs_its_neighbours_one_timeout_per_probe),
        TEST(an_offline_device_is_bad_once_with_a_reason),
        TEST(a_device_that_comes_back_is_good_at_once_with_all_its_points),
        TEST(a_device_is_suspect_no_longer_than_it_has_to_be),
        TEST(a_failing_device_leaves_what_it_did_not_ask_for_good_until_it_is_offline),
        TEST(busy_is_asked_again_after_a_pause_and_does_not_count_as_failing),
        TEST(a_device_that_is_busy_for_ever_ends_as_offline),
        TEST(a_refused_request_is_split_until_the_unreadable_point_is_found),
        TEST(a_refused_point_is_bad_once_and_asked_again_with_a_growing_pause),
        TEST(a_refused_point_that_can_be_read_again_is_good_again),
        TEST(the_driver_forgets_its_holes_every_ten_minutes),
        TEST(a_driver_that_cannot_split_loses_only_that_request),
        TEST(a_driver_that_splits_for_ever_is_stopped),
        TEST(a_point_refused_on_its_own_is_blocked_on_its_own),
        TEST(a_point_that_was_never_delivered_whole_is_bad),
        TEST(a_driver_that_cannot_plan_makes_bad_points_not_a_stop),
        TEST(a_register_met_with_silence_does_not_take_its_device_away),
        TEST(a_device_that_dies_is_not_taken_apart),
        TEST(a_link_that_breaks_is_opened_again_with_nothing_lost),
        TEST(a_link_that_is_gone_makes_all_points_bad_once),
        TEST(a_link_that_returns_is_read_at_once),
        TEST(a_link_that_is_down_at_the_start_is_bad_once_and_picked_up),
        TEST(a_host_that_accepts_and_hangs_up_is_down_and_backed_off),
        TEST(a_server_that_closes_after_every_answer_is_no_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
