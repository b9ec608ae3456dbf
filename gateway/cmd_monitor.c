/* cmd_monitor: `field2mqtt monitor`: the points of a running gateway, live: a table in a terminal, lines elsewhere. */
#include "gateway/cmd_monitor.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cmd.h"
#include "gateway/http_fetch.h"
#include "gateway/json_scan.h"
#include "gateway/log.h"
#include "gateway/server_url.h"

#define DEFAULT_URL "http://127.0.0.1:8098"

enum { PAGE = 20, TOKEN_MAX = 1024, EVERY_MS = 1000 };

struct monitor {
    const char *url, *ca_file;
    char token[TOKEN_MAX];
    const char *server, *username,
        *password_file; /* of a broker; server NULL: the gateway is asked */
    struct gw_cmd_paths paths;
    struct gw_monitor_broker *broker;
    struct gw_monitor_view view;
    bool is_once;
    struct gw_monitor_row *rows; /* of the last answer */
    size_t n;
};

static volatile sig_atomic_t is_over;

static void end(int signo)
{
    (void)signo;
    is_over = 1;
}

bool gw_monitor_wants(const struct gw_monitor_view *view, const struct gw_monitor_row *row)
{
    if (view->bad_only && row->is_good)
        return false;
    for (size_t i = 0; i < view->n_words; i++)
        if (!strcasestr(row->name, view->words[i]))
            return false;
    return true;
}

/* ---- an answer as rows ----------------------------------------------------------------------------- */

/* Gives the length of the JSON object that begins at text; 0: it does not end. */
static size_t object_length(const char *text)
{
    size_t depth = 0;
    bool is_quoted = false;

    for (const char *c = text; *c; c++) {
        if (is_quoted && *c == '\\' && c[1])
            c++;
        else if (*c == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && *c == '{')
            depth++;
        else if (!is_quoted && *c == '}' && --depth == 0)
            return (size_t)(c - text) + 1;
    }
    return 0;
}

void gw_monitor_text(const struct gw_scan_value *value, char *buf, size_t size)
{
    size_t len = 0;

    buf[0] = '\0';
    if (value->type == GW_SCAN_TEXT && !gw_scan_text(value, buf, size - 1, &len))
        len = 0;
    else if (value->type != GW_SCAN_TEXT && value->type != GW_SCAN_NULL)
        len = (size_t)snprintf(buf, size, "%.*s", (int)value->len, value->at);
    buf[len < size ? len : size - 1] = '\0';
}

bool gw_monitor_members(const struct gw_scan_value *object, const struct gw_monitor_member *members,
                        size_t n)
{
    struct gw_scan_value key, value;
    bool is_good = false;
    size_t at = 0;

    while (gw_scan_next(object, &at, &key, &value)) {
        for (size_t i = 0; i < n; i++)
            if (gw_scan_is(&key, members[i].key))
                gw_monitor_text(&value, members[i].buf, members[i].size);
        if (gw_scan_is(&key, "quality"))
            is_good = gw_scan_is(&value, "good");
    }
    return is_good;
}

static bool take_row(const char *text, size_t len, struct gw_monitor_row *row)
{
    struct gw_scan_value object;
    char bus[80] = "", device[80] = "", point[80] = "", number[64] = "", unit[40] = "", ts[24] = "";
    const struct gw_monitor_member members[] = {
        {"bus", bus, sizeof bus},      {"device", device, sizeof device},
        {"name", point, sizeof point}, {"value", number, sizeof number},
        {"unit", unit, sizeof unit},   {"reason", row->reason, sizeof row->reason},
        {"ts", ts, sizeof ts},
    };

    if (gw_scan(text, len, &object) != GW_SCAN_GOOD || object.type != GW_SCAN_OBJECT)
        return false;
    row->is_good = gw_monitor_members(&object, members, sizeof members / sizeof members[0]);
    row->wall_ms = strtoll(ts, NULL, 10);
    snprintf(row->name, sizeof row->name, "%s/%s/%s", bus, device, point);
    snprintf(row->value, sizeof row->value, "%s%s%s", number, unit[0] ? " " : "", unit);
    return true;
}

static bool take_rows(const char *body, struct gw_monitor_row **ret_rows, size_t *ret_n)
{
    const char *at = strstr(body, "\"points\":[");
    struct gw_monitor_row *rows = NULL;
    size_t n = 0, n_room = 0, len;

    for (at = at ? at + strlen("\"points\":[") : NULL; at && *at == '{';
         at += len + (at[len] == ',')) {
        if (n == n_room) {
            n_room = n_room ? 2 * n_room : 256;
            struct gw_monitor_row *more = realloc(rows, n_room * sizeof *rows);
            if (!more)
                break;
            rows = more;
        }
        len = object_length(at);
        if (len == 0 || !take_row(at, len, &rows[n]))
            break;
        n++;
    }
    if (!at || *at != ']') {
        free(rows);
        return false;
    }
    *ret_rows = rows;
    *ret_n = n;
    return true;
}

static bool ask_gateway(const struct monitor *monitor, struct gw_monitor_row **ret_rows,
                        size_t *ret_n, char why[GW_MONITOR_WHY])
{
    char *body;
    size_t len;
    const struct gw_fetch_from from = {.url = monitor->url,
                                       .token = monitor->token[0] ? monitor->token : NULL,
                                       .ca_file = monitor->ca_file};

    if (gw_http_fetch(&from, "/api/v1/points", &body, &len, why) != GW_OK)
        return false;
    const bool is_good = take_rows(body, ret_rows, ret_n);
    free(body);
    if (!is_good)
        snprintf(why, GW_FETCH_WHY, "what answers is no gateway");
    return is_good;
}

/* Replaces the rows. False, with a sentence, when there is no answer to be used; they stay. */
static bool ask(struct monitor *monitor, char why[GW_MONITOR_WHY])
{
    struct gw_monitor_row *rows;
    size_t n;

    if (monitor->broker ? !gw_monitor_broker_ask(monitor->broker, &rows, &n, why)
                        : !ask_gateway(monitor, &rows, &n, why))
        return false;
    free(monitor->rows);
    monitor->rows = rows;
    monitor->n = n;
    return true;
}

/* ---- lines ----------------------------------------------------------------------------------------- */

static void print_line(const struct gw_monitor_row *row)
{
    time_t s = (time_t)(row->wall_ms / 1000);
    char when[32] = "-";
    struct tm tm;

    if (row->wall_ms > 0 && gmtime_r(&s, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%s\t", when);
    for (const char *c = row->name; *c; c++)
        putchar((unsigned char)*c < 0x20 ? '?' : *c);
    putchar('\t');
    for (const char *c = row->is_good ? row->value : row->reason; *c; c++)
        putchar((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
    printf("\t%s\n", row->is_good ? "good" : "bad");
}

static bool is_same(const struct gw_monitor_row *a, const struct gw_monitor_row *b)
{
    return a->is_good == b->is_good && strcmp(a->name, b->name) == 0 &&
           strcmp(a->value, b->value) == 0 && strcmp(a->reason, b->reason) == 0;
}

/* All at first, then what has changed. */
static void print_changes(const struct monitor *monitor, const struct gw_monitor_row *before,
                          size_t n_before)
{
    for (size_t i = 0; i < monitor->n; i++)
        if (gw_monitor_wants(&monitor->view, &monitor->rows[i]) &&
            (i >= n_before || !is_same(&monitor->rows[i], &before[i])))
            print_line(&monitor->rows[i]);
    fflush(stdout);
}

static int run_lines(struct monitor *monitor)
{
    char why[GW_MONITOR_WHY];
    bool is_down = false;

    while (!is_over && !ferror(stdout)) {
        struct gw_monitor_row *before = monitor->rows;
        size_t n_before = monitor->n;

        monitor->rows = NULL;
        if (ask(monitor, why)) {
            print_changes(monitor, before, n_before);
            free(before);
            is_down = false;
        } else {
            monitor->rows = before;
            if (!is_down)
                fprintf(stderr, "field2mqtt monitor: %s: %s\n", monitor->url, why);
            is_down = true;
        }
        if (monitor->is_once || (is_down && n_before == 0))
            return is_down ? GW_EXIT_FAILED : GW_EXIT_OK;
        (void)usleep(EVERY_MS * 1000);
    }
    return GW_EXIT_OK;
}

/* ---- the table ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gw_monitor_row *)a)->name,
                  ((const struct gw_monitor_row *)b)->name);
}

static int by_age(const void *a, const void *b)
{
    const int64_t x = ((const struct gw_monitor_row *)a)->wall_ms,
                  y = ((const struct gw_monitor_row *)b)->wall_ms;

    return x == y ? by_name(a, b) : x < y ? -1 : 1;
}

static void sort_and_filter(struct monitor *monitor)
{
    size_t n = 0;

    for (size_t i = 0; i < monitor->n; i++)
        if (gw_monitor_wants(&monitor->view, &monitor->rows[i]))
            monitor->rows[n++] = monitor->rows[i];
    monitor->n = n;
    if (monitor->view.order != GW_MONITOR_BY_PLACE && n > 0)
        qsort(monitor->rows, n, sizeof *monitor->rows,
              monitor->view.order == GW_MONITOR_BY_NAME ? by_name : by_age);
}

/* Gives whether the rows have to be asked for anew. */
static bool take_key(struct monitor *monitor, int key, size_t *first)
{
    if (key == 'q')
        is_over = 1;
    if (key == 'b')
        monitor->view.bad_only = !monitor->view.bad_only;
    if (key == 's')
        monitor->view.order = (monitor->view.order + 1) % 3;
    if (key == 'j')
        *first += 1;
    if (key == 'd')
        *first += PAGE;
    if (key == 'k' || key == 'u') {
        size_t back = key == 'k' ? 1 : PAGE;

        *first = *first > back ? *first - back : 0;
    }
    return key == 0 || key == 'b' || key == 's';
}

static int run_table(struct monitor *monitor)
{
    char why[GW_MONITOR_WHY];
    size_t first = 0;
    bool is_good = false, is_wanted = true;

    gw_monitor_screen_begin();
    while (!is_over) {
        if (is_wanted) {
            is_good = ask(monitor, why);
            sort_and_filter(monitor);
        }
        gw_monitor_screen_draw(monitor->url, &monitor->view, monitor->rows, monitor->n, &first,
                               is_good ? NULL : why);
        is_wanted = take_key(monitor, gw_monitor_screen_key(EVERY_MS), &first);
    }
    gw_monitor_screen_end();
    return GW_EXIT_OK;
}

/* ---- the verb -------------------------------------------------------------------------------------- */

static bool read_token(const char *file, char token[TOKEN_MAX])
{
    FILE *in = fopen(file, "re");
    bool is_good = in && fgets(token, TOKEN_MAX, in);

    if (in)
        fclose(in);
    token[strcspn(token, "\r\n")] = '\0';
    return is_good;
}

/* Takes argv[*i], an option with its argument. 1: taken, 0: not ours, -1: its argument is missing. */
static int take_option(struct monitor *monitor, const char **token_file, int argc, char **argv,
                       int *i)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {
        {"--url", &monitor->url},           {"--ca-file", &monitor->ca_file},
        {"--token-file", token_file},       {"--broker", &monitor->server},
        {"--username", &monitor->username}, {"--password-file", &monitor->password_file}};

    for (size_t k = 0; k < sizeof options / sizeof options[0]; k++) {
        if (strcmp(argv[*i], options[k].name) != 0)
            continue;
        if (*i + 1 == argc)
            return -1;
        *options[k].value = argv[++*i];
        return 1;
    }
    return gw_cmd_paths_take(&monitor->paths, argc, argv, i);
}

static int parse(struct monitor *monitor, int argc, char **argv, const char **words)
{
    const char *token_file = NULL;

    gw_cmd_paths_init(&monitor->paths);
    for (int i = 1; i < argc; i++) {
        const bool is_option = argv[i][0] == '-';
        const char *name = argv[i];

        if (strcmp(name, "--bad") == 0) {
            monitor->view.bad_only = true;
        } else if (strcmp(name, "--once") == 0) {
            monitor->is_once = true;
        } else if (!is_option) {
            words[monitor->view.n_words++] = name;
        } else {
            int taken = take_option(monitor, &token_file, argc, argv, &i);

            if (taken <= 0)
                return gw_cmd_usage(&gw_cmd_monitor,
                                    taken ? "%s needs an argument" : "unknown option %s", name);
        }
    }
    if (token_file && !read_token(token_file, monitor->token))
        return gw_cmd_usage(&gw_cmd_monitor, "the token file %s cannot be read", token_file);
    return GW_EXIT_OK;
}

static int show(struct monitor *monitor)
{
    const struct sigaction action = {.sa_handler = end}, ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* a connection that breaks is an answer, not an end */
    return isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !monitor->is_once ? run_table(monitor)
                                                                              : run_lines(monitor);
}

static int show_broker(struct monitor *monitor)
{
    struct gw_plugins *plugins;
    struct gw_config *config;
    char password[TOKEN_MAX], why[GW_SERVER_URL_WHY];
    struct gw_server_url url;

    if (strcmp(monitor->server, "-") == 0)
        monitor->server = NULL;
    else if (gw_server_url_parse(monitor->server, &url, why) != GW_OK)
        return gw_cmd_usage(&gw_cmd_monitor, "the broker \"%s\" %s", monitor->server, why);
    if (monitor->password_file && !read_token(monitor->password_file, password))
        return gw_cmd_usage(&gw_cmd_monitor, "the password file %s cannot be read",
                            monitor->password_file);
    int code = gw_cmd_load(&monitor->paths, &plugins, &config);
    if (code != GW_EXIT_OK)
        return code;
    gw_log_init(GW_LOG_ERROR); /* nothing may be written into the table */
    monitor->url = monitor->server ? monitor->server : config->mqtt.servers.items[0];
    monitor->broker = gw_monitor_broker_new(config, monitor->server, monitor->username,
                                            monitor->password_file ? password : NULL);
    code = monitor->broker ? show(monitor) : GW_EXIT_FAILED;
    gw_monitor_broker_free(monitor->broker);
    gw_config_free(config);
    gw_plugins_free(plugins);
    return code;
}

static int run(int argc, char **argv)
{
    struct monitor monitor = {.url = DEFAULT_URL};
    const char **words = calloc((size_t)argc, sizeof *words);

    if (!words)
        return GW_EXIT_FAILED;
    monitor.view.words = words;
    int code = parse(&monitor, argc, argv, words);
    if (code == GW_EXIT_OK)
        code = monitor.server ? show_broker(&monitor) : show(&monitor);
    free(monitor.rows);
    free(words);
    return code;
}

const struct gw_verb gw_cmd_monitor = {
    .name = "monitor",
    .usage = "monitor [--url http[s]://HOST:PORT] [--ca-file FILE] [--token-file FILE] [--broker "
             "URL|- -c "
             "FILE [--username NAME] [--password-file FILE]] [--bad] [--once] [WORD...]",
    .summary = "show the points of a running gateway, live; WORDs have to stand in their names",
    .run = run,
};
