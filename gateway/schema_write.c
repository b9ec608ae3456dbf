/* schema_write: the tables of what may be written to devices, and who may ask for it: commands, write. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config_draft.h"
#include "gateway/schema_tables.h"

#define MS 1000.0
#define S  1e6
#define H  3.6e9
#define D  8.64e10

/* 20/s, 6/m, 10/h: so many at once, which come back over that time. */
enum gw_err gw_parse_rate(const char *text, void *field, struct gw_driver_diag *diag)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};
    size_t n_digits = strspn(text, "0123456789.");
    char *end;
    double n = strtod(text, &end);

    for (size_t i = 0; n_digits > 0 && end == text + n_digits && i < 3; i++)
        if (strcmp(end, units[i].unit) == 0 && n > 0 && n <= 1e6) {
            *(struct gw_rate *)field = (struct gw_rate){n / units[i].seconds, n < 1 ? 1 : n};
            return GW_OK;
        }
    snprintf(diag->text, sizeof diag->text,
             "rate \"%.40s\" is not a number above 0 and /s, /m or /h, such as 20/s", text);
    return GW_E_CONFIG;
}

/* ---- commands: the gateway as a whole --------------------------------------------------------------- */

#define CMD(member) offsetof(struct gw_commands_conf, member)

static const struct gw_key commands_keys[] = {
    {.name = "enabled",
     .type = GW_KEY_BOOL,
     .offset = CMD(is_enabled),
     .def = "false",
     .help = "Whether points with access: rw or w can be written from MQTT. Without it the gateway "
             "only reads.",
     .example = "true"},
    {.name = "rate",
     .type = GW_KEY_PARSED,
     .offset = CMD(rate),
     .def = "20/s",
     .help = "So many commands in all; those beyond are refused (rate_limited).",
     .parse = gw_parse_rate,
     .pattern = GW_RATE_PATTERN,
     .example = "20/s"},
    {.name = "max_waiting",
     .type = GW_KEY_INT,
     .offset = CMD(max_waiting),
     .min = 1,
     .max = 64,
     .def = "16",
     .unit = "commands",
     .help = "So many commands may wait for one bus; those beyond are refused (busy).",
     .example = "16"},
    {.name = "timeout",
     .type = GW_KEY_DURATION,
     .offset = CMD(timeout_us),
     .min = 100 * MS,
     .max = 1 * H,
     .def = "10s",
     .help =
         "A command that could not be begun within this time is not written any more (expired).",
     .example = "5s"},
    {.name = "lock_file",
     .type = GW_KEY_TEXT,
     .offset = CMD(lock_file),
     .min = 1,
     .max = 4095,
     .help = "As long as this file exists, every command is refused (locked).",
     .example = "/run/field2mqtt/read-only"},
    {.name = "arm_topic",
     .type = GW_KEY_TEXT,
     .offset = CMD(arm_topic),
     .min = 1,
     .max = 1024,
     .help =
         "With it commands are refused (not_armed) until \"arm\" is published there; \"disarm\" "
         "ends it at once.",
     .pattern = GW_TOPIC_PATTERN,
     .example = "plant1/${gateway}/arm"},
    {.name = "arm_time",
     .type = GW_KEY_DURATION,
     .offset = CMD(arm_time_us),
     .min = 1 * S,
     .max = 1 * D,
     .def = "5m",
     .help = "How long the gateway stays armed.",
     .example = "10m"},
    {.name = "ids_file",
     .type = GW_KEY_TEXT,
     .offset = CMD(ids_file),
     .min = 1,
     .max = 4095,
     .def = "/var/lib/field2mqtt/commands.ids",
     .help =
         "Where the ids of the latest commands are kept, so that none is written twice, not even "
         "after a restart.",
     .example = "/var/lib/field2mqtt/commands.ids"},
    {.name = "audit_file",
     .type = GW_KEY_TEXT,
     .offset = CMD(audit_file),
     .min = 1,
     .max = 4095,
     .def = "/var/lib/field2mqtt/commands.log",
     .help = "Every command and what became of it is appended here, one JSON object a line.",
     .example = "/var/log/field2mqtt/commands.log"},
    {.name = "audit_size",
     .type = GW_KEY_SIZE,
     .offset = CMD(audit_max_bytes),
     .min = 4096,
     .max = 1024.0 * 1024 * 1024,
     .def = "10MiB",
     .help = "An audit file of this size becomes FILE.1, and FILE.1 becomes FILE.2, up to FILE.4.",
     .example = "10MiB"},
    {.name = "response_prefix",
     .type = GW_KEY_TEXT,
     .offset = CMD(response_prefix),
     .min = 1,
     .max = 256,
     .def = "field2mqtt/${gateway}/response/",
     .help = "MQTT 5: results go to the Response Topic of a command when it begins with this; a "
             "command with another one is refused.",
     .pattern = "^[^+#]+$",
     .example = "plant1/${gateway}/response/"},
    {.name = "result_max_age",
     .type = GW_KEY_DURATION,
     .offset = CMD(result_max_age_us),
     .min = 1 * S,
     .max = 7 * D,
     .def = "1h",
     .help = "A result that could not be delivered for this long is dropped.",
     .example = "10m"},
    {.name = NULL},
};

const struct gw_section gw_commands_section = {
    .name = "commands",
    .help =
        "Writing to devices from MQTT. Off unless enabled; and then only points with access: rw "
        "or w.",
    .keys = commands_keys,
};

/* ---- write: how points are written ------------------------------------------------------------------ */

#define SET(member) offsetof(struct gw_settings, write.member)

const struct gw_key gw_write_keys[] = {
    {.name = "set_topic",
     .type = GW_KEY_TEXT,
     .offset = SET(set_topic),
     .min = 1,
     .max = 1024,
     .def = "${topic}/set",
     .help =
         "Where commands for a point, or several points of a device, arrive; ${topic} is its own "
         "topic.",
     .pattern = GW_TOPIC_PATTERN,
     .example = "${topic}/set"},
    {.name = "result_topic",
     .type = GW_KEY_TEXT,
     .offset = SET(result_topic),
     .min = 1,
     .max = 1024,
     .def = "${topic}/result",
     .help = "Where the result of a command is published.",
     .pattern = GW_TOPIC_PATTERN,
     .example = "${topic}/result"},
    {.name = "verify",
     .type = GW_KEY_BOOL,
     .offset = SET(verify),
     .def = "true",
     .help = "Whether what was written is read back and compared.",
     .example = "false"},
    {.name = "settle",
     .type = GW_KEY_DURATION,
     .offset = SET(settle_us),
     .min = 0,
     .max = 60 * S,
     .def = "0s",
     .help = "How long the device needs until the written value can be read back.",
     .example = "200ms"},
    {.name = "tolerance",
     .type = GW_KEY_FLOAT,
     .offset = SET(tolerance),
     .min = 0,
     .max = 1e12,
     .def = "0",
     .help = "How far the value read back may be from the one written.",
     .example = "0.05"},
    {.name = "idempotent",
     .type = GW_KEY_BOOL,
     .offset = SET(idempotent),
     .def = "false",
     .help = "Writing twice does no harm: a write without an answer is repeated once.",
     .example = "true"},
    {.name = "rate",
     .type = GW_KEY_PARSED,
     .offset = SET(rate),
     .def = "5/s",
     .help = "So many commands for one point; those beyond are refused (rate_limited).",
     .parse = gw_parse_rate,
     .pattern = GW_RATE_PATTERN,
     .example = "6/m"},
    {.name = NULL},
};

const struct gw_section gw_write_section = {
    .name = "write",
    .help = "How points are written and checked.",
    .keys = gw_write_keys,
};

#define POINT(member) offsetof(struct gw_write_draft, member)
#define VALUE_SCHEMA  "{\"type\":[\"number\",\"string\",\"boolean\"]}"

const struct gw_key gw_write_point_keys[] = {
    {.name = "allowed",
     .type = GW_KEY_CUSTOM,
     .offset = POINT(allowed),
     .help = "The only values that may be written.",
     .pattern = "{\"anyOf\":[" VALUE_SCHEMA
                ",{\"type\":\"array\",\"minItems\":1,\"items\":" VALUE_SCHEMA "}]}",
     .example = "[0, 25, 50]"},
    {.name = "max_change",
     .type = GW_KEY_FLOAT,
     .offset = POINT(max_change),
     .min = 0,
     .max = 1e18,
     .help = "A command may change the value by this much at most; 0: no limit.",
     .example = "5"},
    {.name = "read_back",
     .type = GW_KEY_TEXT,
     .offset = POINT(read_back),
     .min = 1,
     .max = 64,
     .help = "Point of the same device that shows the written value, when it is not this one.",
     .pattern = GW_NAME_PATTERN,
     .example = "actual_setpoint"},
    {.name = "secret",
     .type = GW_KEY_BOOL,
     .offset = POINT(is_secret),
     .def = "false",
     .help = "Whether the values of commands stay out of log, audit file and results.",
     .example = "true"},
    {.name = "on_disconnect",
     .type = GW_KEY_CUSTOM,
     .offset = POINT(on_disconnect),
     .help = "Value that is written when the broker has been away for on_disconnect_after.",
     .pattern = VALUE_SCHEMA,
     .example = "0"},
    {.name = "on_disconnect_after",
     .type = GW_KEY_DURATION,
     .offset = POINT(on_disconnect_after_us),
     .min = 1 * S,
     .max = 1 * D,
     .def = "30s",
     .help = "How long the broker has to be away for that.",
     .example = "60s"},
    {.name = "on_stop",
     .type = GW_KEY_CUSTOM,
     .offset = POINT(on_stop),
     .help = "Value that is written when the gateway is stopped.",
     .pattern = VALUE_SCHEMA,
     .example = "0"},
    {.name = NULL},
};

static const struct gw_key *const point_more[] = {gw_write_keys, NULL};

const struct gw_section gw_write_point_section = {
    .name = "write",
    .help = "How this point is written and checked.",
    .keys = gw_write_point_keys,
    .more_keys = point_more,
};
