/* Registers to values and back. Expected values are those of the facts: device manuals, SunSpec, field drivers. */
#include "tests/unit/modbus_conf.h"

#include <math.h>

#include "tests/unit/values.h"

enum way {
    BOTH_WAYS,
    NOT_BACK,    /* other registers mean the same, so that encoding does not give these back */
    DECODE_ONLY, /* the text is longer in UTF-8, which is what encoding writes */
};

struct vector {
    const char *name;
    const char *type;
    int order, string_order, sentinels;
    uint16_t regs[8];
    struct gw_value value; /* GW_NONE: bad, with reason */
    const char *reason;
    enum way way;
};

#define NO_ORDER MODBUS_ABCD, MODBUS_ABCD, MODBUS_NO_SENTINELS
#define ORDER(o) o, MODBUS_ABCD, MODBUS_NO_SENTINELS
#define SWAPPED  MODBUS_ABCD, MODBUS_BADC, MODBUS_NO_SENTINELS
#define SET(s)   MODBUS_ABCD, MODBUS_ABCD, s
#define SUNSPEC  SET(MODBUS_SENTINELS_SUNSPEC)
#define ABB      SET(MODBUS_SENTINELS_ABB)
#define SMA      SET(MODBUS_SENTINELS_SMA)

static const struct vector vectors[] = {
    {"float32 ABCD", "float32", NO_ORDER, {0x42F6, 0xE979}, F32_(123.456f), NULL, BOTH_WAYS},
    {"float32 CDAB",
     "float32",
     ORDER(MODBUS_CDAB),
     {0xE979, 0x42F6},
     F32_(123.456f),
     NULL,
     BOTH_WAYS},
    {"float32 BADC",
     "float32",
     ORDER(MODBUS_BADC),
     {0xF642, 0x79E9},
     F32_(123.456f),
     NULL,
     BOTH_WAYS},
    {"float32 DCBA",
     "float32",
     ORDER(MODBUS_DCBA),
     {0x79E9, 0xF642},
     F32_(123.456f),
     NULL,
     BOTH_WAYS},
    {"float32 230.5", "float32", NO_ORDER, {0x4366, 0x8000}, F32_(230.5f), NULL, BOTH_WAYS},
    {"float32 NaN", "float32", NO_ORDER, {0x7FC0, 0x0000}, NONE_, "not_a_number", BOTH_WAYS},
    {"float32 NaN, Schneider",
     "float32",
     NO_ORDER,
     {0xFFC0, 0x0000},
     NONE_,
     "not_a_number",
     BOTH_WAYS},
    {"float32 NaN, Fronius",
     "float32",
     NO_ORDER,
     {0x7FBF, 0xFF80},
     NONE_,
     "not_a_number",
     BOTH_WAYS},
    {"float32 infinity", "float32", NO_ORDER, {0x7F80, 0x0000}, NONE_, "not_a_number", BOTH_WAYS},
    {"float32 minus infinity",
     "float32",
     NO_ORDER,
     {0xFF80, 0x0000},
     NONE_,
     "not_a_number",
     BOTH_WAYS},
    {"int32 ABCD", "int32", NO_ORDER, {0xF8A4, 0x32EB}, INT_(-123456789), NULL, BOTH_WAYS},
    {"int32 CDAB",
     "int32",
     ORDER(MODBUS_CDAB),
     {0x32EB, 0xF8A4},
     INT_(-123456789),
     NULL,
     BOTH_WAYS},
    {"em340: int32 CDAB, export power",
     "int32",
     ORDER(MODBUS_CDAB),
     {0xCFC7, 0xFFFF},
     INT_(-12345),
     NULL,
     BOTH_WAYS},
    {"float64",
     "float64",
     NO_ORDER,
     {0x4093, 0x4A45, 0x6D5C, 0xFAAD},
     F64_(1234.5678),
     NULL,
     BOTH_WAYS},
    {"float64 words reversed",
     "float64",
     ORDER(MODBUS_CDAB),
     {0xFAAD, 0x6D5C, 0x4A45, 0x4093},
     F64_(1234.5678),
     NULL,
     BOTH_WAYS},
    {"float64 bytes swapped",
     "float64",
     ORDER(MODBUS_BADC),
     {0x9340, 0x454A, 0x5C6D, 0xADFA},
     F64_(1234.5678),
     NULL,
     BOTH_WAYS},
    {"float64 all bytes reversed",
     "float64",
     ORDER(MODBUS_DCBA),
     {0xADFA, 0x5C6D, 0x454A, 0x9340},
     F64_(1234.5678),
     NULL,
     BOTH_WAYS},
    {"float64 NaN", "float64", NO_ORDER, {0x7FF8, 0, 0, 0}, NONE_, "not_a_number", BOTH_WAYS},
    {"uint64",
     "uint64",
     NO_ORDER,
     {0x0000, 0x0002, 0xDFDC, 0x1C35},
     UINT_(12345678901),
     NULL,
     BOTH_WAYS},
    {"uint64 beyond a double",
     "uint64",
     NO_ORDER,
     {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE},
     UINT_(18446744073709551614u),
     NULL,
     BOTH_WAYS},
    {"int64 beyond a double",
     "int64",
     NO_ORDER,
     {0x0020, 0x0000, 0x0000, 0x0001},
     INT_(9007199254740993),
     NULL,
     BOTH_WAYS},
    {"int64 least", "int64", NO_ORDER, {0x8000, 0, 0, 0}, INT_(INT64_MIN), NULL, BOTH_WAYS},
    {"float16 1.5", "float16", NO_ORDER, {0x3E00}, F32_(1.5f), NULL, BOTH_WAYS},
    {"float16 -2", "float16", NO_ORDER, {0xC000}, F32_(-2.0f), NULL, BOTH_WAYS},
    {"float16 smallest", "float16", NO_ORDER, {0x0001}, F32_(0x1p-24f), NULL, BOTH_WAYS},
    {"float16 greatest", "float16", NO_ORDER, {0x7BFF}, F32_(65504.0f), NULL, BOTH_WAYS},
    {"float16 infinity", "float16", NO_ORDER, {0x7C00}, NONE_, "not_a_number", BOTH_WAYS},
    {"float16 NaN", "float16", NO_ORDER, {0x7E00}, NONE_, "not_a_number", BOTH_WAYS},
    {"xy-md02: int16 30.5 degrees", "int16", NO_ORDER, {0x0131}, INT_(305), NULL, BOTH_WAYS},
    {"xy-md02: int16 -20.5 degrees", "int16", NO_ORDER, {0xFF33}, INT_(-205), NULL, BOTH_WAYS},
    {"xy-md02: uint16 54.6 %", "uint16", NO_ORDER, {0x0222}, UINT_(546), NULL, BOTH_WAYS},
    {"int16 byte-swapped", "int16", ORDER(MODBUS_BADC), {0x33FF}, INT_(-205), NULL, BOTH_WAYS},
    {"int8h", "int8h", NO_ORDER, {0xFB7F}, INT_(-5), NULL, NOT_BACK},
    {"int8l", "int8l", NO_ORDER, {0xFB7F}, INT_(127), NULL, NOT_BACK},
    {"uint8h", "uint8h", NO_ORDER, {0xFB7F}, UINT_(0xFB), NULL, NOT_BACK},
    {"uint8l", "uint8l", NO_ORDER, {0xFB80}, UINT_(0x80), NULL, NOT_BACK},
    {"int24", "int24", NO_ORDER, {0x00FF, 0xFFFE}, INT_(-2), NULL, BOTH_WAYS},
    {"uint24 ignores the highest byte",
     "uint24",
     NO_ORDER,
     {0x7712, 0x3456},
     UINT_(0x123456),
     NULL,
     NOT_BACK},
    {"int48", "int48", NO_ORDER, {0xFFFF, 0xFFFF, 0xFFFB}, INT_(-5), NULL, BOTH_WAYS},
    {"uint48", "uint48", NO_ORDER, {0x0001, 0x0000, 0x0000}, UINT_(4294967296), NULL, BOTH_WAYS},
    {"pzem: uint32 CDAB",
     "uint32",
     ORDER(MODBUS_CDAB),
     {0x1234, 0x0001},
     UINT_(0x11234),
     NULL,
     BOTH_WAYS},
    {"BCD16", "bcd16", NO_ORDER, {0x1234}, UINT_(1234), NULL, BOTH_WAYS},
    {"BCD32", "bcd32", NO_ORDER, {0x0012, 0x3456}, UINT_(123456), NULL, BOTH_WAYS},
    {"BCD64",
     "bcd64",
     NO_ORDER,
     {0x9999, 0x9999, 0x9999, 0x9999},
     UINT_(9999999999999999),
     NULL,
     BOTH_WAYS},
    {"BCD16 nibble of A", "bcd16", NO_ORDER, {0x12A4}, NONE_, "bad_bcd", BOTH_WAYS},
    {"BCD32 highest nibble of F", "bcd32", NO_ORDER, {0xF012, 0x3456}, NONE_, "bad_bcd", BOTH_WAYS},
    {"pm800: mod10k[4] least word first",
     "mod10k[4]",
     ORDER(MODBUS_CDAB),
     {4567, 123, 0, 0},
     INT_(1234567),
     NULL,
     BOTH_WAYS},
    {"mod10k[2] high word first",
     "mod10k[2]",
     NO_ORDER,
     {123, 4567},
     INT_(1234567),
     NULL,
     BOTH_WAYS},
    {"mod10k[2] low word first (2143)",
     "mod10k[2]",
     ORDER(MODBUS_CDAB),
     {4567, 123},
     INT_(1234567),
     NULL,
     BOTH_WAYS},
    {"mod10k signed",
     "mod10k[4]",
     ORDER(MODBUS_CDAB),
     {0xEE29, 0xFF85, 0, 0},
     INT_(-1234567),
     NULL,
     BOTH_WAYS},
    {"mod10k greatest",
     "mod10k[4]",
     NO_ORDER,
     {9999, 9999, 9999, 9999},
     INT_(9999999999999999),
     NULL,
     BOTH_WAYS},
    {"mod10k digit of 10000",
     "mod10k[4]",
     NO_ORDER,
     {0, 0, 10000, 0},
     NONE_,
     "bad_digits",
     BOTH_WAYS},
    {"mod10k digit of -10000",
     "mod10k[4]",
     NO_ORDER,
     {0, 0, 0xD8F0, 0},
     NONE_,
     "bad_digits",
     BOTH_WAYS},
    {"cm4000: sign-magnitude -0.996", "signmag16", NO_ORDER, {0x83E4}, INT_(-996), NULL, BOTH_WAYS},
    {"pm750: sign-magnitude -0.974", "signmag16", NO_ORDER, {0x83CE}, INT_(-974), NULL, BOTH_WAYS},
    {"sign-magnitude -5", "signmag16", NO_ORDER, {0x8005}, INT_(-5), NULL, BOTH_WAYS},
    {"sign-magnitude 5", "signmag16", NO_ORDER, {0x0005}, INT_(5), NULL, BOTH_WAYS},
    {"sign-magnitude minus zero", "signmag16", NO_ORDER, {0x8000}, INT_(0), NULL, NOT_BACK},
    {"sign-magnitude of 32 bits",
     "signmag32",
     NO_ORDER,
     {0x8001, 0x0000},
     INT_(-65536),
     NULL,
     BOTH_WAYS},
    {"pf4q 1.05", "pf4q", NO_ORDER, {0x3F86, 0x6666}, F32_(0.95f), NULL, NOT_BACK},
    {"pf4q -1.05", "pf4q", NO_ORDER, {0xBF86, 0x6666}, F32_(-0.95f), NULL, NOT_BACK},
    {"pf4q 0.97", "pf4q", NO_ORDER, {0x3F78, 0x51EC}, F32_(0.97f), NULL, BOTH_WAYS},
    {"pf4q -0.97", "pf4q", NO_ORDER, {0xBF78, 0x51EC}, F32_(-0.97f), NULL, BOTH_WAYS},
    {"pf4q 1", "pf4q", NO_ORDER, {0x3F80, 0x0000}, F32_(1.0f), NULL, BOTH_WAYS},
    {"pf4q 2", "pf4q", NO_ORDER, {0x4000, 0x0000}, F32_(0.0f), NULL, NOT_BACK},
    {"pf4q NaN", "pf4q", NO_ORDER, {0x7FC0, 0x0000}, NONE_, "not_a_number", BOTH_WAYS},
    {"pf4q infinity", "pf4q", NO_ORDER, {0x7F80, 0x0000}, NONE_, "not_a_number", BOTH_WAYS},
    {"pf4q beyond 2", "pf4q", NO_ORDER, {0x4000, 0x0001}, NONE_, "bad_power_factor", BOTH_WAYS},
    {"string", "string[2]", NO_ORDER, {0x4142, 0x4300}, TEXT_("ABC"), NULL, BOTH_WAYS},
    {"string, bytes swapped",
     "string[2]",
     SWAPPED,
     {0x4241, 0x0043},
     TEXT_("ABC"),
     NULL,
     BOTH_WAYS},
    {"string does not follow order",
     "string[2]",
     ORDER(MODBUS_CDAB),
     {0x4142, 0x4300},
     TEXT_("ABC"),
     NULL,
     BOTH_WAYS},
    {"string, low bytes",
     "string_low[2]",
     NO_ORDER,
     {0x0041, 0x0042},
     TEXT_("AB"),
     NULL,
     BOTH_WAYS},
    {"string, high bytes",
     "string_high[2]",
     NO_ORDER,
     {0x4100, 0x4200},
     TEXT_("AB"),
     NULL,
     BOTH_WAYS},
    {"string ends at FF", "string[2]", NO_ORDER, {0x41FF, 0x4243}, TEXT_("A"), NULL, NOT_BACK},
    {"string without trailing spaces",
     "string[3]",
     NO_ORDER,
     {0x2041, 0x2042, 0x2020},
     TEXT_(" A B"),
     NULL,
     NOT_BACK},
    {"string of spaces", "string[1]", NO_ORDER, {0x2020}, TEXT_(""), NULL, NOT_BACK},
    {"string in UTF-8",
     "string[2]",
     NO_ORDER,
     {0x43C2, 0xB043},
     TEXT_("C\u00B0C"),
     NULL,
     BOTH_WAYS},
    {"string in Latin-1",
     "string[2]",
     NO_ORDER,
     {0x43B0, 0x43E9},
     TEXT_("C\u00B0C\u00E9"),
     NULL,
     DECODE_ONLY},
    {"string with control characters",
     "string[3]",
     NO_ORDER,
     {0x4109, 0x1B42, 0x7F43},
     TEXT_("A??B?C"),
     NULL,
     NOT_BACK},
    {"string with Latin-1 control character",
     "string[1]",
     NO_ORDER,
     {0x4185},
     TEXT_("A?"),
     NULL,
     NOT_BACK},
    {"string with UTF-8 control character",
     "string[2]",
     NO_ORDER,
     {0xC285, 0x4100},
     TEXT_("?A"),
     NULL,
     NOT_BACK},
    {"string with overlong UTF-8",
     "string[1]",
     NO_ORDER,
     {0xC0AF},
     TEXT_("\u00C0\u00AF"),
     NULL,
     DECODE_ONLY},
    {"raw", "raw[2]", NO_ORDER, {0x00FF, 0xA5B6}, TEXT_("00FFA5B6"), NULL, BOTH_WAYS},
    {"raw does not follow order",
     "raw[2]",
     ORDER(MODBUS_DCBA),
     {0x00FF, 0xA5B6},
     TEXT_("00FFA5B6"),
     NULL,
     BOTH_WAYS},
    {"meanwell: bits[1:3]", "bits[1:3]", NO_ORDER, {0x0008}, UINT_(4), NULL, BOTH_WAYS},
    {"danfoss: bits[9:1] set", "bits[9:1]", NO_ORDER, {0x0200}, BOOL_(true), NULL, BOTH_WAYS},
    {"danfoss: bits[9:1] clear", "bits[9:1]", NO_ORDER, {0xFDFF}, BOOL_(false), NULL, NOT_BACK},
    {"danfoss: bits[11:1] set", "bits[11:1]", NO_ORDER, {0x0F07}, BOOL_(true), NULL, NOT_BACK},
    {"danfoss: bits[15:1] set", "bits[15:1]", NO_ORDER, {0x8000}, BOOL_(true), NULL, BOTH_WAYS},
    {"bits[0:16]", "bits[0:16]", NO_ORDER, {0xFFFF}, UINT_(0xFFFF), NULL, BOTH_WAYS},
    {"bits32 in the high word",
     "bits32[16:4]",
     NO_ORDER,
     {0x0009, 0x0000},
     UINT_(9),
     NULL,
     BOTH_WAYS},
    {"bits32 with the words reversed",
     "bits32[16:4]",
     ORDER(MODBUS_CDAB),
     {0x0000, 0x0009},
     UINT_(9),
     NULL,
     BOTH_WAYS},
    {"bits32 across the words",
     "bits32[12:8]",
     NO_ORDER,
     {0x000A, 0xB000},
     UINT_(0xAB),
     NULL,
     BOTH_WAYS},
    {"bool in a register", "bool", NO_ORDER, {0x0100}, BOOL_(true), NULL, NOT_BACK},
    {"bool in a register, 0", "bool", NO_ORDER, {0x0000}, BOOL_(false), NULL, BOTH_WAYS},
    {"IPv4", "ipv4", NO_ORDER, {0xC0A8, 0x0132}, TEXT_("192.168.1.50"), NULL, BOTH_WAYS},
    {"IPv6",
     "ipv6",
     NO_ORDER,
     {0x2001, 0x0DB8, 0, 0, 0, 0, 0, 1},
     TEXT_("2001:db8::1"),
     NULL,
     BOTH_WAYS},
    {"EUI48 in the last 6 of 8 bytes",
     "eui48",
     NO_ORDER,
     {0x0000, 0x0014, 0xA5FF, 0x0B2C},
     TEXT_("00:14:A5:FF:0B:2C"),
     NULL,
     BOTH_WAYS},
    {"IEC 870-5-4",
     "datetime_iec870_4",
     NO_ORDER,
     {0x001A, 0x0B18, 0x0A05, 0x3039},
     TEXT_("2026-11-24T10:05:12.345"),
     NULL,
     BOTH_WAYS},
    {"IEC 870-5-4, summer time and day of the week",
     "datetime_iec870_4",
     NO_ORDER,
     {0x001A, 0x0B58, 0x8A05, 0x3039},
     TEXT_("2026-11-24T10:05:12.345"),
     NULL,
     NOT_BACK},
    {"IEC 870-5-4, invalid",
     "datetime_iec870_4",
     NO_ORDER,
     {0x001A, 0x0B18, 0x0A85, 0x3039},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"IEC 870-5-4, month 0",
     "datetime_iec870_4",
     NO_ORDER,
     {0x001A, 0x0018, 0x0A05, 0x3039},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"IEC 870-5-4, 31 November",
     "datetime_iec870_4",
     NO_ORDER,
     {0x001A, 0x0B1F, 0x0A05, 0x3039},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"IEC 870-5-4, a minute of 60 s",
     "datetime_iec870_4",
     NO_ORDER,
     {0x001A, 0x0B18, 0x0A05, 0xEA60},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"pm5100: datetime_words4",
     "datetime_words4",
     NO_ORDER,
     {2026, 0x0B18, 0x0A05, 12345},
     TEXT_("2026-11-24T10:05:12.345"),
     NULL,
     BOTH_WAYS},
    {"datetime_words4, month 13",
     "datetime_words4",
     NO_ORDER,
     {2026, 0x0D18, 0x0A05, 0},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"datetime_words4, hour 24",
     "datetime_words4",
     NO_ORDER,
     {2026, 0x0B18, 0x1805, 0},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"datetime_words4, 29 February of a leap year",
     "datetime_words4",
     NO_ORDER,
     {2028, 0x021D, 0, 0},
     TEXT_("2028-02-29T00:00:00.000"),
     NULL,
     BOTH_WAYS},
    {"datetime_words4, 29 February of another",
     "datetime_words4",
     NO_ORDER,
     {2026, 0x021D, 0, 0},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"deye: datetime_bytes",
     "datetime_bytes",
     NO_ORDER,
     {0x1A0B, 0x180A, 0x050C},
     TEXT_("2026-11-24T10:05:12"),
     NULL,
     BOTH_WAYS},
    {"datetime_bytes, day 0",
     "datetime_bytes",
     NO_ORDER,
     {0x1A0B, 0x000A, 0x050C},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"datetime_bytes, second 60",
     "datetime_bytes",
     NO_ORDER,
     {0x1A0B, 0x180A, 0x053C},
     NONE_,
     "bad_time",
     BOTH_WAYS},
    {"deye: hhmm 22:00", "hhmm", NO_ORDER, {2200}, TEXT_("22:00"), NULL, BOTH_WAYS},
    {"deye: hhmm 04:00", "hhmm", NO_ORDER, {400}, TEXT_("04:00"), NULL, BOTH_WAYS},
    {"hhmm, minute 60", "hhmm", NO_ORDER, {460}, NONE_, "bad_time", BOTH_WAYS},
    {"hhmm, hour 24", "hhmm", NO_ORDER, {2400}, NONE_, "bad_time", BOTH_WAYS},
    {"version_nibbles", "version_nibbles", NO_ORDER, {0x1234}, TEXT_("1.2.3.4"), NULL, BOTH_WAYS},
    {"unix", "unix", NO_ORDER, {0x6B05, 0x6158}, TEXT_("2026-11-24T10:05:12Z"), NULL, BOTH_WAYS},
    {"unix, words reversed",
     "unix",
     ORDER(MODBUS_CDAB),
     {0x6158, 0x6B05},
     TEXT_("2026-11-24T10:05:12Z"),
     NULL,
     BOTH_WAYS},
    {"eastron: an enumeration in a float",
     "float32",
     NO_ORDER,
     {0x4000, 0x0000},
     F32_(2.0f),
     NULL,
     BOTH_WAYS},
    {"victron: consumed ampere-hours", "uint16", NO_ORDER, {55}, UINT_(55), NULL, BOTH_WAYS},
    {"victron: power", "int16", NO_ORDER, {150}, INT_(150), NULL, BOTH_WAYS},
    {"deye: temperature", "uint16", NO_ORDER, {1250}, UINT_(1250), NULL, BOTH_WAYS},
    {"pzem: alarm", "enum16", NO_ORDER, {0xFFFF}, UINT_(0xFFFF), NULL, BOTH_WAYS},
    {"em24: int32 in the wrong order is another number",
     "int32",
     NO_ORDER,
     {0xCFC7, 0xFFFF},
     INT_(-808976385),
     NULL,
     BOTH_WAYS},

    {"sunspec int16", "int16", SUNSPEC, {0x8000}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec int16 0x7FFF is a value", "int16", SUNSPEC, {0x7FFF}, INT_(32767), NULL, BOTH_WAYS},
    {"sunspec uint16", "uint16", SUNSPEC, {0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec uint16 0x8000 is a value",
     "uint16",
     SUNSPEC,
     {0x8000},
     UINT_(0x8000),
     NULL,
     BOTH_WAYS},
    {"sunspec int32", "int32", SUNSPEC, {0x8000, 0x0000}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec uint32", "uint32", SUNSPEC, {0xFFFF, 0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec int64", "int64", SUNSPEC, {0x8000, 0, 0, 0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec uint64",
     "uint64",
     SUNSPEC,
     {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sunspec acc16", "acc16", SUNSPEC, {0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec acc32", "acc32", SUNSPEC, {0, 0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec acc32 of all ones is a value",
     "acc32",
     SUNSPEC,
     {0xFFFF, 0xFFFF},
     UINT_(0xFFFFFFFF),
     NULL,
     BOTH_WAYS},
    {"sunspec acc64", "acc64", SUNSPEC, {0, 0, 0, 0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec enum16", "enum16", SUNSPEC, {0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec enum32", "enum32", SUNSPEC, {0xFFFF, 0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec bitfield16", "bitfield16", SUNSPEC, {0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec bitfield32",
     "bitfield32",
     SUNSPEC,
     {0xFFFF, 0xFFFF},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sunspec bitfield32 with the top bit",
     "bitfield32",
     SUNSPEC,
     {0x8000, 0x0001},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sunspec bitfield32 without it",
     "bitfield32",
     SUNSPEC,
     {0x7FFF, 0xFFFF},
     UINT_(0x7FFFFFFF),
     NULL,
     BOTH_WAYS},
    {"sunspec bit of a missing bitfield",
     "bits[3:1]",
     SUNSPEC,
     {0xFFFF},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sunspec float32", "float32", SUNSPEC, {0x7FC0, 0x0000}, NONE_, "not_a_number", BOTH_WAYS},
    {"sunspec ipv4", "ipv4", SUNSPEC, {0, 0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec ipv6", "ipv6", SUNSPEC, {0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec string", "string[4]", SUNSPEC, {0}, NONE_, "not_available", BOTH_WAYS},
    {"sunspec eui48",
     "eui48",
     SUNSPEC,
     {0x0000, 0xFFFF, 0xFFFF, 0xFFFF},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sunssf, whatever the set", "sunssf", NO_ORDER, {0x8000}, NONE_, "not_available", BOTH_WAYS},
    {"sunssf -2", "sunssf", NO_ORDER, {0xFFFE}, INT_(-2), NULL, BOTH_WAYS},
    {"abb int16", "int16", ABB, {0x7FFF}, NONE_, "not_available", BOTH_WAYS},
    {"abb int16 0x8000 is a value", "int16", ABB, {0x8000}, INT_(-32768), NULL, BOTH_WAYS},
    {"abb uint16", "uint16", ABB, {0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"b23: int32 power", "int32", ABB, {0x7FFF, 0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"abb uint32", "uint32", ABB, {0xFFFF, 0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"abb uint64",
     "uint64",
     ABB,
     {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sma int16 0x8000", "int16", SMA, {0x8000}, NONE_, "not_available", BOTH_WAYS},
    {"sma int16 0x7FFF", "int16", SMA, {0x7FFF}, NONE_, "not_available", BOTH_WAYS},
    {"sma uint16", "uint16", SMA, {0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sma int32 0x80000000", "int32", SMA, {0x8000, 0x0000}, NONE_, "not_available", BOTH_WAYS},
    {"sma int32 0x7FFFFFFF", "int32", SMA, {0x7FFF, 0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sma uint32", "uint32", SMA, {0xFFFF, 0xFFFF}, NONE_, "not_available", BOTH_WAYS},
    {"sma uint64",
     "uint64",
     SMA,
     {0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"sma float32, words reversed",
     "float32",
     MODBUS_CDAB,
     MODBUS_ABCD,
     MODBUS_SENTINELS_SMA,
     {0xFFFF, 0xFF7F},
     NONE_,
     "not_available",
     BOTH_WAYS},
    {"without sentinels 0xFFFF is a value",
     "uint16",
     NO_ORDER,
     {0xFFFF},
     UINT_(65535),
     NULL,
     BOTH_WAYS},
    {"sentinels are looked for in the right order",
     "uint32",
     MODBUS_CDAB,
     MODBUS_ABCD,
     MODBUS_SENTINELS_SUNSPEC,
     {0xFFFF, 0xFFFE},
     UINT_(0xFFFEFFFF),
     NULL,
     BOTH_WAYS},
};

static struct modbus_point_conf point_of(const struct vector *row)
{
    struct modbus_point_conf point = make_point("holding:0", row->type);

    point.order = row->order;
    point.string_order = row->string_order;
    point.sentinels = row->sentinels;
    return point;
}

static void assert_value(const struct gw_value *value, const struct gw_value *expected)
{
    assert_int_equal(value->kind, expected->kind);
    switch (expected->kind) {
    case GW_BOOL:
        assert_int_equal(value->b, expected->b);
        break;
    case GW_FLOAT32:
        assert_memory_equal(&value->f32, &expected->f32, sizeof value->f32);
        break;
    case GW_FLOAT64:
        assert_memory_equal(&value->f64, &expected->f64, sizeof value->f64);
        break;
    case GW_TEXT:
        assert_int_equal(value->text.len, expected->text.len);
        assert_memory_equal(value->text.p, expected->text.p, expected->text.len);
        break;
    default:
        assert_true(value->u == expected->u);
    }
}

static void decodes(void **state)
{
    const struct vector *row = *state;
    struct modbus_point_conf point = point_of(row);
    char text[MODBUS_TEXT_MAX];
    struct gw_result result;

    modbus_decode(&point, row->regs, text, &result);

    if (row->reason) {
        assert_int_equal(result.err, GW_E_PROTO);
        assert_string_equal(result.reason, row->reason);
        assert_int_equal(result.value.kind, GW_NONE);
    } else {
        assert_int_equal(result.err, GW_OK);
        assert_null(result.reason);
        assert_value(&result.value, &row->value);
    }
}

static void encodes(void **state)
{
    const struct vector *row = *state;
    struct modbus_point_conf point = point_of(row);
    uint16_t regs[MODBUS_REGS_MAX], mask;
    char text[MODBUS_TEXT_MAX];
    struct gw_result result;

    if (row->reason || row->way == DECODE_ONLY)
        return;
    assert_int_equal(modbus_encode(&point, &row->value, regs, &mask), GW_OK);
    modbus_decode(&point, regs, text, &result);
    assert_int_equal(result.err, GW_OK);
    assert_value(&result.value, &row->value);
    if (row->way == BOTH_WAYS)
        assert_memory_equal(regs, row->regs, point.type.n_regs * sizeof *regs);
}

/* ---- what a point cannot hold ---- */

static const struct limit {
    const char *name;
    const char *type;
    struct gw_value value;
} too_much[] = {
    {"int16 32768", "int16", INT_(32768)},
    {"int16 -32769", "int16", INT_(-32769)},
    {"uint16 -1", "uint16", INT_(-1)},
    {"uint16 65536", "uint16", UINT_(65536)},
    {"int8h 128", "int8h", INT_(128)},
    {"int24 8388608", "int24", INT_(8388608)},
    {"uint32 2^32", "uint32", UINT_(4294967296)},
    {"int64 2^63", "int64", UINT_(9223372036854775808u)},
    {"uint64 2^64", "uint64", F64_(18446744073709551616.0)},
    {"uint16 of a fraction", "uint16", F64_(1.5)},
    {"uint16 of a decimal fraction", "uint16", DEC_(15, -1)},
    {"uint64 of a decimal beyond it", "uint64", DEC_(2, 19)},
    {"uint16 of NaN", "uint16", F64_((double)NAN)},
    {"uint16 of a text", "uint16", TEXT_("1")},
    {"bool 2", "bool", INT_(2)},
    {"bits[1:3] 8", "bits[1:3]", UINT_(8)},
    {"bits[1:3] -1", "bits[1:3]", INT_(-1)},
    {"bcd16 10000", "bcd16", UINT_(10000)},
    {"bcd16 -1", "bcd16", INT_(-1)},
    {"mod10k[1] 10000", "mod10k[1]", INT_(10000)},
    {"signmag16 32768", "signmag16", INT_(32768)},
    {"float32 1e39", "float32", F64_(1e39)},
    {"float32 NaN", "float32", F32_(NAN)},
    {"float32 infinity", "float32", F64_((double)INFINITY)},
    {"float16 65520", "float16", F64_(65520)},
    {"float64 of a text", "float64", TEXT_("1")},
    {"pf4q 1.05", "pf4q", F64_(1.05)},
    {"string[1] of three characters", "string[1]", TEXT_("abc")},
    {"string of a number", "string[1]", INT_(1)},
    {"string_low[1] of two characters", "string_low[1]", TEXT_("ab")},
    {"raw[1] of 3 digits", "raw[1]", TEXT_("ABC")},
    {"raw[1] of no digit", "raw[1]", TEXT_("00G0")},
    {"ipv4 256.0.0.1", "ipv4", TEXT_("256.0.0.1")},
    {"eui48 without colons", "eui48", TEXT_("00-14-A5-FF-0B-2C")},
    {"iec870 before 2000", "datetime_iec870_4", TEXT_("1999-12-31T00:00:00.000")},
    {"iec870 on 30 February", "datetime_iec870_4", TEXT_("2026-02-30T00:00:00.000")},
    {"words4 without milliseconds", "datetime_words4", TEXT_("2026-11-24T10:05:12")},
    {"bytes with 60 seconds", "datetime_bytes", TEXT_("2026-11-24T10:05:60")},
    {"unix without Z", "unix", TEXT_("2026-11-24T10:05:12")},
    {"unix after 2106", "unix", TEXT_("2107-01-01T00:00:00Z")},
    {"hhmm 24:00", "hhmm", TEXT_("24:00")},
    {"version 1.2.3.16", "version_nibbles", TEXT_("1.2.3.16")},
    {"version 1.2.3", "version_nibbles", TEXT_("1.2.3")},
    {"no value at all", "uint16", NONE_},
};

static void refuses_to_encode(void **state)
{
    const struct limit *row = *state;
    struct modbus_point_conf point = make_point("holding:0", row->type);
    uint16_t regs[MODBUS_REGS_MAX], mask;

    assert_int_equal(modbus_encode(&point, &row->value, regs, &mask), GW_E_RANGE);
}

static void integers_are_taken_from_any_exact_number(void **state)
{
    (void)state;
    const struct gw_value values[] = {INT_(500), UINT_(500), F32_(500),
                                      F64_(500), DEC_(5, 2), DEC_(5000, -1)};
    struct modbus_point_conf point = make_point("holding:0", "int16");
    uint16_t regs[MODBUS_REGS_MAX], mask;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(modbus_encode(&point, &values[i], regs, &mask), GW_OK);
        assert_int_equal(regs[0], 500);
        assert_int_equal(mask, 0xFFFF);
    }
}

static void floats_take_the_nearest_they_have(void **state)
{
    (void)state;
    const struct {
        const char *type;
        struct gw_value value;
        uint16_t regs[2];
    } rows[] = {
        {"float32", DEC_(2301, -1), {0x4366, 0x199A}}, /* 230.1 */
        {"float32", INT_(9600), {0x4616, 0x0000}},     /* the FC16 frame of the facts */
        {"float32", UINT_(16777217), {0x4B80, 0x0000}},
        {"float16", DEC_(1, -1), {0x2E66}}, /* 0.1 */
        {"float16", F64_(2049), {0x6800}},  /* a tie: to the even 2048 */
        {"float16", F64_(2051), {0x6802}},  /* a tie: to the even 2052 */
        {"float16", F64_(65519), {0x7BFF}},
    };
    uint16_t regs[MODBUS_REGS_MAX], mask;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct modbus_point_conf point = make_point("holding:0", rows[i].type);
        assert_int_equal(modbus_encode(&point, &rows[i].value, regs, &mask), GW_OK);
        assert_memory_equal(regs, rows[i].regs, point.type.n_regs * sizeof *regs);
    }
}

static void only_the_bits_of_the_point_are_masked(void **state)
{
    (void)state;
    const struct {
        const char *type;
        int order;
        struct gw_value value;
        uint16_t regs[2], masks[2];
        bool is_shared;
    } rows[] = {
        {"bits[4:3]", MODBUS_ABCD, UINT_(5), {0x0050}, {0x0070}, true},
        {"bits[4:3]", MODBUS_BADC, UINT_(5), {0x5000}, {0x7000}, true},
        {"int8h", MODBUS_ABCD, INT_(-5), {0xFB00}, {0xFF00}, true},
        {"uint8l", MODBUS_ABCD, UINT_(7), {0x0007}, {0x00FF}, true},
        {"bits32[12:8]", MODBUS_ABCD, UINT_(0xAB), {0x000A, 0xB000}, {0x000F, 0xF000}, true},
        {"bits32[12:8]", MODBUS_CDAB, UINT_(0xAB), {0xB000, 0x000A}, {0xF000, 0x000F}, true},
        {"bits[0:16]", MODBUS_ABCD, UINT_(1), {0x0001}, {0xFFFF}, false},
        {"uint32", MODBUS_ABCD, UINT_(1), {0, 1}, {0xFFFF, 0xFFFF}, false},
    };
    uint16_t regs[MODBUS_REGS_MAX], masks[MODBUS_REGS_MAX], mask;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct modbus_point_conf point = make_point("holding:0", rows[i].type);
        point.order = rows[i].order;
        assert_int_equal(modbus_encode(&point, &rows[i].value, regs, &mask), GW_OK);
        assert_int_equal(modbus_point_masks(&point, masks), rows[i].is_shared);
        assert_int_equal(mask, rows[i].masks[0]);
        assert_memory_equal(regs, rows[i].regs, point.type.n_regs * sizeof *regs);
        assert_memory_equal(masks, rows[i].masks, point.type.n_regs * sizeof *masks);
    }
}

static void halves_that_stand_apart_are_put_together(void **state)
{
    (void)state;
    /* Deye: total energy bought, 0x004E the low word, 0x0050 the high one */
    struct modbus_point_conf point = make_point("holding:0x50", "uint32");
    const uint16_t deye[] = {0x0001, 0x86A0};
    const uint16_t wide[] = {0x0000, 0x0002, 0xDFDC, 0x1C35},
                   swapped[] = {0x0002, 0x0000, 0x1C35, 0xDFDC};
    uint16_t regs[4], mask;
    struct gw_result result;

    point.low_part = make_register("holding:0x4E");
    assert_int_equal(modbus_point_units(&point), 1);
    for (point.order = MODBUS_ABCD; point.order <= MODBUS_CDAB; point.order++) {
        modbus_decode(&point, deye, (char[MODBUS_TEXT_MAX]){0}, &result);
        assert_true(result.value.u == 100000);
        assert_int_equal(modbus_encode(&point, &result.value, regs, &mask), GW_OK);
        assert_memory_equal(regs, deye, sizeof deye);
    }

    point.type = make_type("uint64");
    assert_int_equal(modbus_point_units(&point), 2);
    point.order = MODBUS_ABCD;
    modbus_decode(&point, wide, (char[MODBUS_TEXT_MAX]){0}, &result);
    assert_true(result.value.u == 12345678901);
    point.order = MODBUS_CDAB; /* within the halves */
    modbus_decode(&point, swapped, (char[MODBUS_TEXT_MAX]){0}, &result);
    assert_true(result.value.u == 12345678901);
}

static void bits_are_bools(void **state)
{
    (void)state;
    struct modbus_point_conf point = make_point("coil:3", NULL);
    uint16_t bit = 1, reg, mask;
    struct gw_result result;

    modbus_decode(&point, &bit, (char[MODBUS_TEXT_MAX]){0}, &result);
    assert_value(&result.value, &BOOL_(true));
    assert_int_equal(modbus_encode(&point, &BOOL_(true), &reg, &mask), GW_OK);
    assert_int_equal(reg, 1);

    struct modbus_point_conf flash =
        make_point("coil:512", "uint16"); /* a time in the value of function 5 */
    assert_int_equal(modbus_encode(&flash, &UINT_(7), &reg, &mask), GW_OK);
    assert_int_equal(reg, 7);
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    struct modbus_point_conf raw = make_point("holding:0", "raw[125]");
    struct modbus_point_conf latin1 = make_point("holding:0", "string[125]");
    uint16_t regs[MODBUS_REGS_MAX];
    char text[MODBUS_TEXT_MAX];
    struct gw_result result;

    memset(regs, 0xE9, sizeof regs);
    modbus_decode(&raw, regs, text, &result);
    assert_int_equal(result.value.text.len, 500);
    modbus_decode(&latin1, regs, text, &result);
    assert_int_equal(result.value.text.len, 500);
    assert_memory_equal(result.value.text.p + 498, "\u00E9", 2);
}

static void scales_are_read(void **state)
{
    (void)state;
    const struct {
        enum modbus_scale_kind kind;
        uint16_t reg;
        enum gw_err err;
        int32_t exp10;
    } rows[] = {
        {MODBUS_SCALE_SUNSSF, 0xFFFE, GW_OK, -2},
        {MODBUS_SCALE_SUNSSF, 0, GW_OK, 0},
        {MODBUS_SCALE_SUNSSF, 10, GW_OK, 10},
        {MODBUS_SCALE_SUNSSF, 0xFFF6, GW_OK, -10},
        {MODBUS_SCALE_SUNSSF, 11, GW_E_PROTO, 0},
        {MODBUS_SCALE_SUNSSF, 0xFFF5, GW_E_PROTO, 0},
        {MODBUS_SCALE_SUNSSF, 0x8000, GW_E_PROTO, 0},
        {MODBUS_SCALE_DECIMALS, 1, GW_OK, -1},
        {MODBUS_SCALE_DECIMALS, 11, GW_E_PROTO, 0},
        {MODBUS_SCALE_DECIMALS, 0xFFFF, GW_E_PROTO, 0},
        {MODBUS_SCALE_DECIMALS_HIGH, 0x0203, GW_OK, -2},
        {MODBUS_SCALE_DECIMALS_LOW, 0x0203, GW_OK, -3},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t exp10 = 0;
        assert_int_equal(modbus_decode_scale(rows[i].kind, rows[i].reg, &exp10), rows[i].err);
        assert_int_equal(exp10, rows[i].exp10);
    }
}

int main(void)
{
    enum {
        N = sizeof vectors / sizeof vectors[0],
        N_LIMITS = sizeof too_much / sizeof too_much[0]
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(integers_are_taken_from_any_exact_number),
        cmocka_unit_test(floats_take_the_nearest_they_have),
        cmocka_unit_test(only_the_bits_of_the_point_are_masked),
        cmocka_unit_test(halves_that_stand_apart_are_put_together),
        cmocka_unit_test(bits_are_bools),
        cmocka_unit_test(the_longest_texts_fit),
        cmocka_unit_test(scales_are_read),
    };
    struct CMUnitTest decoding[N], encoding[N], limits[N_LIMITS];
    size_t n = 0, n_encoding = 0, n_limits = 0;

    TABLE_TESTS(decoding, n, vectors, decodes);
    TABLE_TESTS(encoding, n_encoding, vectors, encodes);
    TABLE_TESTS(limits, n_limits, too_much, refuses_to_encode);
    return cmocka_run_group_tests_name("decoding", decoding, NULL, NULL) +
           cmocka_run_group_tests_name("encoding", encoding, NULL, NULL) +
           cmocka_run_group_tests_name("limits", limits, NULL, NULL) +
           cmocka_run_group_tests_name("registers", others, NULL, NULL);
}
