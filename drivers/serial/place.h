/* place: where in a frame something stands. Pure; groups of patterns and records of M-Bus are the reader's business. */
#ifndef SERIAL_PLACE_H
#define SERIAL_PLACE_H

#include "drivers/serial/frame.h"

/* A piece of a frame. */
struct serial_slice {
    const uint8_t *p;
    size_t len;
};

/* Finds a place other than a group or an M-Bus record. False: the frame has no such place. */
bool serial_place_find(const struct serial_place *place, const struct serial_point_conf *point,
                       const struct serial_frame *frame, size_t n_bytes, struct serial_slice *ret);
/* Finds the value of a JSON pointer in a whole, well-formed JSON text; of a text without its quotes, escapes as they are.
 * Source: RFC 8259, RFC 6901. */
bool serial_json_find(const char *pointer, const uint8_t *text, size_t len,
                      struct serial_slice *ret, bool *ret_is_text);

#endif
