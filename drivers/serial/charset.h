/* charset: texts of instruments as UTF-8. */
#ifndef SERIAL_CHARSET_H
#define SERIAL_CHARSET_H

#include "drivers/serial/place.h"

/* Gives what a character set of more than one byte is converted with; NULL for the others. False: the C library of this
 * machine does not know it. Owns: serial_charset_close, which may be given NULL. */
GW_MUST_CHECK bool serial_charset_open(enum serial_charset charset, void **ret_converter);
void serial_charset_close(void *converter);
/* Writes text as UTF-8, whatever it is; what does not fit is cut between characters. Returns its length. */
size_t serial_to_utf8(struct serial_slice text, enum serial_charset charset, void *converter,
                      char *buf, size_t size);

#endif
