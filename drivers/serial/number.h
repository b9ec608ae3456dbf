/* number: what stands at a place as a value. Pure. */
#ifndef SERIAL_NUMBER_H
#define SERIAL_NUMBER_H

#include "drivers/serial/place.h"

struct serial_slice serial_trim(struct serial_slice text);
/* Reads a decimal number, exactly: *ret_digits x 10^*ret_exp10. Blanks may stand around it and after its sign, the sign may
 * stand behind. False: anything else, or more than 18 digits. */
bool serial_parse_number(struct serial_slice text, bool decimal_comma, int64_t *ret_digits,
                         int32_t *ret_exp10);
/* Reads hexadecimal digits, at most 16. */
bool serial_parse_hex(struct serial_slice text, uint64_t *ret_value);
/* Reads dddmm.mmmm. Source: NMEA 0183, 5.3.1. */
bool serial_parse_degrees(struct serial_slice text, double *ret_degrees);
/* Reads a time by its format (see the key) and writes it as ISO 8601. Returns its length, 0: it is none. */
size_t serial_parse_time(struct serial_slice text, const char *format, const char *zone,
                         char buf[40]);
/* Reads up to 8 bytes as an integer. */
uint64_t serial_join(const uint8_t *bytes, size_t len, enum serial_order order);
/* Reads up to 9 bytes of BCD. False: a digit above 9. */
bool serial_parse_bcd(struct serial_slice bytes, enum serial_order order, bool is_signed,
                      int64_t *ret_value);

#endif
