/* Health: from online to offline by count and time, pauses that double, points that are blocked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/duration.h"
#include "gateway/health.h"

#define MS INT64_C(1000)
#define S  (1000 * MS)

static const struct gw_health_limits limits = {
    .retries = 1,
    .offline_after_us = 3 * S,
    .suspect_pause_us = 250 * MS,
    .retry_max_us = 30 * S,
};

static void a_failure_within_the_retries_leaves_a_device_online(void **state)
{
    struct gw_health health = {0};

    (void)state;
    assert_int_equal(gw_health_failed(&health, &limits, 0, 1 * S), GW_HEALTH_ONLINE);
    assert_int_equal(gw_health_answered(&health), GW_HEALTH_ONLINE);
    assert_int_equal(gw_health_failed(&health, &limits, 9 * S, 10 * S), GW_HEALTH_ONLINE);
}

static void more_failures_than_retries_make_it_suspect_and_time_makes_it_offline(void **state)
{
    struct gw_health health = {0};

    (void)state;
    assert_int_equal(gw_health_failed(&health, &limits, 10 * S, 11 * S), GW_HEALTH_ONLINE);
    assert_int_equal(gw_health_failed(&health, &limits, 11 * S, 12 * S), GW_HEALTH_SUSPECT);
    assert_int_equal(health.probe_us, 12 * S + 250 * MS);
    /* Failing since it was first asked in vain, at 10 s: 3 s are over at 13 s and not before. */
    assert_int_equal(gw_health_failed(&health, &limits, 12 * S, 13 * S - 1), GW_HEALTH_SUSPECT);
    assert_int_equal(gw_health_failed(&health, &limits, 13 * S, 13 * S), GW_HEALTH_OFFLINE);
}

static void time_alone_does_not_make_it_offline(void **state)
{
    struct gw_health health = {0};

    (void)state;
    /* One failure, be it after an hour, is within the retries. */
    assert_int_equal(gw_health_failed(&health, &limits, 0, 3600 * S), GW_HEALTH_ONLINE);
}

static void an_offline_device_is_probed_after_1_s_doubling_to_the_longest_pause(void **state)
{
    struct gw_health health = {0};
    const int64_t pauses_s[] = {1, 2, 4, 8, 16, 30, 30, 30};
    int64_t now_us = 100 * S;

    (void)state;
    (void)gw_health_failed(&health, &limits, 90 * S, now_us);
    for (size_t i = 0; i < sizeof pauses_s / sizeof pauses_s[0]; i++) {
        assert_int_equal(gw_health_failed(&health, &limits, now_us - S, now_us), GW_HEALTH_OFFLINE);
        assert_int_equal(health.probe_us - now_us, pauses_s[i] * S);
        now_us = health.probe_us;
    }
}

static void a_longest_pause_below_1_s_holds_from_the_start(void **state)
{
    const struct gw_health_limits fast = {.retry_max_us = 200 * MS};
    struct gw_health health = {0};

    (void)state;
    assert_int_equal(gw_health_failed(&health, &fast, 0, 1 * S), GW_HEALTH_OFFLINE);
    assert_int_equal(health.probe_us, 1 * S + 200 * MS);
}

static void an_answer_forgets_all_failures(void **state)
{
    struct gw_health health = {0};

    (void)state;
    for (int64_t s = 0; s < 10; s++)
        (void)gw_health_failed(&health, &limits, s * S, (s + 1) * S);
    assert_int_equal(gw_health_answered(&health), GW_HEALTH_OFFLINE);

    assert_int_equal(health.state, GW_HEALTH_ONLINE);
    assert_int_equal(gw_health_failed(&health, &limits, 20 * S, 21 * S), GW_HEALTH_ONLINE);
    assert_int_equal(gw_health_failed(&health, &limits, 21 * S, 22 * S), GW_HEALTH_SUSPECT);
    assert_int_equal(gw_health_failed(&health, &limits, 22 * S, 24 * S), GW_HEALTH_OFFLINE);
    assert_int_equal(health.probe_us, 25 * S); /* the pause began anew */
}

static void a_device_without_retries_and_patience_is_offline_at_once(void **state)
{
    const struct gw_health_limits strict = {.retry_max_us = 30 * S};
    struct gw_health health = {0};

    (void)state;
    assert_int_equal(gw_health_failed(&health, &strict, 5 * S, 5 * S), GW_HEALTH_OFFLINE);
}

static void a_refused_point_is_tried_after_10_s_doubling_to_10_min(void **state)
{
    struct gw_block block = {0};
    const int64_t pauses_s[] = {10, 20, 40, 80, 160, 320, 600, 600};
    int64_t now_us = 7 * S;

    (void)state;
    for (size_t i = 0; i < sizeof pauses_s / sizeof pauses_s[0]; i++) {
        gw_block_refused(&block, now_us);
        assert_true(block.is_blocked);
        assert_false(gw_block_try(&block, now_us + pauses_s[i] * S - 1));
        now_us += pauses_s[i] * S;
        assert_true(gw_block_try(&block, now_us));
        assert_false(block.is_blocked);
    }
}

static void a_point_that_was_read_starts_anew(void **state)
{
    struct gw_block block = {0};

    (void)state;
    gw_block_refused(&block, 0);
    gw_block_refused(&block, 10 * S);
    gw_block_answered(&block);

    assert_false(gw_block_try(&block, 1000 * S)); /* there is nothing to lift */
    gw_block_refused(&block, 1000 * S);
    assert_true(gw_block_try(&block, 1010 * S));
}

static void spans_read_as_a_person_says_them(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "0 ms"},
        {-5, "0 ms"},
        {1499, "1 ms"},
        {250 * MS, "250 ms"},
        {1 * S, "1 s"},
        {1500 * MS, "1500 ms"},
        {2400 * MS, "2 s"},
        {30 * S, "30 s"},
        {60 * S, "1 min"},
        {90 * S, "90 s"},
        {250 * S, "4 min"},
        {3600 * S, "1 h"},
        {36 * 3600 * S, "36 h"},
        {86400 * S, "1 d"},
        {1000000 * S, "12 d"},
    };
    char buf[GW_DURATION_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(gw_duration_print(rows[i].us, buf), rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_within_the_retries_leaves_a_device_online),
        cmocka_unit_test(more_failures_than_retries_make_it_suspect_and_time_makes_it_offline),
        cmocka_unit_test(time_alone_does_not_make_it_offline),
        cmocka_unit_test(an_offline_device_is_probed_after_1_s_doubling_to_the_longest_pause),
        cmocka_unit_test(a_longest_pause_below_1_s_holds_from_the_start),
        cmocka_unit_test(an_answer_forgets_all_failures),
        cmocka_unit_test(a_device_without_retries_and_patience_is_offline_at_once),
        cmocka_unit_test(a_refused_point_is_tried_after_10_s_doubling_to_10_min),
        cmocka_unit_test(a_point_that_was_read_starts_anew),
        cmocka_unit_test(spans_read_as_a_person_says_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
