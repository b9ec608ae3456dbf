/* wide: a 128-bit integer and a power of ten. Every step checks that nothing is lost. */
#include "gateway/wide.h"

#include <math.h>
#include <stdlib.h>

#include "gateway/number.h"

enum {
    POW10_64_MAX = 19,  /* largest power of ten in 64 bits */
    POW10_128_MAX = 38, /* ... and in 127 */
    EXP10_MAX = 18,     /* of a gw_decimal */
    TEXT_MAX = 64,      /* 39 digits, a sign and an exponent */
};

#define WIDE_MAX ((__int128)(((unsigned __int128)1 << 127) - 1))

static __int128 pow10_of(int n)
{
    static const uint64_t powers[POW10_64_MAX + 1] = {
        1u,
        10u,
        100u,
        1000u,
        10000u,
        100000u,
        1000000u,
        10000000u,
        100000000u,
        1000000000u,
        10000000000u,
        100000000000u,
        1000000000000u,
        10000000000000u,
        100000000000000u,
        1000000000000000u,
        10000000000000000u,
        100000000000000000u,
        1000000000000000000u,
        10000000000000000000u,
    };

    return n <= POW10_64_MAX ? (__int128)powers[n]
                             : (__int128)powers[POW10_64_MAX] * powers[n - POW10_64_MAX];
}

static __int128 magnitude(__int128 m)
{
    return m < 0 ? -m : m;
}

/* Multiplies by 10^n; false when that does not fit. */
static bool shift_left(__int128 *m, int64_t n)
{
    if (*m == 0 || n == 0)
        return true;
    if (n > POW10_128_MAX || magnitude(*m) > WIDE_MAX / pow10_of((int)n))
        return false;
    *m *= pow10_of((int)n);
    return true;
}

static struct gw_wide without_zeros(struct gw_wide a)
{
    if (a.m == 0)
        a.e = 0;
    while (a.m > INT64_MAX || a.m < INT64_MIN) {
        if (a.m % 10 != 0)
            return a;
        a.m /= 10;
        a.e++;
    }
    /* Most values are here at once, and 64-bit divisions are many times faster. */
    int64_t small = (int64_t)a.m;
    while (small != 0 && small % 10 == 0) {
        small /= 10;
        a.e++;
    }
    a.m = small;
    return a;
}

struct gw_wide gw_wide_of_decimal(struct gw_decimal decimal)
{
    return (struct gw_wide){decimal.digits, decimal.exp10};
}

static bool of_float(double x, bool is_float32, struct gw_wide *ret_wide)
{
    int64_t digits;
    int32_t exp10;

    if (!isfinite(x))
        return false;
    gw_number_digits(x, is_float32, &digits, &exp10);
    *ret_wide = (struct gw_wide){digits, exp10};
    return true;
}

bool gw_wide_of(const struct gw_value *value, struct gw_wide *ret_wide)
{
    switch (value->kind) {
    case GW_BOOL:
        *ret_wide = (struct gw_wide){value->b, 0};
        return true;
    case GW_INT:
        *ret_wide = (struct gw_wide){value->i, 0};
        return true;
    case GW_UINT:
        *ret_wide = (struct gw_wide){value->u, 0};
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
    if (a.m == 0 || b.m == 0) {
        *ret_sum = a.m == 0 ? b : a;
        return true;
    }
    if (a.e < b.e) {
        struct gw_wide swap = a;

        a = b;
        b = swap;
    }
    if (!shift_left(&a.m, (int64_t)a.e - b.e))
        return false;
    if (b.m > 0 ? a.m > WIDE_MAX - b.m : a.m < -WIDE_MAX - b.m)
        return false;
    *ret_sum = (struct gw_wide){a.m + b.m, b.e};
    return true;
}

bool gw_wide_multiply(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_product)
{
    if (b.m != 0 && magnitude(a.m) > WIDE_MAX / magnitude(b.m))
        return false;
    *ret_product = (struct gw_wide){a.m * b.m, a.e + b.e};
    return true;
}

bool gw_wide_divide(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_quotient)
{
    if (b.m == 0)
        return false;
    a = without_zeros(a);
    b = without_zeros(b);
    /* A quotient that ends needs as many more digits as the divisor has factors of 2 or 5. */
    for (int n_digits = 0; n_digits <= POW10_128_MAX; n_digits++) {
        if (a.m % b.m == 0) {
            *ret_quotient = (struct gw_wide){a.m / b.m, a.e - b.e - n_digits};
            return true;
        }
        if (!shift_left(&a.m, 1))
            return false;
    }
    return false;
}

struct gw_wide gw_wide_negate(struct gw_wide a)
{
    return (struct gw_wide){-a.m, a.e};
}

struct gw_wide gw_wide_round(struct gw_wide a, int decimals)
{
    int64_t n_drop = -(int64_t)decimals - a.e;

    if (n_drop <= 0)
        return a;
    if (n_drop > POW10_128_MAX)
        return (struct gw_wide){0, 0};
    __int128 unit = pow10_of((int)n_drop), quotient = a.m / unit;
    __int128 rest = magnitude(a.m % unit);
    if (rest >= unit - rest)
        quotient += a.m < 0 ? -1 : 1;
    return (struct gw_wide){quotient, -decimals};
}

double gw_wide_to_double(struct gw_wide a)
{
    char text[TEXT_MAX], *p = text + TEXT_MAX;
    unsigned __int128 rest = (unsigned __int128)magnitude(a.m);
    int32_t e = a.e < 0 ? -a.e : a.e;

    if (a.m <= INT64_MAX && a.m >= -INT64_MAX && e <= EXP10_MAX)
        return gw_decimal_to_double((struct gw_decimal){(int64_t)a.m, a.e});
    *--p = '\0';
    do
        *--p = (char)('0' + e % 10);
    while ((e /= 10) > 0);
    if (a.e < 0)
        *--p = '-';
    *--p = 'e';
    do
        *--p = (char)('0' + (int)(rest % 10));
    while ((rest /= 10) > 0);
    double x = strtod(p, NULL); /* no decimal point in it, so the locale does not matter */
    return a.m < 0 ? -x : x;
}

bool gw_wide_to_integer(struct gw_wide a, __int128 *ret_integer)
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
    a = without_zeros(a);
    if (a.e > EXP10_MAX) {
        if (!shift_left(&a.m, a.e - EXP10_MAX))
            return false;
        a.e = EXP10_MAX;
    }
    if (a.e < -EXP10_MAX || a.m > INT64_MAX || a.m < INT64_MIN)
        return false;
    *ret_decimal = (struct gw_decimal){(int64_t)a.m, a.e};
    return true;
}

bool gw_wide_is_multiple(struct gw_wide a, struct gw_wide of)
{
    if (a.m == 0)
        return true;
    if (of.m == 0)
        return false;
    if (a.e >= of.e)
        return shift_left(&a.m, (int64_t)a.e - of.e) && a.m % of.m == 0;
    return shift_left(&of.m, (int64_t)of.e - a.e) && a.m % of.m == 0;
}
