/* cmd_check: `field2mqtt check`: is a configuration right, and can its buses do what it asks? Touches no hardware. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/check_report.h"
#include "gateway/clock.h"
#include "gateway/cmd.h"
#include "gateway/driver_bus.h"

struct options {
    struct gw_cmd_paths paths;
    bool is_json;
};

static int parse_options(int argc, char **argv, struct options *options)
{
    gw_cmd_paths_init(&options->paths);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            options->is_json = true;
            continue;
        }
        int taken = gw_cmd_paths_take(&options->paths, argc, argv, &i);
        if (taken < 0)
            return gw_cmd_usage(&gw_cmd_check, "%s needs an argument", argv[i]);
        if (taken == 0)
            return gw_cmd_usage(&gw_cmd_check, "unknown option %s", argv[i]);
    }
    return GW_EXIT_OK;
}

static int64_t now_us(void *ctx)
{
    (void)ctx;
    return gw_now_us(&gw_system_clock);
}

static void ignore_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

static enum gw_err predict_bus(const struct gw_bus_conf *conf, struct gw_load **ret_load)
{
    const struct gw_host host = {.now_us = now_us, .debug = ignore_debug, .wake_fd = -1};
    struct gw_bus *bus;
    enum gw_err err = gw_driver_bus_new(conf, &host, &bus);

    if (err != GW_OK)
        return err;
    err = gw_load_predict(conf, bus, ret_load);
    gw_driver_bus_free(bus);
    return err;
}

static void free_loads(struct gw_load **loads, size_t n_buses)
{
    for (size_t i = 0; loads && i < n_buses; i++)
        gw_load_free(loads[i]);
    free(loads);
}

/* Gives the loads of all buses; NULL after a word about what went wrong. */
static struct gw_load **predict_buses(const struct gw_config *config)
{
    struct gw_load **loads = calloc(config->n_buses + 1, sizeof(struct gw_load *));

    for (size_t i = 0; loads && i < config->n_buses; i++) {
        const struct gw_bus_conf *bus = &config->buses[i];
        enum gw_err err = predict_bus(bus, &loads[i]);

        if (err == GW_OK)
            continue;
        fprintf(stderr, "field2mqtt check: bus %s cannot be planned by driver %s (%s)\n", bus->name,
                bus->driver->name, gw_err_str(err));
        free_loads(loads, config->n_buses);
        return NULL;
    }
    return loads;
}

static int check_as_text(const struct options *options)
{
    struct gw_plugins *plugins;
    struct gw_config *config;
    int code = gw_cmd_load(&options->paths, &plugins, &config);

    if (code != GW_EXIT_OK)
        return code;
    struct gw_load **loads = predict_buses(config);
    if (loads)
        gw_check_print(config, loads, stdout);
    else
        fputs("field2mqtt check: out of memory\n", stderr);
    code = loads && fflush(stdout) == 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
    free_loads(loads, config->n_buses);
    gw_config_free(config);
    gw_plugins_free(plugins);
    return code;
}

static int print_json(const struct options *options, const struct gw_config *config,
                      struct gw_load *const *loads, const struct gw_diags *diags)
{
    struct gw_json *json = gw_check_json(options->paths.config_file, config, loads, diags);
    enum gw_err err = gw_json_print(json, stdout);

    gw_json_free(json);
    return err == GW_OK ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int check_as_json(const struct options *options)
{
    struct gw_diags *diags = gw_diags_new();
    struct gw_plugins *plugins = NULL;
    struct gw_config *config = NULL;
    struct gw_load **loads = NULL;
    int code =
        diags ? gw_cmd_load_quietly(&options->paths, diags, &plugins, &config) : GW_EXIT_FAILED;

    if (code == GW_EXIT_OK && !(loads = predict_buses(config))) {
        fputs("field2mqtt check: out of memory\n", stderr);
        code = GW_EXIT_FAILED;
    }
    if (code == GW_EXIT_OK || (code == GW_EXIT_CONFIG && gw_diags_any(diags))) {
        int printed = print_json(options, config, loads, diags);
        code = code == GW_EXIT_OK ? printed : code;
    }
    if (config)
        free_loads(loads, config->n_buses);
    gw_config_free(config);
    gw_plugins_free(plugins);
    gw_diags_free(diags);
    return code;
}

static int run(int argc, char **argv)
{
    struct options options = {.is_json = false};
    int code = parse_options(argc, argv, &options);

    if (code != GW_EXIT_OK)
        return code;
    return options.is_json ? check_as_json(&options) : check_as_text(&options);
}

const struct gw_verb gw_cmd_check = {
    .name = "check",
    .usage = "check [--json] -c FILE",
    .summary = "find the mistakes of a configuration, and predict the load of its buses",
    .run = run,
};
