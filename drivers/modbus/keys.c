/* keys: the tables of what a user may write for a Modbus bus, device and point. */
#include "drivers/modbus/conf.h"

#include <stddef.h>

#define SECONDS 1e6

#define BUS(member)    offsetof(struct modbus_bus_conf, member)
#define DEVICE(member) offsetof(struct modbus_device_conf, member)
#define POINT(member)  offsetof(struct modbus_point_conf, member)

_Static_assert(POINT(address) == 0, "the key of a register also fills what stands behind it");

static const struct gw_choice parities[] = {
    {"none", MODBUS_PARITY_NONE, "8N1 or 8N2, the usual setting in the field"},
    {"even", MODBUS_PARITY_EVEN, "8E1, the standard's"},
    {"odd", MODBUS_PARITY_ODD, "8O1"},
    {0},
};

static const struct gw_choice rs485_modes[] = {
    {"none", MODBUS_RS485_NONE, "the adapter switches by itself"},
    {"kernel", MODBUS_RS485_KERNEL, "the kernel's driver switches (TIOCSRS485)"},
    {"rts-up", MODBUS_RS485_RTS_UP, "RTS is high while sending"},
    {"rts-down", MODBUS_RS485_RTS_DOWN, "RTS is low while sending"},
    {0},
};

static const struct gw_choice framings[] = {
    {"tcp", MODBUS_TCP, "Modbus TCP"},
    {"rtu", MODBUS_RTU_OVER_TCP, "RTU frames over TCP, as serial device servers pass them on"},
    {0},
};

/* What is the same on a line and behind a device server: keys of a bus from min_silence on. */
#define LINE_KEYS(where, baud_flags)                                                               \
    {.name = "baud",                                                                               \
     .type = GW_KEY_INT,                                                                           \
     .flags = baud_flags,                                                                          \
     .offset = BUS(baud),                                                                          \
     .min = 110,                                                                                   \
     .max = 4000000,                                                                               \
     .def = "9600",                                                                                \
     .unit = "baud",                                                                               \
     .help = "Speed of " where ".",                                                                \
     .example = "19200"},                                                                          \
        {.name = "parity",                                                                         \
         .type = GW_KEY_CHOICE,                                                                    \
         .offset = BUS(parity),                                                                    \
         .def = "none",                                                                            \
         .help = "Parity of " where ".",                                                           \
         .choices = parities,                                                                      \
         .example = "even"},                                                                       \
        {.name = "data_bits",                                                                      \
         .type = GW_KEY_INT,                                                                       \
         .offset = BUS(data_bits),                                                                 \
         .min = 7,                                                                                 \
         .max = 8,                                                                                 \
         .def = "8",                                                                               \
         .unit = "bits",                                                                           \
         .help = "Data bits of " where "; RTU needs 8."},                                          \
    {                                                                                              \
        .name = "stop_bits", .type = GW_KEY_INT, .offset = BUS(stop_bits), .min = 1, .max = 2,     \
        .def = "1", .unit = "bits", .help = "Stop bits of " where "."                              \
    }

#define DELAY_KEYS                                                                                 \
    {.name = "min_silence",                                                                        \
     .type = GW_KEY_DURATION,                                                                      \
     .offset = BUS(silence_us),                                                                    \
     .max = 1 * SECONDS,                                                                           \
     .help = "Silence before each request of a serial line; 3.5 characters when not given.",       \
     .example = "5ms"},                                                                            \
        {.name = "request_delay",                                                                  \
         .type = GW_KEY_DURATION,                                                                  \
         .offset = BUS(request_delay_us),                                                          \
         .max = 60 * SECONDS,                                                                      \
         .help = "Least time between two requests of the bus.",                                    \
         .example = "20ms"},                                                                       \
        {.name = "unit_change_delay",                                                              \
         .type = GW_KEY_DURATION,                                                                  \
         .offset = BUS(unit_change_delay_us),                                                      \
         .max = 60 * SECONDS,                                                                      \
         .help = "Pause before a request to another unit than the last one.",                      \
         .example = "50ms"},                                                                       \
    {                                                                                              \
        .name = "connect_delay", .type = GW_KEY_DURATION, .offset = BUS(connect_delay_us),         \
        .max = 60 * SECONDS, .help = "Pause after opening the link before the first request.",     \
        .example = "500ms"                                                                         \
    }

/* clang-format off */
const struct gw_key modbus_rtu_bus_keys[] = {
    {.name = "port", .type = GW_KEY_TEXT, .flags = GW_REQUIRED | GW_ADDRESS, .offset = BUS(port),
     .min = 1, .max = 255, .help = "Device file of the serial port; the stable names are in /dev/serial/by-id.",
     .example = "/dev/ttyUSB0"},
    LINE_KEYS("the line", GW_BAUD),
    {.name = "rs485", .type = GW_KEY_CHOICE, .offset = BUS(rs485), .def = "none",
     .help = "Who switches the RS-485 driver between sending and receiving.", .choices = rs485_modes},
    DELAY_KEYS,
    {0},
};

const struct gw_key modbus_tcp_bus_keys[] = {
    {.name = "host", .type = GW_KEY_TEXT, .flags = GW_REQUIRED | GW_ADDRESS, .offset = BUS(host),
     .min = 1, .max = 253, .help = "Name or address of the device or device server.",
     .example = "192.168.1.50"},
    {.name = "port", .type = GW_KEY_INT, .flags = GW_ADDRESS, .offset = BUS(tcp_port), .min = 1,
     .max = 65535, .def = "502", .help = "TCP port."},
    {.name = "framing", .type = GW_KEY_CHOICE, .offset = BUS(transport), .def = "tcp",
     .help = "What is inside the connection.", .choices = framings},
    LINE_KEYS("the line behind a device server (framing: rtu), to predict the time on the wire", 0),
    DELAY_KEYS,
    {0},
};

static const struct gw_choice reads_3_4[] = {
    {"3", 3, "read holding registers"}, {"4", 4, "read input registers"}, {0}};
static const struct gw_choice register_writes[] = {
    {"auto", 0, "function 6 for one register, 16 for more"},
    {"6", 6, "write single register, one after the other"},
    {"16", 16, "write multiple registers"},
    {"23", 23, "write multiple registers and read them in the same exchange"},
    {0}};
static const struct gw_choice coil_writes[] = {
    {"auto", 0, "function 5 for one coil, 15 for more"},
    {"5", 5, "write single coil, one after the other"},
    {"15", 15, "write multiple coils"},
    {0}};

const struct gw_key modbus_device_keys[] = {
    {.name = "unit", .type = GW_KEY_INT, .flags = GW_REQUIRED, .offset = DEVICE(unit), .max = 255,
     .help = "Unit id (slave address): 1-247 on a line, 0-255 over TCP.", .example = "1"},
    {.name = "max_registers", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = DEVICE(max_registers),
     .min = 1, .max = 125, .def = "125", .unit = "registers",
     .help = "A request reads at most so many registers."},
    {.name = "max_bits", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = DEVICE(max_bits), .min = 1,
     .max = 2000, .def = "2000", .unit = "bits",
     .help = "A request reads at most so many coils or discrete inputs."},
    {.name = "max_gap", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = DEVICE(max_gap), .max = 124,
     .def = "32", .unit = "registers",
     .help = "So many registers may be read for nothing between two points, where that is faster than "
             "another request; 0 for devices that refuse to read over holes."},
    {.name = "max_gap_bits", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = DEVICE(max_gap_bits),
     .max = 1999, .def = "128", .unit = "bits", .help = "The same for coils and discrete inputs."},
    {.name = "turnaround", .type = GW_KEY_DURATION, .flags = GW_INHERIT, .offset = DEVICE(turnaround_us),
     .max = 10 * SECONDS,
     .help = "What the device takes to answer, for planning; 5 ms on a line and 2 ms over TCP when not given.",
     .example = "20ms"},
    {.name = "request_delay", .type = GW_KEY_DURATION, .offset = DEVICE(request_delay_us),
     .max = 60 * SECONDS, .help = "Pause before each request to this device.", .example = "20ms"},
    {.name = "read_holding_with", .type = GW_KEY_CHOICE, .flags = GW_INHERIT,
     .offset = DEVICE(read_function_holding), .def = "3", .help = "Function that reads holding registers.",
     .choices = reads_3_4},
    {.name = "read_input_with", .type = GW_KEY_CHOICE, .flags = GW_INHERIT,
     .offset = DEVICE(read_function_input), .def = "4", .help = "Function that reads input registers.",
     .choices = reads_3_4},
    {.name = "write_registers_with", .type = GW_KEY_CHOICE, .flags = GW_INHERIT,
     .offset = DEVICE(write_registers), .def = "auto", .help = "Function that writes holding registers.",
     .choices = register_writes},
    {.name = "write_coils_with", .type = GW_KEY_CHOICE, .flags = GW_INHERIT, .offset = DEVICE(write_coils),
     .def = "auto", .help = "Function that writes coils.", .choices = coil_writes},
    {.name = "mask_write", .type = GW_KEY_BOOL, .flags = GW_INHERIT, .offset = DEVICE(mask_write),
     .help = "The device knows function 22: bits of a register are written without reading it first."},
    {.name = "coil_block", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = DEVICE(coil_block), .min = 1,
     .max = 65536, .def = "1", .unit = "bits",
     .help = "Reads of coils and discrete inputs begin at a multiple of it, for devices that want that."},
    {0},
};
/* clang-format on */

static const struct gw_choice orders[] = {
    {"ABCD", MODBUS_ABCD, "most significant word and byte first, the standard's"},
    {"CDAB", MODBUS_CDAB, "least significant word first"},
    {"BADC", MODBUS_BADC, "bytes swapped in each register"},
    {"DCBA", MODBUS_DCBA, "all bytes reversed"},
    {"ABCDEFGH", MODBUS_ABCD, "ABCD of 64 bits"},
    {"GHEFCDAB", MODBUS_CDAB, "CDAB of 64 bits"},
    {"BADCFEHG", MODBUS_BADC, "BADC of 64 bits"},
    {"HGFEDCBA", MODBUS_DCBA, "DCBA of 64 bits"},
    {"AB", MODBUS_ABCD, "ABCD of one register"},
    {"BA", MODBUS_BADC, "BADC of one register"},
    {0},
};

static const struct gw_choice string_orders[] = {
    {"AB", MODBUS_ABCD, "first character in the high byte"},
    {"BA", MODBUS_BADC, "first character in the low byte"},
    {0},
};

static const struct gw_choice sentinel_sets[] = {
    {"none", MODBUS_NO_SENTINELS, "every raw value is a value"},
    {"sunspec", MODBUS_SENTINELS_SUNSPEC, "0x8000, 0xFFFF and so on, as SunSpec has them"},
    {"abb", MODBUS_SENTINELS_ABB, "0x7FFF signed, 0xFFFF unsigned (ABB A and B meters)"},
    {"sma", MODBUS_SENTINELS_SMA, "0x8000 and 0x7FFF signed, 0xFFFF unsigned"},
    {0},
};

static const struct gw_choice scale_kinds[] = {
    {"sunssf", MODBUS_SCALE_SUNSSF, "x 10^n, n signed, as SunSpec has it"},
    {"decimals", MODBUS_SCALE_DECIMALS, "n decimals: x 10^-n"},
    {"decimals-high", MODBUS_SCALE_DECIMALS_HIGH, "decimals in the high byte of the register"},
    {"decimals-low", MODBUS_SCALE_DECIMALS_LOW, "decimals in the low byte of the register"},
    {0},
};

static const struct gw_choice numberings[] = {
    {"wire", MODBUS_NUMBERING_WIRE, "holding:100 only: addresses as on the wire, from 0"},
    {"modicon", MODBUS_NUMBERING_MODICON, "also 40101 and 400101 for holding:100"},
    {0},
};

/* clang-format off */
const struct gw_key modbus_point_keys[] = {
    {.name = "register", .type = GW_KEY_PARSED, .flags = GW_REQUIRED, .offset = POINT(address),
     .help = "Where the value begins: holding:100 or hr100, input:0x10 or ir16, coil:3 or co3, discrete:12 or "
             "di12; addresses from 0, as on the wire. raw:42 is no register but a request, its bytes from the "
             "function on, without unit and checksum: it is sent when true is written, with access: w.",
     .parse = modbus_parse_place, .pattern = modbus_place_pattern, .example = "holding:100"},
    {.name = "reply", .type = GW_KEY_PARSED, .offset = POINT(reply),
     .help = "The bytes that confirm a raw request; when not given, the same as its own.",
     .parse = modbus_parse_bytes, .pattern = modbus_bytes_pattern, .example = "raw:42 00"},
    {.name = "type", .type = GW_KEY_PARSED, .flags = GW_INHERIT, .offset = POINT(type),
     .help = "What is there: bool, int8h int8l uint8h uint8l (a byte of a register), int16 to uint64, float16 to "
             "float64, enum16, bitfield32, acc32, sunssf, bits[shift:width], bits32[shift:width], bcd16, mod10k[n], "
             "signmag16, pf4q, string[n], string_low[n], string_high[n], raw[n], ipv4, ipv6, eui48, "
             "datetime_iec870_4, datetime_words4, datetime_bytes, unix, hhmm, version_nibbles. Coils and discrete "
             "inputs are bool, registers uint16 when not given.",
     .parse = modbus_parse_type, .pattern = modbus_type_pattern, .example = "float32"},
    {.name = "order", .type = GW_KEY_CHOICE, .flags = GW_INHERIT, .offset = POINT(order), .def = "ABCD",
     .help = "Order of the bytes of a number in its registers, A the most significant.", .choices = orders,
     .example = "CDAB"},
    {.name = "string_order", .type = GW_KEY_CHOICE, .flags = GW_INHERIT, .offset = POINT(string_order),
     .def = "AB", .help = "Order of the bytes of texts and network addresses.", .choices = string_orders},
    {.name = "sentinels", .type = GW_KEY_CHOICE, .flags = GW_INHERIT, .offset = POINT(sentinels),
     .def = "none", .help = "Raw values by which the device says that it has no value.",
     .choices = sentinel_sets, .example = "sunspec"},
    {.name = "numbering", .type = GW_KEY_CHOICE, .flags = GW_INHERIT, .offset = POINT(numbering),
     .def = "wire", .help = "Whether registers may be written as 40001.", .choices = numberings},
    {.name = "low_register", .type = GW_KEY_PARSED, .offset = POINT(low_part),
     .help = "Where the less significant half of the value is, when it does not follow the first half.",
     .parse = modbus_parse_register, .pattern = modbus_register_pattern, .example = "holding:78"},
    {.name = "scale_register", .type = GW_KEY_PARSED, .offset = POINT(scale_register),
     .help = "Register with the power of ten of the value; read together with it when both fit in one request.",
     .parse = modbus_parse_register, .pattern = modbus_register_pattern, .example = "holding:40075"},
    {.name = "scale_kind", .type = GW_KEY_CHOICE, .flags = GW_INHERIT, .offset = POINT(scale_kind),
     .def = "sunssf", .help = "What the scale register holds.", .choices = scale_kinds},
    {.name = "write_register", .type = GW_KEY_PARSED, .offset = POINT(write_address),
     .help = "Where the value is written, when not where it is read.", .parse = modbus_parse_register,
     .pattern = modbus_register_pattern, .example = "holding:200"},
    {.name = "on_value", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = POINT(on_value), .max = 65535,
     .def = "0xFF00", .help = "Value that function 5 sends for true; relay boards take others too.",
     .example = "0x5500"},
    {.name = "off_value", .type = GW_KEY_INT, .flags = GW_INHERIT, .offset = POINT(off_value), .max = 65535,
     .def = "0", .help = "Value that function 5 sends for false."},
    {.name = "alone", .type = GW_KEY_BOOL, .flags = GW_INHERIT, .offset = POINT(read_alone),
     .help = "Read and write this point in requests of its own."},
    {0},
};
/* clang-format on */
