/* pulse: by when a thread will show the next sign of life, as it promises itself before it works or waits. One writer,
 * any reader. A thread that waits for ever on purpose is as well as one that works; one that broke its promise hangs. */
#ifndef GW_PULSE_H
#define GW_PULSE_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    GW_PULSE_WORK_US =
        60 * 1000000, /* the longest piece of work: a resolver that answers nothing takes 30 s */
    GW_PULSE_GRACE_US = 10 * 1000000, /* to be woken late on a machine that is busy */
};

struct gw_pulse {
    _Atomic int64_t due_us; /* monotonic */
};

/* Before a piece of work that takes at most so long. */
static inline void gw_pulse_work(struct gw_pulse *pulse, int64_t now_us, int64_t longest_us)
{
    atomic_store(&pulse->due_us, now_us + longest_us);
}

/* Before waiting until wake_us (INT64_MAX: for ever; in the past: not at all). */
static inline void gw_pulse_wait(struct gw_pulse *pulse, int64_t now_us, int64_t wake_us)
{
    if (wake_us < now_us)
        wake_us = now_us;
    atomic_store(&pulse->due_us,
                 wake_us > INT64_MAX - GW_PULSE_GRACE_US ? INT64_MAX : wake_us + GW_PULSE_GRACE_US);
}

/* Gives for how long the promise has been broken; 0: it was kept so far. */
static inline int64_t gw_pulse_late_us(const struct gw_pulse *pulse, int64_t now_us)
{
    int64_t due_us = atomic_load(&pulse->due_us);

    return now_us > due_us ? now_us - due_us : 0;
}

#endif
