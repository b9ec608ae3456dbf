/* M-Bus records against the telegrams of real meters, and against layouts of EN 13757-3 that those do not have. */
#include "tests/unit/serial_rig.h"

/* Where a row names a meter, its bytes and its values are those of github.com/rscada/libmbus, test/test-frames. */
static const char emh_diz[] =
    "68 21 21 68 08 01 72 02 37 62 00 A8 15 00 02 07 00 00 00 8C 10 04 09 04 00 00 C4 "
    "00 2A 00 00 00 00 01 FD 17 00 8C 16";
static const char abb_f95[] =
    "68 5E 5E 68 08 00 72 90 85 71 26 24 23 28 04 73 50 00 00 0C 05 00 00 00 00 0C 12 42 07 00 00 "
    "3C 2A DD B4 EB "
    "DD 3B 3A DD B4 EB 0A 5A 04 02 0A 5E 04 02 0A 62 00 00 04 6D 22 10 8D 11 4C 05 00 00 00 00 44 "
    "6D 3B 17 7E 14 "
    "44 ED 7E 3B 17 9E 14 8C 01 05 00 00 00 00 84 01 6D 3B 17 7F 1C 0B 26 53 65 08 04 16";
static const char saia_ale3[] = "68 92 92 68 08 28 72 55 00 00 19 43 4C 16 02 BF 00 00 00 8C 10 04 "
                                "93 02 00 00 8C 11 04 93 02 00 00 8C 20 04 "
                                "06 00 00 00 8C 21 04 06 00 00 00 02 FD C9 FF 01 DF 00 02 FD DB FF "
                                "01 00 00 02 AC FF 01 00 00 82 40 AC FF 01 "
                                "00 00 02 FD C9 FF 02 00 00 02 FD DB FF 02 00 00 02 AC FF 02 00 00 "
                                "82 40 AC FF 02 00 00 02 FD C9 FF 03 00 00 "
                                "02 FD DB FF 03 00 00 02 AC FF 03 00 00 82 40 AC FF 03 00 00 02 FF "
                                "68 00 00 02 AC FF 00 00 00 82 40 AC FF 00 "
                                "00 00 01 FF 14 00 0A 16";
static const char lgb_g350[] = "68 40 40 68 08 01 72 58 20 08 12 E2 30 40 03 40 00 00 00 2F 2F 4C "
                               "13 92 40 83 10 46 6D 00 00 08 16 27 00 0D "
                               "78 11 34 31 38 35 30 32 38 30 32 31 39 35 37 31 30 30 47 89 40 FD "
                               "1A 01 01 FD 17 00 01 FD 67 0F 38 16";

#define DEVICE(from)                                                                               \
    "      - { name: d, frame: { start: h, length_at: 1, length_add: 6, end: '\\x16', "            \
    "max_length: "                                                                                 \
    "261 }, checksum: { type: sum8, from: 4, at: -2 }, points: [{ name: v, from: '" from           \
    "' }] }\n"

static void assert_frame(const char *device, const uint8_t *bytes, size_t len, const char *want)
{
    struct rig rig;

    rig_load(&rig, device, NULL);
    rig_feed(&rig, bytes, len, 16);
    assert_int_equal(rig.n_frames, 1);
    rig_assert(&rig, device, "v", want);
    rig_done(&rig);
}

static void records_of_real_meters_are_what_their_makers_say(void **state)
{
    (void)state;
    static const struct {
        const char *telegram, *device, *want;
    } rows[] = {
        {emh_diz, DEVICE("mbus:id"), "00623702"},
        {emh_diz, DEVICE("mbus:manufacturer"), "EMH"},
        {emh_diz, DEVICE("mbus:medium"), "2"},
        {emh_diz, DEVICE("mbus:access"), "7"},
        {emh_diz, DEVICE("mbus:energy,tariff=1"), "4090"},
        {emh_diz, DEVICE("mbus:energy"), "null:no_value"}, /* there is none of all tariffs */
        {emh_diz, DEVICE("mbus:power,storage=1"), "0"},
        {emh_diz, DEVICE("mbus:power"), "null:no_value"},
        {emh_diz, DEVICE("mbus:error_flags"), "0"},
        {abb_f95, DEVICE("mbus:volume"), "0.0742"},
        {abb_f95, DEVICE("mbus:flow"), "null:no_value"}, /* it is one of during an error */
        {abb_f95, DEVICE("mbus:flow,function=error"), "null:bad_bcd"},
        {abb_f95, DEVICE("mbus:flow_temperature"), "20.4"},
        {abb_f95, DEVICE("mbus:datetime"), "2012-01-13T16:34:00"},
        {abb_f95, DEVICE("mbus:datetime,storage=1"), "2011-04-30T23:59:00"},
        {abb_f95, DEVICE("mbus:datetime,storage=1,vife=7E"), "2012-04-30T23:59:00"},
        {abb_f95, DEVICE("mbus:datetime,storage=2"), "2011-12-31T23:59:00"},
        {abb_f95, DEVICE("mbus:datetime,storage=3"), "null:no_value"},
        {abb_f95, DEVICE("mbus:operating_time"), "311590800"},
        {saia_ale3, DEVICE("mbus:energy,tariff=1"), "2930"},
        {saia_ale3, DEVICE("mbus:energy,tariff=1,storage=2"), "2930"},
        {saia_ale3, DEVICE("mbus:energy,tariff=2,storage=2"), "60"},
        {saia_ale3, DEVICE("mbus:voltage,vife=FF01"), "223"},
        {saia_ale3, DEVICE("mbus:voltage,vife=FF02"), "0"},
        {saia_ale3, DEVICE("mbus:voltage"), "null:no_value"}, /* of a phase, says the maker */
        {saia_ale3, DEVICE("mbus:power,unit=1,vife=FF03"), "0"},
        {lgb_g350, DEVICE("mbus:volume,storage=1"), "10834.092"},
        {lgb_g350, DEVICE("mbus:datetime,storage=1"), "2016-07-22T08:00:00"},
        {lgb_g350, DEVICE("mbus:fabrication_number"), "G0017591208205814"},
        {lgb_g350, DEVICE("mbus:vif=FD1A,unit=1"), "1"},
        {lgb_g350, DEVICE("mbus:vif=FD67"), "15"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[300];

        assert_frame(rows[i].device, bytes, rig_read_hex(rows[i].telegram, bytes), rows[i].want);
    }
}

/* Puts records behind the header of a meter, with lengths and checksum. */
static size_t make_telegram(const char *records, uint8_t *bytes)
{
    size_t n = rig_read_hex("68 00 00 68 08 01 72 01 00 00 00 A8 15 00 02 07 00 00 00", bytes);

    n += rig_read_hex(records, bytes + n);
    bytes[1] = bytes[2] = (uint8_t)(n - 4);
    bytes[n] = 0;
    for (size_t i = 4; i < n; i++)
        bytes[n] = (uint8_t)(bytes[n] + bytes[i]);
    bytes[n + 1] = 0x16;
    return n + 2;
}

/* By EN 13757-3:2018, tables 4 (data field), 10, 12, 14 and 15, and annex A. */
static void records_of_every_form_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *records, *device, *want;
    } rows[] = {
        {"01 5B 80", DEVICE("mbus:flow_temperature"), "null:not_available"},
        {"01 5B FF", DEVICE("mbus:flow_temperature"), "-1"},
        {"02 65 6A FF", DEVICE("mbus:external_temperature"), "-1.5"},
        {"03 03 FF FF 7F", DEVICE("mbus:energy"), "8388607"},
        {"04 13 15 CD 5B 07", DEVICE("mbus:volume"), "123456.789"},
        {"06 03 FF FF FF FF FF 7F", DEVICE("mbus:energy"), "140737488355327"},
        {"07 03 00 00 00 00 00 01 00 00", DEVICE("mbus:energy"), "1099511627776"},
        {"09 5B 25", DEVICE("mbus:flow_temperature"), "25"},
        {"0A 5A 05 F0", DEVICE("mbus:flow_temperature"), "-0.5"}, /* F: minus */
        {"0B 3B 56 34 12", DEVICE("mbus:flow"), "123.456"},
        {"0E 03 12 90 78 56 34 12", DEVICE("mbus:energy"), "123456789012"},
        {"05 2E 00 00 20 41", DEVICE("mbus:power"), "10000"}, /* 10.0 kW */
        {"0D 03 C2 34 12", DEVICE("mbus:energy"), "1234"},
        {"0D 03 D2 34 12", DEVICE("mbus:energy"), "-1234"},
        {"0D 03 E3 01 00 01", DEVICE("mbus:energy"), "65537"},
        {"08 03", DEVICE("mbus:energy"), "null:no_value"},
        {"0A 03 3A 12", DEVICE("mbus:energy"), "null:bad_bcd"},
        {"02 47 3C 00", DEVICE("mbus:flow"), "3600"},    /* 60 m3/min */
        {"02 49 05 00", DEVICE("mbus:flow"), "0.00018"}, /* 5e-8 m3/s */
        {"02 0E 05 00", DEVICE("mbus:energy_j"), "5000000"},
        {"02 FB 01 05 00", DEVICE("mbus:energy"), "5000000"}, /* 5 MWh */
        {"02 FB 09 05 00", DEVICE("mbus:energy_j"), "5000000000"},
        {"02 FD 46 FC 08", DEVICE("mbus:voltage"), "2.3"},
        {"02 21 05 00", DEVICE("mbus:on_time"), "300"},
        {"02 83 74 05 00", DEVICE("mbus:energy"), "0.05"},          /* x 10^-2 */
        {"02 83 7D 05 00", DEVICE("mbus:energy"), "5000"},          /* x 10^3 */
        {"02 83 3C 05 00", DEVICE("mbus:energy"), "null:no_value"}, /* only backward flow */
        {"02 83 3C 05 00", DEVICE("mbus:energy,vife=3C"), "5"},
        {"02 83 15 05 00", DEVICE("mbus:energy"), "null:not_available"},
        {"02 83 18 05 00", DEVICE("mbus:energy"), "null:instrument_error"},
        {"12 2B 05 00 22 2B 06 00 02 2B 07 00", DEVICE("mbus:power,function=max"), "5"},
        {"12 2B 05 00 22 2B 06 00 02 2B 07 00", DEVICE("mbus:power,function=min"), "6"},
        {"02 2B 05 00 02 2B 06 00", DEVICE("mbus:power,nth=2"), "6"},
        {"C2 9F 03 2B 05 00", DEVICE("mbus:power,storage=127,tariff=1"), "5"},
        {"02 FC 02 6D 68 00 03 00 02 2B 06 00", DEVICE("mbus:power"), "6"}, /* unit in plain text */
        {"01 FD 17 80", DEVICE("mbus:error_flags"), "128"},
        {"02 6C FF FF", DEVICE("mbus:date"), "null:bad_time"},
        {"04 6D A2 10 8D 11", DEVICE("mbus:datetime"), "null:bad_time"}, /* invalid, says its bit */
        {"2F 2F 02 2B 06 00 0F 02 2B 07 00", DEVICE("mbus:power,nth=2"), "null:no_value"},
        {"04 2B 05 00", DEVICE("mbus:power"), "null:no_value"}, /* it is cut off */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t bytes[300];

        assert_frame(rows[i].device, bytes, make_telegram(rows[i].records, bytes), rows[i].want);
    }
}

static void other_structures_have_no_records(void **state)
{
    (void)state;
    uint8_t bytes[300];

    size_t len = make_telegram("02 2B 06 00", bytes);
    bytes[6] = 0x73; /* fixed structure */
    bytes[len - 2]++;
    assert_frame(DEVICE("mbus:power"), bytes, len, "null:no_value");
    assert_frame(DEVICE("mbus:id"), bytes, len, "null:no_value");
    len = rig_read_hex("68 0B 0B 68 08 01 7A 07 00 00 00 02 2B 06 00 BD 16", bytes);
    assert_frame(DEVICE("mbus:power"), bytes, len, "6"); /* the short header */
}

static void mistakes_are_found_when_it_is_loaded(void **state)
{
    (void)state;
    static const struct {
        const char *device, *why;
    } rows[] = {
        {DEVICE("mbus:enrgy"), "\"enrgy\" is no M-Bus record"},
        {DEVICE("mbus:vif=AB12"), "\"vif=AB12\" is no M-Bus record"},
        {DEVICE("mbus:energy,storrage=1"), "\"storrage=1\" is none of storage=N"},
        {DEVICE("mbus:energy,nth=0"), "\"nth=0\" is none of"},
        {DEVICE("mbus:energy,function=mean"), "\"function=mean\" is none of"},
        {DEVICE("mbus:energy,vife=3"), "\"vife=3\" is none of"},
        {DEVICE("mbus:id,storage=1"), "\"storage=1\" is none of"},
        {DEVICE("mbus:energy', type: 'float32"), "an M-Bus record says itself of which type it is"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        rig_assert_wrong(rows[i].device, rows[i].why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_real_meters_are_what_their_makers_say),
        cmocka_unit_test(records_of_every_form_are_read),
        cmocka_unit_test(other_structures_have_no_records),
        cmocka_unit_test(mistakes_are_found_when_it_is_loaded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
