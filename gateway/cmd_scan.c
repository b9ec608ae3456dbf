/* cmd_scan: `field2mqtt scan`: who is on a line or behind an address, as YAML ready to paste. Needs no configuration. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gateway/arena.h"
#include "gateway/cmd_scan.h"
#include "gateway/config_words.h"
#include "gateway/driver_bus.h"
#include "gateway/quantity.h"

enum { LIST_MAX = 16, LINE_WORDS = 2 };

/* Speeds by how often they are met; no parity first, the standard's even parity next. */
#define BAUDS    "9600,19200,38400,115200"
#define PARITIES "N,E,O"

struct list {
    const char *items[LIST_MAX];
    size_t n;
};

struct options {
    struct gw_cmd_paths paths;
    const char *driver, *where, *bauds, *parities, *addresses, *timeout;
    const char *words[GW_SCAN_WORDS];
    size_t n_words;
    bool has_all_settings, is_quick;
    struct gw_arena texts;
};

/* ---- words ------------------------------------------------------------------------------------------ */

static bool split(struct options *options, const char *text, struct list *ret_list)
{
    for (const char *end; text; text = end ? end + 1 : NULL) {
        end = strchr(text, ',');
        size_t len = end ? (size_t)(end - text) : strlen(text);

        if (len == 0 || ret_list->n == LIST_MAX)
            return false;
        ret_list->items[ret_list->n++] = gw_arena_print(&options->texts, "%.*s", (int)len, text);
    }
    return true;
}

/* "1-247,255" as numbers, each once. */
static bool parse_addresses(const char *text, uint16_t max, struct gw_scan *scan)
{
    bool is_in[GW_SCAN_ADDRESSES] = {false};

    scan->n_addresses = 0;
    do {
        char *end;
        unsigned long first = strtoul(text, &end, 10), last = first;

        if (end == text || *text < '0' || *text > '9')
            return false;
        if (*end == '-') {
            text = end + 1;
            last = strtoul(text, &end, 10);
            if (end == text || *text < '0' || *text > '9')
                return false;
        }
        if (last < first || last > max || last >= GW_SCAN_ADDRESSES || (*end && *end != ','))
            return false;
        for (unsigned long address = first; address <= last; address++)
            if (!is_in[address]) {
                is_in[address] = true;
                scan->addresses[scan->n_addresses++] = (uint16_t)address;
            }
        text = *end ? end + 1 : NULL;
    } while (text);
    return true;
}

/* tcp://HOST[:PORT] as the keys host and port; else the address of the driver's bus. */
static bool add_where(struct options *options, const struct gw_driver *driver, const char **words,
                      size_t *n_words)
{
    static const char scheme[] = "tcp://";
    const char *host = options->where + sizeof scheme - 1, *colon;

    if (strncmp(options->where, scheme, sizeof scheme - 1) != 0) {
        const struct gw_key *key = driver->bus_keys;

        while (key->name && !(key->flags & GW_ADDRESS))
            key++;
        words[(*n_words)++] =
            gw_arena_print(&options->texts, "%s=%s", key->name ? key->name : "", options->where);
        return true;
    }
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    if (*host == '[' && !end)
        return false;
    colon = end ? (end[1] == ':' ? end + 1 : NULL) : strchr(host, ':');
    if (!end)
        end = colon ? colon : host + strlen(host);
    else
        host++;
    words[(*n_words)++] = gw_arena_print(&options->texts, "host=%.*s", (int)(end - host), host);
    if (colon)
        words[(*n_words)++] = gw_arena_print(&options->texts, "port=%s", colon + 1);
    return end > host;
}

/* ---- options ---------------------------------------------------------------------------------------- */

static const char **option_of(struct options *options, const char *name)
{
    const struct {
        const char *name;
        const char **value;
    } names[] = {
        {"--driver", &options->driver},   {"--baud", &options->bauds},
        {"--parity", &options->parities}, {"--units", &options->addresses},
        {"--timeout", &options->timeout},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].value;
    return NULL;
}

static bool take_flag(struct options *options, const char *name)
{
    if (strcmp(name, "--all-settings") == 0)
        options->has_all_settings = true;
    else if (strcmp(name, "--quick") == 0)
        options->is_quick = true;
    else
        return false;
    return true;
}

static int take_word(struct options *options, const char *word)
{
    if (!options->where) {
        options->where = word;
        return GW_EXIT_OK;
    }
    if (!strchr(word, '='))
        return gw_cmd_usage(&gw_cmd_scan, "\"%s\" is no KEY=VALUE", word);
    if (options->n_words == GW_SCAN_WORDS - 4)
        return gw_cmd_usage(&gw_cmd_scan, "too many keys");
    options->words[options->n_words++] = word;
    return GW_EXIT_OK;
}

static int parse_options(int argc, char **argv, struct options *options)
{
    int code = GW_EXIT_OK;

    gw_cmd_paths_init(&options->paths);
    for (int i = 1; i < argc && code == GW_EXIT_OK; i++) {
        const char *name = argv[i], **value = option_of(options, name);

        if (name[0] != '-') {
            code = take_word(options, name);
            continue;
        }
        if (take_flag(options, name))
            continue;
        int taken = value ? 0 : gw_cmd_paths_take(&options->paths, argc, argv, &i);
        if (taken > 0)
            continue;
        if (taken == 0 && !value)
            return gw_cmd_usage(&gw_cmd_scan, "unknown option %s", name);
        if (taken < 0 || ++i == argc)
            return gw_cmd_usage(&gw_cmd_scan, "%s needs an argument", name);
        *value = argv[i];
    }
    if (code == GW_EXIT_OK && !options->where)
        return gw_cmd_usage(&gw_cmd_scan, "which port? /dev/ttyUSB0, or tcp://HOST:PORT");
    if (!options->driver && code == GW_EXIT_OK)
        options->driver = strncmp(options->where, "tcp://", 6) == 0 ? "modbus-tcp" : "modbus-rtu";
    return code;
}

/* ---- settings --------------------------------------------------------------------------------------- */

static const struct gw_key *find_key(const struct gw_key *keys, const char *name, unsigned flag)
{
    for (; keys->name; keys++)
        if (strcmp(keys->name, name) == 0 && (!flag || keys->flags & flag))
            return keys;
    return NULL;
}

/* Is it among the words already? */
static bool is_said(const struct options *options, const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < options->n_words; i++)
        if (strncmp(options->words[i], key, len) == 0 && options->words[i][len] == '=')
            return true;
    return false;
}

/* The values to try for a key of the line; a single nothing when it stands among the words, or there is no line. */
static int line_values(struct options *options, const struct gw_driver *driver, const char *key,
                       const char *given, const char *usual, struct list *ret_list)
{
    bool has_line = find_key(driver->bus_keys, "baud", GW_BAUD) != NULL;

    if (given && (!has_line || is_said(options, key)))
        return gw_cmd_usage(&gw_cmd_scan, "--%s %s: %s", key, given,
                            has_line ? "is said among the keys already" : "there is no line");
    if (!has_line || is_said(options, key)) {
        ret_list->items[ret_list->n++] = NULL;
        return GW_EXIT_OK;
    }
    if (!split(options, given ? given : usual, ret_list))
        return gw_cmd_usage(&gw_cmd_scan, "--%s %s is no list such as %s", key, given, usual);
    return GW_EXIT_OK;
}

/* N, E and O are what is written on devices. */
static const char *parity_word(const char *text)
{
    static const char *const names[] = {"none", "even", "odd"};

    for (size_t i = 0; i < 3; i++)
        if (text[1] == '\0' && (text[0] | 0x20) == names[i][0])
            return names[i];
    return text;
}

static void add_setting(struct options *options, struct gw_scan *scan,
                        const struct gw_driver *driver, const char *baud, const char *parity)
{
    struct gw_scan_setting *setting = &scan->settings[scan->n_settings++];

    (void)add_where(options, driver, setting->words, &setting->n_words);
    for (size_t i = 0; i < options->n_words; i++)
        setting->words[setting->n_words++] = options->words[i];
    setting->n_fixed = setting->n_words;
    if (baud)
        setting->words[setting->n_words++] = gw_arena_print(&options->texts, "baud=%s", baud);
    if (parity)
        setting->words[setting->n_words++] =
            gw_arena_print(&options->texts, "parity=%s", parity_word(parity));
}

static int make_settings(struct options *options, struct gw_scan *scan)
{
    struct list bauds = {.n = 0}, parities = {.n = 0};
    const char *words[4];
    size_t n_words = 0;
    int code = GW_EXIT_OK;

    if (!add_where(options, scan->driver, words, &n_words))
        return gw_cmd_usage(&gw_cmd_scan, "%s is not tcp://HOST:PORT", options->where);
    code = line_values(options, scan->driver, "baud", options->bauds, BAUDS, &bauds);
    if (code == GW_EXIT_OK)
        code = line_values(options, scan->driver, "parity", options->parities, PARITIES, &parities);
    if (code != GW_EXIT_OK)
        return code;
    const size_t n = bauds.n * parities.n;
    if (n == 0 || n > GW_SCAN_SETTINGS)
        return gw_cmd_usage(&gw_cmd_scan, "more than %d settings", GW_SCAN_SETTINGS);
    scan->settings = calloc(n, sizeof *scan->settings);
    if (!scan->settings)
        return GW_EXIT_FAILED;
    for (size_t p = 0; p < parities.n; p++)
        for (size_t b = 0; b < bauds.n; b++)
            add_setting(options, scan, scan->driver, bauds.items[b], parities.items[p]);
    return GW_EXIT_OK;
}

static int make_scan(struct options *options, struct gw_scan *scan)
{
    const struct gw_scan_traits *traits = scan->driver->scan;
    const char *addresses = options->addresses ? options->addresses : traits->addresses;
    char why[GW_QUANTITY_WHY];

    scan->has_all_settings = options->has_all_settings;
    scan->is_quick = options->is_quick;
    scan->timeout_us = traits->timeout_us;
    if (!parse_addresses(addresses, traits->max_address, scan))
        return gw_cmd_usage(&gw_cmd_scan, "--units %s is no list such as 1-247 within 0-%u",
                            addresses, traits->max_address);
    if (options->timeout && (gw_duration_parse(options->timeout, &scan->timeout_us, why) != GW_OK ||
                             scan->timeout_us < 1000 || scan->timeout_us > 60000000))
        return gw_cmd_usage(&gw_cmd_scan, "--timeout %s is no time of 1ms-60s", options->timeout);
    return make_settings(options, scan);
}

/* ---- life ------------------------------------------------------------------------------------------- */

static int64_t host_now_us(void *ctx)
{
    (void)ctx;
    return gw_scan_now_us();
}

static void host_debug(void *ctx, const char *fmt, ...) GW_PRINTF(2, 3);
static void host_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

static int catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t signals;

    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&signals, numbers[i]);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The buses of all settings; prints the mistakes of the words. */
static int make_buses(struct gw_scan *scan, const struct gw_host *host)
{
    struct gw_diags *diags = gw_diags_new();
    int code = diags ? GW_EXIT_OK : GW_EXIT_FAILED;

    for (size_t i = 0; i < scan->n_settings && code == GW_EXIT_OK; i++) {
        struct gw_scan_setting *setting = &scan->settings[i];

        if (gw_config_of_words(scan->driver, setting->words, setting->n_words, diags,
                               &setting->config) != GW_OK) {
            gw_diags_print(diags, stderr);
            code = GW_EXIT_USAGE;
        } else if (gw_driver_bus_new(setting->config->buses, host, &setting->bus) != GW_OK) {
            code = GW_EXIT_FAILED;
        }
    }
    gw_diags_free(diags);
    return code;
}

static void free_settings(struct gw_scan *scan)
{
    for (size_t i = 0; i < scan->n_settings; i++) {
        struct gw_scan_setting *setting = &scan->settings[i];

        for (size_t k = 0; k < setting->n_devices; k++) {
            free(setting->devices[k].notes);
            free(setting->devices[k].points);
        }
        gw_driver_bus_free(setting->bus);
        gw_config_free(setting->config);
    }
    free(scan->settings);
}

static int scan_driver(struct options *options, const struct gw_driver *driver)
{
    struct gw_scan scan = {.driver = driver, .signal_fd = -1};
    struct gw_host host = {.now_us = host_now_us, .debug = host_debug};
    int code = make_scan(options, &scan);

    if (code == GW_EXIT_OK)
        scan.signal_fd = host.wake_fd = host.listen_fd = catch_signals();
    if (code == GW_EXIT_OK)
        code = scan.signal_fd >= 0 ? make_buses(&scan, &host) : GW_EXIT_FAILED;
    if (code == GW_EXIT_OK) {
        code = gw_scan_ask(&scan);
        gw_scan_print(&scan);
        if (code == GW_EXIT_OK) {
            gw_scan_print_hints(&scan);
            code = scan.n_found > 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
        }
    }
    free_settings(&scan);
    if (scan.signal_fd >= 0)
        close(scan.signal_fd);
    return code;
}

static int run(int argc, char **argv)
{
    struct options options = {0};
    struct gw_plugins *plugins;
    int code = parse_options(argc, argv, &options);

    if (code == GW_EXIT_OK)
        code = gw_cmd_load_plugins(&options.paths, &plugins);
    if (code == GW_EXIT_OK) {
        const struct gw_driver *driver = gw_plugins_find(plugins, options.driver);

        if (driver && driver->scan)
            code = scan_driver(&options, driver);
        else
            code = gw_cmd_usage(&gw_cmd_scan, "driver %s %s", options.driver,
                                driver ? "cannot find devices" : "is unknown");
        gw_plugins_free(plugins);
    }
    gw_arena_free(&options.texts);
    return code;
}

const struct gw_verb gw_cmd_scan = {
    .name = "scan",
    .usage = "scan PORT|tcp://HOST[:PORT] [KEY=VALUE ...] [--baud LIST] [--parity N,E,O] "
             "[--units 1-247] [--timeout TIME] [--all-settings] [--quick] [--driver NAME]",
    .summary = "find the devices on a line or behind an address; only reads; prints YAML to paste",
    .run = run,
};
