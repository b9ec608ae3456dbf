/* keys: the tables of what a user may write for a serial bus, an instrument and a point. The mappings inside of an instrument
 * (frame, checksum, poll, ...) are in keys_frame.c. */
#include "drivers/serial/keys.h"

#include <stddef.h>

#define SECONDS 1e6

#define BUS(member)    offsetof(struct serial_bus_conf, member)
#define DEVICE(member) offsetof(struct serial_device_conf, member)
#define POINT(member)  offsetof(struct serial_point_conf, member)

/* ---- bus ------------------------------------------------------------------------------------------- */

const struct gw_choice serial_parities[] = {
    {"none", 'N', "8N1, the usual setting"},
    {"even", 'E', "7E1 is usual for meters, 8E1 for M-Bus and DL/T 645"},
    {"odd", 'O', NULL},
    {"mark", 'M', NULL},
    {"space", 'S', NULL},
    {0},
};

static const struct gw_choice flows[] = {
    {"none", 0, NULL},
    {"rts-cts", 1, "by the wires RTS and CTS"},
    {"xon-xoff", 2, "by characters; not for binary frames"},
    {0},
};

static const struct gw_choice rs485_modes[] = {
    {"none", 0, "RS-232, or an adapter that switches by itself"},
    {"rts-up", 1, "RTS is on while sending"},
    {"rts-down", 2, "RTS is off while sending"},
    {0},
};

const struct gw_key serial_bus_keys[] = {
    {.name = "port",
     .type = GW_KEY_TEXT,
     .flags = GW_REQUIRED | GW_ADDRESS,
     .offset = BUS(port),
     .min = 1,
     .max = 255,
     .help = "Serial port: a device file or a link to it, usb:VENDOR:PRODUCT[:SERIAL] for a USB "
             "adapter wherever it is plugged in, tcp://HOST:PORT for a serial device server.",
     .example = "usb:0403:6001:FT4XYZ"},
    {.name = "baud",
     .type = GW_KEY_INT,
     .flags = GW_BAUD,
     .offset = BUS(baud),
     .min = 50,
     .max = 4000000,
     .def = "9600",
     .unit = "baud",
     .help = "Speed of the line.",
     .example = "4800"},
    {.name = "data_bits",
     .type = GW_KEY_INT,
     .offset = BUS(data_bits),
     .min = 5,
     .max = 8,
     .def = "8",
     .unit = "bits",
     .help = "Data bits of the line.",
     .example = "7"},
    {.name = "parity",
     .type = GW_KEY_CHOICE,
     .offset = BUS(parity),
     .def = "none",
     .help = "Parity of the line.",
     .choices = serial_parities,
     .example = "even"},
    {.name = "stop_bits",
     .type = GW_KEY_INT,
     .offset = BUS(stop_bits),
     .min = 1,
     .max = 2,
     .def = "1",
     .unit = "bits",
     .help = "Stop bits of the line."},
    {.name = "flow_control",
     .type = GW_KEY_CHOICE,
     .offset = BUS(flow),
     .def = "none",
     .help = "How a side says that it cannot take more.",
     .choices = flows,
     .example = "rts-cts"},
    {.name = "rs485",
     .type = GW_KEY_CHOICE,
     .offset = BUS(rs485),
     .def = "none",
     .help = "How the kernel's driver switches the direction of an RS-485 line.",
     .choices = rs485_modes,
     .example = "rts-up"},
    {.name = "rs485_before",
     .type = GW_KEY_DURATION,
     .offset = BUS(rs485_before_us),
     .max = 0.1 * SECONDS,
     .help = "RTS is switched so much before the first character.",
     .example = "1ms"},
    {.name = "rs485_after",
     .type = GW_KEY_DURATION,
     .offset = BUS(rs485_after_us),
     .max = 0.1 * SECONDS,
     .help = "RTS is switched back so much after the last character.",
     .example = "1ms"},
    {.name = "echo",
     .type = GW_KEY_BOOL,
     .offset = BUS(has_echo),
     .def = "false",
     .help = "Whether the adapter hears what it sends itself (two-wire lines): it is removed then.",
     .example = "true"},
    {.name = "request_delay",
     .type = GW_KEY_DURATION,
     .offset = BUS(request_delay_us),
     .max = 60 * SECONDS,
     .help = "Least time between an answer and the next request on the bus.",
     .example = "20ms"},
    {.name = NULL},
};

/* ---- device ---------------------------------------------------------------------------------------- */

static const struct gw_choice charsets[] = {
    {"utf-8", SERIAL_UTF8, "also ASCII; other bytes become U+FFFD"},
    {"latin-1", SERIAL_LATIN1, "ISO 8859-1"},
    {"cp1251", SERIAL_CP1251, "Windows, Cyrillic"},
    {"gbk", SERIAL_GBK, "Chinese, also GB 2312"},
    {0},
};

#define MAPPING(key_name, member_, table, help_, example_)                                         \
    {                                                                                              \
        .name = key_name, .type = GW_KEY_MAP, .offset = DEVICE(member_), .help = help_,            \
        .example = example_, .keys = table,                                                        \
        .item_size = sizeof((struct serial_device_conf){0}.member_)                                \
    }
#define MAPPINGS(key_name, member_, table, item, max_, help_, example_)                            \
    {                                                                                              \
        .name = key_name, .type = GW_KEY_MAPS, .offset = DEVICE(member_), .min = 1, .max = max_,   \
        .help = help_, .example = example_, .keys = table, .item_size = sizeof(item)               \
    }

const struct gw_key serial_device_keys[] = {
    {.name = "address",
     .type = GW_KEY_TEXT,
     .offset = DEVICE(address),
     .min = 1,
     .max = 32,
     .help = "Address of the instrument, ${address} in texts that are sent and in patterns.",
     .example = "\"01\""},
    MAPPING("frame", frame, serial_frame_keys, "How a message begins and ends.",
            "{ start: '\\x02', end: '\\x03', trailer: 1 }"),
    MAPPING("checksum", checksum, serial_checksum_keys, "What guards a message.",
            "{ type: xor, from: 1, to: before *, at: after *, encoding: hex }"),
    MAPPING("transform", transform, serial_transform_keys,
            "What is done to the bytes of a message once its checksum was right.",
            "{ subtract: 0x33, from: 10, to: -2 }"),
    {.name = "strip_parity",
     .type = GW_KEY_BOOL,
     .offset = DEVICE(strips_parity),
     .def = "false",
     .help = "Clear the top bit of each byte: for 7E1 and 7O1 instruments on a line set to 8N1.",
     .example = "true"},
    {.name = "hex",
     .type = GW_KEY_BOOL,
     .offset = DEVICE(is_hex),
     .def = "false",
     .help = "The message is hexadecimal digits between start and end; everything counts in the "
             "bytes that they stand for.",
     .example = "true"},
    {.name = "charset",
     .type = GW_KEY_CHOICE,
     .offset = DEVICE(charset),
     .def = "utf-8",
     .help = "Character set of texts.",
     .choices = charsets,
     .example = "latin-1"},
    {.name = "only_stable",
     .type = GW_KEY_BOOL,
     .offset = DEVICE(only_stable),
     .def = "false",
     .help = "An unstable value is no value: null with the reason unstable.",
     .example = "true"},
    MAPPINGS(
        "conditions", conditions, serial_condition_keys, struct serial_condition_conf, 16,
        "Messages that carry no good value, with the reason; the first that holds counts. Points "
        "with always: true are read all the same.",
        "[{ match: '^S \\+', reason: overload }]"),
    MAPPINGS("poll", polls, serial_poll_keys, struct serial_poll_conf, 64,
             "What the instrument is asked, and how it answers. Without it the instrument talks "
             "unasked.",
             "{ send: '\\x1BP\\r\\n' }"),
    MAPPINGS("on_open", on_open, serial_step_keys, struct serial_step_conf, 16,
             "What is sent when the port has been opened, in this order.",
             "[{ send: '@\\r\\n', expect: '^I4 A', timeout: 2s }]"),
    MAPPINGS("on_close", on_close, serial_step_keys, struct serial_step_conf, 16,
             "What is sent before the port is closed.", "[{ send: 'SI\\r\\n' }]"),
    {.name = "samples",
     .type = GW_KEY_LIST,
     .offset = DEVICE(samples),
     .min = 1,
     .max = 32,
     .help = "What an instrument that talks unasked says when it is simulated, one each second; "
             "written as send is.",
     .example = "['$GPGGA,123519,...*47\\r\\n']"},
    MAPPING("sample_checksum", sample_checksum, serial_append_keys,
            "The checksum that stands for ${checksum} in samples.",
            "{ type: xor, from: 1, encoding: hex }"),
    {.name = "turnaround",
     .type = GW_KEY_DURATION,
     .offset = DEVICE(turnaround_us),
     .max = 10 * SECONDS,
     .def = "20ms",
     .help = "What the instrument takes to begin an answer; for the prediction of the load only.",
     .example = "200ms"},
    {.name = NULL},
};

/* ---- point ----------------------------------------------------------------------------------------- */

static const struct gw_choice types[] = {
    {"number", SERIAL_TYPE(SERIAL_NUMBER, 0), "decimal digits, as exact as they are written"},
    {"text", SERIAL_TYPE(SERIAL_TEXT, 0), NULL},
    {"bool", SERIAL_TYPE(SERIAL_BOOL, 0), "by equals; else true/false, 1/0, or any bit of a byte"},
    {"hex", SERIAL_TYPE(SERIAL_HEX_INT, 0), "hexadecimal digits"},
    {"degrees", SERIAL_TYPE(SERIAL_DEGREES, 0), "degrees and minutes of NMEA: dddmm.mmmm"},
    {"time", SERIAL_TYPE(SERIAL_TIME, 0), "date and time, by format"},
    {"uint8", SERIAL_TYPE(SERIAL_UINT, 1), NULL},
    {"int8", SERIAL_TYPE(SERIAL_INT, 1), NULL},
    {"uint16", SERIAL_TYPE(SERIAL_UINT, 2), NULL},
    {"int16", SERIAL_TYPE(SERIAL_INT, 2), NULL},
    {"uint24", SERIAL_TYPE(SERIAL_UINT, 3), NULL},
    {"int24", SERIAL_TYPE(SERIAL_INT, 3), NULL},
    {"uint32", SERIAL_TYPE(SERIAL_UINT, 4), NULL},
    {"int32", SERIAL_TYPE(SERIAL_INT, 4), NULL},
    {"uint64", SERIAL_TYPE(SERIAL_UINT, 8), NULL},
    {"int64", SERIAL_TYPE(SERIAL_INT, 8), NULL},
    {"float32", SERIAL_TYPE(SERIAL_FLOAT, 4), NULL},
    {"float64", SERIAL_TYPE(SERIAL_FLOAT, 8), NULL},
    {"bcd", SERIAL_TYPE(SERIAL_BCD, 0), "two decimal digits a byte"},
    {"bcd_signed", SERIAL_TYPE(SERIAL_BCD_SIGNED, 0), "the same, the top bit is the sign"},
    {"bytes", SERIAL_TYPE(SERIAL_RAW_BYTES, 0), "as hexadecimal digits"},
    {0},
};

static const struct gw_choice orders[] = {
    {"big", SERIAL_BIG, "high byte first"},
    {"little", SERIAL_LITTLE, "low byte first"},
    {0},
};

#define TEXT_KEY(key_name, member_, flags_, def_, help_, example_)                                 \
    {                                                                                              \
        .name = key_name, .type = GW_KEY_TEXT, .flags = flags_, .offset = POINT(member_),          \
        .min = 1, .max = 1024, .def = def_, .help = help_, .example = example_                     \
    }
#define PLACE_KEY(key_name, member_, help_, example_)                                              \
    {                                                                                              \
        .name = key_name, .type = GW_KEY_PARSED, .offset = POINT(member_), .help = help_,          \
        .parse = serial_parse_place, .pattern = SERIAL_PLACE_PATTERN, .example = example_          \
    }
#define BOOL_KEY(key_name, member_, flags_, help_)                                                 \
    {                                                                                              \
        .name = key_name, .type = GW_KEY_BOOL, .flags = flags_, .offset = POINT(member_),          \
        .def = "false", .help = help_, .example = "true"                                           \
    }

const struct gw_key serial_point_keys[] = {
    TEXT_KEY(
        "match", match, GW_INHERIT, NULL,
        "Pattern (PCRE2) of the messages that bring the point; others leave it as it is. It sees "
        "the message without its end. At a device: of all its points.",
        "'^\\$..GGA,'"),
    PLACE_KEY(
        "from", from,
        "Where in a message the point stands: frame, group:NAME of the pattern, column:4-11 (from "
        "1 on), field:3 (from 1 on), key:T, obis:1-0:1.8.0, json:/a/0/b, byte:4, byte:4-7, "
        "byte:1&0x04 (from 0 on, -1 is the last), mbus:energy,storage=1.",
        "column:4-11"),
    {.name = "type",
     .type = GW_KEY_CHOICE,
     .offset = POINT(type),
     .help = "What stands there; number unless given, uint8 of a byte.",
     .choices = types,
     .example = "uint16"},
    {.name = "order",
     .type = GW_KEY_CHOICE,
     .flags = GW_INHERIT,
     .offset = POINT(order),
     .def = "big",
     .help = "Order of the bytes of numbers.",
     .choices = orders,
     .example = "little"},
    TEXT_KEY("separator", separator, GW_INHERIT, ",",
             "What stands between fields, and between the pairs of key:.", "\";\""),
    TEXT_KEY("assign", assign, GW_INHERIT, "=", "What stands between a key and its value.",
             "\":\""),
    BOOL_KEY("decimal_comma", decimal_comma, GW_INHERIT, "Numbers are written 23,45."),
    BOOL_KEY("invert", is_inverted, 0, "Of a bool: true is false."),
    BOOL_KEY("reverse", is_reversed, 0, "The last character is the first (XK3190 format 1)."),
    PLACE_KEY("sign", sign,
              "Where the sign stands when it is elsewhere: -, S, W or a set bit is minus.",
              "field:4"),
    PLACE_KEY("decimals_from", places,
              "Where the number of implied decimals stands: a digit or a masked byte.", "byte:8"),
    {.name = "decimals_table",
     .type = GW_KEY_LIST,
     .offset = POINT(place_table),
     .min = 1,
     .max = 256,
     .help = "Implied decimals by what stands in decimals_from; negative ones multiply.",
     .pattern = "^-?[0-9]$",
     .example = "[-2, -1, 0, 1, 2, 3, 4, 5]"},
    {.name = "equals",
     .type = GW_KEY_LIST,
     .offset = POINT(equals),
     .min = 1,
     .max = 32,
     .help = "Texts that are true, of a bool.",
     .example = "[ST, QT]"},
    {.name = "words",
     .type = GW_KEY_LIST,
     .offset = POINT(words),
     .min = 1,
     .max = 64,
     .help = "Texts that are published as others.",
     .pattern = "^[^=]*=.*$",
     .example = "[K=km/h, N=kn, M=m/s]"},
    TEXT_KEY(
        "format", format, 0, NULL,
        "Of a time: YYYY or YY, MM, DD, hh, mm, ss for digits, ~ for the letter S or W (summer, "
        "winter), ? for any character; others stand for themselves.",
        "YYMMDDhhmmss~"),
    {.name = "zone",
     .type = GW_KEY_TEXT,
     .flags = GW_INHERIT,
     .offset = POINT(zone),
     .min = 1,
     .max = 6,
     .help = "Offset of a time from UTC in winter; without it none is written.",
     .pattern = "^(Z|[-+][0-9]{2}:[0-9]{2})$",
     .example = "+01:00"},
    BOOL_KEY("always", always, 0, "Read it also from messages for which one of conditions holds."),
    TEXT_KEY("request", request, GW_INHERIT, NULL,
             "Name of the poll that brings the point; the first when not given.", "energy"),
    TEXT_KEY("write_text", write, 0, NULL, "What is sent to write the point, with ${value}.",
             "'T\\r\\n'"),
    TEXT_KEY("write_reply", write_reply, GW_INHERIT, NULL,
             "Pattern of the message that confirms a write.", "'^T S'"),
    TEXT_KEY("write_refused", write_refused, GW_INHERIT, NULL,
             "Pattern of the message with which the instrument refuses a write.", "'^T [I+-]'"),
    {.name = "write_checksum",
     .type = GW_KEY_MAP,
     .offset = POINT(write_checksum),
     .help = "The checksum that stands for ${checksum} in write_text.",
     .example = "{ type: xor, from: 1, encoding: hex }",
     .keys = serial_append_keys,
     .item_size = sizeof(struct serial_append_conf)},
    TEXT_KEY("write_sample", write_sample, 0, NULL,
             "What the instrument answers to write_text when it is simulated, also with ${value}.",
             "'T S     100.00 g\\r\\n'"),
    {.name = NULL},
};
