/* schema_bus: the tables of buses, devices, points, templates, and of how readings are published. */
#include <math.h>

#include "gateway/config_draft.h"
#include "gateway/quantity.h"
#include "gateway/schema_tables.h"

#include <stdio.h>

#define MS 1000.0
#define S  1e6
#define H  3.6e9
#define D  8.64e10

#define SET(member) offsetof(struct gw_settings, member)

/* ---- defaults of every level ----------------------------------------------------------------------- */

#define INTERVAL                                                                                   \
    {                                                                                              \
        .name = "interval", .type = GW_KEY_DURATION, .offset = SET(interval_us), .min = 1 * MS,    \
        .max = 7 * D, .def = "1s", .help = "How often a point is read.", .example = "500ms"        \
    }

#define STALE_AFTER                                                                                \
    {                                                                                              \
        .name = "stale_after", .type = GW_KEY_DURATION, .offset = SET(stale_after_us),             \
        .max = 7 * D, .def = "30s",                                                                \
        .help =                                                                                    \
            "A point that its instrument sends unasked is bad (stale) after this long without "    \
            "it; 0s: never.",                                                                      \
        .example = "5s"                                                                            \
    }

const struct gw_key gw_point_default_keys[] = {INTERVAL, STALE_AFTER, {.name = NULL}};

const struct gw_key gw_default_keys[] = {
    INTERVAL,
    STALE_AFTER,
    {.name = "timeout",
     .type = GW_KEY_DURATION,
     .offset = SET(timeout_us),
     .min = 1 * MS,
     .max = 600 * S,
     .def = "1s",
     .help = "How long a device may take to answer a request.",
     .example = "200ms"},
    {.name = "retries",
     .type = GW_KEY_INT,
     .offset = SET(retries),
     .min = 0,
     .max = 10,
     .def = "1",
     .help = "How often a request without an answer is repeated at once.",
     .example = "2"},
    {.name = "offline_after",
     .type = GW_KEY_DURATION,
     .offset = SET(offline_after_us),
     .min = 0,
     .max = 24 * H,
     .def = "3s",
     .help = "A device that fails for at least this long is offline: its points become bad.",
     .example = "10s"},
    {.name = "retry_max",
     .type = GW_KEY_DURATION,
     .offset = SET(retry_max_us),
     .min = 100 * MS,
     .max = 24 * H,
     .def = "30s",
     .help = "Longest pause between probes of an offline device.",
     .example = "5m"},
    {.name = NULL},
};

/* ---- publish --------------------------------------------------------------------------------------- */

static enum gw_err parse_deadband(const char *text, void *field, struct gw_driver_diag *diag)
{
    struct gw_deadband_draft deadband = {0};
    char why[GW_QUANTITY_WHY];

    if (gw_deadband_parse(text, &deadband.amount, &deadband.is_percent, deadband.unit, why) !=
        GW_OK) {
        snprintf(diag->text, sizeof diag->text, "deadband \"%.40s\" %s", text, why);
        return GW_E_CONFIG;
    }
    *(struct gw_deadband_draft *)field = deadband;
    return GW_OK;
}

static const struct gw_choice per_choices[] = {
    {"point", GW_PER_POINT, "one message for each point"},
    {"device", GW_PER_DEVICE, "one message with all the points of a device"},
    {NULL, 0, NULL},
};

static const struct gw_choice when_choices[] = {
    {"every", GW_WHEN_EVERY, "every reading"},
    {"change", GW_WHEN_CHANGE, "only what has changed, beyond the deadband"},
    {NULL, 0, NULL},
};

static const struct gw_choice time_choices[] = {
    {"unix-ms", GW_TIME_UNIX_MS, "milliseconds since 1970: 1764000000123"},
    {"iso8601", GW_TIME_ISO8601, "2025-11-24T16:00:00.123Z"},
    {NULL, 0, NULL},
};

static const struct gw_choice on_bad_choices[] = {
    {"publish", GW_ON_BAD_PUBLISH, "a message without a value, with the reason"},
    {"skip", GW_ON_BAD_SKIP, "no message"},
    {NULL, 0, NULL},
};

const struct gw_key gw_publish_keys[] = {
    {.name = "topic",
     .type = GW_KEY_TEXT,
     .offset = SET(topic),
     .min = 1,
     .max = 1024,
     .def = "${gateway}/${device}/${point}",
     .help = "Topic with ${gateway}, ${bus}, ${device}, ${point} and your own variables. With per: "
             "device a "
             "\"/${point}\" at its end is left out.",
     .pattern = GW_TOPIC_PATTERN,
     .example = "plant1/${gateway}/${device}/${point}"},
    {.name = "payload",
     .type = GW_KEY_TEXT,
     .offset = SET(payload),
     .min = 1,
     .max = 4096,
     .def = "json",
     .help = "json, value, or a template with ${value}, ${raw}, ${unit}, ${ts}, ${time}, "
             "${quality}, ${reason} and the "
             "variables of topics.",
     .pattern = "^(json|value|[^$]*\\$\\{[\\s\\S]*)$",
     .example = "'${value} ${unit}'"},
    {.name = "qos",
     .type = GW_KEY_INT,
     .offset = SET(qos),
     .min = 0,
     .max = 2,
     .def = "1",
     .help = "Quality of service: 0 at most once, 1 at least once, 2 exactly once.",
     .example = "1"},
    {.name = "retain",
     .type = GW_KEY_BOOL,
     .offset = SET(retain),
     .def = "false",
     .help = "Whether the broker keeps the last message for new subscribers.",
     .example = "true"},
    {.name = "when",
     .type = GW_KEY_CHOICE,
     .offset = SET(when),
     .def = "every",
     .help = "Which readings are published.",
     .choices = when_choices,
     .example = "change"},
    {.name = "deadband",
     .type = GW_KEY_PARSED,
     .offset = SET(deadband),
     .def = "0",
     .help = "With when: change, a value that differs by no more than this from the last one "
             "published is no change: "
             "percent of that value, or an amount, with or without the point's unit.",
     .parse = parse_deadband,
     .pattern = "^[0-9]+(\\.[0-9]+)? ?[^ 0-9].*$|^[0-9]+(\\.[0-9]+)?$",
     .example = "0.5%"},
    {.name = "min_interval",
     .type = GW_KEY_DURATION,
     .offset = SET(min_interval_us),
     .min = 0,
     .max = 7 * D,
     .def = "0s",
     .help =
         "Shortest time between two messages of a point; a change of quality is published at once.",
     .example = "5s"},
    {.name = "max_silence",
     .type = GW_KEY_DURATION,
     .offset = SET(max_silence_us),
     .min = 0,
     .max = 30 * D,
     .def = "0s",
     .help = "With when: change, a value is repeated after this long without a message; 0s: never.",
     .example = "60s"},
    {.name = "time",
     .type = GW_KEY_CHOICE,
     .offset = SET(time_format),
     .def = "unix-ms",
     .help = "How the time of a reading is written.",
     .choices = time_choices,
     .example = "iso8601"},
    {.name = "on_bad",
     .type = GW_KEY_CHOICE,
     .offset = SET(on_bad),
     .def = "publish",
     .help = "What happens with a bad reading.",
     .choices = on_bad_choices,
     .example = "skip"},
    {.name = NULL},
};

const struct gw_key gw_publish_per_keys[] = {
    {.name = "per",
     .type = GW_KEY_CHOICE,
     .offset = SET(per),
     .def = "point",
     .help = "What one message holds.",
     .choices = per_choices,
     .example = "device"},
    {.name = NULL},
};

static const struct gw_key *const publish_more[] = {gw_publish_per_keys, NULL};

const struct gw_section gw_publish_section = {
    .name = "publish",
    .help = "How readings become messages.",
    .keys = gw_publish_keys,
    .more_keys = publish_more,
};

static const struct gw_section point_publish_section = {
    .name = "publish",
    .help =
        "How readings of this point become messages; the same keys may stand at the point itself.",
    .keys = gw_publish_keys,
};

/* ---- point ----------------------------------------------------------------------------------------- */

#define POINT(member) offsetof(struct gw_point_draft, member)

#define ENABLED(struct_)                                                                           \
    {                                                                                              \
        .name = "enabled", .type = GW_KEY_BOOL, .offset = offsetof(struct_, is_enabled),           \
        .def = "true", .help = "false leaves it out.", .example = "false"                          \
    }

#define NAME(struct_, help_, example_)                                                             \
    {                                                                                              \
        .name = "name", .type = GW_KEY_TEXT, .flags = GW_REQUIRED,                                 \
        .offset = offsetof(struct_, name), .min = 1, .max = 64, .help = help_,                     \
        .pattern = GW_NAME_PATTERN, .example = example_                                            \
    }

static const struct gw_choice access_choices[] = {
    {"r", GW_ACCESS_R, "read"},
    {"rw", GW_ACCESS_RW, "read, and written by commands"},
    {"w", GW_ACCESS_W, "written by commands only"},
    {NULL, 0, NULL},
};

/* A number, also as a text, or nan; as a JSON Schema. */
#define RAW_VALUE                                                                                  \
    "{\"type\":[\"number\",\"string\"],"                                                           \
    "\"pattern\":\"^(\\\\.?[nN][aA][nN]|[-+]?[0-9.]+([eE][-+]?[0-9]+)?|0x[0-9A-Fa-f]+)$\"}"

static const struct gw_key point_keys[] = {
    NAME(struct gw_point_draft, "Name of the point, ${point} in topics; unique within its device.",
         "voltage_l1"),
    ENABLED(struct gw_point_draft),
    {.name = "access",
     .type = GW_KEY_CHOICE,
     .offset = POINT(access),
     .def = "r",
     .help = "What may be done with the point.",
     .choices = access_choices,
     .example = "rw"},
    {.name = "scale",
     .type = GW_KEY_DECIMAL,
     .offset = POINT(scale),
     .def = "1",
     .help = "value = raw x scale + offset.",
     .example = "0.1"},
    {.name = "offset",
     .type = GW_KEY_DECIMAL,
     .offset = POINT(offset),
     .def = "0",
     .help = "value = raw x scale + offset.",
     .example = "-40"},
    {.name = "offset_first",
     .type = GW_KEY_BOOL,
     .offset = POINT(offset_first),
     .def = "false",
     .help = "value = (raw + offset) x scale instead.",
     .example = "true"},
    {.name = "decimals",
     .type = GW_KEY_INT,
     .offset = POINT(decimals),
     .min = 0,
     .max = 15,
     .help = "Digits after the point to round to; without it the value is as exact as it is.",
     .example = "1"},
    {.name = "unit",
     .type = GW_KEY_TEXT,
     .offset = POINT(unit),
     .min = 1,
     .max = GW_UNIT_MAX - 1,
     .help = "Engineering unit.",
     .example = "V"},
    {.name = "min",
     .type = GW_KEY_FLOAT,
     .offset = POINT(min),
     .help = "A smaller value is bad (out_of_range); commands below it are refused.",
     .example = "0"},
    {.name = "max",
     .type = GW_KEY_FLOAT,
     .offset = POINT(max),
     .help = "A larger value is bad (out_of_range); commands above it are refused.",
     .example = "50"},
    {.name = "step",
     .type = GW_KEY_FLOAT,
     .offset = POINT(step),
     .min = 0,
     .max = 1e9,
     .help = "Commands must be min (or 0) plus a multiple of this.",
     .example = "0.1"},
    {.name = "enum",
     .type = GW_KEY_CUSTOM,
     .offset = POINT(enums),
     .help = "Names of raw values, published instead of them.",
     .pattern = "{\"type\":\"object\",\"minProperties\":1,\"propertyNames\":{\"pattern\":"
                "\"^(-?[0-9]+|0x[0-9A-Fa-f]+|true|false)$\"},\"additionalProperties\":{\"type\":["
                "\"string\",\"number\"]}}",
     .example = "{ 0: ready, 1: running, 7: fault }"},
    {.name = "invalid",
     .type = GW_KEY_CUSTOM,
     .offset = POINT(invalid),
     .help = "Raw values that mean \"no value\".",
     .pattern =
         "{\"anyOf\":[" RAW_VALUE ",{\"type\":\"array\",\"minItems\":1,\"items\":" RAW_VALUE "}]}",
     .example = "[nan, -9999, 0x8000]"},
    {.name = NULL},
};

#define VARIABLES                                                                                  \
    {                                                                                              \
        "variables", GW_SHAPE_NAMED, NULL, false,                                                  \
            "Variables for topics and payload templates, here and below."                          \
    }
#define PUBLISH                                                                                    \
    {                                                                                              \
        "publish", GW_SHAPE_SECTION, &gw_publish_section, false,                                   \
            "How readings are published, here and below."                                          \
    }

#define WRITE                                                                                      \
    {                                                                                              \
        "write", GW_SHAPE_SECTION, &gw_write_section, false,                                       \
            "How points are written and checked, here and below."                                  \
    }

static const struct gw_child point_children[] = {
    {"publish", GW_SHAPE_SECTION, &point_publish_section, false,
     "How readings of this point are published."},
    {"write", GW_SHAPE_SECTION, &gw_write_point_section, false,
     "How this point is written and checked."},
    VARIABLES,
    {.name = NULL},
};

static const struct gw_key *const point_more[] = {gw_point_default_keys, gw_publish_keys, NULL};

const struct gw_section gw_point_section = {
    .name = "point",
    .help = "One named value of a device.",
    .keys = point_keys,
    .children = point_children,
    .more_keys = point_more,
    .driver_keys = GW_POINT_KEYS,
};

/* ---- device and template --------------------------------------------------------------------------- */

static const struct gw_key device_keys[] = {
    NAME(struct gw_device_draft, "Name of the device, ${device} in topics; unique on its bus.",
         "mains-meter"),
    {.name = "template",
     .type = GW_KEY_TEXT,
     .offset = offsetof(struct gw_device_draft, template_name),
     .min = 1,
     .max = 64,
     .help = "Template that gives the points and settings of this make: the name of a file without "
             ".yaml.",
     .pattern = GW_NAME_PATTERN,
     .example = "eastron-sdm630"},
    ENABLED(struct gw_device_draft),
    {.name = NULL},
};

static const struct gw_child device_children[] = {
    {"points", GW_SHAPE_LIST, &gw_point_section, false,
     "Points of the device; those of a template are changed by giving their name."},
    PUBLISH,
    WRITE,
    VARIABLES,
    {.name = NULL},
};

static const struct gw_key *const device_more[] = {gw_default_keys, NULL};

const struct gw_section gw_device_section = {
    .name = "device",
    .help = "A device on a bus.",
    .keys = device_keys,
    .children = device_children,
    .more_keys = device_more,
    .driver_keys = GW_DEVICE_KEYS,
};

static const struct gw_key template_keys[] = {
    {.name = "description",
     .type = GW_KEY_LIST,
     .flags = GW_REQUIRED,
     .offset = offsetof(struct gw_template_draft, description),
     .help = "What the device is: make, model, kind.",
     .example = "Eastron SDM630 Modbus, three-phase energy meter"},
    {.name = "source",
     .type = GW_KEY_LIST,
     .offset = offsetof(struct gw_template_draft, source),
     .help = "Where the register map comes from.",
     .example = "Eastron SDM630-Modbus V2 manual, page 29"},
    {.name = "drivers",
     .type = GW_KEY_LIST,
     .flags = GW_REQUIRED,
     .offset = offsetof(struct gw_template_draft, drivers),
     .min = 1,
     .max = 32,
     .help = "Drivers that the template fits.",
     .example = "[modbus-rtu, modbus-tcp]"},
    {.name = NULL},
};

static const struct gw_child template_children[] = {
    {"points", GW_SHAPE_LIST, &gw_point_section, true, "Points of the device."},
    PUBLISH,
    WRITE,
    VARIABLES,
    {.name = NULL},
};

const struct gw_section gw_schema_template = {
    .name = "template",
    .help = "Points and settings of one make of device.",
    .keys = template_keys,
    .children = template_children,
    .more_keys = device_more,
    .driver_keys = GW_DEVICE_KEYS,
};

/* ---- bus ------------------------------------------------------------------------------------------- */

#define BUS(member) offsetof(struct gw_bus_draft, member)

static const struct gw_key bus_keys[] = {
    NAME(struct gw_bus_draft, "Name of the bus, ${bus} in topics; unique.", "rs485-1"),
    {.name = "driver",
     .type = GW_KEY_TEXT,
     .flags = GW_REQUIRED,
     .offset = BUS(driver),
     .min = 1,
     .max = 64,
     .help = "Driver that speaks with the devices.",
     .example = "modbus-rtu"},
    ENABLED(struct gw_bus_draft),
    {.name = "align",
     .type = GW_KEY_BOOL,
     .offset = BUS(align),
     .def = "false",
     .help = "Whether intervals begin at multiples of the wall clock (1m: at every full minute).",
     .example = "true"},
    {.name = "reopen_min",
     .type = GW_KEY_DURATION,
     .offset = BUS(reopen_min_us),
     .min = 10 * MS,
     .max = 1 * H,
     .help = "Pause before a lost port or connection is opened again; doubled with each failure. "
             "Without it, as the driver has it.",
     .example = "500ms"},
    {.name = "reopen_max",
     .type = GW_KEY_DURATION,
     .offset = BUS(reopen_max_us),
     .min = 10 * MS,
     .max = 24 * H,
     .help = "Longest pause between attempts to open. Without it, as the driver has it.",
     .example = "30s"},
    {.name = NULL},
};

static const struct gw_child bus_children[] = {
    {"devices", GW_SHAPE_LIST, &gw_device_section, true, "Devices on the bus."},
    PUBLISH,
    WRITE,
    VARIABLES,
    {.name = NULL},
};

const struct gw_section gw_bus_section = {
    .name = "bus",
    .help = "One conversation at a time: a serial line, or one connection.",
    .keys = bus_keys,
    .children = bus_children,
    .more_keys = device_more,
    .driver_keys = GW_BUS_KEYS,
};
