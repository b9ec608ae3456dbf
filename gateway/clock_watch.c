/* clock_watch: compares the wall clock with the monotonic one, which nobody sets. */
#include "gateway/clock_watch.h"

#include <stdlib.h>

#define WRITTEN_WALL_MS                                                                            \
    INT64_C(1735689600000) /* 2025-01-01: no right clock shows an earlier time */

enum { JUMP_MS = 2000 };

enum gw_clock_news gw_clock_watch_look(struct gw_clock_watch *watch, const struct gw_clock *clock)
{
    const int64_t wall_ms = gw_wall_ms(clock), offset_ms = wall_ms - gw_now_us(clock) / 1000;
    const bool was_unset = watch->is_unset, is_first = !watch->has_looked;

    watch->jump_ms = is_first ? 0 : offset_ms - watch->offset_ms;
    watch->offset_ms = offset_ms;
    watch->has_looked = true;
    watch->is_unset = wall_ms < WRITTEN_WALL_MS;
    if (watch->is_unset)
        return was_unset ? GW_CLOCK_QUIET : GW_CLOCK_UNSET;
    if (was_unset)
        return GW_CLOCK_SET;
    return llabs(watch->jump_ms) > JUMP_MS ? GW_CLOCK_JUMPED : GW_CLOCK_QUIET;
}
