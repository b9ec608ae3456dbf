/* view: what is seen of a bus from outside: its devices, the latest value of every point, counters and latencies.
 * Written by the thread of the bus, read by any other, under one mutex that is held for a copy. Its size is fixed when
 * it is made. */
#ifndef GW_VIEW_H
#define GW_VIEW_H

#include <pthread.h>

#include "gateway/bus.h"
#include "gateway/health.h"

enum {
    GW_VIEW_VALUE = 62, /* bytes of a value as text with its NUL; what is longer is cut */
    GW_VIEW_REASONS = 24,
    GW_VIEW_BUCKETS = 61, /* ten for a decade, from 100 us to 100 s */
};

struct gw_point_view {
    char value[GW_VIEW_VALUE]; /* empty when bad */
    bool is_text, is_good;     /* is_text: to be quoted */
    const char *reason;        /* static; NULL when good */
    int64_t acquired_wall_ms;  /* 0: not read yet */
    uint64_t version;          /* grows with every change in the view */
};

struct gw_device_view {
    enum gw_health_state state;
    bool has_answered;     /* since the start */
    const char *reason;    /* static; NULL without */
    int64_t since_wall_ms; /* of the state */
    struct gw_point_view *points;
};

/* Exchanges without a usable answer, by reason. */
struct gw_reason_count {
    const char *reason; /* static */
    uint64_t n;
};

struct gw_view {
    const struct gw_bus_conf *conf;
    pthread_mutex_t lock; /* of all that follows */
    uint64_t version;
    struct gw_bus_stats stats;
    int64_t since_wall_ms;
    struct gw_device_view *devices;
    struct gw_reason_count reasons[GW_VIEW_REASONS];
    uint64_t n_other_reasons;
    uint64_t n_exchanges, exchange_us;
    uint32_t recent[GW_VIEW_BUCKETS]; /* of latencies; halved when there are many */
    uint32_t n_recent;
    struct gw_point_view *points; /* of all devices */
};

/* Owns: conf is borrowed until gw_view_free. NULL when memory is out. */
struct gw_view *gw_view_new(const struct gw_bus_conf *conf, const struct gw_clock *clock);
void gw_view_free(struct gw_view *view);

/* Goes on from what another view of the same bus showed: device i from that at from[i], SIZE_MAX: it begins anew.
 * Nobody else has the new view yet. Thread: the writer of the other one. */
void gw_view_take_over(struct gw_view *view, const struct gw_view *before, const size_t *from);

/* The writer's; each takes NULL for the view. */
void gw_view_reading(struct gw_view *view, size_t device, size_t point,
                     const struct gw_reading *reading);
/* reason: NULL when there was a usable answer. */
void gw_view_exchange(struct gw_view *view, const char *reason, int64_t spent_us);
void gw_view_device(struct gw_view *view, size_t device, enum gw_health_state state,
                    const char *reason, int64_t now_wall_ms);
void gw_view_stats(struct gw_view *view, const struct gw_bus_stats *stats, int64_t now_wall_ms);

/* A quantile (0-1) of the recent latencies, in microseconds; 0 without any. Call it with the lock held. */
int64_t gw_view_quantile_us(const struct gw_view *view, double q);

#endif
