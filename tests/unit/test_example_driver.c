/* The example driver against real files: good values, and files that are missing, cut, huge or nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "drivers/example/example.h"
#include "gateway/clock.h"
#include "gateway/driver_bus.h"
#include "gateway/plugin.h"

extern const struct gw_plugin field2mqtt_plugin;

enum { N_POINTS = 5 };
enum { NUMBER, INTEGER, SWITCH, TEXT, SHORT };

static char path[64];
static struct example_bus_conf bus_conf = {.path = path};
static struct example_device_conf device_conf = {.section = "boiler"};
static struct example_point_conf point_confs[N_POINTS] = {
    [NUMBER] = {"temperature", {GW_FLOAT64, 0}},
    [INTEGER] = {"starts", {GW_INT, 0}},
    [SWITCH] = {"burner", {GW_BOOL, 0}},
    [TEXT] = {"state", {GW_TEXT, 255}},
    [SHORT] = {"code", {GW_TEXT, 4}},
};
static struct gw_point_conf points[N_POINTS];
static struct gw_device_conf device = {
    .name = "boiler-1", .driver_conf = &device_conf, .points = points, .n_points = N_POINTS};
static struct gw_bus_conf conf = {
    .name = "file", .driver_conf = &bus_conf, .devices = &device, .n_devices = 1};
static const struct gw_driver *driver;
static struct gw_host host = {.wake_fd = -1};
static struct gw_bus *bus;
static struct gw_plan plan;
static struct gw_result results[N_POINTS];
static struct gw_outcome outcome;

static int64_t now(void *ctx)
{
    (void)ctx;
    return 42;
}

static int set_up(void **state)
{
    int fd;
    (void)state;

    snprintf(path, sizeof path, "/tmp/field2mqtt-example-XXXXXX");
    fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    host.now_us = now;
    driver = field2mqtt_plugin.drivers[0];
    conf.driver = driver;
    for (size_t i = 0; i < N_POINTS; i++)
        points[i].driver_conf = &point_confs[i];
    if (gw_driver_bus_new(&conf, &host, &bus) != GW_OK || gw_plan_init(&plan, N_POINTS) != GW_OK)
        return -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    driver->close(bus);
    driver->close(bus); /* twice does no harm */
    gw_plan_done(&plan);
    gw_driver_bus_free(bus);
    unlink(path);
    return 0;
}

static void write_bytes(const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

/* Opens when needed, plans all points, executes the one request. */
static enum gw_err read_all(void)
{
    static const uint16_t all[N_POINTS] = {0, 1, 2, 3, 4};
    struct gw_driver_diag diag = {.text = ""};

    memset(results, 0, sizeof results);
    memset(&outcome, 0, sizeof outcome);
    assert_int_equal(driver->open(bus, 1000, &diag), GW_OK);
    assert_int_equal(gw_driver_plan(driver, &bus->devices[0], all, N_POINTS, &plan), GW_OK);
    assert_int_equal(plan.n_requests, 1);
    return driver->execute(&bus->devices[0], &plan.requests[0], plan.members, 1000, results,
                           &outcome);
}

static enum gw_err read_text(const char *text)
{
    write_bytes(text, strlen(text));
    return read_all();
}

static void values_of_every_type_are_read_in_one_request(void **state)
{
    (void)state;
    assert_int_equal(
        read_text(
            "# made by a script\n[pump]\ntemperature = 1\n\n[boiler]\r\n temperature\t= 71.5 \n"
            "starts=-1204\nburner = on\nstate = Läuft seit 3 h\ncode = E042\n[other]\n"),
        GW_OK);

    for (size_t i = 0; i < N_POINTS; i++)
        assert_int_equal(results[i].err, GW_OK);
    assert_int_equal(results[NUMBER].value.kind, GW_FLOAT64);
    assert_true(results[NUMBER].value.f64 == 71.5);
    assert_int_equal(results[INTEGER].value.i, -1204);
    assert_true(results[SWITCH].value.b);
    assert_int_equal(results[TEXT].value.text.len, strlen("Läuft seit 3 h"));
    assert_memory_equal(results[TEXT].value.text.p, "Läuft seit 3 h", results[TEXT].value.text.len);
    assert_int_equal(outcome.acquired_us, 42);
}

static void what_a_field_cannot_be_is_bad_and_its_neighbours_are_good(void **state)
{
    static const struct {
        const char *line, *reason;
        size_t point;
    } rows[] = {
        {"temperature = nan", "not_a_number", NUMBER},
        {"temperature = inf", "not_a_number", NUMBER},
        {"temperature = 1e999", "not_a_number", NUMBER},
        {"temperature = 71,5", "not_a_number", NUMBER},
        {"temperature =", "not_a_number", NUMBER},
        {"temperature = 0000000000000000000000000000000000000000000000000000000000000000001",
         "not_a_number", NUMBER},
        {"starts = 3.0", "not_a_number", INTEGER},
        {"starts = 9223372036854775808", "not_a_number", INTEGER},
        {"burner = maybe", "not_a_bool", SWITCH},
        {"burner = 11", "not_a_bool", SWITCH},
        {"code = E0421", "bad_text", SHORT},
        {"state = \x1b[31mred", "bad_text", TEXT},
        {"state = \xc3", "bad_text", TEXT},
        {"state = \xc0\xaf", "bad_text", TEXT},
        {"state = \xff", "bad_text", TEXT},
        {"other = 1", "no_field", TEXT},
    };
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[400];

        /* The first of two lines counts, so the row's line stands in front. */
        snprintf(text, sizeof text,
                 "[boiler]\n%s\ntemperature = 1\nstarts = 2\nburner = off\ncode = E1\n%s",
                 rows[i].line, rows[i].point == TEXT ? "" : "state = fine\n");
        assert_int_equal(read_text(text), GW_OK);
        for (size_t k = 0; k < N_POINTS; k++)
            assert_true((results[k].err == GW_OK) == (k != rows[i].point));
        assert_string_equal(results[rows[i].point].reason, rows[i].reason);
    }
}

static void a_missing_section_is_a_silent_device(void **state)
{
    (void)state;
    assert_int_equal(read_text("[boilers]\ntemperature = 1\n[boiler\n"), GW_E_TIMEOUT);
    assert_string_equal(outcome.reason, "no_section");
    assert_int_equal(read_text(""), GW_E_TIMEOUT);
}

static void without_a_section_key_the_device_names_its_section(void **state)
{
    (void)state;
    device_conf.section = NULL;
    enum gw_err err = read_text("[boiler-1]\nstarts = 7\n");
    device_conf.section = "boiler";

    assert_int_equal(err, GW_OK);
    assert_int_equal(results[INTEGER].value.i, 7);
}

static void a_file_that_vanishes_is_a_lost_link(void **state)
{
    struct gw_driver_diag diag = {.text = ""};
    (void)state;

    assert_int_equal(read_text("[boiler]\nstarts = 7\n"), GW_OK);
    unlink(path);
    assert_int_equal(
        driver->execute(&bus->devices[0], &plan.requests[0], plan.members, 1000, results, &outcome),
        GW_E_LINK);
    driver->close(bus);
    assert_int_equal(driver->open(bus, 1000, &diag), GW_E_LINK);
    assert_non_null(strstr(diag.text, path));
    driver->close(bus);
    assert_int_equal(
        driver->execute(&bus->devices[0], &plan.requests[0], plan.members, 1000, results, &outcome),
        GW_E_CLOSED);
}

static void what_is_not_a_regular_file_is_not_waited_for(void **state)
{
    struct gw_driver_diag diag = {.text = ""};
    (void)state;

    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(driver->open(bus, 1000, &diag), GW_E_LINK);
}

static void a_file_beyond_its_limit_is_not_believed(void **state)
{
    static char large[65537];
    struct gw_driver_diag diag = {.text = ""};
    (void)state;

    memset(large, 'x', sizeof large);
    memcpy(large, "[boiler]\nstarts = 1\n", 20);
    write_bytes(large, 65536);
    assert_int_equal(read_all(), GW_OK);
    write_bytes(large, 65537);
    assert_int_equal(driver->open(bus, 1000, &diag), GW_E_LINK);
    assert_int_equal(
        driver->execute(&bus->devices[0], &plan.requests[0], plan.members, 1000, results, &outcome),
        GW_E_PROTO);
}

static void types_are_parsed_or_refused_with_a_sentence(void **state)
{
    static const char *const good[] = {"number",  "integer",   "bool",     "text",
                                       "text[1]", "text[255]", "text[016]"};
    static const char *const bad[] = {
        "",         "Number",   "text[]", "text[0]",  "text[256]",
        "text[ 5]", "text[-1]", "text[5", "text[5]x", "text[99999999999999999999]"};
    const struct gw_key *key = driver->point_keys;
    struct example_type type;
    (void)state;

    while (strcmp(key->name, "type") != 0)
        key++;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct gw_driver_diag diag = {.text = ""};
        assert_int_equal(key->parse(good[i], &type, &diag), GW_OK);
    }
    assert_int_equal(type.max_len, 16);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct gw_driver_diag diag = {.text = ""};
        assert_int_equal(key->parse(bad[i], &type, &diag), GW_E_CONFIG);
        assert_non_null(strstr(diag.text, "is none of number"));
    }
}

/* ---- the other side of the wire -------------------------------------------------------------------- */

static struct simulated {
    struct gw_value values[N_POINTS];
    char content[1000]; /* of the file, when it was said to be ready */
    size_t n_ready;
} simulated;

static void give_value(void *ctx, const struct gw_device *of, size_t point,
                       struct gw_value *ret_value)
{
    (void)ctx, (void)of;
    *ret_value = simulated.values[point];
}

static void look_into_file(void *ctx, const char *where)
{
    FILE *file = fopen(where, "re");

    (void)ctx;
    assert_non_null(file);
    simulated.content[fread(simulated.content, 1, sizeof simulated.content - 1, file)] = '\0';
    fclose(file);
    simulated.n_ready++;
}

/* One round: it is told to stop before it begins. */
static enum gw_err simulate(struct gw_sim_faults faults, struct gw_driver_diag *diag)
{
    static const void *const confs[] = {&point_confs[0], &point_confs[1], &point_confs[2],
                                        &point_confs[3], &point_confs[4]};
    struct gw_device devices[] = {
        {.name = "boiler-1", .conf = &device_conf, .points = confs, .n_points = N_POINTS}};
    const struct gw_bus simulated_bus = {
        .name = "file", .conf = &bus_conf, .devices = devices, .n_devices = 1};
    int stop[2];
    struct gw_sim sim = {
        .bus = &simulated_bus, .faults = faults, .read = give_value, .ready = look_into_file};

    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "", 1), 1);
    sim.stop_fd = stop[0];
    simulated.content[0] = '\0';
    simulated.n_ready = 0;
    enum gw_err err = driver->simulate(&sim, diag);
    close(stop[0]);
    close(stop[1]);
    return err;
}

static void values_of_every_kind_are_written_and_the_file_goes_at_the_end(void **state)
{
    struct gw_driver_diag diag = {.text = ""};
    (void)state;

    simulated.values[NUMBER] = (struct gw_value){.kind = GW_FLOAT64, .f64 = 21.5};
    simulated.values[INTEGER] = (struct gw_value){.kind = GW_INT, .i = -7};
    simulated.values[SWITCH] = (struct gw_value){.kind = GW_BOOL, .b = true};
    simulated.values[TEXT] = (struct gw_value){.kind = GW_TEXT, .text = {"ready", 5}};
    simulated.values[SHORT] = (struct gw_value){.kind = GW_UINT, .u = 9};
    assert_int_equal(simulate((struct gw_sim_faults){0}, &diag), GW_OK);
    assert_int_equal(simulated.n_ready, 1);
    assert_string_equal(simulated.content, "[boiler]\ntemperature = 21.5\nstarts = -7\nburner = "
                                           "on\nstate = ready\ncode = 9\n");
    assert_int_not_equal(access(path, F_OK), 0);

    simulated.values[NUMBER] = (struct gw_value){.kind = GW_FLOAT32, .f32 = 0.5f};
    simulated.values[INTEGER] = (struct gw_value){.kind = GW_DECIMAL, .dec = {125, -1}};
    simulated.values[SWITCH] = (struct gw_value){.kind = GW_BOOL, .b = false};
    simulated.values[TEXT] = (struct gw_value){.kind = GW_NONE};
    assert_int_equal(simulate((struct gw_sim_faults){0}, &diag), GW_OK);
    assert_string_equal(
        simulated.content,
        "[boiler]\ntemperature = 0.5\nstarts = 125e-1\nburner = off\nstate = \ncode = 9\n");
}

static void faults_leave_the_device_or_its_fields_away_or_spoil_them(void **state)
{
    struct gw_driver_diag diag = {.text = ""};
    (void)state;

    assert_int_equal(simulate((struct gw_sim_faults){.drop = 100}, &diag), GW_OK);
    assert_string_equal(simulated.content, "");
    assert_int_equal(simulate((struct gw_sim_faults){.delay = 100}, &diag), GW_OK);
    assert_string_equal(simulated.content, "");
    assert_int_equal(simulate((struct gw_sim_faults){.exception = 100}, &diag), GW_OK);
    assert_string_equal(simulated.content, "[boiler]\n");
    assert_int_equal(simulate((struct gw_sim_faults){.garbage = 100}, &diag), GW_OK);
    assert_non_null(strstr(simulated.content, "\x15garbage"));
}

static void a_place_that_cannot_be_written_is_told(void **state)
{
    struct gw_driver_diag diag = {.text = ""};
    struct gw_sim_place place = {.dir = "/nonexistent/folder"};
    struct example_bus_conf moved = bus_conf;
    char buf[100];
    (void)state;

    assert_int_equal(driver->redirect(&moved, "file", &place, buf, sizeof buf), GW_OK);
    assert_string_equal(moved.path, "/nonexistent/folder/file");
    assert_int_equal(driver->redirect(&moved, "file", &place, buf, 8), GW_E_RANGE);
    bus_conf.path = "/nonexistent/folder/file";
    enum gw_err err = simulate((struct gw_sim_faults){0}, &diag);
    bus_conf.path = path;
    assert_int_equal(err, GW_E_LINK);
    assert_string_equal(diag.text,
                        "/nonexistent/folder/file cannot be written: No such file or directory");
}

static void the_table_has_no_fault(void **state)
{
    char buf[300] = "";
    (void)state;

    gw_driver_fault(driver, buf, sizeof buf);
    assert_string_equal(buf, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(values_of_every_type_are_read_in_one_request),
        TEST(what_a_field_cannot_be_is_bad_and_its_neighbours_are_good),
        TEST(a_missing_section_is_a_silent_device),
        TEST(without_a_section_key_the_device_names_its_section),
        TEST(a_file_that_vanishes_is_a_lost_link),
        TEST(what_is_not_a_regular_file_is_not_waited_for),
        TEST(a_file_beyond_its_limit_is_not_believed),
        TEST(types_are_parsed_or_refused_with_a_sentence),
        TEST(values_of_every_kind_are_written_and_the_file_goes_at_the_end),
        TEST(faults_leave_the_device_or_its_fields_away_or_spoil_them),
        TEST(a_place_that_cannot_be_written_is_told),
        TEST(the_table_has_no_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
