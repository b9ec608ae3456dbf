/* Files that are no plug-ins: each gives one sentence, none hurts the program. Real plug-ins, good and bad, are
 * compiled and loaded by tests/e2e/test_plugins.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "gateway/plugin.h"

static char dir[64], path[128];
static char sentences[4096]; /* all that was said, each with a line feed */

static int make_folder(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/field2mqtt-plugin-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void remember(void *ctx, const char *sentence)
{
    (void)ctx;
    size_t len = strlen(sentences);
    snprintf(sentences + len, sizeof sentences - len, "%s\n", sentence);
}

/* Makes the one file of the folder. */
static void make_file(const char *name, const void *bytes, size_t len, mode_t mode)
{
    unlink(path);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static size_t load(void)
{
    const char *names[4];
    struct gw_plugins *plugins;

    sentences[0] = '\0';
    assert_int_equal(gw_plugins_load(dir, remember, NULL, &plugins), GW_OK);
    size_t n = gw_plugins_names(plugins, names, 4);
    gw_plugins_free(plugins);
    return n;
}

static void assert_refused(const char *want)
{
    char line[512];

    snprintf(line, sizeof line, "%s: %s\n", path, want);
    assert_int_equal(load(), 0);
    assert_string_equal(sentences, line);
}

static void files_that_do_not_end_in_so_are_none_of_our_business(void **state)
{
    (void)state;
    make_file("README", "text", 4, 0666);
    assert_int_equal(load(), 0);
    assert_string_equal(sentences, "");
}

static void text_and_emptiness_are_no_shared_objects(void **state)
{
    (void)state;
    make_file("text.so", "this is not an object\n", 22, 0644);
    assert_int_equal(load(), 0);
    assert_non_null(strstr(sentences, "text.so: file too short\n"));
    make_file("empty.so", "", 0, 0644);
    assert_int_equal(load(), 0);
    assert_non_null(strstr(sentences, "empty.so: file too short\n"));
}

static void names_of_other_letters_are_refused(void **state)
{
    (void)state;
    make_file("My Driver.so", "x", 1, 0644);
    assert_refused("is not called NAME.so with a name of a-z 0-9 _ -");
    make_file(".so", "x", 1, 0644);
    assert_refused("is not called NAME.so with a name of a-z 0-9 _ -");
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    (void)state;
    make_file("open.so", "x", 1, 0666);
    assert_refused("can be written by others (mode 0666)");
    make_file("group.so", "x", 1, 0664);
    assert_refused("can be written by others (mode 0664)");
}

static void what_is_not_a_regular_file_is_refused(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/link.so", dir);
    assert_int_equal(symlink("/bin/sh", path), 0);
    assert_refused("is not a regular file");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it would block */
    assert_refused("is not a regular file");
}

static void a_folder_that_is_missing_or_open_to_all_is_refused(void **state)
{
    struct gw_plugins *plugins;
    (void)state;

    sentences[0] = '\0';
    assert_int_equal(gw_plugins_load("/nowhere/at/all", remember, NULL, &plugins), GW_E_CONFIG);
    assert_string_equal(sentences, "/nowhere/at/all: No such file or directory\n");
    assert_int_equal(chmod(dir, 0777), 0);
    assert_int_equal(gw_plugins_load(dir, remember, NULL, &plugins), GW_E_CONFIG);
    assert_non_null(strstr(sentences, "can be written by others (mode 0777)"));
}

/* Reads a whole real shared object: the library that runs this test. */
static unsigned char *read_library(size_t *ret_len)
{
    Dl_info info;
    static unsigned char bytes[1 << 20];

    assert_int_not_equal(dladdr((const void *)(uintptr_t)_cmocka_run_group_tests, &info), 0);
    FILE *file = fopen(info.dli_fname, "rb");
    assert_non_null(file);
    *ret_len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_in_range(*ret_len, 8192, sizeof bytes - 1);
    return bytes;
}

static void an_object_without_the_symbol_is_not_a_plugin(void **state)
{
    size_t len;
    const unsigned char *bytes = read_library(&len);
    (void)state;

    make_file("library.so", bytes, len, 0644);
    assert_refused("has no symbol field2mqtt_plugin: it is not a plug-in of field2mqtt");
}

static void an_object_cut_off_anywhere_is_refused_without_harm(void **state)
{
    size_t len;
    const unsigned char *bytes = read_library(&len);
    (void)state;

    for (size_t cut = 1; cut < len; cut += len / 24) {
        make_file("cut.so", bytes, cut, 0644);
        assert_int_equal(load(), 0);
        assert_non_null(strstr(sentences, "cut.so: "));
    }
}

static void an_object_with_zeros_where_it_had_data_is_refused_without_harm(void **state)
{
    size_t len;
    unsigned char *bytes = read_library(&len);
    (void)state;

    for (size_t from = 0; from + 4096 < len; from += 4096) {
        static unsigned char spoilt[1 << 20];

        memcpy(spoilt, bytes, len);
        memset(spoilt + from, 0, 4096); /* a block that was not written before the power went */
        make_file("zeros.so", spoilt, len, 0644);
        assert_int_equal(load(), 0);
        assert_non_null(strstr(sentences, "zeros.so: "));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(files_that_do_not_end_in_so_are_none_of_our_business),
        TEST(text_and_emptiness_are_no_shared_objects),
        TEST(names_of_other_letters_are_refused),
        TEST(a_file_that_others_may_write_is_refused),
        TEST(what_is_not_a_regular_file_is_refused),
        TEST(a_folder_that_is_missing_or_open_to_all_is_refused),
        TEST(an_object_without_the_symbol_is_not_a_plugin),
        TEST(an_object_cut_off_anywhere_is_refused_without_harm),
        TEST(an_object_with_zeros_where_it_had_data_is_refused_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
