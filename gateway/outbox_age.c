#include "gateway/outbox_age.h"

#include <string.h>

static const int64_t year_ms = 366 * (int64_t)86400000;
static const int64_t earliest_wall_ms =
    1577836800000; /* 2020: a clock that shows less was never set */

static int64_t plausible_ms(int64_t from_wall_ms, int64_t to_wall_ms)
{
    const int64_t passed_ms = to_wall_ms - from_wall_ms;

    if (from_wall_ms < earliest_wall_ms || passed_ms < 0 || passed_ms > year_ms)
        return 0;
    return passed_ms;
}

int64_t gw_age_resume(const struct gw_store_state *state, const struct gw_last_record *last,
                      const char *boot_id, int64_t mono_ms, int64_t wall_ms)
{
    int64_t age_ms = last->put_ms;

    if (state && state->boot_id[0] && strcmp(state->boot_id, boot_id) == 0 &&
        mono_ms >= state->mono_ms) {
        const int64_t same_boot_ms = state->age_ms + (mono_ms - state->mono_ms);

        return same_boot_ms > age_ms ? same_boot_ms : age_ms;
    }
    age_ms += plausible_ms(last->acquired_wall_ms, wall_ms);
    if (state && state->age_ms > age_ms)
        age_ms = state->age_ms;
    return age_ms;
}
