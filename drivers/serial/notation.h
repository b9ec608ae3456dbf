/* notation: the pieces of a user's notation of bytes. */
#ifndef SERIAL_NOTATION_H
#define SERIAL_NOTATION_H

#include "drivers/serial/conf.h"

/* Fills in a sentence; diag may be NULL. Always GW_E_CONFIG. */
enum gw_err serial_complain(struct gw_driver_diag *diag, const char *fmt, ...) GW_PRINTF(2, 3);
/* Take one byte of a text (an escape, a character) or of hexadecimal digits, and move on. */
enum gw_err serial_take_byte(const char **at, uint8_t *ret_byte, struct gw_driver_diag *diag);
enum gw_err serial_take_hex(const char **at, uint8_t *ret_byte, struct gw_driver_diag *diag);

#endif
