/* number: numbers as text and back; exact, shortest, independent of the locale. Pure. */
#ifndef GW_NUMBER_H
#define GW_NUMBER_H

#include "gateway/err.h"
#include "gateway/value.h"

enum { GW_NUMBER_TEXT = 48 }; /* room for any number with its NUL */

/* Writes a number as JSON has it: the shortest text that reads back as the same value of its kind (float32 as
 * float32); decimals without trailing zeros unless min_decimals asks for them; exponents only beyond 1e17 and below
 * 1e-7; never "-0".
 * Shape:  value->kind is GW_BOOL, GW_INT, GW_UINT, GW_FLOAT32, GW_FLOAT64 (finite) or GW_DECIMAL.
 * Returns the length without the NUL. */
size_t gw_number_print(const struct gw_value *value, char buf[GW_NUMBER_TEXT]);

/* Parses a decimal exactly: [+-]digits[.digits][e[+-]digits]. GW_E_RANGE when it has more digits than fit. */
GW_MUST_CHECK enum gw_err gw_decimal_parse(const char *text, struct gw_decimal *ret_decimal);
double gw_decimal_to_double(struct gw_decimal decimal);
/* Gives the number of any numeric kind; NaN for GW_TEXT and GW_NONE. */
double gw_value_to_double(const struct gw_value *value);

#endif
