/* schema: the tables of a configuration file's own sections; those below buses are in schema_bus.c. */
#include "gateway/schema.h"

#include <string.h>

#include "gateway/config_draft.h"
#include "gateway/schema_tables.h"

#define MS 1000.0
#define S  1e6
#define H  3.6e9
#define D  8.64e10

/* ---- gateway --------------------------------------------------------------------------------------- */

static const struct gw_key gateway_keys[] = {
    {.name = "name",
     .type = GW_KEY_TEXT,
     .flags = GW_REQUIRED,
     .offset = offsetof(struct gw_gateway_draft, name),
     .min = 1,
     .max = 64,
     .help = "Name of this gateway, ${gateway} in topics; letters, digits, \"_\", \".\" and \"-\".",
     .pattern = GW_NAME_PATTERN,
     .example = "pump-house"},
    {.name = NULL},
};

static const struct gw_child gateway_children[] = {
    {"variables", GW_SHAPE_NAMED, NULL, false,
     "Variables of your own for topics and payload templates, as ${NAME}."},
    {.name = NULL},
};

static const struct gw_section gateway_section = {
    .name = "gateway",
    .help = "Who this gateway is.",
    .keys = gateway_keys,
    .children = gateway_children,
};

/* ---- mqtt ------------------------------------------------------------------------------------------ */

#define TLS(member) offsetof(struct gw_mqtt_tls, member)

static const struct gw_key tls_keys[] = {
    {.name = "ca_file",
     .type = GW_KEY_TEXT,
     .offset = TLS(ca_file),
     .min = 1,
     .max = 4095,
     .help = "PEM file of the certificates that may sign the broker's; without it the system's.",
     .example = "/etc/field2mqtt/ca.pem"},
    {.name = "cert_file",
     .type = GW_KEY_TEXT,
     .offset = TLS(cert_file),
     .min = 1,
     .max = 4095,
     .help = "PEM file of the client certificate; needs key_file.",
     .example = "/etc/field2mqtt/client.pem"},
    {.name = "key_file",
     .type = GW_KEY_TEXT,
     .offset = TLS(key_file),
     .min = 1,
     .max = 4095,
     .help = "PEM file of the client certificate's private key; needs cert_file.",
     .example = "/etc/field2mqtt/client.key"},
    {.name = "key_password",
     .type = GW_KEY_TEXT,
     .flags = GW_SECRET,
     .offset = TLS(key_password),
     .min = 1,
     .max = 1024,
     .help = "Password of the private key, as ${VARIABLE} of the environment.",
     .example = "${MQTT_KEY_PASSWORD}"},
    {.name = "verify",
     .type = GW_KEY_BOOL,
     .offset = TLS(verify),
     .def = "true",
     .help = "Whether the broker's certificate and host name are checked.",
     .example = "true"},
    {.name = NULL},
};

static const struct gw_section tls_section = {
    .name = "tls",
    .help = "Certificates of mqtts:// connections.",
    .keys = tls_keys,
};

#define MQTT(member) offsetof(struct gw_mqtt_draft, member)

static const struct gw_choice version_choices[] = {
    {"3.1.1", GW_MQTT_3_1_1, "MQTT 3.1.1"},
    {"5", GW_MQTT_5, "MQTT 5"},
    {NULL, 0, NULL},
};

static const struct gw_key mqtt_keys[] = {
    {.name = "servers",
     .type = GW_KEY_LIST,
     .flags = GW_REQUIRED,
     .offset = MQTT(conf.servers),
     .min = 1,
     .max = 16,
     .help = "Brokers as mqtt://HOST[:1883] or mqtts://HOST[:8883] (TLS), tried in this order.",
     .pattern = "^mqtts?://[^/@ ]+$|\\$\\{", /* with ${VARIABLE}: whatever it holds */
     .example = "[mqtts://broker-a.example:8883, mqtts://broker-b.example:8883]"},
    {.name = "version",
     .type = GW_KEY_CHOICE,
     .offset = MQTT(conf.version),
     .def = "3.1.1",
     .help = "Version of the protocol.",
     .choices = version_choices,
     .example = "\"5\""},
    {.name = "client_id",
     .type = GW_KEY_TEXT,
     .offset = MQTT(conf.client_id),
     .min = 1,
     .max = 128,
     .def = "field2mqtt-${gateway}",
     .help = "Name of this client at the broker; two clients of one name throw each other out.",
     .example = "pump-house-1"},
    {.name = "username",
     .type = GW_KEY_TEXT,
     .offset = MQTT(conf.username),
     .min = 1,
     .max = 1024,
     .help = "User name at the broker.",
     .example = "pump-house"},
    {.name = "password",
     .type = GW_KEY_TEXT,
     .flags = GW_SECRET,
     .offset = MQTT(conf.password),
     .min = 1,
     .max = 4096,
     .help = "Password at the broker, as ${VARIABLE} of the environment; or use password_file.",
     .example = "${MQTT_PASSWORD}"},
    {.name = "password_file",
     .type = GW_KEY_TEXT,
     .offset = MQTT(password_file),
     .min = 1,
     .max = 4095,
     .help = "File that holds the password, readable by its owner only.",
     .example = "${CREDENTIALS_DIRECTORY}/mqtt-password"},
    {.name = "keepalive",
     .type = GW_KEY_DURATION,
     .offset = MQTT(conf.keepalive_us),
     .min = 1 * S,
     .max = 18 * H,
     .def = "15s",
     .help = "A connection silent for this long is probed; a dead one is noticed after up to three "
             "times this.",
     .example = "15s"},
    {.name = "connect_timeout",
     .type = GW_KEY_DURATION,
     .offset = MQTT(conf.connect_timeout_us),
     .min = 1 * S,
     .max = 300 * S,
     .def = "10s",
     .help = "An attempt to connect is given up after this long.",
     .example = "10s"},
    {.name = "reconnect_min",
     .type = GW_KEY_DURATION,
     .offset = MQTT(conf.reconnect_min_us),
     .min = 100 * MS,
     .max = 1 * H,
     .def = "1s",
     .help = "Pause before the first attempt to connect again; doubled with each failure.",
     .example = "1s"},
    {.name = "reconnect_max",
     .type = GW_KEY_DURATION,
     .offset = MQTT(conf.reconnect_max_us),
     .min = 100 * MS,
     .max = 24 * H,
     .def = "60s",
     .help = "Longest pause between attempts to connect.",
     .example = "60s"},
    {.name = "max_inflight",
     .type = GW_KEY_INT,
     .offset = MQTT(conf.max_inflight),
     .min = 1,
     .max = 65535,
     .def = "100",
     .unit = "messages",
     .help = "Messages sent and not yet acknowledged by the broker.",
     .example = "100"},
    {.name = "state_topic",
     .type = GW_KEY_TEXT,
     .offset = MQTT(conf.state_topic),
     .min = 1,
     .max = 1024,
     .def = "field2mqtt/${gateway}/state",
     .help = "Topic of the retained message \"online\" or \"offline\" (last will) of this gateway.",
     .pattern = GW_TOPIC_PATTERN,
     .example = "plant1/${gateway}/state"},
    {.name = "max_payload",
     .type = GW_KEY_SIZE,
     .offset = MQTT(conf.max_payload),
     .min = 128,
     .max = 268435455, /* Source: MQTT 3.1.1, 2.2.3: remaining length */
     .def = "256KiB",
     .help = "A message larger than this is dropped, and said so.",
     .example = "256KiB"},
    {.name = "device_states",
     .type = GW_KEY_BOOL,
     .offset = MQTT(conf.device_states),
     .def = "true",
     .help = "Whether the states of buses and devices are published, retained, beside state_topic.",
     .example = "true"},
    {.name = "clear_removed",
     .type = GW_KEY_BOOL,
     .offset = MQTT(conf.clear_removed),
     .def = "false",
     .help = "A reload that removes points or moves their topics clears what the broker retains on "
             "the old ones.",
     .example = "true"},
    {.name = NULL},
};

static const struct gw_child mqtt_children[] = {
    {"tls", GW_SHAPE_SECTION, &tls_section, false, "Certificates of mqtts:// connections."},
    {.name = NULL},
};

static const struct gw_section mqtt_section = {
    .name = "mqtt",
    .help =
        "The broker and how it is reached. ${VARIABLE} of the environment may stand in every text.",
    .keys = mqtt_keys,
    .children = mqtt_children,
};

/* ---- the file -------------------------------------------------------------------------------------- */

static const struct gw_key no_keys[] = {{.name = NULL}};

static const struct gw_child root_children[] = {
    {"gateway", GW_SHAPE_SECTION, &gateway_section, true, "Who this gateway is."},
    {"mqtt", GW_SHAPE_SECTION, &mqtt_section, true, "The broker and how it is reached."},
    {"buffer", GW_SHAPE_SECTION, &gw_buffer_section, false,
     "Messages that wait while the broker is away."},
    {"publish", GW_SHAPE_SECTION, &gw_publish_section, false,
     "How readings are published, unless a level below says otherwise."},
    {"commands", GW_SHAPE_SECTION, &gw_commands_section, false,
     "Writing to devices from MQTT: off unless enabled."},
    {"write", GW_SHAPE_SECTION, &gw_write_section, false,
     "How points are written and checked, unless a level below says otherwise."},
    {"http", GW_SHAPE_SWITCH, &gw_http_section, false,
     "Status page, health, metrics and JSON over HTTP; or \"off\"."},
    {"include", GW_SHAPE_FILES, NULL, false,
     "Further files: names or folders (all their *.yaml), relative to this file. Their buses are "
     "added to these."},
    {"buses", GW_SHAPE_LIST, &gw_bus_section, true,
     "Serial lines and connections with their devices."},
    {.name = NULL},
};

static const struct gw_key *const root_more[] = {gw_default_keys, NULL};

const struct gw_section gw_schema_root = {
    .name = "configuration",
    .help = "A configuration file of field2mqtt.",
    .keys = no_keys,
    .children = root_children,
    .more_keys = root_more,
};

/* ---- driver keys ----------------------------------------------------------------------------------- */

/* The section's own table, and of the inner ones what is inherited. */
static const struct gw_key *find_in(const struct gw_key *keys, const char *name, bool is_own)
{
    for (; keys && keys->name; keys++)
        if (strcmp(keys->name, name) == 0 && (is_own || (keys->flags & GW_INHERIT)))
            return keys;
    return NULL;
}

void gw_schema_driver_keys(const struct gw_driver *driver, enum gw_driver_keys which,
                           bool (*visit)(void *ctx, const struct gw_key *key), void *ctx)
{
    const struct gw_key *const tables[] = {driver->bus_keys, driver->device_keys,
                                           driver->point_keys};
    size_t own = which == GW_BUS_KEYS ? 0 : which == GW_DEVICE_KEYS ? 1 : 2;

    if (which == GW_NO_DRIVER_KEYS)
        return;
    for (size_t i = own; i < 3; i++)
        for (const struct gw_key *key = tables[i]; key && key->name; key++) {
            bool stands_here = i == own || (key->flags & GW_INHERIT);

            for (size_t k = own; k < i;
                 k++) /* of one name the outermost is meant, as in the walker */
                stands_here = stands_here && !find_in(tables[k], key->name, k == own);
            if (stands_here && !visit(ctx, key))
                return;
        }
}
