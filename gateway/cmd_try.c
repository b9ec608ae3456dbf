/* cmd_try: `field2mqtt try`: what a template makes of bytes in a file, and where and why it makes nothing of them. Touches no
 * hardware. Knows no frames: the driver decodes. */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/arena.h"
#include "gateway/cmd.h"
#include "gateway/driver_bus.h"
#include "gateway/mapping.h"
#include "gateway/number.h"

enum { INPUT_MAX = 1024 * 1024, WORDS_MAX = 32, NAME_MAX_LEN = 64, DUMP_WIDTH = 16 };

struct options {
    struct gw_cmd_paths paths;
    const char *driver, *template, *file;
    const char *words[WORDS_MAX]; /* KEY=VALUE of the device */
    size_t n_words;
};

static int parse_options(int argc, char **argv, struct options *options)
{
    gw_cmd_paths_init(&options->paths);
    options->driver = "serial";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--driver") == 0 && i + 1 < argc) {
            options->driver = argv[++i];
        } else if (argv[i][0] == '-' && argv[i][1]) {
            int taken = gw_cmd_paths_take(&options->paths, argc, argv, &i);

            if (taken <= 0)
                return gw_cmd_usage(&gw_cmd_try,
                                    taken ? "%s needs an argument" : "unknown option %s", argv[i]);
        } else if (!options->template) {
            options->template = argv[i];
        } else if (!options->file) {
            options->file = argv[i];
        } else if (strchr(argv[i], '=') && options->n_words < WORDS_MAX) {
            options->words[options->n_words++] = argv[i];
        } else {
            return gw_cmd_usage(&gw_cmd_try, "%s is no KEY=VALUE of the device", argv[i]);
        }
    }
    return options->file ? GW_EXIT_OK
                         : gw_cmd_usage(&gw_cmd_try, "which template, and which file?");
}

/* ---- what the file holds ---------------------------------------------------------------------------- */

struct input {
    uint8_t *bytes;
    size_t len;
};

static bool read_file(const char *file, struct input *ret)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "rb");

    if (!in)
        return false;
    ret->bytes = malloc(INPUT_MAX + 1);
    ret->len = ret->bytes ? fread(ret->bytes, 1, INPUT_MAX, in) : 0;
    bool is_good = ret->bytes && !ferror(in);
    if (ret->bytes)
        ret->bytes[ret->len] = '\0';
    if (in != stdin)
        fclose(in);
    return is_good;
}

static int hex_digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : isxdigit(c) ? (c | 0x20) - 'a' + 10 : -1;
}

/* Appends the pairs of digits of a line up to a bar. False: something else stands there. */
static bool take_hex(const char *line, size_t len, uint8_t *out, size_t *n_out)
{
    size_t n = *n_out;

    for (size_t i = 0; i < len && line[i] != '|';) {
        if (isspace((unsigned char)line[i])) {
            i++;
            continue;
        }
        int high = i + 1 < len ? hex_digit(line[i]) : -1,
            low = high < 0 ? -1 : hex_digit(line[i + 1]);
        if (low < 0)
            return false;
        out[n++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    *n_out = n;
    return true;
}

/* Makes bytes of a transcript of `capture` (what was received) or of pasted hexadecimal digits. False: neither, so that the
 * file is the bytes themselves. */
static bool decode_text(struct input *input)
{
    const char *text = (const char *)input->bytes;
    uint8_t *out = malloc(input->len + 1);
    size_t n_out = 0;
    bool is_text = out != NULL && memchr(text, '\0', input->len) == NULL;

    for (const char *line = text; is_text && *line;) {
        size_t len = strcspn(line, "\n"), skip = strspn(line, " \t");
        const char *mark = line[skip] == '+' ? memchr(line, '<', len) : line;

        if (line[skip] == '+' && !mark)
            skip = len; /* what was sent */
        else if (line[skip] == '+')
            skip = (size_t)(mark + 1 - line);
        if (skip < len && line[skip] != '#')
            is_text = take_hex(line + skip, len - skip, out, &n_out);
        line += len + (line[len] == '\n');
    }
    if (!is_text || n_out == 0) {
        free(out);
        return false;
    }
    free(input->bytes);
    *input = (struct input){out, n_out};
    return true;
}

/* ---- a configuration around the template ------------------------------------------------------------- */

/* A template given as a file is looked for in the folder of that file. */
static void split_template(struct options *options, char *folder, char name[NAME_MAX_LEN + 6])
{
    char *copy = strdup(options->template);
    size_t len;

    snprintf(name, NAME_MAX_LEN + 6, "%s", copy ? basename(copy) : "");
    len = strlen(name);
    if (len > 5 && strcmp(name + len - 5, ".yaml") == 0)
        name[len - 5] = '\0';
    free(copy);
    if (!strchr(options->template, '/') && !strstr(options->template, ".yaml"))
        return;
    snprintf(folder, strlen(options->template) + 2, "%s", options->template);
    options->paths.template_dir = dirname(folder);
}

/* Says so itself, since the loader would name the configuration around the template, which nobody wrote. */
static bool is_template_there(const struct options *options, const char *name)
{
    struct gw_arena arena = {0};
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s.yaml", options->paths.template_dir, name);
    if (access(path, R_OK) == 0)
        return true;
    const char *why = strerror(errno);
    const char *near = gw_config_nearest_template(&arena, options->paths.template_dir, name);
    fprintf(stderr, "field2mqtt try: template %s cannot be read: %s%s%s%s\n", path, why,
            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    gw_arena_free(&arena);
    return false;
}

/* A text in single quotes. */
static void print_quoted(int fd, const char *text)
{
    dprintf(fd, "'");
    for (; *text; text++)
        dprintf(fd, *text == '\'' ? "''" : "%c", *text);
    dprintf(fd, "'");
}

static void write_config(int fd, const struct options *options, const struct gw_driver *driver,
                         const char *name)
{
    dprintf(fd,
            "gateway: { name: try }\nmqtt: { servers: mqtt://127.0.0.1 }\nbuses:\n  - name: try\n"
            "    driver: %s\n",
            driver->name);
    for (const struct gw_key *key = driver->bus_keys; key->name; key++)
        if (key->flags & GW_REQUIRED)
            dprintf(fd, "    %s: none\n", key->name);
    dprintf(fd, "    devices:\n      - name: try\n        template: ");
    print_quoted(fd, name);
    dprintf(fd, "\n");
    for (size_t i = 0; i < options->n_words; i++) {
        const char *equals = strchr(options->words[i], '=');

        dprintf(fd, "        %.*s: ", (int)(equals - options->words[i]), options->words[i]);
        print_quoted(fd, equals + 1);
        dprintf(fd, "\n");
    }
}

/* Loads the template for the driver. Prints its mistakes. */
static int load_config(struct options *options, struct gw_plugins *plugins,
                       const struct gw_driver *driver, struct gw_config **ret_config)
{
    char name[NAME_MAX_LEN + 6], file[40];
    char *folder = malloc(strlen(options->template) + 2);
    struct gw_diags *diags = gw_diags_new();
    int fd = memfd_create("try", MFD_CLOEXEC), code = GW_EXIT_FAILED;

    if (folder)
        split_template(options, folder, name);
    if (folder && diags && fd >= 0 && is_template_there(options, name)) {
        write_config(fd, options, driver, name);
        snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
        options->paths.config_file = file;
        code = gw_cmd_load_config(&options->paths, plugins, diags, ret_config) == GW_OK
                   ? GW_EXIT_OK
                   : GW_EXIT_CONFIG;
        gw_diags_print(diags, stderr);
        options->paths.config_file = NULL;
    }
    if (fd >= 0)
        close(fd);
    gw_diags_free(diags);
    free(folder);
    return code;
}

/* ---- what comes out ---------------------------------------------------------------------------------- */

struct output {
    const struct gw_device_conf *device;
    const uint8_t *bytes;
    size_t n_messages, n_wrong; /* messages, bytes of no message */
};

static void print_dump(const uint8_t *bytes, size_t at, size_t len)
{
    for (size_t i = 0; i < len; i += DUMP_WIDTH) {
        size_t n = len - i < DUMP_WIDTH ? len - i : DUMP_WIDTH;

        printf("    %6zu  ", at + i);
        for (size_t k = 0; k < DUMP_WIDTH; k++)
            if (k < n)
                printf("%02X ", bytes[at + i + k]);
            else
                printf("   ");
        printf(" |");
        for (size_t k = 0; k < n; k++)
            putchar(bytes[at + i + k] >= 0x20 && bytes[at + i + k] < 0x7F ? bytes[at + i + k]
                                                                          : '.');
        printf("|\n");
    }
}

static void on_part(void *ctx, size_t at, size_t len, const char *why)
{
    struct output *output = ctx;

    if (why) {
        output->n_wrong += len;
        printf("bytes %zu-%zu: %s\n", at, at + len - 1, why);
    } else {
        printf("message %zu, bytes %zu-%zu\n", ++output->n_messages, at, at + len - 1);
    }
    print_dump(output->bytes, at, len);
}

static void on_result(void *ctx, uint16_t point, const struct gw_result *result)
{
    const struct output *output = ctx;
    const struct gw_point_conf *conf = &output->device->points[point];
    struct gw_reading reading;
    char number[GW_NUMBER_TEXT];

    gw_map_result(conf->map, result, 0, &reading);
    printf("    %-24s ", conf->name);
    if (reading.quality != GW_GOOD)
        printf("no value: %s\n", reading.reason ? reading.reason : "bad");
    else if (reading.enum_name)
        printf("%s\n", reading.enum_name);
    else if (reading.value.kind == GW_TEXT)
        printf("%.*s\n", (int)reading.value.text.len, reading.value.text.p);
    else if (reading.value.kind == GW_BOOL)
        printf("%s\n", reading.value.b ? "true" : "false");
    else
        printf("%.*s%s%s\n", (int)gw_number_print(&reading.value, number), number,
               conf->map->unit ? " " : "", conf->map->unit ? conf->map->unit : "");
}

static int64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static void no_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

static int decode(const struct gw_config *config, const struct input *input)
{
    const struct gw_host host = {
        .now_us = no_time, .debug = no_debug, .wake_fd = -1, .listen_fd = -1};
    const struct gw_bus_conf *conf = &config->buses[0];
    struct output output = {&conf->devices[0], input->bytes, 0, 0};
    const struct gw_decoded decoded = {&output, on_part, on_result};
    struct gw_bus *bus;

    if (gw_driver_bus_new(conf, &host, &bus) != GW_OK) {
        fprintf(stderr, "field2mqtt try: out of memory\n");
        return GW_EXIT_FAILED;
    }
    enum gw_err err = conf->driver->decode(&bus->devices[0], input->bytes, input->len, &decoded);
    gw_driver_bus_free(bus);
    printf("%zu message%s, %zu byte%s of no message\n", output.n_messages,
           output.n_messages == 1 ? "" : "s", output.n_wrong, output.n_wrong == 1 ? "" : "s");
    return err == GW_OK && output.n_messages > 0 ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int try_template(struct options *options, struct gw_plugins *plugins)
{
    const struct gw_driver *driver = gw_plugins_find(plugins, options->driver);
    struct gw_config *config = NULL;
    struct input input = {NULL, 0};
    int code;

    if (!driver || !driver->decode) {
        fprintf(stderr, "field2mqtt try: driver %s %s\n", options->driver,
                driver ? "has no messages to try a template with" : "is not there");
        return GW_EXIT_USAGE;
    }
    code = load_config(options, plugins, driver, &config);
    if (code != GW_EXIT_OK)
        return code;
    if (read_file(options->file, &input)) {
        decode_text(&input);
        code = decode(config, &input);
    } else {
        fprintf(stderr, "field2mqtt try: %s cannot be read\n", options->file);
        code = GW_EXIT_FAILED;
    }
    free(input.bytes);
    gw_config_free(config);
    return code;
}

static int run(int argc, char **argv)
{
    struct options options = {.driver = NULL};
    struct gw_plugins *plugins;
    int code = parse_options(argc, argv, &options);

    if (code == GW_EXIT_OK)
        code = gw_cmd_load_plugins(&options.paths, &plugins);
    if (code != GW_EXIT_OK)
        return code;
    code = try_template(&options, plugins);
    gw_plugins_free(plugins);
    return code;
}

const struct gw_verb gw_cmd_try = {
    .name = "try",
    .usage = "try TEMPLATE FILE|- [KEY=VALUE...] [--driver NAME]",
    .summary = "decode a transcript, hexadecimal digits or bytes by a template",
    .run = run,
};
