/* listen: what instruments say unasked. */
#include "drivers/serial/driver.h"

#define RESTART_US                                                                                 \
    10000000 /* silent for so long: on_open again, the instrument may have been switched off */

struct listener {
    void (*heard)(void *ctx, struct gw_device *device, uint16_t point,
                  const struct gw_result *result, int64_t acquired_us);
    void *ctx;
};

static bool is_listening(const struct gw_device *device)
{
    return serial_is_heard(device->conf);
}

/* Starts the instruments that have to be told to talk. One that does not answer is tried again later. */
static enum gw_err start_devices(struct gw_bus *bus)
{
    for (size_t i = 0; i < bus->n_devices; i++) {
        struct gw_device *device = &bus->devices[i];
        const struct serial_device_conf *conf = device->conf;
        struct serial_device *state = device->state;
        int64_t now_us = serial_now(bus);
        const char *reason = NULL;

        if (!is_listening(device) || conf->on_open.n_items == 0 || now_us < state->restart_us)
            continue;
        state->is_started = false;
        serial_stream_reset(&state->stream, conf, false);
        enum gw_err err = serial_start_device(device, now_us, &reason);
        state->restart_us = serial_now(bus) + RESTART_US;
        if (err == GW_E_LINK || err == GW_E_CLOSED)
            return err;
        if (err != GW_OK)
            bus->host->debug(bus->host->ctx, "%s: on_open failed (%s)", device->name,
                             reason ? reason : gw_err_str(err));
    }
    return GW_OK;
}

static void tell(struct gw_device *device, const struct serial_frame *frame,
                 const struct listener *listener)
{
    struct serial_device *state = device->state;
    int64_t acquired_us = state->ear.last_us;

    if (serial_reader_look(&state->reader, frame) == 0) {
        serial_stream_reject(&state->stream);
        return;
    }
    state->restart_us = serial_now(device->bus) + RESTART_US;
    for (size_t i = 0; i < device->n_points; i++) {
        const struct serial_point_conf *point = device->points[i];
        struct gw_result result = {0};

        if (!serial_is_read(point) || !serial_reader_brings(&state->reader, i))
            continue;
        serial_reader_read(&state->reader, frame, i, &result);
        listener->heard(listener->ctx, device, (uint16_t)i, &result, acquired_us);
    }
}

/* Looks into the inboxes. GW_E_TIMEOUT: no whole frame in any. */
static enum gw_err look(struct gw_bus *bus, const struct listener *listener)
{
    for (size_t i = 0; i < bus->n_devices; i++) {
        struct gw_device *device = &bus->devices[i];
        struct serial_frame frame;
        const char *reason;

        if (!is_listening(device))
            continue;
        enum gw_err err = serial_cut_frame(device, &frame, &reason);
        if (err == GW_E_TIMEOUT)
            continue;
        if (err == GW_OK)
            tell(device, &frame, listener);
        return err;
    }
    return GW_E_TIMEOUT;
}

/* When a pause ends a frame that is being heard, or an instrument is to be started again. */
static int64_t next_us(const struct gw_bus *bus, int64_t until_us)
{
    for (size_t i = 0; i < bus->n_devices; i++) {
        const struct gw_device *device = &bus->devices[i];
        const struct serial_device_conf *conf = device->conf;
        const struct serial_device *state = device->state;
        int64_t idle_us = serial_idle_us(device), now_us = serial_now(bus);

        if (!is_listening(device))
            continue;
        if (idle_us > 0 && state->ear.last_us + idle_us > now_us)
            until_us = serial_sooner(until_us, state->ear.last_us + idle_us);
        if (conf->on_open.n_items > 0)
            until_us = serial_sooner(until_us, state->restart_us);
    }
    return until_us;
}

enum gw_err serial_listen(struct gw_bus *bus, int64_t deadline_us,
                          void (*heard)(void *ctx, struct gw_device *device, uint16_t point,
                                        const struct gw_result *result, int64_t acquired_us),
                          void *ctx)
{
    struct serial_line_state *line = bus->state;
    const struct listener listener = {heard, ctx};

    if (!line->port.ops)
        return GW_E_CLOSED;
    while (true) {
        enum gw_err err = start_devices(bus);

        if (err == GW_OK)
            err = look(bus, &listener);
        if (err != GW_E_TIMEOUT)
            return err;
        int64_t wait_us = next_us(bus, deadline_us);
        err = serial_line_hear(line, wait_us, bus->host->listen_fd);
        if (err == GW_E_TIMEOUT && wait_us < deadline_us)
            continue;
        if (err != GW_OK)
            return err;
    }
}
