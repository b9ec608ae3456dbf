/* YAML as a tree with places, and what is refused. The sentences for broken YAML are in tests/bad_config/yaml_*. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/yaml_tree.h"

static char file[32];

struct load {
    struct gw_yaml_memory memory;
    struct gw_diags *diags;
    struct gw_yaml_node *root;
    enum gw_err err;
    char *said;
};

static int setup(void **state)
{
    struct load *load = calloc(1, sizeof *load);

    snprintf(file, sizeof file, "/tmp/field2mqtt-yaml-XXXXXX");
    int fd = mkstemp(file);
    load->diags = gw_diags_new();
    *state = load;
    return fd >= 0 ? close(fd) : -1;
}

static int teardown(void **state)
{
    struct load *load = *state;

    gw_diags_free(load->diags);
    gw_arena_free(&load->memory.texts);
    gw_arena_free(&load->memory.nodes);
    gw_share_free(&load->memory.scalars);
    free(load->said);
    free(load);
    return unlink(file);
}

static void load_written(struct load *load)
{
    size_t len;
    FILE *out = open_memstream(&load->said, &len);

    load->err = gw_yaml_load(file, (struct gw_mark){0}, &load->memory, load->diags, &load->root);
    gw_diags_print(load->diags, out);
    fclose(out);
}

static void load_bytes(struct load *load, const char *bytes, size_t len)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    fclose(out);
    load_written(load);
}

static void load_text(struct load *load, const char *text)
{
    load_bytes(load, text, strlen(text));
}

/* Checks that what was said begins with FILE:sentence. */
static void assert_says(const struct load *load, const char *sentence)
{
    size_t n = strlen(file);

    assert_true(strncmp(load->said, file, n) == 0);
    if (strncmp(load->said + n, sentence, strlen(sentence)) != 0)
        fail_msg("%s", load->said);
}

static void every_value_knows_its_place_and_its_key_s(void **state)
{
    struct load *load = *state;

    load_text(load, "# first\nbuses:\n  - name: \"a\"\n    port: 5 # tail\n    list: [x, 'y']\n");

    assert_int_equal(load->err, GW_OK);
    assert_string_equal(load->said, "");
    const struct gw_yaml_node *buses = gw_yaml_get(load->root, "buses"), *bus = buses->first;
    assert_int_equal(buses->kind, GW_YAML_LIST);
    assert_int_equal(buses->key_line, 2);
    assert_int_equal(buses->key_column, 1);
    assert_int_equal(bus->kind, GW_YAML_MAP);
    assert_int_equal(bus->n_entries, 3);
    assert_int_equal(bus->line, 3);
    assert_int_equal(bus->column, 5);
    const struct gw_yaml_node *name = gw_yaml_get(bus, "name"), *port = gw_yaml_get(bus, "port");
    assert_int_equal(name->kind, GW_YAML_QUOTED);
    assert_string_equal(name->text, "a");
    assert_int_equal(name->column, 11);
    assert_int_equal(name->key_column, 5);
    assert_int_equal(port->kind, GW_YAML_PLAIN);
    assert_string_equal(port->text, "5");
    assert_int_equal(port->line, 4);
    const struct gw_yaml_node *y = gw_yaml_get(bus, "list")->first->next;
    assert_string_equal(y->text, "y");
    assert_null(y->key);
    assert_int_equal(y->line, 5);
    assert_int_equal(y->column, 15);
    assert_null(y->next);
}

static void block_texts_are_texts(void **state)
{
    struct load *load = *state;

    load_text(load, "a: |\n  one\n  two\nb: >-\n  three\n  four\n");

    assert_string_equal(gw_yaml_get(load->root, "a")->text, "one\ntwo\n");
    assert_string_equal(gw_yaml_get(load->root, "b")->text, "three four");
    assert_int_equal(gw_yaml_get(load->root, "a")->kind, GW_YAML_QUOTED);
}

static void nothing_is_nothing_in_all_its_spellings(void **state)
{
    struct load *load = *state;
    size_t n = 0;

    load_text(load, "a:\nb: ~\nc: null\nd: Null\ne: NULL\nf: ''\ng: \"null\"\nh: nil\n");

    for (const struct gw_yaml_node *entry = load->root->first; entry; entry = entry->next)
        n += gw_yaml_is_null(entry);
    assert_int_equal(n, 5);
    assert_false(gw_yaml_is_null(gw_yaml_get(load->root, "f")));
    assert_null(gw_yaml_get(load->root, "z"));
    assert_null(gw_yaml_get(gw_yaml_get(load->root, "h"), "x"));
    assert_null(gw_yaml_get(NULL, "x"));
}

static void columns_after_wide_characters_count_characters(void **state)
{
    struct load *load = *state;

    load_text(load, "\"\xC3\xA4\xE2\x82\xAC\": x\n");

    assert_int_equal(load->root->first->column, 7);
    assert_int_equal(load->root->first->key_column, 1);
}

static void a_byte_order_mark_is_no_character(void **state)
{
    struct load *load = *state;

    load_text(load, "\xEF\xBB\xBF"
                    "a: {b: 1, b: 2}\n");

    assert_int_equal(load->root->first->key_column, 1);
    assert_says(
        load,
        ":1:11: duplicate key \"b\"; first at line 1\n    a: {b: 1, b: 2}\n              ^\n");
}

static void the_first_of_duplicate_keys_is_kept(void **state)
{
    struct load *load = *state;

    load_text(load, "a: 1\nb: {a: 2}\na: 3\nc: 4\n");

    assert_int_equal(load->err, GW_OK);
    assert_int_equal(gw_diags_count(load->diags), 1);
    assert_says(load, ":3:1: duplicate key \"a\"; first at line 1\n");
    assert_int_equal(load->root->n_entries, 3);
    assert_string_equal(gw_yaml_get(load->root, "a")->text, "1");
    assert_string_equal(gw_yaml_get(load->root, "c")->text, "4");
}

static void what_was_refused_is_marked_wrong(void **state)
{
    struct load *load = *state;

    load_text(load, "a: !!int 5\nb: &x 1\nc: *x\n<<: {d: 1}\n'<<': 5\n");

    assert_int_equal(load->err, GW_OK);
    assert_int_equal(gw_diags_count(load->diags), 4);
    assert_int_equal(gw_yaml_get(load->root, "a")->kind, GW_YAML_WRONG);
    assert_int_equal(gw_yaml_get(load->root, "c")->kind, GW_YAML_WRONG);
    assert_string_equal(gw_yaml_get(load->root, "<<")->text,
                        "5"); /* in quotes it is a key like any other */
    assert_int_equal(load->root->n_entries, 4);
}

static void sixteen_levels_are_enough_and_seventeen_too_many(void **state)
{
    struct load *load = *state;

    load_text(load, "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n");
    assert_int_equal(load->err, GW_OK);
    free(load->said);
    load_text(load, "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n");

    assert_int_equal(load->err, GW_E_CONFIG);
    assert_says(load, ":1:17: nested deeper than 16 levels\n");
}

/* libyaml alone needs 5 s for 50,000 brackets and 20 s for 100,000: time grows with their square. */
static void deep_nesting_costs_no_time(void **state)
{
    struct load *load = *state;
    size_t n = 4 * 1024 * 1024;
    char *text = malloc(n);

    memset(text, '[', n);
    clock_t start = clock();
    load_bytes(load, text, n);
    free(text);

    assert_int_equal(load->err, GW_E_CONFIG);
    assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
}

static void a_file_of_too_many_parts_is_refused(void **state)
{
    struct load *load = *state;
    size_t n = 4 * 1000 * 1000 + 8;
    char *text = malloc(n);

    text[0] = '[';
    for (size_t i = 1; i + 1 < n; i += 2)
        memcpy(text + i, "1,", 2);
    text[n - 1] = ']';
    load_bytes(load, text, n);
    free(text);

    assert_int_equal(load->err, GW_E_CONFIG);
    assert_non_null(strstr(load->said, ": the file holds more than 2000000 values, keys and "
                                       "brackets; split it up with include\n"));
}

static void a_file_that_is_too_large_is_not_read(void **state)
{
    struct load *load = *state;

    assert_int_equal(truncate(file, 16 * 1024 * 1024 + 1), 0);
    load_written(load);

    assert_int_equal(load->err, GW_E_CONFIG);
    assert_says(load, ": the file is too large (16777217 bytes; at most 16 MiB)\n");
}

static void a_file_that_nobody_may_read_is_named(void **state)
{
    struct load *load = *state;

    bool is_root = geteuid() == 0; /* who reads everything */
    chmod(file, 0);
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    load_written(load);
    if (is_root)
        assert_int_equal(seteuid(0), 0);

    assert_says(load, ": cannot be read: Permission denied\n");
}

static void a_pipe_does_not_hold_up(void **state)
{
    struct load *load = *state;

    unlink(file);
    assert_int_equal(mkfifo(file, 0600), 0);
    load_written(load);

    assert_says(load, ": cannot be read: it is not a regular file\n");
}

static void a_missing_file_is_told_where_it_was_asked_for(void **state)
{
    struct load *load = *state;
    struct gw_mark asker = {"main.yaml", 7, 3};
    size_t len;

    load->err = gw_yaml_load("/nowhere/x.yaml", asker, &load->memory, load->diags, &load->root);
    FILE *out = open_memstream(&load->said, &len);
    gw_diags_print(load->diags, out);
    fclose(out);

    assert_int_equal(load->err, GW_E_CONFIG);
    assert_string_equal(load->said,
                        "main.yaml:7:3: cannot read /nowhere/x.yaml: No such file or directory\n");
}

static void file_names_are_one_for_all_time(void **state)
{
    char name[] = "some.yaml";
    const char *first = gw_intern_file_name(name);

    (void)state;
    for (int i = 0; i < 200; i++) {
        char other[32];

        snprintf(other, sizeof other, "other-%d.yaml", i);
        assert_string_equal(gw_intern_file_name(other), other);
    }
    name[0] = 'S';

    assert_string_equal(first, "some.yaml");
    assert_ptr_equal(gw_intern_file_name("some.yaml"), first);
}

static void a_bad_byte_is_found_by_its_offset_in_any_line(void **state)
{
    struct load *load = *state;

    load_text(load, "a: \xC3\xA4\nb: \xC3\xA4\xC3\xA4\xC0\xAF\n");

    assert_int_equal(load->err, GW_E_CONFIG);
    assert_says(load, ":2:6: this is not UTF-8 (byte 0xC0); save the file as UTF-8\n");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_value_knows_its_place_and_its_key_s),
        CASE(block_texts_are_texts),
        CASE(nothing_is_nothing_in_all_its_spellings),
        CASE(columns_after_wide_characters_count_characters),
        CASE(a_byte_order_mark_is_no_character),
        CASE(the_first_of_duplicate_keys_is_kept),
        CASE(what_was_refused_is_marked_wrong),
        CASE(sixteen_levels_are_enough_and_seventeen_too_many),
        CASE(deep_nesting_costs_no_time),
        CASE(a_file_of_too_many_parts_is_refused),
        CASE(a_file_that_is_too_large_is_not_read),
        CASE(a_file_that_nobody_may_read_is_named),
        CASE(a_pipe_does_not_hold_up),
        CASE(a_missing_file_is_told_where_it_was_asked_for),
        CASE(file_names_are_one_for_all_time),
        CASE(a_bad_byte_is_found_by_its_offset_in_any_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
