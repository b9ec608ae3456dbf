/* number: numbers as text and back; exact, shortest, independent of the locale. Pure. */
#ifndef GW_NUMBER_H
#define GW_NUMBER_H

#include "gateway/err.h"
#include "gateway/value.h"

enum { GW_NUMBER_TEXT = 48 }; /* room for any number with its NUL */

/* Writes a number as JSON has it: the shortest text that reads back as the same value of its kind (float32 as
 * float32); decimals without trailing zeros; never "-0". An exponent only below 1e-7, and from 1e17 (floats)
 * or 1e19 (decimals) on where zeros would have to be made up; integers never.
 * Shape:  value->kind is GW_BOOL, GW_INT, GW_UINT, GW_FLOAT32, GW_FLOAT64 (finite) or GW_DECIMAL; anything else,
 *         and what is not finite, is written as null.
 * Returns the length without the NUL. */
size_t gw_number_print(const struct gw_value *value, char buf[GW_NUMBER_TEXT]);

/* Gives those shortest digits of a finite float: x is digits x 10^exp10 to whoever reads it. No trailing zeros. */
void gw_number_digits(double x, bool is_float32, int64_t *ret_digits, int32_t *ret_exp10);

/* Parses a decimal exactly: [+-]digits[.digits][e[+-]digits], all of the text.
 * Errors: GW_E_RANGE when it has more digits than fit; GW_E_CONFIG when it is not a number. */
GW_MUST_CHECK enum gw_err gw_decimal_parse(const char *text, struct gw_decimal *ret_decimal);
/* Rounds correctly: the same double that a C program has for this text. */
double gw_decimal_to_double(struct gw_decimal decimal);
/* Gives the number of any numeric kind; NaN for GW_TEXT and GW_NONE. */
double gw_value_to_double(const struct gw_value *value);

#endif
