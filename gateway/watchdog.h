/* watchdog: tells the service manager that all is well, as long as every thread makes progress, and the log which one
 * does not. Has no thread: it is stepped by the supervisor. */
#ifndef GW_WATCHDOG_H
#define GW_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_watchdog {
    int64_t limit_us; /* of the service manager's patience; 0: it does not ask */
    size_t n_late;    /* threads found late in this round */
};

void gw_watchdog_init(struct gw_watchdog *watchdog);
/* How often to step it at the least, in milliseconds, at most max_ms. */
int gw_watchdog_every_ms(const struct gw_watchdog *watchdog, int max_ms);

/* One round: begin, every thread in turn, end. is_told belongs to the thread and is zeroed at its start. */
void gw_watchdog_begin(struct gw_watchdog *watchdog);
void gw_watchdog_thread(struct gw_watchdog *watchdog, const char *name, int64_t late_us,
                        bool *is_told);
void gw_watchdog_end(struct gw_watchdog *watchdog);

#endif
