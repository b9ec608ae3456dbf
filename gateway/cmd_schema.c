/* cmd_schema: `field2mqtt schema`: the tables of keys as a JSON Schema for editors, or as the manual's reference. */
#include <stdio.h>
#include <string.h>

#include "gateway/cmd.h"
#include "gateway/json_schema.h"
#include "gateway/key_reference.h"

enum { DRIVERS_MAX = 128 };

struct options {
    struct gw_cmd_paths paths;
    bool is_template, is_markdown;
};

static int parse_options(int argc, char **argv, struct options *options)
{
    gw_cmd_paths_init(&options->paths);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--template") == 0) {
            options->is_template = true;
            continue;
        }
        if (strcmp(argv[i], "--markdown") == 0) {
            options->is_markdown = true;
            continue;
        }
        int taken = argv[i][0] == '-' ? gw_cmd_paths_take(&options->paths, argc, argv, &i) : 0;
        if (taken < 0)
            return gw_cmd_usage(&gw_cmd_schema, "%s needs an argument", argv[i]);
        if (taken == 0)
            return gw_cmd_usage(&gw_cmd_schema, "unexpected %s", argv[i]);
    }
    if (options->is_template && options->is_markdown)
        return gw_cmd_usage(&gw_cmd_schema, "the reference of --markdown has the templates in it");
    return GW_EXIT_OK;
}

static int print_schema(const struct gw_section *root, const struct gw_driver *const *drivers,
                        size_t n_drivers)
{
    struct gw_json *schema = gw_json_schema(root, drivers, n_drivers);
    enum gw_err err = gw_json_print(schema, stdout);

    gw_json_free(schema);
    if (err == GW_OK)
        return GW_EXIT_OK;
    fprintf(stderr, "field2mqtt schema: the schema could not be written (%s)\n", gw_err_str(err));
    return GW_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    const char *names[DRIVERS_MAX];
    const struct gw_driver *drivers[DRIVERS_MAX];
    struct options options = {.is_template = false};
    struct gw_plugins *plugins;
    int code = parse_options(argc, argv, &options);

    if (code == GW_EXIT_OK)
        code = gw_cmd_load_plugins(&options.paths, &plugins);
    if (code != GW_EXIT_OK)
        return code;
    size_t n = gw_plugins_names(plugins, names, DRIVERS_MAX);
    for (size_t i = 0; i < n; i++)
        drivers[i] = gw_plugins_find(plugins, names[i]);
    if (options.is_markdown)
        gw_print_reference(drivers, n, stdout);
    else
        code =
            print_schema(options.is_template ? &gw_schema_template : &gw_schema_root, drivers, n);
    gw_plugins_free(plugins);
    return fflush(stdout) == 0 ? code : GW_EXIT_FAILED;
}

const struct gw_verb gw_cmd_schema = {
    .name = "schema",
    .usage = "schema [--template | --markdown]",
    .summary = "print a JSON Schema of the configuration",
    .run = run,
};
