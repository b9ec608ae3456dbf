/* clock: the time, passed in so that tests turn it by hand.
 * Monotonic time is microseconds (_us), wall-clock time milliseconds since 1970 (_wall_ms). */
#ifndef GW_CLOCK_H
#define GW_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

struct gw_clock {
    void *ctx;
    int64_t (*now_us)(void *ctx);
    int64_t (*wall_ms)(void *ctx);
};

/* The clock of the system: CLOCK_MONOTONIC and CLOCK_REALTIME. */
extern const struct gw_clock gw_system_clock;

static inline int64_t gw_now_us(const struct gw_clock *clock)
{
    return clock->now_us(clock->ctx);
}

static inline int64_t gw_wall_ms(const struct gw_clock *clock)
{
    return clock->wall_ms(clock->ctx);
}

/* A span, or a point of monotonic time, as the system takes it; below zero it is zero. */
struct timespec gw_timespec(int64_t us);
/* A condition whose timed waits end at points of monotonic time. */
void gw_cond_init(pthread_cond_t *cond);

#endif
