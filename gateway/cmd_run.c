/* cmd_run: `field2mqtt run`: the gateway itself. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "gateway/cmd.h"
#include "gateway/log.h"
#include "gateway/supervisor.h"

struct options {
    struct gw_cmd_paths paths;
    enum gw_log_level log_level;
    char *simulated_dir; /* NULL: the real hardware */
    int port_offset;
};

static bool parse_log_level(const char *word, enum gw_log_level *ret_level)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret_level = (enum gw_log_level)i;
            return true;
        }
    return false;
}

/* Takes apart "DIR[,PORT_OFFSET]" in place. */
static bool parse_simulated(char *text, struct options *options)
{
    char *comma = strrchr(text, ',');

    options->simulated_dir = text;
    options->port_offset = 0;
    if (comma) {
        char *end;
        long offset;

        errno = 0;
        offset = strtol(comma + 1, &end, 10);
        if (errno || end == comma + 1 || *end || offset < 0 || offset > 65535)
            return false;
        options->port_offset = (int)offset;
        *comma = '\0';
    }
    return text[0] != '\0';
}

/* Returns GW_EXIT_OK, or the exit code after a word about what is wrong. */
static int parse_options(int argc, char **argv, struct options *options)
{
    gw_cmd_paths_init(&options->paths);
    for (int i = 1; i < argc; i++) {
        int taken = gw_cmd_paths_take(&options->paths, argc, argv, &i);
        const char *name = argv[i];

        if (taken > 0)
            continue;
        bool is_log = strcmp(name, "--log-level") == 0;
        bool is_simulated = strcmp(name, "--simulated") == 0;
        if (taken == 0 && !is_log && !is_simulated)
            return gw_cmd_usage(&gw_cmd_run, "unknown option %s", name);
        if (taken < 0 || ++i == argc)
            return gw_cmd_usage(&gw_cmd_run, "%s needs an argument", name);
        if (is_log && !parse_log_level(argv[i], &options->log_level))
            return gw_cmd_usage(&gw_cmd_run, "log level %s is not error, warning, info or debug",
                                argv[i]);
        if (is_simulated && !parse_simulated(argv[i], options))
            return gw_cmd_usage(&gw_cmd_run, "%s is not DIR or DIR,PORT_OFFSET (0-65535)", argv[i]);
    }
    return GW_EXIT_OK;
}

/* ---- configurations, now and after every SIGHUP ---------------------------------------------------- */

struct source {
    const struct options *options;
    struct gw_plugins *plugins;
};

/* The addresses of simulated buses live as long as their configuration. */
static int redirect(const struct options *options, struct gw_config *config)
{
    char *texts = NULL;

    if (!options->simulated_dir)
        return GW_EXIT_OK;
    int code =
        gw_cmd_redirect(&gw_cmd_run, config, options->simulated_dir, options->port_offset, &texts);
    config->more_memory = texts;
    return code;
}

static void free_config(void *ctx, struct gw_config *config)
{
    (void)ctx;
    if (config)
        free(config->more_memory);
    gw_config_free(config);
}

static enum gw_err load_again(void *ctx, struct gw_diags *diags, struct gw_config **ret_config)
{
    const struct source *source = ctx;
    struct gw_config *config;
    enum gw_err err = gw_cmd_load_config(&source->options->paths, source->plugins, diags, &config);

    if (err != GW_OK)
        return err;
    if (redirect(source->options, config) != GW_EXIT_OK) {
        free_config(NULL, config);
        return GW_E_CONFIG;
    }
    *ret_config = config;
    return GW_OK;
}

/* glibc gives each thread an arena of its own, so each bus costs pages that are hardly used: its thread seldom allocates. */
static void share_arenas(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 2);
#endif
}

static int run(int argc, char **argv)
{
    struct options options = {.log_level = GW_LOG_INFO};
    struct source from = {.options = &options};
    const struct gw_config_source source = {&from, load_again, free_config};
    struct gw_config *config;
    int code = parse_options(argc, argv, &options);

    if (code == GW_EXIT_OK)
        code = gw_cmd_load(&options.paths, &from.plugins, &config);
    if (code != GW_EXIT_OK)
        return code;
    share_arenas();
    gw_log_init(options.log_level);
    code = redirect(&options, config);
    if (code == GW_EXIT_OK)
        code =
            gw_supervisor_run(&source, config, GW_VERSION) == GW_OK ? GW_EXIT_OK : GW_EXIT_FAILED;
    else
        free_config(NULL, config);
    gw_plugins_free(from.plugins);
    return code;
}

const struct gw_verb gw_cmd_run = {
    .name = "run",
    .usage = "run [--log-level L] [--simulated DIR[,PORT_OFFSET]] -c FILE",
    .summary = "poll the devices and publish what they say",
    .run = run,
};
