/* schedule: which points of a device are due, and which device of a bus goes next. Pure: no clock, no I/O.
 * Points of one device with the same interval form a group; groups keep their phase, so that the 250 ms group and
 * the 1 s group meet every fourth time and share requests. A poll that is late by whole intervals merges with the
 * following ones and is counted; it never piles up. */
#ifndef GW_SCHEDULE_H
#define GW_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GW_SCHEDULE_GROUPS_MAX = 64, /* so that a set of groups is one word */
    GW_SCHEDULE_NO_GROUP = 255,  /* group_of a point that is not polled */
};

/* Zeroed before gw_schedule_group. */
struct gw_schedule {
    struct gw_poll_group {
        int64_t interval_us;
        int64_t due_us;
    } groups[GW_SCHEDULE_GROUPS_MAX]; /* the fastest first */
    size_t n_groups;
    bool is_aligned; /* due times are multiples of the interval on the wall clock */
};

/* Sorts n points into groups by interval; an interval of 0 or less means: not polled.
 * With more than 64 different intervals the slower ones join the 64th group: polled more often than asked, never less. */
void gw_schedule_group(struct gw_schedule *schedule, const int64_t *intervals_us, size_t n,
                       uint8_t *ret_group_of);

/* Makes all groups due at now_us; further polls keep this phase (aligned: that of the wall clock). */
void gw_schedule_start(struct gw_schedule *schedule, int64_t now_us);

/* Gives the earliest due time; INT64_MAX without groups. */
int64_t gw_schedule_next(const struct gw_schedule *schedule);

struct gw_schedule_taken {
    uint64_t groups;     /* bit i: group i was due */
    int64_t deadline_us; /* when the first of them is due again; INT64_MAX when none was due */
    uint64_t n_polls;    /* groups due now ... */
    uint64_t n_missed;   /* ... and polls before now that were merged into them */
};

/* Takes the groups that are due at now_us and moves them to their first due time after now_us.
 * wall_ms is the wall clock at now_us; it is looked at only when aligned, and steps of it are followed. */
void gw_schedule_take(struct gw_schedule *schedule, int64_t now_us, int64_t wall_ms,
                      struct gw_schedule_taken *ret_taken);

/* One device that wants the bus. */
struct gw_contender {
    int64_t deadline_us;
    int64_t served_us; /* when it was served last */
    bool is_ready;
};

/* Picks who goes next; SIZE_MAX when nobody is ready.
 * In time: the earliest deadline; of equal ones who was served last, so that a device is read in one go.
 * Late ones (deadline passed) take turns among themselves and get every second exchange: an overloaded or slow
 * device neither starves nor starves the ones that can be on time.
 * Shape:  *last_was_late is kept for the caller between calls, false at start. */
size_t gw_schedule_pick(const struct gw_contender *contenders, size_t n, int64_t now_us,
                        bool *last_was_late);

#endif
