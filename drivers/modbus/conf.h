/* conf: what a user may say of a Modbus bus, device and point, as structs. The key tables are in keys.c, the
 * notations of registers and types in notation.c, what no single key can tell in check.c. */
#ifndef MODBUS_CONF_H
#define MODBUS_CONF_H

#include "gateway/driver.h"

enum modbus_transport { MODBUS_RTU, MODBUS_TCP, MODBUS_RTU_OVER_TCP };

enum modbus_parity { MODBUS_PARITY_NONE = 'N', MODBUS_PARITY_EVEN = 'E', MODBUS_PARITY_ODD = 'O' };
enum modbus_rs485 {
    MODBUS_RS485_NONE,
    MODBUS_RS485_KERNEL,
    MODBUS_RS485_RTS_UP,
    MODBUS_RS485_RTS_DOWN
};

/* One struct for both drivers, so that everything above the wire is the same code. */
struct modbus_bus_conf {
    int transport; /* enum modbus_transport; modbus-rtu: RTU; modbus-tcp: key framing: tcp | rtu */
    const char *port; /* RTU: device file */
    const char *host; /* TCP: name or address */
    int64_t tcp_port; /* TCP: key port, 1-65535, default 502 */
    /* The line; for RTU over TCP the far one, which predicts the time on the wire. */
    int64_t baud;       /* default 9600 */
    int64_t data_bits;  /* default 8; RTU needs 8 */
    int parity;         /* enum modbus_parity, default none: 8N1 is the de-facto field setting */
    int64_t stop_bits;  /* 1-2, default 1 */
    int rs485;          /* enum modbus_rs485 */
    int64_t silence_us; /* key min_silence; 0: 3.5 characters, 1.75 ms above 19200 */
    int64_t connect_delay_us; /* pause after connect before the first request */
    int64_t
        request_delay_us; /* key request_delay: at least this long between requests of the bus */
    int64_t unit_change_delay_us; /* key unit_change_delay: pause when the unit id changes */
};

enum modbus_area { MODBUS_COIL, MODBUS_DISCRETE, MODBUS_HOLDING, MODBUS_INPUT };

struct modbus_device_conf {
    int64_t unit;          /* key unit: RTU 1-247 (248-255 in use by some), TCP 0-255; required */
    int64_t max_registers; /* a request reads at most so many; 1-125, default 125 */
    int64_t max_bits;      /* 1-2000, default 2000 */
    int64_t max_gap; /* registers that may be read for nothing between two points; default 32 */
    int64_t max_gap_bits; /* default 128 */
    int64_t
        turnaround_us; /* key turnaround: what the device takes to answer, for planning; 0: 5 ms on
                                 a line, 2 ms over TCP */
    int64_t request_delay_us;  /* pause before each request to this device */
    int read_function_holding; /* key read_holding_with: 3 (default) or 4 */
    int read_function_input;   /* key read_input_with: 4 (default) or 3 */
    int write_registers;       /* key write_registers_with: 0 auto (one: 6, more: 16), 6, 16, 23 */
    int write_coils;           /* key write_coils_with: 0 auto (one: 5, more: 15), 5, 15 */
    bool mask_write;           /* the device knows function 22 */
    int64_t
        coil_block; /* quirk: a read of coils or discrete inputs begins at a multiple of it; default 1 */
};

enum modbus_type {
    MODBUS_BOOL, /* a coil or discrete input; in a register: any bit set */
    MODBUS_INT8H,
    MODBUS_INT8L,
    MODBUS_UINT8H,
    MODBUS_UINT8L, /* the high or low byte of a register */
    MODBUS_INT16,
    MODBUS_UINT16,
    MODBUS_INT24, /* two registers, of which the highest byte does not count */
    MODBUS_UINT24,
    MODBUS_INT32,
    MODBUS_UINT32,
    MODBUS_INT48,
    MODBUS_UINT48,
    MODBUS_INT64,
    MODBUS_UINT64,
    MODBUS_FLOAT16,
    MODBUS_FLOAT32,
    MODBUS_FLOAT64,
    MODBUS_BITS,   /* bits[shift:width] of one register; a width of 1 is GW_BOOL */
    MODBUS_BITS32, /* bits32[shift:width] of a 32-bit word */
    MODBUS_BCD16,
    MODBUS_BCD32,
    MODBUS_BCD64,
    MODBUS_MOD10K, /* mod10k[n]: n registers of 0-9999, or of -9999-9999 */
    MODBUS_SIGNMAG16,
    MODBUS_SIGNMAG32,
    MODBUS_PF4Q,   /* Schneider four-quadrant power factor in a float32 */
    MODBUS_STRING, /* string[n]: n registers of two characters */
    MODBUS_STRING_LOW,
    MODBUS_STRING_HIGH, /* one character per register, in its low or high byte */
    MODBUS_RAW,         /* raw[n]: n registers as hexadecimal text */
    MODBUS_IPV4,
    MODBUS_IPV6,
    MODBUS_EUI48, /* the last 6 of 8 bytes */
    MODBUS_DATETIME_IEC870,
    MODBUS_DATETIME_WORDS,
    MODBUS_DATETIME_BYTES,
    MODBUS_UNIX,
    MODBUS_HHMM,
    MODBUS_VERSION_NIBBLES,
};

/* What an integer means decides which raw values stand for "not available" (enum16, bitfield32, acc32, sunssf). */
enum modbus_meaning {
    MODBUS_NUMBER,
    MODBUS_ENUM,
    MODBUS_BITFIELD,
    MODBUS_ACCUMULATOR,
    MODBUS_SUNSSF
};

struct modbus_type_spec {
    enum modbus_type type;
    uint16_t n_regs;      /* 1-125; 0: key type was not given, see modbus_point_type */
    uint8_t shift, width; /* MODBUS_BITS, MODBUS_BITS32: from the least significant bit */
    uint8_t meaning;      /* enum modbus_meaning */
    uint8_t unused[3];
};

/* Order of the bytes of a number in its registers; ABCD, the standard's, is 0. The letters are the 32-bit names; for
 * 64 bits CDAB means GHEFCDAB, BADC BADCFEHG, DCBA HGFEDCBA. Bit 0: words reversed, bit 1: bytes swapped. */
enum modbus_order { MODBUS_ABCD = 0, MODBUS_CDAB = 1, MODBUS_BADC = 2, MODBUS_DCBA = 3 };

/* Named sets of "no value" raw values (facts: modbus.md 7). A point may also list its own under invalid: (mapping). */
enum modbus_sentinels {
    MODBUS_NO_SENTINELS,
    MODBUS_SENTINELS_SUNSPEC,
    MODBUS_SENTINELS_ABB,
    MODBUS_SENTINELS_SMA
};

enum modbus_numbering { MODBUS_NUMBERING_WIRE, MODBUS_NUMBERING_MODICON };

/* This and modbus_type_spec have no padding, so that equal points are equal in every byte: they are kept once. */
struct modbus_address {
    enum modbus_area area;
    uint16_t first; /* 0-based, as on the wire */
    bool is_set;
    bool is_modicon; /* was written as 40001: fine with numbering: modicon only */
};

/* Bytes of a PDU, from the function on. */
enum { MODBUS_RAW_MAX = 64 };
struct modbus_bytes {
    uint8_t n; /* 0: none */
    uint8_t bytes[MODBUS_RAW_MAX];
};

enum modbus_scale_kind {
    MODBUS_SCALE_SUNSSF,        /* x 10^int16 */
    MODBUS_SCALE_DECIMALS,      /* x 10^-uint16 */
    MODBUS_SCALE_DECIMALS_HIGH, /* x 10^-high byte */
    MODBUS_SCALE_DECIMALS_LOW,  /* x 10^-low byte */
};

struct modbus_point_conf {
    struct modbus_address address; /* key register; not set for a raw request */
    struct modbus_bytes request;   /* key register: raw:42, sent when true is written */
    struct modbus_bytes reply;     /* key reply: what confirms it; none: the same bytes */
    struct modbus_address
        low_part; /* key low_register: the low half of a value whose halves stand apart */
    struct modbus_type_spec type; /* key type; default bool for bits, uint16 for registers */
    int order;                    /* enum modbus_order; texts, times and raw do not follow it */
    int string_order; /* MODBUS_ABCD or MODBUS_BADC: of the bytes of texts and addresses */
    int sentinels;    /* enum modbus_sentinels */
    int numbering;    /* enum modbus_numbering */
    struct modbus_address scale_register; /* key scale_register */
    int scale_kind;                       /* enum modbus_scale_kind */
    struct modbus_address write_address;  /* key write_register; unset: address */
    int64_t on_value, off_value;          /* of a coil write through FC 5; default 0xFF00, 0 */
    bool read_alone;                      /* key alone: never merged with other points */
};

enum { MODBUS_COIL_ON = 0xFF00, MODBUS_COIL_OFF = 0 };

static inline bool modbus_area_is_bits(enum modbus_area area)
{
    return area == MODBUS_COIL || area == MODBUS_DISCRETE;
}

static inline bool modbus_is_raw(const struct modbus_point_conf *point)
{
    return point->request.n > 0;
}

/* What confirms a raw request. */
static inline const struct modbus_bytes *modbus_raw_reply(const struct modbus_point_conf *point)
{
    return point->reply.n > 0 ? &point->reply : &point->request;
}

/* The type of a point, with the default of its area when none was given. */
static inline struct modbus_type_spec modbus_point_type(const struct modbus_point_conf *point)
{
    struct modbus_type_spec spec = point->type;

    if (!spec.n_regs) {
        spec.type = modbus_area_is_bits(point->address.area) ? MODBUS_BOOL : MODBUS_UINT16;
        spec.n_regs = 1;
    }
    return spec;
}

/* Registers (or bits) that a point takes from its first address on; with low_part, as many stand there. */
static inline uint16_t modbus_point_units(const struct modbus_point_conf *point)
{
    uint16_t n_regs = modbus_point_type(point).n_regs;

    return point->low_part.is_set ? (uint16_t)(n_regs / 2) : n_regs;
}

extern const struct gw_key modbus_rtu_bus_keys[], modbus_tcp_bus_keys[], modbus_device_keys[],
    modbus_point_keys[];

/* Parse a register (struct modbus_address), a type (struct modbus_type_spec) and bytes (struct modbus_bytes), as
 * gw_key.parse does; of a point its place: a register or the bytes of a request (struct modbus_point_conf). */
enum gw_err modbus_parse_register(const char *text, void *field, struct gw_driver_diag *diag);
enum gw_err modbus_parse_bytes(const char *text, void *field, struct gw_driver_diag *diag);
enum gw_err modbus_parse_place(const char *text, void *field, struct gw_driver_diag *diag);
enum gw_err modbus_parse_type(const char *text, void *field, struct gw_driver_diag *diag);
extern const char modbus_register_pattern[], modbus_type_pattern[], modbus_bytes_pattern[],
    modbus_place_pattern[];
/* Writes a register as a user would: "holding:100". Returns buf. */
const char *modbus_print_register(enum modbus_area area, uint32_t first, char buf[24]);

enum gw_err modbus_check_bus(const void *bus_conf, struct gw_driver_diag *diag);
enum gw_err modbus_check_device(const void *bus_conf, const void *device_conf,
                                struct gw_driver_diag *diag);
enum gw_err modbus_check_point(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag);

#endif
