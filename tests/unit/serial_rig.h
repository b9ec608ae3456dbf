/* serial_rig: the pure half of the serial driver behind the configuration: templates are loaded, bytes decoded. No port. */
#ifndef TEST_SERIAL_RIG_H
#define TEST_SERIAL_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/serial/extract.h"
#include "gateway/config.h"
#include "gateway/mapping.h"
#include "gateway/number.h"

static inline enum gw_err rig_write(struct gw_device *device, const struct gw_write *writes,
                                    size_t n, int64_t deadline_us, size_t *ret_n,
                                    struct gw_outcome *outcome)
{
    (void)device, (void)writes, (void)n, (void)deadline_us, (void)ret_n, (void)outcome;
    return GW_E_REFUSED;
}

/* Never opened: the keys and checks of the driver are all that loading needs. */
static const struct gw_driver rig_driver = {
    .name = "serial",
    .bus_keys = serial_bus_keys,
    .device_keys = serial_device_keys,
    .point_keys = serial_point_keys,
    .bus_conf_size = sizeof(struct serial_bus_conf),
    .device_conf_size = sizeof(struct serial_device_conf),
    .point_conf_size = sizeof(struct serial_point_conf),
    .reopen_min_us = 1,
    .reopen_max_us = 1,
    .check_bus = serial_check_bus,
    .check_device = serial_check_device,
    .check_point = serial_check_point,
    .write = rig_write,
};

static inline const struct gw_driver *rig_find(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "serial") == 0 ? &rig_driver : NULL;
}

static inline size_t rig_names(void *ctx, const char **names, size_t max)
{
    (void)ctx;
    if (max > 0)
        names[0] = "serial";
    return 1;
}

static inline const char *rig_getenv(const char *name)
{
    return getenv(name);
}

/* A device of a template or of keys, and what was read last of each point. */
struct rig {
    struct gw_config *config;
    const struct gw_device_conf *device;
    const struct serial_device_conf *conf;
    const void *points[128];
    struct serial_reader reader;
    struct serial_stream *stream;
    struct gw_reading last[128];
    char texts[128][SERIAL_TEXT_MAX];
    size_t n_frames; /* that brought something */
};

/* `said` takes what was said of a wrong configuration; NULL: it has to be right. */
static inline bool rig_load(struct rig *rig, const char *device_yaml, char **said)
{
    struct gw_diags *diags = gw_diags_new();
    const struct gw_config_env env = {.find_driver = rig_find,
                                      .driver_names = rig_names,
                                      .template_dir = "config/devices",
                                      .getenv = rig_getenv};
    char file[] = "/tmp/field2mqtt-test-XXXXXX", *text;
    size_t len;
    FILE *out;
    int fd = mkstemp(file);

    memset(rig, 0, sizeof *rig);
    assert_true(fd >= 0);
    dprintf(fd,
            "gateway: { name: g }\nmqtt: { servers: mqtt://127.0.0.1 }\nbuses:\n"
            "  - name: b\n    driver: serial\n    port: /dev/null\n    devices:\n%s",
            device_yaml);
    close(fd);
    enum gw_err err = gw_config_load(file, &env, diags, &rig->config);
    assert_int_equal(err == GW_OK, rig->config != NULL);
    out = open_memstream(&text, &len);
    gw_diags_print(diags, out);
    fclose(out);
    gw_diags_free(diags);
    unlink(file);
    if (!said && *text)
        fail_msg("%s", text);
    if (said)
        *said = text;
    else
        free(text);
    if (!rig->config)
        return false;
    rig->device = &rig->config->buses[0].devices[0];
    rig->conf = rig->device->driver_conf;
    assert_true(rig->device->n_points <= 128);
    for (size_t i = 0; i < rig->device->n_points; i++)
        rig->points[i] = rig->device->points[i].driver_conf;
    rig->stream = calloc(1, sizeof *rig->stream);
    assert_int_equal(
        serial_reader_init(&rig->reader, rig->conf, rig->points, rig->device->n_points), GW_OK);
    serial_stream_reset(rig->stream, rig->conf, true);
    return true;
}

static inline void rig_template(struct rig *rig, const char *name, const char *address)
{
    char yaml[200];

    snprintf(yaml, sizeof yaml, "      - { name: d, template: %s%s%s%s }\n", name,
             *address != '-' ? ", address: \"" : "", *address != '-' ? address : "",
             *address != '-' ? "\"" : "");
    rig_load(rig, yaml, NULL);
}

/* "68 21 16" as bytes; gives how many. */
static inline size_t rig_read_hex(const char *hex, uint8_t *bytes)
{
    size_t n = 0;

    for (char *end; *hex; hex = end + (*end == ' '))
        bytes[n++] = (uint8_t)strtoul(hex, &end, 16);
    return n;
}

/* The device is wrong, and this is in what is said of it. */
static inline void rig_assert_wrong(const char *device_yaml, const char *why)
{
    struct rig rig;
    char *said;

    assert_false(rig_load(&rig, device_yaml, &said));
    if (!strstr(said, why))
        fail_msg("%s says \"%s\", not \"%s\"", device_yaml, said, why);
    free(said);
}

static inline void rig_done(struct rig *rig)
{
    serial_reader_done(&rig->reader);
    free(rig->stream);
    gw_config_free(rig->config);
}

static inline void rig_take(struct rig *rig, const struct serial_frame *frame)
{
    if (serial_reader_look(&rig->reader, frame) == 0) {
        serial_stream_reject(rig->stream);
        return;
    }
    rig->n_frames++;
    for (size_t i = 0; i < rig->device->n_points; i++) {
        struct gw_result result = {0};
        struct gw_reading *last = &rig->last[i];

        if (!serial_reader_brings(&rig->reader, i))
            continue;
        serial_reader_read(&rig->reader, frame, i, &result);
        gw_map_result(rig->device->points[i].map, &result, 1, last);
        if (last->value.kind == GW_TEXT) { /* borrowed until the next frame */
            memcpy(rig->texts[i], last->value.text.p, last->value.text.len);
            last->value.text.p = rig->texts[i];
        }
    }
}

static inline void rig_next(struct rig *rig, bool is_idle)
{
    struct serial_frame frame;
    enum serial_seen seen;

    while ((seen = serial_stream_next(rig->stream, is_idle, &frame)) != SERIAL_SEEN_NOTHING)
        if (seen == SERIAL_SEEN_FRAME)
            rig_take(rig, &frame);
}

/* Bytes as they arrive, `step` at a time. */
static inline void rig_feed(struct rig *rig, const uint8_t *bytes, size_t len, size_t step)
{
    for (size_t i = 0; i < len; i += step) {
        serial_stream_put(rig->stream, bytes + i, len - i < step ? len - i : step);
        rig_next(rig, false);
    }
}

static inline void rig_idle(struct rig *rig)
{
    rig_next(rig, true);
}

static inline size_t rig_point(const struct rig *rig, const char *name)
{
    for (size_t i = 0; i < rig->device->n_points; i++)
        if (strcmp(rig->device->points[i].name, name) == 0)
            return i;
    fail_msg("there is no point \"%s\"", name);
    return 0;
}

/* A number is as the source has it to the digits that the source gives. */
static inline void rig_assert(const struct rig *rig, const char *id, const char *name,
                              const char *want)
{
    const struct gw_reading *last = &rig->last[rig_point(rig, name)];
    char got[SERIAL_TEXT_MAX + 1], *end;
    const char *point = strchr(want, '.');
    double number = strtod(want, &end);

    if (strncmp(want, "null:", 5) == 0) {
        if (last->quality != GW_BAD || !last->reason || strcmp(last->reason, want + 5) != 0)
            fail_msg("%s: %s is %s %s, not %s", id, name, last->quality ? "good" : "bad",
                     last->reason ? last->reason : "", want);
        return;
    }
    if (last->quality != GW_GOOD)
        fail_msg("%s: %s is bad (%s), not %s", id, name, last->reason ? last->reason : "-", want);
    if (last->enum_name)
        snprintf(got, sizeof got, "%s", last->enum_name);
    else if (last->value.kind == GW_TEXT)
        snprintf(got, sizeof got, "%.*s", (int)last->value.text.len, last->value.text.p);
    else if (last->value.kind == GW_BOOL)
        snprintf(got, sizeof got, "%s", last->value.b ? "true" : "false");
    else
        gw_number_print(&last->value, got);
    if (strcmp(got, want) == 0)
        return;
    if (last->value.kind != GW_TEXT && *end == '\0' &&
        fabs(strtod(got, NULL) - number) <= 0.5000001 *
                                                pow(10, point ? -(double)strlen(point + 1) : 0) *
                                                (point && strlen(point) > 5 ? 1 : 1e-6))
        return;
    fail_msg("%s: %s is %s, not %s", id, name, got, want);
}

#endif
