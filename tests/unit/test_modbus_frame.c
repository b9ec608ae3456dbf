/* Frames on the line. Vectors: facts of the field (device manuals named there) and the specification. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/frame.h"
#include "drivers/modbus/wire.h"

static const struct {
    const char *name;
    size_t len;
    uint8_t frame[24];
} sound_frames[] = {
    {"read coils", 8, {0x01, 0x01, 0x00, 0x00, 0x00, 0x08, 0x3D, 0xCC}},
    {"read coils reply", 6, {0x01, 0x01, 0x01, 0x05, 0x91, 0x8B}},
    {"read discrete", 8, {0x01, 0x02, 0x00, 0x00, 0x00, 0x0A, 0xF8, 0x0D}},
    {"read holding", 8, {0x01, 0x03, 0x0B, 0xB7, 0x00, 0x02, 0x76, 0x09}},
    {"read holding reply", 9, {0x01, 0x03, 0x04, 0x43, 0x66, 0x80, 0x00, 0x6E, 0x68}},
    {"read input", 8, {0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB}},
    {"write coil", 8, {0x01, 0x05, 0x00, 0x02, 0xFF, 0x00, 0x2D, 0xFA}},
    {"write register", 8, {0x01, 0x06, 0x00, 0x01, 0x01, 0xF4, 0xD8, 0x1D}},
    {"write coils", 10, {0x01, 0x0F, 0x00, 0x00, 0x00, 0x08, 0x01, 0xFF, 0xBE, 0xD5}},
    {"write coils reply", 8, {0x01, 0x0F, 0x00, 0x00, 0x00, 0x08, 0x54, 0x0D}},
    {"write registers reply", 8, {0x01, 0x10, 0x00, 0x1C, 0x00, 0x02, 0x80, 0x0E}},
    {"mask write", 10, {0x01, 0x16, 0x00, 0x04, 0x00, 0xF2, 0x00, 0x25, 0x67, 0xEE}},
    {"exception", 5, {0x01, 0x83, 0x02, 0xC0, 0xF1}},
    {"exception of a Delta drive", 5, {0x01, 0x86, 0x02, 0xC3, 0xA1}},
    {"Altivar request", 8, {0x02, 0x03, 0x0C, 0x1E, 0x00, 0x04, 0x27, 0x6C}},
    {"relay board, unit 255", 8, {0xFF, 0x05, 0x00, 0x00, 0xFF, 0x00, 0x99, 0xE4}},
    {"sensor reply", 9, {0x01, 0x03, 0x04, 0x01, 0x11, 0x02, 0x72, 0x2A, 0x8F}},
};

static void rtu_frames_are_those_of_the_manuals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sound_frames / sizeof sound_frames[0]; i++) {
        size_t len = sound_frames[i].len;
        const uint8_t *frame = sound_frames[i].frame;
        uint8_t made[MODBUS_RTU_FRAME_MAX];

        print_message("  %s\n", sound_frames[i].name);
        assert_int_equal(modbus_frame_rtu(made, frame[0], frame + 1, len - 3), len);
        assert_memory_equal(made, frame, len);
    }
}

static void a_manual_with_a_misprinted_crc_is_not_followed(void **state)
{
    (void)state;
    const uint8_t printed[] = {0x02, 0x10, 0x23, 0x29, 0x00, 0x02, 0x8F, 0xED};

    assert_int_equal(modbus_crc16(printed, 6), 0xB79B);
}

static void silence_is_that_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        int64_t baud, silence_us;
    } rows[] = {{1200, 32083}, {2400, 16041}, {4800, 8020},  {9600, 4010},
                {19200, 2005}, {38400, 1750}, {115200, 1750}};
    struct modbus_bus_conf conf = {.transport = MODBUS_RTU};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        conf.baud = rows[i].baud;
        assert_in_range(modbus_silence_us(&conf), rows[i].silence_us, rows[i].silence_us + 1);
    }
    conf.silence_us = 5000;
    assert_int_equal(modbus_silence_us(&conf), 5000);
}

static void a_character_is_as_long_as_its_bits(void **state)
{
    (void)state;
    struct modbus_bus_conf conf = {.transport = MODBUS_RTU,
                                   .baud = 9600,
                                   .parity = MODBUS_PARITY_NONE,
                                   .data_bits = 8,
                                   .stop_bits = 1};

    assert_int_equal(modbus_char_us(&conf, 96), 100000); /* 8N1: 10 bits */
    conf.parity = MODBUS_PARITY_EVEN;
    assert_int_equal(modbus_char_us(&conf, 96), 110000); /* 8E1: 11 bits */
}

/* The Altivar conversation: 4 registers at 3102 are 40, 600, 500, 0. */
static const uint8_t request[] = {0x02, 0x03, 0x0C, 0x1E, 0x00, 0x04, 0x27, 0x6C};
static const uint8_t reply[] = {0x02, 0x03, 0x08, 0x00, 0x28, 0x02, 0x58,
                                0x01, 0xF4, 0x00, 0x00, 0x52, 0xB0};
static const struct modbus_expect expect = {
    .unit = 2, .function = 3, .reply_len = 10, .sent = request, .sent_len = sizeof request};

static void the_reply_is_found(void **state)
{
    (void)state;
    struct modbus_seen seen = modbus_rtu_scan(reply, sizeof reply, &expect);

    assert_int_equal(seen.kind, MODBUS_SEEN_REPLY);
    assert_int_equal(seen.at, 0);
    assert_int_equal(seen.len, sizeof reply);
}

static void no_part_of_the_reply_is_a_reply(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof reply; len++) {
        struct modbus_seen seen = modbus_rtu_scan(reply, len, &expect);

        assert_int_equal(seen.kind, MODBUS_SEEN_NOTHING);
        assert_int_equal(seen.has_begun, len >= 2);
        assert_false(seen.is_reply_size);
    }
}

static void no_single_bit_flip_is_a_reply(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof reply; bit++) {
        uint8_t flipped[sizeof reply];

        memcpy(flipped, reply, sizeof reply);
        flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(modbus_rtu_scan(flipped, sizeof flipped, &expect).kind,
                             MODBUS_SEEN_REPLY);
    }
}

static void a_damaged_reply_is_known_as_one(void **state)
{
    (void)state;
    uint8_t bytes[sizeof reply];

    memcpy(bytes, reply, sizeof reply);
    bytes[5] ^= 1;
    struct modbus_seen seen = modbus_rtu_scan(bytes, sizeof bytes, &expect);
    assert_int_equal(seen.kind, MODBUS_SEEN_NOTHING);
    assert_true(seen.is_reply_size);
}

static void noise_before_the_reply_is_skipped(void **state)
{
    (void)state;
    const uint8_t noise[] = {0xFF, 0x00, 0x02, 0x03};
    uint8_t bytes[sizeof noise + sizeof reply];

    for (size_t n = 1; n <= sizeof noise; n++) {
        memcpy(bytes, noise, n);
        memcpy(bytes + n, reply, sizeof reply);
        struct modbus_seen seen = modbus_rtu_scan(bytes, n + sizeof reply, &expect);
        assert_int_equal(seen.kind, MODBUS_SEEN_REPLY);
        assert_int_equal(seen.at, n);
    }
}

static void the_echo_of_the_request_is_skipped(void **state)
{
    (void)state;
    uint8_t bytes[sizeof request + sizeof reply];

    memcpy(bytes, request, sizeof request);
    memcpy(bytes + sizeof request, reply, sizeof reply);
    struct modbus_seen seen = modbus_rtu_scan(bytes, sizeof bytes, &expect);
    assert_int_equal(seen.kind, MODBUS_SEEN_ECHO);
    assert_int_equal(seen.len, sizeof request);
}

static void an_echo_that_looks_like_a_reply_is_an_echo(void **state)
{
    (void)state;
    /* Reading 24 coils from 0x0300 on: the request has the shape of the reply, 3 bytes of coils. */
    uint8_t frame[MODBUS_RTU_FRAME_MAX];
    const uint8_t pdu[] = {0x01, 0x03, 0x00, 0x00, 0x18};
    size_t len = modbus_frame_rtu(frame, 1, pdu, sizeof pdu);
    struct modbus_expect coils = {
        .unit = 1, .function = 1, .reply_len = 5, .sent = frame, .sent_len = len};

    assert_int_equal(modbus_rtu_scan(frame, len, &coils).kind, MODBUS_SEEN_ECHO);
    coils.sent = NULL;
    assert_int_equal(modbus_rtu_scan(frame, len, &coils).kind, MODBUS_SEEN_REPLY);
}

static void on_a_line_that_echoes_the_first_copy_of_a_write_confirms_nothing(void **state)
{
    (void)state;
    const uint8_t *write = sound_frames[7].frame;
    struct modbus_expect confirm = {
        .unit = 1, .function = 6, .reply_len = 5, .sent = write, .sent_len = 8};

    assert_int_equal(modbus_rtu_scan(write, 8, &confirm).kind, MODBUS_SEEN_REPLY);
    confirm.must_skip_echo = true;
    assert_int_equal(modbus_rtu_scan(write, 8, &confirm).kind, MODBUS_SEEN_ECHO);
}

/* The energy reset of a PZEM: function 0x42, answered with the same bytes. */
static void a_raw_request_is_confirmed_by_the_reply_that_was_told(void **state)
{
    (void)state;
    const uint8_t reset[] = {0x01, 0x42, 0x80, 0x11}, done[] = {0x42, 0x00};
    uint8_t frame[MODBUS_RTU_FRAME_MAX];
    struct modbus_expect confirm = {.unit = 1,
                                    .function = 0x42,
                                    .reply_len = 1,
                                    .raw_reply = reset + 1,
                                    .sent = reset,
                                    .sent_len = sizeof reset};

    assert_int_equal(modbus_frame_rtu(frame, 1, reset + 1, 1), sizeof reset);
    assert_memory_equal(frame, reset, sizeof reset);
    assert_int_equal(modbus_rtu_scan(reset, 4, &confirm).kind, MODBUS_SEEN_REPLY);
    confirm.must_skip_echo = true;
    assert_int_equal(modbus_rtu_scan(reset, 4, &confirm).kind, MODBUS_SEEN_ECHO);
    confirm.must_skip_echo = false;
    confirm.raw_reply = done; /* answered otherwise: its own bytes are an echo */
    confirm.reply_len = sizeof done;
    assert_int_equal(modbus_rtu_scan(reset, 4, &confirm).kind, MODBUS_SEEN_ECHO);
    size_t len = modbus_frame_rtu(frame, 1, done, sizeof done);
    assert_int_equal(modbus_rtu_scan(frame, len, &confirm).kind, MODBUS_SEEN_REPLY);
    assert_int_equal(modbus_rtu_scan(frame, len - 1, &confirm).kind, MODBUS_SEEN_NOTHING);
    confirm.raw_reply = NULL; /* to any other request this is noise */
    assert_int_equal(modbus_rtu_scan(frame, len, &confirm).kind, MODBUS_SEEN_NOTHING);
}

static void sound_frames_of_others_are_foreign(void **state)
{
    (void)state;
    struct modbus_expect other = expect;

    other.unit = 3;
    assert_int_equal(modbus_rtu_scan(reply, sizeof reply, &other).kind, MODBUS_SEEN_FOREIGN);
    other = expect;
    other.function = 4;
    assert_int_equal(modbus_rtu_scan(reply, sizeof reply, &other).kind, MODBUS_SEEN_FOREIGN);
    other = expect;
    other.reply_len = 8;
    assert_int_equal(modbus_rtu_scan(reply, sizeof reply, &other).kind, MODBUS_SEEN_FOREIGN);
}

static void an_exception_is_a_reply(void **state)
{
    (void)state;
    const uint8_t *frame = sound_frames[12].frame;
    struct modbus_expect read = {.unit = 1, .function = 3, .reply_len = 10};

    assert_int_equal(modbus_rtu_scan(frame, 5, &read).kind, MODBUS_SEEN_REPLY);
    read.function = 4;
    assert_int_equal(modbus_rtu_scan(frame, 5, &read).kind, MODBUS_SEEN_FOREIGN);
}

/* The example of the specification (V1.1b3, 6.21): "Company identification", "Product code XX", "V2.11". */
static const char objects[] = "\x00\x16"
                              "Company identification"
                              "\x01\x0F"
                              "Product code XX"
                              "\x02\x05"
                              "V2.11";

static size_t identification_frame(uint8_t frame[MODBUS_RTU_FRAME_MAX])
{
    uint8_t pdu[MODBUS_PDU_MAX] = {0x2B, 0x0E, 0x01, 0x01, 0x00, 0x00, 0x03};

    memcpy(pdu + 7, objects, sizeof objects - 1);
    return modbus_frame_rtu(frame, 1, pdu, 7 + sizeof objects - 1);
}

static void a_reply_may_say_itself_how_long_it_is(void **state)
{
    (void)state;
    static const uint8_t server_id[] = {17, 3, 9, 0xFF, 'A'};
    struct modbus_expect wanted = {.unit = 1, .function = 17};
    uint8_t frame[MODBUS_RTU_FRAME_MAX];

    size_t len = modbus_frame_rtu(frame, 1, server_id, sizeof server_id);
    assert_int_equal(modbus_rtu_scan(frame, len, &wanted).kind, MODBUS_SEEN_REPLY);
    assert_int_equal(modbus_rtu_scan(frame, len, &wanted).len, len);
    wanted.function = 0x2B;
    len = identification_frame(frame);
    assert_int_equal(modbus_rtu_scan(frame, len, &wanted).kind, MODBUS_SEEN_REPLY);
    assert_int_equal(modbus_rtu_scan(frame, len, &wanted).len, len);
    for (size_t part = 0; part < len; part++)
        assert_int_equal(modbus_rtu_scan(frame, part, &wanted).kind, MODBUS_SEEN_NOTHING);
}

static void an_identification_longer_than_a_frame_is_none(void **state)
{
    (void)state;
    uint8_t frame[2 * MODBUS_RTU_FRAME_MAX] = {1, 0x2B, 0x0E, 1, 1, 0, 0, 2, 0, 200};
    const struct modbus_expect wanted = {.unit = 1, .function = 0x2B};

    frame[10 + 200] = 1;
    frame[11 + 200] = 60;
    uint16_t crc = modbus_crc16(frame, 272);
    frame[272] = (uint8_t)(crc & 0xFF);
    frame[273] = (uint8_t)(crc >> 8);
    assert_int_equal(modbus_rtu_scan(frame, 274, &wanted).kind, MODBUS_SEEN_NOTHING);
}

static void tcp_replies_are_checked_in_every_field(void **state)
{
    (void)state;
    const uint8_t sound[] = {0x12, 0x34, 0, 0, 0, 7, 9, 3, 4, 0x43, 0x66, 0x80, 0x00};
    const struct modbus_expect wanted = {
        .unit = 9, .function = 3, .reply_len = 6, .transaction = 0x1234};
    static const struct {
        size_t at;
        const char *reason;
    } rows[] = {{0, "wrong_transaction"}, {1, "wrong_transaction"}, {2, "wrong_protocol"},
                {3, "wrong_protocol"},    {4, "wrong_length"},      {5, "wrong_length"},
                {6, "wrong_unit"},        {7, "wrong_function"}};
    const char *reason = NULL;

    assert_int_equal(modbus_tcp_check(sound, sizeof sound, &wanted, &reason), GW_OK);
    assert_null(reason);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[sizeof sound];

        memcpy(bytes, sound, sizeof sound);
        bytes[rows[i].at] ^= 0x40;
        assert_int_equal(modbus_tcp_check(bytes, sizeof bytes, &wanted, &reason), GW_E_PROTO);
        assert_string_equal(reason, rows[i].reason);
    }
    for (size_t len = 0; len < sizeof sound; len++)
        assert_int_equal(modbus_tcp_check(sound, len, &wanted, &reason), GW_E_PROTO);
}

static void tcp_exceptions_and_their_length_are_checked(void **state)
{
    (void)state;
    uint8_t bytes[] = {0, 1, 0, 0, 0, 3, 9, 0x83, 11, 0};
    const struct modbus_expect wanted = {
        .unit = 9, .function = 3, .reply_len = 6, .transaction = 1};
    const char *reason = NULL;

    assert_int_equal(modbus_tcp_check(bytes, 9, &wanted, &reason), GW_OK);
    bytes[5] = 4;
    assert_int_equal(modbus_tcp_check(bytes, 10, &wanted, &reason), GW_E_PROTO);
    assert_string_equal(reason, "wrong_length");
}

static void tcp_frames_have_the_header_of_the_specification(void **state)
{
    (void)state;
    /* MODBUS Messaging on TCP/IP V1.0b, annex: reading one register at 4 of unit 255, transaction 0x1501. */
    const uint8_t pdu[] = {0x03, 0x00, 0x04, 0x00, 0x01};
    const uint8_t wanted[] = {0x15, 0x01, 0, 0, 0, 6, 0xFF, 0x03, 0x00, 0x04, 0x00, 0x01};
    uint8_t made[MODBUS_TCP_FRAME_MAX];

    assert_int_equal(modbus_frame_tcp(made, 0x1501, 0xFF, pdu, sizeof pdu), sizeof wanted);
    assert_memory_equal(made, wanted, sizeof wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rtu_frames_are_those_of_the_manuals),
        cmocka_unit_test(a_manual_with_a_misprinted_crc_is_not_followed),
        cmocka_unit_test(silence_is_that_of_the_specification),
        cmocka_unit_test(a_character_is_as_long_as_its_bits),
        cmocka_unit_test(the_reply_is_found),
        cmocka_unit_test(no_part_of_the_reply_is_a_reply),
        cmocka_unit_test(no_single_bit_flip_is_a_reply),
        cmocka_unit_test(a_damaged_reply_is_known_as_one),
        cmocka_unit_test(noise_before_the_reply_is_skipped),
        cmocka_unit_test(the_echo_of_the_request_is_skipped),
        cmocka_unit_test(an_echo_that_looks_like_a_reply_is_an_echo),
        cmocka_unit_test(on_a_line_that_echoes_the_first_copy_of_a_write_confirms_nothing),
        cmocka_unit_test(a_raw_request_is_confirmed_by_the_reply_that_was_told),
        cmocka_unit_test(sound_frames_of_others_are_foreign),
        cmocka_unit_test(an_exception_is_a_reply),
        cmocka_unit_test(a_reply_may_say_itself_how_long_it_is),
        cmocka_unit_test(an_identification_longer_than_a_frame_is_none),
        cmocka_unit_test(tcp_replies_are_checked_in_every_field),
        cmocka_unit_test(tcp_exceptions_and_their_length_are_checked),
        cmocka_unit_test(tcp_frames_have_the_header_of_the_specification),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
