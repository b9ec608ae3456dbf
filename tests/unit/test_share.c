/* Equal structs and texts are kept once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/share.h"

struct sample {
    uint64_t a;
    uint32_t b, c;
};

static struct gw_arena arena;
static struct gw_share share;

static int teardown(void **state)
{
    (void)state;
    gw_share_free(&share);
    gw_arena_free(&arena);
    return 0;
}

static void equal_structs_have_one_copy_which_is_not_the_original(void **state)
{
    struct sample one = {1, 2, 3}, same = {1, 2, 3};
    (void)state;

    const struct sample *kept = gw_share(&share, &arena, &one, sizeof one);

    assert_ptr_equal(gw_share(&share, &arena, &same, sizeof same), kept);
    memset(&one, 0, sizeof one);
    assert_memory_equal(kept, &same, sizeof same);
}

static void structs_that_differ_in_one_byte_are_kept_apart(void **state)
{
    struct sample samples[1000] = {0};
    const struct sample *kept[1000];
    (void)state;

    for (uint32_t i = 0; i < 1000; i++) {
        samples[i].c = i << 16; /* only in the upper half of the last word */
        kept[i] = gw_share(&share, &arena, &samples[i], sizeof samples[i]);
    }

    for (size_t i = 0; i < 1000; i++) {
        assert_memory_equal(kept[i], &samples[i], sizeof samples[i]);
        assert_ptr_equal(gw_share(&share, &arena, &samples[i], sizeof samples[i]), kept[i]);
        assert_true(i == 0 || kept[i] != kept[i - 1]);
    }
}

static void the_start_of_something_longer_is_something_else(void **state)
{
    const uint64_t words[2] = {7, 7};
    (void)state;

    const void *both = gw_share(&share, &arena, words, sizeof words);

    assert_ptr_not_equal(gw_share(&share, &arena, words, sizeof words[0]), both);
}

static void equal_texts_have_one_copy_and_an_end(void **state)
{
    const char text[] = "holding:100";
    (void)state;

    const char *kept = gw_share_text(&share, &arena, text, 9);

    assert_string_equal(kept, "holding:1");
    assert_ptr_equal(gw_share_text(&share, &arena, "holding:1", 9), kept);
    assert_string_equal(gw_share_text(&share, &arena, "", 0), "");
    assert_ptr_not_equal(gw_share_text(&share, &arena, text, 11), kept);
}

static void copies_stay_when_the_share_is_gone(void **state)
{
    (void)state;
    const char *kept = gw_share_text(&share, &arena, "speed", 5);

    gw_share_free(&share);

    assert_string_equal(kept, "speed");
    assert_ptr_not_equal(gw_share_text(&share, &arena, "speed", 5), kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(equal_structs_have_one_copy_which_is_not_the_original, teardown),
        cmocka_unit_test_teardown(structs_that_differ_in_one_byte_are_kept_apart, teardown),
        cmocka_unit_test_teardown(the_start_of_something_longer_is_something_else, teardown),
        cmocka_unit_test_teardown(equal_texts_have_one_copy_and_an_end, teardown),
        cmocka_unit_test_teardown(copies_stay_when_the_share_is_gone, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
