/* How registers and types are written, and the key tables as the core takes them. */
#include "tests/unit/modbus_conf.h"

#include <regex.h>

#include "gateway/plugin.h"

extern const struct gw_plugin field2mqtt_plugin;

/* ---- registers ---- */

static const struct good_register {
    const char *name; /* the text itself */
    enum modbus_area area;
    uint16_t first;
    bool is_modicon;
} good_registers[] = {
    {"holding:100", MODBUS_HOLDING, 100, false},
    {"holding100", MODBUS_HOLDING, 100, false},
    {"hr100", MODBUS_HOLDING, 100, false},
    {"hr:0x10", MODBUS_HOLDING, 16, false},
    {"holding:0xFFFF", MODBUS_HOLDING, 65535, false},
    {"holding:65535", MODBUS_HOLDING, 65535, false},
    {"input:0x10", MODBUS_INPUT, 16, false},
    {"ir16", MODBUS_INPUT, 16, false},
    {"coil:3", MODBUS_COIL, 3, false},
    {"co3", MODBUS_COIL, 3, false},
    {"discrete:12", MODBUS_DISCRETE, 12, false},
    {"di12", MODBUS_DISCRETE, 12, false},
    {"holding:40000", MODBUS_HOLDING, 40000, false}, /* SunSpec: an address on the wire */
    {"holding:010", MODBUS_HOLDING, 10, false},      /* decimal, not octal */
    {"40001", MODBUS_HOLDING, 0, true},
    {"49999", MODBUS_HOLDING, 9998, true},
    {"400001", MODBUS_HOLDING, 0, true},
    {"465536", MODBUS_HOLDING, 65535, true},
    {"30001", MODBUS_INPUT, 0, true},
    {"365536", MODBUS_INPUT, 65535, true},
    {"10001", MODBUS_DISCRETE, 0, true},
    {"165536", MODBUS_DISCRETE, 65535, true},
    {"00001", MODBUS_COIL, 0, true},
    {"065536", MODBUS_COIL, 65535, true},
};

static bool matches(const char *pattern, const char *text)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool is_match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return is_match;
}

static void reads_register(void **state)
{
    const struct good_register *row = *state;
    struct modbus_address address = make_register(row->name);

    assert_true(address.is_set);
    assert_int_equal(address.area, row->area);
    assert_int_equal(address.first, row->first);
    assert_int_equal(address.is_modicon, row->is_modicon);
    assert_true(matches(modbus_register_pattern, row->name));
}

static const struct bad_text {
    const char *name; /* the text itself */
    const char *sentence;
} bad_registers[] = {
    {"holding:65536", "register 65536 is out of range (0-65535)"},
    {"hr0x10000", "register 65536 is out of range (0-65535)"},
    {"100", "\"100\" does not say which table it is in; write holding:100, input:100, coil:100 or "
            "discrete:100"},
    {"465537", "\"465537\" does not say which table it is in; write holding:465537, input:465537, "
               "coil:465537 or discrete:465537"},
    {"holding", "\"holding\" is not a register; write holding:100 (hr100), input:0x10 (ir16), "
                "coil:3 (co3) or discrete:12 (di12)"},
    {"holding:", "\"holding:\" is not a register; write holding:100 (hr100), input:0x10 (ir16), "
                 "coil:3 (co3) or discrete:12 (di12)"},
    {"holding:-1", "\"holding:-1\" is not a register; write holding:100 (hr100), input:0x10 "
                   "(ir16), coil:3 (co3) or discrete:12 (di12)"},
    {"holding:1.5", "\"holding:1.5\" is not a register; write holding:100 (hr100), input:0x10 "
                    "(ir16), coil:3 (co3) or discrete:12 (di12)"},
    {"holding:0x", "\"holding:0x\" is not a register; write holding:100 (hr100), input:0x10 "
                   "(ir16), coil:3 (co3) or discrete:12 (di12)"},
    {"holding: 1", "\"holding: 1\" is not a register; write holding:100 (hr100), input:0x10 "
                   "(ir16), coil:3 (co3) or discrete:12 (di12)"},
    {"xr1", "\"xr1\" is not a register; write holding:100 (hr100), input:0x10 (ir16), coil:3 (co3) "
            "or discrete:12 (di12)"},
    {"", "\"\" is not a register; write holding:100 (hr100), input:0x10 (ir16), coil:3 (co3) or "
         "discrete:12 (di12)"},
    {"50001", "\"50001\" does not say which table it is in; write holding:50001, input:50001, "
              "coil:50001 or discrete:50001"},
    {"40000", "\"40000\" does not say which table it is in; write holding:40000, input:40000, "
              "coil:40000 or discrete:40000"},
};

static void refuses_register(void **state)
{
    const struct bad_text *row = *state;
    struct modbus_address address;
    struct gw_driver_diag diag = {0};

    assert_int_equal(modbus_parse_register(row->name, &address, &diag), GW_E_CONFIG);
    assert_string_equal(diag.text, row->sentence);
}

/* ---- types ---- */

static const struct good_type {
    const char *name;
    enum modbus_type type;
    uint16_t n_regs;
    uint8_t shift, width, meaning;
} good_types[] = {
    {"bool", MODBUS_BOOL, 1, 0, 0, 0},
    {"int8h", MODBUS_INT8H, 1, 0, 0, 0},
    {"int8l", MODBUS_INT8L, 1, 0, 0, 0},
    {"uint8h", MODBUS_UINT8H, 1, 0, 0, 0},
    {"uint8l", MODBUS_UINT8L, 1, 0, 0, 0},
    {"int16", MODBUS_INT16, 1, 0, 0, 0},
    {"uint16", MODBUS_UINT16, 1, 0, 0, 0},
    {"int24", MODBUS_INT24, 2, 0, 0, 0},
    {"uint24", MODBUS_UINT24, 2, 0, 0, 0},
    {"int32", MODBUS_INT32, 2, 0, 0, 0},
    {"uint32", MODBUS_UINT32, 2, 0, 0, 0},
    {"int48", MODBUS_INT48, 3, 0, 0, 0},
    {"uint48", MODBUS_UINT48, 3, 0, 0, 0},
    {"int64", MODBUS_INT64, 4, 0, 0, 0},
    {"uint64", MODBUS_UINT64, 4, 0, 0, 0},
    {"float16", MODBUS_FLOAT16, 1, 0, 0, 0},
    {"float32", MODBUS_FLOAT32, 2, 0, 0, 0},
    {"float64", MODBUS_FLOAT64, 4, 0, 0, 0},
    {"bits[1:3]", MODBUS_BITS, 1, 1, 3, 0},
    {"bits[15:1]", MODBUS_BITS, 1, 15, 1, 0},
    {"bits32[31:1]", MODBUS_BITS32, 2, 31, 1, 0},
    {"bitfield16", MODBUS_UINT16, 1, 0, 0, MODBUS_BITFIELD},
    {"bitfield32", MODBUS_UINT32, 2, 0, 0, MODBUS_BITFIELD},
    {"enum16", MODBUS_UINT16, 1, 0, 0, MODBUS_ENUM},
    {"acc32", MODBUS_UINT32, 2, 0, 0, MODBUS_ACCUMULATOR},
    {"sunssf", MODBUS_INT16, 1, 0, 0, MODBUS_SUNSSF},
    {"string[8]", MODBUS_STRING, 8, 0, 0, 0},
    {"string[125]", MODBUS_STRING, 125, 0, 0, 0},
    {"string_low[16]", MODBUS_STRING_LOW, 16, 0, 0, 0},
    {"string_high[16]", MODBUS_STRING_HIGH, 16, 0, 0, 0},
    {"raw[125]", MODBUS_RAW, 125, 0, 0, 0},
    {"pf4q", MODBUS_PF4Q, 2, 0, 0, 0},
    {"mod10k[4]", MODBUS_MOD10K, 4, 0, 0, 0},
    {"bcd16", MODBUS_BCD16, 1, 0, 0, 0},
    {"bcd32", MODBUS_BCD32, 2, 0, 0, 0},
    {"bcd64", MODBUS_BCD64, 4, 0, 0, 0},
    {"signmag16", MODBUS_SIGNMAG16, 1, 0, 0, 0},
    {"signmag32", MODBUS_SIGNMAG32, 2, 0, 0, 0},
    {"ipv4", MODBUS_IPV4, 2, 0, 0, 0},
    {"ipv6", MODBUS_IPV6, 8, 0, 0, 0},
    {"eui48", MODBUS_EUI48, 4, 0, 0, 0},
    {"datetime_iec870_4", MODBUS_DATETIME_IEC870, 4, 0, 0, 0},
    {"datetime_words4", MODBUS_DATETIME_WORDS, 4, 0, 0, 0},
    {"datetime_bytes", MODBUS_DATETIME_BYTES, 3, 0, 0, 0},
    {"unix", MODBUS_UNIX, 2, 0, 0, 0},
    {"hhmm", MODBUS_HHMM, 1, 0, 0, 0},
    {"version_nibbles", MODBUS_VERSION_NIBBLES, 1, 0, 0, 0},
};

static void reads_type(void **state)
{
    const struct good_type *row = *state;
    struct modbus_type_spec spec = make_type(row->name);

    assert_int_equal(spec.type, row->type);
    assert_int_equal(spec.n_regs, row->n_regs);
    assert_int_equal(spec.shift, row->shift);
    assert_int_equal(spec.width, row->width);
    assert_int_equal(spec.meaning, row->meaning);
    assert_true(matches(modbus_type_pattern, row->name));
}

static const struct bad_text bad_types[] = {
    {"bits", "bits needs the lowest bit and the number of bits: bits[3:2]"},
    {"bits[3]", "bits needs the lowest bit and the number of bits: bits[3:2]"},
    {"bits[3:2]x", "bits needs the lowest bit and the number of bits: bits[3:2]"},
    {"bits[15:2]", "bits[15:2] does not fit in 16 bits"},
    {"bits[16:1]", "bits[16:1] does not fit in 16 bits"},
    {"bits[3:0]", "bits[3:0] does not fit in 16 bits"},
    {"bits32[16:17]", "bits32[16:17] does not fit in 32 bits"},
    {"string", "string needs its number of registers: string[4]"},
    {"string[]", "string needs its number of registers: string[4]"},
    {"string[-1]", "string needs its number of registers: string[4]"},
    {"string[0]", "string[0] is out of range (1-125 registers)"},
    {"string[126]", "string[126] is out of range (1-125 registers)"},
    {"mod10k[5]", "mod10k[5] is out of range (1-4 registers)"},
    {"uint16[2]", "uint16 takes nothing in brackets"},
    {"uint17", "\"uint17\" is not a type; types are bool, int16, uint16, int32, uint32, int64, "
               "uint64, float32, float64, "
               "bits[0:1], string[8], ... (see field2mqtt drivers modbus-rtu)"},
    {"", "\"\" is not a type; types are bool, int16, uint16, int32, uint32, int64, uint64, "
         "float32, float64, "
         "bits[0:1], string[8], ... (see field2mqtt drivers modbus-rtu)"},
};

static void refuses_type(void **state)
{
    const struct bad_text *row = *state;
    struct modbus_type_spec spec;
    struct gw_driver_diag diag = {0};

    assert_int_equal(modbus_parse_type(row->name, &spec, &diag), GW_E_CONFIG);
    assert_string_equal(diag.text, row->sentence);
}

static void the_patterns_refuse_what_is_no_notation(void **state)
{
    (void)state;
    const char *const registers[] = {"holding", "holding:", "holding:-1", "100",
                                     "xr1",     "",         "holding:0x", "holding: 1"};
    const char *const types[] = {"bits",      "bits[3]", "string", "string[]",
                                 "uint16[2]", "uint17",  "",       "mod10k[5]"};

    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
        assert_false(matches(modbus_register_pattern, registers[i]));
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_false(matches(modbus_type_pattern, types[i]));
}

/* ---- bytes ---- */

static void bytes_of_a_request_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct modbus_bytes bytes;
    } rows[] = {{"raw:42", {1, {0x42}}},
                {"raw:08 00 00 A5 5a", {5, {0x08, 0x00, 0x00, 0xA5, 0x5A}}},
                {"raw:6501", {2, {0x65, 0x01}}}};
    struct modbus_point_conf point;
    struct gw_driver_diag diag = {0};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(&point, 0, sizeof point);
        assert_int_equal(modbus_parse_place(rows[i].text, &point, &diag), GW_OK);
        assert_memory_equal(&point.request, &rows[i].bytes, sizeof point.request);
        assert_false(point.address.is_set);
        assert_true(matches(modbus_place_pattern, rows[i].text));
        assert_true(matches(modbus_bytes_pattern, rows[i].text));
    }
    assert_int_equal(modbus_parse_place("holding:7", &point, &diag), GW_OK);
    assert_int_equal(point.address.first, 7);
    assert_true(matches(modbus_place_pattern, "holding:7"));
}

static void what_is_not_bytes_is_told(void **state)
{
    (void)state;
    const char *const texts[] = {"raw:",     "raw:4",   "raw:4 2",     "raw:42  43", "raw:42 ",
                                 "raw:0x42", "raw:zz",  "raw:42 4",    "42",         "hex:42",
                                 "raw: 42 ", "raw:42,", "raw:\xff\xff"};
    char many[4 + 2 * 65 + 1] = "raw:", sentence[300];
    struct modbus_bytes bytes;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct gw_driver_diag diag = {0};

        snprintf(sentence, sizeof sentence,
                 "\"%s\" is not bytes of a request; write raw:42 or raw:08 00 00 A5 5A (at most "
                 "64), from the function on",
                 texts[i]);
        assert_int_equal(modbus_parse_bytes(texts[i], &bytes, &diag), GW_E_CONFIG);
        assert_string_equal(diag.text, sentence);
        assert_false(matches(modbus_bytes_pattern, texts[i]));
    }
    memset(many + 4, '0', 2 * 64);
    struct gw_driver_diag diag = {0};
    assert_int_equal(modbus_parse_bytes(many, &bytes, &diag), GW_OK);
    assert_int_equal(bytes.n, 64);
    memset(many + 4, '0', 2 * 65);
    assert_int_equal(modbus_parse_bytes(many, &bytes, &diag), GW_E_CONFIG);
    assert_string_equal(diag.text, "\"raw:00000000000000000000000000...\" has more than 64 bytes");
    assert_false(matches(modbus_bytes_pattern, many));
}

/* ---- tables ---- */

static void both_tables_are_complete(void **state)
{
    (void)state;
    char sentence[300] = "";

    assert_int_equal(field2mqtt_plugin.abi, GW_DRIVER_ABI);
    assert_string_equal(field2mqtt_plugin.drivers[0]->name, "modbus-rtu");
    assert_string_equal(field2mqtt_plugin.drivers[1]->name, "modbus-tcp");
    assert_null(field2mqtt_plugin.drivers[2]);
    for (int i = 0; i < 2; i++)
        if (gw_driver_fault(field2mqtt_plugin.drivers[i], sentence, sizeof sentence))
            fail_msg("%s", sentence);
}

static const struct gw_key *find_key(const struct gw_key *keys, const char *name)
{
    while (keys->name && strcmp(keys->name, name) != 0)
        keys++;
    return keys->name ? keys : NULL;
}

static void orders_have_the_letters_of_all_widths(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int order;
    } rows[] = {
        {"AB", MODBUS_ABCD},       {"BA", MODBUS_BADC},       {"ABCD", MODBUS_ABCD},
        {"CDAB", MODBUS_CDAB},     {"BADC", MODBUS_BADC},     {"DCBA", MODBUS_DCBA},
        {"ABCDEFGH", MODBUS_ABCD}, {"GHEFCDAB", MODBUS_CDAB}, {"BADCFEHG", MODBUS_BADC},
        {"HGFEDCBA", MODBUS_DCBA},
    };
    const struct gw_choice *choices = find_key(modbus_point_keys, "order")->choices;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct gw_choice *choice = choices;
        while (choice->name && strcmp(choice->name, rows[i].name) != 0)
            choice++;
        assert_non_null(choice->name);
        assert_int_equal(choice->value, rows[i].order);
    }
}

static void the_keys_that_users_may_write_are_there(void **state)
{
    (void)state;
    const char *const rtu[] = {
        "port",  "baud",        "parity",        "data_bits",         "stop_bits",
        "rs485", "min_silence", "request_delay", "unit_change_delay", "connect_delay"};
    const char *const tcp[] = {
        "host",        "port",          "framing",           "baud",
        "min_silence", "request_delay", "unit_change_delay", "connect_delay"};
    const char *const device[] = {"unit",
                                  "max_registers",
                                  "max_bits",
                                  "max_gap",
                                  "max_gap_bits",
                                  "turnaround",
                                  "request_delay",
                                  "read_holding_with",
                                  "read_input_with",
                                  "write_registers_with",
                                  "write_coils_with",
                                  "mask_write",
                                  "coil_block"};
    const char *const point[] = {"register",   "type",           "order",        "string_order",
                                 "sentinels",  "numbering",      "low_register", "scale_register",
                                 "scale_kind", "write_register", "on_value",     "off_value",
                                 "alone"};

    for (size_t i = 0; i < sizeof rtu / sizeof rtu[0]; i++)
        assert_non_null(find_key(modbus_rtu_bus_keys, rtu[i]));
    for (size_t i = 0; i < sizeof tcp / sizeof tcp[0]; i++)
        assert_non_null(find_key(modbus_tcp_bus_keys, tcp[i]));
    for (size_t i = 0; i < sizeof device / sizeof device[0]; i++)
        assert_non_null(find_key(modbus_device_keys, device[i]));
    for (size_t i = 0; i < sizeof point / sizeof point[0]; i++)
        assert_non_null(find_key(modbus_point_keys, point[i]));
    assert_true(find_key(modbus_rtu_bus_keys, "port")->flags & GW_ADDRESS);
    assert_true(find_key(modbus_tcp_bus_keys, "host")->flags & GW_ADDRESS);
    assert_false(find_key(modbus_device_keys, "unit")->flags & GW_INHERIT);
    assert_true(find_key(modbus_point_keys, "order")->flags & GW_INHERIT);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(the_patterns_refuse_what_is_no_notation),
        cmocka_unit_test(bytes_of_a_request_are_read),
        cmocka_unit_test(what_is_not_bytes_is_told),
        cmocka_unit_test(both_tables_are_complete),
        cmocka_unit_test(orders_have_the_letters_of_all_widths),
        cmocka_unit_test(the_keys_that_users_may_write_are_there),
    };
    struct CMUnitTest tests[sizeof good_registers / sizeof good_registers[0] +
                            sizeof bad_registers / sizeof bad_registers[0] +
                            sizeof good_types / sizeof good_types[0] +
                            sizeof bad_types / sizeof bad_types[0]];
    size_t n = 0;

    TABLE_TESTS(tests, n, good_registers, reads_register);
    TABLE_TESTS(tests, n, bad_registers, refuses_register);
    TABLE_TESTS(tests, n, good_types, reads_type);
    TABLE_TESTS(tests, n, bad_types, refuses_type);
    return _cmocka_run_group_tests("notations", tests, n, NULL, NULL) +
           cmocka_run_group_tests_name("tables", others, NULL, NULL);
}
