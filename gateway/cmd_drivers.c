/* cmd_drivers: `field2mqtt drivers`: which drivers there are, and what a user may write for one of them. */
#include <stdio.h>
#include <string.h>

#include "gateway/cmd.h"
#include "gateway/diag.h"
#include "gateway/key_reference.h"

enum { NAMES_MAX = 128 };

static int list_drivers(struct gw_plugins *plugins)
{
    const char *names[NAMES_MAX];
    size_t n = gw_plugins_names(plugins, names, NAMES_MAX);

    for (size_t i = 0; i < n; i++)
        printf("%-16s %s\n", names[i], gw_plugins_find(plugins, names[i])->summary);
    return GW_EXIT_OK;
}

static int describe_driver(struct gw_plugins *plugins, const char *name)
{
    const struct gw_driver *driver = gw_plugins_find(plugins, name);
    const char *names[NAMES_MAX], *near;

    if (driver) {
        gw_print_driver_keys(driver, stdout);
        return GW_EXIT_OK;
    }
    near = gw_suggest(name, names, gw_plugins_names(plugins, names, NAMES_MAX));
    fprintf(stderr, "field2mqtt drivers: there is no driver \"%s\"", name);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fputc('\n', stderr);
    return GW_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct gw_cmd_paths paths;
    struct gw_plugins *plugins;
    const char *name = NULL;

    gw_cmd_paths_init(&paths);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' && !name) {
            name = argv[i];
            continue;
        }
        int taken = argv[i][0] == '-' ? gw_cmd_paths_take(&paths, argc, argv, &i) : 0;
        if (taken < 0)
            return gw_cmd_usage(&gw_cmd_drivers, "%s needs an argument", argv[i]);
        if (taken == 0)
            return gw_cmd_usage(&gw_cmd_drivers, "unexpected %s", argv[i]);
    }
    int code = gw_cmd_load_plugins(&paths, &plugins);
    if (code != GW_EXIT_OK)
        return code;
    code = name ? describe_driver(plugins, name) : list_drivers(plugins);
    gw_plugins_free(plugins);
    return fflush(stdout) == 0 ? code : GW_EXIT_FAILED;
}

const struct gw_verb gw_cmd_drivers = {
    .name = "drivers",
    .usage = "drivers [NAME]",
    .summary = "list the drivers, or the keys of one",
    .run = run,
};
