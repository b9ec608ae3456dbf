/* poll: asks an instrument and takes its answer.
 *
 * DESIGN: an answer is given out only when it is certain to be the one to this request. Text protocols have no number of the
 * request, so an instrument that has kept an answer owing is not asked again before that can no longer come (doubt); other
 * instruments of the line are, but a frame that the owing one might have sent is nobody's. Frames that are not the answer
 * (an echo, a prompt, what others say unasked) are passed over until the deadline. */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/driver.h"

enum { PLAIN_REPLY = 32 };

static const struct serial_poll_conf *poll_at(const struct gw_device *device, size_t index)
{
    const struct serial_device_conf *conf = device->conf;

    return (const struct serial_poll_conf *)conf->polls.items + index;
}

/* ---- plan ------------------------------------------------------------------------------------------ */

static int64_t steps_us(const struct serial_line *line, const struct gw_items *steps)
{
    int64_t us = 0;

    for (size_t i = 0; i < steps->n_items; i++) {
        const struct serial_step_conf *step = (const struct serial_step_conf *)steps->items + i;

        us += step->delay_us + (step->send ? serial_line_us(line, strlen(step->send)) : 0);
        us += step->expect ? serial_line_us(line, PLAIN_REPLY) : 0;
    }
    return us;
}

/* Predicted time on the wire. */
static uint32_t wire_us(const struct gw_device *device, const struct serial_poll_conf *poll)
{
    const struct serial_bus_conf *bus = device->bus->conf;
    const struct serial_device_conf *conf = device->conf;
    const struct serial_line line = {bus->baud, (int)bus->data_bits, bus->parity,
                                     (int)bus->stop_bits, bus->flow};
    int64_t n_reply = poll->reply_bytes > 0 ? poll->reply_bytes : PLAIN_REPLY;
    int64_t us = bus->request_delay_us + poll->delay_us + conf->turnaround_us;

    us +=
        steps_us(&line, &poll->steps) + serial_line_us(&line, (size_t)(n_reply * poll->n_replies));
    us += poll->send ? serial_line_us(&line, strlen(poll->send)) : 0;
    return us > 0 && us < UINT32_MAX ? (uint32_t)us : us <= 0 ? 1 : UINT32_MAX;
}

static bool add_request(struct gw_device *device, size_t poll, const uint16_t *points,
                        size_t n_points, struct gw_plan *plan)
{
    struct gw_request request = {.first_member = (uint16_t)plan->n_members,
                                 .priv = {(uint32_t)poll}};

    for (size_t i = 0; i < n_points; i++) {
        if (serial_poll_of(device->conf, device->points[points[i]]) != poll)
            continue;
        if (plan->n_members == plan->max_members)
            return false;
        plan->members[plan->n_members++] = points[i];
        request.n_members++;
    }
    if (request.n_members == 0)
        return true;
    if (plan->n_requests == plan->max_requests)
        return false;
    request.wire_us = wire_us(device, poll_at(device, poll));
    request.n_units = request.n_wanted = request.n_members;
    plan->requests[plan->n_requests++] = request;
    return true;
}

enum gw_err serial_plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan)
{
    const struct serial_device_conf *conf = device->conf;

    for (size_t poll = 0; poll < conf->polls.n_items; poll++)
        if (!add_request(device, poll, points, n_points, ret_plan))
            return GW_E_RANGE;
    return GW_OK;
}

void serial_describe(const struct gw_device *device, const struct gw_request *request, char *buf,
                     size_t size)
{
    const struct serial_poll_conf *poll = poll_at(device, request->priv[0]);

    snprintf(buf, size, "%s", poll->name ? poll->name : "poll");
}

/* ---- doubt ----------------------------------------------------------------------------------------- */

/* May the answer that a device owes still come? */
static bool is_in_doubt(struct gw_device *device, int64_t now_us)
{
    struct serial_device *state = device->state;
    struct serial_frame frame;
    const char *reason;

    if (state->doubt_until_us <= now_us)
        return false;
    /* Alone on its line, what comes is its answer. */
    if (device->bus->n_devices > 1 || serial_cut_frame(device, &frame, &reason) != GW_OK)
        return true;
    state->doubt_until_us = 0;
    return false;
}

/* Could another instrument of the line have sent this, one that owes an answer? */
static bool is_of_debtor(const struct gw_device *device, const struct serial_frame *frame,
                         int64_t now_us)
{
    for (size_t i = 0; i < device->bus->n_devices; i++) {
        struct gw_device *other = &device->bus->devices[i];
        struct serial_device *state = other->state;

        if (other != device && state->doubt_until_us > now_us &&
            serial_reader_look(&state->reader, frame) > 0)
            return true;
    }
    return false;
}

/* ---- execute --------------------------------------------------------------------------------------- */

/* What an exchange is about. */
struct exchange {
    struct gw_device *device;
    const struct serial_poll_conf *poll;
    int64_t deadline_us;
    struct gw_outcome *outcome;
    int64_t n_replies;
    const char *bad; /* what was wrong with a frame that came; NULL: nothing */
    bool has_other;  /* a frame came that is not the answer */
};

static enum gw_err ask(struct exchange *exchange)
{
    struct gw_device *device = exchange->device;
    const struct serial_poll_conf *poll = exchange->poll;
    const char **reason = &exchange->outcome->reason;
    const struct serial_step_conf after = {.baud = poll->baud_after};
    const struct gw_items items = {&after, 1};

    enum gw_err err = serial_run_steps(device, &poll->steps, exchange->deadline_us, reason);
    if (err == GW_OK && poll->delay_us > 0)
        err = serial_port_pause(&serial_line_of(device)->port,
                                serial_now(device->bus) + poll->delay_us);
    if (err == GW_OK && poll->send) {
        serial_open_ear(device);
        err = serial_send(device, poll->send, &poll->checksum, exchange->deadline_us, reason);
    }
    return err == GW_OK && poll->baud_after
               ? serial_run_steps(device, &items, exchange->deadline_us, reason)
               : err;
}

/* Waits for the next frame that may be of the answer. */
static enum gw_err next_reply(struct exchange *exchange, struct serial_frame *ret_frame)
{
    struct gw_device *device = exchange->device;

    while (true) {
        enum gw_err err = serial_next_frame(device, exchange->deadline_us,
                                            device->bus->host->wake_fd, ret_frame, &exchange->bad);

        if (err == GW_E_PROTO)
            continue; /* the answer may stand behind the noise */
        if (err != GW_OK)
            return err;
        if (!serial_frame_has(device, exchange->poll->ignore, ret_frame) &&
            !is_of_debtor(device, ret_frame, serial_now(device->bus)))
            return GW_OK;
    }
}

/* Reads the points that a frame brings. False: it brings none that were asked for. */
static bool read_frame(struct gw_device *device, const struct gw_request *request,
                       const uint16_t *members, const struct serial_frame *frame,
                       struct gw_result *results)
{
    struct serial_device *state = device->state;
    bool brings_any = false;

    if (serial_reader_look(&state->reader, frame) == 0) {
        serial_stream_reject(&state->stream);
        return false;
    }
    for (size_t i = 0; i < request->n_members; i++) {
        if (!serial_reader_brings(&state->reader, members[i]))
            continue;
        brings_any = true;
        results[i] = (struct gw_result){0};
        serial_reader_read(&state->reader, frame, members[i], &results[i]);
    }
    return brings_any;
}

static enum gw_err take_replies(struct exchange *exchange, const struct gw_request *request,
                                const uint16_t *members, struct gw_result *results)
{
    struct gw_device *device = exchange->device;
    struct serial_device *state = device->state;
    struct serial_frame frame;

    while (exchange->n_replies < exchange->poll->n_replies) {
        enum gw_err err = next_reply(exchange, &frame);

        if (err == GW_E_TIMEOUT && exchange->n_replies > 0)
            return GW_OK; /* the points of those that came are good */
        if (err != GW_OK)
            return err;
        if (serial_frame_has(device, exchange->poll->refused, &frame)) {
            exchange->outcome->reason = "refused";
            return GW_E_REFUSED;
        }
        if (read_frame(device, request, members, &frame, results))
            exchange->n_replies++;
        else
            exchange->has_other = true;
        exchange->outcome->acquired_us = state->ear.last_us;
    }
    return GW_OK;
}

/* No answer until the deadline. One that did not come may come yet, and would be taken for the next one; a damaged one was
 * it most probably. */
static enum gw_err judge_silence(struct exchange *exchange, int64_t asked_us)
{
    struct serial_device *state = exchange->device->state;

    state->is_started = false;
    state->ear.is_on = exchange->bad == NULL;
    if (exchange->bad) {
        exchange->outcome->reason = exchange->bad;
        return GW_E_PROTO;
    }
    state->doubt_until_us = asked_us + SERIAL_DOUBT_TIMES * (exchange->deadline_us - asked_us);
    if (!exchange->has_other)
        return GW_E_TIMEOUT;
    exchange->outcome->reason = "unexpected_answer";
    return GW_E_PROTO;
}

static enum gw_err begin(struct exchange *exchange)
{
    struct gw_device *device = exchange->device;
    struct serial_device *state = device->state;
    struct serial_line_state *line = device->bus->state;
    int64_t now_us = serial_now(device->bus);

    if (!line->port.ops)
        return GW_E_CLOSED;
    enum gw_err err = serial_line_catch_up(line);
    if (err != GW_OK)
        return err;
    if (is_in_doubt(device, now_us)) {
        exchange->outcome->reason = "late_answer";
        exchange->outcome->hold_us = state->doubt_until_us - now_us;
        return GW_E_BUSY;
    }
    serial_open_ear(device);
    return serial_start_device(device, exchange->deadline_us, &exchange->outcome->reason);
}

static void mark_missing(const struct gw_request *request, struct gw_result *results)
{
    for (size_t i = 0; i < request->n_members; i++) {
        results[i].err = GW_E_PROTO;
        results[i].reason = "no_value";
    }
}

enum gw_err serial_execute(struct gw_device *device, const struct gw_request *request,
                           const uint16_t *members, int64_t deadline_us, struct gw_result *results,
                           struct gw_outcome *outcome)
{
    struct serial_device *state = device->state;
    struct exchange exchange = {.device = device,
                                .poll = poll_at(device, request->priv[0]),
                                .deadline_us = deadline_us,
                                .outcome = outcome};
    int64_t asked_us = serial_now(device->bus);

    enum gw_err err = begin(&exchange);
    if (err == GW_E_BUSY || err == GW_E_CLOSED)
        return err;
    mark_missing(request, results);
    if (err == GW_OK)
        err = ask(&exchange);
    if (err == GW_OK)
        err = take_replies(&exchange, request, members, results);
    state->ear.is_on = false;
    if (err == GW_E_TIMEOUT)
        err = judge_silence(&exchange, asked_us);
    if (err != GW_E_LINK && err != GW_E_CLOSED) {
        enum gw_err restored = serial_restore_line(device->bus, deadline_us + 100000);
        if (restored == GW_E_LINK || restored == GW_E_CLOSED)
            err = restored;
    }
    return err;
}
