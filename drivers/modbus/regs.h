/* regs: register words to values and back. Pure: no I/O, no state. Bytes of the wire are hostile.
 * Numbers are in regs.c, texts and times in text.c. */
#ifndef MODBUS_REGS_H
#define MODBUS_REGS_H

#include "drivers/modbus/conf.h"

enum {
    MODBUS_REGS_MAX = 125, /* of one point: what one request can read */
    MODBUS_TEXT_MAX =
        512, /* bytes; the longest text is that of raw[125], or of 250 Latin-1 characters as UTF-8 */
};

/* Decodes one point.
 * Shape:  regs[0..n_regs) in host byte order, as they stood on the wire from the point's address on; with low_part
 *         first those at the address, then those of the low half; for a bit area regs[0] is 0 or 1. text holds the
 *         characters of a GW_TEXT value, which points into it. exp10 is left 0.
 * Errors: in ret_result->err and reason: GW_E_PROTO with "not_a_number", "not_available" (a sentinel), "bad_bcd",
 *         "bad_time", "bad_digits", "bad_power_factor".
 * Source: facts modbus.md 6 and 7 (Schneider FA146443, FA357734; SunSpec; ABB A/B meters). */
void modbus_decode(const struct modbus_point_conf *point, const uint16_t *regs,
                   char text[MODBUS_TEXT_MAX], struct gw_result *ret_result);

/* Encodes a raw value into regs[0..n_regs), in the shape that decode takes. For bits and bytes inside a register only
 * the point's own bits are set, and *ret_mask tells those of the first register (other bits are to be kept);
 * modbus_point_masks tells them for each register. A coil of type uint16 gives the value field of function 5.
 * Errors: GW_E_RANGE when the point cannot hold the value exactly; floats take the nearest they have. */
GW_MUST_CHECK enum gw_err modbus_encode(const struct modbus_point_conf *point,
                                        const struct gw_value *value, uint16_t *ret_regs,
                                        uint16_t *ret_mask);

/* Gives the bits of each of the n_regs registers that belong to the point, as they stand on the wire. Returns true when
 * there are others in these registers. */
bool modbus_point_masks(const struct modbus_point_conf *point, uint16_t *ret_masks);

/* Reads a scale register. GW_E_PROTO ("scale_not_available") for 0x8000 and for exponents beyond -10..10.
 * Source: SunSpec: sunssf is -10..10, 0x8000 not implemented. */
GW_MUST_CHECK enum gw_err modbus_decode_scale(enum modbus_scale_kind kind, uint16_t reg,
                                              int32_t *ret_exp10);

/* What the core asks about a type: kind and range of its raw values, before scaling. */
void modbus_type_traits(const struct modbus_type_spec *spec, struct gw_point_traits *ret_traits);

/* Numbers can be scaled by a register and have halves that stand apart; texts and times cannot. */
bool modbus_type_is_number(enum modbus_type type);

#endif
