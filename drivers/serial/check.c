/* check: what no single key can tell of an instrument and a point. Pure. */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/charset.h"
#include "drivers/serial/mbus.h"
#include "drivers/serial/notation.h"
#include "drivers/serial/reader.h"

static enum gw_err blame(struct gw_driver_diag *diag, const char *key)
{
    diag->key = key;
    return GW_E_CONFIG;
}

#define COMPLAIN(diag, key, ...) (serial_complain(diag, __VA_ARGS__), blame(diag, key))

struct serial_type_spec serial_point_type(const struct serial_point_conf *point)
{
    struct serial_type_spec spec = {(enum serial_type)(point->type >> 8),
                                    (uint8_t)(point->type & 0xFF)};

    if (point->from.kind == SERIAL_MBUS)
        spec = (struct serial_type_spec){
            serial_mbus_is_text(&point->from.mbus) ? SERIAL_TEXT : SERIAL_NUMBER, 0};
    else if (spec.type == SERIAL_TYPE_DEFAULT)
        spec = point->from.kind == SERIAL_BYTE ? (struct serial_type_spec){SERIAL_UINT, 1}
                                               : (struct serial_type_spec){SERIAL_NUMBER, 0};
    return spec;
}

size_t serial_poll_of(const struct serial_device_conf *device,
                      const struct serial_point_conf *point)
{
    const struct serial_poll_conf *poll = device->polls.items;
    size_t i = 0;

    while (point->request && i < device->polls.n_items && strcmp(poll[i].name, point->request) != 0)
        i++;
    return i;
}

bool serial_is_read(const struct serial_point_conf *point)
{
    return point->from.kind != SERIAL_NOWHERE;
}

enum gw_err serial_check_bus(const void *bus_conf, struct gw_driver_diag *diag)
{
    const struct serial_bus_conf *bus = bus_conf;

    if (bus->rs485 && strncmp(bus->port, "tcp://", 6) == 0)
        return COMPLAIN(diag, "rs485", "rs485 is for a port of this machine, not for %s",
                        bus->port);
    return GW_OK;
}

/* ---- device ---------------------------------------------------------------------------------------- */

static enum gw_err check_frame(const struct serial_frame_conf *frame, struct gw_driver_diag *diag)
{
    int n = (frame->length > 0) + frame->length_at.is_set + (frame->idle_us > 0);

    if (n == 0 && frame->end.n == 0)
        return COMPLAIN(diag, "frame",
                        "frame has no \"end\", \"length\", \"length_at\" or \"idle\"");
    if (n > 1 || (frame->idle_us && frame->end.n))
        return COMPLAIN(diag, "frame",
                        "frame says more than once how it ends: end, length, length_at or idle");
    if (frame->length_at.is_set &&
        (frame->length_at.kind != SERIAL_AT_INDEX || frame->length_at.index < 0))
        return COMPLAIN(diag, "frame", "frame: length_at must be a byte from 0 on");
    if (frame->length > frame->max_length)
        return COMPLAIN(diag, "frame", "frame: length %lld is more than max_length %lld",
                        (long long)frame->length, (long long)frame->max_length);
    if (frame->is_trailer_optional && frame->n_trailer == 0)
        return COMPLAIN(diag, "frame", "frame: trailer_optional without trailer");
    if (frame->trailer_end.len && frame->n_trailer)
        return COMPLAIN(diag, "frame", "frame: trailer and trailer_end exclude each other");
    return GW_OK;
}

static enum gw_err check_pattern(const struct serial_device_conf *device, const char *text,
                                 const char *key, struct gw_driver_diag *diag)
{
    struct serial_pattern *pattern;

    if (!text)
        return GW_OK;
    pattern = serial_device_pattern(device, text, diag);
    if (!pattern)
        return blame(diag, key);
    serial_pattern_free(pattern);
    return GW_OK;
}

static void add_name(void *ctx, const char *name)
{
    serial_vars_set(ctx, name, "0", 1);
}

/* Renders a text for trial, so that its mistakes are found before the plant starts. */
static enum gw_err check_send(const char *text, const struct serial_append_conf *checksum,
                              const struct serial_vars *vars, const char *key,
                              struct gw_driver_diag *diag)
{
    uint8_t buf[512];
    size_t len;
    enum gw_err err =
        text ? serial_render(text, checksum, vars, buf, sizeof buf, &len, diag) : GW_OK;

    if (err == GW_E_RANGE)
        serial_complain(diag, "\"%.60s\" is longer than %zu bytes", text, sizeof buf);
    return err ? blame(diag, key) : GW_OK;
}

/* The same of a sample; the variables may be those of the answers before. */
static enum gw_err check_sample(const struct serial_device_conf *device, const char *text,
                                const struct serial_vars *vars, const char *key,
                                struct gw_driver_diag *diag)
{
    struct serial_vars moving = *vars;
    uint8_t buf[2048];
    size_t len;

    serial_vars_set(&moving, SERIAL_MOVING, "0.5", 3);
    if (!text || serial_render(text, &device->sample_checksum, &moving, buf, sizeof buf, &len,
                               diag) == GW_OK)
        return GW_OK;
    return blame(diag, key);
}

static enum gw_err check_baud(const char *text, const struct serial_vars *vars, const char *key,
                              struct gw_driver_diag *diag)
{
    if (!text || serial_baud(text, vars) > 0)
        return GW_OK;
    return COMPLAIN(diag, key, "baud \"%s\" is neither a speed nor iec:${GROUP} of a group before",
                    text);
}

/* What later texts may use of the answers is added to *vars. */
static enum gw_err check_steps(const struct serial_device_conf *device,
                               const struct gw_items *steps, const char *key,
                               struct serial_vars *vars, struct gw_driver_diag *diag)
{
    const struct serial_step_conf *step = steps->items;

    for (size_t i = 0; i < steps->n_items; i++) {
        if (check_send(step[i].send, &step[i].checksum, vars, key, diag) ||
            check_sample(device, step[i].sample, vars, key, diag) ||
            check_baud(step[i].baud, vars, key, diag) ||
            check_pattern(device, step[i].expect, key, diag))
            return GW_E_CONFIG;
        if (step[i].expect) {
            struct serial_pattern *pattern = serial_device_pattern(device, step[i].expect, NULL);

            if (pattern)
                serial_pattern_groups(pattern, add_name, vars);
            serial_pattern_free(pattern);
        }
        if (check_baud(step[i].baud_after, vars, key, diag))
            return GW_E_CONFIG;
    }
    return GW_OK;
}

static enum gw_err check_charset(const struct serial_device_conf *device,
                                 struct gw_driver_diag *diag)
{
    void *converter;

    if (!serial_charset_open((enum serial_charset)device->charset, &converter))
        return COMPLAIN(diag, "charset",
                        "the C library of this machine does not know this charset; on Debian 13 it "
                        "comes with libc-gconv-modules-extra");
    serial_charset_close(converter);
    return GW_OK;
}

static void init_vars(struct serial_vars *vars, const struct serial_device_conf *device)
{
    vars->n = 0;
    if (device->address)
        serial_vars_set(vars, "address", device->address, strlen(device->address));
}

static enum gw_err check_polls(const struct serial_device_conf *device, struct gw_driver_diag *diag)
{
    const struct serial_poll_conf *poll = device->polls.items;
    struct serial_vars vars;

    for (size_t i = 0; i < device->polls.n_items; i++) {
        for (size_t k = 0; k < i; k++)
            if (strcmp(poll[i].name, poll[k].name) == 0)
                return COMPLAIN(diag, "poll", "two polls have the name \"%s\"", poll[i].name);
        init_vars(&vars, device);
        if (check_steps(device, &poll[i].steps, "poll", &vars, diag) ||
            check_send(poll[i].send, &poll[i].checksum, &vars, "poll", diag) ||
            check_sample(device, poll[i].sample, &vars, "poll", diag) ||
            check_baud(poll[i].baud_after, &vars, "poll", diag) ||
            check_pattern(device, poll[i].ignore, "poll", diag) ||
            check_pattern(device, poll[i].refused, "poll", diag))
            return GW_E_CONFIG;
    }
    return GW_OK;
}

static enum gw_err check_conditions(const struct serial_device_conf *device,
                                    struct gw_driver_diag *diag)
{
    const struct serial_condition_conf *condition = device->conditions.items;

    for (size_t i = 0; i < device->conditions.n_items; i++) {
        const struct serial_place *where = &condition[i].where;

        if (!condition[i].match && where->kind == SERIAL_NOWHERE)
            return COMPLAIN(diag, "conditions", "a condition has neither \"match\" nor \"from\"");
        if (where->kind == SERIAL_GROUP)
            return COMPLAIN(diag, "conditions", "a condition has no groups; say it with match");
        if (where->kind == SERIAL_MBUS)
            return COMPLAIN(diag, "conditions", "a condition has no M-Bus records");
        if (where->kind != SERIAL_NOWHERE && where->kind != SERIAL_BYTE &&
            !condition[i].equals.n_items)
            return COMPLAIN(diag, "conditions", "a condition on a text has no \"equals\"");
        if (check_pattern(device, condition[i].match, "conditions", diag))
            return GW_E_CONFIG;
    }
    return GW_OK;
}

enum gw_err serial_check_device(const void *bus_conf, const void *device_conf,
                                struct gw_driver_diag *diag)
{
    const struct serial_device_conf *device = device_conf;
    struct serial_vars vars;

    (void)bus_conf;
    init_vars(&vars, device);
    for (size_t i = 0; i < device->samples.n_items; i++)
        if (check_sample(device, device->samples.items[i], &vars, "samples", diag))
            return GW_E_CONFIG;
    if (check_charset(device, diag) || check_frame(&device->frame, diag) ||
        check_polls(device, diag) || check_conditions(device, diag) ||
        check_steps(device, &device->on_open, "on_open", &vars, diag))
        return GW_E_CONFIG;
    if (device->checksum.sum == SERIAL_SUM_NONE && device->checksum.at.is_set)
        return COMPLAIN(diag, "checksum", "checksum has no \"type\"");
    return check_steps(device, &device->on_close, "on_close", &vars, diag);
}

/* ---- point ----------------------------------------------------------------------------------------- */

static enum gw_err check_group(const struct serial_device_conf *device,
                               const struct serial_point_conf *point,
                               const struct serial_place *place, const char *key,
                               struct gw_driver_diag *diag)
{
    if (place->kind != SERIAL_GROUP)
        return GW_OK;
    if (!point->match)
        return COMPLAIN(diag, key, "group:%s needs a pattern: match", place->name);
    struct serial_pattern *pattern = serial_device_pattern(device, point->match, diag);
    bool is_there = pattern && serial_pattern_has_group(pattern, place->name);
    serial_pattern_free(pattern);
    return is_there ? GW_OK
                    : COMPLAIN(diag, key, "the pattern has no group (?<%s>...)", place->name);
}

static enum gw_err check_type(const struct serial_point_conf *point, struct gw_driver_diag *diag)
{
    struct serial_type_spec spec = serial_point_type(point);
    size_t n_bytes = point->from.has_last ? point->from.last - point->from.first + 1u : 0;
    bool is_binary = spec.type >= SERIAL_UINT;

    if (point->from.kind == SERIAL_MBUS && point->type)
        return COMPLAIN(diag, "type", "an M-Bus record says itself of which type it is");
    if (is_binary && point->from.kind != SERIAL_BYTE && serial_is_read(point))
        return COMPLAIN(diag, "type", "this type is for bytes: from: byte:4");
    if (spec.size && n_bytes && n_bytes != spec.size)
        return COMPLAIN(diag, "from", "%zu bytes are not the %d of its type", n_bytes, spec.size);
    if (spec.type == SERIAL_TIME && !point->format)
        return COMPLAIN(diag, "type", "a time needs a \"format\"");
    if (point->zone && strcmp(point->zone, "Z") != 0 &&
        (strlen(point->zone) != 6 || !strchr("+-", point->zone[0]) || point->zone[3] != ':' ||
         strspn(point->zone + 1, "0123456789:") != 5))
        return COMPLAIN(diag, "zone", "zone \"%s\" is neither Z nor an offset such as +01:00",
                        point->zone);
    if (point->equals.n_items && spec.type != SERIAL_BOOL)
        return COMPLAIN(diag, "equals", "\"equals\" is for type: bool");
    if (point->words.n_items && spec.type != SERIAL_TEXT)
        return COMPLAIN(diag, "words", "\"words\" is for type: text");
    if ((spec.type == SERIAL_BCD || spec.type == SERIAL_BCD_SIGNED) && n_bytes > 9)
        return COMPLAIN(diag, "from", "BCD of %zu bytes does not fit 64 bits (at most 9)", n_bytes);
    return GW_OK;
}

static enum gw_err check_write(const struct serial_device_conf *device,
                               const struct serial_point_conf *point, struct gw_driver_diag *diag)
{
    struct serial_vars vars;

    init_vars(&vars, device);
    serial_vars_set(&vars, "value", "1", 1);
    if (check_pattern(device, point->write_reply, "write_reply", diag) ||
        check_pattern(device, point->write_refused, "write_refused", diag) ||
        check_send(point->write, &point->write_checksum, &vars, "write_text", diag) ||
        check_sample(device, point->write_sample, &vars, "write_sample", diag))
        return GW_E_CONFIG;
    if (point->write && !point->write_reply)
        return COMPLAIN(diag, "write_text",
                        "\"write_text\" needs write_reply: without an answer nobody knows "
                        "whether it was done");
    return GW_OK;
}

static void set_traits(const struct serial_device_conf *device,
                       const struct serial_point_conf *point, struct gw_point_traits *traits)
{
    static const enum gw_kind kinds[] = {
        [SERIAL_NUMBER] = GW_INT,   [SERIAL_TEXT] = GW_TEXT,       [SERIAL_BOOL] = GW_BOOL,
        [SERIAL_HEX_INT] = GW_UINT, [SERIAL_DEGREES] = GW_FLOAT64, [SERIAL_TIME] = GW_TEXT,
        [SERIAL_UINT] = GW_UINT,    [SERIAL_INT] = GW_INT,         [SERIAL_FLOAT] = GW_FLOAT32,
        [SERIAL_BCD] = GW_INT,      [SERIAL_BCD_SIGNED] = GW_INT,  [SERIAL_RAW_BYTES] = GW_TEXT,
    };
    struct serial_type_spec spec = serial_point_type(point);

    *traits =
        (struct gw_point_traits){.kind = kinds[spec.type],
                                 .can_read = serial_is_read(point),
                                 .can_write = point->write != NULL,
                                 .is_heard = serial_is_read(point) && serial_is_heard(device)};
    if (spec.type == SERIAL_FLOAT && spec.size == 8)
        traits->kind = GW_FLOAT64;
    if (spec.type == SERIAL_BOOL)
        traits->raw_max = 1;
}

enum gw_err serial_check_point(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag)
{
    const struct serial_device_conf *device = device_conf;
    const struct serial_point_conf *point = point_conf;

    (void)bus_conf;
    if (!serial_is_read(point) && !point->write)
        return COMPLAIN(diag, "from", "the point has no \"from\" and no \"write\"");
    if (check_pattern(device, point->match, "match", diag) ||
        check_group(device, point, &point->from, "from", diag) ||
        check_group(device, point, &point->sign, "sign", diag) ||
        check_group(device, point, &point->places, "decimals_from", diag) ||
        check_type(point, diag) || check_write(device, point, diag))
        return GW_E_CONFIG;
    if (serial_is_read(point) && device->polls.n_items &&
        serial_poll_of(device, point) == device->polls.n_items)
        return COMPLAIN(diag, "request", "there is no poll of the name \"%s\"", point->request);
    set_traits(device, point, ret_traits);
    return GW_OK;
}
