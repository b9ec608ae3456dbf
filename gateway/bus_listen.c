/* bus_listen: what instruments say unasked, and what it means when they do not.
 *
 * DESIGN: a bus that has nothing to poll listens instead of waiting; after each poll it takes what came meanwhile, so that
 * neither starves the other. One call of the driver brings one message; its points are settled as it brings them, and the
 * message of the device follows. A point is stale when it was not heard for its stale_after, counted from the opening of a
 * link that was down; a link that was opened again at once does not make it younger. */
#include "gateway/bus_run.h"

#include <poll.h>
#include <string.h>

#define SECOND_US ((int64_t)1000000)

enum { DRAIN_MAX = 16 };

void gw_bus_listen_init(struct gw_bus_loop *loop)
{
    for (size_t d = 0; loop->driver->listen && d < loop->n_devices; d++) {
        struct gw_bus_device *dev = &loop->devices[d];

        for (size_t i = 0; i < dev->conf->n_points; i++) {
            const struct gw_point_conf *conf = &dev->conf->points[i];

            dev->points[i].is_heard = conf->traits.is_heard && conf->access != GW_ACCESS_W;
            dev->n_heard += dev->points[i].is_heard;
        }
        loop->n_heard += dev->n_heard;
    }
}

/* When the point becomes stale; INT64_MAX: never. */
static int64_t stale_at_us(const struct gw_bus_device *dev, size_t index)
{
    const struct gw_bus_point *point = &dev->points[index];
    int64_t after_us = dev->conf->points[index].stale_after_us;

    return point->is_heard && after_us > 0 ? point->heard_us + after_us : INT64_MAX;
}

void gw_bus_listen_start(const struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    dev->stale_us = dev->n_heard > 0 ? now_us : INT64_MAX; /* to be looked at once */
    for (size_t i = 0; i < dev->conf->n_points; i++)
        if (dev->points[i].heard_us == 0 || loop->link.is_down)
            dev->points[i].heard_us = now_us;
}

/* ---- silence --------------------------------------------------------------------------------------- */

/* Was nothing heard of the device for so long that all its points that may become stale are? */
static void judge_silence(struct gw_bus_device *dev, int64_t now_us)
{
    int64_t longest_us = 0, heard_us = 0;

    for (size_t i = 0; i < dev->conf->n_points; i++) {
        int64_t stale_us = stale_at_us(dev, i);

        if (stale_us == INT64_MAX)
            continue;
        if (stale_us > now_us)
            return;
        if (dev->conf->points[i].stale_after_us > longest_us)
            longest_us = dev->conf->points[i].stale_after_us;
        if (dev->points[i].heard_us > heard_us)
            heard_us = dev->points[i].heard_us;
    }
    if (longest_us == 0 || dev->silent_since_us)
        return;
    dev->silent_since_us = heard_us;
    gw_bus_tell_silent(dev, longest_us);
}

static void expire_points(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    int64_t next_us = INT64_MAX;
    bool is_any_stale = false;

    for (size_t i = 0; i < dev->conf->n_points; i++) {
        int64_t stale_us = stale_at_us(dev, i);

        if (stale_us > now_us) {
            next_us = stale_us < next_us ? stale_us : next_us;
        } else {
            gw_bus_settle_bad(loop, dev, i, "stale");
            is_any_stale = true;
        }
    }
    dev->stale_us = next_us;
    if (is_any_stale)
        judge_silence(dev, now_us);
    gw_bus_flush(loop, dev, now_us);
}

void gw_bus_listen_expire(struct gw_bus_loop *loop, int64_t now_us)
{
    for (size_t d = 0; loop->n_heard > 0 && d < loop->n_devices; d++)
        if (loop->devices[d].n_heard > 0 && loop->devices[d].stale_us <= now_us)
            expire_points(loop, &loop->devices[d], now_us);
}

int64_t gw_bus_listen_wake_us(const struct gw_bus_loop *loop)
{
    int64_t next_us = INT64_MAX;

    for (size_t d = 0; d < loop->n_devices; d++)
        if (loop->devices[d].n_heard > 0 && loop->devices[d].stale_us < next_us)
            next_us = loop->devices[d].stale_us;
    return next_us;
}

void gw_bus_listen_abort(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason)
{
    for (size_t i = 0; i < dev->conf->n_points; i++)
        if (dev->points[i].is_heard)
            gw_bus_settle_bad(loop, dev, i, reason);
}

/* ---- listening ------------------------------------------------------------------------------------- */

static void on_heard(void *ctx, struct gw_device *device, uint16_t index,
                     const struct gw_result *result, int64_t acquired_us)
{
    struct gw_bus_loop *loop = ctx;
    struct gw_bus_device *dev = &loop->devices[device->index];
    int64_t now_us = gw_now_us(loop->clock);
    struct gw_reading reading;

    if (index >= dev->conf->n_points || !dev->points[index].is_heard || result->is_partial)
        return;
    if (acquired_us <= 0 || acquired_us > now_us)
        acquired_us = now_us;
    dev->points[index].heard_us = acquired_us;
    if (stale_at_us(dev, index) < dev->stale_us)
        dev->stale_us = stale_at_us(dev, index);
    if (dev->silent_since_us) {
        gw_bus_tell_heard(dev, now_us);
        dev->silent_since_us = 0;
    }
    gw_map_result(dev->conf->points[index].map, result,
                  gw_wall_ms(loop->clock) - (now_us - acquired_us) / 1000, &reading);
    gw_bus_settle(loop, dev, index, &reading, false);
}

static void flush_all(struct gw_bus_loop *loop)
{
    int64_t now_us = gw_now_us(loop->clock);

    for (size_t d = 0; d < loop->n_devices; d++)
        if (loop->devices[d].n_heard > 0)
            gw_bus_flush(loop, &loop->devices[d], now_us);
}

static bool is_called(const struct gw_bus_loop *loop)
{
    struct pollfd fd = {.fd = loop->host.listen_fd, .events = POLLIN};

    return fd.fd >= 0 && poll(&fd, 1, 0) > 0;
}

/* GW_E_TIMEOUT and GW_E_CLOSED are given back as they are; GW_OK: there may be more. */
static enum gw_err listen_once(struct gw_bus_loop *loop, int64_t until_us, const char **ret_reason)
{
    enum gw_err err = loop->driver->listen(loop->bus, until_us, on_heard, loop);

    flush_all(loop);
    switch (err) {
    case GW_OK:
        loop->stats.n_heard++;
        return GW_OK;
    case GW_E_TIMEOUT:
        return err;
    case GW_E_CLOSED:
        if (is_called(loop))
            return err;
        break; /* the driver is closed, which it should not be */
    case GW_E_LINK:
        break;
    default:
        loop->stats.n_proto_errors++;
        return GW_OK;
    }
    loop->stats.n_link_errors++;
    *ret_reason = gw_err_str(err);
    return GW_E_LINK;
}

enum gw_err gw_bus_listen(struct gw_bus_loop *loop, int64_t until_us, const char **ret_reason,
                          int64_t *ret_wake_us)
{
    int64_t now_us = gw_now_us(loop->clock);
    int64_t stale_us = gw_bus_listen_wake_us(loop);

    until_us = stale_us < until_us ? stale_us : until_us;
    if (until_us > now_us + SECOND_US) /* so that the owner of the loop sees it alive */
        until_us = now_us + SECOND_US;
    enum gw_err err = listen_once(loop, until_us, ret_reason);
    if (err == GW_E_LINK)
        return err;
    /* A driver that does not wait must not make the bus spin. */
    *ret_wake_us = err == GW_E_TIMEOUT ? until_us : 0;
    return GW_OK;
}

enum gw_err gw_bus_listen_drain(struct gw_bus_loop *loop, const char **ret_reason)
{
    for (int i = 0; i < DRAIN_MAX; i++) {
        enum gw_err err = listen_once(loop, gw_now_us(loop->clock), ret_reason);

        if (err != GW_OK)
            return err == GW_E_LINK ? err : GW_OK;
    }
    return GW_OK;
}
