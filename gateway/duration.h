/* duration: a span of time as a person says it. Pure. */
#ifndef GW_DURATION_H
#define GW_DURATION_H

#include <stdint.h>

enum { GW_DURATION_TEXT = 32 };

/* Writes a span in its largest unit that leaves a whole number worth reading: "250 ms", "4 s", "4 min", "36 h", "12 d".
 * Rounded to the nearest; less than a millisecond is "0 ms". Returns buf. */
const char *gw_duration_print(int64_t duration_us, char buf[GW_DURATION_TEXT]);

#endif
