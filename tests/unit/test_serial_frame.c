/* Checksums by their published check values, texts to send by the frames of the specifications, and frames of all kinds. */
#include "drivers/serial/checksum.h"
#include "tests/unit/serial_rig.h"

static const uint8_t digits[] = "123456789";

/* Source: the catalogue of parametrised CRC algorithms: check is the CRC of "123456789". */
static void crcs_have_their_check_values(void **state)
{
    (void)state;
    assert_int_equal(serial_sum(SERIAL_CRC16_ARC, digits, 9), 0xBB3D);
    assert_int_equal(serial_sum(SERIAL_CRC16_MODBUS, digits, 9), 0x4B37);
    assert_int_equal(serial_sum(SERIAL_CRC16_CCITT, digits, 9), 0x29B1);
    assert_int_equal(serial_sum(SERIAL_CRC16_XMODEM, digits, 9), 0x31C3);
    assert_int_equal(serial_sum(SERIAL_CRC16_X25, digits, 9), 0x906E);
    assert_int_equal(serial_sum(SERIAL_CRC8, digits, 9), 0xF4);
    assert_int_equal(serial_sum(SERIAL_CRC8_MAXIM, digits, 9), 0xA1);
}

static void sums_are_those_of_published_frames(void **state)
{
    (void)state;
    static const uint8_t iec[] = "P0\x02(1234567)\x03", hart[] = {2, 0x80, 0, 0};
    static const uint8_t modbus_ascii[] = {1, 3, 0, 0, 0, 2};
    static const uint8_t iinst[] = "IINST 003", motdetat[] = "MOTDETAT 000000";

    assert_int_equal(serial_sum(SERIAL_XOR8, iec, sizeof iec - 1), 'P');  /* M05 */
    assert_int_equal(serial_sum(SERIAL_XOR8, hart, sizeof hart), 0x82);   /* A22 */
    assert_int_equal(serial_sum(SERIAL_NEG_SUM8, modbus_ascii, 6), 0xFA); /* A20 */
    assert_int_equal(serial_sum(SERIAL_TELEINFO, iinst, sizeof iinst - 1), 'Z');
    assert_int_equal(serial_sum(SERIAL_TELEINFO, motdetat, sizeof motdetat - 1), 'B');
    assert_int_equal(serial_sum(SERIAL_NEG_SUM16, digits, 9),
                     0x10000 - 477); /* 49 + ... + 57 = 477 */
}

/* Source: SDI-12 1.4, 4.4.12.3: "0+3.14OqZ" is the example of the specification. */
static void an_sdi12_crc_is_three_characters(void **state)
{
    (void)state;
    uint8_t text[4];
    uint16_t crc = serial_sum(SERIAL_CRC16_ARC, (const uint8_t *)"0+3.14", 6);

    assert_int_equal(serial_sum_write(SERIAL_CRC16_ARC, SERIAL_SDI12, crc, text), 3);
    assert_memory_equal(text, "OqZ", 3);
}

/* ---- what is sent ---------------------------------------------------------------------------------- */

static void assert_sent(const char *text, const struct serial_append_conf *sum, const char *address,
                        const char *value, const char *expected)
{
    struct serial_vars vars = {0};
    uint8_t buf[64], want[64];
    size_t len, n = 0;
    struct gw_driver_diag diag = {.text = ""};

    serial_vars_set(&vars, "address", address, strlen(address));
    serial_vars_set(&vars, "speed", value, strlen(value));
    if (serial_render(text, sum, &vars, buf, sizeof buf, &len, &diag) != GW_OK)
        fail_msg("%s: %s", text, diag.text);
    for (const char *p = expected; *p; p += strspn(p, " ")) {
        char *end;

        want[n++] = (uint8_t)strtoul(p, &end, 16);
        p = end;
    }
    assert_int_equal(len, n);
    assert_memory_equal(buf, want, n);
}

/* The vectors of direction tx in serial-samples. */
static void requests_are_those_of_the_specifications(void **state)
{
    (void)state;
    const struct serial_append_conf dlt = {.sum = SERIAL_SUM8, .from = 4};
    const struct serial_append_conf dlt_bare = {.sum = SERIAL_SUM8};
    const struct serial_append_conf mbus = {.sum = SERIAL_SUM8, .from = 1};
    const struct serial_append_conf winsen = {.sum = SERIAL_NEG_SUM8, .from = 1};
    const struct serial_append_conf xk = {.sum = SERIAL_XOR8, .encoding = SERIAL_HEX, .from = 1};

    assert_sent("\\x060${speed}0\\r\\n", NULL, "", "5", "06 30 35 30 0D 0A"); /* M03 */
    assert_sent("hex:FE FE FE FE 68 ${address:bcd} 68 11 04 33 33 34 33 ${checksum} 16", &dlt,
                "000000000161", "",
                "FE FE FE FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16"); /* M20 */
    assert_sent("hex:68 AA AA AA AA AA AA 68 13 00 ${checksum} 16", &dlt_bare, "", "",
                "68 AA AA AA AA AA AA 68 13 00 DF 16"); /* M25 */
    assert_sent("hex:10 5B ${address:byte} ${checksum} 16", &mbus, "1", "",
                "10 5B 01 5C 16"); /* M30 */
    assert_sent("hex:10 40 ${address:byte} ${checksum} 16", &mbus, "1", "", "10 40 01 41 16");
    assert_sent("hex:FF 01 86 00 00 00 00 00 ${checksum}", &winsen, "", "",
                "FF 01 86 00 00 00 00 00 79"); /* B04 */
    assert_sent("\\x02${address}B${checksum}\\x03", &xk, "A", "", "02 41 42 30 33 03");
    assert_sent("\xC3\xA4\xC2\x80", NULL, "", "",
                "E4 80"); /* "\xE4\x80" in double quotes of YAML */
}

static void a_moving_number_keeps_its_width_and_its_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *fraction, *text, *want;
    } rows[] = {
        {"0", "[${moving:8:-1.50:2}]", "[   -1.50]"},
        {"1", "[${moving:8:-1.50:2}]", "[    2.00]"},
        {"0.5", "[${moving:06:100:200}]", "[000150]"},
        {"0.25", "[${moving:1:0.0:10.0}]", "[2.5]"},
        {"0.5", "hex:41 ${moving:2:10:20} 0D", "A15\r"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct serial_vars vars = {0};
        uint8_t buf[64];
        size_t len;

        serial_vars_set(&vars, SERIAL_MOVING, rows[i].fraction, strlen(rows[i].fraction));
        assert_int_equal(serial_render(rows[i].text, NULL, &vars, buf, sizeof buf, &len, NULL),
                         GW_OK);
        assert_int_equal(len, strlen(rows[i].want));
        assert_memory_equal(buf, rows[i].want, len);
    }
}

static void a_text_that_cannot_be_sent_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"\\q", "\"\\q\" is none of \\r \\n \\t \\0 \\e \\\\ \\xHH"},
        {"${nobody}", "${nobody} is unknown here"},
        {"${address", "\"${address\" is not closed or has no name"},
        {"${checksum}", "${checksum} is not declared: its \"type\" is missing"},
        {"${address:hex}", "${address:hex}: after the colon stands bcd or byte"},
        {"hex:4", "\"4\" is no byte of two hexadecimal digits"},
        {"\xE2\x82\xAC", "\"\xE2\x82\xAC\" is no byte"},
    };
    struct serial_vars vars = {0};

    serial_vars_set(&vars, "address", "1", 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gw_driver_diag diag = {.text = ""};
        uint8_t buf[64];
        size_t len;

        assert_int_equal(serial_render(rows[i].text, NULL, &vars, buf, sizeof buf, &len, &diag),
                         GW_E_CONFIG);
        assert_string_equal(diag.text, rows[i].why);
    }
}

/* M02: the meter says 5, which is 9600 baud (IEC 62056-21, 6.3.2). M33: an M-Bus meter says E5. */
static void the_speed_of_a_meter_comes_from_its_identification(void **state)
{
    (void)state;
    static const uint8_t said[] = "/LGZ52ZMD120APt.G03\r\n";
    struct rig rig;
    struct serial_vars vars = {0};

    rig_template(&rig, "iec62056-21-c", "-");
    const struct serial_poll_conf *poll = rig.conf->polls.items;
    const struct serial_step_conf *step = poll->steps.items;
    size_t pattern = serial_reader_pattern(&rig.reader, step->expect);

    assert_true(serial_reader_fits(&rig.reader, pattern, said, sizeof said - 1));
    serial_vars_take(&vars, &rig.reader, pattern, said);
    assert_int_equal(serial_baud(poll->baud_after, &vars), 9600);
    assert_int_equal(serial_baud(step->baud, &vars), 300);
    assert_string_equal(vars.vars[0].name, "ident"); /* names in the order of the alphabet */
    assert_string_equal(vars.vars[0].value, "2ZMD120APt.G03");
    assert_string_equal(vars.vars[1].value, "LGZ");
    rig_done(&rig);
}

/* ---- frames ---------------------------------------------------------------------------------------- */

#define DEVICE(keys) "      - { name: d, " keys " }\n"

static void assert_last(const char *device, const char *said, size_t len, const char *point,
                        const char *want)
{
    struct rig rig;

    rig_load(&rig, device, NULL);
    rig_feed(&rig, (const uint8_t *)said, len, 3);
    rig_idle(&rig);
    rig_assert(&rig, device, point, want);
    rig_done(&rig);
}
#define SAID(text) text, sizeof text - 1

static void frames_end_in_every_declared_way(void **state)
{
    (void)state;
    assert_last(DEVICE("frame: { end: '\\r\\n | \\n' }, points: [{ name: v, from: frame }]"),
                SAID("7\n"), "v", "7");
    assert_last(DEVICE("frame: { idle: 20ms }, points: [{ name: v, from: frame }]"), SAID("16.02"),
                "v", "16.02");
    assert_last(
        DEVICE("frame: { start: 'hex:AA', length_at: 1, length_size: 2, length_order: little, "
               "length_add: 3 }, points: [{ name: v, from: byte:3 }]"),
        SAID("\xAA\x01\x00\x2A"), "v", "42");
    assert_last(
        DEVICE("frame: { start: ':', end: '\\r\\n' }, hex: true, checksum: { type: lrc, from: 1 }, "
               "points: [{ name: v, from: byte:6 }]"),
        SAID(":010300000002FA\r\n"), "v", "2"); /* A20 */
}

static void a_frame_whose_end_was_lost_gives_way_to_the_next(void **state)
{
    (void)state;
    assert_last(
        DEVICE("frame: { start: '\\x02', end: '\\x03' }, points: [{ name: v, from: frame }]"),
        SAID("\x02"
             "12\x02"
             "34\x03"),
        "v", "34");
}

static void a_toledo_checksum_may_equal_a_start(void **state)
{
    (void)state;
    /* The digits are chosen so that the two's complement of the 7-bit sum is 02. */
    uint8_t frame[18] = "\x02+0 000000000000\r";
    struct rig rig;

    for (size_t i = 4; i < 16 && serial_sum(SERIAL_NEG_SUM7, frame, 17) != 0x02;)
        if (frame[i] < '9')
            frame[i]++;
        else
            i++;
    while (serial_sum(SERIAL_NEG_SUM7, frame, 17) != 0x02 && frame[3] < 0x3F)
        frame[3]++;
    frame[17] = (uint8_t)serial_sum(SERIAL_NEG_SUM7, frame, 17);
    assert_int_equal(frame[17], 0x02);
    rig_template(&rig, "toledo-continuous", "-");
    for (int i = 0; i < 3; i++)
        rig_feed(&rig, frame, 18, 5);
    assert_int_equal(rig.n_frames, 3);
    assert_int_equal(rig.stream->counters.n_bad_checksums, 0);
    rig_done(&rig);
}

static void a_toledo_without_checksum_is_read_too(void **state)
{
    (void)state;
    const uint8_t frame[] = "\x02+0 001234000000\r";
    struct rig rig;

    rig_template(&rig, "toledo-continuous", "-");
    for (int i = 0; i < 3; i++)
        rig_feed(&rig, frame, 17, 4);
    rig_idle(&rig);
    assert_int_equal(rig.n_frames, 3);
    rig_assert(&rig, "W20", "weight", "123.4");
    rig_done(&rig);
}

/* ---- places and numbers ---------------------------------------------------------------------------- */

#define LINE_OF(point) DEVICE("frame: { end: '\\n' }, points: [{ name: v, " point " }]")

static void numbers_are_read_as_instruments_write_them(void **state)
{
    (void)state;
    assert_last(LINE_OF("from: frame"), SAID("-    58.237\n"), "v", "-58.237");
    assert_last(LINE_OF("from: frame"), SAID("  58.5 -\n"), "v", "-58.5");
    assert_last(LINE_OF("from: frame"), SAID("1.2E-3\n"), "v", "0.0012");
    assert_last(LINE_OF("from: frame"), SAID("-0.00\n"), "v", "0");
    assert_last(LINE_OF("from: frame"), SAID("123456789012345678\n"), "v", "123456789012345678");
    assert_last(LINE_OF("from: frame"), SAID("1,234.5\n"), "v", "null:bad_number");
    assert_last(LINE_OF("from: frame"), SAID("12 34\n"), "v", "null:bad_number");
    assert_last(LINE_OF("from: frame"), SAID("nan\n"), "v", "null:bad_number");
    assert_last(LINE_OF("from: frame, decimal_comma: true"), SAID("-0,7\n"), "v", "-0.7");
    assert_last(LINE_OF("from: frame, scale: 0.01"), SAID("1234\n"), "v", "12.34");
    assert_last(LINE_OF("from: column:1-4, decimals_from: column:5"), SAID("12342\n"), "v",
                "12.34");
    assert_last(LINE_OF("from: frame, type: degrees"), SAID("4860.000\n"), "v", "null:bad_number");
    assert_last(LINE_OF("from: frame, type: hex"), SAID("1F\n"), "v", "31");
    assert_last(LINE_OF("from: frame, type: time, format: YYMMDD"), SAID("260230\n"), "v",
                "null:bad_time");
}

static void places_are_found(void **state)
{
    (void)state;
    assert_last(LINE_OF("from: field:2, type: text"), SAID("1,\"a,b\",3\n"), "v", "a,b");
    assert_last(LINE_OF("from: field:4"), SAID("1,2,3\n"), "v", "null:no_value");
    assert_last(LINE_OF("from: key:b, separator: ';'"), SAID("ab=1; b=2\n"), "v", "2");
    assert_last(LINE_OF("from: json:/a/1/b~1c"), SAID("{\"a\":[0,{\"b/c\":0.10}]}\n"), "v", "0.1");
    assert_last(LINE_OF("from: json:/a"), SAID("{\"a\":1\n"), "v", "null:no_value");
    assert_last(LINE_OF("from: json:/a"), SAID("{\"a\":null}\n"), "v", "null:no_value");
    assert_last(LINE_OF("from: 'obis:1.8.0'"), SAID("11.8.0(9)1.8.0(5*kWh)\n"), "v", "5");
    assert_last(LINE_OF("from: byte:0-1, type: bcd, order: little"), SAID("\x34\x12\n"), "v",
                "1234");
    assert_last(LINE_OF("from: byte:0-1, type: bcd"), SAID("\x1A\x12\n"), "v", "null:bad_bcd");
    assert_last(LINE_OF("from: byte:0-1, type: bcd_signed, order: little"), SAID("\x34\x92\n"), "v",
                "-1234");
    assert_last(LINE_OF("from: byte:0, type: int16"), SAID("\xFF\xFE\n"), "v", "-2");
    assert_last(LINE_OF("from: byte:0&0x30"), SAID("\x2F\n"), "v", "2");
}

/* Source: ISO 8859-1, code page 1251; U+FFFD in UTF-8 is EF BF BD. */
static void texts_are_utf8_whatever_comes(void **state)
{
    (void)state;
    assert_last(LINE_OF("from: frame, type: text"),
                SAID("a\xB0"
                     "b\n"),
                "v",
                "a\xEF\xBF\xBD"
                "b");
    assert_last(DEVICE("charset: latin-1, frame: { end: '\\n' }, points: [{ name: v, from: frame, "
                       "type: text }]"),
                SAID("\xB0"
                     "C\n"),
                "v",
                "\xC2\xB0"
                "C");
    assert_last(DEVICE("charset: cp1251, frame: { end: '\\n' }, points: [{ name: v, from: frame, "
                       "type: text }]"),
                SAID("\xEA\xE3\n"), "v", "\xD0\xBA\xD0\xB3"); /* kg in Cyrillic letters */
}

#define GBK(keys)                                                                                  \
    DEVICE("charset: gbk, separator: '|', frame: { end: '\\n' }, points: [{ name: v, " keys        \
           ", type: text }]")

/* Source: GB 2312-80, row and cell, each + A0: weight is 54-56 33-31, stable is 46-40 22-08, degree Celsius is 01-70. The
 * first character beyond it in GBK, 81 40, is U+4E02. */
static void chinese_texts_are_utf8_too(void **state)
{
    (void)state;
    assert_last(GBK("from: 'field:2'"), SAID("1|\xD6\xD8\xC1\xBF|2\n"), "v", "重量");
    assert_last(GBK("from: frame, words: ['稳定=stable', '动态=moving']"),
                SAID("\xCE\xC8\xB6\xA8\n"), "v", "stable");
    assert_last(GBK("from: frame"), SAID("21.5\xA1\xE6\n"), "v", "21.5℃");
    assert_last(GBK("from: frame"), SAID("\x81\x40\n"), "v", "丂"); /* its second byte is an @ */
    /* half a character at the end, and a byte that begins none */
    assert_last(GBK("from: frame"), SAID("kg\xD6\n"), "v", "kg\xEF\xBF\xBD");
    assert_last(GBK("from: frame"), SAID("\xFFkg\n"), "v", "\xEF\xBF\xBDkg");
}

/* A text that is longer than a message may hold is cut between characters: 3 bytes of UTF-8 for 2. */
static void a_long_chinese_text_is_cut_between_characters(void **state)
{
    (void)state;
    char said[241];
    struct rig rig;

    for (size_t i = 0; i < 240; i += 2)
        memcpy(said + i, "\xD6\xD8", 2);
    said[240] = '\n';
    rig_load(&rig, GBK("from: frame"), NULL);
    rig_feed(&rig, (const uint8_t *)said, sizeof said, 64);

    const struct gw_value *value = &rig.last[0].value;
    assert_int_equal(value->kind, GW_TEXT);
    assert_int_equal(value->text.len, SERIAL_TEXT_MAX / 3 * 3);
    assert_memory_equal(value->text.p + value->text.len - 3, "重", 3);
    rig_done(&rig);
}

static void only_stable_makes_unstable_values_none(void **state)
{
    (void)state;
    assert_last(DEVICE("template: mettler-mt-sics, only_stable: true"),
                SAID("S D     100.00 g\r\n"), "weight", "null:unstable");
    assert_last(DEVICE("template: mettler-mt-sics"), SAID("S D     100.00 g\r\n"), "weight", "100");
}

static void a_pattern_that_could_run_for_ever_does_not_fit(void **state)
{
    (void)state;
    char line[202];
    struct rig rig;

    memset(line, 'a', 200);
    line[200] = 'b', line[201] = '\n';
    rig_load(&rig, LINE_OF("match: '^(a+)+$', from: frame, type: text"), NULL);
    rig_feed(&rig, (const uint8_t *)line, sizeof line, 64);
    assert_int_equal(rig.n_frames, 0);
    assert_int_equal(rig.stream->counters.n_unmatched, 1);
    rig_done(&rig);
}

/* ---- mistakes --------------------------------------------------------------------------------------- */

static void mistakes_of_a_declaration_are_found_when_it_is_loaded(void **state)
{
    (void)state;
    static const struct {
        const char *device, *why;
    } rows[] = {
        {DEVICE("points: [{ name: v, from: frame }]"),
         "frame has no \"end\", \"length\", \"length_at\" or \"idle\""},
        {DEVICE("frame: { length: 4, idle: 20ms }, points: [{ name: v, from: frame }]"),
         "more than once how it ends"},
        {LINE_OF("match: '^(', from: frame"), "pattern \"^(\" is wrong at character 3"},
        {LINE_OF("match: '^a', from: group:x"), "the pattern has no group (?<x>...)"},
        {LINE_OF("from: group:x"), "group:x needs a pattern: match"},
        {LINE_OF("from: collumn:3"), "\"collumn:3\" is no place"},
        {LINE_OF("from: column:0"), "\"0\" must be a number from 1 on"},
        {LINE_OF("from: frame, type: uint16"), "this type is for bytes"},
        {LINE_OF("from: frame, type: time"), "a time needs a \"format\""},
        {LINE_OF("type: text"), "the point has no \"from\""},
        {DEVICE("frame: { end: x, strat: y }, points: [{ name: v, from: frame }]"),
         "unknown key \"strat\" in \"frame\"; did you mean \"start\"?"},
        {DEVICE("frame: x, points: [{ name: v, from: frame }]"),
         "\"frame\" must be a mapping of keys, not \"x\""},
        {DEVICE("frame: { end: x }, poll: [{ name: a }], points: [{ name: v, from: frame }]"),
         "an entry of \"poll\" has no \"send\""},
        {DEVICE(
             "frame: { end: x }, poll: { send: '${adress}' }, points: [{ name: v, from: frame }]"),
         "${adress} is unknown here"},
        {DEVICE("frame: { end: x }, poll: { send: a }, points: [{ name: v, from: frame, request: b "
                "}]"),
         "there is no poll of the name \"b\""},
        {DEVICE(
             "frame: { end: x }, poll: { send: '${moving:5:1.0:2.0}' }, points: [{ name: v, from: "
             "frame }]"),
         "${moving} is unknown here"}, /* it is of samples only */
        {DEVICE("frame: { end: x }, samples: ['${moving:5:2.0:1.0}'], points: [{ name: v, from: "
                "frame }]"),
         "${moving:5:2.0:1.0}: behind the colon stands WIDTH:LOW:HIGH"},
        {DEVICE("frame: { end: x }, samples: ['A${checksum}'], points: [{ name: v, from: frame }]"),
         "${checksum} is not declared"},
        {LINE_OF("write_text: A, write_reply: B, write_sample: '${valeu}'"),
         "${valeu} is unknown here"},
        {DEVICE("frame: { end: x, max_length: 0 }, points: [{ name: v, from: frame }]"),
         "max_length 0 is out of range"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        rig_assert_wrong(rows[i].device, rows[i].why);
}

/* A mapping given again changes only the keys that it has; a list is replaced. */
static void a_device_changes_single_keys_of_its_templates_mappings(void **state)
{
    (void)state;
    struct rig rig;

    rig_load(&rig,
             DEVICE("template: dsmr-p1, frame: { max_length: 500 }, checksum: { required: false }"),
             NULL);
    assert_int_equal(rig.conf->frame.max_length, 500);
    assert_int_equal(rig.conf->frame.start.bytes[0], '/');
    assert_int_equal(rig.conf->checksum.sum, SERIAL_CRC16_ARC);
    assert_false(rig.conf->checksum.is_required);
    rig_done(&rig);
    rig_load(&rig, DEVICE("template: radwag, conditions: { match: x, reason: overload }"), NULL);
    assert_int_equal(rig.conf->conditions.n_items, 1);
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crcs_have_their_check_values),
        cmocka_unit_test(sums_are_those_of_published_frames),
        cmocka_unit_test(an_sdi12_crc_is_three_characters),
        cmocka_unit_test(requests_are_those_of_the_specifications),
        cmocka_unit_test(a_moving_number_keeps_its_width_and_its_decimals),
        cmocka_unit_test(a_text_that_cannot_be_sent_says_why),
        cmocka_unit_test(the_speed_of_a_meter_comes_from_its_identification),
        cmocka_unit_test(frames_end_in_every_declared_way),
        cmocka_unit_test(a_frame_whose_end_was_lost_gives_way_to_the_next),
        cmocka_unit_test(a_toledo_checksum_may_equal_a_start),
        cmocka_unit_test(a_toledo_without_checksum_is_read_too),
        cmocka_unit_test(numbers_are_read_as_instruments_write_them),
        cmocka_unit_test(places_are_found),
        cmocka_unit_test(texts_are_utf8_whatever_comes),
        cmocka_unit_test(chinese_texts_are_utf8_too),
        cmocka_unit_test(a_long_chinese_text_is_cut_between_characters),
        cmocka_unit_test(only_stable_makes_unstable_values_none),
        cmocka_unit_test(a_pattern_that_could_run_for_ever_does_not_fit),
        cmocka_unit_test(mistakes_of_a_declaration_are_found_when_it_is_loaded),
        cmocka_unit_test(a_device_changes_single_keys_of_its_templates_mappings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
