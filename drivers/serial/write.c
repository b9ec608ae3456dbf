/* write: commands to an instrument (tare, zero, a set point): sent once, and confirmed by its answer. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/driver.h"

enum { VALUE_TEXT = 48 };

/* The value as it stands in a text to send: ${value}. */
static bool print_value(const struct gw_value *value, char text[VALUE_TEXT])
{
    int len = 0;

    switch (value->kind) {
    case GW_BOOL:
        len = snprintf(text, VALUE_TEXT, "%d", value->b);
        break;
    case GW_INT:
        len = snprintf(text, VALUE_TEXT, "%" PRId64, value->i);
        break;
    case GW_UINT:
        len = snprintf(text, VALUE_TEXT, "%" PRIu64, value->u);
        break;
    case GW_FLOAT32:
    case GW_FLOAT64: {
        double number = value->kind == GW_FLOAT64 ? value->f64 : (double)value->f32;

        for (int digits = value->kind == GW_FLOAT64 ? 15 : 6; digits <= 17; digits++) {
            len = snprintf(text, VALUE_TEXT, "%.*g", digits, number);
            double back = strtod(text, NULL);
            if (value->kind == GW_FLOAT64 ? back - number == 0 : (float)back - value->f32 == 0)
                break;
        }
        break;
    }
    case GW_TEXT:
        len = snprintf(text, VALUE_TEXT, "%.*s", (int)value->text.len, value->text.p);
        break;
    default:
        return false;
    }
    return len > 0 && len < VALUE_TEXT;
}

static enum gw_err wait_confirmed(struct gw_device *device, const struct serial_point_conf *point,
                                  int64_t deadline_us, struct gw_outcome *outcome)
{
    const struct serial_device *state = device->state;
    struct serial_frame frame;
    const char *bad = NULL;

    while (true) {
        enum gw_err err =
            serial_next_frame(device, deadline_us, device->bus->host->wake_fd, &frame, &bad);

        if (err == GW_E_PROTO)
            continue;
        if (err != GW_OK)
            return err;
        outcome->acquired_us = state->ear.last_us;
        if (serial_frame_has(device, point->write_refused, &frame)) {
            outcome->reason = "refused";
            return GW_E_REFUSED;
        }
        if (serial_frame_has(device, point->write_reply, &frame))
            return GW_OK;
    }
}

static enum gw_err write_one(struct gw_device *device, const struct gw_write *write,
                             int64_t deadline_us, struct gw_outcome *outcome)
{
    struct serial_device *state = device->state;
    const struct serial_point_conf *point = device->points[write->point];
    struct serial_port *port = &serial_line_of(device)->port;
    char text[VALUE_TEXT];

    if (!point->write || !print_value(&write->value, text) ||
        !serial_vars_set(&state->vars, "value", text, strlen(text)))
        return GW_E_RANGE;
    serial_open_ear(device);
    enum gw_err err =
        serial_send(device, point->write, &point->write_checksum, deadline_us, &outcome->reason);
    if (err == GW_OK && point->write_reply)
        err = wait_confirmed(device, point, deadline_us, outcome);
    else if (err == GW_OK) /* nothing confirms it but that it has left */
        err = serial_port_pause(port, port->sent_us);
    state->ear.is_on = serial_is_heard(device->conf) || err == GW_E_TIMEOUT;
    return err;
}

enum gw_err serial_write(struct gw_device *device, const struct gw_write *writes, size_t n_writes,
                         int64_t deadline_us, size_t *ret_n_written, struct gw_outcome *outcome)
{
    struct serial_device *state = device->state;
    struct serial_line_state *line = serial_line_of(device);
    int64_t asked_us = serial_now(device->bus);

    if (!line->port.ops)
        return GW_E_CLOSED;
    enum gw_err err = serial_line_catch_up(line);
    if (err == GW_OK && state->doubt_until_us > asked_us) {
        outcome->reason = "late_answer";
        outcome->hold_us = state->doubt_until_us - asked_us;
        return GW_E_BUSY;
    }
    if (err == GW_OK)
        err = serial_start_device(device, deadline_us, &outcome->reason);
    for (size_t i = 0; i < n_writes && err == GW_OK; i++) {
        err = write_one(device, &writes[i], deadline_us, outcome);
        *ret_n_written += err == GW_OK;
    }
    if (err == GW_E_TIMEOUT && !serial_is_heard(device->conf))
        state->doubt_until_us = asked_us + SERIAL_DOUBT_TIMES * (deadline_us - asked_us);
    return err;
}
