/* bus: opens and closes the port of a bus, and prepares its instruments. */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/driver.h"

#define CLOSE_US 300000 /* for all that on_close sends */

size_t serial_device_size(const struct gw_device *device)
{
    (void)device;
    return sizeof(struct serial_device);
}

enum gw_err serial_prepare(struct gw_device *device)
{
    const struct serial_device_conf *conf = device->conf;
    struct serial_device *state = device->state;

    state->ear.stream = &state->stream;
    serial_stream_reset(&state->stream, conf, false);
    if (conf->address &&
        !serial_vars_set(&state->vars, "address", conf->address, strlen(conf->address)))
        return GW_E_RANGE;
    return serial_reader_init(&state->reader, conf, device->points, device->n_points);
}

void serial_release(struct gw_device *device)
{
    struct serial_device *state = device->state;

    serial_reader_done(&state->reader);
}

static struct serial_port_conf port_conf(const struct serial_bus_conf *conf)
{
    return (struct serial_port_conf){
        .name = conf->port,
        .line = {.baud = conf->baud,
                 .data_bits = (int)conf->data_bits,
                 .parity = conf->parity,
                 .stop_bits = (int)conf->stop_bits,
                 .flow = conf->flow},
        .rs485 = conf->rs485,
        .rs485_before_us = conf->rs485_before_us,
        .rs485_after_us = conf->rs485_after_us,
        .has_echo = conf->has_echo,
    };
}

static void doubt(struct gw_device *device, int64_t until_us)
{
    struct serial_device *state = device->state;

    if (until_us > state->doubt_until_us)
        state->doubt_until_us = until_us;
}

void serial_join_bus(struct gw_device *device)
{
    struct serial_device *state = device->state;

    serial_stream_reset(&state->stream, device->conf, false);
    state->ear.is_on = serial_is_heard(device->conf);
    state->is_started = false;
    state->restart_us = 0;
    doubt(device, serial_line_of(device)->doubt_until_us);
    serial_line_add(serial_line_of(device), &state->ear);
}

enum gw_err serial_open(struct gw_bus *bus, int64_t deadline_us, struct gw_driver_diag *diag)
{
    struct serial_line_state *line = bus->state;

    line->conf = port_conf(bus->conf);
    line->ears = NULL;
    for (size_t i = 0; i < bus->n_devices; i++)
        serial_join_bus(&bus->devices[i]);
    enum gw_err err = serial_port_open(&line->port, &line->conf, bus->host, deadline_us, diag);
    line->last_us = serial_now(bus); /* what was on the line before is not known */
    return err;
}

/* Tells an instrument that we go: a stream is cancelled, say. Gives whether there was something to say. */
static bool say_goodbye(struct gw_device *device, int64_t until_us)
{
    const struct serial_device_conf *conf = device->conf;
    const struct serial_device *state = device->state;
    struct serial_line_state *line = serial_line_of(device);
    bool has_said = false;

    for (size_t k = 0; state->is_started && k < conf->on_close.n_items; k++) {
        const struct serial_step_conf *step =
            (const struct serial_step_conf *)conf->on_close.items + k;
        uint8_t bytes[SERIAL_SEND_MAX];
        size_t len;

        if (step->send && serial_render(step->send, &step->checksum, &state->vars, bytes,
                                        sizeof bytes, &len, NULL) == GW_OK)
            has_said |= serial_port_write(&line->port, bytes, len, until_us) == GW_OK;
    }
    return has_said;
}

void serial_close(struct gw_bus *bus)
{
    struct serial_line_state *line = bus->state;

    const int64_t until_us = serial_now(bus) + CLOSE_US;
    bool has_said = false;

    for (size_t i = 0; line->port.ops && i < bus->n_devices; i++)
        has_said |= say_goodbye(&bus->devices[i], until_us);
    if (has_said) /* answers are not waited for */
        serial_port_finish(&line->port, until_us);
    serial_port_close(&line->port);
}

void serial_leave_bus(struct gw_device *device)
{
    struct serial_line_state *line = serial_line_of(device);
    struct serial_device *state = device->state;
    const int64_t until_us = serial_now(device->bus) + CLOSE_US;

    if (say_goodbye(device, until_us)) {
        serial_port_finish(&line->port, until_us);
        line->last_us = serial_now(device->bus);
    }
    serial_line_remove(line, &state->ear);
    /* With it goes what its answers look like: whoever comes or stays cannot tell one that it still owes from its own. */
    if (state->doubt_until_us <= serial_now(device->bus))
        return;
    if (line->doubt_until_us < state->doubt_until_us)
        line->doubt_until_us = state->doubt_until_us;
    for (size_t i = 0; i < device->bus->n_devices; i++)
        doubt(&device->bus->devices[i], state->doubt_until_us);
}

enum gw_err serial_raw(struct gw_bus *bus, const uint8_t *send, size_t n_send, int64_t deadline_us,
                       uint8_t *buf, size_t size, size_t *ret_len)
{
    struct serial_line_state *line = bus->state;
    enum gw_err err = GW_OK;

    if (n_send > 0)
        err = serial_port_write(&line->port, send, n_send, deadline_us);
    return err == GW_OK ? serial_port_read(&line->port, deadline_us, bus->host->listen_fd, buf,
                                           size, ret_len)
                        : err;
}
