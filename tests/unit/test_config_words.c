/* A bus from words of the command line, and the text of a transcript. */
#include "tests/unit/config_fixture.h"

#include "gateway/config_words.h"
#include "gateway/transcript.h"

static struct gw_diags *diags;
static struct gw_config *config;

static int setup(void **state)
{
    (void)state;
    diags = gw_diags_new();
    config = NULL;
    return diags ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    gw_diags_free(diags);
    gw_config_free(config);
    return 0;
}

static enum gw_err read_words(const char *const *words)
{
    size_t n = 0;

    while (words[n])
        n++;
    return gw_config_of_words(&toy_driver, words, n, diags, &config);
}

static void collect(void *ctx, bool is_warning, struct gw_mark mark, const char *sentence)
{
    char *all = ctx;
    size_t at = strlen(all);

    (void)is_warning, (void)mark;
    snprintf(all + at, 1000 - at, "%s\n", sentence);
}

static void assert_complains(const char *const *words, const char *wanted)
{
    char all[1000] = "";

    assert_int_equal(read_words(words), GW_E_CONFIG);
    assert_null(config);
    gw_diags_each(diags, collect, all);
    if (!strstr(all, wanted))
        fail_msg("no \"%s\" in: %s", wanted, all);
}

static void words_are_keys_of_the_bus_and_a_bare_one_is_its_address(void **state)
{
    const char *const words[] = {"/dev/x", "speed=250", "loud=true", NULL};

    (void)state;
    assert_int_equal(read_words(words), GW_OK);
    const struct toy_bus *bus = config->buses[0].driver_conf;
    assert_string_equal(bus->place, "/dev/x");
    assert_int_equal(bus->speed, 250);
    assert_true(bus->is_loud);
    assert_int_equal(config->buses[0].n_devices, 0);
}

static void what_is_not_said_has_its_default(void **state)
{
    const char *const words[] = {"/dev/serial/by-id/usb-A=B", NULL};

    (void)state;
    assert_int_equal(read_words(words), GW_OK);
    const struct toy_bus *bus = config->buses[0].driver_conf;
    assert_string_equal(bus->place, "/dev/serial/by-id/usb-A=B");
    assert_int_equal(bus->speed, 10);
}

static void every_mistake_is_told(void **state)
{
    const char *const words[] = {"/dev/x", "sped=3", "speed=5000", NULL};

    (void)state;
    assert_complains(words, "unknown key \"sped\"; did you mean \"speed\"?");
    assert_int_equal(gw_diags_count(diags), 2);
}

static void an_address_that_is_missing_or_given_twice_is_a_mistake(void **state)
{
    const char *const none[] = {"speed=3", NULL}, *const two[] = {"a", "b", NULL};

    (void)state;
    assert_complains(none, "the command line has no \"place\"");
    assert_complains(two, "\"place\" is given twice");
}

static void the_driver_has_its_say(void **state)
{
    const char *const words[] = {"/dev/x", "speed=13", NULL};

    (void)state;
    assert_complains(words, "speed 13 is unlucky");
}

static void a_transcript_shows_time_direction_bytes_and_text(void **state)
{
    static const uint8_t bytes[] = "S S     100.00 g\r\n\xE4|";
    char text[400] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    gw_transcript_print(out, 0, '>', bytes, 1);
    gw_transcript_print(out, 12034567, '<', bytes, sizeof bytes - 1);
    fclose(out);
    assert_string_equal(
        text, "+0.000000 > 53                                               |S|\n"
              "+12.034567 < 53 20 53 20 20 20 20 20 31 30 30 2E 30 30 20 67  |S S     100.00 g|\n"
              "+12.034567 < 0D 0A E4 7C                                      |...||\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(words_are_keys_of_the_bus_and_a_bare_one_is_its_address),
        TEST(what_is_not_said_has_its_default),
        TEST(every_mistake_is_told),
        TEST(an_address_that_is_missing_or_given_twice_is_a_mistake),
        TEST(the_driver_has_its_say),
        TEST(a_transcript_shows_time_direction_bytes_and_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
