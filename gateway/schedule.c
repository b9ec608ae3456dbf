/* schedule: arithmetic of due times and deadlines. Knows no device, no driver and no clock. */
#include "gateway/schedule.h"

/* A poll that comes this much before a boundary of the wall clock counts as the one of that boundary. */
#define ALIGN_TOLERANCE_US 500000

static size_t insert_interval(struct gw_schedule *schedule, int64_t interval_us)
{
    struct gw_poll_group *groups = schedule->groups;
    size_t at = 0;

    while (at < schedule->n_groups && groups[at].interval_us < interval_us)
        at++;
    if (at < schedule->n_groups && groups[at].interval_us == interval_us)
        return at;
    if (at == GW_SCHEDULE_GROUPS_MAX)
        return at - 1;
    if (schedule->n_groups < GW_SCHEDULE_GROUPS_MAX)
        schedule->n_groups++;
    for (size_t i = schedule->n_groups - 1; i > at; i--)
        groups[i] = groups[i - 1];
    groups[at].interval_us = interval_us;
    return at;
}

static size_t find_group(const struct gw_schedule *schedule, int64_t interval_us)
{
    size_t at = 0;

    while (at + 1 < schedule->n_groups && schedule->groups[at + 1].interval_us <= interval_us)
        at++;
    return at;
}

void gw_schedule_group(struct gw_schedule *schedule, const int64_t *intervals_us, size_t n,
                       uint8_t *ret_group_of)
{
    schedule->n_groups = 0;
    for (size_t i = 0; i < n; i++)
        if (intervals_us[i] > 0)
            insert_interval(schedule, intervals_us[i]);
    for (size_t i = 0; i < n; i++)
        ret_group_of[i] = intervals_us[i] > 0 ? (uint8_t)find_group(schedule, intervals_us[i])
                                              : GW_SCHEDULE_NO_GROUP;
}

void gw_schedule_start(struct gw_schedule *schedule, int64_t now_us)
{
    for (size_t i = 0; i < schedule->n_groups; i++)
        schedule->groups[i].due_us = now_us;
}

int64_t gw_schedule_next(const struct gw_schedule *schedule)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < schedule->n_groups; i++)
        if (schedule->groups[i].due_us < next)
            next = schedule->groups[i].due_us;
    return next;
}

/* Time from a due time to the following one. */
static int64_t step_us(const struct gw_poll_group *group, bool is_aligned, int64_t wall_us)
{
    int64_t interval = group->interval_us;

    if (!is_aligned)
        return interval;
    int64_t tolerance = interval / 2 < ALIGN_TOLERANCE_US ? interval / 2 : ALIGN_TOLERANCE_US;
    return ((wall_us + tolerance) / interval + 1) * interval - wall_us;
}

void gw_schedule_take(struct gw_schedule *schedule, int64_t now_us, int64_t wall_ms,
                      struct gw_schedule_taken *ret_taken)
{
    *ret_taken = (struct gw_schedule_taken){.deadline_us = INT64_MAX};
    for (size_t i = 0; i < schedule->n_groups; i++) {
        struct gw_poll_group *group = &schedule->groups[i];

        if (group->due_us > now_us)
            continue;
        group->due_us +=
            step_us(group, schedule->is_aligned, wall_ms * 1000 - (now_us - group->due_us));
        if (group->due_us <= now_us) {
            int64_t missed = (now_us - group->due_us) / group->interval_us + 1;

            group->due_us += missed * group->interval_us;
            ret_taken->n_missed += (uint64_t)missed;
        }
        ret_taken->groups |= (uint64_t)1 << i;
        ret_taken->n_polls++;
        if (group->due_us < ret_taken->deadline_us)
            ret_taken->deadline_us = group->due_us;
    }
}

size_t gw_schedule_pick(const struct gw_contender *contenders, size_t n, int64_t now_us,
                        bool *last_was_late)
{
    size_t timely = SIZE_MAX, late = SIZE_MAX;

    for (size_t i = 0; i < n; i++) {
        const struct gw_contender *c = &contenders[i];

        if (!c->is_ready)
            continue;
        if (c->deadline_us < now_us) {
            if (late == SIZE_MAX || c->served_us < contenders[late].served_us)
                late = i;
        } else if (timely == SIZE_MAX || c->deadline_us < contenders[timely].deadline_us ||
                   (c->deadline_us == contenders[timely].deadline_us &&
                    c->served_us > contenders[timely].served_us)) {
            timely = i;
        }
    }
    bool take_late = timely == SIZE_MAX || (late != SIZE_MAX && !*last_was_late);
    *last_was_late = take_late;
    return take_late ? late : timely;
}
