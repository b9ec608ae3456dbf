/* bus_cycle: one poll cycle of one device: what is due is planned, its requests are run one by one, and each outcome
 * is turned into readings. Knows nothing of the link nor of the other devices of the bus. */
#include "gateway/bus_run.h"

#include <string.h>

#include "gateway/view.h"

#define SECOND_US ((int64_t)1000000)

enum { BUSY_PAUSE_US = 100000, BUSY_MAX = 10 };

/* What a device refused is asked again by then, in case it was changed (a firmware update, an option module). */
#define FORGET_AFTER_US (600 * SECOND_US)

bool gw_bus_cycle_is_due(const struct gw_bus_device *dev, int64_t now_us)
{
    if (dev->is_cycling)
        return false;
    if (dev->health.state != GW_HEALTH_ONLINE)
        return dev->health.probe_us <= now_us;
    return dev->is_wanted_now || gw_schedule_next(&dev->schedule) <= now_us;
}

int64_t gw_bus_cycle_wake_us(const struct gw_bus_device *dev)
{
    if (dev->is_cycling)
        return dev->hold_until_us;
    return dev->health.state == GW_HEALTH_ONLINE ? gw_schedule_next(&dev->schedule)
                                                 : dev->health.probe_us;
}

static uint64_t all_groups(const struct gw_bus_device *dev)
{
    return dev->schedule.n_groups < 64 ? ((uint64_t)1 << dev->schedule.n_groups) - 1 : UINT64_MAX;
}

/* Is it a point of these groups that this cycle has still to settle? */
static bool is_rest(const struct gw_bus_device *dev, size_t index, uint64_t groups)
{
    const struct gw_bus_point *point = &dev->points[index];

    return point->group != GW_SCHEDULE_NO_GROUP && groups >> point->group & 1 &&
           point->cycle != dev->cycle && !point->block.is_blocked;
}

static void settle_rest(struct gw_bus_loop *loop, struct gw_bus_device *dev, uint64_t groups,
                        const char *reason)
{
    for (size_t i = 0; i < dev->conf->n_points; i++)
        if (is_rest(dev, i, groups))
            gw_bus_settle_bad(loop, dev, i, reason);
}

static void end_cycle(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    dev->is_cycling = false;
    dev->plan = NULL;
    dev->work.n_requests = dev->work.n_members = 0;
    gw_bus_flush(loop, dev, now_us);
    if (dev->has_news)
        gw_bus_tell_points(dev);
}

/* When points were refused or holes found since the plan was made, plans the rest of the cycle with what was learned. */
static void replan(struct gw_bus_loop *loop, struct gw_bus_device *dev)
{
    size_t n = 0;

    if (dev->plan_epoch == dev->epoch || dev->next_request == dev->plan->n_requests)
        return;
    dev->plan_epoch = dev->epoch;
    for (size_t i = 0; i < dev->conf->n_points; i++)
        if (is_rest(dev, i, dev->cycle_groups))
            loop->due[n++] = (uint16_t)i;
    if (n == 0 ||
        (gw_driver_plan(loop->driver, dev->device, loop->due, n, &loop->scratch) == GW_OK &&
         gw_bus_work_push_all(&dev->work, &loop->scratch)))
        dev->next_request = dev->plan->n_requests;
}

/* Puts the next request of the plan on the stack when it is empty; ends the cycle after the last one. */
static void advance(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    dev->n_busy = 0;
    if (dev->work.n_requests == 0 && dev->plan)
        replan(loop, dev);
    while (dev->work.n_requests == 0) {
        if (!dev->plan || dev->next_request == dev->plan->n_requests) {
            settle_rest(loop, dev, dev->cycle_groups, "incomplete");
            end_cycle(loop, dev, now_us);
            return;
        }
        size_t next = dev->next_request++;
        const struct gw_request *request = &dev->plan->requests[next];

        if (next == dev->skip_request ||
            !gw_bus_work_push(&dev->work, request, &dev->plan->members[request->first_member]))
            continue; /* no memory: its points are told as incomplete */
    }
}

/* Lets blocked points whose pause is over have one try, and the driver forget its holes. */
static void lift_blocks(const struct gw_bus_loop *loop, struct gw_bus_device *dev, uint64_t groups,
                        int64_t now_us)
{
    bool any_refused = false;

    if (dev->forget_us == 0) /* nothing is refused */
        return;
    for (size_t i = 0; i < dev->conf->n_points; i++) {
        struct gw_bus_point *point = &dev->points[i];

        any_refused |= point->is_refused;
        if (point->block.is_blocked && groups >> point->group & 1 &&
            gw_block_try(&point->block, now_us))
            dev->epoch++;
    }
    if (dev->forget_us > now_us)
        return;
    if (loop->driver->forget &&
        !dev->is_selective) /* to find a silent hole again would cost too much */
        loop->driver->forget(dev->device);
    dev->epoch++;
    dev->forget_us = any_refused ? now_us + FORGET_AFTER_US : 0;
    dev->is_selective = any_refused && dev->is_selective;
}

static uint64_t take_groups(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    struct gw_schedule_taken taken;
    uint64_t groups;

    gw_schedule_take(&dev->schedule, now_us, gw_wall_ms(loop->clock), &taken);
    dev->cycle_polls = taken.n_polls;
    groups = taken.groups | dev->lost_groups;
    if (dev->health.state == GW_HEALTH_ONLINE) {
        int64_t soon_us = now_us + dev->schedule.groups[0].interval_us;

        loop->stats.n_overruns += taken.n_missed;
        dev->deadline_us = taken.deadline_us < soon_us ? taken.deadline_us : soon_us;
        return dev->is_wanted_now ? all_groups(dev) : groups;
    }
    dev->n_lost += taken.n_missed;
    dev->deadline_us =
        now_us + (dev->health.state == GW_HEALTH_OFFLINE ? dev->health.pause_us
                                                         : dev->limits.suspect_pause_us);
    return dev->health.state == GW_HEALTH_OFFLINE ? all_groups(dev) : groups;
}

/* Without this a device of which nothing may be asked would be due for ever. */
static void skip_cycle(struct gw_bus_device *dev, int64_t now_us)
{
    if (dev->health.state != GW_HEALTH_ONLINE)
        dev->health.probe_us = now_us + dev->limits.suspect_pause_us;
}

void gw_bus_cycle_begin(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    enum gw_err err;

    dev->cycle_groups = take_groups(loop, dev, now_us);
    dev->is_wanted_now = false;
    dev->cycle++;
    dev->n_refusals = 0;
    dev->next_request = 0;
    dev->skip_request = SIZE_MAX;
    if (dev->health.state == GW_HEALTH_ONLINE) /* else the try would be wasted */
        lift_blocks(loop, dev, dev->cycle_groups, now_us);
    dev->plan = gw_bus_plan_get(loop, dev, dev->cycle_groups, &err);
    if (err != GW_OK) {
        if (!dev->has_bad_plan)
            gw_bus_tell_bad_plan(dev, err);
        dev->has_bad_plan = true;
        settle_rest(loop, dev, dev->cycle_groups, "no_plan");
        end_cycle(loop, dev, now_us);
        skip_cycle(dev, now_us);
        return;
    }
    dev->has_bad_plan = false;
    dev->plan_epoch = dev->epoch;
    if (!dev->plan && !dev->is_failed_pending) {
        skip_cycle(dev, now_us);
        return;
    }
    dev->is_cycling = true;
    dev->lost_groups = 0;
    gw_bus_probe_push_first(loop, dev);
    advance(loop, dev, now_us);
}

/* ---- what an answer does --------------------------------------------------------------------------- */

static void answered(struct gw_bus_device *dev, int64_t now_us)
{
    int64_t failing_since_us = dev->health.failing_since_us;

    if (gw_health_answered(&dev->health) == GW_HEALTH_OFFLINE)
        gw_bus_tell_online(dev, failing_since_us, now_us);
    dev->down_reason = NULL;
    dev->n_lost = 0;
    dev->is_failed_pending = false;
    dev->n_probes = 0;
    dev->has_answered = true;
}

static void refuse_point(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                         const char *reason, int64_t now_us)
{
    struct gw_bus_point *point = &dev->points[index];

    gw_block_refused(&point->block, now_us);
    dev->epoch++;
    if (dev->forget_us == 0)
        dev->forget_us = now_us + FORGET_AFTER_US;
    if (!point->is_refused)
        point->is_new = dev->has_news = true;
    point->is_refused = true;
    gw_bus_settle_bad(loop, dev, index, reason);
}

static void settle_result(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                          const struct gw_result *result, int64_t acquired_wall_ms, int64_t now_us)
{
    struct gw_bus_point *point = &dev->points[index];
    struct gw_reading reading;

    if (result->is_partial || point->block.is_blocked)
        return;
    if (result->err == GW_E_REFUSED) {
        refuse_point(loop, dev, index, result->reason ? result->reason : gw_err_str(result->err),
                     now_us);
        return;
    }
    gw_block_answered(&point->block);
    if (point->is_refused)
        point->is_new = dev->has_news = true;
    point->is_refused = false;
    point->exp10 = result->exp10;
    gw_map_result(dev->conf->points[index].map, result, acquired_wall_ms, &reading);
    gw_bus_settle(loop, dev, index, &reading, false);
}

static void on_answer(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                      const struct gw_outcome *outcome, int64_t now_us)
{
    const struct gw_request *request = &dev->work.requests[dev->work.n_requests - 1];
    int64_t acquired_us =
        outcome->acquired_us > 0 && outcome->acquired_us < now_us ? outcome->acquired_us : now_us;
    int64_t wall_ms = gw_wall_ms(loop->clock) - (now_us - acquired_us) / 1000;

    answered(dev, now_us);
    for (size_t i = 0; i < request->n_members; i++)
        settle_result(loop, dev, gw_bus_work_members(&dev->work)[i], &loop->results[i], wall_ms,
                      now_us);
    gw_bus_work_pop(&dev->work);
    advance(loop, dev, now_us);
}

/* Replaces the refused request on top by the smaller ones that the driver makes of it; they are run at once.
 * A driver that never comes to an end is stopped by the count. */
static bool split_top(struct gw_bus_loop *loop, struct gw_bus_device *dev)
{
    const struct gw_request *top = &dev->work.requests[dev->work.n_requests - 1];

    if (++dev->n_refusals > 4 * dev->conf->n_points + 16)
        return false;
    dev->epoch++; /* the driver may have learned a hole */
    return gw_driver_split(loop->driver, dev->device, top, gw_bus_work_members(&dev->work),
                           &loop->scratch) == GW_OK &&
           loop->scratch.n_requests > 0 && gw_bus_work_replace_top(&dev->work, &loop->scratch);
}

/* Finds the points of the request on top that cannot be read, by asking for less and less. */
static void narrow_down(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason,
                        int64_t now_us)
{
    if (dev->forget_us == 0)
        dev->forget_us = now_us + FORGET_AFTER_US;
    if (!split_top(loop, dev)) {
        const struct gw_request *request = &dev->work.requests[dev->work.n_requests - 1];

        for (size_t i = 0; i < request->n_members; i++)
            if (!dev->points[gw_bus_work_members(&dev->work)[i]].block.is_blocked)
                refuse_point(loop, dev, gw_bus_work_members(&dev->work)[i], reason, now_us);
        gw_bus_work_pop(&dev->work);
    }
    advance(loop, dev, now_us);
}

/* ---- what a failure does --------------------------------------------------------------------------- */

static void remember_failed(struct gw_bus_device *dev)
{
    const struct gw_request *request = &dev->work.requests[dev->work.n_requests - 1];

    dev->failed.n_requests = dev->failed.n_members = 0;
    dev->is_failed_pending =
        gw_bus_work_push(&dev->failed, request, gw_bus_work_members(&dev->work));
}

static void give_up(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason,
                    int64_t now_us)
{
    remember_failed(dev);
    dev->n_lost += dev->cycle_polls;
    dev->lost_groups |= dev->cycle_groups;
    dev->has_answered = false;
    if (dev->health.state == GW_HEALTH_OFFLINE) {
        if (!dev->down_reason) {
            dev->down_reason = reason;
            gw_bus_tell_offline(dev, now_us);
        }
        dev->cycle++; /* also what this cycle has read so far is not to be relied on any more */
        settle_rest(loop, dev, all_groups(dev), dev->down_reason);
    } else {
        settle_rest(loop, dev, dev->cycle_groups, reason);
    }
    end_cycle(loop, dev, now_us);
}

static void on_failure(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason,
                       int64_t asked_us, int64_t now_us)
{
    if (gw_health_failed(&dev->health, &dev->limits, asked_us, now_us) == GW_HEALTH_ONLINE)
        return;
    if (!gw_bus_probe_is_ignored(dev)) {
        give_up(loop, dev, reason, now_us);
        return;
    }
    (void)gw_health_answered(&dev->health);
    dev->has_answered = false;
    dev->is_selective = true;
    narrow_down(loop, dev, reason, now_us);
}

static void on_busy(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                    const struct gw_outcome *outcome, int64_t asked_us, int64_t now_us)
{
    if (outcome->hold_us <= 0)
        dev->hold_until_us = now_us + BUSY_PAUSE_US;
    if (++dev->n_busy <= BUSY_MAX)
        return;
    dev->n_busy = 0;
    (void)gw_health_failed(&dev->health, &dev->limits, asked_us, now_us);
    give_up(loop, dev, outcome->reason ? outcome->reason : gw_err_str(GW_E_BUSY), now_us);
}

static void count(struct gw_bus_stats *stats, enum gw_err err, int64_t spent_us)
{
    stats->n_requests++;
    stats->busy_us += spent_us > 0 ? (uint64_t)spent_us : 0;
    switch (err) {
    case GW_OK:
        break;
    case GW_E_TIMEOUT:
        stats->n_timeouts++;
        break;
    case GW_E_REFUSED:
        stats->n_refused++;
        break;
    case GW_E_BUSY:
        stats->n_busy++;
        break;
    case GW_E_LINK:
    case GW_E_CLOSED:
        stats->n_link_errors++;
        break;
    default:
        stats->n_proto_errors++;
    }
}

int64_t gw_bus_count(struct gw_bus_loop *loop, struct gw_bus_device *dev, enum gw_err err,
                     int64_t asked_us, const struct gw_outcome *outcome)
{
    int64_t now_us = gw_now_us(loop->clock);

    count(&loop->stats, err, now_us - asked_us);
    gw_view_exchange(loop->view,
                     err == GW_OK      ? NULL
                     : outcome->reason ? outcome->reason
                                       : gw_err_str(err),
                     now_us - asked_us);
    dev->served_us = now_us;
    dev->hold_until_us = now_us + (outcome->hold_us > 0 ? outcome->hold_us : 0);
    return now_us;
}

enum gw_err gw_bus_cycle_run(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                             const char **ret_reason)
{
    const struct gw_request *request = &dev->work.requests[dev->work.n_requests - 1];
    struct gw_outcome outcome = {0};
    int64_t asked_us = gw_now_us(loop->clock);

    memset(loop->results, 0, request->n_members * sizeof *loop->results);
    enum gw_err err = loop->driver->execute(dev->device, request, gw_bus_work_members(&dev->work),
                                            asked_us + request->wire_us + dev->conf->timeout_us,
                                            loop->results, &outcome);
    int64_t now_us = gw_bus_count(loop, dev, err, asked_us, &outcome);
    const char *reason = outcome.reason ? outcome.reason : gw_err_str(err);

    if (err == GW_E_LINK || err == GW_E_CLOSED) {
        *ret_reason = reason;
        return GW_E_LINK;
    }
    if (err == GW_OK) {
        on_answer(loop, dev, &outcome, now_us);
    } else if (err == GW_E_REFUSED) {
        answered(dev, now_us);
        narrow_down(loop, dev, reason, now_us);
    } else if (err == GW_E_BUSY) {
        on_busy(loop, dev, &outcome, asked_us, now_us);
    } else {
        on_failure(loop, dev, reason, asked_us, now_us);
    }
    return GW_OK;
}

void gw_bus_cycle_abort(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason,
                        int64_t now_us)
{
    dev->cycle++;
    dev->lost_groups = all_groups(dev);
    settle_rest(loop, dev, all_groups(dev), reason);
    end_cycle(loop, dev, now_us);
}
