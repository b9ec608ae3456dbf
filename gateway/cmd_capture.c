/* cmd_capture: `field2mqtt capture`: shows what passes over a port, and writes it down for `field2mqtt try`.
 * Knows no serial port: the driver opens it by its own keys, and gives bytes. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/clock.h"
#include "gateway/cmd.h"
#include "gateway/config_words.h"
#include "gateway/driver_bus.h"
#include "gateway/quantity.h"
#include "gateway/transcript.h"

#define SECOND_US ((int64_t)1000000)

enum { WORDS_MAX = 64, SENDS_MAX = 32, BURST_MAX = 4096 };

#define REOPEN_US 250000
#define GAP_US                                                                                     \
    5000 /* what follows sooner is of one burst: USB adapters gather for up to 16 ms, others do not */

struct options {
    struct gw_cmd_paths paths;
    const char *driver, *file;
    const char *words[WORDS_MAX];
    size_t n_words;
    struct sent {
        uint8_t bytes[256];
        size_t len;
    } sends[SENDS_MAX];
    size_t n_sends;
    int64_t every_us, for_us; /* 0: once; until a signal */
};

/* ---- options ---------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

    return at && (c <= '9' || (c | 0x20) >= 'a') ? (int)(at - digits) : -1;
}

/* Text with \r \n \t \\ \xHH. */
static bool parse_send(const char *text, struct sent *ret_sent)
{
    static const char names[] = "rntes0\\", bytes[] = "\r\n\t\033 \0\\";

    for (; *text; text++) {
        uint8_t byte = (uint8_t)*text;

        if (ret_sent->len == sizeof ret_sent->bytes)
            return false;
        if (*text == '\\') {
            const char *name = text[1] ? strchr(names, text[1]) : NULL;

            text++;
            const int high = *text == 'x' ? hex_digit(text[1]) : -1;
            const int low = high >= 0 ? hex_digit(text[2]) : -1;
            if (high >= 0 && low >= 0) {
                byte = (uint8_t)(high << 4 | low);
                text += 2;
            } else if (name) {
                byte = (uint8_t)bytes[name - names];
            } else {
                return false;
            }
        }
        ret_sent->bytes[ret_sent->len++] = byte;
    }
    return ret_sent->len > 0;
}

/* Gives what an option takes, in words, when `value` is not that; NULL when it was taken. */
static const char *take_value(struct options *options, const char *name, const char *value)
{
    char why[GW_QUANTITY_WHY];
    int64_t *span = strcmp(name, "--every") == 0 ? &options->every_us : &options->for_us;

    if (strcmp(name, "--driver") == 0) {
        options->driver = value;
        return NULL;
    }
    if (strcmp(name, "-o") == 0 || strcmp(name, "--output") == 0) {
        options->file = value;
        return NULL;
    }
    if (strcmp(name, "--send") == 0)
        return options->n_sends < SENDS_MAX &&
                       parse_send(value, &options->sends[options->n_sends++])
                   ? NULL
                   : "a text of 1-256 bytes with \\r \\n \\t \\e \\0 \\\\ \\xHH";
    return gw_duration_parse(value, span, why) == GW_OK && *span > 0
               ? NULL
               : "a time such as 500ms or 10s";
}

static bool is_our_option(const char *name)
{
    static const char *const names[] = {"--driver", "-o", "--output", "--send", "--every", "--for"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static int parse_options(int argc, char **argv, struct options *options)
{
    gw_cmd_paths_init(&options->paths);
    options->driver = "serial";
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *wanted;

        if (name[0] != '-') {
            if (options->n_words > 0 && !strchr(name, '='))
                return gw_cmd_usage(&gw_cmd_capture, "\"%s\" is no KEY=VALUE such as baud=9600",
                                    name);
            if (options->n_words == WORDS_MAX)
                return gw_cmd_usage(&gw_cmd_capture, "too many keys");
            options->words[options->n_words++] = name;
            continue;
        }
        int taken = is_our_option(name) ? 0 : gw_cmd_paths_take(&options->paths, argc, argv, &i);
        if (taken > 0)
            continue;
        if (taken == 0 && !is_our_option(name))
            return gw_cmd_usage(&gw_cmd_capture, "unknown option %s", name);
        if (taken < 0 || ++i == argc)
            return gw_cmd_usage(&gw_cmd_capture, "%s needs an argument", name);
        wanted = take_value(options, name, argv[i]);
        if (wanted)
            return gw_cmd_usage(&gw_cmd_capture, "%s %s is not %s", name, argv[i], wanted);
    }
    if (options->n_words == 0)
        return gw_cmd_usage(&gw_cmd_capture, "which port?");
    return GW_EXIT_OK;
}

/* ---- capturing -------------------------------------------------------------------------------------- */

struct capture {
    const struct options *options;
    const struct gw_driver *driver;
    struct gw_host host;
    struct gw_bus *bus;
    FILE *file; /* NULL: only shown */
    int64_t start_us, end_us, send_us;
    size_t next_send;
    bool is_open, is_told; /* the port could not be opened, and that was said */
};

static int64_t host_now_us(void *ctx)
{
    (void)ctx;
    return gw_now_us(&gw_system_clock);
}

static void host_debug(void *ctx, const char *fmt, ...) GW_PRINTF(2, 3);
static void host_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

static void print(const struct capture *capture, int64_t at_us, char direction,
                  const uint8_t *bytes, size_t len)
{
    gw_transcript_print(stdout, at_us - capture->start_us, direction, bytes, len);
    fflush(stdout);
    if (capture->file) {
        gw_transcript_print(capture->file, at_us - capture->start_us, direction, bytes, len);
        fflush(capture->file);
    }
}

static void note(const struct capture *capture, const char *text)
{
    printf("# %s\n", text);
    fflush(stdout);
    if (capture->file)
        fprintf(capture->file, "# %s\n", text);
}

static bool open_bus(struct capture *capture)
{
    struct gw_driver_diag diag = {0};
    char text[sizeof diag.text + 32];
    enum gw_err err = capture->driver->open(capture->bus, host_now_us(NULL) + 5 * SECOND_US, &diag);

    capture->is_open = err == GW_OK;
    if (capture->is_open) {
        if (capture->is_told)
            note(capture, "the port is back");
        capture->is_told = false;
        return true;
    }
    capture->driver->close(capture->bus);
    if (!capture->is_told) {
        snprintf(text, sizeof text, "%s; waiting for it",
                 diag.text[0] ? diag.text : gw_err_str(err));
        note(capture, text);
    }
    capture->is_told = true;
    return false;
}

/* What is to be sent now; NULL: nothing. */
static const struct sent *next_to_send(struct capture *capture, int64_t now_us)
{
    const struct options *options = capture->options;
    const struct sent *sent;

    if (options->n_sends == 0 || now_us < capture->send_us)
        return NULL;
    sent = &options->sends[capture->next_send++];
    /* One after the other, each with time for an answer; the whole again after --every. */
    capture->send_us = now_us + SECOND_US;
    if (capture->next_send == options->n_sends) {
        capture->next_send = 0;
        capture->send_us = options->every_us ? now_us + options->every_us : INT64_MAX;
    }
    return sent;
}

/* Gathers what follows without a pause, and prints it. */
static enum gw_err take_burst(struct capture *capture, uint8_t burst[BURST_MAX], size_t len)
{
    int64_t at_us = host_now_us(NULL);
    enum gw_err err = GW_OK;
    size_t n = 0;

    while (err == GW_OK && len < BURST_MAX) {
        err = capture->driver->raw(capture->bus, NULL, 0, host_now_us(NULL) + GAP_US, burst + len,
                                   BURST_MAX - len, &n);
        len += err == GW_OK ? n : 0;
    }
    print(capture, at_us, '<', burst, len);
    return err == GW_E_TIMEOUT ? GW_OK : err;
}

static enum gw_err step(struct capture *capture)
{
    static uint8_t burst[BURST_MAX];
    int64_t now_us = host_now_us(NULL), until_us = now_us + SECOND_US;
    const struct sent *sent = next_to_send(capture, now_us);
    size_t len = 0;

    if (sent)
        print(capture, now_us, '>', sent->bytes, sent->len);
    if (capture->send_us < until_us)
        until_us = capture->send_us;
    if (capture->end_us < until_us)
        until_us = capture->end_us;
    enum gw_err err = capture->driver->raw(capture->bus, sent ? sent->bytes : NULL,
                                           sent ? sent->len : 0, until_us, burst, BURST_MAX, &len);
    return err == GW_OK ? take_burst(capture, burst, len) : err == GW_E_TIMEOUT ? GW_OK : err;
}

/* Until a signal comes or the time is over. */
static void run_capture(struct capture *capture, int signal_fd)
{
    const struct signalfd_siginfo none = {0};
    struct signalfd_siginfo info = none;

    while (host_now_us(NULL) < capture->end_us && read(signal_fd, &info, sizeof info) < 0) {
        enum gw_err err;

        if (!capture->is_open && !open_bus(capture)) {
            const struct timespec pause = {.tv_nsec = REOPEN_US * 1000};
            nanosleep(&pause, NULL); /* a signal is blocked: it is found above */
            continue;
        }
        err = step(capture);
        if (err == GW_OK || err == GW_E_CLOSED)
            continue;
        note(capture, "the port is gone");
        capture->driver->close(capture->bus);
        capture->is_open = false;
    }
    capture->driver->close(capture->bus);
}

/* ---- life ------------------------------------------------------------------------------------------- */

static bool start_file(struct capture *capture)
{
    const struct options *options = capture->options;
    char time_text[32];
    time_t now = time(NULL);
    struct tm tm;

    if (!options->file)
        return true;
    capture->file = fopen(options->file, "we");
    if (!capture->file) {
        fprintf(stderr, "field2mqtt capture: %s cannot be written: %s\n", options->file,
                strerror(errno));
        return false;
    }
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    fprintf(capture->file, "# %s %s", time_text, options->driver);
    for (size_t i = 0; i < options->n_words; i++)
        fprintf(capture->file, " %s", options->words[i]);
    fputc('\n', capture->file);
    return true;
}

static int finish_file(struct capture *capture)
{
    bool is_bad;

    if (!capture->file)
        return GW_EXIT_OK;
    is_bad = ferror(capture->file);
    if (fclose(capture->file) != 0 || is_bad) {
        fprintf(stderr, "field2mqtt capture: %s could not be written whole\n",
                capture->options->file);
        return GW_EXIT_FAILED;
    }
    return GW_EXIT_OK;
}

static int catch_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int capture_bus(const struct options *options, const struct gw_config *config)
{
    struct capture capture = {.options = options, .driver = config->buses->driver};
    int signal_fd = catch_signals(), code = GW_EXIT_FAILED;

    if (signal_fd < 0)
        return GW_EXIT_FAILED;
    capture.host = (struct gw_host){
        .now_us = host_now_us, .debug = host_debug, .wake_fd = signal_fd, .listen_fd = signal_fd};
    capture.start_us = capture.send_us = host_now_us(NULL);
    capture.end_us = options->for_us ? capture.start_us + options->for_us : INT64_MAX;
    if (gw_driver_bus_new(config->buses, &capture.host, &capture.bus) == GW_OK &&
        start_file(&capture)) {
        run_capture(&capture, signal_fd);
        code = finish_file(&capture);
    }
    gw_driver_bus_free(capture.bus);
    close(signal_fd);
    return code;
}

/* Reads the words by the keys of the driver; prints every mistake. */
static int capture_driver(const struct options *options, const struct gw_driver *driver)
{
    struct gw_diags *diags = gw_diags_new();
    struct gw_config *config = NULL;
    int code = GW_EXIT_USAGE;

    if (!diags)
        return GW_EXIT_FAILED;
    if (gw_config_of_words(driver, options->words, options->n_words, diags, &config) == GW_OK)
        code = capture_bus(options, config);
    else
        gw_diags_print(diags, stderr);
    gw_config_free(config);
    gw_diags_free(diags);
    return code;
}

static int run(int argc, char **argv)
{
    struct options *options = calloc(1, sizeof *options);
    struct gw_plugins *plugins;
    const struct gw_driver *driver;

    if (!options)
        return GW_EXIT_FAILED;
    int code = parse_options(argc, argv, options);
    if (code == GW_EXIT_OK)
        code = gw_cmd_load_plugins(&options->paths, &plugins);
    if (code == GW_EXIT_OK) {
        driver = gw_plugins_find(plugins, options->driver);
        if (driver && driver->raw)
            code = capture_driver(options, driver);
        else
            code = gw_cmd_usage(&gw_cmd_capture, "driver %s %s", options->driver,
                                driver ? "has no bytes to show" : "is unknown");
        gw_plugins_free(plugins);
    }
    free(options);
    return code;
}

const struct gw_verb gw_cmd_capture = {
    .name = "capture",
    .usage = "capture PORT [KEY=VALUE ...] [-o FILE] [--send TEXT ... [--every TIME]] [--for TIME] "
             "[--driver NAME]",
    .summary = "show what passes over a port, as hex and text with times, and write it to a file",
    .run = run,
};
