/* talk: the parts of a conversation with an instrument: wait for a frame, send, run steps. */
#include <string.h>

#include "drivers/serial/driver.h"

#define START_PATIENCE_US 1000000 /* for steps of on_open beside their own timeouts */
#define TRAILER_PAUSE_US  20000   /* what adapters gather, beside two characters */

/* ---- frames ---------------------------------------------------------------------------------------- */

int64_t serial_idle_us(const struct gw_device *device)
{
    const struct serial_device_conf *conf = device->conf;

    if (conf->frame.idle_us > 0)
        return conf->frame.idle_us;
    return conf->frame.is_trailer_optional
               ? TRAILER_PAUSE_US + serial_line_us(&serial_line_of(device)->port.line, 2)
               : 0;
}

enum gw_err serial_cut_frame(struct gw_device *device, struct serial_frame *ret_frame,
                             const char **ret_reason)
{
    struct serial_device *state = device->state;
    int64_t idle_us = serial_idle_us(device);
    bool is_idle = idle_us > 0 && serial_now(device->bus) - state->ear.last_us >= idle_us;

    switch (serial_stream_next(&state->stream, is_idle, ret_frame)) {
    case SERIAL_SEEN_FRAME:
        return GW_OK;
    case SERIAL_SEEN_BAD_CHECKSUM:
        *ret_reason = "bad_checksum";
        return GW_E_PROTO;
    case SERIAL_SEEN_BAD_FRAME:
        *ret_reason = "bad_frame";
        return GW_E_PROTO;
    default:
        return GW_E_TIMEOUT;
    }
}

enum gw_err serial_next_frame(struct gw_device *device, int64_t until_us, int wake_fd,
                              struct serial_frame *ret_frame, const char **ret_reason)
{
    struct serial_device *state = device->state;
    int64_t idle_us = serial_idle_us(device);

    while (true) {
        int64_t wait_us = until_us;
        enum gw_err err = serial_cut_frame(device, ret_frame, ret_reason);

        if (err != GW_E_TIMEOUT)
            return err;
        if (idle_us > 0 && serial_now(device->bus) < state->ear.last_us + idle_us)
            wait_us = serial_sooner(until_us, state->ear.last_us + idle_us);
        err = serial_line_hear(serial_line_of(device), wait_us, wake_fd);
        if (err == GW_E_TIMEOUT && wait_us < until_us)
            continue; /* the pause that ends a frame */
        if (err != GW_OK)
            return err;
    }
}

bool serial_frame_has(struct gw_device *device, const char *pattern,
                      const struct serial_frame *frame)
{
    struct serial_device *state = device->state;
    size_t index = pattern ? serial_reader_pattern(&state->reader, pattern) : SIZE_MAX;

    return index != SIZE_MAX &&
           serial_reader_fits(&state->reader, index, frame->bytes + frame->body, frame->n_body);
}

/* ---- sending --------------------------------------------------------------------------------------- */

void serial_open_ear(struct gw_device *device)
{
    struct serial_device *state = device->state;

    state->ear.is_on = true;
    serial_stream_reset(&state->stream, device->conf, true);
}

enum gw_err serial_send(struct gw_device *device, const char *text,
                        const struct serial_append_conf *checksum, int64_t until_us,
                        const char **ret_reason)
{
    const struct serial_bus_conf *conf = device->bus->conf;
    struct serial_line_state *line = serial_line_of(device);
    struct serial_device *state = device->state;
    uint8_t bytes[SERIAL_SEND_MAX];
    size_t len;

    enum gw_err err = serial_render(text, checksum, &state->vars, bytes, sizeof bytes, &len, NULL);
    if (err != GW_OK) {
        *ret_reason = "cannot_send";
        return err == GW_E_RANGE ? err : GW_E_PROTO; /* a variable that no answer has brought */
    }
    err = serial_line_wait_silent(line, conf->request_delay_us, until_us);
    if (err != GW_OK && err != GW_E_TIMEOUT) /* a line that is never silent has to be asked too */
        return err;
    err = serial_port_write(&line->port, bytes, len, until_us);
    line->last_us = line->port.sent_us;
    return err;
}

/* ---- steps ----------------------------------------------------------------------------------------- */

static enum gw_err set_baud(struct gw_device *device, const char *text, int parity,
                            int64_t until_us, const char **ret_reason)
{
    struct serial_line_state *line = serial_line_of(device);
    struct serial_device *state = device->state;
    struct serial_line wanted = line->port.line;

    if (text)
        wanted.baud = serial_baud(text, &state->vars);
    if (wanted.baud <= 0) {
        *ret_reason = "unknown_baud_rate";
        return GW_E_PROTO;
    }
    if (parity)
        wanted.parity = parity;
    enum gw_err err = serial_port_set_line(&line->port, &wanted, until_us);
    if (err != GW_E_REFUSED)
        return err;
    *ret_reason = "baud_rate_not_possible";
    return GW_E_PROTO;
}

/* Waits for bytes that have the pattern. They are no frame of the device: an identification line, say. */
static enum gw_err expect(struct gw_device *device, const struct serial_step_conf *step,
                          int64_t until_us, const char **ret_reason)
{
    struct serial_device *state = device->state;
    struct serial_stream *stream = &state->stream;
    size_t pattern = serial_reader_pattern(&state->reader, step->expect);

    until_us = serial_sooner(until_us, serial_now(device->bus) + step->timeout_us);
    while (pattern == SIZE_MAX ||
           !serial_reader_fits(&state->reader, pattern, stream->bytes + stream->at, stream->len)) {
        enum gw_err err =
            serial_line_hear(serial_line_of(device), until_us, device->bus->host->wake_fd);

        if (err == GW_E_TIMEOUT && stream->len > 0)
            *ret_reason = "unexpected_answer";
        if (err != GW_OK)
            return err;
    }
    serial_vars_take(&state->vars, &state->reader, pattern, stream->bytes + stream->at);
    serial_stream_reset(stream, device->conf, true);
    return GW_OK;
}

static enum gw_err run_step(struct gw_device *device, const struct serial_step_conf *step,
                            int64_t until_us, const char **ret_reason)
{
    struct serial_line_state *line = serial_line_of(device);
    enum gw_err err = GW_OK;

    if (step->baud || step->parity)
        err = set_baud(device, step->baud, step->parity, until_us, ret_reason);
    if (err == GW_OK && step->delay_us > 0)
        err = serial_port_pause(&line->port, serial_now(device->bus) + step->delay_us);
    if (err == GW_OK && step->send) {
        serial_open_ear(device);
        err = serial_send(device, step->send, &step->checksum, until_us, ret_reason);
    }
    if (err == GW_OK && step->baud_after)
        err = set_baud(device, step->baud_after, 0, until_us, ret_reason);
    return err == GW_OK && step->expect ? expect(device, step, until_us, ret_reason) : err;
}

enum gw_err serial_run_steps(struct gw_device *device, const struct gw_items *steps,
                             int64_t until_us, const char **ret_reason)
{
    const struct serial_step_conf *step = steps->items;
    enum gw_err err = GW_OK;

    for (size_t i = 0; i < steps->n_items && err == GW_OK; i++)
        err = run_step(device, &step[i], until_us, ret_reason);
    return err;
}

enum gw_err serial_restore_line(struct gw_bus *bus, int64_t until_us)
{
    struct serial_line_state *line = bus->state;

    return serial_port_set_line(&line->port, &line->conf.line, until_us);
}

static int64_t patience_us(const struct gw_items *steps)
{
    const struct serial_step_conf *step = steps->items;
    int64_t us = START_PATIENCE_US;

    for (size_t i = 0; i < steps->n_items; i++)
        us += step[i].delay_us + (step[i].expect ? step[i].timeout_us : 0);
    return us;
}

enum gw_err serial_start_device(struct gw_device *device, int64_t until_us, const char **ret_reason)
{
    const struct serial_device_conf *conf = device->conf;
    struct serial_device *state = device->state;

    if (!state->is_started && conf->on_open.n_items > 0) {
        int64_t needs_us = serial_now(device->bus) + patience_us(&conf->on_open);
        enum gw_err err = serial_run_steps(device, &conf->on_open,
                                           until_us > needs_us ? until_us : needs_us, ret_reason);
        enum gw_err restored = serial_restore_line(device->bus, needs_us + START_PATIENCE_US);

        if (err != GW_OK || restored != GW_OK)
            return err != GW_OK ? err : restored;
    }
    state->is_started = true;
    return GW_OK;
}
