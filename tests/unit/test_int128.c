/* Whole numbers of 127 bits: known values, and at random against the compiler's own where it has them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "gateway/int128.h"
#include "tests/unit/random.h"

#define PLUS(high, low)  ((struct gw_int128){(high), (low), false})
#define MINUS(high, low) ((struct gw_int128){(high), (low), true})
#define INT(x)           gw_int128_of_int64(x)
#define LARGEST          PLUS(UINT64_MAX >> 1, UINT64_MAX)

static void assert_is(struct gw_int128 a, struct gw_int128 expected)
{
    if (!gw_int128_is_equal(a, expected))
        fail_msg("%c%016llx%016llx is not %c%016llx%016llx", a.is_negative ? '-' : '+',
                 (unsigned long long)a.high, (unsigned long long)a.low,
                 expected.is_negative ? '-' : '+', (unsigned long long)expected.high,
                 (unsigned long long)expected.low);
}

static void numbers_of_64_bits_come_back(void **state)
{
    static const int64_t values[] = {0, 1, -1, 4711, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    int64_t x;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_true(gw_int128_to_int64(INT(values[i]), &x));
        assert_true(x == values[i]);
    }
}

static void what_does_not_fit_64_bits_is_refused(void **state)
{
    int64_t x = 4711;
    uint64_t u = 4711;

    (void)state;
    assert_false(gw_int128_to_int64(PLUS(0, 1ull << 63), &x));
    assert_false(gw_int128_to_int64(MINUS(0, (1ull << 63) + 1), &x));
    assert_false(gw_int128_to_int64(PLUS(1, 0), &x));
    assert_int_equal(x, 4711);
    assert_false(gw_int128_to_uint64(MINUS(0, 1), &u));
    assert_false(gw_int128_to_uint64(PLUS(1, 0), &u));
    assert_int_equal(u, 4711);
    assert_true(gw_int128_to_uint64(PLUS(0, UINT64_MAX), &u));
    assert_true(u == UINT64_MAX);
}

static void sums_carry_borrow_and_end_at_127_bits(void **state)
{
    struct gw_int128 sum;

    (void)state;
    assert_true(gw_int128_add(PLUS(0, UINT64_MAX), INT(1), &sum));
    assert_is(sum, PLUS(1, 0));
    assert_true(gw_int128_add(PLUS(1, 0), INT(-1), &sum));
    assert_is(sum, PLUS(0, UINT64_MAX));
    assert_true(gw_int128_add(INT(1), MINUS(1, 0), &sum));
    assert_is(sum, MINUS(0, UINT64_MAX));
    assert_true(gw_int128_add(MINUS(5, 6), PLUS(5, 6), &sum));
    assert_is(sum, INT(0));
    assert_false(gw_int128_add(LARGEST, INT(1), &sum));
    assert_false(gw_int128_add(gw_int128_negate(LARGEST), INT(-1), &sum));
    assert_is(sum, INT(0));
}

/* 12345678901234567890 x 9876543210987654321 = 121932631137021795223746380111126352690. */
static void products_have_all_their_bits(void **state)
{
    const struct gw_int128 a = PLUS(0, 12345678901234567890u), b = PLUS(0, 9876543210987654321u);
    struct gw_int128 product;

    (void)state;
    assert_true(gw_int128_multiply(PLUS(0, UINT64_MAX), PLUS(0, INT64_MAX), &product));
    assert_is(product, PLUS(0x7FFFFFFFFFFFFFFE, 0x8000000000000001));
    assert_true(gw_int128_multiply(gw_int128_negate(a), b, &product));
    assert_is(product, MINUS(0x5BBB5EDC654C105D, 0x01D8F42CF7165332));
    assert_true(gw_int128_multiply(PLUS(1, 2), INT(-3), &product));
    assert_is(product, MINUS(3, 6));
    assert_true(gw_int128_multiply(INT(-3), INT(0), &product));
    assert_is(product, INT(0));
}

static void a_product_of_more_than_127_bits_is_refused(void **state)
{
    struct gw_int128 product = INT(4711);

    (void)state;
    assert_false(gw_int128_multiply(PLUS(0, UINT64_MAX), PLUS(0, UINT64_MAX), &product));
    assert_false(gw_int128_multiply(PLUS(1, 0), PLUS(1, 0), &product));
    assert_false(gw_int128_multiply(LARGEST, INT(2), &product));
    assert_false(gw_int128_multiply(INT(-2), PLUS(1ull << 62, 0), &product));
    assert_is(product, INT(4711));
}

/* 10^38 = 7 x 14285714285714285714285714285714285714 + 2 and = 999999999 x 100000000100000000100000000100 + 100;
 * the product above = 98765432109876543210987 x 1234567890123456 + 77924707416185040741618. */
static void a_quotient_is_cut_and_leaves_its_rest(void **state)
{
    const struct gw_int128 ten_38 = PLUS(0x4B3B4CA85A86C47A, 0x098A224000000000);
    struct gw_int128 rest;
    uint32_t small;

    (void)state;
    assert_is(gw_int128_divide(INT(-17), INT(5), &rest), INT(-3));
    assert_is(rest, INT(-2));
    assert_is(gw_int128_divide(INT(17), INT(-5), &rest), INT(-3));
    assert_is(rest, INT(2));
    assert_is(gw_int128_divide(INT(-4), INT(5), &rest), INT(0));
    assert_is(rest, INT(-4));
    assert_is(gw_int128_divide(MINUS(0x5BBB5EDC654C105D, 0x01D8F42CF7165332),
                               PLUS(0x14EA, 0x15B5A63F1E5FC5EB), &rest),
              MINUS(0, 0x000462D53C8ABAC0));
    assert_is(rest, MINUS(0x1080, 0x4E8DF439D4C724F2));
    assert_is(gw_int128_divide(ten_38, INT(7), &rest),
              PLUS(0x0ABF54180CEEAE5A, 0x93A604E492492492));
    assert_is(rest, INT(2));
    assert_is(gw_int128_divide_small(gw_int128_negate(ten_38), 999999999, &small),
              MINUS(0x1431E0FB3, 0xD939760F4B86E864));
    assert_int_equal(small, 100);
    assert_is(gw_int128_divide(LARGEST, LARGEST, &rest), INT(1));
    assert_is(rest, INT(0));
}

static void a_whole_double_is_taken_to_its_last_bit(void **state)
{
    struct gw_int128 integer = INT(4711);

    (void)state;
    assert_false(gw_int128_of_double(0.5, &integer));
    assert_false(gw_int128_of_double((double)NAN, &integer));
    assert_false(gw_int128_of_double((double)INFINITY, &integer));
    assert_false(gw_int128_of_double(-0x1p127, &integer));
    assert_is(integer, INT(4711));
    assert_true(gw_int128_of_double(-0.0, &integer));
    assert_is(integer, INT(0));
    assert_true(gw_int128_of_double(-0x1p63, &integer));
    assert_is(integer, INT(INT64_MIN));
    assert_true(gw_int128_of_double(0x1p126 + 0x1p75, &integer));
    assert_is(integer, PLUS(0x4000000000000800, 0));
    assert_true(gw_int128_of_double(-0x1.fffffffffffffp64, &integer));
    assert_is(integer, MINUS(1, 0xFFFFFFFFFFFFF000));
}

/* ---- at random -------------------------------------------------------------------------------------- */

#ifdef __SIZEOF_INT128__
static __int128 native(struct gw_int128 a)
{
    __int128 size = (__int128)(((unsigned __int128)a.high << 64) | a.low);

    return a.is_negative ? -size : size;
}

/* Of any length, and often of all ones or of a power of two: that is where carries are. */
static struct gw_int128 random_int128(struct test_random *random)
{
    uint64_t kind = test_random_below(random, 4);
    unsigned n_bits = (unsigned)test_random_below(random, 128);
    struct gw_int128 a = {
        .high = kind == 0   ? UINT64_MAX
                : kind == 1 ? 0
                            : test_random_next(random),
        .low = kind == 0   ? UINT64_MAX
               : kind == 1 ? 0
                           : test_random_next(random),
    };
    unsigned __int128 size = (((unsigned __int128)a.high << 64) | a.low) >> (128 - n_bits - 1) >> 1;

    if (kind == 1)
        size = n_bits < 127 ? (unsigned __int128)1 << n_bits : 0;
    a = (struct gw_int128){(uint64_t)(size >> 64), (uint64_t)size, false};
    return test_random_below(random, 2) ? gw_int128_negate(a) : a;
}

static void check_sum_and_product(struct gw_int128 a, struct gw_int128 b)
{
    __int128 expected, smallest = (__int128)((unsigned __int128)1 << 127);
    struct gw_int128 result;
    bool fits = !__builtin_add_overflow(native(a), native(b), &expected) && expected != smallest;

    assert_int_equal(gw_int128_add(a, b, &result), fits);
    if (fits)
        assert_true(native(result) == expected);
    fits = !__builtin_mul_overflow(native(a), native(b), &expected) && expected != smallest;
    assert_int_equal(gw_int128_multiply(a, b, &result), fits);
    if (fits)
        assert_true(native(result) == expected);
}

static void check_quotient(struct gw_int128 a, struct gw_int128 b)
{
    struct gw_int128 quotient, rest;
    uint32_t small = (uint32_t)b.low, small_rest;

    if (!gw_int128_is_zero(b)) {
        quotient = gw_int128_divide(a, b, &rest);
        assert_true(native(quotient) == native(a) / native(b));
        assert_true(native(rest) == native(a) % native(b));
    }
    if (small != 0) {
        quotient = gw_int128_divide_small(a, small, &small_rest);
        assert_true(native(quotient) == native(a) / small);
        a.is_negative = false;
        assert_true(small_rest == native(a) % small);
    }
}
#endif

static void any_numbers_give_what_the_compiler_gives(void **state)
{
    (void)state;
#ifdef __SIZEOF_INT128__
    struct test_random random = test_random_start();

    for (int i = 0; i < 300000; i++) {
        struct gw_int128 a = random_int128(&random), b = random_int128(&random), of_double;
        __int128 whole = (__int128)(double)native(a);

        check_sum_and_product(a, b);
        check_quotient(a, b);
        if (gw_int128_of_double((double)native(a), &of_double))
            assert_true(native(of_double) == whole);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_64_bits_come_back),
        cmocka_unit_test(what_does_not_fit_64_bits_is_refused),
        cmocka_unit_test(sums_carry_borrow_and_end_at_127_bits),
        cmocka_unit_test(products_have_all_their_bits),
        cmocka_unit_test(a_product_of_more_than_127_bits_is_refused),
        cmocka_unit_test(a_quotient_is_cut_and_leaves_its_rest),
        cmocka_unit_test(a_whole_double_is_taken_to_its_last_bit),
        cmocka_unit_test(any_numbers_give_what_the_compiler_gives),
    };

    return cmocka_run_group_tests_name("int128", tests, NULL, NULL);
}
