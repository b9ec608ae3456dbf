/* PDUs. Frames are those of the facts (specification, manuals of Altivar, Delta, relay boards), without address and CRC. */
#include "tests/unit/modbus_conf.h"

#include <stdio.h>
#include <string.h>

#include "drivers/modbus/pdu.h"

#define BYTES(...) {__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* ---- requests ---- */

static size_t coils_on(uint8_t *pdu, size_t *ret_reply_len)
{
    const bool on[8] = {true, true, true, true, true, true, true, true};

    return modbus_build_write_coils(pdu, 0, on, 8, ret_reply_len);
}

static size_t ten_coils(uint8_t *pdu, size_t *ret_reply_len)
{
    /* the specification's example of function 15: coils 20-29 = CD 01 */
    const bool bits[10] = {true, false, true, true, false, false, true, true, true, false};

    return modbus_build_write_coils(pdu, 0x0013, bits, 10, ret_reply_len);
}

static size_t float_9600(uint8_t *pdu, size_t *ret_reply_len)
{
    const uint16_t regs[] = {0x4616, 0x0000};

    return modbus_build_write_registers(pdu, 0x1C, regs, 2, ret_reply_len);
}

static size_t altivar_ramps(uint8_t *pdu, size_t *ret_reply_len)
{
    const uint16_t regs[] = {20, 30};

    return modbus_build_write_registers(pdu, 9001, regs, 2, ret_reply_len);
}

static const struct request {
    const char *name;
    uint8_t bytes[20];
    size_t len, reply_len;
    uint8_t function; /* 1-4 read, 5-6 write, 22 mask; 0: make */
    uint16_t a, b, c;
    size_t (*make)(uint8_t *pdu, size_t *ret_reply_len);
} requests[] = {
    {"read 8 coils", BYTES(0x01, 0x00, 0x00, 0x00, 0x08), 3, 1, 0, 8, 0, NULL},
    {"read 9 coils takes two bytes", BYTES(0x01, 0x00, 0x00, 0x00, 0x09), 4, 1, 0, 9, 0, NULL},
    {"read 10 discrete inputs", BYTES(0x02, 0x00, 0x00, 0x00, 0x0A), 4, 2, 0, 10, 0, NULL},
    {"read 2 holding registers", BYTES(0x03, 0x0B, 0xB7, 0x00, 0x02), 6, 3, 0x0BB7, 2, 0, NULL},
    {"read 2 input registers", BYTES(0x04, 0x00, 0x00, 0x00, 0x02), 6, 4, 0, 2, 0, NULL},
    {"read all that fits", BYTES(0x03, 0xFF, 0x83, 0x00, 0x7D), 252, 3, 0xFF83, 125, 0, NULL},
    {"altivar: read 4 from 3102", BYTES(0x03, 0x0C, 0x1E, 0x00, 0x04), 10, 3, 3102, 4, 0, NULL},
    {"fr-d800: read 41004-41006", BYTES(0x03, 0x03, 0xEB, 0x00, 0x03), 8, 3, 1003, 3, 0, NULL},
    {"write coil 2 on", BYTES(0x05, 0x00, 0x02, 0xFF, 0x00), 5, 5, 2, 0xFF00, 0, NULL},
    {"relay board: write coil 0 on", BYTES(0x05, 0x00, 0x00, 0xFF, 0x00), 5, 5, 0, 0xFF00, 0, NULL},
    {"waveshare: toggle", BYTES(0x05, 0x00, 0x02, 0x55, 0x00), 5, 5, 2, 0x5500, 0, NULL},
    {"waveshare: flash on for 0.7 s", BYTES(0x05, 0x02, 0x00, 0x00, 0x07), 5, 5, 0x0200, 7, 0,
     NULL},
    {"write register 1 = 500", BYTES(0x06, 0x00, 0x01, 0x01, 0xF4), 5, 6, 1, 500, 0, NULL},
    {"altivar: write 9001 = 13", BYTES(0x06, 0x23, 0x29, 0x00, 0x0D), 5, 6, 9001, 13, 0, NULL},
    {"mask write 00F2 0025", BYTES(0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25), 7, 22, 4, 0x00F2,
     0x0025, NULL},
    {"write 8 coils", BYTES(0x0F, 0x00, 0x00, 0x00, 0x08, 0x01, 0xFF), 5, 0, 0, 0, 0, coils_on},
    {"write 10 coils", BYTES(0x0F, 0x00, 0x13, 0x00, 0x0A, 0x02, 0xCD, 0x01), 5, 0, 0, 0, 0,
     ten_coils},
    {"write float 9600", BYTES(0x10, 0x00, 0x1C, 0x00, 0x02, 0x04, 0x46, 0x16, 0x00, 0x00), 5, 0, 0,
     0, 0, float_9600},
    {"altivar: write 9001 and 9002",
     BYTES(0x10, 0x23, 0x29, 0x00, 0x02, 0x04, 0x00, 0x14, 0x00, 0x1E), 5, 0, 0, 0, 0,
     altivar_ramps},
};

static void builds(void **state)
{
    const struct request *row = *state;
    uint8_t pdu[MODBUS_PDU_MAX];
    size_t reply_len = 0, len;

    if (row->make)
        len = row->make(pdu, &reply_len);
    else if (row->function <= 4)
        len = modbus_build_read(pdu, row->function, row->a, row->b, &reply_len);
    else if (row->function <= 6)
        len = modbus_build_write_single(pdu, row->function, row->a, row->b, &reply_len);
    else
        len = modbus_build_mask_write(pdu, row->a, row->b, row->c, &reply_len);

    assert_int_equal(len, row->len);
    assert_memory_equal(pdu, row->bytes, len);
    assert_int_equal(reply_len, row->reply_len);
}

/* Layout: V1.1b3, 6.17; here what is written is read as well. */
static void function_23_writes_and_reads_the_same_registers(void **state)
{
    static const uint16_t regs[] = {0x00FF, 0x0100, 0xABCD};
    static const uint8_t expected[] = {0x17, 0x00, 0x0E, 0x00, 0x03, 0x00, 0x0E, 0x00,
                                       0x03, 0x06, 0x00, 0xFF, 0x01, 0x00, 0xAB, 0xCD};
    uint8_t pdu[MODBUS_PDU_MAX];
    size_t reply_len;

    (void)state;
    assert_int_equal(modbus_build_read_write(pdu, 0x0E, regs, 3, &reply_len), sizeof expected);
    assert_memory_equal(pdu, expected, sizeof expected);
    assert_int_equal(reply_len, 8);
}

static void the_longest_requests_fit(void **state)
{
    (void)state;
    uint8_t pdu[MODBUS_PDU_MAX];
    static const bool bits[1968];
    static const uint16_t regs[123];
    size_t reply_len;

    assert_int_equal(modbus_build_write_coils(pdu, 0, bits, 1968, &reply_len), 252);
    assert_int_equal(modbus_build_write_registers(pdu, 0, regs, 123, &reply_len), 252);
}

/* ---- replies to reads ---- */

static const struct reply {
    const char *name;
    uint8_t bytes[16];
    size_t len;
    uint8_t function;
    uint16_t count;
    enum gw_err err;
    int exception;
    uint16_t values[10];
} replies[] = {
    {"coils 0x05", BYTES(0x01, 0x01, 0x05), 1, 8, GW_OK, 0, {1, 0, 1, 0, 0, 0, 0, 0}},
    {"ten inputs", BYTES(0x02, 0x02, 0x00, 0x02), 2, 10, GW_OK, 0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
    {"float 230.5", BYTES(0x03, 0x04, 0x43, 0x66, 0x80, 0x00), 3, 2, GW_OK, 0, {0x4366, 0x8000}},
    {"altivar 40, 600, 500, 0",
     BYTES(0x03, 0x08, 0x00, 0x28, 0x02, 0x58, 0x01, 0xF4, 0x00, 0x00),
     3,
     4,
     GW_OK,
     0,
     {40, 600, 500, 0}},
    {"th sensor 27.3 C 62.6 %",
     BYTES(0x03, 0x04, 0x01, 0x11, 0x02, 0x72),
     3,
     2,
     GW_OK,
     0,
     {273, 626}},
    {"exception 1", BYTES(0x83, 0x01), 3, 1, GW_E_REFUSED, 1, {0}},
    {"exception 2", BYTES(0x83, 0x02), 3, 1, GW_E_REFUSED, 2, {0}},
    {"exception 3", BYTES(0x84, 0x03), 4, 1, GW_E_REFUSED, 3, {0}},
    {"exception 4", BYTES(0x83, 0x04), 3, 1, GW_E_REFUSED, 4, {0}},
    {"exception 5", BYTES(0x83, 0x05), 3, 1, GW_E_BUSY, 5, {0}},
    {"exception 6", BYTES(0x83, 0x06), 3, 1, GW_E_BUSY, 6, {0}},
    {"exception 8", BYTES(0x83, 0x08), 3, 1, GW_E_REFUSED, 8, {0}},
    {"exception 10", BYTES(0x83, 0x0A), 3, 1, GW_E_TIMEOUT, 10, {0}},
    {"exception 11", BYTES(0x83, 0x0B), 3, 1, GW_E_TIMEOUT, 11, {0}},
    {"exception 23 of Omron", BYTES(0x83, 0x17), 3, 1, GW_E_REFUSED, 23, {0}},
    {"exception 255", BYTES(0x83, 0xFF), 3, 1, GW_E_REFUSED, 255, {0}},
    {"exception without a code", BYTES(0x83), 3, 1, GW_E_PROTO, 0, {0}},
    {"exception with something behind", BYTES(0x83, 0x02, 0x00), 3, 1, GW_E_PROTO, 0, {0}},
    {"exception of another function", BYTES(0x84, 0x02), 3, 1, GW_E_PROTO, 0, {0}},
    {"another function", BYTES(0x04, 0x02, 0x00, 0x01), 3, 1, GW_E_PROTO, 0, {0}},
    {"too few registers", BYTES(0x03, 0x02, 0x00, 0x01), 3, 2, GW_E_PROTO, 0, {0}},
    {"too many registers", BYTES(0x03, 0x04, 0x00, 0x01, 0x00, 0x02), 3, 1, GW_E_PROTO, 0, {0}},
    {"byte count beyond the frame", BYTES(0x03, 0x04, 0x00, 0x01), 3, 2, GW_E_PROTO, 0, {0}},
    {"byte count short of the frame",
     BYTES(0x03, 0x02, 0x00, 0x01, 0x00, 0x02),
     3,
     2,
     GW_E_PROTO,
     0,
     {0}},
    {"bits with a byte missing", BYTES(0x01, 0x01, 0x05), 1, 9, GW_E_PROTO, 0, {0}},
};

static void parses(void **state)
{
    const struct reply *row = *state;
    uint16_t values[16] = {0};
    int exception = 0;

    assert_int_equal(
        modbus_parse_read(row->bytes, row->len, row->function, row->count, values, &exception),
        row->err);
    assert_int_equal(exception, row->exception);
    if (!row->err)
        assert_memory_equal(values, row->values, row->count * sizeof *values);
}

static void no_reply_of_any_length_is_read_beyond_its_end(void **state)
{
    (void)state;
    const uint8_t whole[] = {0x03, 0x04, 0x00, 0x01, 0x00, 0x02};
    uint16_t values[2];
    int exception = 0;

    for (size_t len = 0; len < sizeof whole; len++) {
        uint8_t *cut = malloc(len + !len); /* of its exact size, for the sanitizer */
        memcpy(cut, whole, len);
        assert_int_equal(modbus_parse_read(cut, len, 3, 2, values, &exception), GW_E_PROTO);
        assert_int_equal(modbus_parse_write(cut, len, (const uint8_t[]){6, 0, 1, 0, 1}, &exception),
                         GW_E_PROTO);
        free(cut);
    }
}

/* ---- replies to writes ---- */

static void a_write_is_confirmed_by_its_echo_only(void **state)
{
    (void)state;
    const uint8_t single[] = {0x06, 0x00, 0x01, 0x01, 0xF4},
                  other[] = {0x06, 0x00, 0x01, 0x01, 0xF5};
    const uint8_t many[] = {0x10, 0x00, 0x1C, 0x00, 0x02, 0x04, 0x46, 0x16, 0x00, 0x00};
    const uint8_t many_reply[] = {0x10, 0x00, 0x1C, 0x00, 0x02},
                  many_short[] = {0x10, 0x00, 0x1C, 0x00, 0x01};
    const uint8_t mask[] = {0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25},
                  mask_other[] = {0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x24};
    const uint8_t coils[] = {0x0F, 0x00, 0x00, 0x00, 0x08, 0x01, 0xFF},
                  coils_reply[] = {0x0F, 0x00, 0x00, 0x00, 0x08};
    const uint8_t refused[] = {0x86, 0x02}, refused16[] = {0x90, 0x03};
    int exception = 0;

    assert_int_equal(modbus_parse_write(single, 5, single, &exception), GW_OK);
    assert_int_equal(modbus_parse_write(other, 5, single, &exception), GW_E_PROTO);
    assert_int_equal(modbus_parse_write(many_reply, 5, many, &exception), GW_OK);
    assert_int_equal(modbus_parse_write(many_short, 5, many, &exception), GW_E_PROTO);
    assert_int_equal(modbus_parse_write(many, sizeof many, many, &exception), GW_E_PROTO);
    assert_int_equal(modbus_parse_write(mask, 7, mask, &exception), GW_OK);
    assert_int_equal(modbus_parse_write(mask_other, 7, mask, &exception), GW_E_PROTO);
    assert_int_equal(modbus_parse_write(mask, 5, mask, &exception), GW_E_PROTO);
    assert_int_equal(modbus_parse_write(coils_reply, 5, coils, &exception), GW_OK);
    assert_int_equal(exception, 0);
    assert_int_equal(modbus_parse_write(refused, 2, single, &exception), GW_E_REFUSED);
    assert_int_equal(exception, 2);
    assert_int_equal(modbus_parse_write(refused16, 2, many, &exception), GW_E_REFUSED);
    assert_int_equal(exception, 3);
}

static void exceptions_have_names(void **state)
{
    (void)state;
    const char *const names[] = {
        "exception",          "illegal_function",         "illegal_data_address",
        "illegal_data_value", "server_device_failure",    "acknowledge",
        "server_device_busy", "negative_acknowledge",     "memory_parity_error",
        "exception",          "gateway_path_unavailable", "gateway_target_no_response",
        "exception",
    };

    for (int i = 0; i < 13; i++)
        assert_string_equal(modbus_exception_reason(i), names[i]);
    assert_string_equal(modbus_exception_reason(-1), "exception");
}

/* ---- device identification ---- */

struct told {
    char text[128];
};

static void tell(void *ctx, uint8_t object, const uint8_t *text, size_t len)
{
    struct told *told = ctx;
    size_t at = strlen(told->text);

    snprintf(told->text + at, sizeof told->text - at, "%u=%.*s;", object, (int)len,
             (const char *)text);
}

static void identification_is_asked_for_as_the_manuals_say(void **state)
{
    (void)state;
    const uint8_t basic[] = {0x2B, 0x0E, 0x01, 0x00}; /* facts: frames */
    uint8_t pdu[MODBUS_PDU_MAX];

    assert_int_equal(modbus_build_identification(pdu, 1, 0), sizeof basic);
    assert_memory_equal(pdu, basic, sizeof basic);
}

static void identification_is_read_object_by_object(void **state)
{
    (void)state;
    static const uint8_t reply[] = {0x2B, 0x0E, 1,   0x82, 0xFF, 2,   2, 0,
                                    4,    'A',  'c', 'm',  'e',  0x1, 1, 'X'};
    struct told told = {""};
    uint8_t next = 0, level = 0;
    int exception = 0;

    assert_int_equal(
        modbus_parse_identification(reply, sizeof reply, tell, &told, &next, &level, &exception),
        GW_OK);
    assert_string_equal(told.text, "0=Acme;1=X;");
    assert_int_equal(next, 2);
    assert_int_equal(level, 2);
    for (size_t len = 0; len < sizeof reply; len++) {
        uint8_t *part = test_malloc(len + 1);

        memcpy(part, reply, len);
        told.text[0] = '\0';
        assert_int_not_equal(
            modbus_parse_identification(part, len, tell, &told, &next, &level, &exception), GW_OK);
        assert_string_equal(told.text, "");
        test_free(part);
    }
}

static void identification_may_be_refused(void **state)
{
    (void)state;
    static const uint8_t reply[] = {0xAB, 1};
    struct told told = {""};
    uint8_t next, level;
    int exception = 0;

    assert_int_equal(
        modbus_parse_identification(reply, sizeof reply, tell, &told, &next, &level, &exception),
        GW_E_REFUSED);
    assert_int_equal(exception, 1);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(function_23_writes_and_reads_the_same_registers),
        cmocka_unit_test(the_longest_requests_fit),
        cmocka_unit_test(no_reply_of_any_length_is_read_beyond_its_end),
        cmocka_unit_test(a_write_is_confirmed_by_its_echo_only),
        cmocka_unit_test(exceptions_have_names),
        cmocka_unit_test(identification_is_asked_for_as_the_manuals_say),
        cmocka_unit_test(identification_is_read_object_by_object),
        cmocka_unit_test(identification_may_be_refused),
    };
    struct CMUnitTest building[sizeof requests / sizeof requests[0]],
        parsing[sizeof replies / sizeof replies[0]];
    size_t n = 0, n_replies = 0;

    TABLE_TESTS(building, n, requests, builds);
    TABLE_TESTS(parsing, n_replies, replies, parses);
    return cmocka_run_group_tests_name("requests", building, NULL, NULL) +
           cmocka_run_group_tests_name("replies", parsing, NULL, NULL) +
           cmocka_run_group_tests_name("pdu", others, NULL, NULL);
}
