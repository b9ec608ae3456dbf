/* wide: exact decimal arithmetic on more digits than any register has, for scaling and its inverse. Pure.
 * Whatever would not be exact is refused, never rounded silently. */
#ifndef GW_WIDE_H
#define GW_WIDE_H

#include "gateway/int128.h"
#include "gateway/value.h"

/* m x 10^e. |m| stays below 2^127, so that the product of any 64-bit value and any gw_decimal fits. */
struct gw_wide {
    struct gw_int128 m;
    int32_t e;
};

/* Takes a number of any kind over; floats by their shortest digits, as a person reads them.
 * False for texts, nothing, and what is not finite. */
bool gw_wide_of(const struct gw_value *value, struct gw_wide *ret_wide);
struct gw_wide gw_wide_of_decimal(struct gw_decimal decimal);

/* False when the exact result does not fit; for the quotient also when it has no end. */
bool gw_wide_add(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_sum);
bool gw_wide_multiply(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_product);
bool gw_wide_divide(struct gw_wide a, struct gw_wide b, struct gw_wide *ret_quotient);
struct gw_wide gw_wide_negate(struct gw_wide a);

/* Rounds to a number of decimals, half away from zero. */
struct gw_wide gw_wide_round(struct gw_wide a, int decimals);
/* Rounds correctly; infinite when it is beyond a double. */
double gw_wide_to_double(struct gw_wide a);
/* Gives the value as an integer; false when it is none, or none that fits. */
bool gw_wide_to_integer(struct gw_wide a, struct gw_int128 *ret_integer);
/* Gives the value without trailing zeros; false when it does not fit into a gw_decimal. */
bool gw_wide_to_decimal(struct gw_wide a, struct gw_decimal *ret_decimal);
bool gw_wide_is_equal(struct gw_wide a, struct gw_wide b);
bool gw_wide_is_multiple(struct gw_wide a, struct gw_wide of);

#endif
