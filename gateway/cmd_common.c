#include "gateway/cmd.h"

#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_CONFIG_FILE "/etc/field2mqtt/config.yaml"

int gw_cmd_usage(const struct gw_verb *verb, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "field2mqtt %s: ", verb->name);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nusage: field2mqtt %s\n", verb->usage);
    return GW_EXIT_USAGE;
}

/* Gives the first of two folders relative to the executable's that exists, else the second. */
static const char *beside_executable(char buf[PATH_MAX], const char *first, const char *second)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    exe[n < 0 ? 0 : n] = '\0';
    const char *dir = dirname(exe);
    if (snprintf(buf, PATH_MAX, "%s/%s", dir, first) < PATH_MAX && access(buf, R_OK | X_OK) == 0)
        return buf;
    if (snprintf(buf, PATH_MAX, "%s/%s", dir, second) >= PATH_MAX)
        buf[0] = '\0';
    return buf;
}

void gw_cmd_paths_init(struct gw_cmd_paths *paths)
{
    static char plugin_dir[PATH_MAX], template_dir[PATH_MAX];

    paths->config_file = DEFAULT_CONFIG_FILE;
    paths->plugin_dir = beside_executable(plugin_dir, "drivers", "../lib/field2mqtt");
    paths->template_dir =
        beside_executable(template_dir, "../../config/devices", "../share/field2mqtt/devices");
}

int gw_cmd_paths_take(struct gw_cmd_paths *paths, int argc, char **argv, int *i)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"-c", &paths->config_file},
        {"--config", &paths->config_file},
        {"--plugin-dir", &paths->plugin_dir},
        {"--template-dir", &paths->template_dir},
    };

    for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
        if (strcmp(argv[*i], options[k].name) != 0)
            continue;
        if (*i + 1 >= argc)
            return -1;
        *options[k].value = argv[++*i];
        return 1;
    }
    if (argv[*i][0] == '-')
        return 0;
    paths->config_file = argv[*i];
    return 1;
}

static void print_problem(void *ctx, const char *sentence)
{
    (void)ctx;
    fprintf(stderr, "%s\n", sentence);
}

int gw_cmd_load_plugins(const struct gw_cmd_paths *paths, struct gw_plugins **ret_plugins)
{
    if (gw_plugins_load(paths->plugin_dir, print_problem, NULL, ret_plugins) != GW_OK) {
        fprintf(stderr, "field2mqtt: the plug-in folder %s cannot be read\n", paths->plugin_dir);
        return GW_EXIT_CONFIG;
    }
    return GW_EXIT_OK;
}

static const char *get_environment(const char *name)
{
    return getenv(name);
}

static const struct gw_driver *find_driver(void *ctx, const char *name)
{
    return gw_plugins_find(ctx, name);
}

static size_t driver_names(void *ctx, const char **names, size_t max)
{
    return gw_plugins_names(ctx, names, max);
}

enum gw_err gw_cmd_load_config(const struct gw_cmd_paths *paths, struct gw_plugins *plugins,
                               struct gw_diags *diags, struct gw_config **ret_config)
{
    const struct gw_config_env env = {
        .find_driver = find_driver,
        .driver_names = driver_names,
        .ctx = plugins,
        .template_dir = paths->template_dir,
        .getenv = get_environment,
    };

    return gw_config_load(paths->config_file, &env, diags, ret_config);
}

int gw_cmd_load_quietly(const struct gw_cmd_paths *paths, struct gw_diags *diags,
                        struct gw_plugins **ret_plugins, struct gw_config **ret_config)
{
    struct gw_plugins *plugins;
    int code = gw_cmd_load_plugins(paths, &plugins);

    if (code != GW_EXIT_OK)
        return code;
    if (gw_cmd_load_config(paths, plugins, diags, ret_config) != GW_OK) {
        gw_plugins_free(plugins);
        return GW_EXIT_CONFIG;
    }
    *ret_plugins = plugins;
    return GW_EXIT_OK;
}

int gw_cmd_load(const struct gw_cmd_paths *paths, struct gw_plugins **ret_plugins,
                struct gw_config **ret_config)
{
    struct gw_diags *diags = gw_diags_new();

    if (!diags) {
        fprintf(stderr, "field2mqtt: out of memory\n");
        return GW_EXIT_FAILED;
    }
    int code = gw_cmd_load_quietly(paths, diags, ret_plugins, ret_config);
    size_t n = gw_diags_count(diags);

    gw_diags_print(diags, stderr);
    if (code != GW_EXIT_OK && n != 0)
        fprintf(stderr, "%s: %zu mistake%s; nothing was started\n", paths->config_file, n,
                n == 1 ? "" : "s");
    gw_diags_free(diags);
    return code;
}
