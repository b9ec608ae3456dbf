/* Documents built and printed: the text, and what happens to texts that are not UTF-8. Expected texts are JSON's (RFC 8259). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/json.h"

/* Prints and frees; the text is static. */
static const char *printed(struct gw_json *json)
{
    static char text[512];
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    assert_int_equal(gw_json_print(json, out), GW_OK);
    fclose(out);
    gw_json_free(json);
    return text;
}

static void members_stay_in_the_order_in_which_they_were_set(void **state)
{
    struct gw_json *object = gw_json_object(), *array = gw_json_array();
    (void)state;

    gw_json_set(object, "z", gw_json_int(1));
    gw_json_add(array, gw_json_bool(true));
    gw_json_add(array, gw_json_text("a\"b\n"));
    gw_json_set(object, "a", array);
    assert_int_equal(gw_json_size(object), 2);
    assert_int_equal(gw_json_size(array), 2);
    assert_string_equal(printed(object),
                        "{\n  \"z\": 1,\n  \"a\": [\n    true,\n    \"a\\\"b\\n\"\n  ]\n}\n");
}

static void whole_numbers_have_no_point(void **state)
{
    (void)state;
    assert_string_equal(printed(gw_json_number(125)), "125\n");
    assert_string_equal(printed(gw_json_number(-0.5)), "-0.5\n");
    assert_string_equal(printed(gw_json_number(0.138036)), "0.138036\n");
    assert_string_equal(printed(gw_json_int(INT64_MIN)), "-9223372036854775808\n");
    assert_null(gw_json_number(NAN));
    assert_null(gw_json_number(INFINITY));
}

static void bytes_that_are_no_utf8_become_question_marks_and_the_rest_stays(void **state)
{
    (void)state;
    assert_string_equal(printed(gw_json_text("20 \xC2\xB0"
                                             "C")),
                        "\"20 \xC2\xB0"
                        "C\"\n");
    assert_string_equal(printed(gw_json_text("\xC2\xB0\xFFx\xE2\x82")), "\"\xC2\xB0?x??\"\n");
    assert_string_equal(printed(gw_json_text("\xC0\xAF")), "\"??\"\n");
}

static void a_fragment_is_parsed_or_refused(void **state)
{
    (void)state;
    assert_string_equal(printed(gw_json_parse("{\"type\":\"object\"}")),
                        "{\n  \"type\": \"object\"\n}\n");
    assert_null(gw_json_parse("{\"type\":"));
    assert_null(gw_json_parse("{\"a\":1,\"a\":2}"));
}

static void a_missing_value_makes_the_document_incomplete(void **state)
{
    struct gw_json *object = gw_json_object();
    char *text = NULL;
    size_t len = 0;
    (void)state;

    gw_json_set(object, "a", NULL);
    FILE *out = open_memstream(&text, &len);
    assert_int_equal(gw_json_print(object, out), GW_E_NOMEM);
    assert_int_equal(gw_json_print(object, out), GW_OK); /* told once */
    fclose(out);
    free(text);
    gw_json_free(object);
}

static void a_full_disk_is_told(void **state)
{
    struct gw_json *object = gw_json_object();
    FILE *out = fopen("/dev/full", "w");
    (void)state;

    assert_non_null(out);
    assert_int_equal(gw_json_print(object, out), GW_E_LINK);
    fclose(out);
    gw_json_free(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stay_in_the_order_in_which_they_were_set),
        cmocka_unit_test(whole_numbers_have_no_point),
        cmocka_unit_test(bytes_that_are_no_utf8_become_question_marks_and_the_rest_stays),
        cmocka_unit_test(a_fragment_is_parsed_or_refused),
        cmocka_unit_test(a_missing_value_makes_the_document_incomplete),
        cmocka_unit_test(a_full_disk_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
