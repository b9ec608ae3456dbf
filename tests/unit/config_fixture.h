/* config_fixture: files in a folder of their own, and a driver made for tests of the configuration. */
#ifndef TEST_CONFIG_FIXTURE_H
#define TEST_CONFIG_FIXTURE_H

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

#include "gateway/config.h"

/* ---- files ----------------------------------------------------------------------------------------- */

static char fixture_home[4096], fixture_dir[64];

static inline int fixture_setup(void **state)
{
    (void)state;
    if (!fixture_home[0] && !getcwd(fixture_home, sizeof fixture_home))
        return -1;
    snprintf(fixture_dir, sizeof fixture_dir, "/tmp/field2mqtt-test-XXXXXX");
    return mkdtemp(fixture_dir) && chdir(fixture_dir) == 0 ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", fixture_dir);
    return chdir(fixture_home) == 0 && system(command) == 0 ? 0 : -1;
}

static inline void write_bytes(const char *file, const void *bytes, size_t len)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static inline void write_text(const char *file, const char *text)
{
    write_bytes(file, text, strlen(text));
}

/* ---- a driver -------------------------------------------------------------------------------------- */

struct toy_bus {
    const char *place;
    int64_t speed;
    bool is_loud;
};

struct toy_device {
    int64_t address, pause_us;
};

struct toy_point {
    int64_t cell;
    int kind; /* enum gw_kind */
    const char *note;
};

static const struct gw_choice toy_kinds[] = {
    {"bit", GW_BOOL, NULL},         {"signed", GW_INT, NULL}, {"unsigned", GW_UINT, NULL},
    {"fraction", GW_FLOAT32, NULL}, {"text", GW_TEXT, NULL},  {NULL, 0, NULL},
};

static const struct gw_key toy_bus_keys[] = {
    {.name = "place",
     .type = GW_KEY_TEXT,
     .flags = GW_REQUIRED | GW_ADDRESS,
     .offset = offsetof(struct toy_bus, place),
     .help = "."},
    {.name = "speed",
     .type = GW_KEY_INT,
     .offset = offsetof(struct toy_bus, speed),
     .min = 1,
     .max = 1000,
     .def = "10",
     .help = "."},
    {.name = "loud", .type = GW_KEY_BOOL, .offset = offsetof(struct toy_bus, is_loud), .help = "."},
    {.name = NULL},
};
static const struct gw_key toy_device_keys[] = {
    {.name = "address",
     .type = GW_KEY_INT,
     .flags = GW_REQUIRED,
     .offset = offsetof(struct toy_device, address),
     .max = 99,
     .help = "."},
    {.name = "pause",
     .type = GW_KEY_DURATION,
     .flags = GW_INHERIT,
     .offset = offsetof(struct toy_device, pause_us),
     .def = "5ms",
     .max = 1e9,
     .help = "."},
    {.name = NULL},
};
static const struct gw_key toy_point_keys[] = {
    {.name = "cell",
     .type = GW_KEY_INT,
     .flags = GW_REQUIRED,
     .offset = offsetof(struct toy_point, cell),
     .max = 65535,
     .help = "."},
    {.name = "kind",
     .type = GW_KEY_CHOICE,
     .flags = GW_INHERIT,
     .offset = offsetof(struct toy_point, kind),
     .def = "unsigned",
     .choices = toy_kinds,
     .help = "."},
    {.name = "note",
     .type = GW_KEY_TEXT,
     .flags = GW_INHERIT,
     .offset = offsetof(struct toy_point, note),
     .def = "plain",
     .help = "."},
    {.name = NULL},
};

static inline enum gw_err toy_check_bus(const void *bus_conf, struct gw_driver_diag *diag)
{
    const struct toy_bus *bus = bus_conf;

    if (bus->speed != 13)
        return GW_OK;
    diag->key = "speed";
    snprintf(diag->text, sizeof diag->text, "speed 13 is unlucky");
    return GW_E_CONFIG;
}

/* Address 66 is faulted without a key, 77 by way of a key that may stand at the bus. */
static inline enum gw_err toy_check_device(const void *bus_conf, const void *device_conf,
                                           struct gw_driver_diag *diag)
{
    const struct toy_device *device = device_conf;

    (void)bus_conf;
    if (device->address != 66 && device->address != 77)
        return GW_OK;
    diag->key = device->address == 77 ? "pause" : NULL;
    snprintf(diag->text, sizeof diag->text, "address %d is odd", (int)device->address);
    return GW_E_CONFIG;
}

/* Values are 16 bits wide; cells from 1000 on are read-only, from 2000 on write-only. */
static inline enum gw_err toy_check_point(const void *bus_conf, const void *device_conf,
                                          const void *point_conf,
                                          struct gw_point_traits *ret_traits,
                                          struct gw_driver_diag *diag)
{
    const struct toy_point *point = point_conf;

    (void)bus_conf;
    (void)device_conf;
    if (point->cell == 666) {
        diag->key = "cell";
        snprintf(diag->text, sizeof diag->text, "cell 666 is elsewhere");
        return GW_E_CONFIG;
    }
    *ret_traits = (struct gw_point_traits){.kind = (enum gw_kind)point->kind,
                                           .can_read = point->cell < 2000,
                                           .can_write = point->cell < 1000 || point->cell >= 2000};
    if (point->kind == GW_INT || point->kind == GW_UINT || point->kind == GW_BOOL) {
        ret_traits->raw_min = point->kind == GW_INT ? -32768 : 0;
        ret_traits->raw_max = point->kind == GW_BOOL ? 1 : point->kind == GW_INT ? 32767 : 65535;
    }
    return GW_OK;
}

static inline enum gw_err toy_write(struct gw_device *device, const struct gw_write *writes,
                                    size_t n_writes, int64_t deadline_us, size_t *ret_n_written,
                                    struct gw_outcome *outcome)
{
    (void)device, (void)writes, (void)n_writes, (void)deadline_us, (void)ret_n_written,
        (void)outcome;
    return GW_E_REFUSED;
}

static const struct gw_driver toy_driver = {
    .name = "toy",
    .bus_keys = toy_bus_keys,
    .device_keys = toy_device_keys,
    .point_keys = toy_point_keys,
    .bus_conf_size = sizeof(struct toy_bus),
    .device_conf_size = sizeof(struct toy_device),
    .point_conf_size = sizeof(struct toy_point),
    .reopen_min_us = 200000,
    .reopen_max_us = 7000000,
    .check_bus = toy_check_bus,
    .check_device = toy_check_device,
    .check_point = toy_check_point,
    .write = toy_write,
};

static inline const struct gw_driver *toy_find(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "toy") == 0 ? &toy_driver : NULL;
}

static inline size_t toy_names(void *ctx, const char **names, size_t max)
{
    (void)ctx;
    if (max > 0)
        names[0] = "toy";
    return 1;
}

static inline const char *fixture_getenv(const char *name)
{
    return getenv(name);
}

/* ---- loading --------------------------------------------------------------------------------------- */

static const struct gw_config_env fixture_env = {.find_driver = toy_find,
                                                 .driver_names = toy_names,
                                                 .template_dir = "stock",
                                                 .getenv = fixture_getenv};

/* Loads FILE; what was said of it goes to *ret_said (to be freed). NULL after mistakes. */
static inline struct gw_config *load_file(const char *file, char **ret_said)
{
    struct gw_diags *diags = gw_diags_new();
    struct gw_config *config = NULL;
    size_t len;
    FILE *out = open_memstream(ret_said, &len);

    enum gw_err err = gw_config_load(file, &fixture_env, diags, &config);
    assert_int_equal(err, gw_diags_any(diags) ? GW_E_CONFIG : GW_OK);
    assert_true((config != NULL) == (err == GW_OK));
    gw_diags_print(diags, out);
    fclose(out);
    gw_diags_free(diags);
    return config;
}

/* Loads a configuration that must be good and silent. */
static inline struct gw_config *load(const char *text)
{
    char *said;

    write_text("config.yaml", text);
    struct gw_config *config = load_file("config.yaml", &said);
    assert_string_equal(said, "");
    free(said);
    assert_non_null(config);
    return config;
}

/* Loads a configuration; all that is said of it must be `expected`. */
static inline void assert_says(const char *text, const char *expected)
{
    char *said;

    write_text("config.yaml", text);
    gw_config_free(load_file("config.yaml", &said));
    assert_string_equal(said, expected);
    free(said);
}

#define HEAD "gateway: { name: plant }\nmqtt: { servers: mqtt://127.0.0.1 }\n"

#endif
