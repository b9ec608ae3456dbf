/* schema_publish: the tables of how readings are published: topic, payload, and when. */
#include <stdio.h>

#include "gateway/config_draft.h"
#include "gateway/quantity.h"
#include "gateway/schema_tables.h"

#define D 8.64e10

#define SET(member) offsetof(struct gw_settings, member)

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
             "${quality}, ${reason}, ${seq} and the "
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
    {.name = "seq",
     .type = GW_KEY_BOOL,
     .offset = SET(seq),
     .def = "false",
     .help = "Whether json carries the number of the message as \"seq\": it never goes back, and a "
             "message that comes twice has the same.",
     .example = "true"},
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

const struct gw_section gw_publish_point_section = {
    .name = "publish",
    .help =
        "How readings of this point become messages; the same keys may stand at the point itself.",
    .keys = gw_publish_keys,
};
