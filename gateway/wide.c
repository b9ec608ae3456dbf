/* wide: an integer of 127 bits and a power of ten. Every step checks that nothing is lost. */
#include "gateway/wide.h"

#include <math.h>
#include <stdlib.h>

#include "gateway/number.h"

enum {
    POW10_MAX = 38, /* largest power of ten in 127 bits */
    STEP_MAX = 9,   /* ... and in 32 */
    EXP10_MAX = 18, /* of a gw_decimal */
    TEXT_MAX = 64,  /* 39 digits, a sign and an exponent */
};

static const uint32_t powers[] = {1,      10,      100,      1000,      10000,
                                  100000, 1000000, 10000000, 100000000, 1000000000};

/* Multiplies by 10^n; false when that does not fit. */
static bool shift_left(struct gw_int128 *m, int64_t n)
{
    if (gw_int128_is_zero(*m))
        return true;
    if (n > POW10_MAX)
        return false;
    for (int64_t n_step; n > 0; n -= n_step) {
        n_step = n < STEP_MAX ? n : STEP_MAX;
        if (!gw_int128_multiply(*m, gw_int128_of_uint64(powers[n_step]), m))
            return false;
    }
    return true;
}

/* Divides by 10^n; what is behind the point goes. */
static void shift_right(struct gw_int128 *m, int64_t n)
{
    uint32_t rest;

    for (int64_t n_step; n > 0; n -= n_step) {
        n_step = n < STEP_MAX ? n : STEP_MAX;
        *m = gw_int128_divide_small(*m, powers[n_step], &rest);
    }
}

static struct gw_wide without_zeros(struct gw_wide a)
{
    uint32_t rest = 0;

    if (gw_int128_is_zero(a.m))
        return (struct gw_wide){0};
    while (a.m.high > 0) {
        struct gw_int128 shorter = gw_int128_divide_small(a.m, 10, &rest);

        if (rest != 0)
            return a;
        a.m = shorter;
        a.e++;
    }
    while (a.m.low % 10 == 0) {
        a.m.low /= 10;
        a.e++;
    }
    return a;
}

struct gw_wide gw_wide_of_decimal(struct gw_decimal decimal)
{
    return (struct gw_wide){gw_int128_of_int64(decimal.digits), decimal.exp10};
}

static bool of_float(double x, bool is_float32, struct gw_wide *ret_wide)
{
    int64_t digits;
    int32_t exp10;

    if (!isfinite(x))
        return false;
    gw_number_digits(x, is_float32, &digits, &exp10);
    *ret_wide = (struct gw_wide){gw_int128_of_int64(digits), exp10};
    return true;
}

bool gw_wide_of(const struct gw_value *value, struct gw_wide *ret_wide)
{
    switch (value->kind) {
    case GW_BOOL:
        *ret_wide = (struct gw_wide){gw_int128_of_uint64(value->b), 0};
        return true;
    case GW_INT:
        *ret_wide = (struct gw_wide){gw_int128_of_int64(value->i), 0};
        return true;
    case GW_UINT:
        *ret_wide = (struct gw_wide){gw_int128_of_uint64(value->u), 0};
        return true;
    case GW_FLOAT32:
        return of_float((double)value->f32, true, ret_wide);
    case GW_FLOAT64:
        return of_float(value->f64, false, ret_wide);
    case GW_DECIMAL:
        *ret_wide = gw_wide_of_decimal(value->dec);
        return true;
    case GW_NONE:
    case GW_TEXT:
        break;
    }
    return false;
}

bool gw_wide_add(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_sum)
{
    if (gw_int128_is_zero(a.m) || gw_int128_is_zero(b.m)) {
        *ret_sum = gw_int128_is_zero(a.m) ? b : a;
        return true;
    }
    if (a.e < b.e) {
        struct gw_wide swap = a;

        a = b;
        b = swap;
    }
    if (!shift_left(&a.m, (int64_t)a.e - b.e))
        return false;
    if (!gw_int128_add(a.m, b.m, &a.m))
        return false;
    *ret_sum = (struct gw_wide){a.m, b.e};
    return true;
}

bool gw_wide_multiply(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_product)
{
    if (!gw_int128_multiply(a.m, b.m, &a.m))
        return false;
    *ret_product = (struct gw_wide){a.m, a.e + b.e};
    return true;
}

bool gw_wide_divide(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_quotient)
{
    struct gw_int128 quotient, rest;

    if (gw_int128_is_zero(b.m))
        return false;
    a = without_zeros(a);
    b = without_zeros(b);
    /* A quotient that ends needs as many more digits as the divisor has factors of 2 or 5. */
    for (int n_digits = 0; n_digits <= POW10_MAX; n_digits++) {
        quotient = gw_int128_divide(a.m, b.m, &rest);
        if (gw_int128_is_zero(rest)) {
            *ret_quotient = (struct gw_wide){quotient, a.e - b.e - n_digits};
            return true;
        }
        if (!shift_left(&a.m, 1))
            return false;
    }
    return false;
}

struct gw_wide gw_wide_negate(struct gw_wide a)
{
    return (struct gw_wide){gw_int128_negate(a.m), a.e};
}

struct gw_wide gw_wide_round(struct gw_wide a, int decimals)
{
    int64_t n_drop = -(int64_t)decimals - a.e;
    bool is_negative = a.m.is_negative;
    uint32_t digit;

    if (n_drop <= 0)
        return a;
    if (n_drop > POW10_MAX)
        return (struct gw_wide){0};
    /* Half away from zero looks at the first of the digits that go, whatever comes behind it. */
    shift_right(&a.m, n_drop - 1);
    a.m = gw_int128_divide_small(a.m, 10, &digit);
    if (digit >= 5) /* which fits: there is a digit less than before */
        (void)gw_int128_add(a.m, gw_int128_of_int64(is_negative ? -1 : 1), &a.m);
    a.e = -decimals;
    return a;
}

/* Writes the digits of a magnitude in front of p, nine at a time; gives the first. */
static char *print_digits(struct gw_int128 m, char *p)
{
    uint32_t nine;

    do {
        m = gw_int128_divide_small(m, powers[STEP_MAX], &nine);
        bool is_first = gw_int128_is_zero(m);
        for (int i = 0; i == 0 || (is_first ? nine > 0 : i < STEP_MAX); i++, nine /= 10)
            *--p = (char)('0' + nine % 10);
    } while (!gw_int128_is_zero(m));
    return p;
}

double gw_wide_to_double(struct gw_wide a)
{
    char text[TEXT_MAX], *p = text + TEXT_MAX;
    int32_t e = a.e < 0 ? -a.e : a.e;
    int64_t small;

    if (gw_int128_to_int64(a.m, &small) && e <= EXP10_MAX)
        return gw_decimal_to_double((struct gw_decimal){small, a.e});
    *--p = '\0';
    do
        *--p = (char)('0' + e % 10);
    while ((e /= 10) > 0);
    if (a.e < 0)
        *--p = '-';
    *--p = 'e';
    double x = strtod(print_digits(a.m, p), NULL); /* no decimal point: no locale matters */
    return a.m.is_negative ? -x : x;
}

bool gw_wide_to_integer(struct gw_wide a, struct gw_int128 *ret_integer)
{
    if (a.e < 0)
        a = without_zeros(a);
    if (a.e < 0 || !shift_left(&a.m, a.e))
        return false;
    *ret_integer = a.m;
    return true;
}

bool gw_wide_to_decimal(struct gw_wide a, struct gw_decimal *ret_decimal)
{
    int64_t digits;

    a = without_zeros(a);
    if (a.e > EXP10_MAX) {
        if (!shift_left(&a.m, a.e - EXP10_MAX))
            return false;
        a.e = EXP10_MAX;
    }
    if (a.e < -EXP10_MAX || !gw_int128_to_int64(a.m, &digits))
        return false;
    *ret_decimal = (struct gw_decimal){digits, a.e};
    return true;
}

bool gw_wide_is_equal(struct gw_wide a, struct gw_wide b)
{
    struct gw_wide difference;

    return gw_wide_add(a, gw_wide_negate(b), &difference) && gw_int128_is_zero(difference.m);
}

bool gw_wide_is_multiple(struct gw_wide a, struct gw_wide of)
{
    struct gw_int128 rest;

    if (gw_int128_is_zero(a.m) || gw_int128_is_zero(of.m))
        return gw_int128_is_zero(a.m);
    if (!shift_left(&a.m, (int64_t)a.e - of.e) || !shift_left(&of.m, (int64_t)of.e - a.e))
        return false;
    gw_int128_divide(a.m, of.m, &rest);
    return gw_int128_is_zero(rest);
}
