/* Mistakes as they are printed, and words that were meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/diag.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static char file[32];

static int setup(void **state)
{
    snprintf(file, sizeof file, "/tmp/field2mqtt-diag-XXXXXX");
    int fd = mkstemp(file);

    *state = gw_diags_new();
    return fd >= 0 && close(fd) == 0 && *state ? 0 : -1;
}

static int teardown(void **state)
{
    gw_diags_free(*state);
    return unlink(file);
}

static void write_file(const char *text, size_t len)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, len, out), len);
    fclose(out);
}

/* Checks what is printed; @ stands for the name of the file. */
static void assert_prints(const struct gw_diags *diags, const char *expected)
{
    char *text, *wanted;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    gw_diags_print(diags, out);
    fclose(out);
    out = open_memstream(&wanted, &len);
    for (const char *p = expected; *p; p++) {
        if (*p == '@')
            fputs(file, out);
        else
            fputc(*p, out);
    }
    fclose(out);
    assert_string_equal(text, wanted);
    free(text);
    free(wanted);
}

static struct gw_mark at(uint32_t line, uint32_t column)
{
    return (struct gw_mark){file, line, column};
}

static void a_mistake_shows_its_line_and_a_caret(void **state)
{
    write_file("one\nunit: 300\nthree\n", 20);

    gw_diag_add(*state, at(2, 7), "unit %d is out of range (1-247)", 300);

    assert_prints(*state, "@:2:7: unit 300 is out of range (1-247)\n    unit: 300\n          ^\n");
    assert_int_equal(gw_diags_count(*state), 1);
    assert_true(gw_diags_any(*state));
}

static void mistakes_come_in_the_order_of_the_lines_and_warnings_among_them(void **state)
{
    write_file("a\nb\n", 4);

    gw_diag_add(*state, at(2, 1), "second");
    gw_diag_warn(*state, at(1, 1), "careful");
    gw_diag_add(*state, (struct gw_mark){.file = file}, "whole file");
    gw_diag_add(*state, (struct gw_mark){0}, "no place");

    assert_prints(*state, "no place\n@: whole file\n@:1:1: warning: careful\n    a\n    ^\n@:2:1: "
                          "second\n    b\n    ^\n");
    assert_int_equal(gw_diags_count(*state), 3);
}

static void a_warning_alone_is_no_mistake(void **state)
{
    gw_diag_warn(*state, at(1, 1), "careful");

    assert_false(gw_diags_any(*state));
    assert_int_equal(gw_diags_n_added(*state), 0);
}

static void columns_count_characters_and_tabs_stay_tabs(void **state)
{
    const char text[] = "\tK\xC3\xB6ln: \xE2\x82\xAC x\n";
    write_file(text, sizeof text - 1);

    gw_diag_add(*state, at(1, 10), "here");

    assert_prints(*state, "@:1:10: here\n    \tK\xC3\xB6ln: \xE2\x82\xAC x\n    \t        ^\n");
}

static void nothing_of_a_file_or_value_steers_the_terminal(void **state)
{
    const char text[] = "a\x1b[31m \xC2\x9B \xFF b\x7f\n";
    write_file(text, sizeof text - 1);

    gw_diag_add(*state, at(1, 1), "value \"%s\"", "x\n\x1b[0m");

    assert_prints(*state, "@:1:1: value \"x??[0m\"\n    a?[31m ? ? b?\n    ^\n");
}

static void of_a_long_line_only_the_part_around_the_place_is_shown(void **state)
{
    char line[1001], expected[400];

    for (size_t i = 0; i < 1000; i++)
        line[i] = (char)('a' + i % 26);
    line[1000] = '\0';
    write_file(line, 1000);
    gw_diag_add(*state, at(1, 500), "here");

    /* Columns 420 to 539, and a caret below column 500. */
    snprintf(expected, sizeof expected, "@:1:500: here\n    ...%.120s...\n       %80s^\n",
             line + 419, "");
    assert_prints(*state, expected);
}

static void lines_end_as_yaml_says(void **state)
{
    const char text[] = "1\r\n2\r3\n4\xC2\x85"
                        "5\xE2\x80\xA8"
                        "6\xE2\x80\xA9"
                        "7";
    write_file(text, sizeof text - 1);

    for (uint32_t line = 1; line <= 7; line++)
        gw_diag_add(*state, at(line, 1), "line");

    assert_prints(
        *state, "@:1:1: line\n    1\n    ^\n@:2:1: line\n    2\n    ^\n@:3:1: line\n    3\n    ^\n"
                "@:4:1: line\n    4\n    ^\n@:5:1: line\n    5\n    ^\n@:6:1: line\n    6\n    ^\n"
                "@:7:1: line\n    7\n    ^\n");
}

static void a_line_that_is_not_there_is_left_out(void **state)
{
    write_file("one\n", 4);

    gw_diag_add(*state, at(9, 1), "beyond the end");
    gw_diag_add(*state, (struct gw_mark){"/nowhere/at/all", 1, 2}, "no such file");

    assert_prints(*state, "/nowhere/at/all:1:2: no such file\n@:9:1: beyond the end\n");
}

static void a_repeated_sentence_at_one_place_is_told_once_but_counted(void **state)
{
    for (int i = 0; i < 500; i++)
        gw_diag_add(*state, at(1, 1), "again");
    gw_diag_add(*state, at(1, 2), "again");

    assert_int_equal(gw_diags_count(*state), 2);
    assert_int_equal(gw_diags_n_added(*state), 501);
}

static void a_hundred_are_kept_and_the_rest_is_counted(void **state)
{
    char *text;
    size_t len, lines = 0;
    FILE *out = open_memstream(&text, &len);

    for (uint32_t i = 1; i <= 130; i++)
        gw_diag_add(*state, at(i, 1), "mistake");
    gw_diag_warn(*state, at(1, 1), "warning");
    gw_diags_print(*state, out);
    fclose(out);

    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 102); /* 100, a warning, and how many more */
    assert_non_null(strstr(text, "\n... and 30 more mistakes\n"));
    assert_int_equal(gw_diags_count(*state), 130);
    free(text);
}

static void a_hidden_line_is_not_shown(void **state)
{
    write_file("password: hunter2\n", 18);

    gw_diag_hide_line(*state, at(1, 11));
    gw_diag_add(*state, at(1, 1), "both are given");

    assert_prints(*state, "@:1:1: both are given\n");
}

static void the_word_that_was_meant_is_found(void **state)
{
    static const char *const words[] = {"register", "retain", "retries", "even",
                                        "odd",      "rw",     "r",       "modbus-tcp"};
    static const struct {
        const char *word, *meant;
    } rows[] = {
        {"regster", "register"},
        {"regsiter", "register"},
        {"REGISTER", "register"},
        {"evn", "even"},
        {"wr", "rw"},
        {"modbustcp", "modbus-tcp"},
        {"retain", "retain"},
        {"address", "register"}, /* what other gateways call it */
        {"E", "even"},
        {"modbus_tcp", "modbus-tcp"},
        {"slave_id", NULL}, /* its word is no candidate */
        {"banana", NULL},
        {"x", NULL},
        {"", NULL},
        {"register_of_the_device", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *near = gw_suggest(rows[i].word, words, ARRAY_LEN(words));

        if (rows[i].meant)
            assert_string_equal(near ? near : "(none)", rows[i].meant);
        else
            assert_null(near);
    }
    assert_null(gw_suggest("word", NULL, 0));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_mistake_shows_its_line_and_a_caret),
        CASE(mistakes_come_in_the_order_of_the_lines_and_warnings_among_them),
        CASE(a_warning_alone_is_no_mistake),
        CASE(columns_count_characters_and_tabs_stay_tabs),
        CASE(nothing_of_a_file_or_value_steers_the_terminal),
        CASE(of_a_long_line_only_the_part_around_the_place_is_shown),
        CASE(lines_end_as_yaml_says),
        CASE(a_line_that_is_not_there_is_left_out),
        CASE(a_repeated_sentence_at_one_place_is_told_once_but_counted),
        CASE(a_hundred_are_kept_and_the_rest_is_counted),
        CASE(a_hidden_line_is_not_shown),
        CASE(the_word_that_was_meant_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
