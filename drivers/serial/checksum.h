/* checksum: what guards a frame: reckoning it, writing it and comparing it. Pure. */
#ifndef SERIAL_CHECKSUM_H
#define SERIAL_CHECKSUM_H

#include "drivers/serial/conf.h"

/* Reckons the checksum of bytes[0..len). */
uint16_t serial_sum(enum serial_sum sum, const uint8_t *bytes, size_t len);
/* Writes it as it stands in a frame. Returns its length, at most 4. */
size_t serial_sum_write(enum serial_sum sum, enum serial_encoding encoding, uint16_t value,
                        uint8_t buf[4]);

/* Where the checksum of a frame stands, its length in bytes, and what it covers. */
struct serial_sum_place {
    size_t at, n, from, to;
    bool is_ranged; /* from and to were found */
};
/* False: the frame is over where it would stand, or its mark is missing. n_end as below. */
bool serial_sum_locate(const struct serial_checksum_conf *conf, const uint8_t *frame, size_t len,
                       size_t n_end, struct serial_sum_place *ret);

enum serial_verdict { SERIAL_SUM_GOOD, SERIAL_SUM_BAD, SERIAL_SUM_ABSENT };

/* Checks a frame.
 * Shape:  frame[0..len); n_end bytes of it are its end, before which a checksum without `at` stands.
 * Gives:  SERIAL_SUM_ABSENT when the frame is over where it would stand (or where its mark is missing). */
enum serial_verdict serial_sum_check(const struct serial_checksum_conf *conf, const uint8_t *frame,
                                     size_t len, size_t n_end);
/* Finds a position in a frame. False when its mark is not there or it lies outside. */
bool serial_find_position(const struct serial_position *position, const uint8_t *frame, size_t len,
                          size_t *ret_at);

#endif
