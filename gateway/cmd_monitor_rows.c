/* cmd_monitor_rows: what messages at the topics of a configuration say of its points. Does not know where they come from. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gateway/cmd_monitor.h"
#include "gateway/config.h"
#include "gateway/json_scan.h"
#include "gateway/mqtt_message.h"
#include "gateway/strmap.h"

enum { TOPIC_BYTES = 512 };

enum kind { OF_POINT, OF_DEVICE, STATE_OF_GATEWAY, STATE_OF_BUS, STATE_OF_DEVICE };

/* What a topic is about. */
struct target {
    enum kind kind;
    size_t bus, device; /* the place of the device in all of them */
    const struct gw_device_conf *conf;
    size_t first_row;                  /* of the device */
    const struct gw_point_conf *point; /* of OF_POINT, */
    struct gw_monitor_row *row;        /* and its row */
    char *own_topic;                   /* NULL when the topic is the configuration's */
};

struct gw_monitor_rows {
    const struct gw_config *config;
    struct gw_monitor_row *rows;
    size_t *bus_of, *device_of; /* of each row */
    bool *is_bus_off, *is_device_off;
    bool is_off;
    size_t n, n_targets;
    struct target *targets;
    const char **topics; /* of the targets */
    struct gw_strmap by_topic;
};

/* ---- topics ---------------------------------------------------------------------------------------- */

static void add_target(struct gw_monitor_rows *rows, const char *topic, struct target target)
{
    void **place;

    if (!topic || gw_strmap_get(&rows->by_topic, topic)) {
        free(target.own_topic);
        return;
    }
    rows->targets[rows->n_targets] = target;
    rows->topics[rows->n_targets] = topic;
    place = gw_strmap_at(&rows->by_topic, topic);
    if (place)
        *place = &rows->targets[rows->n_targets++];
    else
        free(target.own_topic);
}

static void add_state(struct gw_monitor_rows *rows, const char *bus, const char *device,
                      struct target target)
{
    const char *state_topic = rows->config->mqtt.state_topic;
    char topic[TOPIC_BYTES];

    snprintf(topic, sizeof topic, "%.*s%s%s%s%s/state", (int)gw_config_state_base_len(state_topic),
             state_topic, bus[0] ? "/" : "", bus, device[0] ? "/" : "", device);
    target.own_topic = strdup(topic);
    add_target(rows, target.own_topic, target);
}

static void add_device(struct gw_monitor_rows *rows, const struct gw_bus_conf *bus,
                       struct target target)
{
    const struct gw_device_conf *conf = target.conf;

    target.kind = STATE_OF_DEVICE;
    add_state(rows, bus->name, conf->name, target);
    target.kind = OF_DEVICE;
    if (conf->publish.per == GW_PER_DEVICE)
        add_target(rows, conf->topic, target);
    for (size_t p = 0; p < conf->n_points; p++) {
        struct gw_monitor_row *row = &rows->rows[rows->n];

        if (conf->points[p].access == GW_ACCESS_W)
            continue;
        snprintf(row->name, sizeof row->name, "%s/%s/%s", bus->name, conf->name,
                 conf->points[p].name);
        snprintf(row->reason, sizeof row->reason, "not heard yet");
        rows->bus_of[rows->n] = target.bus;
        rows->device_of[rows->n++] = target.device;
        target.kind = OF_POINT;
        target.point = &conf->points[p];
        target.row = row;
        if (conf->points[p].publish->per == GW_PER_POINT)
            add_target(rows, conf->points[p].topic, target);
    }
}

static void add_all(struct gw_monitor_rows *rows)
{
    const struct gw_config *config = rows->config;
    size_t device = 0;

    add_target(rows, config->mqtt.state_topic, (struct target){.kind = STATE_OF_GATEWAY});
    for (size_t b = 0; b < config->n_buses; b++) {
        const struct gw_bus_conf *bus = &config->buses[b];

        add_state(rows, bus->name, "", (struct target){.kind = STATE_OF_BUS, .bus = b});
        for (size_t d = 0; d < bus->n_devices; d++, device++)
            add_device(
                rows, bus,
                (struct target){
                    .bus = b, .device = device, .conf = &bus->devices[d], .first_row = rows->n});
    }
}

struct gw_monitor_rows *gw_monitor_rows_new(const struct gw_config *config)
{
    struct gw_monitor_rows *rows = calloc(1, sizeof *rows);
    size_t n_devices = 0, n_points = 0;

    for (size_t b = 0; b < config->n_buses; b++) {
        n_devices += config->buses[b].n_devices;
        for (size_t d = 0; d < config->buses[b].n_devices; d++)
            n_points += config->buses[b].devices[d].n_points;
    }
    if (!rows)
        return NULL;
    const size_t n_targets = 1 + config->n_buses + 2 * n_devices + n_points;
    rows->config = config;
    rows->rows = calloc(n_points + 1, sizeof *rows->rows);
    rows->bus_of = calloc(n_points + 1, sizeof *rows->bus_of);
    rows->device_of = calloc(n_points + 1, sizeof *rows->device_of);
    rows->is_bus_off = calloc(config->n_buses + 1, sizeof *rows->is_bus_off);
    rows->is_device_off = calloc(n_devices + 1, sizeof *rows->is_device_off);
    rows->targets = calloc(n_targets, sizeof *rows->targets);
    rows->topics = calloc(n_targets, sizeof *rows->topics);
    if (!rows->rows || !rows->bus_of || !rows->device_of || !rows->is_bus_off ||
        !rows->is_device_off || !rows->targets || !rows->topics) {
        gw_monitor_rows_free(rows);
        return NULL;
    }
    add_all(rows);
    return rows;
}

void gw_monitor_rows_free(struct gw_monitor_rows *rows)
{
    if (!rows)
        return;
    for (size_t i = 0; i < rows->n_targets; i++)
        free(rows->targets[i].own_topic);
    gw_strmap_free(&rows->by_topic);
    free(rows->rows);
    free(rows->bus_of);
    free(rows->device_of);
    free(rows->is_bus_off);
    free(rows->is_device_off);
    free(rows->targets);
    free(rows->topics);
    free(rows);
}

const char *const *gw_monitor_rows_topics(const struct gw_monitor_rows *rows, size_t *ret_n)
{
    *ret_n = rows->n_targets;
    return rows->topics;
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* "ts": ms since 1970, or 2026-11-24T10:05:12.345Z. */
static int64_t wall_ms_of(const char *ts, int64_t otherwise)
{
    struct tm tm = {0};
    const char *rest = strchr(ts, 'T') ? strptime(ts, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    char *end;

    if (rest)
        return (int64_t)timegm(&tm) * 1000 + (*rest == '.' ? strtol(rest + 1, NULL, 10) : 0);
    const int64_t ms = strtoll(ts, &end, 10);
    return end == ts ? otherwise : ms;
}

static void make_bad(struct gw_monitor_row *row, const char *reason, int64_t wall_ms)
{
    row->is_good = false;
    row->wall_ms = wall_ms;
    snprintf(row->reason, sizeof row->reason, "%.*s", GW_MONITOR_REASON - 1, reason);
}

static void make_good(struct gw_monitor_row *row, const char *value, const char *unit,
                      int64_t wall_ms)
{
    row->is_good = true;
    row->wall_ms = wall_ms;
    snprintf(row->value, sizeof row->value, "%.80s%s%.20s", value, unit[0] ? " " : "", unit);
}

static void take_json(struct gw_monitor_row *row, const struct gw_scan_value *object,
                      int64_t wall_ms)
{
    char text[96] = "", unit[40] = "", reason[GW_MONITOR_REASON] = "bad", ts[40] = "";
    const struct gw_monitor_member members[] = {{"value", text, sizeof text},
                                                {"unit", unit, sizeof unit},
                                                {"reason", reason, sizeof reason},
                                                {"ts", ts, sizeof ts}};
    const bool is_good = gw_monitor_members(object, members, sizeof members / sizeof members[0]);

    wall_ms = wall_ms_of(ts, wall_ms);
    if (is_good)
        make_good(row, text, unit, wall_ms);
    else
        make_bad(row, reason, wall_ms);
}

/* The place of a row of the device by the name of its point; NULL when there is none. */
static struct gw_monitor_row *find_row(struct gw_monitor_rows *rows, const struct target *target,
                                       const struct gw_scan_value *key,
                                       const struct gw_point_conf **ret_point)
{
    size_t at = target->first_row;

    for (size_t p = 0; p < target->conf->n_points; p++) {
        const struct gw_point_conf *point = &target->conf->points[p];

        if (point->access == GW_ACCESS_W)
            continue;
        if (gw_scan_is(key, point->name)) {
            *ret_point = point;
            return point->publish->per == GW_PER_DEVICE ? &rows->rows[at] : NULL;
        }
        at++;
    }
    return NULL;
}

static void take_device(struct gw_monitor_rows *rows, const struct target *target,
                        const struct gw_scan_value *object, int64_t wall_ms)
{
    struct gw_scan_value key, value, bad = {.type = GW_SCAN_NOTHING};
    const struct gw_point_conf *point;
    struct gw_monitor_row *row;
    char text[96];
    size_t at = 0;

    while (gw_scan_next(object, &at, &key, &value)) {
        if (gw_scan_is(&key, "ts")) {
            gw_monitor_text(&value, text, sizeof text);
            wall_ms = wall_ms_of(text, wall_ms);
        } else if (gw_scan_is(&key, "bad")) {
            bad = value;
        }
    }
    for (at = 0; gw_scan_next(object, &at, &key, &value);)
        if ((row = find_row(rows, target, &key, &point))) {
            gw_monitor_text(&value, text, sizeof text);
            make_good(row, text, point->map->unit ? point->map->unit : "", wall_ms);
        }
    for (at = 0; bad.type == GW_SCAN_OBJECT && gw_scan_next(&bad, &at, &key, &value);)
        if ((row = find_row(rows, target, &key, &point))) {
            gw_monitor_text(&value, text, sizeof text);
            make_bad(row, text, wall_ms);
        }
}

/* Of a message that is of no use: its point, or all the points that it should have had. */
static void all_bad(struct gw_monitor_rows *rows, const struct target *target, const char *reason,
                    int64_t wall_ms)
{
    size_t at = target->first_row;

    if (target->kind == OF_POINT) {
        make_bad(target->row, reason, wall_ms);
        return;
    }
    for (size_t p = 0; p < target->conf->n_points; p++) {
        const struct gw_point_conf *point = &target->conf->points[p];

        if (point->access == GW_ACCESS_W)
            continue;
        if (point->publish->per == GW_PER_DEVICE)
            make_bad(&rows->rows[at], reason, wall_ms);
        at++;
    }
}

/* A value alone, or what a template made of it. */
static void take_text(struct gw_monitor_row *row, bool is_value,
                      const struct gw_mqtt_message *message)
{
    const size_t len =
        message->payload_len < GW_MONITOR_VALUE ? message->payload_len : GW_MONITOR_VALUE - 1;
    char text[GW_MONITOR_VALUE];

    snprintf(text, sizeof text, "%.*s", (int)len, message->payload);
    if (is_value && strcmp(text, "null") == 0)
        make_bad(row, "bad", message->received_wall_ms);
    else
        make_good(row, text, "", message->received_wall_ms);
}

static void take_value(struct gw_monitor_rows *rows, const struct target *target,
                       const struct gw_mqtt_message *message)
{
    const bool is_point = target->kind == OF_POINT;
    const enum gw_payload_format format =
        is_point ? target->point->publish->payload : GW_PAYLOAD_JSON;
    struct gw_scan_value object;

    if (message->payload_len == 0)
        all_bad(rows, target, "cleared", message->received_wall_ms);
    else if (format != GW_PAYLOAD_JSON)
        take_text(target->row, format == GW_PAYLOAD_VALUE, message);
    else if (message->payload_len > GW_MQTT_PAYLOAD_MAX)
        all_bad(rows, target, "too large to show", message->received_wall_ms);
    else if (gw_scan(message->payload, message->payload_len, &object) != GW_SCAN_GOOD ||
             object.type != GW_SCAN_OBJECT)
        all_bad(rows, target, "not to be read", message->received_wall_ms);
    else if (is_point)
        take_json(target->row, &object, message->received_wall_ms);
    else
        take_device(rows, target, &object, message->received_wall_ms);
}

void gw_monitor_rows_take(struct gw_monitor_rows *rows, const struct gw_mqtt_message *message)
{
    const struct target *target = gw_strmap_get(&rows->by_topic, message->topic);
    const bool is_offline = message->payload_len == strlen("offline") &&
                            memcmp(message->payload, "offline", strlen("offline")) == 0;

    if (!target)
        return;
    if (target->kind == STATE_OF_GATEWAY)
        rows->is_off = is_offline;
    else if (target->kind == STATE_OF_BUS)
        rows->is_bus_off[target->bus] = is_offline;
    else if (target->kind == STATE_OF_DEVICE)
        rows->is_device_off[target->device] = is_offline;
    else
        take_value(rows, target, message);
}

/* ---- rows ------------------------------------------------------------------------------------------ */

size_t gw_monitor_rows_unheard(const struct gw_monitor_rows *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < rows->n; i++)
        n += rows->rows[i].wall_ms == 0;
    return n;
}

bool gw_monitor_rows_copy(const struct gw_monitor_rows *rows, struct gw_monitor_row **ret_rows,
                          size_t *ret_n)
{
    struct gw_monitor_row *copy = malloc((rows->n + 1) * sizeof *copy);

    if (!copy)
        return false;
    memcpy(copy, rows->rows, rows->n * sizeof *copy);
    for (size_t i = 0; i < rows->n; i++) {
        const char *off = rows->is_off                              ? "gateway offline"
                          : rows->is_bus_off[rows->bus_of[i]]       ? "bus offline"
                          : rows->is_device_off[rows->device_of[i]] ? "device offline"
                                                                    : NULL;

        if (off && copy[i].is_good)
            make_bad(&copy[i], off, copy[i].wall_ms);
    }
    *ret_rows = copy;
    *ret_n = rows->n;
    return true;
}
