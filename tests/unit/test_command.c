/* Commands: payloads become checked values or are refused with a stable code; results are JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "gateway/command.h"
#include "gateway/json.h"
#include "gateway/number.h"
#include "tests/unit/values.h"

enum { SPEED, MODE, ENABLE, LABEL, COUNTER, HEAT, LEVEL, CHOICE, OFFSET, N_POINTS };

static const struct gw_enum_name modes[] = {{0, "off"}, {1, "manual"}, {7, "auto"}};
static const struct gw_value choices[] = {
    {.kind = GW_DECIMAL, .dec = {0, 0}},
    {.kind = GW_DECIMAL, .dec = {25, 0}},
    {.kind = GW_DECIMAL, .dec = {50, 0}},
};
static const struct gw_write_conf plain, chosen = {.allowed = choices, .n_allowed = 3};

#define U16       .traits = {.kind = GW_UINT, .raw_max = 65535, .can_write = true}
#define ONE       .scale = {1, 0}, .decimals = -1
#define HUNDREDTH .scale = {1, -2}, .decimals = -1

static struct gw_point_conf points[N_POINTS] = {
    [SPEED] = {.name = "speed",
               U16,
               .write = &plain,
               .map = &(const struct gw_map){HUNDREDTH, .unit = "Hz", .has_min = true,
                                             .has_max = true, .max = 50, .step = 0.1}},
    [MODE] = {.name = "mode",
              U16,
              .write = &plain,
              .map = &(const struct gw_map){ONE, .enums = modes, .n_enums = 3}},
    [ENABLE] = {.name = "enable",
                .traits = {.kind = GW_BOOL, .raw_max = 1},
                .write = &plain,
                .map = &(const struct gw_map){ONE}},
    [LABEL] = {.name = "label",
               .traits = {.kind = GW_TEXT},
               .write = &plain,
               .map = &(const struct gw_map){ONE}},
    [COUNTER] = {.name = "counter",
                 .traits = {.kind = GW_UINT, .raw_max = 18446744073709551615.0},
                 .write = &plain,
                 .map = &(const struct gw_map){ONE}},
    [HEAT] = {.name = "heat",
              .traits = {.kind = GW_FLOAT32},
              .write = &plain,
              .map = &(const struct gw_map){ONE}},
    [LEVEL] = {.name = "level", U16, .map = &(const struct gw_map){ONE}},
    [CHOICE] = {.name = "choice", U16, .write = &chosen, .map = &(const struct gw_map){ONE}},
    [OFFSET] = {.name = "offset",
                .traits = {.kind = GW_INT, .raw_min = -32768, .raw_max = 32767},
                .write = &plain,
                .map =
                    &(const struct gw_map){.scale = {5, -1}, .offset = {-40, 0}, .decimals = -1}},
};
static const struct gw_device_conf device = {
    .name = "pump", .points = points, .n_points = N_POINTS};

static struct gw_command command;
static char why[GW_COMMAND_WHY];

static enum gw_command_code parse(int point, const char *payload)
{
    size_t len = strlen(payload);
    char *copy =
        malloc(len ? len : 1); /* exactly as long, so that a sanitizer sees what is read beyond */

    memcpy(copy, payload, len);
    enum gw_command_code code = gw_command_parse(&device, point, copy, len, &command, why);
    free(copy);
    return code;
}

/* ---- what is accepted ------------------------------------------------------------------------------ */

struct accepted {
    int point;
    const char *payload, *value; /* as a number prints, or the text */
};

static const struct accepted accepted[] = {
    {SPEED, "40", "40"},
    {SPEED, " 40.1 \n", "40.1"},
    {SPEED, "4.01e1", "40.1"},
    {SPEED, "0", "0"},
    {SPEED, "50", "50"},
    {SPEED, "{\"value\":12.5}", "12.5"},
    {MODE, "auto", "auto"},
    {MODE, "\"auto\"", "auto"},
    {MODE, "7", "7"},
    {MODE, "{\"value\":\"m\\u0061nual\"}", "manual"},
    {ENABLE, "true", "true"},
    {ENABLE, "false", "false"},
    {ENABLE, "1", "1"},
    {LABEL, "pump 3", "pump 3"},
    {LABEL, "0042", "0042"},
    {LABEL, "12", "12"},
    {LABEL, "true", "true"},
    {LABEL, "\"12\"", "12"},
    {LABEL, "{\"value\":\"K\\u00fchler\"}", "K\xc3\xbchler"},
    {COUNTER, "18446744073709551615", "18446744073709551615"},
    {COUNTER, "9007199254740993", "9007199254740993"},
    {HEAT, "21.5", "21.5"},
    {HEAT, "-1e-30", "-1e-30"},
    {CHOICE, "25.0", "25"},
    {OFFSET, "-40.5", "-40.5"},
};

static void a_value_that_fits_is_taken(void **state)
{
    const struct accepted *row = *state;
    char text[GW_NUMBER_TEXT];

    if (parse(row->point, row->payload) != GW_COMMAND_OK)
        fail_msg("%s: %s", row->payload, why);

    assert_int_equal(command.values.n, 1);
    assert_int_equal(command.values.items[0].point, row->point);
    struct gw_value value = gw_command_value(&command.values, 0);
    if (value.kind == GW_TEXT) {
        assert_int_equal(value.text.len, strlen(row->value));
        assert_memory_equal(value.text.p, row->value, value.text.len);
    } else {
        gw_number_print(&value, text);
        assert_string_equal(text, row->value);
    }
}

/* ---- what is refused ------------------------------------------------------------------------------- */

struct refused {
    int point;
    const char *payload, *code, *sentence;
};

#define ALL GW_COMMAND_ONE_DEVICE

static const struct refused refused[] = {
    {SPEED, "", "bad_payload", "not JSON"},
    {SPEED, "fast", "bad_payload",
     "neither JSON nor a plain value for speed, which takes a number such as 40.1"},
    {ENABLE, "ON", "bad_payload", "for enable, which takes true or false"},
    {SPEED, "4O", "bad_payload", "neither"},
    {SPEED, "0x20", "bad_payload", "neither"},
    {SPEED, "04", "bad_payload", "neither"},
    {SPEED, "+4", "bad_payload", "neither"},
    {SPEED, "4,5", "bad_payload", "neither"},
    {SPEED, "4 5", "bad_payload", "neither"},
    {SPEED, "NaN", "bad_payload", "neither"},
    {SPEED, "Infinity", "bad_payload", "neither"},
    {SPEED, "{\"value\":40", "bad_payload", "not JSON"},
    {SPEED, "{\"value\":40}}", "bad_payload", "not JSON"},
    {SPEED, "{'value':40}", "bad_payload", "not JSON"},
    {SPEED, "{\"value\":40,}", "bad_payload", "not JSON"},
    {SPEED, "{\"value\":\"\xff\"}", "bad_payload", "not JSON"},
    {SPEED, "{\"value\":\"\\ud800\"}", "bad_payload", "not JSON"},
    {SPEED, "{}", "bad_payload", "there is no \"value\""},
    {SPEED, "{\"id\":\"a\"}", "bad_payload", "there is no \"value\""},
    {SPEED, "{\"value\":1,\"value\":2}", "duplicate_key", "twice"},
    {SPEED, "{\"value\":1,\"v\\u0061lue\":2}", "duplicate_key", "twice"},
    {SPEED, "{\"value\":1,\"force\":true}", "unknown_key", "\"force\""},
    {SPEED, "[[[[[[[[[1]]]]]]]]]", "too_deep", "8 deep"},
    {SPEED, "{\"value\":[1]}", "wrong_type", "number"},
    {SPEED, "{\"value\":{\"value\":1}}", "wrong_type", "number"},
    {SPEED, "[40]", "wrong_type", "number"},
    {SPEED, "null", "wrong_type", "null"},
    {SPEED, "true", "wrong_type", "true or false"},
    {SPEED, "\"40\"", "wrong_type", "a number, not a text"},
    {SPEED, "50.1", "out_of_range", "50.1 is above the maximum 50 Hz of speed"},
    {SPEED, "-0.1", "out_of_range", "-0.1 is below the minimum 0 Hz of speed"},
    {SPEED, "1e300", "out_of_range", "above the maximum"},
    {SPEED, "40.05", "off_step", "step 0.1"},
    {SPEED, "{\"value\":1,\"id\":\"\"}", "bad_id", "1 to 64 bytes"},
    {SPEED, "{\"value\":1,\"id\":1.5}", "bad_id", "1 to 64 bytes"},
    {SPEED, "{\"value\":1,\"id\":true}", "bad_id", "1 to 64 bytes"},
    {SPEED, "{\"value\":1,\"id\":\"a\\nb\"}", "bad_id", "control"},
    {SPEED, "{\"value\":1,\"expires\":-1}", "bad_expiry", "expires"},
    {SPEED, "{\"value\":1,\"expires\":\"tomorrow\"}", "bad_expiry", "expires"},
    {SPEED, "{\"value\":1,\"expires\":\"2026-02-30T00:00:00Z\"}", "bad_expiry", "expires"},
    {SPEED, "{\"value\":1,\"expires\":\"2026-01-01T00:00:00\"}", "bad_expiry", "expires"},
    {MODE, "running", "unknown_name", "mode takes off, manual, auto"},
    {MODE, "3", "unknown_name", "no name for 3"},
    {MODE, "70000", "out_of_range", "does not fit"},
    {MODE, "true", "wrong_type", "true or false"},
    {ENABLE, "2", "out_of_range", "1 or 0"},
    {ENABLE, "\"true\"", "wrong_type", "true or false"},
    {LABEL, "{\"value\":12}", "wrong_type", "takes a text"},
    {LABEL,
     "a\x01"
     "b",
     "bad_payload", "not a text"},
    {LABEL, "a\xc3", "bad_payload", "not a text"},
    {COUNTER, "18446744073709551616", "not_exact", "more digits"},
    {COUNTER, "1.5", "not_exact", "steps are 1"},
    {COUNTER, "3.00000000000000000000001", "not_exact", "more digits"},
    {COUNTER, "-1", "out_of_range", "does not fit"},
    {HEAT, "1e39", "out_of_range", "does not fit"},
    {LEVEL, "1", "read_only", "level is read only"},
    {CHOICE, "26", "not_allowed", "allowed values of choice"},
    {OFFSET, "-40.2", "not_exact", "its steps are 0.5"},
    {OFFSET, "16344", "out_of_range", "does not fit"},
    {ALL, "40", "bad_payload", "an object of points"},
    {ALL, "[]", "bad_payload", "an object of points"},
    {ALL, "{}", "bad_payload", "no value in it"},
    {ALL, "{\"values\":{}}", "bad_payload", "no value in it"},
    {ALL, "{\"speed\":40,\"sped\":41}", "unknown_point", "no point \"sped\""},
    {ALL, "{\"speed\":40,\"level\":1}", "read_only", "level is read only"},
    {ALL, "{\"speed\":40,\"mode\":\"on\"}", "unknown_name", "mode takes"},
    {ALL, "{\"values\":{\"speed\":40},\"ttl\":1}", "unknown_key", "\"ttl\""},
};

static void what_does_not_fit_is_refused(void **state)
{
    const struct refused *row = *state;
    enum gw_command_code code = parse(row->point, row->payload);

    if (strcmp(gw_command_code_str(code), row->code) != 0 || !strstr(why, row->sentence))
        fail_msg("%s: %s (%s), not %s (%s)", row->payload, gw_command_code_str(code), why,
                 row->code, row->sentence);
}

static void a_payload_of_more_than_4_kib_is_refused(void **state)
{
    char payload[GW_COMMAND_PAYLOAD_MAX + 2];

    (void)state;
    memset(payload, ' ', sizeof payload);
    payload[0] = '1';
    payload[GW_COMMAND_PAYLOAD_MAX] = payload[GW_COMMAND_PAYLOAD_MAX + 1] = '\0';
    assert_int_equal(parse(SPEED, payload), GW_COMMAND_OK);
    payload[GW_COMMAND_PAYLOAD_MAX] = ' ';
    assert_int_equal(parse(SPEED, payload), GW_COMMAND_TOO_LARGE);
}

static void more_values_than_a_command_can_hold_are_refused(void **state)
{
    static char payload[GW_COMMAND_PAYLOAD_MAX];
    size_t at = (size_t)snprintf(payload, sizeof payload, "{\"value\":\"");

    (void)state;
    memset(payload + at, 'x', GW_COMMAND_TEXTS_MAX + 1);
    snprintf(payload + at + GW_COMMAND_TEXTS_MAX + 1, 3, "\"}");
    assert_int_equal(parse(LABEL, payload), GW_COMMAND_TOO_LARGE);
}

/* ---- id, expiry, several points --------------------------------------------------------------------- */

static void id_and_expiry_are_read(void **state)
{
    (void)state;
    assert_int_equal(parse(SPEED, "{\"id\":\"a-1\",\"value\":1,\"expires\":1764000000123}"),
                     GW_COMMAND_OK);
    assert_string_equal(command.id, "a-1");
    assert_int_equal(command.expires_wall_ms, 1764000000123);

    assert_int_equal(parse(SPEED, "{\"id\":17,\"value\":1,\"expires\":\"2026-02-28T23:59:59.5Z\"}"),
                     GW_COMMAND_OK);
    assert_string_equal(command.id, "17");
    /* date -u -d 2026-02-28T23:59:59Z +%s */
    assert_int_equal(command.expires_wall_ms, 1772323199500);

    assert_int_equal(parse(SPEED, "7"), GW_COMMAND_OK);
    assert_string_equal(command.id, "");
    assert_int_equal(command.expires_wall_ms, 0);
}

static void the_id_of_a_refused_command_is_known(void **state)
{
    (void)state;
    assert_int_equal(parse(SPEED, "{\"value\":99,\"id\":\"x7\"}"), GW_COMMAND_OUT_OF_RANGE);
    assert_string_equal(command.id, "x7");
    assert_int_equal(parse(SPEED, "{\"value\":1,\"ttl\":5,\"id\":\"x8\"}"), GW_COMMAND_UNKNOWN_KEY);
    assert_string_equal(command.id, "x8");
}

static void several_points_keep_the_order_of_the_payload(void **state)
{
    (void)state;
    assert_int_equal(parse(ALL, "{\"mode\":\"auto\",\"label\":\"two\",\"speed\":40}"),
                     GW_COMMAND_OK);
    assert_int_equal(command.values.n, 3);
    assert_int_equal(command.values.items[0].point, MODE);
    assert_int_equal(command.values.items[2].point, SPEED);
    assert_memory_equal(gw_command_value(&command.values, 1).text.p, "two", 3);

    assert_int_equal(parse(ALL, "{\"values\":{\"speed\":1,\"enable\":true},\"id\":\"b\"}"),
                     GW_COMMAND_OK);
    assert_int_equal(command.values.n, 2);
    assert_string_equal(command.id, "b");
}

/* ---- results --------------------------------------------------------------------------------------- */

static void assert_result(const struct gw_command_result *result, const char *expected)
{
    char buf[1024];
    size_t len = 0;

    assert_int_equal(gw_command_result_print(result, buf, sizeof buf - 1, &len), GW_OK);
    buf[len] = '\0';
    assert_string_equal(buf, expected);
    struct gw_json *json = gw_json_parse(buf);
    assert_non_null(json);
    gw_json_free(json);
    assert_int_equal(gw_command_result_print(result, buf, len - 1, &len), GW_E_RANGE);
}

static void a_result_says_all_that_is_known(void **state)
{
    struct gw_command_values values = {0}, back = {0};

    (void)state;
    assert_true(gw_command_add(&values, SPEED, &DEC_(401, -1)));
    assert_true(gw_command_add(&back, SPEED, &DEC_(4010, -2)));
    assert_result(&(struct gw_command_result){.code = GW_COMMAND_OK,
                                              .id = "a\"1",
                                              .device = &device,
                                              .point = "speed",
                                              .is_one_point = true,
                                              .values = &values,
                                              .read_back = &back,
                                              .n_written = 1,
                                              .received_wall_ms = 1,
                                              .written_wall_ms = 2,
                                              .verified_wall_ms = 3},
                  "{\"ok\":true,\"code\":\"ok\",\"id\":\"a\\\"1\",\"device\":\"pump\",\"point\":"
                  "\"speed\",\"value\":40.1,\"read_back\":40.1,"
                  "\"received\":1,\"written\":2,\"verified\":3}");
}

static void a_result_of_several_points_says_which_were_written(void **state)
{
    struct gw_command_values values = {0};

    (void)state;
    assert_true(gw_command_add(&values, MODE, &TEXT_("auto")));
    assert_true(gw_command_add(&values, SPEED, &DEC_(1, 0)));
    assert_result(&(struct gw_command_result){.code = GW_COMMAND_REFUSED,
                                              .why = "no",
                                              .reason = "illegal_data_address",
                                              .device = &device,
                                              .values = &values,
                                              .n_written = 1},
                  "{\"ok\":false,\"code\":\"refused_by_device\",\"message\":\"no\","
                  "\"reason\":\"illegal_data_address\",\"device\":\"pump\",\"values\":{\"mode\":"
                  "\"auto\",\"speed\":1},"
                  "\"written_points\":[\"mode\"]}");
}

static void every_code_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < GW_COMMAND_CODES; i++) {
        assert_non_null(gw_command_code_str((enum gw_command_code)i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(gw_command_code_str((enum gw_command_code)i),
                                    gw_command_code_str((enum gw_command_code)k));
    }
}

static void quoting_never_breaks_out_of_the_quotes(void **state)
{
    char buf[16];

    (void)state;
    assert_int_equal(gw_command_quote("a\"b\\c\n", 6, buf, sizeof buf), 16 - 1);
    assert_string_equal(buf, "\"a\\\"b\\\\c\\u000a\"");
    gw_command_quote("\xff\xfe", 2, buf, sizeof buf);
    assert_string_equal(buf, "\"??\"");
    assert_int_equal(gw_command_quote("12345678901234567890", 20, buf, 6), 5);
    assert_memory_equal(buf, "\"123\"", 6);
}

int main(void)
{
    static struct CMUnitTest
        tests[sizeof accepted / sizeof accepted[0] + sizeof refused / sizeof refused[0]];
    size_t n = 0;

    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        tests[n++] = (struct CMUnitTest){accepted[i].payload, a_value_that_fits_is_taken, NULL,
                                         NULL, (void *)(uintptr_t)&accepted[i]};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        tests[n++] = (struct CMUnitTest){refused[i].payload, what_does_not_fit_is_refused, NULL,
                                         NULL, (void *)(uintptr_t)&refused[i]};
    const struct CMUnitTest others[] = {
        cmocka_unit_test(a_payload_of_more_than_4_kib_is_refused),
        cmocka_unit_test(more_values_than_a_command_can_hold_are_refused),
        cmocka_unit_test(id_and_expiry_are_read),
        cmocka_unit_test(the_id_of_a_refused_command_is_known),
        cmocka_unit_test(several_points_keep_the_order_of_the_payload),
        cmocka_unit_test(a_result_says_all_that_is_known),
        cmocka_unit_test(a_result_of_several_points_says_which_were_written),
        cmocka_unit_test(every_code_has_a_word_of_its_own),
        cmocka_unit_test(quoting_never_breaks_out_of_the_quotes),
    };

    return cmocka_run_group_tests_name("payloads", tests, NULL, NULL) +
           cmocka_run_group_tests(others, NULL, NULL);
}
