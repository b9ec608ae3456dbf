/* bus_loop: the link of a bus, and which of its devices goes next. Knows nothing of points.
 *
 * DESIGN: a link that worked and breaks is opened again at once, with the request that was under way; only when that
 * does not help is it down: every point is bad once, and opening is tried with a growing, jittered pause. An open link
 * counts as good only after an exchange that did not lose it: a host that accepts and hangs up is down. */
#include "gateway/bus_run.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"
#include "gateway/view.h"

#define SECOND_US       ((int64_t)1000000)
#define OPEN_TIMEOUT_US (5 * SECOND_US)

/* ---- making and freeing ---------------------------------------------------------------------------- */

static int64_t host_now_us(void *ctx)
{
    const struct gw_bus_loop *loop = ctx;

    return gw_now_us(loop->clock);
}

static GW_PRINTF(2, 3) void host_debug(void *ctx, const char *fmt, ...)
{
    const struct gw_bus_loop *loop = ctx;
    char text[512] = "";
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gw_log(GW_LOG_DEBUG, loop->conf->name, "%s", text);
}

static bool is_polled(const struct gw_point_conf *point)
{
    return point->access != GW_ACCESS_W && point->traits.can_read && !point->traits.is_heard;
}

static enum gw_err init_points(struct gw_bus_device *dev, int64_t *intervals_us, uint8_t *groups)
{
    const struct gw_device_conf *conf = dev->conf;

    for (size_t i = 0; i < conf->n_points; i++)
        intervals_us[i] = is_polled(&conf->points[i]) ? conf->points[i].interval_us : 0;
    gw_schedule_group(&dev->schedule, intervals_us, conf->n_points, groups);
    for (size_t i = 0; i < conf->n_points; i++) {
        dev->points[i].group = groups[i];
        dev->readings[i].reason = "not_read_yet";
        if (conf->points[i].traits.kind == GW_TEXT) {
            dev->points[i].text = malloc(GW_BUS_TEXT_MAX);
            if (!dev->points[i].text)
                return GW_E_NOMEM;
        }
    }
    return GW_OK;
}

static enum gw_err init_device_points(struct gw_bus_device *dev)
{
    size_t n = dev->conf->n_points + 1; /* never 0: calloc(0) may give NULL */
    int64_t *intervals_us = calloc(n, sizeof *intervals_us);
    uint8_t *groups = calloc(n, sizeof *groups);
    enum gw_err err = GW_E_NOMEM;

    dev->points = calloc(n, sizeof *dev->points);
    dev->readings = calloc(n, sizeof *dev->readings);
    if (intervals_us && groups && dev->points && dev->readings)
        err = init_points(dev, intervals_us, groups);
    if (err == GW_OK && !gw_bus_plans_init(dev))
        err = GW_E_NOMEM;
    free(intervals_us);
    free(groups);
    return err;
}

static void init_limits(struct gw_bus_device *dev)
{
    int64_t fastest_us =
        dev->schedule.n_groups > 0 ? dev->schedule.groups[0].interval_us : SECOND_US;

    dev->limits = (struct gw_health_limits){
        .retries = dev->conf->retries,
        .offline_after_us = dev->conf->offline_after_us,
        .retry_max_us = dev->conf->retry_max_us > 0 ? dev->conf->retry_max_us : 30 * SECOND_US,
        .suspect_pause_us = fastest_us < SECOND_US ? fastest_us : SECOND_US,
    };
}

static enum gw_err init_device(struct gw_bus_loop *loop, size_t index)
{
    struct gw_bus_device *dev = &loop->devices[index];

    dev->conf = &loop->conf->devices[index];
    dev->device = &loop->bus->devices[index];
    dev->epoch = 1;
    snprintf(dev->label, sizeof dev->label, "%s (%s)", dev->conf->name, loop->conf->name);
    enum gw_err err = init_device_points(dev);
    if (err != GW_OK)
        return err;
    dev->schedule.is_aligned = loop->conf->align;
    gw_schedule_start(&dev->schedule, gw_now_us(loop->clock));
    init_limits(dev);
    return GW_OK;
}

static enum gw_err init_loop(struct gw_bus_loop *loop, size_t max_payload)
{
    const struct gw_bus_conf *conf = loop->conf;
    size_t most = 0;
    enum gw_err err = gw_driver_bus_new(conf, &loop->host, &loop->bus);

    if (err != GW_OK)
        return err;
    loop->devices = calloc(conf->n_devices + 1, sizeof *loop->devices);
    loop->contenders = calloc(conf->n_devices + 1, sizeof *loop->contenders);
    loop->payload = malloc(max_payload);
    if (!loop->devices || !loop->contenders || !loop->payload)
        return GW_E_NOMEM;
    loop->payload_size = max_payload;
    loop->n_devices = conf->n_devices;
    for (size_t i = 0; i < conf->n_devices; i++) {
        err = init_device(loop, i);
        if (err != GW_OK)
            return err;
        if (conf->devices[i].n_points > most)
            most = conf->devices[i].n_points;
    }
    gw_bus_listen_init(loop);
    loop->due = calloc(most + 1, sizeof *loop->due);
    loop->results = calloc(2 * most + 2, sizeof *loop->results);
    return loop->due && loop->results ? gw_plan_init(&loop->scratch, most) : GW_E_NOMEM;
}

static int64_t first_positive(int64_t a, int64_t b, int64_t c)
{
    return a > 0 ? a : b > 0 ? b : c;
}

enum gw_err gw_bus_loop_new(const struct gw_bus_conf *conf, struct gw_outbox *outbox,
                            const struct gw_clock *clock, size_t max_payload, int wake_fd,
                            struct gw_bus_loop **ret_loop)
{
    struct gw_bus_loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return GW_E_NOMEM;
    loop->conf = conf;
    loop->driver = conf->driver;
    loop->outbox = outbox;
    loop->clock = clock;
    loop->host = (struct gw_host){
        .ctx = loop,
        .now_us = host_now_us,
        .debug = host_debug,
        .wake_fd = wake_fd,
        .listen_fd = wake_fd,
    };
    loop->reopen_min_us =
        first_positive(conf->reopen_min_us, conf->driver->reopen_min_us, SECOND_US);
    loop->reopen_max_us =
        first_positive(conf->reopen_max_us, conf->driver->reopen_max_us, 30 * SECOND_US);
    if (loop->reopen_max_us < loop->reopen_min_us)
        loop->reopen_max_us = loop->reopen_min_us;
    loop->random = (uint64_t)gw_now_us(clock) ^ (uint64_t)(uintptr_t)loop ^ 0x9E3779B97F4A7C15u;
    enum gw_err err = init_loop(loop, max_payload);
    if (err != GW_OK) {
        gw_bus_loop_free(loop);
        return err;
    }
    loop->stats.n_devices = loop->stats.n_devices_online = loop->n_devices;
    *ret_loop = loop;
    return GW_OK;
}

static void done_device(struct gw_bus_device *dev)
{
    for (size_t i = 0; dev->conf && dev->points && i < dev->conf->n_points; i++)
        free(dev->points[i].text);
    free(dev->points);
    free(dev->readings);
    gw_plan_done(&dev->work);
    gw_plan_done(&dev->failed);
    gw_bus_plans_done(dev);
}

void gw_bus_loop_free(struct gw_bus_loop *loop)
{
    if (!loop)
        return;
    if (loop->bus)
        gw_bus_loop_close(loop);
    for (size_t i = 0; loop->devices && i < loop->n_devices; i++)
        done_device(&loop->devices[i]);
    free(loop->devices);
    free(loop->contenders);
    free(loop->jobs);
    free(loop->payload);
    free(loop->due);
    free(loop->results);
    gw_plan_done(&loop->scratch);
    gw_driver_bus_free(loop->bus);
    free(loop);
}

/* ---- the link -------------------------------------------------------------------------------------- */

void gw_bus_loop_close(struct gw_bus_loop *loop)
{
    if (loop->link.is_open)
        loop->driver->close(loop->bus);
    loop->link.is_open = false;
}

/* Up to a quarter less, so that buses to one host do not all knock at the same time. */
static int64_t jittered(struct gw_bus_loop *loop, int64_t pause_us)
{
    loop->random ^= loop->random << 13;
    loop->random ^= loop->random >> 7;
    loop->random ^= loop->random << 17;
    return pause_us - (int64_t)(loop->random % (uint64_t)(pause_us / 4 + 1));
}

static void go_down(struct gw_bus_loop *loop, const char *cause)
{
    struct gw_bus_link *link = &loop->link;
    int64_t now_us = gw_now_us(loop->clock);

    link->pause_us = link->pause_us > 0 ? 2 * link->pause_us : loop->reopen_min_us;
    if (link->pause_us > loop->reopen_max_us)
        link->pause_us = loop->reopen_max_us;
    link->reopen_us = now_us + jittered(loop, link->pause_us);
    if (!link->is_down) {
        link->is_down = true;
        link->down_since_us = now_us;
        link->n_lost = 0;
        link->n_told = 0;
    }
    gw_bus_tell_link_down(loop, cause);
    for (size_t i = 0; i < loop->n_devices; i++) {
        gw_bus_listen_abort(loop, &loop->devices[i], "link_down");
        gw_bus_cycle_abort(loop, &loop->devices[i], "link_down", now_us);
    }
}

/* Everything is to be read again at once; what was due meanwhile is counted as lost. */
static void wake_devices(struct gw_bus_loop *loop, int64_t now_us)
{
    for (size_t i = 0; i < loop->n_devices; i++) {
        struct gw_bus_device *dev = &loop->devices[i];
        struct gw_schedule_taken taken;

        gw_schedule_take(&dev->schedule, now_us, gw_wall_ms(loop->clock), &taken);
        loop->link.n_lost += taken.n_polls + taken.n_missed;
        dev->is_wanted_now = true;
        dev->health.probe_us = now_us;
    }
}

static void on_link_good(struct gw_bus_loop *loop)
{
    struct gw_bus_link *link = &loop->link;

    if (link->is_proven)
        return;
    link->is_proven = true;
    link->pause_us = 0;
    if (link->is_down)
        gw_bus_tell_link_up(loop, gw_now_us(loop->clock));
    link->is_down = false;
}

/* No poll and no instrument will show whether the link works. */
static bool is_only_written(const struct gw_bus_loop *loop)
{
    for (size_t i = 0; i < loop->n_devices; i++)
        if (!gw_device_is_only_written(loop->devices[i].conf))
            return false;
    return true;
}

static void open_link(struct gw_bus_loop *loop)
{
    struct gw_driver_diag diag = {0};
    int64_t now_us = gw_now_us(loop->clock);
    enum gw_err err = loop->driver->open(loop->bus, now_us + OPEN_TIMEOUT_US, &diag);

    if (err != GW_OK) {
        loop->driver->close(loop->bus);
        go_down(loop, diag.text[0] ? diag.text : gw_err_str(err));
        return;
    }
    loop->link.is_open = true;
    loop->stats.n_opens++;
    now_us = gw_now_us(loop->clock);
    for (size_t i = 0; i < loop->n_devices; i++)
        gw_bus_listen_start(loop, &loop->devices[i], now_us);
    if (loop->link.is_down)
        wake_devices(loop, now_us);
    /* Commands are refused while the link is down, so they cannot show it either: that it opens has to do. */
    if (is_only_written(loop))
        on_link_good(loop);
}

static bool is_stopping(const struct gw_bus_loop *loop)
{
    struct pollfd wake = {.fd = loop->host.wake_fd, .events = POLLIN};

    return wake.fd >= 0 && poll(&wake, 1, 0) > 0;
}

static void on_link_lost(struct gw_bus_loop *loop, const char *reason)
{
    struct gw_bus_link *link = &loop->link;
    char cause[160];

    gw_bus_loop_close(loop);
    if (is_stopping(loop))
        return;
    if (link->is_proven) {
        link->is_proven = false;
        link->reopen_us = 0;
        gw_log(GW_LOG_DEBUG, loop->conf->name, "link lost (%s), opening it again", reason);
        return;
    }
    snprintf(cause, sizeof cause, "the link breaks at once (%s)", reason);
    go_down(loop, cause);
}

/* ---- who goes next --------------------------------------------------------------------------------- */

static size_t pick_device(struct gw_bus_loop *loop, int64_t now_us)
{
    for (size_t i = 0; i < loop->n_devices; i++) {
        struct gw_bus_device *dev = &loop->devices[i];

        if (gw_bus_cycle_is_due(dev, now_us))
            gw_bus_cycle_begin(loop, dev, now_us);
        loop->contenders[i] = (struct gw_contender){
            .deadline_us = dev->deadline_us,
            .served_us = dev->served_us,
            .is_ready = dev->is_cycling && dev->hold_until_us <= now_us,
        };
    }
    return gw_schedule_pick(loop->contenders, loop->n_devices, now_us, &loop->last_was_late);
}

static int64_t next_wake_us(const struct gw_bus_loop *loop)
{
    int64_t next_us = INT64_MAX;

    for (size_t i = 0; i < loop->n_devices; i++) {
        int64_t wake_us = gw_bus_cycle_wake_us(&loop->devices[i]);

        if (wake_us < next_us)
            next_us = wake_us;
    }
    return next_us;
}

/* The states as they are seen from outside: behind a link that is down no device answers. */
static void show(const struct gw_bus_loop *loop)
{
    const bool is_down = loop->link.is_down;

    if (!loop->view)
        return;
    gw_view_stats(loop->view, &loop->stats, gw_wall_ms(loop->clock));
    for (size_t i = 0; i < loop->n_devices; i++) {
        const struct gw_bus_device *dev = &loop->devices[i];

        gw_view_device(loop->view, i, is_down ? GW_HEALTH_OFFLINE : dev->health.state,
                       is_down ? "link_down" : dev->down_reason, gw_wall_ms(loop->clock));
    }
}

static void update_stats(struct gw_bus_loop *loop)
{
    size_t n = 0;

    for (size_t i = 0; i < loop->n_devices; i++)
        n += loop->devices[i].health.state != GW_HEALTH_OFFLINE &&
             loop->devices[i].silent_since_us == 0;
    loop->stats.n_devices_online = n;
    loop->stats.is_open = loop->link.is_open && !loop->link.is_down;
    loop->stats.is_down = loop->link.is_down;
    show(loop);
}

/* Nothing is due: waits for what instruments say; a bus without such lets its owner wait. */
static enum gw_err idle(struct gw_bus_loop *loop, const char **ret_reason, int64_t *ret_wake_us)
{
    enum gw_err err;

    *ret_wake_us = next_wake_us(loop);
    if (gw_bus_commands_wake_us(loop) < *ret_wake_us)
        *ret_wake_us = gw_bus_commands_wake_us(loop);
    if (loop->n_heard == 0)
        return GW_OK;
    err = gw_bus_listen(loop, *ret_wake_us, ret_reason, ret_wake_us);
    if (err == GW_OK)
        on_link_good(loop);
    return err;
}

/* Runs a command, or with dev a poll. */
static enum gw_err exchange(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                            const char **ret_reason)
{
    enum gw_err err =
        dev ? gw_bus_cycle_run(loop, dev, ret_reason) : gw_bus_commands_run(loop, ret_reason);

    if (err != GW_OK)
        return err;
    on_link_good(loop);
    return loop->n_heard == 0 ? GW_OK : gw_bus_listen_drain(loop, ret_reason);
}

int64_t gw_bus_loop_step(struct gw_bus_loop *loop)
{
    int64_t now_us = gw_now_us(loop->clock), wake_us = 0;
    const char *reason = NULL;
    enum gw_err err;

    gw_bus_commands_look(loop, now_us);
    if (!loop->link.is_open) {
        if (now_us < loop->link.reopen_us)
            return loop->link.reopen_us;
        open_link(loop);
        update_stats(loop);
        return loop->link.is_open ? 0 : loop->link.reopen_us;
    }
    gw_bus_listen_expire(loop, now_us);
    bool was_late = loop->last_was_late;
    size_t next = pick_device(loop, now_us);
    if (gw_bus_commands_want(loop, now_us, next != SIZE_MAX)) {
        loop->last_was_late = was_late; /* the device picked has its turn later */
        err = exchange(loop, NULL, &reason);
    } else {
        err = next == SIZE_MAX ? idle(loop, &reason, &wake_us)
                               : exchange(loop, &loop->devices[next], &reason);
    }
    if (err != GW_OK)
        on_link_lost(loop, reason);
    update_stats(loop);
    return err == GW_OK ? wake_us : 0;
}
