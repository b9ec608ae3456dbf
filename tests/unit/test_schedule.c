/* Schedule: phase, merging and overruns, alignment, and who goes next. Time is turned by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/schedule.h"

#define MS INT64_C(1000)
#define S  (1000 * MS)

static struct gw_schedule schedule_of(const int64_t *intervals_us, size_t n, uint8_t *group_of)
{
    struct gw_schedule schedule = {0};

    gw_schedule_group(&schedule, intervals_us, n, group_of);
    return schedule;
}

static void points_of_one_interval_form_a_group_the_fastest_first(void **state)
{
    const int64_t intervals[] = {1 * S, 250 * MS, 1 * S, 0, 10 * S, 250 * MS};
    uint8_t group_of[6];

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 6, group_of);

    assert_int_equal(schedule.n_groups, 3);
    assert_int_equal(schedule.groups[0].interval_us, 250 * MS);
    assert_int_equal(schedule.groups[2].interval_us, 10 * S);
    const uint8_t expected[] = {1, 0, 1, GW_SCHEDULE_NO_GROUP, 2, 0};
    assert_memory_equal(group_of, expected, sizeof expected);
}

static void more_than_64_intervals_are_never_polled_less_often_than_asked(void **state)
{
    int64_t intervals[100];
    uint8_t group_of[100];

    (void)state;
    for (size_t i = 0; i < 100; i++)
        intervals[i] = (int64_t)((i * 37) % 100 + 1) * S; /* 1-100 s, in disorder */

    struct gw_schedule schedule = schedule_of(intervals, 100, group_of);

    assert_int_equal(schedule.n_groups, GW_SCHEDULE_GROUPS_MAX);
    for (size_t i = 0; i < 100; i++) {
        int64_t polled = schedule.groups[group_of[i]].interval_us;

        assert_true(polled <= intervals[i]);
        if (intervals[i] <= 64 * S)
            assert_int_equal(polled, intervals[i]);
    }
}

/* One row of a run: take at this time, expect these groups, this deadline and so many merged polls. */
struct row {
    int64_t now_us;
    uint64_t groups;
    int64_t deadline_us;
    uint64_t n_missed;
};

static void check_rows(struct gw_schedule *schedule, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct gw_schedule_taken taken;

        gw_schedule_take(schedule, rows[i].now_us, 0, &taken);
        assert_int_equal(taken.groups, rows[i].groups);
        assert_int_equal(taken.deadline_us, rows[i].deadline_us);
        assert_int_equal(taken.n_missed, rows[i].n_missed);
    }
}

static void groups_meet_in_phase_and_share_a_poll(void **state)
{
    const int64_t intervals[] = {250 * MS, 1 * S};
    uint8_t group_of[2];
    const struct row rows[] = {
        {5 * S, 3, 5 * S + 250 * MS, 0},
        {5 * S + 249 * MS, 0, INT64_MAX, 0},
        {5 * S + 250 * MS, 1, 5 * S + 500 * MS, 0},
        {5 * S + 500 * MS, 1, 5 * S + 750 * MS, 0},
        {5 * S + 750 * MS, 1, 6 * S, 0},
        {6 * S, 3, 6 * S + 250 * MS, 0},
    };

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 2, group_of);
    gw_schedule_start(&schedule, 5 * S);

    check_rows(&schedule, rows, sizeof rows / sizeof rows[0]);
    assert_int_equal(gw_schedule_next(&schedule), 6 * S + 250 * MS);
}

static void a_late_poll_keeps_the_phase_and_merges_what_it_missed(void **state)
{
    const int64_t intervals[] = {100 * MS};
    uint8_t group_of[1];
    const struct row
        rows[] =
            {
                {0, 1, 100 * MS, 0},
                {130 * MS, 1, 200 * MS, 0}, /* late, but in its own interval: nothing is missed, no drift */
                {200 * MS, 1, 300 * MS, 0},
                {399 * MS, 1, 400 * MS, 0},
                {400 * MS, 1, 500 * MS, 0},
                {700 * MS, 1, 800 * MS, 2},   /* those of 500 and 600 are merged; 700 is due now */
                {1234 * MS, 1, 1300 * MS, 4}, /* 800-1100; 1200 is done now */
                {1299 * MS, 0, INT64_MAX, 0},
                {1300 * MS, 1, 1400 * MS, 0},
            };

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 1, group_of);
    gw_schedule_start(&schedule, 0);

    check_rows(&schedule, rows, sizeof rows / sizeof rows[0]);
}

static void a_million_jittery_polls_do_not_drift(void **state)
{
    const int64_t intervals[] = {20 * MS};
    uint8_t group_of[1];
    struct gw_schedule_taken taken;
    uint32_t jitter = 1;

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 1, group_of);
    gw_schedule_start(&schedule, 7);

    for (int i = 0; i < 1000000; i++) {
        jitter = jitter * 1664525u + 1013904223u;
        gw_schedule_take(&schedule, gw_schedule_next(&schedule) + jitter % 20000, 0, &taken);
        assert_int_equal(taken.n_missed, 0);
    }

    assert_int_equal(gw_schedule_next(&schedule), 7 + INT64_C(1000000) * 20 * MS);
}

static void every_missed_poll_is_counted_once(void **state)
{
    const int64_t intervals[] = {30 * MS, 70 * MS};
    uint8_t group_of[2];
    uint64_t n = 0;
    uint32_t random = 99;
    int64_t now_us = 0;

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 2, group_of);
    gw_schedule_start(&schedule, 0);
    while (now_us < 1000 * S) {
        struct gw_schedule_taken taken;

        gw_schedule_take(&schedule, now_us, 0, &taken);
        n += taken.n_polls + taken.n_missed;
        random = random * 1664525u + 1013904223u;
        now_us += random % 200000;
    }
    struct gw_schedule_taken last;
    gw_schedule_take(&schedule, 1000 * S, 0, &last);
    n += last.n_polls + last.n_missed;

    /* The due times in 0..1000 s: floor(1000 s / interval) + 1 of each. */
    assert_int_equal(n, 33333 + 1 + 14285 + 1);
}

static void aligned_polls_stand_on_multiples_of_the_wall_clock(void **state)
{
    const int64_t intervals[] = {15 * 60 * S};
    uint8_t group_of[1];
    struct gw_schedule_taken taken;
    const int64_t wall_ms = 1764000000000 + 8 * 60000; /* 2025-11-24 16:08:00 UTC */

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 1, group_of);
    schedule.is_aligned = true;
    gw_schedule_start(&schedule, 50 * S);

    gw_schedule_take(&schedule, 50 * S, wall_ms, &taken); /* one at once ... */
    assert_int_equal(taken.groups, 1);
    assert_int_equal(gw_schedule_next(&schedule), (50 + 7 * 60) * S); /* ... then at 16:15 */
    gw_schedule_take(&schedule, (50 + 7 * 60) * S, wall_ms + 7 * 60000, &taken);
    assert_int_equal(gw_schedule_next(&schedule), (50 + 22 * 60) * S);
}

static void an_aligned_poll_is_not_done_twice_when_the_wall_clock_is_a_little_behind(void **state)
{
    const int64_t intervals[] = {10 * S};
    uint8_t group_of[1];
    struct gw_schedule_taken taken;

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 1, group_of);
    schedule.is_aligned = true;
    gw_schedule_start(&schedule, 100 * S);

    gw_schedule_take(&schedule, 100 * S, 19997,
                     &taken); /* meant for 20.000, the clock was slewed */

    assert_int_equal(gw_schedule_next(&schedule), 110 * S + 3 * MS);
}

static void a_step_of_the_wall_clock_moves_aligned_polls_but_never_stops_them(void **state)
{
    const int64_t intervals[] = {10 * S};
    uint8_t group_of[1];
    struct gw_schedule_taken taken;

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 1, group_of);
    schedule.is_aligned = true;
    gw_schedule_start(&schedule, 100 * S);

    gw_schedule_take(&schedule, 100 * S, 1764000000000, &taken);
    assert_int_equal(gw_schedule_next(&schedule), 110 * S);
    gw_schedule_take(&schedule, 110 * S, 1764000000000 - 3600000 + 4000, &taken); /* an hour back */
    assert_int_equal(gw_schedule_next(&schedule), 116 * S);
    gw_schedule_take(&schedule, 116 * S, 1764000000000 + 86400000 + 9000, &taken); /* a day on */
    assert_int_equal(gw_schedule_next(&schedule), 117 * S);
}

static void a_late_aligned_poll_merges(void **state)
{
    const int64_t intervals[] = {1 * S};
    uint8_t group_of[1];
    struct gw_schedule_taken taken;

    (void)state;
    struct gw_schedule schedule = schedule_of(intervals, 1, group_of);
    schedule.is_aligned = true;
    gw_schedule_start(&schedule, 0);
    gw_schedule_take(&schedule, 0, 1000, &taken);

    gw_schedule_take(&schedule, 4 * S + 500 * MS, 5500, &taken);

    assert_int_equal(taken.n_missed, 3); /* due at 1; 2, 3 and 4 were merged */
    assert_int_equal(gw_schedule_next(&schedule), 5 * S);
}

static void the_earliest_deadline_goes_first(void **state)
{
    const struct gw_contender contenders[] = {
        {.deadline_us = 900, .is_ready = true},
        {.deadline_us = 300, .is_ready = false},
        {.deadline_us = 500, .is_ready = true},
    };
    bool late = false;

    (void)state;
    assert_int_equal(gw_schedule_pick(contenders, 3, 100, &late), 2);
    assert_false(late);
}

static void nobody_ready_is_nobody_picked(void **state)
{
    const struct gw_contender contenders[] = {{.deadline_us = 1}, {.deadline_us = 2}};
    bool late = false;

    (void)state;
    assert_int_equal(gw_schedule_pick(contenders, 2, 100, &late), SIZE_MAX);
    assert_int_equal(gw_schedule_pick(NULL, 0, 100, &late), SIZE_MAX);
}

static void of_equal_deadlines_a_device_is_read_in_one_go(void **state)
{
    struct gw_contender contenders[] = {
        {.deadline_us = 900, .served_us = 10, .is_ready = true},
        {.deadline_us = 900, .served_us = 20, .is_ready = true},
    };
    bool late = false;

    (void)state;
    assert_int_equal(gw_schedule_pick(contenders, 2, 100, &late), 1);
    contenders[1].is_ready = false; /* its cycle is over */
    assert_int_equal(gw_schedule_pick(contenders, 2, 100, &late), 0);
}

static void a_late_device_neither_starves_nor_starves_the_others(void **state)
{
    struct gw_contender contenders[] = {
        {.deadline_us = 100, .is_ready = true},  /* late for ever */
        {.deadline_us = 100, .is_ready = true},  /* late for ever */
        {.deadline_us = 9000, .is_ready = true}, /* in time */
    };
    unsigned n_served[3] = {0};
    bool late = false;

    (void)state;
    for (int64_t now_us = 1000; now_us < 1400; now_us++) {
        size_t i = gw_schedule_pick(contenders, 3, now_us, &late);

        n_served[i]++;
        contenders[i].served_us = now_us;
    }

    assert_int_equal(n_served[0], 100);
    assert_int_equal(n_served[1], 100);
    assert_int_equal(n_served[2], 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_of_one_interval_form_a_group_the_fastest_first),
        cmocka_unit_test(more_than_64_intervals_are_never_polled_less_often_than_asked),
        cmocka_unit_test(groups_meet_in_phase_and_share_a_poll),
        cmocka_unit_test(a_late_poll_keeps_the_phase_and_merges_what_it_missed),
        cmocka_unit_test(a_million_jittery_polls_do_not_drift),
        cmocka_unit_test(every_missed_poll_is_counted_once),
        cmocka_unit_test(aligned_polls_stand_on_multiples_of_the_wall_clock),
        cmocka_unit_test(an_aligned_poll_is_not_done_twice_when_the_wall_clock_is_a_little_behind),
        cmocka_unit_test(a_step_of_the_wall_clock_moves_aligned_polls_but_never_stops_them),
        cmocka_unit_test(a_late_aligned_poll_merges),
        cmocka_unit_test(the_earliest_deadline_goes_first),
        cmocka_unit_test(nobody_ready_is_nobody_picked),
        cmocka_unit_test(of_equal_deadlines_a_device_is_read_in_one_go),
        cmocka_unit_test(a_late_device_neither_starves_nor_starves_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
