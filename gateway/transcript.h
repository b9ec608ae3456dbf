/* transcript: what passed over a line, as text that people read and programs read again. Pure.
 *
 *     # 2026-11-28T02:00:00Z serial port=/dev/ttyUSB0 baud=9600        a comment: to the end of the line
 *     +0.000000 > 53 49 0D 0A                                      |SI..|
 *     +0.031207 < 53 20 53 20 20 20 20 20 31 30 30 2E 30 30 20 67  |S S     100.00 g|
 *     +0.031207 < 0D 0A                                            |..|
 *
 * A line is a time, a direction and up to 16 bytes: seconds since the start, > sent or < received, hexadecimal bytes, and
 * between bars what of them is printable. Lines of one time are one burst: they follow each other without a pause. Only the
 * bytes count for a reader; what stands between the bars is for people. */
#ifndef GW_TRANSCRIPT_H
#define GW_TRANSCRIPT_H

#include <stdint.h>
#include <stdio.h>

/* Prints a burst. direction: '>' or '<'. */
void gw_transcript_print(FILE *out, int64_t since_start_us, char direction, const uint8_t *bytes,
                         size_t len);

#endif
