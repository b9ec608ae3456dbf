/* clock_watch: whether the wall clock is set, and when it jumps. Whoever has values dated 1970 is to find the reason in
 * the log. Pure: asks the clock that it is given, logs nothing. */
#ifndef GW_CLOCK_WATCH_H
#define GW_CLOCK_WATCH_H

#include <stdbool.h>

#include "gateway/clock.h"

enum gw_clock_news {
    GW_CLOCK_QUIET, /* nothing to tell */
    GW_CLOCK_UNSET, /* it shows a time before this program was written; said once */
    GW_CLOCK_SET,   /* it was not, and is now */
    GW_CLOCK_JUMPED /* by more than 2 s between two looks; less is what a time server does all day */
};

/* Zeroed before the first look. */
struct gw_clock_watch {
    int64_t offset_ms; /* wall clock against monotonic clock, at the last look */
    int64_t jump_ms;   /* of the last news: above 0 is forward */
    bool has_looked, is_unset;
};

/* To be called every few seconds; what happened since the last call. */
enum gw_clock_news gw_clock_watch_look(struct gw_clock_watch *watch, const struct gw_clock *clock);

#endif
