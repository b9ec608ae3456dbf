/* bus_command: the commands that wait for a bus, and which of them is next.
 *
 * DESIGN: an order becomes a job, and a job is a row of exchanges: writes, then what reads them back after the settle
 * time. Jobs go before polls, but after two exchanges for jobs in a row a poll that is due has its turn, so that a flood
 * of commands leaves at least every third exchange to polling. Jobs of one device that touch the same points keep
 * their order and do not overlap; of those that have not begun, the newest one for the same points wins. */
#include "gateway/bus_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"
#include "gateway/queue.h"

enum { IN_A_ROW_MAX = 2 };

enum gw_err gw_bus_commands_init(struct gw_bus_loop *loop, const struct gw_bus_orders *orders)
{
    if (!orders)
        return GW_OK;
    loop->jobs = calloc(GW_BUS_JOBS_MAX, sizeof *loop->jobs);
    loop->orders = orders;
    return loop->jobs ? GW_OK : GW_E_NOMEM;
}

/* ---- answers --------------------------------------------------------------------------------------- */

void gw_bus_answer(struct gw_bus_loop *loop, struct gw_bus_job *job, enum gw_command_code code,
                   const char *reason, const char *fmt, ...)
{
    struct gw_bus_answer answer = {
        .ticket = job->order.ticket,
        .code = code,
        .n_written = (uint16_t)job->n_written,
        .has_begun = job->has_sent,
        .reason = reason,
        .written_wall_ms = job->written_wall_ms,
        .verified_wall_ms = job->verified_wall_ms,
        .read_back = job->read_back,
    };
    va_list args;

    if (fmt) {
        va_start(args, fmt);
        vsnprintf(answer.why, sizeof answer.why, fmt, args);
        va_end(args);
    }
    job->state = GW_JOB_DONE;
    if (gw_queue_push(loop->orders->answers, &answer) != GW_OK)
        gw_log(GW_LOG_ERROR, loop->conf->name, "the answer to a command is lost: too many at once");
}

static void remove_done(struct gw_bus_loop *loop)
{
    size_t n = 0;

    for (size_t i = 0; i < loop->n_jobs; i++) {
        if (loop->jobs[i].state == GW_JOB_DONE)
            continue;
        if (n != i)
            loop->jobs[n] = loop->jobs[i];
        n++;
    }
    loop->n_jobs = n;
}

/* ---- coming in ------------------------------------------------------------------------------------- */

static bool has_point(const struct gw_command_values *values, uint16_t point)
{
    for (size_t i = 0; i < values->n; i++)
        if (values->items[i].point == point)
            return true;
    return false;
}

static bool covers(const struct gw_bus_order *newer, const struct gw_bus_order *older)
{
    if (newer->device != older->device)
        return false;
    for (size_t i = 0; i < older->values.n; i++)
        if (!has_point(&newer->values, older->values.items[i].point))
            return false;
    return true;
}

static bool overlaps(const struct gw_bus_order *a, const struct gw_bus_order *b)
{
    if (a->device != b->device)
        return false;
    for (size_t i = 0; i < a->values.n; i++)
        if (has_point(&b->values, a->values.items[i].point))
            return true;
    return false;
}

static bool is_well_formed(const struct gw_bus_loop *loop, const struct gw_bus_order *order)
{
    if (order->device >= loop->n_devices || order->values.n == 0 ||
        order->values.n > GW_COMMAND_POINTS_MAX)
        return false;
    for (size_t i = 0; i < order->values.n; i++) {
        const struct gw_device_conf *conf = loop->devices[order->device].conf;
        uint16_t point = order->values.items[i].point;

        if (point >= conf->n_points || !conf->points[point].write)
            return false;
    }
    return loop->driver->write != NULL;
}

static void take_orders(struct gw_bus_loop *loop)
{
    while (loop->n_jobs < GW_BUS_JOBS_MAX) {
        struct gw_bus_job *job = &loop->jobs[loop->n_jobs];

        memset(job, 0, sizeof *job);
        if (gw_queue_pop(loop->orders->orders, &job->order, 1) == 0)
            return;
        if (!is_well_formed(loop, &job->order)) {
            gw_bus_answer(loop, job, GW_COMMAND_READ_ONLY, NULL, "there is nothing to write to");
            continue;
        }
        for (size_t i = 0; i < loop->n_jobs; i++)
            if (loop->jobs[i].state == GW_JOB_WAITS && covers(&job->order, &loop->jobs[i].order))
                gw_bus_answer(loop, &loop->jobs[i], GW_COMMAND_SUPERSEDED, NULL,
                              "a newer command for the same came before this one was written");
        loop->n_jobs++;
        remove_done(loop);
    }
}

/* ---- what cannot wait any longer ------------------------------------------------------------------- */

static void expire(struct gw_bus_loop *loop, struct gw_bus_job *job, int64_t now_us)
{
    const struct gw_bus_device *dev = &loop->devices[job->order.device];
    int64_t expires_ms = job->order.expires_wall_ms;

    if (job->state != GW_JOB_WAITS)
        return;
    if (loop->link.is_down)
        gw_bus_answer(loop, job, GW_COMMAND_LINK_DOWN, NULL, "bus %s is down", loop->conf->name);
    else if (dev->health.state == GW_HEALTH_OFFLINE)
        gw_bus_answer(loop, job, GW_COMMAND_OFFLINE, dev->down_reason, "device %s does not answer",
                      dev->conf->name);
    else if (now_us > job->order.begin_by_us)
        gw_bus_answer(loop, job, GW_COMMAND_EXPIRED, NULL,
                      "it could not be written within the time for commands");
    else if (expires_ms > 0 && gw_wall_ms(loop->clock) > expires_ms)
        gw_bus_answer(loop, job, GW_COMMAND_EXPIRED, NULL, "it expired while it waited");
}

void gw_bus_commands_look(struct gw_bus_loop *loop, int64_t now_us)
{
    if (!loop->orders)
        return;
    take_orders(loop);
    for (size_t i = 0; i < loop->n_jobs; i++) {
        expire(loop, &loop->jobs[i], now_us);
        if (loop->link.is_down &&
            (loop->jobs[i].state == GW_JOB_WRITES || loop->jobs[i].state == GW_JOB_READS))
            gw_bus_job_give_up(loop, &loop->jobs[i], "link_down");
    }
    remove_done(loop);
}

static void abort_job(struct gw_bus_loop *loop, struct gw_bus_job *job, const char *reason,
                      const char *why)
{
    if (job->state == GW_JOB_WAITS)
        gw_bus_answer(loop, job, GW_COMMAND_STOPPING, NULL, "%s", why);
    else if (job->state != GW_JOB_DONE)
        gw_bus_job_give_up(loop, job, reason);
}

void gw_bus_commands_abort(struct gw_bus_loop *loop)
{
    if (!loop->orders)
        return;
    take_orders(loop);
    for (size_t i = 0; i < loop->n_jobs; i++)
        abort_job(loop, &loop->jobs[i], "stopping", "the gateway is stopping");
    remove_done(loop);
}

void gw_bus_commands_change(struct gw_bus_loop *loop, const size_t *to)
{
    if (!loop->orders)
        return;
    take_orders(loop);
    for (size_t i = 0; i < loop->n_jobs; i++) {
        struct gw_bus_order *order = &loop->jobs[i].order;

        if (to[order->device] == SIZE_MAX)
            abort_job(loop, &loop->jobs[i], "reloaded", "the configuration of the device changes");
        else
            order->device = (uint16_t)to[order->device];
    }
    remove_done(loop);
}

/* ---- who is next ----------------------------------------------------------------------------------- */

static bool is_blocked(const struct gw_bus_loop *loop, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (overlaps(&loop->jobs[i].order, &loop->jobs[index].order))
            return true;
    return false;
}

/* When the job can go on; INT64_MAX: not before another one is done. */
static int64_t ready_us(const struct gw_bus_loop *loop, size_t index)
{
    const struct gw_bus_job *job = &loop->jobs[index];
    const struct gw_bus_device *dev = &loop->devices[job->order.device];

    if (is_blocked(loop, index))
        return INT64_MAX;
    return job->not_before_us > dev->hold_until_us ? job->not_before_us : dev->hold_until_us;
}

static struct gw_bus_job *pick(struct gw_bus_loop *loop, int64_t now_us)
{
    for (size_t i = 0; i < loop->n_jobs; i++)
        if (ready_us(loop, i) <= now_us)
            return &loop->jobs[i];
    return NULL;
}

bool gw_bus_commands_want(struct gw_bus_loop *loop, int64_t now_us, bool is_poll_ready)
{
    bool is_ready = loop->n_jobs > 0 && pick(loop, now_us) != NULL;

    if (!is_ready || (is_poll_ready && loop->n_in_a_row >= IN_A_ROW_MAX)) {
        loop->n_in_a_row = 0;
        return false;
    }
    loop->n_in_a_row++;
    return true;
}

int64_t gw_bus_commands_wake_us(const struct gw_bus_loop *loop)
{
    int64_t next_us = INT64_MAX;

    for (size_t i = 0; i < loop->n_jobs; i++) {
        const struct gw_bus_job *job = &loop->jobs[i];
        int64_t wake_us = ready_us(loop, i);

        if (job->state == GW_JOB_WAITS && job->order.begin_by_us + 1 < wake_us)
            wake_us = job->order.begin_by_us + 1;
        if (wake_us < next_us)
            next_us = wake_us;
    }
    return next_us;
}

enum gw_err gw_bus_commands_run(struct gw_bus_loop *loop, const char **ret_reason)
{
    struct gw_bus_job *job = pick(loop, gw_now_us(loop->clock));
    enum gw_err err = GW_OK;

    if (job)
        err = gw_bus_job_run(loop, job, ret_reason);
    remove_done(loop);
    return err;
}
