/* regs: register words to values and back. Pure: no I/O, no state. Bytes of the wire are hostile. */
#ifndef MODBUS_REGS_H
#define MODBUS_REGS_H

#include "drivers/modbus/conf.h"

enum { MODBUS_TEXT_MAX = 384 }; /* longest text of a point: raw[125] is 500 digits and refused by check_point beyond raw[90] */

/* Decodes one point.
 * Shape:  regs[0..n_regs) in host byte order, as they stood on the wire from the point's address on; for a bit area
 *         regs[0] is 0 or 1. text holds the characters of a GW_TEXT value, which points into it.
 * Errors: in ret_result->err and reason: GW_E_PROTO with "not_a_number", "not_available" (a sentinel), "bad_bcd",
 *         "bad_text" (not UTF-8 nor Latin-1 printable), "bad_time", "bad_digits".
 * Source: facts modbus.md 6 and 7 (Schneider FA146443, FA357734; SunSpec; ABB A/B meters). */
void modbus_decode(const struct modbus_point_conf *point, const uint16_t *regs, char text[MODBUS_TEXT_MAX],
                   struct gw_result *ret_result);

/* Encodes a raw value into regs[0..n_regs). For bits and bytes inside a register only the point's own bits are set and
 * *ret_mask tells them (one register: other bits are to be kept); 0xFFFF elsewhere.
 * Errors: GW_E_RANGE when the point cannot hold the value exactly. */
GW_MUST_CHECK enum gw_err modbus_encode(const struct modbus_point_conf *point, const struct gw_value *value, uint16_t *ret_regs,
                                        uint16_t *ret_mask);

/* Reads a scale register. GW_E_PROTO ("scale_not_available") for 0x8000 and for exponents beyond -10..10. */
GW_MUST_CHECK enum gw_err modbus_decode_scale(enum modbus_scale_kind kind, uint16_t reg, int32_t *ret_exp10);

#endif
