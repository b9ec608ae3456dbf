/* What no single key can tell: checks of bus, device and point, and the traits that the core builds on. */
#include "tests/unit/modbus_conf.h"

#include "drivers/modbus/plan.h"

/* ---- bus and device ---- */

static void assert_bus(const struct modbus_bus_conf *bus, const char *key, const char *sentence)
{
    struct gw_driver_diag diag = {0};

    assert_int_equal(modbus_check_bus(bus, &diag), sentence ? GW_E_CONFIG : GW_OK);
    if (sentence) {
        assert_string_equal(diag.key, key);
        assert_string_equal(diag.text, sentence);
    }
}

static void a_line_has_a_speed_of_serial_ports(void **state)
{
    (void)state;
    static const int speeds[] = {1200, 9600, 19200, 38400, 57600, 115200, 921600};
    struct modbus_bus_conf bus = make_rtu_bus(9600);

    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        bus.baud = speeds[i];
        assert_bus(&bus, NULL, NULL);
    }
    bus.baud = 9601;
    assert_bus(&bus, "baud",
               "baud 9601 is not a speed of serial ports (1200, 2400, 4800, 9600, 19200, 38400, "
               "57600, 115200, ...)");
    bus.transport = MODBUS_RTU_OVER_TCP; /* the far line may be anything */
    assert_bus(&bus, NULL, NULL);
}

static void rtu_needs_eight_data_bits(void **state)
{
    (void)state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);

    bus.data_bits = 7;
    assert_bus(&bus, "data_bits", "data_bits 7 cannot carry RTU frames, which need 8");
    bus.transport = MODBUS_TCP;
    assert_bus(&bus, NULL, NULL);
}

static void unit_0_is_for_tcp_only(void **state)
{
    (void)state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();
    struct gw_driver_diag diag = {0};

    device.unit = 0;
    assert_int_equal(modbus_check_device(&bus, &device, &diag), GW_E_CONFIG);
    assert_string_equal(diag.key, "unit");
    assert_string_equal(diag.text, "unit 0 is for broadcasts, which no device answers (1-247)");
    bus.transport = MODBUS_TCP;
    assert_int_equal(modbus_check_device(&bus, &device, &diag), GW_OK);
    bus.transport = MODBUS_RTU;
    device.unit = 255; /* Waveshare */
    assert_int_equal(modbus_check_device(&bus, &device, &diag), GW_OK);
}

/* ---- points that are a mistake ---- */

struct fault {
    const char *name;
    const char *reg, *type, *low, *scale, *write;
    const char *key, *sentence;
    int max_registers, write_coils, on_value;
};

static const struct fault faults[] = {
    {"modicon number without numbering", "40001", "uint16", NULL, NULL, NULL, "register",
     "40001 is a Modicon number; write holding:0, or numbering: modicon", 0, 0, 0},
    {"modicon scale without numbering", "holding:0", "uint16", NULL, "30005", NULL,
     "scale_register", "30005 is a Modicon number; write input:4, or numbering: modicon", 0, 0, 0},
    {"beyond the last register", "holding:65535", "float32", NULL, NULL, NULL, "register",
     "2 registers from holding:65535 on go beyond 65535", 0, 0, 0},
    {"write beyond the last register", "holding:0", "float32", NULL, NULL, "holding:65535",
     "write_register", "2 registers from holding:65535 on go beyond 65535", 0, 0, 0},
    {"low half beyond the last register", "holding:0", "uint64", "holding:65535", NULL, NULL,
     "low_register", "2 registers from holding:65535 on go beyond 65535", 0, 0, 0},
    {"coil of a number", "coil:1", "int16", NULL, NULL, NULL, "type",
     "a coil is bool (or uint16, to write a value with function 5)", 0, 0, 0},
    {"discrete input of a number", "discrete:1", "uint16", NULL, NULL, NULL, "type",
     "a discrete input is bool", 0, 0, 0},
    {"coil with a scale", "coil:1", "bool", NULL, "holding:1", NULL, "scale_register",
     "only registers have one, not coils and discrete inputs", 0, 0, 0},
    {"coil with a low half", "coil:1", "bool", "coil:2", NULL, NULL, "low_register",
     "only registers have one, not coils and discrete inputs", 0, 0, 0},
    {"type larger than a request", "holding:0", "float64", NULL, NULL, NULL, "type",
     "the type needs 4 registers, max_registers is 3", 3, 0, 0},
    {"low half of 16 bits", "holding:0", "uint16", "holding:1", NULL, NULL, "low_register",
     "only numbers of 32 and 64 bits have halves that can stand apart", 0, 0, 0},
    {"low half of a text", "holding:0", "string[4]", "holding:9", NULL, NULL, "low_register",
     "only numbers of 32 and 64 bits have halves that can stand apart", 0, 0, 0},
    {"low half of bits", "holding:0", "bits32[3:2]", "holding:9", NULL, NULL, "low_register",
     "only numbers of 32 and 64 bits have halves that can stand apart", 0, 0, 0},
    {"low half in another table", "holding:0", "uint32", "input:1", NULL, NULL, "low_register",
     "both halves have to be in the same table", 0, 0, 0},
    {"low half over the high one", "holding:1", "uint64", "holding:0", NULL, NULL, "low_register",
     "the halves overlap", 0, 0, 0},
    {"low half too far", "holding:0", "uint32", "holding:125", NULL, NULL, "low_register",
     "the halves are 126 registers apart; they have to be read in one request, which reads 125 at "
     "most",
     0, 0, 0},
    {"scale in a coil", "holding:0", "uint16", NULL, "coil:1", NULL, "scale_register",
     "a scale is in a holding or input register", 0, 0, 0},
    {"scale of a text", "holding:0", "string[4]", NULL, "holding:9", NULL, "scale_register",
     "only numbers have a scale", 0, 0, 0},
    {"register written to an input", "holding:0", "uint16", NULL, NULL, "input:1", "write_register",
     "registers are written to holding registers", 0, 0, 0},
    {"coil written to a register", "coil:0", "bool", NULL, NULL, "holding:1", "write_register",
     "bits are written to coils", 0, 0, 0},
    {"on_value with function 15", "coil:0", "bool", NULL, NULL, NULL, "on_value",
     "only function 5 sends a value, and write_coils_with is 15", 0, 15, 0x5500},
    {"value coil with function 15", "coil:0", "uint16", NULL, NULL, NULL, "type",
     "only function 5 sends a value, and write_coils_with is 15", 0, 15, 0},
};

static void is_a_mistake(void **state)
{
    const struct fault *row = *state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();
    struct modbus_point_conf point = make_point(row->reg, row->type);
    struct gw_point_traits traits;
    struct gw_driver_diag diag = {0};

    if (row->max_registers)
        device.max_registers = row->max_registers;
    device.write_coils = row->write_coils;
    if (row->on_value)
        point.on_value = row->on_value;
    if (row->low)
        point.low_part = make_register(row->low);
    if (row->scale)
        point.scale_register = make_register(row->scale);
    if (row->write)
        point.write_address = make_register(row->write);

    assert_int_equal(modbus_check_point(&bus, &device, &point, &traits, &diag), GW_E_CONFIG);
    assert_string_equal(diag.key, row->key);
    assert_string_equal(diag.text, row->sentence);
}

/* ---- requests of their own ---- */

static struct modbus_bytes make_bytes(const char *text)
{
    struct modbus_bytes bytes = {0};
    struct gw_driver_diag diag = {0};

    if (text && modbus_parse_bytes(text, &bytes, &diag) != GW_OK)
        fail_msg("%s", diag.text);
    return bytes;
}

static const struct raw_fault {
    const char *name;
    const char *request, *reply, *reg; /* reg: where it is written, which it cannot say */
    const char *key, *sentence;
} raw_faults[] = {
    {"function 0", "raw:00 01", NULL, NULL, "register",
     "a request begins with its function, 01-7F"},
    {"an exception", "raw:83 02", NULL, NULL, "register",
     "a request begins with its function, 01-7F"},
    {"reply of another function", "raw:42", "raw:43", NULL, "reply",
     "the reply to a request of function 42 begins with it"},
    {"function 16 without its reply", "raw:10 14 81 00 01 02 07 D8", NULL, NULL, "register",
     "function 16 is not answered with the bytes of the request; say with reply: what confirms it"},
    {"written elsewhere", "raw:42", NULL, "holding:1", "write_register",
     "a raw request has no registers"},
};

static void is_a_mistake_of_a_raw_request(void **state)
{
    const struct raw_fault *row = *state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();
    struct modbus_point_conf point = {.request = make_bytes(row->request),
                                      .reply = make_bytes(row->reply)};
    struct gw_point_traits traits;
    struct gw_driver_diag diag = {0};

    if (row->reg)
        point.write_address = make_register(row->reg);
    assert_int_equal(modbus_check_point(&bus, &device, &point, &traits, &diag), GW_E_CONFIG);
    assert_string_equal(diag.key, row->key);
    assert_string_equal(diag.text, row->sentence);
}

static void a_raw_request_takes_true_and_is_never_read(void **state)
{
    (void)state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();
    struct modbus_point_conf point = {.request = make_bytes("raw:42")}, reg;
    struct gw_point_traits traits;
    struct gw_driver_diag diag = {0};

    assert_int_equal(modbus_check_point(&bus, &device, &point, &traits, &diag), GW_OK);
    assert_int_equal(traits.kind, GW_BOOL);
    assert_true(traits.raw_min == 1 && traits.raw_max == 1);
    assert_true(traits.can_write && !traits.can_read);
    reg = make_point("holding:1", NULL);
    reg.reply = make_bytes("raw:42");
    assert_int_equal(modbus_check_point(&bus, &device, &reg, &traits, &diag), GW_E_CONFIG);
    assert_string_equal(diag.text, "only a raw request (register: raw:42) has one");
}

/* ---- points that are fine ---- */

static struct gw_point_traits traits_of(const struct modbus_point_conf *point)
{
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();
    struct gw_point_traits traits;
    struct gw_driver_diag diag = {0};

    if (modbus_check_point(&bus, &device, point, &traits, &diag) != GW_OK)
        fail_msg("%s: %s", diag.key, diag.text);
    return traits;
}

static const struct kind {
    const char *name; /* the type itself */
    const char *reg;
    enum gw_kind kind;
    double min, max;
    bool can_read, can_write;
} kinds[] = {
    {"bool", "coil:1", GW_BOOL, 0, 1, true, true},
    {"bool", "discrete:1", GW_BOOL, 0, 1, true, false},
    {"uint16", "coil:512", GW_UINT, 0, 65535, false, true}, /* Waveshare: a time in function 5 */
    {"bool", "holding:1", GW_BOOL, 0, 1, true, true},
    {"int8h", "holding:1", GW_INT, -128, 127, true, true},
    {"uint8l", "input:1", GW_UINT, 0, 255, true, false},
    {"int16", "holding:1", GW_INT, -32768, 32767, true, true},
    {"uint16", "holding:1", GW_UINT, 0, 65535, true, true},
    {"uint16", "input:1", GW_UINT, 0, 65535, true, false},
    {"enum16", "holding:1", GW_UINT, 0, 65535, true, true},
    {"sunssf", "holding:1", GW_INT, -32768, 32767, true, true},
    {"int24", "holding:1", GW_INT, -8388608, 8388607, true, true},
    {"uint32", "holding:1", GW_UINT, 0, 4294967295.0, true, true},
    {"int48", "holding:1", GW_INT, -140737488355328.0, 140737488355327.0, true, true},
    {"int64", "holding:1", GW_INT, -9223372036854775808.0, 9223372036854775807.0, true, true},
    {"uint64", "holding:1", GW_UINT, 0, 18446744073709551615.0, true, true},
    {"float16", "holding:1", GW_FLOAT32, -65504, 65504, true, true},
    {"float32", "holding:1", GW_FLOAT32, 0, 0, true, true},
    {"float64", "holding:1", GW_FLOAT64, 0, 0, true, true},
    {"pf4q", "holding:1", GW_FLOAT32, -1, 1, true, true},
    {"bits[3:1]", "holding:1", GW_BOOL, 0, 1, true, true},
    {"bits[3:2]", "holding:1", GW_UINT, 0, 3, true, true},
    {"bits32[0:32]", "holding:1", GW_UINT, 0, 4294967295.0, true, true},
    {"bcd16", "holding:1", GW_UINT, 0, 9999, true, true},
    {"bcd32", "holding:1", GW_UINT, 0, 99999999, true, true},
    {"mod10k[2]", "holding:1", GW_INT, -99999999, 99999999, true, true},
    {"signmag16", "holding:1", GW_INT, -32767, 32767, true, true},
    {"string[8]", "holding:1", GW_TEXT, 0, 0, true, true},
    {"raw[125]", "holding:1", GW_TEXT, 0, 0, true, false}, /* more than one function 16 writes */
    {"raw[123]", "holding:1", GW_TEXT, 0, 0, true, true},
    {"datetime_iec870_4", "holding:1", GW_TEXT, 0, 0, true, true},
    {"ipv4", "holding:1", GW_TEXT, 0, 0, true, true},
};

static void has_these_traits(void **state)
{
    const struct kind *row = *state;
    struct modbus_point_conf point = make_point(row->reg, row->name);
    struct gw_point_traits traits = traits_of(&point);

    assert_int_equal(traits.kind, row->kind);
    assert_true(traits.raw_min == row->min);
    assert_true(traits.raw_max == row->max);
    assert_int_equal(traits.can_read, row->can_read);
    assert_int_equal(traits.can_write, row->can_write);
}

static void types_have_defaults(void **state)
{
    (void)state;
    struct modbus_point_conf coil = make_point("coil:1", NULL), reg = make_point("input:1", NULL);

    assert_int_equal(traits_of(&coil).kind, GW_BOOL);
    assert_int_equal(traits_of(&reg).kind, GW_UINT);
    assert_int_equal(modbus_point_units(&reg), 1);
}

static void modicon_numbers_are_taken_when_asked_for(void **state)
{
    (void)state;
    struct modbus_point_conf point = make_point("40108", "float32");

    point.numbering = MODBUS_NUMBERING_MODICON;
    traits_of(&point);
    assert_int_equal(point.address.first, 107);
}

static void an_input_can_be_written_elsewhere(void **state)
{
    (void)state;
    struct modbus_point_conf point = make_point("input:100", "int32");

    point.write_address = make_register("holding:200");
    assert_true(traits_of(&point).can_write);
    point = make_point("discrete:3", NULL);
    point.write_address = make_register("coil:3");
    assert_true(traits_of(&point).can_write);
}

static void halves_that_stand_apart_cannot_be_written(void **state)
{
    (void)state;
    struct modbus_point_conf point = make_point("holding:0x50", "uint32");

    point.low_part = make_register("holding:0x4E");
    assert_false(traits_of(&point).can_write);
    assert_true(traits_of(&point).can_read);
}

static void a_coil_block_has_to_fit(void **state)
{
    (void)state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();
    struct modbus_point_conf point = make_point("coil:31", NULL);
    struct gw_point_traits traits;
    struct gw_driver_diag diag = {0};

    device.coil_block = 32;
    device.max_bits = 32;
    assert_int_equal(modbus_check_point(&bus, &device, &point, &traits, &diag), GW_OK);
    device.max_bits = 31;
    assert_int_equal(modbus_check_point(&bus, &device, &point, &traits, &diag), GW_E_CONFIG);
    assert_string_equal(
        diag.text, "reading from a multiple of coil_block 32 on needs 32 bits, max_bits is 31");
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_line_has_a_speed_of_serial_ports),
        cmocka_unit_test(rtu_needs_eight_data_bits),
        cmocka_unit_test(unit_0_is_for_tcp_only),
        cmocka_unit_test(types_have_defaults),
        cmocka_unit_test(modicon_numbers_are_taken_when_asked_for),
        cmocka_unit_test(an_input_can_be_written_elsewhere),
        cmocka_unit_test(halves_that_stand_apart_cannot_be_written),
        cmocka_unit_test(a_coil_block_has_to_fit),
        cmocka_unit_test(a_raw_request_takes_true_and_is_never_read),
    };
    struct CMUnitTest raw[sizeof raw_faults / sizeof raw_faults[0]];
    struct CMUnitTest mistakes[sizeof faults / sizeof faults[0]],
        fine[sizeof kinds / sizeof kinds[0]];
    size_t n = 0, n_fine = 0, n_raw = 0;

    TABLE_TESTS(mistakes, n, faults, is_a_mistake);
    TABLE_TESTS(fine, n_fine, kinds, has_these_traits);
    TABLE_TESTS(raw, n_raw, raw_faults, is_a_mistake_of_a_raw_request);
    return cmocka_run_group_tests_name("mistakes", mistakes, NULL, NULL) +
           cmocka_run_group_tests_name("raw requests", raw, NULL, NULL) +
           cmocka_run_group_tests_name("traits", fine, NULL, NULL) +
           cmocka_run_group_tests_name("checks", others, NULL, NULL);
}
