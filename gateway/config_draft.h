/* config_draft: what the key tables of schema.c decode into, before it is resolved into the structs of config.h.
 * Integers are int64_t and choices int here, as the tables want them. */
#ifndef GW_CONFIG_DRAFT_H
#define GW_CONFIG_DRAFT_H

#include "gateway/config.h"
#include "gateway/quantity.h"

struct gw_deadband_draft {
    double amount;
    bool is_percent;
    char unit[GW_UNIT_MAX]; /* empty without one */
};

struct gw_write_settings {
    const char *set_topic, *result_topic; /* as written */
    bool verify, idempotent;
    int64_t settle_us;
    double tolerance;
    struct gw_rate rate;
};

/* What only a point may say of how it is written. */
struct gw_write_draft {
    const void *allowed, *on_disconnect, *on_stop; /* nodes of the tree */
    double max_change;
    const char *read_back;
    bool is_secret;
    int64_t on_disconnect_after_us;
};

/* What every level may say and the levels below inherit. */
struct gw_settings {
    int64_t interval_us, stale_after_us, timeout_us, retries, offline_after_us, retry_max_us;
    const char *topic, *payload; /* as written */
    int per, when, time_format, on_bad;
    int64_t qos;
    bool retain, seq;
    struct gw_deadband_draft deadband;
    int64_t min_interval_us, max_silence_us;
    struct gw_write_settings write;
};

struct gw_gateway_draft {
    const char *name;
};

struct gw_mqtt_draft {
    struct gw_mqtt_conf conf;
    const char *password_file;
};

struct gw_buffer_draft {
    int durability, drop_newest, is_live_first;
    const char *path;
    int64_t max_bytes, max_age_us, commit_interval_us;
    struct gw_rate drain_rate;
};

struct gw_bus_draft {
    const char *name, *driver;
    bool is_enabled, align;
    int64_t reopen_min_us, reopen_max_us; /* 0: as the driver says */
};

struct gw_device_draft {
    const char *name, *template_name;
    bool is_enabled;
};

struct gw_template_draft {
    struct gw_list description, source, drivers;
};

struct gw_point_draft {
    const char *name;
    bool is_enabled;
    int access;
    struct gw_decimal scale, offset;
    bool offset_first;
    int64_t decimals;
    const char *unit;
    double min, max; /* NaN: no limit */
    double step;
    const void *enums, *invalid; /* nodes of the tree: decoded when the point's type is known */
};

#endif
