/* A driver's table with one thing wrong in each row, and the sentence that says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/plugin.h"

struct bus_conf {
    const char *path;
    int64_t pause_us;
    int64_t buffer_bytes;
};
struct device_conf {
    int64_t unit;
    int mode;
    double gain;
    bool quiet;
};
struct point_conf {
    uint16_t where;
    struct gw_list names;
    struct gw_decimal step;
};

static enum gw_err parse_where(const char *text, void *field, struct gw_driver_diag *diag)
{
    if (strncmp(text, "at:", 3) == 0) {
        *(uint16_t *)field = 1;
        return GW_OK;
    }
    snprintf(diag->text, sizeof diag->text, "\"%s\" does not begin with at:", text);
    return GW_E_CONFIG;
}

static enum gw_err check_point(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag)
{
    (void)bus_conf, (void)device_conf, (void)point_conf, (void)ret_traits, (void)diag;
    return GW_OK;
}

static enum gw_err open_bus(struct gw_bus *bus, int64_t deadline_us, struct gw_driver_diag *diag)
{
    (void)bus, (void)deadline_us, (void)diag;
    return GW_OK;
}

static void close_bus(struct gw_bus *bus)
{
    (void)bus;
}

static enum gw_err plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan)
{
    (void)device, (void)points, (void)n_points, (void)ret_plan;
    return GW_OK;
}

static enum gw_err execute(struct gw_device *device, const struct gw_request *request,
                           const uint16_t *members, int64_t deadline_us, struct gw_result *results,
                           struct gw_outcome *outcome)
{
    (void)device, (void)request, (void)members, (void)deadline_us, (void)results, (void)outcome;
    return GW_OK;
}

static enum gw_err redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                            char *buf, size_t size)
{
    (void)bus_conf, (void)bus_name, (void)place, (void)buf, (void)size;
    return GW_OK;
}

static enum gw_err simulate(const struct gw_sim *sim, struct gw_driver_diag *diag)
{
    (void)sim, (void)diag;
    return GW_OK;
}

/* A good driver that each test spoils. Indexes of keys are named. */
static struct {
    struct gw_driver driver;
    struct gw_choice modes[3];
    struct gw_key bus[4], device[5], point[4];
} d;
enum { PATH, PAUSE, BUFFER };
enum { UNIT, MODE, GAIN, QUIET };
enum { WHERE, NAMES, STEP };

static int set_up(void **state)
{
    (void)state;
    memset(&d, 0, sizeof d);
    d.modes[0] = (struct gw_choice){"slow", 1, NULL};
    d.modes[1] = (struct gw_choice){"fast", 2, NULL};
#define KEY(T, member, key_name, key_type, ...)                                                    \
    (struct gw_key){.name = key_name,                                                              \
                    .type = key_type,                                                              \
                    .offset = offsetof(struct T, member),                                          \
                    .help = "Helps.",                                                              \
                    __VA_ARGS__}
    d.bus[PATH] = KEY(bus_conf, path, "path", GW_KEY_TEXT, .flags = GW_REQUIRED | GW_ADDRESS);
    d.bus[PAUSE] =
        KEY(bus_conf, pause_us, "pause", GW_KEY_DURATION, .min = 0, .max = 1e6, .def = "20ms");
    d.bus[BUFFER] =
        KEY(bus_conf, buffer_bytes, "buffer", GW_KEY_SIZE, .min = 1, .max = 4096, .def = "4KiB");
    d.device[UNIT] =
        KEY(device_conf, unit, "unit_id", GW_KEY_INT, .min = 1, .max = 247, .def = "0xF7");
    d.device[MODE] =
        KEY(device_conf, mode, "mode", GW_KEY_CHOICE, .choices = d.modes, .def = "fast");
    d.device[GAIN] = KEY(device_conf, gain, "gain", GW_KEY_FLOAT, .min = 0, .max = 2, .def = "1.5");
    d.device[QUIET] = KEY(device_conf, quiet, "quiet", GW_KEY_BOOL, .def = "false");
    d.point[WHERE] = KEY(point_conf, where, "where", GW_KEY_PARSED, .parse = parse_where,
                         .pattern = "^at:", .def = "at:1");
    d.point[NAMES] = KEY(point_conf, names, "names", GW_KEY_LIST, .flags = GW_INHERIT);
    d.point[STEP] = KEY(point_conf, step, "stride", GW_KEY_DECIMAL, .def = "0.1");
    d.driver = (struct gw_driver){
        .name = "good-1",
        .summary = "A driver.",
        .bus_keys = d.bus,
        .device_keys = d.device,
        .point_keys = d.point,
        .bus_conf_size = sizeof(struct bus_conf),
        .device_conf_size = sizeof(struct device_conf),
        .point_conf_size = sizeof(struct point_conf),
        .reopen_min_us = 1000,
        .reopen_max_us = 30000000,
        .check_point = check_point,
        .open = open_bus,
        .close = close_bus,
        .plan = plan,
        .execute = execute,
        .redirect = redirect,
        .simulate = simulate,
    };
    return 0;
}

static void assert_fault(const char *want)
{
    char buf[320] = "";
    const char *said = gw_driver_fault(&d.driver, buf, sizeof buf);

    if (!want)
        assert_null(said);
    else
        assert_string_equal(said ? said : "(no fault)", want);
}

static void a_complete_table_has_no_fault(void **state)
{
    (void)state;
    assert_fault(NULL);
    d.driver.redirect = NULL, d.driver.simulate = NULL; /* it may do without both */
    assert_fault(NULL);
}

static void a_driver_has_a_name_and_a_summary(void **state)
{
    (void)state;
    d.driver.summary = "";
    assert_fault("driver \"good-1\" has no summary");
    d.driver.name = "Bad Name";
    assert_fault("a driver has no name of a-z 0-9 -");
    d.driver.name = NULL;
    assert_fault("a driver has no name of a-z 0-9 -");
}

static void each_function_that_is_needed_is_missed_by_name(void **state)
{
    struct gw_driver good = d.driver;
    (void)state;

    d.driver = good, d.driver.open = NULL;
    assert_fault("driver \"good-1\" has no open");
    d.driver = good, d.driver.close = NULL;
    assert_fault("driver \"good-1\" has no close");
    d.driver = good, d.driver.plan = NULL;
    assert_fault("driver \"good-1\" has no plan");
    d.driver = good, d.driver.execute = NULL;
    assert_fault("driver \"good-1\" has no execute");
    d.driver = good, d.driver.check_point = NULL;
    assert_fault("driver \"good-1\" has no check_point");
}

static void simulation_is_there_whole_or_not_at_all(void **state)
{
    struct gw_driver good = d.driver;
    (void)state;

    d.driver.simulate = NULL;
    assert_fault("driver \"good-1\" has redirect but no simulate");
    d.driver = good, d.driver.redirect = NULL;
    assert_fault("driver \"good-1\" has simulate but no redirect");
}

static void a_scan_is_there_whole_or_not_at_all(void **state)
{
    static const struct gw_scan_traits traits = {.address_key = "unit"};
    (void)state;

    d.driver.scan = &traits;
    assert_fault("driver \"good-1\" has some of scan, probe_us, probe and identify, but not all");
}

static void a_link_is_not_reopened_without_a_pause(void **state)
{
    (void)state;
    d.driver.reopen_min_us = 0;
    assert_fault(
        "driver \"good-1\" has no pause between reopens: reopen_min_us 0, reopen_max_us 30000000");
    d.driver.reopen_min_us = 2, d.driver.reopen_max_us = 1;
    assert_fault(
        "driver \"good-1\" has no pause between reopens: reopen_min_us 2, reopen_max_us 1");
}

static void a_table_of_keys_that_is_missing_is_named(void **state)
{
    (void)state;
    d.driver.point_keys = NULL;
    assert_fault("driver \"good-1\" has no point_keys");
}

static void names_of_keys_are_words_and_unique(void **state)
{
    (void)state;
    d.bus[PAUSE].name = "path";
    assert_fault("driver \"good-1\": bus key \"path\" stands in the table twice");
    d.bus[PAUSE].name = "Pause";
    assert_fault("driver \"good-1\": bus key \"Pause\" has a name of other letters than a-z 0-9 _, "
                 "or too long");
}

static void a_key_has_help_a_known_type_known_flags_and_a_range(void **state)
{
    (void)state;
    d.bus[PAUSE].help = NULL;
    assert_fault("driver \"good-1\": bus key \"pause\" has no help");
    set_up(NULL), d.bus[PAUSE].type = GW_KEY_CUSTOM;
    assert_fault(
        "driver \"good-1\": bus key \"pause\" has the type 12, which a driver cannot have");
    set_up(NULL), d.bus[PAUSE].flags = 0x40;
    assert_fault("driver \"good-1\": bus key \"pause\" has unknown flags 0x40");
    set_up(NULL), d.device[UNIT].min = 300;
    assert_fault("driver \"good-1\": device key \"unit_id\" has an empty range: 300 to 247");
}

static void the_keys_of_a_mapping_are_looked_at_too(void **state)
{
    static struct gw_key inner[3];

    (void)state;
    inner[0] = (struct gw_key){.name = "low", .type = GW_KEY_INT, .help = "Helps.", .def = "3"};
    inner[1] = (struct gw_key){.name = NULL};
    d.device[GAIN].type = GW_KEY_MAP;
    d.device[GAIN].def = NULL;
    d.device[GAIN].min = d.device[GAIN].max = 0;
    assert_fault("driver \"good-1\": device key \"gain\" has no keys");
    d.device[GAIN].keys = inner;
    assert_fault(
        "driver \"good-1\": device key \"low\" lies outside its struct: offset 0, 8 bytes, of 0");
    d.device[GAIN].item_size = sizeof(int64_t);
    assert_null(gw_driver_fault(&d.driver, (char[200]){""}, 200));
    inner[0].flags = GW_REQUIRED;
    inner[0].def = NULL;
    assert_fault(
        "driver \"good-1\": device key \"low\" has a flag that it cannot have inside of \"gain\"");
    inner[0].flags = 0;
    inner[0].help = NULL;
    assert_fault("driver \"good-1\": device key \"low\" has no help");
}

static void a_member_lies_inside_its_struct(void **state)
{
    char text[128];

    (void)state;
    snprintf(
        text, sizeof text,
        "driver \"good-1\": device key \"gain\" lies outside its struct: offset %zu, 8 bytes, of "
        "32",
        SIZE_MAX);
    d.driver.device_conf_size = offsetof(struct device_conf, gain) + 4;
    assert_fault("driver \"good-1\": device key \"gain\" lies outside its struct: offset 16, 8 "
                 "bytes, of 20");
    set_up(NULL), d.device[GAIN].offset = SIZE_MAX;
    assert_fault(text);
    set_up(NULL), d.device[GAIN].offset = 9;
    assert_fault("driver \"good-1\": device key \"gain\" is misaligned: offset 9");
}

static void a_choice_has_choices_and_a_parsed_key_has_a_parser_and_a_pattern(void **state)
{
    (void)state;
    d.device[MODE].choices = NULL;
    assert_fault("driver \"good-1\": device key \"mode\" has no choices");
    set_up(NULL), d.modes[1].name = "slow", d.device[MODE].def = NULL;
    assert_fault("driver \"good-1\": device key \"mode\" has the choice \"slow\" twice");
    set_up(NULL), d.point[WHERE].parse = NULL;
    assert_fault("driver \"good-1\": point key \"where\" has no parse");
    set_up(NULL), d.point[WHERE].pattern = NULL;
    assert_fault("driver \"good-1\": point key \"where\" has no pattern");
}

static void a_default_is_one_that_a_user_could_write(void **state)
{
    static const struct {
        struct gw_key *key;
        const char *def, *want;
    } rows[] = {
        {&d.bus[PAUSE], "20", "bus key \"pause\" has a default \"20\" that cannot be read"},
        {&d.bus[PAUSE], "2s", "bus key \"pause\" has a default \"2s\" out of its range"},
        {&d.bus[BUFFER], "5KiB", "bus key \"buffer\" has a default \"5KiB\" out of its range"},
        {&d.bus[BUFFER], "4QiB", "bus key \"buffer\" has a default \"4QiB\" that cannot be read"},
        {&d.device[UNIT], "0xF8", "device key \"unit_id\" has a default \"0xF8\" out of its range"},
        {&d.device[UNIT], "1.5",
         "device key \"unit_id\" has a default \"1.5\" that cannot be read"},
        {&d.device[MODE], "medium",
         "device key \"mode\" has a default \"medium\" that is none of its choices"},
        {&d.device[GAIN], "x", "device key \"gain\" has a default \"x\" that cannot be read"},
        {&d.device[QUIET], "no",
         "device key \"quiet\" has a default \"no\" that is neither true nor false"},
        {&d.point[WHERE], "in:1",
         "point key \"where\" has a default \"in:1\" that it refuses: \"in:1\" does not begin with "
         "at:"},
        {&d.point[STEP], "0,1", "point key \"stride\" has a default \"0,1\" that cannot be read"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[300];

        set_up(NULL);
        rows[i].key->def = rows[i].def;
        snprintf(want, sizeof want, "driver \"good-1\": %s", rows[i].want);
        assert_fault(want);
    }
    set_up(NULL);
    d.bus[PATH].def = "/dev/null";
    assert_fault("driver \"good-1\": bus key \"path\" is required and has a default");
}

static void an_inherited_key_means_one_thing_in_all_sections(void **state)
{
    (void)state;
    d.bus[PAUSE].name = "names";
    assert_fault(
        "driver \"good-1\": point key \"names\" is inherited, but is also a key of the bus");
    set_up(NULL), d.device[QUIET].name = "names";
    assert_fault(
        "driver \"good-1\": point key \"names\" is inherited, but is also a key of the device");
    set_up(NULL), d.point[NAMES].flags = 0,
                  d.device[QUIET].name = "names"; /* a namesake that is not inherited may be */
    assert_fault(NULL);
}

static void the_names_of_the_gateways_own_keys_are_taken(void **state)
{
    static const struct {
        struct gw_key *key;
        unsigned flags;
        const char *name, *want;
    } rows[] = {
        {&d.bus[PAUSE], 0, "devices",
         "bus key \"devices\" has the name of a key that the gateway itself has for a bus"},
        {&d.bus[PAUSE], 0, "align",
         "bus key \"align\" has the name of a key that the gateway itself has for a bus"},
        {&d.device[QUIET], 0, "timeout",
         "device key \"timeout\" has the name of a key that the gateway itself has for a device"},
        {&d.point[STEP], 0, "scale",
         "point key \"scale\" has the name of a key that the gateway itself has for a point"},
        {&d.point[STEP], 0, "topic",
         "point key \"topic\" has the name of a key that the gateway itself has for a point"},
        {&d.point[STEP], GW_INHERIT, "template",
         "point key \"template\" has the name of a key that the gateway itself has for a device"},
        {&d.device[QUIET], GW_INHERIT, "driver",
         "device key \"driver\" has the name of a key that the gateway itself has for a bus"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[300];

        set_up(NULL);
        rows[i].key->name = rows[i].name;
        rows[i].key->flags = rows[i].flags;
        snprintf(want, sizeof want, "driver \"good-1\": %s", rows[i].want);
        assert_fault(want);
    }
    set_up(NULL);
    d.device[QUIET].name = "unit"; /* which is the gateway's for a point only, as Modbus has it */
    assert_fault(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_complete_table_has_no_fault),
        TEST(a_driver_has_a_name_and_a_summary),
        TEST(each_function_that_is_needed_is_missed_by_name),
        TEST(simulation_is_there_whole_or_not_at_all),
        TEST(a_scan_is_there_whole_or_not_at_all),
        TEST(a_link_is_not_reopened_without_a_pause),
        TEST(a_table_of_keys_that_is_missing_is_named),
        TEST(names_of_keys_are_words_and_unique),
        TEST(a_key_has_help_a_known_type_known_flags_and_a_range),
        TEST(the_keys_of_a_mapping_are_looked_at_too),
        TEST(a_member_lies_inside_its_struct),
        TEST(a_choice_has_choices_and_a_parsed_key_has_a_parser_and_a_pattern),
        TEST(a_default_is_one_that_a_user_could_write),
        TEST(the_names_of_the_gateways_own_keys_are_taken),
        TEST(an_inherited_key_means_one_thing_in_all_sections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
