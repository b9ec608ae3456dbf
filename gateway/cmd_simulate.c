/* cmd_simulate: `field2mqtt simulate`: the devices of a configuration come alive, with no hardware.
 * Prints one line per bus when it can be reached, and plays until SIGINT or SIGTERM. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cmd.h"
#include "gateway/number.h"
#include "gateway/quantity.h"
#include "gateway/simulator.h"

enum { DIR_TEXT = 512, SEED_DEFAULT = 1 };
#define DELAY_MAX_US ((int64_t)3600 * 1000000)

struct options {
    struct gw_cmd_paths paths;
    const char *dir; /* NULL: a fresh one */
    int port_offset;
    struct gw_sim_faults faults;
};

/* ---- options ---------------------------------------------------------------------------------------- */

static bool parse_integer(const char *text, long long min, long long max, long long *ret_n)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < min || n > max)
        return false;
    *ret_n = n;
    return true;
}

/* "20", "0.5" or "20%" */
static bool parse_percent(const char *text, double *ret_percent)
{
    char number[GW_NUMBER_TEXT];
    size_t len = strlen(text);
    struct gw_decimal decimal;

    if (len > 0 && text[len - 1] == '%')
        len--;
    if (len >= sizeof number)
        return false;
    memcpy(number, text, len);
    number[len] = '\0';
    if (gw_decimal_parse(number, &decimal) != GW_OK)
        return false;
    *ret_percent = gw_decimal_to_double(decimal);
    return *ret_percent >= 0 && *ret_percent <= 100;
}

/* Gives what an option takes, in words, when `value` is not that; NULL when it was taken. */
static const char *take_value(struct options *options, const char *name, const char *value)
{
    const struct {
        const char *name;
        double *percent;
    } percents[] = {
        {"--drop", &options->faults.drop},
        {"--delay", &options->faults.delay},
        {"--exception", &options->faults.exception},
        {"--garbage", &options->faults.garbage},
    };
    char why[GW_QUANTITY_WHY];
    long long n = 0;

    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++)
        if (strcmp(name, percents[i].name) == 0)
            return parse_percent(value, percents[i].percent) ? NULL : "a percentage (0-100)";
    if (strcmp(name, "--dir") == 0) {
        options->dir = value;
        return strlen(value) < DIR_TEXT && value[0] ? NULL : "a folder";
    }
    if (strcmp(name, "--port-offset") == 0) {
        bool is_ok = parse_integer(value, 0, 65535, &n);

        options->port_offset = (int)n;
        return is_ok ? NULL : "a port offset (0-65535)";
    }
    if (strcmp(name, "--seed") == 0) {
        bool is_ok = parse_integer(value, 0, UINT32_MAX, &n);

        options->faults.seed = (uint32_t)n;
        return is_ok ? NULL : "a seed (0-4294967295)";
    }
    enum gw_err err = gw_duration_parse(value, &options->faults.delay_us, why);
    return err == GW_OK && options->faults.delay_us <= DELAY_MAX_US
               ? NULL
               : "a time up to 1h, such as 500ms";
}

static bool is_our_option(const char *name)
{
    static const char *const names[] = {"--drop", "--delay",       "--exception", "--garbage",
                                        "--dir",  "--port-offset", "--seed",      "--delay-time"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int parse_options(int argc, char **argv, struct options *options)
{
    const struct gw_sim_faults *faults = &options->faults;

    gw_cmd_paths_init(&options->paths);
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *wanted;
        int taken = gw_cmd_paths_take(&options->paths, argc, argv, &i);

        if (taken > 0)
            continue;
        if (taken == 0 && !is_our_option(name))
            return gw_cmd_usage(&gw_cmd_simulate, "unknown option %s", name);
        if (taken < 0 || ++i == argc)
            return gw_cmd_usage(&gw_cmd_simulate, "%s needs an argument", name);
        wanted = take_value(options, name, argv[i]);
        if (wanted)
            return gw_cmd_usage(&gw_cmd_simulate, "%s %s is not %s", name, argv[i], wanted);
    }
    if (faults->drop + faults->delay + faults->exception + faults->garbage > 100)
        return gw_cmd_usage(&gw_cmd_simulate, "the faults are more than 100 %% together");
    return GW_EXIT_OK;
}

/* ---- the folder of the serial ports ----------------------------------------------------------------- */

static bool make_dir(char dir[DIR_TEXT])
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    struct stat st;

    if (!base || !base[0] || stat(base, &st) != 0 || !S_ISDIR(st.st_mode) ||
        access(base, W_OK) != 0)
        base = "/tmp";
    int len = snprintf(dir, DIR_TEXT, "%s/field2mqtt-XXXXXX", base);
    if (len < 0 || len >= DIR_TEXT || !mkdtemp(dir)) {
        fprintf(stderr, "field2mqtt simulate: no folder can be made in %s: %s\n", base,
                strerror(errno));
        return false;
    }
    printf("# simulated serial ports are in %s\n", dir);
    fflush(stdout);
    return true;
}

/* ---- life ------------------------------------------------------------------------------------------- */

static void print_ready(void *ctx, const char *bus_name, const char *where)
{
    (void)ctx;
    flockfile(stdout);
    printf("%s: %s\n", bus_name, where);
    fflush(stdout);
    funlockfile(stdout);
}

static void complain(const char *bus_name, enum gw_err err, const struct gw_driver_diag *diag)
{
    fprintf(stderr, "field2mqtt simulate: bus %s: %s\n", bus_name,
            diag && diag->text[0] ? diag->text : gw_err_str(err));
}

/* Waits for a signal, or for a bus that ended by itself. */
static void wait_for_end(int signal_fd, int ended_fd)
{
    struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN}, {.fd = ended_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        ;
}

static int play_buses(const struct gw_config *config, struct gw_simulation *simulation,
                      int signal_fd)
{
    struct gw_simulator **simulators = calloc(config->n_buses + 1, sizeof(struct gw_simulator *));
    int code = simulators ? GW_EXIT_OK : GW_EXIT_FAILED;

    for (size_t i = 0; i < config->n_buses && code == GW_EXIT_OK; i++) {
        enum gw_err err = gw_simulator_start(&config->buses[i], simulation, &simulators[i]);

        if (err != GW_OK) {
            complain(config->buses[i].name, err, NULL);
            code = GW_EXIT_FAILED;
        }
    }
    if (code == GW_EXIT_OK)
        wait_for_end(signal_fd, simulation->ended_fd);
    (void)!write(simulation->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    for (size_t i = 0; simulators && i < config->n_buses; i++) {
        struct gw_driver_diag diag;
        enum gw_err err = simulators[i] ? gw_simulator_join(simulators[i], &diag) : GW_OK;

        if (err != GW_OK && err != GW_E_CLOSED) {
            complain(config->buses[i].name, err, &diag);
            code = GW_EXIT_FAILED;
        }
    }
    free(simulators);
    return code;
}

static int simulate_config(const struct gw_config *config, const struct options *options)
{
    struct gw_simulation simulation = {
        .faults = options->faults,
        .clock = &gw_system_clock,
        .stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .ready = print_ready,
    };
    int code = GW_EXIT_FAILED, signal_fd;
    sigset_t signals;

    /* Before any thread is made: all of them inherit the mask, and the signals wait for the descriptor. */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (simulation.stop_fd >= 0 && simulation.ended_fd >= 0 && signal_fd >= 0)
        code = play_buses(config, &simulation, signal_fd);
    else
        fprintf(stderr, "field2mqtt simulate: %s\n", strerror(errno));
    close(signal_fd);
    close(simulation.stop_fd);
    close(simulation.ended_fd);
    return code;
}

static int simulate(int argc, char **argv)
{
    struct options options = {.faults = {.seed = SEED_DEFAULT, .delay_us = 1000000}};
    struct gw_plugins *plugins;
    struct gw_config *config;
    char made_dir[DIR_TEXT] = "", *texts = NULL;
    int code = parse_options(argc, argv, &options);

    if (code == GW_EXIT_OK)
        code = gw_cmd_load(&options.paths, &plugins, &config);
    if (code != GW_EXIT_OK)
        return code;
    if (options.dir) {
        (void)!mkdir(options.dir, 0700); /* it may be there; whether it can be used shows at once */
    } else {
        code = make_dir(made_dir) ? GW_EXIT_OK : GW_EXIT_FAILED;
        options.dir = made_dir;
    }
    if (code == GW_EXIT_OK)
        code = gw_cmd_redirect(&gw_cmd_simulate, config, options.dir, options.port_offset, &texts);
    if (code == GW_EXIT_OK)
        code = simulate_config(config, &options);
    if (made_dir[0])
        rmdir(made_dir);
    gw_config_free(config);
    gw_plugins_free(plugins);
    free(texts);
    return code;
}

const struct gw_verb gw_cmd_simulate = {
    .name = "simulate",
    .usage = "simulate [--dir DIR] [--port-offset N] [--drop P] [--delay P] [--delay-time D] "
             "[--exception P] [--garbage P] [--seed N] -c FILE",
    .summary = "play the devices of a configuration",
    .run = simulate,
};
