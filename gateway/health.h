/* health: how far a device, and each of its points, can be relied on, and when to ask again. Pure: no clock, no I/O.
 *
 * A device is online, suspect (more failures in a row than its retries) or offline (failing also for offline_after).
 * Suspect and offline ones are asked with one request at a time, each followed by a pause. */
#ifndef GW_HEALTH_H
#define GW_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum gw_health_state { GW_HEALTH_ONLINE, GW_HEALTH_SUSPECT, GW_HEALTH_OFFLINE };

struct gw_health_limits {
    int retries; /* failures in a row that a device may have and be asked again at once */
    int64_t offline_after_us;
    int64_t suspect_pause_us; /* between two questions to a suspect device */
    int64_t retry_max_us;     /* longest pause between two questions to an offline device */
};

/* Zeroed at start: online until it proves otherwise. */
struct gw_health {
    enum gw_health_state state;
    uint32_t n_failures;      /* in a row */
    int64_t failing_since_us; /* when the first of them was asked */
    int64_t pause_us;         /* last pause of an offline device */
    int64_t probe_us;         /* suspect or offline: do not ask before */
};

/* Counts a request, asked at asked_us, that got no usable answer. Returns the state after it:
 * online means "ask again at once". The pause before the next question is 1 s and doubles up to retry_max. */
enum gw_health_state gw_health_failed(struct gw_health *health,
                                      const struct gw_health_limits *limits, int64_t asked_us,
                                      int64_t now_us);

/* The device answered, be it with a refusal: it is online. Returns the state before. */
enum gw_health_state gw_health_answered(struct gw_health *health);

/* A point that the device refused: not asked for until its pause is over. Zeroed at start. */
struct gw_block {
    int64_t until_us;
    int64_t pause_us; /* 0: not refused since it was last read */
    bool is_blocked;
};

/* The device refused the point: blocked for 10 s, doubled with each further refusal up to 10 min. */
void gw_block_refused(struct gw_block *block, int64_t now_us);
/* Lifts the block when its pause is over, for one try. Returns whether it did. */
bool gw_block_try(struct gw_block *block, int64_t now_us);
/* The point was read: all is forgotten. */
void gw_block_answered(struct gw_block *block);

#endif
