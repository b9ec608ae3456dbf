/* execute: one read request, from its PDU to the values of its points. */
#include "drivers/modbus/driver.h"

#include <stdio.h>
#include <string.h>

#include "drivers/modbus/forms.h"

enum {
    UNITS_MAX = 2000, /* bits of one request */
    SCALE_AGE_MAX_US =
        5000000, /* a scale and its value are read one after the other, with retries between */
};

uint8_t modbus_read_function(const struct modbus_device_conf *device, enum modbus_area area)
{
    switch (area) {
    case MODBUS_COIL:
        return MODBUS_FC_READ_COILS;
    case MODBUS_DISCRETE:
        return MODBUS_FC_READ_DISCRETE;
    case MODBUS_HOLDING:
        return (uint8_t)device->read_function_holding;
    case MODBUS_INPUT:
        break;
    }
    return (uint8_t)device->read_function_input;
}

static enum gw_err parse(const struct modbus_call *call, const struct modbus_exchange *exchange,
                         uint16_t count, uint16_t *ret_values, int *ret_exception)
{
    const uint8_t *reply = exchange->reply;
    size_t len = exchange->ret_reply_len;

    if (call->raw_reply)
        return modbus_parse_raw(reply, len, call->raw_reply, call->reply_len, ret_exception);
    if (ret_values)
        return modbus_parse_read(reply, len, call->pdu[0], count, ret_values, ret_exception);
    return modbus_parse_write(reply, len, call->pdu, ret_exception);
}

enum gw_err modbus_call(struct gw_device *device, const struct modbus_call *call, uint16_t count,
                        uint16_t *ret_values, int64_t deadline_us, struct gw_outcome *outcome)
{
    const struct modbus_device_conf *conf = device->conf;
    struct modbus_exchange exchange = {
        .unit = (uint8_t)conf->unit,
        .request = call->pdu,
        .request_len = call->len,
        .reply_len = call->reply_len,
        .raw_reply = call->raw_reply,
        .extra_delay_us = conf->request_delay_us,
    };
    int exception = 0;

    enum gw_err err = modbus_wire_exchange(device->bus->state, &exchange, deadline_us, outcome);
    if (err)
        return err;
    err = parse(call, &exchange, count, ret_values, &exception);
    if (exception) {
        outcome->exception = exception;
        outcome->reason = modbus_exception_reason(exception);
    } else if (err) {
        outcome->reason = "bad_reply";
    }
    return err;
}

void modbus_describe(const struct gw_device *device, const struct gw_request *request, char *buf,
                     size_t size)
{
    const struct modbus_read read = modbus_read_of(request);
    char first[24], last[16] = "";

    modbus_print_register(read.span.area, read.span.first, first);
    if (read.span.end - read.span.first > 1)
        snprintf(last, sizeof last, "-%u", read.span.end - 1);
    snprintf(buf, size, "%s%s (function %u)", first, last,
             modbus_read_function(device->conf, read.span.area));
}

/* ---- values ---- */

static void keep_scale(const struct modbus_point_conf *point, const struct modbus_read *read,
                       const uint16_t *values, int64_t now_us, struct modbus_scale *scale)
{
    struct modbus_span span = modbus_scale_span(point);

    if (!modbus_span_covers(&read->span, &span))
        return;
    scale->is_read = true;
    scale->read_us = now_us;
    scale->is_good =
        modbus_decode_scale((enum modbus_scale_kind)point->scale_kind,
                            values[span.first - read->span.first], &scale->exp10) == GW_OK;
}

/* Uses up the scale, so that no value ever takes that of an earlier poll. */
static void apply_scale(struct modbus_scale *scale, int64_t now_us, struct gw_result *result)
{
    bool is_fresh = scale->is_read && now_us - scale->read_us <= SCALE_AGE_MAX_US;

    scale->is_read = false;
    if (result->err)
        return;
    if (!is_fresh || !scale->is_good)
        modbus_fail(result, is_fresh ? "scale_not_available" : "scale_not_read");
    else
        result->exp10 = scale->exp10;
}

/* A scale that could not be read now is not the one of the last poll. */
static void drop_scales(struct gw_device *device, const struct gw_request *request,
                        const uint16_t *members)
{
    struct modbus_device *state = device->state;
    struct modbus_read read = modbus_read_of(request);

    for (uint16_t i = 0; i < request->n_members; i++) {
        const struct modbus_point_conf *point = device->points[members[i]];
        struct modbus_span scale = modbus_scale_span(point);
        if (point->scale_register.is_set && modbus_span_covers(&read.span, &scale))
            state->scales[members[i]].is_read = false;
    }
}

static void decode_member(struct gw_device *device, const struct modbus_read *read,
                          const uint16_t *values, uint16_t member, struct gw_result *result)
{
    const struct modbus_device *state = device->state;
    const struct modbus_point_conf *point = device->points[member];
    size_t units = modbus_point_units(point);
    uint16_t regs[MODBUS_REGS_MAX];
    char text[MODBUS_TEXT_MAX];

    memcpy(regs, values + (point->address.first - read->span.first), units * sizeof *regs);
    if (point->low_part.is_set)
        memcpy(regs + units, values + (point->low_part.first - read->span.first),
               units * sizeof *regs);
    modbus_decode(point, regs, text, result);
    if (result->err || result->value.kind != GW_TEXT)
        return;
    /* Each point has a place of its own for its text, since all results of a request are looked at together. */
    char *own = state->texts + state->text_at[member];
    memcpy(own, result->value.text.p, result->value.text.len);
    result->value.text.p = own;
}

void modbus_take(struct gw_device *device, const struct modbus_read *read, const uint16_t *values,
                 uint16_t member, int64_t now_us, struct gw_result *ret_result)
{
    struct modbus_device *state = device->state;
    const struct modbus_point_conf *point = device->points[member];
    struct modbus_span span = modbus_value_span(device->conf, point);

    if (point->scale_register.is_set)
        keep_scale(point, read, values, now_us, &state->scales[member]);
    if (!modbus_span_covers(&read->span, &span)) {
        ret_result->is_partial = true;
        return;
    }
    decode_member(device, read, values, member, ret_result);
    if (point->scale_register.is_set)
        apply_scale(&state->scales[member], now_us, ret_result);
}

enum gw_err modbus_execute(struct gw_device *device, const struct gw_request *request,
                           const uint16_t *members, int64_t deadline_us, struct gw_result *results,
                           struct gw_outcome *outcome)
{
    struct modbus_read read = modbus_read_of(request);
    uint16_t values[UNITS_MAX], count = (uint16_t)(read.span.end - read.span.first);
    struct modbus_call call = {.raw_reply = NULL};

    call.len = modbus_build_read(call.pdu, modbus_read_function(device->conf, read.span.area),
                                 (uint16_t)read.span.first, count, &call.reply_len);
    enum gw_err err = modbus_call(device, &call, count, values, deadline_us, outcome);
    if (err == GW_E_REFUSED && outcome->exception)
        modbus_learn_refusal(device, request, members, outcome->exception);
    if (err) {
        drop_scales(device, request, members);
        return err;
    }
    modbus_learn_answer(device, request);
    for (uint16_t i = 0; i < request->n_members; i++)
        modbus_take(device, &read, values, members[i], outcome->acquired_us, &results[i]);
    return GW_OK;
}
