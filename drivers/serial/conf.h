/* conf: what a user may say of a serial bus, of an instrument and of a point, as structs. The key tables are in keys.c, the
 * notations of bytes, places and positions in notation.c, what no single key can tell in check.c.
 *
 * An instrument is declared by four things: how its frames begin and end (frame), what guards them (checksum), where in a
 * frame each point stands (point key from), and whether it talks unasked or has to be asked (poll). */
#ifndef SERIAL_CONF_H
#define SERIAL_CONF_H

#include "gateway/driver.h"

/* ---- bus ------------------------------------------------------------------------------------------- */

/* Parity and flow control as port.h has them: 'N' 'E' 'O' 'M' 'S'; 0 none, 1 RTS/CTS, 2 XON/XOFF. */
struct serial_bus_conf {
    const char *port;  /* device file, link to it, "usb:VID:PID[:SERIAL]", "tcp://HOST:PORT" */
    int64_t baud;      /* default 9600 */
    int64_t data_bits; /* 5-8, default 8 */
    int parity;
    int64_t stop_bits; /* 1-2 */
    int flow;          /* key flow_control */
    int rs485;         /* 0 none, 1 RTS on while sending, 2 RTS off while sending */
    int64_t rs485_before_us, rs485_after_us;
    bool has_echo;            /* key echo: what is sent comes back and is removed */
    int64_t request_delay_us; /* at least this long between two requests of the bus */
};

/* ---- bytes, positions, places ---------------------------------------------------------------------- */

enum { SERIAL_BYTES_MAX = 16, SERIAL_NAME_MAX = 47, SERIAL_ENDS_MAX = 4 };

/* A few bytes, written as a text with \r \n \t \0 \\ \xHH or as "hex:42 4D". */
struct serial_bytes {
    uint8_t len; /* 0: not given */
    uint8_t bytes[SERIAL_BYTES_MAX];
};

/* Where something begins or ends in a frame: "4", "-2" (from the end), "before *", "after \x03" (the last such byte). */
struct serial_position {
    bool is_set;
    enum { SERIAL_AT_INDEX, SERIAL_BEFORE, SERIAL_AFTER } kind;
    int32_t index; /* SERIAL_AT_INDEX; negative counts from the end: -1 is before the last byte */
    struct serial_bytes mark;
};

enum serial_place_kind {
    SERIAL_NOWHERE, /* not given */
    SERIAL_WHOLE,   /* "frame": all of it, without start, end and checksum bytes */
    SERIAL_GROUP,   /* "group:weight": a named group of the pattern `match` */
    SERIAL_COLUMN,  /* "column:4-11": characters from 1 on */
    SERIAL_FIELD,   /* "field:3": fields between separators, from 1 on */
    SERIAL_KEY,     /* "key:T": the value after a key */
    SERIAL_OBIS,    /* "obis:1-0:1.8.0" or "obis:0-1:24.2.1[2]": a parenthesis after an OBIS code */
    SERIAL_JSON,    /* "json:/sensors/0/t": an RFC 6901 pointer */
    SERIAL_BYTE,    /* "byte:4", "byte:4-7", "byte:1&0x04": bytes from 0 on, with a mask */
    SERIAL_MBUS,    /* "mbus:energy,storage=1": a record of an M-Bus answer */
};

enum serial_mbus_quantity {
    SERIAL_MBUS_ENERGY,   /* Wh */
    SERIAL_MBUS_ENERGY_J, /* J */
    SERIAL_MBUS_VOLUME,   /* m3 */
    SERIAL_MBUS_MASS,     /* kg */
    SERIAL_MBUS_ON_TIME,  /* s */
    SERIAL_MBUS_OPERATING_TIME,
    SERIAL_MBUS_POWER,            /* W */
    SERIAL_MBUS_POWER_J,          /* J/h */
    SERIAL_MBUS_FLOW,             /* m3/h */
    SERIAL_MBUS_MASS_FLOW,        /* kg/h */
    SERIAL_MBUS_FLOW_TEMPERATURE, /* degrees Celsius */
    SERIAL_MBUS_RETURN_TEMPERATURE,
    SERIAL_MBUS_TEMPERATURE_DIFFERENCE, /* K */
    SERIAL_MBUS_EXTERNAL_TEMPERATURE,
    SERIAL_MBUS_PRESSURE, /* bar */
    SERIAL_MBUS_DATE,
    SERIAL_MBUS_DATETIME,
    SERIAL_MBUS_HCA, /* units of a heat cost allocator */
    SERIAL_MBUS_FABRICATION_NUMBER,
    SERIAL_MBUS_ERROR_FLAGS,
    SERIAL_MBUS_VOLTAGE, /* V */
    SERIAL_MBUS_CURRENT, /* A */
    SERIAL_MBUS_VIF,     /* by its VIF, the number as it stands */
    SERIAL_MBUS_ID,      /* from here on of the header, in its order */
    SERIAL_MBUS_MANUFACTURER,
    SERIAL_MBUS_VERSION,
    SERIAL_MBUS_MEDIUM,
    SERIAL_MBUS_ACCESS,
    SERIAL_MBUS_STATUS,
};

enum serial_mbus_function {
    SERIAL_MBUS_INSTANTANEOUS,
    SERIAL_MBUS_MAX,
    SERIAL_MBUS_MIN,
    SERIAL_MBUS_DURING_ERROR,
};

enum { SERIAL_MBUS_VIFE_MAX = 8 };

/* Which record of an M-Bus answer. */
struct serial_mbus_pick {
    uint8_t quantity;                           /* enum serial_mbus_quantity */
    uint8_t table, vif;                         /* of SERIAL_MBUS_VIF */
    uint8_t function;                           /* enum serial_mbus_function */
    uint8_t nth;                                /* of several, from 1 on */
    uint8_t n_vife, vife[SERIAL_MBUS_VIFE_MAX]; /* the very extensions; none: only such as scale */
    uint32_t tariff, subunit;
    uint64_t storage;
};

struct serial_place {
    enum serial_place_kind kind;
    uint16_t first, last; /* columns and bytes, inclusive; field; OBIS: parenthesis, from 1 on */
    bool has_last;
    bool from_end;                  /* bytes: first counts from the end, 1 is the last byte */
    uint64_t mask;                  /* 0: none */
    char name[SERIAL_NAME_MAX + 1]; /* of a group, key, OBIS code or pointer */
    struct serial_mbus_pick mbus;
};

/* ---- frames ---------------------------------------------------------------------------------------- */

/* One of `end`, `length`, `length_at` and `idle` says where a frame ends; an end besides `length` or `length_at` is
 * checked there. All lengths are of the whole frame, start and end included. */
struct serial_ends {
    uint8_t n;
    struct serial_bytes any[SERIAL_ENDS_MAX];
};

struct serial_frame_conf {
    struct serial_bytes start; /* without: a frame begins where the last one ended */
    struct serial_ends end;    /* any of them */
    int64_t n_trailer;         /* key trailer: bytes after the end, a checksum say */
    bool is_trailer_optional;
    struct serial_bytes trailer_end; /* ends a trailer of unknown length, up to 16 bytes */
    int64_t length;
    struct serial_position length_at; /* byte of the length field */
    int64_t length_size;              /* 1 or 2 bytes */
    int length_order;                 /* enum serial_order */
    int64_t length_add;               /* frame length = field + add */
    int64_t idle_us;                  /* a pause that ends a frame */
    int64_t max_length;               /* default 256 */
};

enum serial_order { SERIAL_BIG, SERIAL_LITTLE };

enum serial_sum {
    SERIAL_SUM_NONE,
    SERIAL_XOR8,
    SERIAL_SUM8,
    SERIAL_SUM16,
    SERIAL_NEG_SUM8, /* two's complement of the sum: also LRC */
    SERIAL_NEG_SUM7, /* two's complement of the 7-bit sum: Toledo */
    SERIAL_NEG_SUM16,
    SERIAL_TELEINFO,
    SERIAL_CRC8,       /* poly 07, init 00 */
    SERIAL_CRC8_MAXIM, /* poly 31 reflected, init 00 */
    SERIAL_CRC16_MODBUS,
    SERIAL_CRC16_ARC,
    SERIAL_CRC16_CCITT, /* CCITT-FALSE: poly 1021, init FFFF */
    SERIAL_CRC16_XMODEM,
    SERIAL_CRC16_X25,
};

enum serial_encoding {
    SERIAL_RAW,    /* as bytes, high byte first */
    SERIAL_RAW_LE, /* as bytes, low byte first */
    SERIAL_HEX,    /* hexadecimal digits, two a byte */
    SERIAL_HEX_SHORT, /* hexadecimal digits up to the first other character: leading zeros may be missing */
    SERIAL_SDI12, /* three characters of 6 bits | 0x40 */
};

struct serial_checksum_conf {
    int sum; /* enum serial_sum */
    int encoding;
    struct serial_position from, to; /* the bytes it covers: from defaults to 0, to to `at` */
    struct serial_position
        at;           /* where it stands; default: as many bytes as it has before the end */
    bool is_required; /* false: a frame without one is taken too */
};

/* What is done to a frame once its checksum was right. */
struct serial_transform_conf {
    int64_t
        subtract; /* from each byte of [subtract_from, subtract_to), modulo 256; DL/T 645: 0x33 */
    struct serial_position subtract_from, subtract_to;
};

/* ---- quality --------------------------------------------------------------------------------------- */

/* Why a value is none. The names are the reasons in messages. */
enum serial_reason {
    SERIAL_OVERLOAD,
    SERIAL_UNDERLOAD,
    SERIAL_OUT_OF_RANGE,
    SERIAL_UNSTABLE,
    SERIAL_NOT_EXECUTABLE,
    SERIAL_INVALID_FIX,
    SERIAL_ZERO_ERROR,
    SERIAL_ERROR,
    SERIAL_NOT_AVAILABLE,
};

/* A frame for which this holds has no good values, but those of points with always: true. */
struct serial_condition_conf {
    const char *match;         /* a pattern; or */
    struct serial_place where; /* a byte with a mask: holds when any bit is set; or a text */
    struct gw_list equals;     /* ... that is one of these */
    int reason; /* enum serial_reason; SERIAL_UNSTABLE counts with only_stable: true */
};

/* ---- asking ---------------------------------------------------------------------------------------- */

/* A checksum that is put where ${checksum} stands in a text to send. */
struct serial_append_conf {
    int sum;
    int encoding;
    int64_t from; /* first byte that it covers; it covers all up to ${checksum} */
};

/* Something to send, and what has to happen around it. Texts to send are rendered by request.h. */
struct serial_step_conf {
    const char *send; /* NULL: nothing */
    struct serial_append_conf checksum;
    const char *
        expect; /* pattern that what comes must have; its named groups become variables; NULL: nothing */
    int64_t timeout_us; /* for expect */
    int64_t delay_us;   /* key delay: before sending */
    const char *
        baud; /* set before sending: "300", or "iec:${group}" (IEC 62056-21 character); NULL: as it is */
    const char *baud_after; /* set when all is sent */
    int parity;             /* set before sending, 0: as it is */
    const char *sample;     /* what a simulated instrument answers; NULL: nothing */
};

struct serial_poll_conf {
    const char *name; /* point key request names it; default "poll" */
    const char *send;
    struct serial_append_conf checksum;
    const char
        *ignore; /* pattern of frames that are not the reply: echo, acknowledgement, prompt */
    const char *refused;    /* pattern of a frame with which the instrument says no */
    int64_t n_replies;      /* frames of a reply; default 1 */
    int64_t delay_us;       /* before sending */
    const char *baud_after; /* set when all is sent, until the next step says otherwise */
    struct gw_items steps;  /* struct serial_step_conf: before send */
    int64_t reply_bytes;    /* about how long the reply is, for the prediction of the load; 0: 32 */
    const char *sample;     /* what a simulated instrument answers; NULL: nothing */
};

/* ---- device ---------------------------------------------------------------------------------------- */

enum serial_charset { SERIAL_UTF8, SERIAL_LATIN1, SERIAL_CP1251, SERIAL_GBK };

struct serial_device_conf {
    const char *address; /* ${address} in texts to send; NULL: none */
    struct serial_frame_conf frame;
    struct serial_checksum_conf checksum;
    struct serial_transform_conf transform;
    bool strips_parity; /* key strip_parity: bit 7 of each byte is cleared before anything else */
    bool is_hex; /* key hex: the frame between start and end is hexadecimal digits, two a byte */
    int charset;
    bool only_stable;
    struct gw_items conditions; /* struct serial_condition_conf, first that holds */
    struct gw_items
        polls; /* key poll: struct serial_poll_conf; none: the instrument talks unasked */
    struct gw_items on_open, on_close; /* struct serial_step_conf */
    int64_t turnaround_us;  /* what it takes to begin an answer, for the prediction of the load */
    struct gw_list samples; /* what a simulated instrument says unasked, one a second */
    struct serial_append_conf sample_checksum; /* ${checksum} in all samples */
};

/* ---- point ----------------------------------------------------------------------------------------- */

enum serial_type {
    SERIAL_TYPE_DEFAULT, /* number; uint8 of byte: places */
    SERIAL_NUMBER,       /* decimal digits, exactly as written */
    SERIAL_TEXT,
    SERIAL_BOOL,    /* with equals: whether it is one of them; else true/false, 1/0, any bit */
    SERIAL_HEX_INT, /* hexadecimal digits */
    SERIAL_DEGREES, /* ddmm.mmmm */
    SERIAL_TIME,    /* by format, to ISO 8601 */
    SERIAL_UINT,    /* integers of size bytes from here on */
    SERIAL_INT,
    SERIAL_FLOAT,
    SERIAL_BCD,        /* two digits a byte */
    SERIAL_BCD_SIGNED, /* the top bit is the sign */
    SERIAL_RAW_BYTES,  /* as hexadecimal digits */
};

struct serial_type_spec {
    enum serial_type type;
    uint8_t size; /* bytes of SERIAL_UINT, SERIAL_INT, SERIAL_FLOAT */
};

#define SERIAL_TYPE(type, size) ((int)(type) << 8 | (size))

struct serial_point_conf {
    const char *match; /* pattern of the frames that bring the point; NULL: all */
    struct serial_place from;
    int type;              /* SERIAL_TYPE(type, size): see serial_point_type */
    int order;             /* enum serial_order */
    const char *separator; /* of fields and key=value pairs; default "," */
    const char *assign;    /* between key and value; default "=" */
    bool decimal_comma;
    bool is_inverted;             /* key invert: of a bool */
    bool is_reversed;             /* key reverse: the last character is the first */
    struct serial_place sign;     /* elsewhere: "-", S, W and bits are negative */
    struct serial_place places;   /* key decimals_from: how many decimals are implied */
    struct gw_list place_table;   /* key decimals_table: by that number */
    struct gw_list equals, words; /* words: "K=km/h" */
    const char *format, *zone;    /* of SERIAL_TIME */
    bool always;                  /* also when a condition holds */
    const char *request;          /* name of the poll that brings it; NULL: the first */
    const char *write;            /* what to send, with ${value}; NULL: cannot be written */
    const char *write_reply, *write_refused; /* patterns of the answer to it */
    struct serial_append_conf write_checksum;
    const char *write_sample; /* what a simulated instrument answers to it; NULL: nothing */
};

extern const struct gw_key serial_bus_keys[], serial_device_keys[], serial_point_keys[];

/* Parsers of gw_key.parse, for struct serial_bytes, serial_ends, serial_position and serial_place. */
enum gw_err serial_parse_bytes(const char *text, void *field, struct gw_driver_diag *diag);
enum gw_err serial_parse_position(const char *text, void *field, struct gw_driver_diag *diag);
enum gw_err serial_parse_place(const char *text, void *field, struct gw_driver_diag *diag);
enum gw_err serial_parse_ends(const char *text, void *field, struct gw_driver_diag *diag);

enum gw_err serial_check_bus(const void *bus_conf, struct gw_driver_diag *diag);
enum gw_err serial_check_device(const void *bus_conf, const void *device_conf,
                                struct gw_driver_diag *diag);
enum gw_err serial_check_point(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag);

/* The type of a point, with the default of its place. */
struct serial_type_spec serial_point_type(const struct serial_point_conf *point);
/* Does the point come without being asked? */
static inline bool serial_is_heard(const struct serial_device_conf *device)
{
    return device->polls.n_items == 0;
}
/* The index of the poll that brings a point; polls.n_items when there is none of that name. */
size_t serial_poll_of(const struct serial_device_conf *device,
                      const struct serial_point_conf *point);
/* Is it read at all, or only written? */
bool serial_is_read(const struct serial_point_conf *point);

#endif
