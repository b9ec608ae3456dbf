/* cmd: the verbs of the command line, one file each (cmd_VERB.c), and what they share. */
#ifndef GW_CMD_H
#define GW_CMD_H

#include <stdbool.h>

#include "gateway/config.h"
#include "gateway/plugin.h"

#define GW_VERSION "0.1.0"

/* Exit codes: 0, 1 (it did not work), 64 (wrong use, EX_USAGE), 78 (wrong configuration, EX_CONFIG). */
enum { GW_EXIT_OK = 0, GW_EXIT_FAILED = 1, GW_EXIT_USAGE = 64, GW_EXIT_CONFIG = 78 };

struct gw_verb {
    const char *name;
    const char *usage;                 /* "check [--json] -c FILE" */
    const char *summary;               /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

extern const struct gw_verb gw_cmd_run, gw_cmd_outbox, gw_cmd_check, gw_cmd_schema, gw_cmd_drivers,
    gw_cmd_simulate, gw_cmd_monitor, gw_cmd_capture, gw_cmd_try, gw_cmd_read, gw_cmd_write,
    gw_cmd_scan;

/* Prints "field2mqtt VERB: sentence" and the usage line to stderr; returns GW_EXIT_USAGE. */
int gw_cmd_usage(const struct gw_verb *verb, const char *fmt, ...) GW_PRINTF(2, 3);

/* The options that every verb with a configuration takes: -c FILE (or a bare FILE), --plugin-dir DIR,
 * --template-dir DIR. Defaults: /etc/field2mqtt/config.yaml; drivers/ beside the executable, else
 * ../lib/field2mqtt; ../../config/devices of a source tree, else ../share/field2mqtt/devices. */
struct gw_cmd_paths {
    const char *config_file, *plugin_dir, *template_dir;
};
void gw_cmd_paths_init(struct gw_cmd_paths *paths);
/* Takes argv[*i] (and its argument) if it is one of these options. Returns 1 taken, 0 not ours, -1 its argument is missing. */
int gw_cmd_paths_take(struct gw_cmd_paths *paths, int argc, char **argv, int *i);

/* Loads plug-ins, then the configuration; prints every mistake to stderr. Returns GW_EXIT_OK or the exit code to end with. */
int gw_cmd_load_plugins(const struct gw_cmd_paths *paths, struct gw_plugins **ret_plugins);
int gw_cmd_load_quietly(const struct gw_cmd_paths *paths, struct gw_diags *diags,
                        struct gw_plugins **ret_plugins,
                        struct gw_config **ret_config); /* leaves the mistakes in diags */
enum gw_err gw_cmd_load_config(const struct gw_cmd_paths *paths, struct gw_plugins *plugins,
                               struct gw_diags *diags,
                               struct gw_config **ret_config); /* with plug-ins that are there */
int gw_cmd_load(const struct gw_cmd_paths *paths, struct gw_plugins **ret_plugins,
                struct gw_config **ret_config);

/* Points every bus at where `field2mqtt simulate --dir DIR --port-offset N` serves it; complains in the name of `verb`.
 * Owns:   *ret_texts, also after a failure: free it after the config. */
int gw_cmd_redirect(const struct gw_verb *verb, struct gw_config *config, const char *dir,
                    int port_offset, char **ret_texts);

#endif
