/* schema_bus: the tables of buses, devices, points and templates. */
#include <math.h>

#include "gateway/config_draft.h"
#include "gateway/schema_tables.h"

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
    {"publish", GW_SHAPE_SECTION, &gw_publish_point_section, false,
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
