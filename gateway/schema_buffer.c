/* schema_buffer: the table of the section buffer: what becomes of messages that wait for the broker. */
#include "gateway/config_draft.h"
#include "gateway/schema_tables.h"

#define MS 1000.0
#define S  1e6
#define D  8.64e10

#define BUF(member) offsetof(struct gw_buffer_draft, member)

static const struct gw_choice durability_choices[] = {
    {"none", GW_DURABLE_NONE, "in memory only: a restart loses them"},
    {"outage", GW_DURABLE_OUTAGE,
     "in memory while the broker acknowledges, on disk as soon as it does not"},
    {"always", GW_DURABLE_ALWAYS, "on disk before a message is sent"},
    {NULL, 0, NULL},
};

static const struct gw_choice full_choices[] = {
    {"drop-oldest", 0, "make room for the newest message"},
    {"drop-newest", 1, "keep what is there"},
    {NULL, 0, NULL},
};

static const struct gw_choice order_choices[] = {
    {"fifo", 0, "strictly in the order of the readings"},
    {"live-first", 1,
     "the newest value of each topic at once, then live ones, history behind; not with durability: "
     "none"},
    {NULL, 0, NULL},
};

static const struct gw_key buffer_keys[] = {
    {.name = "durability",
     .type = GW_KEY_CHOICE,
     .offset = BUF(durability),
     .def = "outage",
     .help = "When messages are written to disk.",
     .choices = durability_choices,
     .example = "always"},
    {.name = "path",
     .type = GW_KEY_TEXT,
     .flags = GW_ADDRESS,
     .offset = BUF(path),
     .min = 1,
     .max = 3900,
     .help = "File on disk, one for each gateway; its folder must exist. Without it outbox.db in "
             "$STATE_DIRECTORY, which systemd sets, or in /var/lib/field2mqtt.",
     .example = "/var/lib/field2mqtt/outbox.db"},
    {.name = "max_size",
     .type = GW_KEY_SIZE,
     .offset = BUF(max_bytes),
     .min = 64 * 1024,
     .max = 64.0 * 1024 * 1024 * 1024,
     .def = "64MiB",
     .help = "Messages that wait for the broker take at most this much, in memory and on disk "
             "together.",
     .example = "256MiB"},
    {.name = "max_age",
     .type = GW_KEY_DURATION,
     .offset = BUF(max_age_us),
     .min = 1 * S,
     .max = 3650 * D,
     .def = "7d",
     .help =
         "A message that waited longer is dropped, and counted. MQTT 5 brokers are told what is "
         "left of it.",
     .example = "30d"},
    {.name = "when_full",
     .type = GW_KEY_CHOICE,
     .offset = BUF(drop_newest),
     .def = "drop-oldest",
     .help = "Which message is dropped, and counted, when the buffer is full.",
     .choices = full_choices,
     .example = "drop-oldest"},
    {.name = "commit_interval",
     .type = GW_KEY_DURATION,
     .offset = BUF(commit_interval_us),
     .min = 10 * MS,
     .max = 60 * S,
     .def = "1s",
     .help =
         "Messages for the disk are gathered for so long; 500 of them or 256 KiB are written at "
         "once. Shorter wears flash memory out sooner.",
     .example = "200ms"},
    {.name = "order",
     .type = GW_KEY_CHOICE,
     .offset = BUF(is_live_first),
     .def = "fifo",
     .help = "What goes first when the broker is back.",
     .choices = order_choices,
     .example = "live-first"},
    {.name = "drain_rate",
     .type = GW_KEY_PARSED,
     .offset = BUF(drain_rate),
     .def = "500/s",
     .help = "With live-first: so many messages of history are sent beside the live ones.",
     .parse = gw_parse_rate,
     .pattern = GW_RATE_PATTERN,
     .example = "100/s"},
    {.name = NULL},
};

const struct gw_section gw_buffer_section = {
    .name = "buffer",
    .help = "Messages that wait while the broker is away.",
    .keys = buffer_keys,
};
