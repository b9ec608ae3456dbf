/* The watch on the wall clock, with clocks that are turned by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/clock_watch.h"

enum { S_2026 = 1795871000 }; /* 2026-11-28 */

static struct hands {
    int64_t mono_ms, wall_ms;
} hands;

static int64_t mono_us(void *ctx)
{
    return ((struct hands *)ctx)->mono_ms * 1000;
}

static int64_t wall_ms(void *ctx)
{
    return ((struct hands *)ctx)->wall_ms;
}

static const struct gw_clock turned = {.ctx = &hands, .now_us = mono_us, .wall_ms = wall_ms};

/* Looks after a second, in which the wall clock went that and a jump. */
static enum gw_clock_news look(struct gw_clock_watch *watch, int64_t jump_ms)
{
    hands.mono_ms += 1000;
    hands.wall_ms += 1000 + jump_ms;
    return gw_clock_watch_look(watch, &turned);
}

static void a_clock_that_goes_well_is_no_news(void **state)
{
    struct gw_clock_watch watch = {0};

    (void)state;
    hands = (struct hands){.mono_ms = 5000, .wall_ms = S_2026 * INT64_C(1000)};
    for (int i = 0; i < 10; i++)
        assert_int_equal(look(&watch, i % 2 ? 1500 : -1500), GW_CLOCK_QUIET);
}

static void a_clock_that_was_never_set_is_told_once_and_when_it_is_set(void **state)
{
    struct gw_clock_watch watch = {0};

    (void)state;
    hands = (struct hands){.mono_ms = 5000, .wall_ms = 20000};
    assert_int_equal(look(&watch, 0), GW_CLOCK_UNSET);
    assert_int_equal(look(&watch, 0), GW_CLOCK_QUIET);
    assert_int_equal(look(&watch, S_2026 * INT64_C(1000)), GW_CLOCK_SET);
    assert_int_equal(look(&watch, 0), GW_CLOCK_QUIET);
    assert_int_equal(look(&watch, -hands.wall_ms), GW_CLOCK_UNSET);
}

static void jumps_are_told_with_how_far_they_went(void **state)
{
    struct gw_clock_watch watch = {0};

    (void)state;
    hands = (struct hands){.mono_ms = 5000, .wall_ms = S_2026 * INT64_C(1000)};
    assert_int_equal(look(&watch, 0), GW_CLOCK_QUIET);
    assert_int_equal(look(&watch, 3600000), GW_CLOCK_JUMPED);
    assert_int_equal(watch.jump_ms, 3600000);
    assert_int_equal(look(&watch, 0), GW_CLOCK_QUIET);
    assert_int_equal(look(&watch, -7200000), GW_CLOCK_JUMPED);
    assert_int_equal(watch.jump_ms, -7200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_goes_well_is_no_news),
        cmocka_unit_test(a_clock_that_was_never_set_is_told_once_and_when_it_is_set),
        cmocka_unit_test(jumps_are_told_with_how_far_they_went),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
