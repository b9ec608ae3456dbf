/* int128: whole numbers of 127 bits and a sign, also where the compiler has none. Pure.
 * Nothing wraps: what does not fit is refused. Numbers of 64 bits, which nearly all are, take a short way. */
#ifndef GW_INT128_H
#define GW_INT128_H

#include <stdbool.h>
#include <stdint.h>

struct gw_int128 {
    uint64_t high, low; /* the magnitude; below 2^127 */
    bool is_negative;   /* never when it is zero */
};

static inline struct gw_int128 gw_int128_of_uint64(uint64_t x)
{
    return (struct gw_int128){.low = x};
}

static inline struct gw_int128 gw_int128_of_int64(int64_t x)
{
    return (struct gw_int128){.low = x < 0 ? -(uint64_t)x : (uint64_t)x, .is_negative = x < 0};
}

static inline bool gw_int128_is_zero(struct gw_int128 a)
{
    return (a.high | a.low) == 0;
}

static inline struct gw_int128 gw_int128_negate(struct gw_int128 a)
{
    a.is_negative = !a.is_negative && !gw_int128_is_zero(a);
    return a;
}

static inline bool gw_int128_is_equal(struct gw_int128 a, struct gw_int128 b)
{
    return a.high == b.high && a.low == b.low && a.is_negative == b.is_negative;
}

/* Takes over a double that is a whole number; false for any other, and for one that does not fit. */
bool gw_int128_of_double(double x, struct gw_int128 *ret_integer);

/* False when the number does not fit. */
bool gw_int128_to_int64(struct gw_int128 a, int64_t *ret_x);
bool gw_int128_to_uint64(struct gw_int128 a, uint64_t *ret_x);

/* False when the result does not fit. */
bool gw_int128_add(struct gw_int128 a, struct gw_int128 b, struct gw_int128 *ret_sum);
bool gw_int128_multiply(struct gw_int128 a, struct gw_int128 b, struct gw_int128 *ret_product);

/* Divides as C does: the quotient is cut towards zero, the rest has the sign of a. b is not zero. */
struct gw_int128 gw_int128_divide(struct gw_int128 a, struct gw_int128 b,
                                  struct gw_int128 *ret_rest);
/* ... by a small number, which is many times faster. Gives the rest without its sign. */
struct gw_int128 gw_int128_divide_small(struct gw_int128 a, uint32_t b, uint32_t *ret_rest);

#endif
