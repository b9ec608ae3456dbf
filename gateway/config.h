/* config: a configuration file (with its includes and templates) as resolved structs.
 * Every level's defaults are already applied: a point here says for itself how it is read and published.
 * Knows nothing of threads, sockets or drivers' insides; drivers come in as tables (plugin.h gives them). */
#ifndef GW_CONFIG_H
#define GW_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/diag.h"
#include "gateway/driver.h"

/* ---- publishing: topic, payload, when -------------------------------------------------------------- */

enum gw_payload_format { GW_PAYLOAD_JSON, GW_PAYLOAD_VALUE, GW_PAYLOAD_TEMPLATE };
enum gw_publish_per { GW_PER_POINT, GW_PER_DEVICE };
enum gw_publish_when { GW_WHEN_EVERY, GW_WHEN_CHANGE };
enum gw_time_format { GW_TIME_UNIX_MS, GW_TIME_ISO8601 };
enum gw_on_bad { GW_ON_BAD_PUBLISH, GW_ON_BAD_SKIP };

struct gw_deadband {
    double amount;   /* 0: every change counts */
    bool is_percent; /* of the last published value */
};

/* How messages are made, but for their topic: the same for most points. */
struct gw_publish {
    const char *topic_template; /* as written, for reports */
    enum gw_payload_format payload;
    const char *
        payload_template; /* with GW_PAYLOAD_TEMPLATE: ${value} ${unit} ${ts} ${time} ${quality} ${reason} ${seq}
                                     ${gateway} ${bus} ${device} ${point} and user variables already expanded */
    enum gw_publish_per per;
    enum gw_publish_when when;
    enum gw_time_format time_format;
    enum gw_on_bad on_bad;
    struct gw_deadband deadband;
    int64_t min_interval_us; /* 0: no limit */
    int64_t max_silence_us;  /* 0: none; with GW_WHEN_CHANGE repeats the value after this long */
    int qos;                 /* 0-2 */
    bool retain;
    bool has_seq; /* json carries the number of the message */
};

/* ---- points, devices, buses ------------------------------------------------------------------------ */

struct gw_enum_name {
    int64_t raw;
    const char *name;
};

/* From raw to engineering value: value = raw * scale + offset, or (raw + offset) * scale with offset_first.
 * Compared in this order: invalid (raw), enum (raw), scale, decimals, min/max (scaled). */
struct gw_map {
    struct gw_decimal scale; /* never 0 */
    struct gw_decimal offset;
    bool offset_first;
    int decimals;     /* -1: as exact as it is; else rounded half away from zero */
    const char *unit; /* NULL without one */
    bool has_min, has_max;
    double min, max;                  /* a reading outside is bad: "out_of_range" */
    double step;                      /* of commands, 0: none */
    const struct gw_enum_name *enums; /* sorted by raw */
    size_t n_enums;
    const struct gw_value *invalid; /* raw values that mean "no value"; nan as GW_FLOAT64 NaN */
    size_t n_invalid;
};

/* So many at once, which come back at this pace. */
struct gw_rate {
    double per_s, burst;
};

/* How a point is written. Only of points with access rw or w. */
struct gw_write_conf {
    const char *set_topic, *result_topic; /* NULL while commands are not enabled */
    bool verify;
    int64_t settle_us;
    double tolerance; /* engineering units; 0: exactly */
    bool is_idempotent;
    struct gw_rate rate;
    double max_change;              /* engineering units; 0: no limit */
    const struct gw_value *allowed; /* engineering values; a name is a text */
    size_t n_allowed;
    const char *read_back_name; /* NULL: its own */
    uint16_t read_back;         /* index of the point that shows the value: its own, as a rule */
    bool is_secret;
    struct gw_value on_disconnect, on_stop; /* engineering values; GW_NONE without one */
    int64_t on_disconnect_after_us;
};

enum gw_access { GW_ACCESS_R, GW_ACCESS_RW, GW_ACCESS_W };

struct gw_point_conf {
    const char *name;
    struct gw_mark mark;
    const void *driver_conf;
    struct gw_point_traits traits;
    int64_t interval_us;
    int64_t stale_after_us; /* of a point that is heard: bad after this long without it; 0: never */
    enum gw_access access;
    const char *topic; /* ready: all variables expanded; with GW_PER_DEVICE that of the device */
    const struct gw_map *map; /* these two are shared with the points that have them alike */
    const struct gw_publish *publish;
    const struct gw_write_conf *write; /* NULL for a point that is only read */
};

struct gw_device_conf {
    const char *name;
    struct gw_mark mark;
    const char *template_name; /* NULL without one */
    const void *driver_conf;
    int64_t timeout_us;       /* for the answer to one request; default 1 s */
    int64_t offline_after_us; /* failing at least this long, and ... */
    int retries; /* ... more often than this, a device counts as offline; asked again at once after a timeout */
    int64_t retry_max_us;      /* longest pause between probes of an offline device */
    const char *topic;         /* of the device's message, with GW_PER_DEVICE; else NULL */
    struct gw_publish publish; /* the same */
    const char *set_topic,
        *result_topic;            /* for several points at once; NULL without any to write */
    struct gw_point_conf *points; /* the enabled ones */
    size_t n_points;
    uint64_t
        fingerprint; /* of all that is said of it, also by its template, the bus and the file */
};

/* Nothing of it is ever read. */
static inline bool gw_device_is_only_written(const struct gw_device_conf *device)
{
    for (size_t i = 0; i < device->n_points; i++)
        if (device->points[i].access != GW_ACCESS_W)
            return false;
    return true;
}

struct gw_bus_conf {
    const char *name;
    struct gw_mark mark;
    const struct gw_driver *driver;
    void *driver_conf;
    uint64_t fingerprint;      /* of all that is said of it, also by templates and defaults */
    uint64_t link_fingerprint; /* of its own keys: with the same ones it need not be opened anew */
    int64_t reopen_min_us, reopen_max_us;
    bool align;                     /* intervals start at multiples of the wall clock */
    struct gw_device_conf *devices; /* the enabled ones */
    size_t n_devices;
};

/* ---- the broker and the rest ----------------------------------------------------------------------- */

enum gw_mqtt_version { GW_MQTT_3_1_1 = 4, GW_MQTT_5 = 5 }; /* the protocol level on the wire */

struct gw_mqtt_tls {
    const char *ca_file, *cert_file, *key_file; /* NULL: the system's CAs; no client certificate */
    const char *key_password;                   /* NULL without one */
    bool verify; /* default true: the broker's certificate and host name */
};

struct gw_mqtt_conf {
    struct gw_list
        servers; /* mqtt://host:port or mqtts://host:port, tried in order; the port is always given */
    enum gw_mqtt_version version;
    const char *client_id; /* default field2mqtt-${gateway} */
    const char *username,
        *password; /* NULL without; the password is resolved from password_file or ${VAR} */
    struct gw_mqtt_tls tls;
    int64_t keepalive_us;                       /* default 15 s */
    int64_t connect_timeout_us;                 /* default 10 s */
    int64_t reconnect_min_us, reconnect_max_us; /* default 1 s, 60 s */
    int64_t max_inflight; /* messages sent and not yet acknowledged; default 100 */
    const char *
        state_topic; /* default field2mqtt/${gateway}/state, expanded; retained "online"/"offline" */
    int64_t max_payload;  /* a larger message is dropped loudly; default 256 KiB */
    bool device_states;   /* the states of buses and devices are published beside state_topic */
    bool clear_removed;   /* a reload that removes points clears their retained topics */
    uint64_t fingerprint; /* of the section, the password and the certificates' contents */
};

enum gw_durability {
    GW_DURABLE_NONE,   /* in memory only */
    GW_DURABLE_OUTAGE, /* on disk while the broker does not acknowledge, and at the stop */
    GW_DURABLE_ALWAYS, /* on disk before it is sent */
};

struct gw_buffer_conf {
    enum gw_durability durability; /* default outage */
    const char *path;              /* of the file; never NULL */
    int64_t max_bytes;             /* default 64 MiB */
    int64_t max_age_us;            /* default 7 days; 0: no limit */
    bool drop_newest;              /* when full; default drops the oldest */
    int64_t commit_interval_us;    /* default 1 s */
    bool is_live_first;            /* after an outage; default in the order of the messages */
    struct gw_rate drain_rate;     /* of history with is_live_first; default 500/s */
    uint64_t fingerprint;          /* of the section */
};

struct gw_http_conf {
    bool is_enabled;     /* default true */
    const char *address; /* an IP address; default 127.0.0.1 */
    int64_t port;
    const char *token_file, *token;   /* NULL: nobody is asked for one */
    const char *cert_file, *key_file; /* NULL: without TLS */
    uint64_t fingerprint;             /* of the section, the token and the files' contents */
};

struct gw_commands_conf {
    bool is_enabled; /* default false: the gateway only reads */
    struct gw_rate rate;
    int64_t max_waiting; /* per bus */
    int64_t timeout_us;  /* a command that was not begun by then is not written any more */
    const char *lock_file, *arm_topic; /* NULL without */
    int64_t arm_time_us;
    const char *ids_file, *audit_file;
    int64_t audit_max_bytes;
    const char *response_prefix;
    int64_t result_max_age_us;
};

struct gw_config {
    const char *file;
    const char *gateway_name;
    struct gw_mqtt_conf mqtt;
    struct gw_buffer_conf buffer;
    struct gw_commands_conf commands;
    struct gw_http_conf http;
    struct gw_bus_conf *buses;
    size_t n_buses;
    void *owner;       /* the memory of all the above */
    void *more_memory; /* of whoever changed it after the load; NULL, not touched here */
};

/* What config needs from outside. */
struct gw_config_env {
    const struct gw_driver *(*find_driver)(void *ctx, const char *name); /* NULL: no such driver */
    size_t (*driver_names)(void *ctx, const char **names, size_t max);   /* for suggestions */
    void *ctx;
    const char
        *template_dir; /* where templates are looked for after the configuration's own folder */
    const char *(*getenv)(const char *name);
};

struct gw_arena;

/* Gives the template of a folder whose name is near enough to be meant; NULL without one.
 * Owns: the text by the arena. */
const char *gw_config_nearest_template(struct gw_arena *arena, const char *folder,
                                       const char *name);

/* Loads and checks a configuration. All mistakes are added to diags, as many as can be found in one go.
 * Errors: GW_E_CONFIG when there is any mistake; *ret_config is untouched then.
 * Owns:   *ret_config by the caller, gw_config_free.
 *         File names in marks are interned for the life of the process. */
GW_MUST_CHECK enum gw_err gw_config_load(const char *file, const struct gw_config_env *env,
                                         struct gw_diags *diags, struct gw_config **ret_config);
void gw_config_free(struct gw_config *config);
/* How much of the state topic is the start of those beside it: all but a "/state" at its end. */
size_t gw_config_state_base_len(const char *state_topic);

#endif
