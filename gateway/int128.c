/* int128: sign and magnitude in two words of 64 bits, with nothing but what C has. */
#include "gateway/int128.h"

#include <math.h>

static struct gw_int128 with_sign(struct gw_int128 a, bool is_negative)
{
    a.is_negative = is_negative && !gw_int128_is_zero(a);
    return a;
}

static bool fits(struct gw_int128 a)
{
    return a.high >> 63 == 0;
}

static bool is_below(struct gw_int128 a, struct gw_int128 b)
{
    return a.high != b.high ? a.high < b.high : a.low < b.low;
}

/* Of magnitudes; a is not below b. */
static struct gw_int128 subtract(struct gw_int128 a, struct gw_int128 b)
{
    return (struct gw_int128){a.high - b.high - (a.low < b.low), a.low - b.low, a.is_negative};
}

bool gw_int128_of_double(double x, struct gw_int128 *ret_integer)
{
    double size = fabs(x);
    struct gw_int128 integer;

    if (!(size < 0x1p127) || x != floor(x))
        return false;
    /* Both steps are exact: a power of two, and the bits that it left over. */
    integer = (struct gw_int128){.high = (uint64_t)(size / 0x1p64)};
    integer.low = (uint64_t)(size - (double)integer.high * 0x1p64);
    *ret_integer = with_sign(integer, x < 0);
    return true;
}

bool gw_int128_to_int64(struct gw_int128 a, int64_t *ret_x)
{
    if (a.high > 0 || a.low > (uint64_t)INT64_MAX + a.is_negative)
        return false;
    *ret_x = (int64_t)(a.is_negative ? -a.low : a.low);
    return true;
}

bool gw_int128_to_uint64(struct gw_int128 a, uint64_t *ret_x)
{
    if (a.high > 0 || a.is_negative)
        return false;
    *ret_x = a.low;
    return true;
}

bool gw_int128_add(struct gw_int128 a, struct gw_int128 b, struct gw_int128 *ret_sum)
{
    if (a.is_negative != b.is_negative) {
        struct gw_int128 sum = is_below(a, b) ? subtract(b, a) : subtract(a, b);

        *ret_sum = with_sign(sum, sum.is_negative);
        return true;
    }
    uint64_t low = a.low + b.low;
    struct gw_int128 sum = {a.high + b.high + (low < a.low), low, a.is_negative};
    if (!fits(sum))
        return false;
    *ret_sum = sum;
    return true;
}

/* As on paper, with digits of 32 bits. */
static struct gw_int128 multiply_64(uint64_t a, uint64_t b)
{
    uint64_t a_high = a >> 32, a_low = (uint32_t)a, b_high = b >> 32, b_low = (uint32_t)b;
    uint64_t low = a_low * b_low;
    uint64_t middle = a_high * b_low + (low >> 32);
    uint64_t other = a_low * b_high + (uint32_t)middle;

    return (struct gw_int128){.high = a_high * b_high + (middle >> 32) + (other >> 32),
                              .low = other << 32 | (uint32_t)low};
}

bool gw_int128_multiply(struct gw_int128 a, struct gw_int128 b, struct gw_int128 *ret_product)
{
    struct gw_int128 product = {0};
    uint64_t upper;

    if (a.high > 0 && b.high > 0)
        return false;
    if (a.high > 0 || b.high > 0 || __builtin_mul_overflow(a.low, b.low, &product.low)) {
        product = multiply_64(a.low, b.low);
        if (__builtin_mul_overflow(a.high > 0 ? a.high : b.high, a.high > 0 ? b.low : a.low,
                                   &upper) ||
            __builtin_add_overflow(product.high, upper, &product.high) || !fits(product))
            return false;
    }
    *ret_product = with_sign(product, a.is_negative != b.is_negative);
    return true;
}

struct gw_int128 gw_int128_divide(struct gw_int128 a, struct gw_int128 b,
                                  struct gw_int128 *ret_rest)
{
    struct gw_int128 quotient = {0}, rest = {.low = a.high};
    bool is_negative = a.is_negative != b.is_negative;

    if (a.high == 0 && b.high == 0) {
        *ret_rest = with_sign(gw_int128_of_uint64(a.low % b.low), a.is_negative);
        return with_sign(gw_int128_of_uint64(a.low / b.low), is_negative);
    }
    if (b.high == 0) {
        quotient.high = a.high / b.low;
        rest.low = a.high % b.low;
    }
    /* The lower half bit by bit. The rest stays below b, and so its double in 128 bits. */
    for (int i = 63; i >= 0; i--) {
        rest.high = rest.high << 1 | rest.low >> 63;
        rest.low = rest.low << 1 | (a.low >> i & 1);
        quotient.low = quotient.low << 1 | !is_below(rest, b);
        if (!is_below(rest, b))
            rest = subtract(rest, b);
    }
    *ret_rest = with_sign(rest, a.is_negative);
    return with_sign(quotient, is_negative);
}

struct gw_int128 gw_int128_divide_small(struct gw_int128 a, uint32_t b, uint32_t *ret_rest)
{
    uint64_t upper = a.high % b << 32 | a.low >> 32, lower;

    if (a.high == 0) {
        *ret_rest = (uint32_t)(a.low % b);
        return with_sign(gw_int128_of_uint64(a.low / b), a.is_negative);
    }
    lower = upper % b << 32 | (uint32_t)a.low;
    *ret_rest = (uint32_t)(lower % b);
    return with_sign((struct gw_int128){.high = a.high / b, .low = upper / b << 32 | lower / b},
                     a.is_negative);
}
