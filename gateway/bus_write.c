/* bus_write: one command, exchange by exchange: write, let settle, read back, compare, answer.
 *
 * DESIGN: a device that did not answer a write may have done it all the same. Such a write is repeated only where the
 * point says that this does no harm; else what is read back decides, and without that the outcome is "unknown". What the
 * driver calls busy without an exception was never sent and is asked again until the time for it is over. */
#include "gateway/bus_run.h"

#include <math.h>
#include <string.h>

#include "gateway/number.h"
#include "gateway/wide.h"

enum {
    BUSY_PAUSE_US = 50000,
    GUESS_US = 500000,     /* on the wire, when the driver cannot say */
    READ_FAILURES_MAX = 2, /* of one read-back, then it cannot be read back */
};

static const struct gw_point_conf *point_of(const struct gw_bus_loop *loop,
                                            const struct gw_bus_job *job, size_t i)
{
    return &loop->devices[job->order.device].conf->points[job->order.values.items[i].point];
}

static struct gw_bus_device *device_of(struct gw_bus_loop *loop, const struct gw_bus_job *job)
{
    return &loop->devices[job->order.device];
}

/* ---- plans ----------------------------------------------------------------------------------------- */

/* Makes the plan that reads the points of a job (or what shows them) into the loop's scratch. */
static bool make_plan(struct gw_bus_loop *loop, const struct gw_bus_job *job, bool reads_back)
{
    size_t n = 0;

    for (size_t i = 0; i < job->order.values.n; i++) {
        const struct gw_point_conf *conf = point_of(loop, job, i);
        uint16_t point = reads_back ? conf->write->read_back : job->order.values.items[i].point;
        size_t at = n;

        if (reads_back && !conf->write->verify)
            continue;
        while (at > 0 && loop->due[at - 1] > point)
            at--;
        if (at > 0 && loop->due[at - 1] == point)
            continue;
        memmove(&loop->due[at + 1], &loop->due[at], (n - at) * sizeof *loop->due);
        loop->due[at] = point;
        n++;
    }
    return n > 0 && gw_driver_plan(loop->driver, device_of(loop, job)->device, loop->due, n,
                                   &loop->scratch) == GW_OK;
}

/* What the exchanges of a write take on the wire at most: about as much as reading the same twice. */
static int64_t write_us(struct gw_bus_loop *loop, const struct gw_bus_job *job)
{
    int64_t us = 0;

    if (!make_plan(loop, job, false))
        return GUESS_US;
    for (size_t i = 0; i < loop->scratch.n_requests; i++)
        us += 2 * (int64_t)loop->scratch.requests[i].wire_us;
    return us;
}

/* ---- before the first byte ------------------------------------------------------------------------- */

/* A large step is refused, and so is one of which nobody can say how large it is. */
static bool check_change(struct gw_bus_loop *loop, struct gw_bus_job *job, size_t i)
{
    const struct gw_bus_device *dev = device_of(loop, job);
    const struct gw_point_conf *conf = point_of(loop, job, i);
    const struct gw_reading *now = &dev->readings[job->order.values.items[i].point];
    struct gw_value value = gw_command_value(&job->order.values, i);

    if (!(conf->write->max_change > 0))
        return true;
    /* Else a row of commands that are not read back would change it by any amount. */
    if (now->quality != GW_GOOD || dev->points[job->order.values.items[i].point].is_unread) {
        gw_bus_answer(loop, job, GW_COMMAND_PRESENT_UNKNOWN, now->reason,
                      "%s may change by %.15g at most, and its present value is not known",
                      conf->name, conf->write->max_change);
        return false;
    }
    double change = fabs(gw_value_to_double(&value) - gw_value_to_double(&now->value));
    if (change <= conf->write->max_change * (1 + 1e-9))
        return true;
    gw_bus_answer(loop, job, GW_COMMAND_CHANGE_TOO_LARGE, NULL,
                  "%s may change by %.15g at most, and this changes it by %.6g", conf->name,
                  conf->write->max_change, change);
    return false;
}

static struct gw_map map_of(const struct gw_bus_loop *loop, const struct gw_bus_job *job, size_t i)
{
    const struct gw_bus_point *point =
        &loop->devices[job->order.device].points[job->order.values.items[i].point];

    return gw_map_at_scale(point_of(loop, job, i)->map, point->exp10);
}

static bool prepare(struct gw_bus_loop *loop, struct gw_bus_job *job,
                    struct gw_write writes[GW_COMMAND_POINTS_MAX])
{
    for (size_t i = 0; i < job->order.values.n; i++) {
        const struct gw_point_conf *conf = point_of(loop, job, i);
        struct gw_value value = gw_command_value(&job->order.values, i);

        writes[i].point = job->order.values.items[i].point;
        if (conf->traits.is_scaled &&
            device_of(loop, job)->readings[writes[i].point].quality != GW_GOOD) {
            gw_bus_answer(loop, job, GW_COMMAND_PRESENT_UNKNOWN, NULL,
                          "the scale of %s, which the device tells, is not known", conf->name);
            return false;
        }
        struct gw_map map = map_of(loop, job, i);
        if (gw_map_unscale(&map, &conf->traits, &value, &writes[i].value) != GW_OK) {
            gw_bus_answer(loop, job,
                          conf->traits.is_scaled ? GW_COMMAND_NOT_EXACT : GW_COMMAND_OUT_OF_RANGE,
                          NULL, "%s cannot hold this", conf->name);
            return false;
        }
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static bool is_verified(const struct gw_bus_loop *loop, const struct gw_bus_job *job)
{
    for (size_t i = 0; i < job->order.values.n; i++)
        if (point_of(loop, job, i)->write->verify)
            return true;
    return false;
}

static void begin_reading(struct gw_bus_loop *loop, struct gw_bus_job *job, int64_t now_us)
{
    int64_t settle_us = 0;

    for (size_t i = 0; i < job->order.values.n; i++)
        if (point_of(loop, job, i)->write->settle_us > settle_us)
            settle_us = point_of(loop, job, i)->write->settle_us;
    job->state = GW_JOB_READS;
    job->next_request = 0;
    job->n_failures = 0;
    job->not_before_us = now_us + settle_us;
    job->give_up_us =
        job->not_before_us + write_us(loop, job) + 4 * device_of(loop, job)->conf->timeout_us;
}

static bool is_idempotent(const struct gw_bus_loop *loop, const struct gw_bus_job *job)
{
    for (size_t i = 0; i < job->order.values.n; i++)
        if (!point_of(loop, job, i)->write->is_idempotent)
            return false;
    return true;
}

/* Nobody knows whether the device has done it. */
static void on_doubt(struct gw_bus_loop *loop, struct gw_bus_job *job, const char *reason,
                     int64_t now_us)
{
    if (!job->is_repeated && is_idempotent(loop, job)) {
        job->is_repeated = true;
        job->doubt = reason;
        return;
    }
    job->doubt = reason;
    if (is_verified(loop, job))
        begin_reading(loop, job, now_us);
    else
        gw_bus_answer(loop, job, job->said_later ? GW_COMMAND_DEVICE_BUSY : GW_COMMAND_UNKNOWN,
                      reason, "the device did not confirm the write and may have done it");
}

static void on_written(struct gw_bus_loop *loop, struct gw_bus_job *job, size_t n, int64_t now_us)
{
    job->doubt = NULL;
    if (n == 0) {
        gw_bus_answer(loop, job, GW_COMMAND_FAILED, NULL, "the driver wrote nothing");
        return;
    }
    if (job->n_written < job->order.values.n) /* the next exchange takes the rest */
        return;
    job->written_wall_ms = gw_wall_ms(loop->clock);
    if (is_verified(loop, job))
        begin_reading(loop, job, now_us);
    else
        gw_bus_answer(loop, job, GW_COMMAND_OK, NULL, NULL);
}

static void on_busy(struct gw_bus_loop *loop, struct gw_bus_job *job,
                    const struct gw_outcome *outcome, int64_t now_us)
{
    if (outcome->exception != 0) { /* it may do it later */
        job->said_later = true;
        on_doubt(loop, job, outcome->reason, now_us);
        return;
    }
    job->not_before_us = now_us + BUSY_PAUSE_US;
    if (now_us <= job->order.begin_by_us)
        return;
    if (job->doubt)
        gw_bus_answer(loop, job, GW_COMMAND_UNKNOWN, job->doubt,
                      "the device did not confirm the write and may have done it");
    else
        gw_bus_answer(loop, job, GW_COMMAND_EXPIRED, outcome->reason,
                      "the device could not be asked within the time for commands");
}

/* The points before job->n_written are written all the same. */
static void on_not_written(struct gw_bus_loop *loop, struct gw_bus_job *job, enum gw_err err,
                           const struct gw_outcome *outcome, int64_t now_us)
{
    size_t at = job->n_written < job->order.values.n ? job->n_written : 0;

    switch (err) {
    case GW_E_REFUSED:
        gw_bus_answer(loop, job, GW_COMMAND_REFUSED, outcome->reason,
                      "device %s refuses to write %s", device_of(loop, job)->conf->name,
                      point_of(loop, job, at)->name);
        break;
    case GW_E_BUSY:
        on_busy(loop, job, outcome, now_us);
        break;
    case GW_E_RANGE:
        gw_bus_answer(loop, job, GW_COMMAND_OUT_OF_RANGE, NULL,
                      "the register cannot hold the value");
        break;
    default:
        on_doubt(loop, job, outcome->reason, now_us);
    }
}

static enum gw_err run_write(struct gw_bus_loop *loop, struct gw_bus_job *job,
                             const char **ret_reason)
{
    struct gw_bus_device *dev = device_of(loop, job);
    struct gw_write writes[GW_COMMAND_POINTS_MAX];
    struct gw_outcome outcome = {0};
    size_t n = 0;

    for (size_t i = 0; job->state == GW_JOB_WAITS && i < job->order.values.n; i++)
        if (!check_change(loop, job, i))
            return GW_OK;
    if (!prepare(loop, job, writes))
        return GW_OK;
    job->state = GW_JOB_WRITES;
    int64_t asked_us = gw_now_us(loop->clock);
    int64_t deadline_us = asked_us + write_us(loop, job) + dev->conf->timeout_us * 3 / 2;
    enum gw_err err =
        loop->driver->write(dev->device, writes + job->n_written,
                            job->order.values.n - job->n_written, deadline_us, &n, &outcome);
    int64_t now_us = gw_bus_count(loop, dev, err, asked_us, &outcome);

    if (!outcome.reason)
        outcome.reason = gw_err_str(err);
    for (size_t k = 0; k < job->order.values.n; k++)
        dev->points[job->order.values.items[k].point].is_unread = true;
    job->has_sent =
        job->has_sent || !(err == GW_E_RANGE || (err == GW_E_BUSY && !outcome.exception));
    job->n_written += n;
    if (err == GW_OK)
        on_written(loop, job, n, now_us);
    else
        on_not_written(loop, job, err, &outcome, now_us);
    if (err != GW_E_LINK && err != GW_E_CLOSED)
        return GW_OK;
    *ret_reason = outcome.reason;
    return GW_E_LINK;
}

/* ---- reading back ---------------------------------------------------------------------------------- */

/* The value as a person sees it: the name where there is one. */
static struct gw_value shown(const struct gw_reading *reading)
{
    if (!reading->enum_name)
        return reading->value;
    return (struct gw_value){.kind = GW_TEXT,
                             .text = {reading->enum_name, strlen(reading->enum_name)}};
}

static bool is_near(const struct gw_value *a, const struct gw_value *b, double tolerance)
{
    struct gw_wide x, y;

    if (a->kind == GW_TEXT || b->kind == GW_TEXT)
        return a->kind == b->kind && a->text.len == b->text.len &&
               (a->text.len == 0 || memcmp(a->text.p, b->text.p, a->text.len) == 0);
    if (gw_wide_of(a, &x) && gw_wide_of(b, &y) && gw_wide_is_equal(x, y))
        return true;
    double apart = fabs(gw_value_to_double(a) - gw_value_to_double(b));
    return tolerance > 0 && apart <= tolerance * (1 + 1e-9);
}

/* What the device should show now: the value written, through the map of the point, so that a name is a name and a
 * float is what a float can be. */
static bool is_as_written(const struct gw_bus_loop *loop, const struct gw_bus_job *job, size_t i,
                          const struct gw_value *read_back)
{
    const struct gw_point_conf *conf = point_of(loop, job, i);
    struct gw_value value = gw_command_value(&job->order.values, i);
    struct gw_result raw = {.err = GW_OK};
    struct gw_reading expected;

    struct gw_map map = map_of(loop, job, i);
    if (gw_map_unscale(&map, &conf->traits, &value, &raw.value) != GW_OK)
        return false;
    gw_map_result(&map, &raw, 0, &expected);
    value = shown(&expected);
    return is_near(&value, read_back, conf->write->tolerance);
}

static bool find_read_back(const struct gw_bus_job *job, uint16_t point, size_t *ret_at)
{
    for (size_t i = 0; i < job->read_back.n; i++)
        if (job->read_back.items[i].point == point) {
            *ret_at = i;
            return true;
        }
    return false;
}

static void unverified(struct gw_bus_loop *loop, struct gw_bus_job *job, const char *reason)
{
    if (job->doubt)
        gw_bus_answer(loop, job, GW_COMMAND_UNKNOWN, job->doubt,
                      "the device did not confirm the write, and it could not be read back (%s)",
                      reason);
    else
        gw_bus_answer(loop, job, GW_COMMAND_UNVERIFIED, reason,
                      "the device confirmed the write, but it could not be read back (%s)", reason);
}

void gw_bus_job_give_up(struct gw_bus_loop *loop, struct gw_bus_job *job, const char *reason)
{
    if (!job->has_sent)
        gw_bus_answer(loop, job, GW_COMMAND_LINK_DOWN, reason, "bus %s is down", loop->conf->name);
    else if (job->state == GW_JOB_READS)
        unverified(loop, job, reason);
    else
        gw_bus_answer(loop, job, GW_COMMAND_UNKNOWN, reason,
                      "the device did not confirm the write and may have done it");
}

/* Everything was read back: compares it. */
static void judge(struct gw_bus_loop *loop, struct gw_bus_job *job)
{
    size_t at = 0;

    job->verified_wall_ms = gw_wall_ms(loop->clock);
    for (size_t i = 0; i < job->order.values.n; i++) {
        const struct gw_point_conf *conf = point_of(loop, job, i);

        if (!conf->write->verify)
            continue;
        if (!find_read_back(job, job->order.values.items[i].point, &at)) {
            unverified(loop, job, "incomplete");
            return;
        }
        struct gw_value read_back = gw_command_value(&job->read_back, at);
        if (is_as_written(loop, job, i, &read_back))
            continue;
        if (job->doubt)
            gw_bus_answer(loop, job, job->said_later ? GW_COMMAND_DEVICE_BUSY : GW_COMMAND_TIMEOUT,
                          job->doubt,
                          "the device did not confirm the write, and %s shows another value",
                          conf->name);
        else
            gw_bus_answer(loop, job, GW_COMMAND_MISMATCH, NULL,
                          "the device confirmed the write, but %s shows another value", conf->name);
        return;
    }
    job->n_written = job->order.values.n;
    gw_bus_answer(loop, job, GW_COMMAND_OK, NULL,
                  job->doubt ? "not confirmed by the device, but read back" : NULL);
}

/* Publishes what was read, and keeps it for the answer. False: it is not readable. */
static bool take_reading(struct gw_bus_loop *loop, struct gw_bus_job *job, uint16_t point,
                         const struct gw_result *result, int64_t wall_ms, const char **ret_reason)
{
    struct gw_bus_device *dev = device_of(loop, job);
    struct gw_reading reading;

    dev->points[point].exp10 = result->exp10;
    gw_map_result(dev->conf->points[point].map, result, wall_ms, &reading);
    gw_bus_settle_now(loop, dev, point, &reading);
    if (dev->readings[point].quality != GW_GOOD) {
        *ret_reason = dev->readings[point].reason;
        return false;
    }
    struct gw_value value = shown(&dev->readings[point]);
    for (size_t i = 0; i < job->order.values.n; i++)
        if (point_of(loop, job, i)->write->verify &&
            point_of(loop, job, i)->write->read_back == point &&
            !gw_command_add(&job->read_back, job->order.values.items[i].point, &value)) {
            *ret_reason = "text_too_long";
            return false;
        }
    return true;
}

static void on_read(struct gw_bus_loop *loop, struct gw_bus_job *job,
                    const struct gw_request *request, const struct gw_outcome *outcome,
                    int64_t now_us)
{
    int64_t acquired_us =
        outcome->acquired_us > 0 && outcome->acquired_us < now_us ? outcome->acquired_us : now_us;
    int64_t wall_ms = gw_wall_ms(loop->clock) - (now_us - acquired_us) / 1000;
    const char *reason = NULL;

    for (size_t i = 0; i < request->n_members; i++) {
        uint16_t point = loop->scratch.members[request->first_member + i];

        if (!loop->results[i].is_partial &&
            !take_reading(loop, job, point, &loop->results[i], wall_ms, &reason)) {
            unverified(loop, job, reason ? reason : gw_err_str(GW_E_PROTO));
            return;
        }
    }
    job->n_failures = 0;
    if (++job->next_request == loop->scratch.n_requests)
        judge(loop, job);
}

static enum gw_err run_read(struct gw_bus_loop *loop, struct gw_bus_job *job,
                            const char **ret_reason)
{
    struct gw_bus_device *dev = device_of(loop, job);
    struct gw_outcome outcome = {0};

    if (!make_plan(loop, job, true) || job->next_request >= loop->scratch.n_requests) {
        unverified(loop, job, "no_plan");
        return GW_OK;
    }
    const struct gw_request *request = &loop->scratch.requests[job->next_request];
    int64_t asked_us = gw_now_us(loop->clock);
    memset(loop->results, 0, request->n_members * sizeof *loop->results);
    enum gw_err err = loop->driver->execute(
        dev->device, request, &loop->scratch.members[request->first_member],
        asked_us + request->wire_us + dev->conf->timeout_us, loop->results, &outcome);
    int64_t now_us = gw_bus_count(loop, dev, err, asked_us, &outcome);
    const char *reason = outcome.reason ? outcome.reason : gw_err_str(err);

    if (err == GW_OK)
        on_read(loop, job, request, &outcome, now_us);
    else if (err == GW_E_REFUSED)
        unverified(loop, job, reason);
    else if ((err != GW_E_BUSY && ++job->n_failures > READ_FAILURES_MAX) ||
             now_us > job->give_up_us)
        unverified(loop, job, reason);
    else if (err == GW_E_BUSY)
        job->not_before_us = now_us + BUSY_PAUSE_US;
    if (err != GW_E_LINK && err != GW_E_CLOSED)
        return GW_OK;
    *ret_reason = reason;
    return GW_E_LINK;
}

enum gw_err gw_bus_job_run(struct gw_bus_loop *loop, struct gw_bus_job *job,
                           const char **ret_reason)
{
    return job->state == GW_JOB_READS ? run_read(loop, job, ret_reason)
                                      : run_write(loop, job, ret_reason);
}
