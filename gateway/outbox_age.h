/* outbox_age: how old messages are, though wall clocks jump. Age is counted in milliseconds on a clock of the outbox's own
 * that never goes back: within a start of the machine it follows the monotonic clock, over a restart of the machine the
 * wall clock as far as that is plausible. A wrong wall clock can so make messages seem too young, and never wipes them. */
#ifndef GW_OUTBOX_AGE_H
#define GW_OUTBOX_AGE_H

#include "gateway/store.h"

/* What is known of the last record in the file; all 0 when there is none. */
struct gw_last_record {
    uint64_t seq;
    int64_t put_ms, acquired_wall_ms;
};

/* Gives what the clock of age shows now. state may be NULL: lost. boot_id names this start of the machine. Pure. */
int64_t gw_age_resume(const struct gw_store_state *state, const struct gw_last_record *last,
                      const char *boot_id, int64_t mono_ms, int64_t wall_ms);

#endif
