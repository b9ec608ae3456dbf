/* What a good configuration becomes, and what driver, environment and files outside add to its mistakes. The sentences of
 * wrong configurations are in tests/bad_config. */
#include "tests/unit/config_fixture.h"

#include <math.h>
#include <time.h>

#include "tests/unit/random.h"

#define BUS HEAD "buses:\n  - name: line\n    driver: toy\n    place: here\n    devices:\n"

static const struct gw_point_conf *point_at(const struct gw_config *config, size_t device,
                                            size_t point)
{
    assert_true(device < config->buses[0].n_devices);
    assert_true(point < config->buses[0].devices[device].n_points);
    return &config->buses[0].devices[device].points[point];
}

/* ---- defaults and inheritance ---------------------------------------------------------------------- */

static void what_is_not_said_has_its_documented_default(void **state)
{
    struct gw_config *c =
        load(BUS "      - { name: d, address: 1, points: [{ name: p, cell: 3 }] }\n");
    const struct gw_device_conf *d = &c->buses[0].devices[0];
    const struct gw_point_conf *p = point_at(c, 0, 0);

    (void)state;
    assert_string_equal(c->gateway_name, "plant");
    assert_int_equal(c->mqtt.servers.n_items, 1);
    assert_string_equal(c->mqtt.servers.items[0], "mqtt://127.0.0.1:1883");
    assert_int_equal(c->mqtt.version, GW_MQTT_3_1_1);
    assert_string_equal(c->mqtt.client_id, "field2mqtt-plant");
    assert_string_equal(c->mqtt.state_topic, "field2mqtt/plant/state");
    assert_null(c->mqtt.username);
    assert_null(c->mqtt.password);
    assert_null(c->mqtt.tls.ca_file);
    assert_true(c->mqtt.tls.verify);
    assert_int_equal(c->mqtt.keepalive_us, 15000000);
    assert_int_equal(c->mqtt.connect_timeout_us, 10000000);
    assert_int_equal(c->mqtt.reconnect_min_us, 1000000);
    assert_int_equal(c->mqtt.reconnect_max_us, 60000000);
    assert_int_equal(c->mqtt.max_inflight, 100);
    assert_int_equal(c->mqtt.max_payload, 256 * 1024);
    assert_int_equal(c->buffer.max_bytes, 64 * 1024 * 1024);
    assert_false(c->buffer.drop_newest);
    assert_int_equal(c->buses[0].reopen_min_us, 200000);
    assert_int_equal(c->buses[0].reopen_max_us, 7000000);
    assert_false(c->buses[0].align);
    assert_int_equal(((const struct toy_bus *)c->buses[0].driver_conf)->speed, 10);
    assert_int_equal(((const struct toy_device *)d->driver_conf)->pause_us, 5000);
    assert_int_equal(d->timeout_us, 1000000);
    assert_int_equal(d->retries, 1);
    assert_int_equal(d->offline_after_us, 3000000);
    assert_int_equal(d->retry_max_us, 30000000);
    assert_null(d->template_name);
    assert_int_equal(p->interval_us, 1000000);
    assert_int_equal(p->access, GW_ACCESS_R);
    assert_int_equal(p->map->scale.digits, 1);
    assert_int_equal(p->map->scale.exp10, 0);
    assert_int_equal(p->map->offset.digits, 0);
    assert_int_equal(p->map->decimals, -1);
    assert_null(p->map->unit);
    assert_false(p->map->has_min || p->map->has_max);
    assert_string_equal(p->topic, "plant/d/p");
    assert_string_equal(p->publish->topic_template, "${gateway}/${device}/${point}");
    assert_int_equal(p->publish->payload, GW_PAYLOAD_JSON);
    assert_int_equal(p->publish->qos, 1);
    assert_false(p->publish->retain);
    assert_int_equal(p->publish->when, GW_WHEN_EVERY);
    assert_true(p->publish->deadband.amount == 0);
    assert_int_equal(p->publish->max_silence_us, 0);
    assert_int_equal(p->publish->on_bad, GW_ON_BAD_PUBLISH);
    gw_config_free(c);
}

static void the_innermost_level_that_says_something_holds(void **state)
{
    struct gw_config *c =
        load(HEAD "interval: 2s\ntimeout: 20ms\nretries: 0\npublish: { qos: 0, retain: true, when: "
                  "change, deadband: 1% }\n"
                  "buses:\n"
                  "  - name: line\n    driver: toy\n    place: here\n    interval: 3s\n    note: "
                  "of the bus\n    pause: 7ms\n"
                  "    publish: { deadband: 2 }\n"
                  "    devices:\n"
                  "      - { name: a, address: 1, points: [{ name: p, cell: 1 }, { name: q, cell: "
                  "2, interval: 500ms, qos: 2, note: own }] }\n"
                  "      - { name: b, address: 2, interval: 4s, timeout: 1s, kind: signed, pause: "
                  "0s, publish: { retain: false }, points: [{ name: p, cell: 1 }] }\n");
    const struct gw_device_conf *a = &c->buses[0].devices[0], *b = &c->buses[0].devices[1];

    (void)state;
    assert_int_equal(a->timeout_us, 20000);
    assert_int_equal(a->retries, 0);
    assert_int_equal(((const struct toy_device *)a->driver_conf)->pause_us, 7000);
    assert_int_equal(a->points[0].interval_us, 3000000);
    assert_int_equal(a->points[0].publish->qos, 0);
    assert_true(a->points[0].publish->deadband.amount == 2 &&
                !a->points[0].publish->deadband.is_percent);
    assert_string_equal(((const struct toy_point *)a->points[0].driver_conf)->note, "of the bus");
    assert_int_equal(a->points[1].interval_us, 500000);
    assert_int_equal(a->points[1].publish->qos, 2);
    assert_int_equal(a->points[1].publish->when, GW_WHEN_CHANGE);
    assert_string_equal(((const struct toy_point *)a->points[1].driver_conf)->note, "own");
    assert_int_equal(b->timeout_us, 1000000);
    assert_int_equal(((const struct toy_device *)b->driver_conf)->pause_us, 0);
    assert_int_equal(b->points[0].interval_us, 4000000);
    assert_int_equal(b->points[0].traits.kind, GW_INT);
    assert_false(b->points[0].publish->retain);
    assert_true(a->points[0].publish->retain);
    gw_config_free(c);
}

static void points_that_are_alike_share_what_is_said_of_them(void **state)
{
    struct gw_config *c = load(
        HEAD "buses:\n  - name: line\n    driver: toy\n    place: here\n    devices:\n"
             "      - { name: a, address: 1, points: [{ name: p, cell: 1, unit: V, enum: { 1: x "
             "}, invalid: [7] }, { name: q, cell: 1, qos: 2, unit: A }] }\n"
             "      - { name: b, address: 2, points: [{ name: p, cell: 1, unit: V, enum: { 1: x "
             "}, invalid: [7] }] }\n");
    const struct gw_point_conf *p = point_at(c, 0, 0), *q = point_at(c, 0, 1),
                               *same = point_at(c, 1, 0);

    (void)state;
    assert_ptr_equal(same->map, p->map);
    assert_ptr_equal(same->publish, p->publish);
    assert_ptr_equal(same->driver_conf, p->driver_conf);
    assert_ptr_equal(same->name, p->name);
    assert_string_not_equal(same->topic, p->topic);
    assert_ptr_equal(q->driver_conf, p->driver_conf);
    assert_ptr_not_equal(q->map, p->map);
    assert_ptr_not_equal(q->publish, p->publish);
    gw_config_free(c);
}

static void what_is_disabled_is_left_out(void **state)
{
    struct gw_config *c =
        load(HEAD "buses:\n"
                  "  - { name: off, driver: no-such-driver, enabled: false, whatever: 1 }\n"
                  "  - { name: also-off, driver: toy, place: \"${FIELD2MQTT_TEST_UNSET}\", "
                  "enabled: false, devices: [] }\n"
                  "  - name: line\n    driver: toy\n    place: here\n    devices:\n"
                  "      - { name: x, enabled: false, points: [{ name: p, cell: 1 }] }\n"
                  "      - { name: y, address: 1, points: [{ name: p, cell: 1 }, { name: q, "
                  "enabled: false }] }\n");

    (void)state;
    assert_int_equal(c->n_buses, 1);
    assert_string_equal(c->buses[0].name, "line");
    assert_int_equal(c->buses[0].n_devices, 1);
    assert_string_equal(c->buses[0].devices[0].name, "y");
    assert_int_equal(c->buses[0].devices[0].n_points, 1);
    gw_config_free(c);
}

/* ---- templates ------------------------------------------------------------------------------------- */

#define METER                                                                                      \
    "description: a meter\ndrivers: [toy]\ntimeout: 50ms\npause: 9ms\npoints:\n"                   \
    "  - { name: volt, cell: 1, unit: V, scale: 0.1 }\n  - { name: amp, cell: 2, unit: A }\n  - "  \
    "{ name: hertz, cell: 3 }\n"

static void a_device_lies_over_its_template(void **state)
{
    mkdir("devices", 0700);
    write_text("devices/meter.yaml", METER);
    struct gw_config *c = load(BUS "      - name: d\n        template: meter\n        address: 1\n "
                                   "       pause: 1ms\n        points:\n"
                                   "          - { name: amp, interval: 5s, unit: kA }\n          - "
                                   "{ name: volt, enabled: false }\n"
                                   "          - { name: extra, cell: 9 }\n");
    const struct gw_device_conf *d = &c->buses[0].devices[0];

    (void)state;
    assert_string_equal(d->template_name, "meter");
    assert_int_equal(d->timeout_us, 50000);
    assert_int_equal(((const struct toy_device *)d->driver_conf)->pause_us, 1000);
    assert_int_equal(d->n_points, 3);
    assert_string_equal(d->points[0].name, "amp");
    assert_string_equal(d->points[0].map->unit, "kA");
    assert_int_equal(d->points[0].interval_us, 5000000);
    assert_int_equal(((const struct toy_point *)d->points[0].driver_conf)->cell, 2);
    assert_string_equal(d->points[0].mark.file, "config.yaml");
    assert_string_equal(d->points[1].name, "hertz");
    assert_string_equal(d->points[1].mark.file, "devices/meter.yaml");
    assert_int_equal(d->points[1].mark.line, 8);
    assert_string_equal(d->points[2].name, "extra");
    gw_config_free(c);
}

static void templates_beside_the_configuration_come_before_the_stock(void **state)
{
    mkdir("stock", 0700);
    mkdir("devices", 0700);
    write_text("stock/meter.yaml",
               "description: x\ndrivers: toy\npoints: [{ name: stock, cell: 1 }]\n");
    write_text("stock/other.yaml",
               "description: x\ndrivers: toy\npoints: [{ name: stock, cell: 1 }]\n");
    write_text("devices/meter.yaml",
               "description: x\ndrivers: toy\npoints: [{ name: own, cell: 1 }]\n");
    struct gw_config *c = load(BUS "      - { name: a, template: meter, address: 1 }\n      - { "
                                   "name: b, template: other, address: 2 }\n");

    (void)state;
    assert_string_equal(point_at(c, 0, 0)->name, "own");
    assert_string_equal(point_at(c, 1, 0)->name, "stock");
    gw_config_free(c);
}

static void a_mistake_in_a_template_is_told_once_for_all_its_devices(void **state)
{
    (void)state;
    mkdir("devices", 0700);
    write_text("devices/bad.yaml",
               "description: x\ndrivers: toy\npoints:\n  - { name: p, cel: 1, cell: 1 }\n");
    assert_says(BUS "      - { name: a, template: bad, address: 1 }\n      - { name: b, template: "
                    "bad, address: 2 }\n",
                "devices/bad.yaml:4:16: unknown key \"cel\"; did you mean \"cell\"?\n"
                "      - { name: p, cel: 1, cell: 1 }\n                   ^\n");
}

/* ---- topics and payloads --------------------------------------------------------------------------- */

static void topics_are_made_of_variables_of_all_levels(void **state)
{
    struct gw_config *c =
        load("gateway: { name: plant, variables: { area: west, floor: \"1\" } }\nmqtt: { servers: "
             "mqtt://127.0.0.1, state_topic: \"${area}/${gateway}\" }\n"
             "publish: { topic: \"${area}/${floor}/${bus}/${device}/${point}\" }\n"
             "buses:\n  - name: line\n    driver: toy\n    place: here\n    variables: { floor: "
             "\"2\" }\n    devices:\n"
             "      - { name: a, address: 1, points: [{ name: p, cell: 1 }, { name: q, cell: 1, "
             "variables: { area: east/1 } }] }\n"
             "      - { name: b, address: 2, variables: { floor: 3 }, points: [{ name: p, cell: 1, "
             "publish: { topic: \"x/${point}\" } }, { name: q, cell: 2 }] }\n");

    (void)state;
    assert_string_equal(c->mqtt.state_topic, "west/plant");
    assert_string_equal(point_at(c, 0, 0)->topic, "west/2/line/a/p");
    assert_string_equal(point_at(c, 0, 1)->topic, "east/1/2/line/a/q");
    assert_string_equal(point_at(c, 1, 0)->topic, "x/p");
    assert_string_equal(point_at(c, 1, 1)->topic, "west/3/line/b/q");
    gw_config_free(c);
}

static void a_device_that_publishes_as_one_needs_no_topic_of_its_own(void **state)
{
    struct gw_config *c = load(HEAD "publish: { topic: \"site/${gateway}/${device}/${point}\" }\n"
                                    "buses:\n  - name: line\n    driver: toy\n    place: here\n    "
                                    "publish: { per: device }\n    devices:\n"
                                    "      - { name: a, address: 1, points: [{ name: p, cell: 1, "
                                    "qos: 2 }, { name: q, cell: 2 }] }\n"
                                    "      - { name: b, address: 2, publish: { topic: own/b, qos: "
                                    "0 }, points: [{ name: p, cell: 1 }] }\n"
                                    "      - { name: c, address: 3, publish: { per: point }, "
                                    "points: [{ name: p, cell: 1 }] }\n");
    const struct gw_device_conf *d = c->buses[0].devices;

    (void)state;
    assert_string_equal(d[0].topic, "site/plant/a");
    assert_int_equal(d[0].publish.per, GW_PER_DEVICE);
    assert_int_equal(d[0].points[0].publish->per, GW_PER_DEVICE);
    assert_string_equal(d[0].points[1].topic, "site/plant/a");
    assert_string_equal(d[1].topic, "own/b");
    assert_int_equal(d[1].publish.qos, 0);
    assert_int_equal(d[2].publish.per, GW_PER_POINT);
    assert_null(d[2].topic);
    assert_string_equal(d[2].points[0].topic, "site/plant/c/p");
    gw_config_free(c);
}

static void payload_templates_keep_what_is_known_only_later(void **state)
{
    struct gw_config *c =
        load(BUS "      - name: d\n        address: 1\n        points:\n"
                 "          - { name: p, cell: 1, payload: '${device}/${point}=${value} ${unit} "
                 "${ts} ${time} ${quality} ${reason} ${raw}' }\n"
                 "          - { name: q, cell: 1, payload: value }\n");

    (void)state;
    assert_int_equal(point_at(c, 0, 0)->publish->payload, GW_PAYLOAD_TEMPLATE);
    assert_string_equal(point_at(c, 0, 0)->publish->payload_template,
                        "d/p=${value} ${unit} ${ts} ${time} ${quality} ${reason} ${raw}");
    assert_int_equal(point_at(c, 0, 1)->publish->payload, GW_PAYLOAD_VALUE);
    gw_config_free(c);
}

/* ---- mapping --------------------------------------------------------------------------------------- */

static void numbers_of_the_map_are_kept_as_written(void **state)
{
    struct gw_config *c =
        load(BUS "      - name: d\n        address: 1\n        points:\n"
                 "          - { name: p, cell: 1, scale: 0.1, offset: -40.25, offset_first: true, "
                 "decimals: 2, unit: °C, min: -40, max: 1e3, step: 0.5, access: rw }\n");
    const struct gw_map *map = point_at(c, 0, 0)->map;

    (void)state;
    assert_int_equal(map->scale.digits, 1);
    assert_int_equal(map->scale.exp10, -1);
    assert_int_equal(map->offset.digits, -4025);
    assert_int_equal(map->offset.exp10, -2);
    assert_true(map->offset_first);
    assert_int_equal(map->decimals, 2);
    assert_string_equal(map->unit, "°C");
    assert_true(map->has_min && map->min == -40 && map->has_max && map->max == 1000 &&
                map->step == 0.5);
    assert_int_equal(point_at(c, 0, 0)->access, GW_ACCESS_RW);
    gw_config_free(c);
}

static void enums_are_sorted_and_hexadecimal_is_a_bit_pattern(void **state)
{
    struct gw_config *c = load(
        BUS "      - name: d\n        address: 1\n        points:\n"
            "          - { name: p, cell: 1, kind: signed, enum: { 7: fault, 0x8000: none, -1: "
            "gone, 0: ready }, invalid: [0xFFFE, -3, 5] }\n"
            "          - { name: q, cell: 1, kind: bit, enum: { true: open, false: closed } }\n"
            "          - { name: r, cell: 1, kind: fraction, invalid: [nan, -9999, 1.5] }\n"
            "          - { name: s, cell: 1, invalid: 0x8000 }\n");
    const struct gw_map *p = point_at(c, 0, 0)->map, *q = point_at(c, 0, 1)->map,
                        *r = point_at(c, 0, 2)->map, *s = point_at(c, 0, 3)->map;
    const struct gw_enum_name expected[] = {
        {-32768, "none"}, {-1, "gone"}, {0, "ready"}, {7, "fault"}};

    (void)state;
    assert_int_equal(p->n_enums, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(p->enums[i].raw, expected[i].raw);
        assert_string_equal(p->enums[i].name, expected[i].name);
    }
    assert_int_equal(p->n_invalid, 3);
    assert_int_equal(p->invalid[0].kind, GW_INT);
    assert_int_equal(p->invalid[0].i, -2);
    assert_int_equal(p->invalid[1].i, -3);
    assert_int_equal(q->enums[0].raw, 0);
    assert_string_equal(q->enums[0].name, "closed");
    assert_int_equal(r->n_invalid, 3);
    assert_true(r->invalid[0].kind == GW_FLOAT64 && isnan(r->invalid[0].f64));
    assert_true(r->invalid[1].kind == GW_INT && r->invalid[1].i == -9999);
    assert_true(r->invalid[2].kind == GW_FLOAT64 && r->invalid[2].f64 == 1.5);
    assert_true(s->n_invalid == 1 && s->invalid[0].kind == GW_UINT && s->invalid[0].u == 0x8000);
    gw_config_free(c);
}

/* ---- the driver's word ----------------------------------------------------------------------------- */

static void the_driver_s_mistake_points_at_its_key(void **state)
{
    (void)state;
    assert_says(HEAD "buses:\n  - name: line\n    driver: toy\n    place: here\n    speed: 13\n    "
                     "pause: 3ms\n    devices:\n"
                     "      - { name: a, address: 66, points: [{ name: p, cell: 1 }] }\n"
                     "      - { name: b, address: 77, points: [{ name: p, cell: 666 }] }\n",
                "config.yaml:7:12: speed 13 is unlucky\n        speed: 13\n               ^\n"
                "config.yaml:8:12: address 77 is odd\n        pause: 3ms\n               ^\n"
                "config.yaml:10:9: address 66 is odd\n          - { name: a, address: 66, points: "
                "[{ name: p, cell: 1 }] }\n            ^\n"
                "config.yaml:11:59: cell 666 is elsewhere\n"
                "          - { name: b, address: 77, points: [{ name: p, cell: 666 }] }\n"
                "                                                              ^\n");
}

static void access_must_be_possible(void **state)
{
    (void)state;
    assert_says(BUS "      - name: d\n        address: 1\n        points:\n"
                    "          - { name: p, cell: 1000, access: rw }\n          - { name: q, cell: "
                    "2000 }\n          - { name: r, cell: 2001, access: w }\n",
                "config.yaml:11:44: access rw: this point cannot be written\n"
                "              - { name: p, cell: 1000, access: rw }\n                             "
                "                  ^\n"
                "config.yaml:12:13: point \"q\" cannot be read; say access: w\n"
                "              - { name: q, cell: 2000 }\n                ^\n");
}

/* ---- from outside ---------------------------------------------------------------------------------- */

static void the_environment_fills_texts_of_mqtt_and_addresses(void **state)
{
    (void)state;
    setenv("FIELD2MQTT_TEST_HOST", "broker.example", 1);
    setenv("FIELD2MQTT_TEST_WORD", "s3cret", 1);
    struct gw_config *c =
        load("gateway: { name: plant }\n"
             "mqtt:\n  servers: [\"mqtts://${FIELD2MQTT_TEST_HOST}:18883\", \"mqtts://[::1]\"]\n  "
             "username: \"u-${gateway}-${FIELD2MQTT_TEST_HOST}\"\n"
             "  password: ${FIELD2MQTT_TEST_WORD}\n"
             "buses:\n  - name: line\n    driver: toy\n    place: /dev/${FIELD2MQTT_TEST_HOST}\n   "
             " devices:\n"
             "      - { name: d, address: 1, note: '${FIELD2MQTT_TEST_HOST}', points: [{ name: p, "
             "cell: 3 }] }\n");

    assert_string_equal(c->mqtt.servers.items[0], "mqtts://broker.example:18883");
    assert_string_equal(c->mqtt.servers.items[1], "mqtts://[::1]:8883");
    assert_string_equal(c->mqtt.username, "u-plant-broker.example");
    assert_string_equal(c->mqtt.password, "s3cret");
    assert_string_equal(((const struct toy_bus *)c->buses[0].driver_conf)->place,
                        "/dev/broker.example");
    assert_string_equal(((const struct toy_point *)point_at(c, 0, 0)->driver_conf)->note,
                        "${FIELD2MQTT_TEST_HOST}");
    gw_config_free(c);
    unsetenv("FIELD2MQTT_TEST_HOST");
    unsetenv("FIELD2MQTT_TEST_WORD");
}

#define WITH_PASSWORD(file)                                                                        \
    "gateway: { name: plant }\nmqtt: { servers: mqtts://b, username: u, password_file: " file      \
    " }\n"                                                                                         \
    "buses:\n  - { name: l, driver: toy, place: x, devices: [{ name: d, address: 1, points: [{ "   \
    "name: p, cell: 1 }] }] }\n"

static void a_password_file_gives_its_line_without_the_line_end(void **state)
{
    (void)state;
    write_text("secret", "pass word\r\n");
    chmod("secret", 0600);
    struct gw_config *c = load(WITH_PASSWORD("secret"));

    assert_string_equal(c->mqtt.password, "pass word");
    gw_config_free(c);
}

static void a_password_file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    write_text("secret", "x\n");
    chmod("secret", 0640);
    assert_says(
        WITH_PASSWORD("secret"),
        "config.yaml:2:57: password_file secret is open to others (mode 0640); chmod 600 it\n"
        "    mqtt: { servers: mqtts://b, username: u, password_file: secret }\n"
        "                                                            ^\n");
}

static void a_password_file_of_the_service_manager_may_show_group_bits(void **state)
{
    (void)state;
    mkdir("cred", 0700);
    write_text("cred/mqtt", "x\n");
    chmod("cred/mqtt", 0440);
    setenv("CREDENTIALS_DIRECTORY", fixture_dir, 1);
    struct gw_config *c = load(WITH_PASSWORD("\"${CREDENTIALS_DIRECTORY}/cred/mqtt\""));

    assert_string_equal(c->mqtt.password, "x");
    gw_config_free(c);
    chmod("cred/mqtt", 0444);
    char *said;
    assert_null(load_file("config.yaml", &said));
    assert_non_null(strstr(said, "is open to others (mode 0444)"));
    free(said);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void an_empty_password_file_is_refused(void **state)
{
    (void)state;
    write_text("secret", "\n");
    chmod("secret", 0600);
    assert_says(WITH_PASSWORD("secret"),
                "config.yaml:2:57: password_file secret is empty\n"
                "    mqtt: { servers: mqtts://b, username: u, password_file: secret }\n"
                "                                                            ^\n");
}

static void a_password_is_never_shown(void **state)
{
    char *said;

    (void)state;
    write_text("config.yaml", "gateway: { name: plant }\nmqtt: { servers: mqtt://127.0.0.1, "
                              "password: hunter2, clientid: x }\nbuses: []\n");
    assert_null(load_file("config.yaml", &said));
    assert_non_null(
        strstr(said, "config.yaml:2:55: unknown key \"clientid\"; did you mean \"client_id\"?\n"));
    assert_null(strstr(said, "hunter2"));
    free(said);
}

static void files_are_found_beside_the_file_that_names_them(void **state)
{
    (void)state;
    mkdir("sub", 0700);
    write_text("sub/ca.pem", "x");
    write_text("sub/mqtt.yaml", "mqtt: { servers: mqtts://b, tls: { ca_file: ca.pem } }\n");
    struct gw_config *c =
        load("include: sub/mqtt.yaml\ngateway: { name: g }\nbuses:\n  - { name: l, driver: toy, "
             "place: x, devices: [{ name: d, address: 1, points: [{ name: p, cell: 1 }] }] }\n");

    assert_string_equal(c->mqtt.tls.ca_file, "sub/ca.pem");
    gw_config_free(c);
}

/* ---- include --------------------------------------------------------------------------------------- */

static void write_bus(const char *file, const char *name, const char *more)
{
    char text[512];

    snprintf(text, sizeof text,
             "%sbuses:\n  - { name: %s, driver: toy, place: x, devices: [{ name: %s-d, address: 1, "
             "points: [{ name: p, cell: 1 }] }] }\n",
             more, name, name);
    write_text(file, text);
}

static void buses_of_included_files_follow_in_the_order_of_their_names(void **state)
{
    const char *const expected[] = {"main", "one", "inner", "a", "b"};

    (void)state;
    mkdir("folder", 0700);
    write_bus("one.yaml", "one", "interval: 9s\ninclude: inner.yaml\n");
    write_bus("inner.yaml", "inner", "");
    write_bus("folder/20.yaml", "b", "");
    write_bus("folder/10.yaml", "a", "");
    write_text("folder/10.yaml~", "not yaml: [");
    write_text("folder/.hidden.yaml", "not yaml: [");
    struct gw_config *c = load("include: [one.yaml, folder]\n" HEAD
                               "buses:\n  - { name: main, driver: toy, place: x, devices: [{ name: "
                               "d, address: 1, points: [{ name: p, cell: 1 }] }] }\n");

    assert_int_equal(c->n_buses, 5);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(c->buses[i].name, expected[i]);
    assert_int_equal(c->buses[0].devices[0].points[0].interval_us, 9000000);
    gw_config_free(c);
}

static void what_an_unreadable_file_may_hold_is_not_called_missing(void **state)
{
    (void)state;
    write_text("broken.yaml", "mqtt: [a\n");
    assert_says(
        "include: [broken.yaml, nowhere.yaml]\ninterval: 1s\n",
        "broken.yaml:1:7: this \"[\" is not closed, or a \",\" is missing\n    mqtt: [a\n   "
        "       ^\n"
        "config.yaml:1:24: cannot read nowhere.yaml: No such file or directory\n"
        "    include: [broken.yaml, nowhere.yaml]\n                           ^\n");
}

static void a_file_that_is_a_tagged_text_has_one_mistake(void **state)
{
    (void)state;
    assert_says("!x y\n", "config.yaml:1:1: tags (!x) are not supported; quotes make a value a "
                          "text\n    !x y\n    ^\n");
}

static void a_file_that_cannot_be_read_is_told_by_its_reason(void **state)
{
    char *said;

    (void)state;
    assert_null(load_file("nowhere.yaml", &said));
    assert_string_equal(said, "nowhere.yaml: cannot be read: No such file or directory\n");
    free(said);
    assert_null(load_file(".", &said));
    assert_string_equal(said, ".: cannot be read: it is a folder\n");
    free(said);
}

/* ---- as a whole ------------------------------------------------------------------------------------ */

static void freeing_nothing_is_fine(void **state)
{
    (void)state;
    gw_config_free(NULL);
}

/* CPU seconds for a configuration of n devices with a template of 100 points. */
static double seconds_for(size_t n)
{
    FILE *out = fopen("config.yaml", "w");
    char *said;

    assert_non_null(out);
    fputs(BUS, out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "      - { name: d%zu, address: 1, pause: %zums, template: large }\n", i, i);
    fclose(out);
    clock_t start = clock();
    struct gw_config *c = load_file("config.yaml", &said);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;

    assert_string_equal(said, "");
    free(said);
    assert_int_equal(c->buses[0].n_devices, n);
    gw_config_free(c);
    return seconds;
}

static void the_time_to_load_grows_no_faster_than_the_configuration(void **state)
{
    double small = 1e9, large = 1e9;

    (void)state;
    mkdir("devices", 0700);
    FILE *out = fopen("devices/large.yaml", "w");
    assert_non_null(out);
    fputs("description: x\ndrivers: toy\npoints:\n", out);
    for (int i = 0; i < 100; i++)
        fprintf(out, "  - { name: p%d, cell: %d, unit: V }\n", i, i);
    fclose(out);

    for (int i = 0; i < 3; i++) {
        small = fmin(small, seconds_for(50));
        large = fmin(large, seconds_for(400));
    }

    print_message("%.3f s for 5,000 points, %.3f s for 40,000\n", small, large);
    assert_true(large < 8 * small * 2.5 + 0.02); /* quadratic would be 64 */
}

/* Bytes of a good configuration are changed, left out and doubled: it loads, or says why not. */
static void a_damaged_configuration_is_refused_with_a_place(void **state)
{
    static const char good[] =
        "gateway: { name: plant, variables: { area: west } }\nmqtt:\n  servers: "
        "[mqtt://127.0.0.1:1883]\n  keepalive: 15s\n"
        "publish:\n  topic: ${area}/${device}/${point}\n  when: change\n  deadband: 1 V\nbuses:\n  "
        "- name: line\n    driver: toy\n"
        "    place: here\n    devices:\n      - name: d\n        address: 1\n        points:\n"
        "          - { name: p, cell: 1, unit: V, enum: { 0: a, 1: b }, invalid: [-1, 0x7FFF], "
        "kind: signed }\n"
        "          - name: q\n            cell: 2\n            unit: V\n            payload: "
        "'${value} ${unit}'\n";
    static const char letters[] = " \n\t:{}[]-\"'#&*!|>%@,$0x.\\~\xC3\xA4\xFF/+";
    struct test_random random = test_random_start();
    char text[sizeof good * 2];

    (void)state;
    for (int round = 0; round < 2000; round++) {
        size_t len = sizeof good - 1;

        memcpy(text, good, len);
        for (uint64_t n = 1 + test_random_below(&random, 3); n; n--) {
            size_t at = (size_t)test_random_below(&random, len),
                   span = 1 + (size_t)test_random_below(&random, 12);

            if (at + span > len)
                span = len - at;
            switch (test_random_below(&random, 3)) {
            case 0:
                text[at] = letters[test_random_below(&random, sizeof letters - 1)];
                break;
            case 1:
                memmove(text + at, text + at + span, len - at - span);
                len -= span;
                break;
            default:
                memmove(text + at + span, text + at, len - at);
                len += span;
            }
        }
        char *said;
        write_bytes("config.yaml", text, len);
        struct gw_config *c = load_file("config.yaml", &said);
        assert_true(c || strncmp(said, "config.yaml:", 12) == 0);
        gw_config_free(c);
        free(said);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_not_said_has_its_documented_default),
        CASE(the_innermost_level_that_says_something_holds),
        CASE(points_that_are_alike_share_what_is_said_of_them),
        CASE(what_is_disabled_is_left_out),
        CASE(a_device_lies_over_its_template),
        CASE(templates_beside_the_configuration_come_before_the_stock),
        CASE(a_mistake_in_a_template_is_told_once_for_all_its_devices),
        CASE(topics_are_made_of_variables_of_all_levels),
        CASE(a_device_that_publishes_as_one_needs_no_topic_of_its_own),
        CASE(payload_templates_keep_what_is_known_only_later),
        CASE(numbers_of_the_map_are_kept_as_written),
        CASE(enums_are_sorted_and_hexadecimal_is_a_bit_pattern),
        CASE(the_driver_s_mistake_points_at_its_key),
        CASE(access_must_be_possible),
        CASE(the_environment_fills_texts_of_mqtt_and_addresses),
        CASE(a_password_file_gives_its_line_without_the_line_end),
        CASE(a_password_file_that_others_can_read_is_refused),
        CASE(a_password_file_of_the_service_manager_may_show_group_bits),
        CASE(an_empty_password_file_is_refused),
        CASE(a_password_is_never_shown),
        CASE(files_are_found_beside_the_file_that_names_them),
        CASE(buses_of_included_files_follow_in_the_order_of_their_names),
        CASE(what_an_unreadable_file_may_hold_is_not_called_missing),
        CASE(a_file_that_is_a_tagged_text_has_one_mistake),
        CASE(a_file_that_cannot_be_read_is_told_by_its_reason),
        CASE(freeing_nothing_is_fine),
        CASE(the_time_to_load_grows_no_faster_than_the_configuration),
        CASE(a_damaged_configuration_is_refused_with_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
