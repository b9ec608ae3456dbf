/* bus_readings: keeps the latest reading of every point and turns those worth it into messages for the outbox.
 * What goes wrong here stays with the one message: it is counted, told once, and the others go on. */
#include "gateway/bus_run.h"

#include <string.h>

#include "gateway/log.h"
#include "gateway/payload.h"
#include "gateway/view.h"

static void make_bad(struct gw_reading *reading, const char *reason)
{
    reading->quality = GW_BAD;
    reading->reason = reason;
    reading->value = (struct gw_value){.kind = GW_NONE};
    reading->enum_name = NULL;
}

/* Text is borrowed from the driver until its next exchange: the point keeps a copy. */
static void keep(const struct gw_bus_point *point, struct gw_reading *kept,
                 const struct gw_reading *reading)
{
    *kept = *reading;
    if (reading->value.kind != GW_TEXT)
        return;
    if (!point->text || reading->value.text.len > GW_BUS_TEXT_MAX) {
        make_bad(kept, "text_too_long");
        return;
    }
    memcpy(point->text, reading->value.text.p, reading->value.text.len);
    kept->value.text.p = point->text;
}

/* Has just this been published already? A bad reading that could not be handed over was not. */
static bool was_told(const struct gw_bus_point *point, const struct gw_reading *kept,
                     const char *reason)
{
    return kept->quality == GW_BAD && kept->reason && strcmp(kept->reason, reason) == 0 &&
           point->filter.has_last && !point->filter.last_was_good;
}

static void tell_too_large(struct gw_bus_loop *loop, const struct gw_bus_device *dev,
                           const char *point_name, bool *is_told)
{
    loop->stats.n_too_large++;
    if (!*is_told)
        gw_log(GW_LOG_WARN, dev->label, "the payload of %s is larger than %zu bytes, dropping it",
               point_name, loop->payload_size);
    *is_told = true;
}

static bool put(struct gw_bus_loop *loop, const char *topic, const struct gw_publish *publish,
                size_t payload_len, const struct gw_seq_places *places, int64_t acquired_wall_ms)
{
    const struct gw_message message = {
        .seq_at = places->at,
        .n_seq_at = places->n,
        .topic = topic,
        .payload = loop->payload,
        .payload_len = payload_len,
        .qos = publish->qos,
        .retain = publish->retain,
        .acquired_wall_ms = acquired_wall_ms,
    };

    /* Drops are counted by the outbox and told by the supervisor, once for all buses. */
    return loop->outbox->ops->put(loop->outbox, &message) == GW_OK;
}

static void publish_point(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                          int64_t now_us)
{
    const struct gw_point_conf *conf = &dev->conf->points[index];
    struct gw_bus_point *point = &dev->points[index];
    const struct gw_reading *reading = &dev->readings[index];
    struct gw_seq_places places;
    size_t len;

    if (gw_payload_point(conf->publish, conf->map, reading, loop->payload, loop->payload_size, &len,
                         &places) != GW_OK) {
        tell_too_large(loop, dev, conf->name, &point->is_too_large);
        return;
    }
    if (put(loop, conf->topic, conf->publish, len, &places, reading->acquired_wall_ms))
        gw_filter_published(&point->filter, reading, now_us);
}

/* Gives whether the reading says what was published already. */
static bool take(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                 const struct gw_reading *reading, bool once)
{
    struct gw_bus_point *point = &dev->points[index];
    struct gw_reading *kept = &dev->readings[index];
    bool is_repeat = once && reading->quality == GW_BAD && was_told(point, kept, reading->reason);

    point->cycle = dev->cycle;
    point->is_unread = false;
    keep(point, kept, reading);
    gw_view_reading(loop->view, (size_t)(dev - loop->devices), index, kept);
    if (kept->quality == GW_GOOD)
        loop->stats.n_readings++;
    else
        loop->stats.n_bad_readings++;
    return is_repeat;
}

static void publish(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                    int64_t now_us)
{
    if (dev->conf->points[index].publish->per == GW_PER_DEVICE)
        dev->wants_message = true;
    else
        publish_point(loop, dev, index, now_us);
}

void gw_bus_settle(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                   const struct gw_reading *reading, bool once)
{
    int64_t now_us = gw_now_us(loop->clock);

    if (!take(loop, dev, index, reading, once) &&
        gw_filter_wants(dev->conf->points[index].publish, &dev->points[index].filter,
                        &dev->readings[index], now_us))
        publish(loop, dev, index, now_us);
}

void gw_bus_settle_now(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                       const struct gw_reading *reading)
{
    int64_t now_us = gw_now_us(loop->clock);

    (void)take(loop, dev, index, reading, false);
    publish(loop, dev, index, now_us);
    gw_bus_flush(loop, dev, now_us);
}

void gw_bus_settle_bad(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                       const char *reason)
{
    const struct gw_reading reading = {
        .quality = GW_BAD,
        .reason = reason,
        .acquired_wall_ms = gw_wall_ms(loop->clock),
    };

    gw_bus_settle(loop, dev, index, &reading, true);
}

static bool is_in_message(const struct gw_bus_device *dev, size_t index)
{
    return dev->conf->points[index].publish->per == GW_PER_DEVICE &&
           (dev->points[index].group != GW_SCHEDULE_NO_GROUP || dev->points[index].is_heard);
}

void gw_bus_flush(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    int64_t newest_wall_ms = 0;
    struct gw_seq_places places;
    size_t len;

    if (!dev->wants_message)
        return;
    dev->wants_message = false;
    if (gw_payload_device(dev->conf, dev->readings, loop->payload, loop->payload_size, &len,
                          &places) != GW_OK) {
        tell_too_large(loop, dev, "the device", &dev->is_too_large);
        return;
    }
    for (size_t i = 0; i < dev->conf->n_points; i++)
        if (is_in_message(dev, i) && dev->readings[i].acquired_wall_ms > newest_wall_ms)
            newest_wall_ms = dev->readings[i].acquired_wall_ms;
    if (!put(loop, dev->conf->topic, &dev->conf->publish, len, &places, newest_wall_ms))
        return;
    for (size_t i = 0; i < dev->conf->n_points; i++)
        if (is_in_message(dev, i))
            gw_filter_published(&dev->points[i].filter, &dev->readings[i], now_us);
}
