/* Filter: which readings become messages. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/mapping.h"
#include "tests/unit/random.h"
#include "tests/unit/values.h"

#define S 1000000LL /* us */

static struct gw_reading good(struct gw_value value)
{
    return (struct gw_reading){.quality = GW_GOOD, .value = value};
}

static struct gw_reading bad(const char *reason)
{
    return (struct gw_reading){.quality = GW_BAD, .reason = reason};
}

/* Offers a reading and publishes it when the filter wants it. */
static bool offer(const struct gw_publish *publish, struct gw_point_state *point,
                  struct gw_reading reading, int64_t now_us)
{
    bool wants = gw_filter_wants(publish, point, &reading, now_us);

    if (wants)
        gw_filter_published(point, &reading, now_us);
    return wants;
}

static void every_reading_is_published_unless_asked_otherwise(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_EVERY};
    struct gw_point_state point = {0};

    (void)state;
    assert_true(offer(&publish, &point, good(INT_(1)), 0));
    assert_true(offer(&publish, &point, good(INT_(1)), 1 * S));
    assert_true(offer(&publish, &point, bad("timeout"), 2 * S));
    assert_true(offer(&publish, &point, bad("timeout"), 3 * S));
}

static void with_change_the_same_value_is_published_once(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE};
    struct gw_point_state point = {0};

    (void)state;
    assert_true(offer(&publish, &point, good(INT_(0)), 5 * S));
    assert_false(offer(&publish, &point, good(INT_(0)), 6 * S));
    assert_true(offer(&publish, &point, good(INT_(1)), 7 * S));
    assert_false(offer(&publish, &point, good(INT_(1)), 8 * S));
    assert_true(offer(&publish, &point, good(DEC_(2301, -1)), 9 * S));
    assert_false(offer(&publish, &point, good(DEC_(23010, -2)), 10 * S));
    assert_true(offer(&publish, &point, good(F32_(0.0f)), 11 * S));
    assert_false(offer(&publish, &point, good(F32_(-0.0f)), 12 * S));
    assert_true(offer(&publish, &point, good(UINT_(9007199254740992u)), 13 * S));
    assert_true(offer(&publish, &point, good(UINT_(9007199254740993u)), 14 * S));
}

static void a_change_of_quality_or_reason_is_always_published(void **state)
{
    struct gw_publish publish = {
        .when = GW_WHEN_CHANGE, .deadband = {10, false}, .min_interval_us = 60 * S};
    struct gw_point_state point = {0};

    (void)state;
    assert_true(offer(&publish, &point, good(INT_(5)), 0));
    assert_true(offer(&publish, &point, bad("timeout"), 1 * S));
    assert_false(offer(&publish, &point, bad("timeout"), 2 * S));
    assert_true(offer(&publish, &point, bad("link"), 3 * S));
    assert_true(offer(&publish, &point, good(INT_(5)), 4 * S));
    assert_false(offer(&publish, &point, good(INT_(5)), 5 * S));
}

static void bad_readings_can_be_left_out(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .on_bad = GW_ON_BAD_SKIP};
    struct gw_point_state point = {0};

    (void)state;
    assert_false(offer(&publish, &point, bad("timeout"), 0));
    assert_true(offer(&publish, &point, good(INT_(5)), 1 * S));
    assert_false(offer(&publish, &point, bad("timeout"), 2 * S));
    assert_false(offer(&publish, &point, good(INT_(5)), 3 * S));
    assert_true(offer(&publish, &point, good(INT_(6)), 4 * S));
}

static void a_deadband_is_measured_from_the_last_published_value(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .deadband = {1, false}};
    struct gw_point_state point = {0};
    int n_published = 0;

    (void)state;
    assert_true(offer(&publish, &point, good(DEC_(2300, -1)), 0));
    assert_false(offer(&publish, &point, good(DEC_(2310, -1)), 1 * S)); /* exactly the deadband */
    assert_true(offer(&publish, &point, good(DEC_(2311, -1)), 2 * S));
    assert_false(offer(&publish, &point, good(DEC_(2301, -1)), 3 * S));
    assert_true(offer(&publish, &point, good(DEC_(2300, -1)), 4 * S));
    /* A drift of 0.1 per poll, never more than that from one poll to the next: 230.0 to 330.0. */
    for (int i = 1; i <= 1000; i++)
        n_published += offer(&publish, &point, good(DEC_(2300 + i, -1)), (4 + i) * S);
    assert_int_equal(n_published, 1000 / 11); /* every 1.1 */
}

static void binary_fractions_do_not_cross_a_deadband(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .deadband = {0.1, false}};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct gw_point_state point = {0};
        struct gw_point_state single = {0};

        offer(&publish, &point, good(DEC_(i, -1)), 0);
        offer(&publish, &single, good(F32_((float)i / 10)), 0);

        assert_false(offer(&publish, &point, good(DEC_(i + 1, -1)), 1));
        assert_true(offer(&publish, &point, good(DEC_(10 * i + 11, -2)), 2));
        assert_false(offer(&publish, &single, good(F32_((float)(i + 1) / 10)), 1));
        assert_true(offer(&publish, &single, good(F32_((float)(10 * i + 11) / 100)), 2));
    }
}

static void a_deadband_in_percent_follows_the_last_published_value(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .deadband = {0.5, true}};
    struct gw_point_state point = {0};

    (void)state;
    assert_true(offer(&publish, &point, good(F64_(-200)), 0));
    assert_false(offer(&publish, &point, good(F64_(-201)), 1 * S));
    assert_true(offer(&publish, &point, good(F64_(-201.01)), 2 * S));
    assert_true(offer(&publish, &point, good(F64_(0)), 3 * S));
    assert_false(offer(&publish, &point, good(F64_(0)), 4 * S));
    assert_true(offer(&publish, &point, good(F64_(1e-9)), 5 * S)); /* of zero there is no percent */
}

static void states_names_and_texts_know_no_deadband(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .deadband = {100, false}};
    struct gw_point_state point = {0};
    struct gw_reading ready = good(INT_(0)), running = good(INT_(1));

    (void)state;
    ready.enum_name = "ready";
    running.enum_name = "running";
    assert_true(offer(&publish, &point, good(BOOL_(false)), 0));
    assert_true(offer(&publish, &point, good(BOOL_(true)), 1 * S));
    assert_false(offer(&publish, &point, good(BOOL_(true)), 2 * S));
    assert_true(offer(&publish, &point, good(TEXT_("A")), 3 * S));
    assert_true(offer(&publish, &point, good(TEXT_("B")), 4 * S));
    assert_false(offer(&publish, &point, good(TEXT_("B")), 5 * S));
    assert_true(offer(&publish, &point, ready, 6 * S));
    assert_true(offer(&publish, &point, running, 7 * S));
    assert_false(offer(&publish, &point, running, 8 * S));
    assert_true(offer(&publish, &point, good(INT_(2)), 9 * S)); /* a number after a name */
    assert_false(offer(&publish, &point, good(INT_(50)), 10 * S));
}

static void a_minimum_interval_delays_but_does_not_lose_a_change(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .min_interval_us = 10 * S};
    struct gw_point_state point = {0};

    (void)state;
    assert_true(offer(&publish, &point, good(INT_(1)), 0));
    assert_false(offer(&publish, &point, good(INT_(2)), 1 * S));
    assert_false(offer(&publish, &point, good(INT_(2)), 9 * S));
    assert_true(offer(&publish, &point, good(INT_(2)), 10 * S));
    publish.when = GW_WHEN_EVERY;
    assert_false(offer(&publish, &point, good(INT_(2)), 19 * S));
    assert_true(offer(&publish, &point, good(INT_(2)), 20 * S));
    assert_true(offer(&publish, &point, bad("busy"), 21 * S));
    assert_false(offer(&publish, &point, bad("busy"), 22 * S));
    assert_true(offer(&publish, &point, bad("busy"), 31 * S));
}

/* Polled every second, each up to 20 ms early or late. */
static void jitter_of_the_polls_does_not_double_an_interval(void **state)
{
    struct test_random random = test_random_start();
    struct gw_publish every = {.when = GW_WHEN_EVERY, .min_interval_us = 1 * S};
    struct gw_publish repeat = {.when = GW_WHEN_CHANGE, .max_silence_us = 10 * S};
    struct gw_point_state limited = {0}, silent = {0};
    int n_limited = 0, n_silent = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t now_us = i * S + (int64_t)test_random_below(&random, 40001) - 20000;

        n_limited += offer(&every, &limited, good(INT_(i)), now_us);
        n_silent += offer(&repeat, &silent, good(INT_(1)), now_us);
    }
    assert_int_equal(n_limited, 1000);
    assert_int_equal(n_silent, 100);
}

static void a_value_that_stays_is_repeated_after_the_maximum_silence(void **state)
{
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .max_silence_us = 60 * S};
    struct gw_point_state point = {0};

    (void)state;
    assert_true(offer(&publish, &point, good(INT_(1)), 1 * S));
    assert_false(offer(&publish, &point, good(INT_(1)), 57 * S));
    assert_true(offer(&publish, &point, good(INT_(1)), 61 * S));
    assert_true(offer(&publish, &point, good(INT_(2)), 62 * S));
    assert_false(offer(&publish, &point, good(INT_(2)), 118 * S));
    assert_true(offer(&publish, &point, good(INT_(2)), 122 * S));
    assert_true(offer(&publish, &point, bad("timeout"), 123 * S));
    assert_false(offer(&publish, &point, bad("timeout"), 124 * S));
    assert_true(offer(&publish, &point, bad("timeout"), 183 * S));
}

/* The promise of a deadband: what the subscriber saw last is never farther from the truth than the deadband. */
static void a_subscriber_is_never_more_than_the_deadband_behind(void **state)
{
    struct test_random random = test_random_start();
    struct gw_publish publish = {.when = GW_WHEN_CHANGE, .deadband = {0.7, false}};
    struct gw_point_state point = {0};
    double truth = 0, seen = NAN;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        truth += ((double)test_random_below(&random, 2001) - 1000) / 3000;
        if (offer(&publish, &point, good(F64_(truth)), i * S))
            seen = truth;
        assert_true(fabs(truth - seen) <= 0.7 + 1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reading_is_published_unless_asked_otherwise),
        cmocka_unit_test(with_change_the_same_value_is_published_once),
        cmocka_unit_test(a_change_of_quality_or_reason_is_always_published),
        cmocka_unit_test(bad_readings_can_be_left_out),
        cmocka_unit_test(a_deadband_is_measured_from_the_last_published_value),
        cmocka_unit_test(binary_fractions_do_not_cross_a_deadband),
        cmocka_unit_test(a_deadband_in_percent_follows_the_last_published_value),
        cmocka_unit_test(states_names_and_texts_know_no_deadband),
        cmocka_unit_test(a_minimum_interval_delays_but_does_not_lose_a_change),
        cmocka_unit_test(jitter_of_the_polls_does_not_double_an_interval),
        cmocka_unit_test(a_value_that_stays_is_repeated_after_the_maximum_silence),
        cmocka_unit_test(a_subscriber_is_never_more_than_the_deadband_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
