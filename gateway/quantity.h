/* quantity: durations, sizes and deadbands as a person writes them, and back. Pure. */
#ifndef GW_QUANTITY_H
#define GW_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/err.h"

enum { GW_QUANTITY_TEXT = 32, GW_QUANTITY_WHY = 160, GW_UNIT_MAX = 32 };

/* Parses 500us, 20ms, 10s, 5m, 2h, 7d: a whole number and a unit without a space.
 * Errors: GW_E_CONFIG; why tells what is wrong, to be read after the text: `has no unit; write 500ms, ...`. */
GW_MUST_CHECK enum gw_err gw_duration_parse(const char *text, int64_t *ret_us,
                                            char why[GW_QUANTITY_WHY]);
/* Parses 512B, 64KiB, 10MB, ... in the same way. Source of the prefixes: IEC 80000-13 (KiB = 1024 B), SI (kB = 1000 B). */
GW_MUST_CHECK enum gw_err gw_size_parse(const char *text, int64_t *ret_bytes,
                                        char why[GW_QUANTITY_WHY]);

/* Writes a quantity in the largest unit that holds it as a whole number: 1500ms, 7d, 64MiB. */
void gw_duration_text(int64_t us, char buf[GW_QUANTITY_TEXT]);
void gw_size_text(int64_t bytes, char buf[GW_QUANTITY_TEXT]);

/* Parses 0.5%, 1 V, 0.1: a number that is not negative, and a percent sign or a unit (empty without one). */
GW_MUST_CHECK enum gw_err gw_deadband_parse(const char *text, double *ret_amount,
                                            bool *ret_is_percent, char unit[GW_UNIT_MAX],
                                            char why[GW_QUANTITY_WHY]);

#endif
