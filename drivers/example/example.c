/* example: the smallest complete driver, a skeleton to copy. docs/drivers.md walks through it.
 *
 * Its "field hardware" is a text file that some other program writes, a script of yours perhaps:
 *
 *     # a device is a section, a point is a field of it
 *     [boiler]
 *     temperature = 71.5
 *     starts = 1204
 *     burner = on
 *
 * A bus is one file, a request reads it once for all the points of a device that are due. Whatever a real driver
 * does with a serial port or a socket stands in the same places here.
 *
 * The gateway owns threads, retries, time, scaling, topics and the configuration file. So a driver has no globals,
 * starts no thread, does not sleep, asks nothing twice and prints nothing. */
#include "example.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 65536, TEXT_MAX = 255 };

/* ---- 1. What a user may say: the structs of example.h, described by tables ------------------------- */

/* A notation of our own, since no key type of the core covers it. Pure; the sentence says what was written and what
 * could have been. The core adds the place in the file. */
static enum gw_err parse_type(const char *text, void *field, struct gw_driver_diag *diag)
{
    static const struct {
        const char *name;
        enum gw_kind kind;
    } names[] = {{"number", GW_FLOAT64}, {"integer", GW_INT}, {"bool", GW_BOOL}, {"text", GW_TEXT}};
    struct example_type *type = field;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i].name) == 0) {
            *type = (struct example_type){names[i].kind, TEXT_MAX};
            return GW_OK;
        }
    if (strncmp(text, "text[", 5) == 0 && isdigit((unsigned char)text[5])) {
        char *end;
        long max_len = strtol(text + 5, &end, 10);

        if (strcmp(end, "]") == 0 && max_len >= 1 && max_len <= TEXT_MAX) {
            *type = (struct example_type){GW_TEXT, (size_t)max_len};
            return GW_OK;
        }
    }
    snprintf(diag->text, sizeof diag->text,
             "type \"%.40s\" is none of number, integer, bool, text, text[1] to text[%d]", text,
             TEXT_MAX);
    return GW_E_CONFIG;
}

/* The core reads the YAML by these tables. The printed help, the JSON Schema and the manual come from them too. */
static const struct gw_key bus_keys[] = {
    {
        .name = "path",
        .type = GW_KEY_TEXT,
        .flags = GW_REQUIRED |
                 GW_ADDRESS, /* ADDRESS: `field2mqtt simulate` puts it elsewhere (see redirect) */
        .offset = offsetof(struct example_bus_conf, path),
        .min = 1,
        .max = 1000,
        .help = "The text file that holds the values.",
        .example = "/run/boiler/values.txt",
    },
    {0},
};

static const struct gw_key device_keys[] = {
    {
        .name = "section",
        .type = GW_KEY_TEXT,
        .offset = offsetof(struct example_device_conf, section),
        .min = 1,
        .max = 64,
        .help = "The section of the file; without it, the section called like the device.",
        .example = "boiler",
    },
    {0},
};

static const struct gw_key point_keys[] = {
    {
        .name = "field",
        .type = GW_KEY_TEXT,
        .flags = GW_REQUIRED,
        .offset = offsetof(struct example_point_conf, field),
        .min = 1,
        .max = 64,
        .help = "The name of the field in the section.",
        .example = "temperature",
    },
    {
        .name = "type",
        .type = GW_KEY_PARSED,
        .flags = GW_INHERIT, /* may also stand at the device or the bus, for all the points below */
        .offset = offsetof(struct example_point_conf, type),
        .def = "number",
        .help = "What the field holds: number, integer, bool (on, off, true, false, 1, 0), text, "
                "or text[N] of at most "
                "N bytes.",
        .parse = parse_type,
        .pattern =
            "^(number|integer|bool|text(\\[0*[1-9][0-9]{0,2}\\])?)$", /* for editors that check as you type */
        .example = "text[16]",
    },
    {0},
};

/* What no single key can tell. Also tells the core what kind of values to expect. */
static enum gw_err check_point(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag)
{
    const struct example_point_conf *point = point_conf;
    (void)bus_conf, (void)device_conf;

    if (strpbrk(point->field, "=[]# \t")) {
        diag->key = "field"; /* the caret points at this key */
        snprintf(diag->text, sizeof diag->text, "field \"%.64s\" must not hold = [ ] # or blanks",
                 point->field);
        return GW_E_CONFIG;
    }
    ret_traits->kind = point->type.kind;
    ret_traits->can_read = true;
    return GW_OK;
}

/* ---- 2. The link ------------------------------------------------------------------------------------ */

/* All memory that a driver needs while it runs. The core allocates it zeroed: bus_state_size in the table below. */
struct example_bus {
    bool is_open;
    char text[FILE_MAX +
              1]; /* the file as last read; texts of values point into it until the next execute */
};

/* Reads the whole file. A missing file is a lost link: the core closes the bus, waits, and opens it again. */
static enum gw_err read_file(const char *path, char text[FILE_MAX + 1], const char **ret_reason)
{
    struct stat info;
    size_t len = 0;
    ssize_t n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opening a pipe would wait for ever */

    *ret_reason = "no_file";
    if (fd < 0)
        return GW_E_LINK;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        n = -1;
    while (n > 0 && len <= FILE_MAX) {
        n = read(fd, text + len, FILE_MAX + 1 - len);
        if (n > 0)
            len += (size_t)n;
    }
    close(fd);
    if (n < 0)
        return GW_E_LINK;
    *ret_reason = "file_too_large";
    if (len > FILE_MAX)
        return GW_E_PROTO; /* something that cannot be trusted came */
    text[len] = '\0';
    return GW_OK;
}

/* A real driver opens its port here and gives up at deadline_us; bus->host->now_us is the clock to ask. */
static enum gw_err example_open(struct gw_bus *bus, int64_t deadline_us,
                                struct gw_driver_diag *diag)
{
    const struct example_bus_conf *conf = bus->conf;
    struct example_bus *state = bus->state;
    const char *reason;
    (void)deadline_us;

    enum gw_err err = read_file(conf->path, state->text, &reason);
    if (err != GW_OK) {
        snprintf(diag->text, sizeof diag->text, "%.200s cannot be read (%s)", conf->path, reason);
        return GW_E_LINK;
    }
    state->is_open = true;
    return GW_OK;
}

/* Also called after an open that failed, and maybe twice: undo only what was done. */
static void example_close(struct gw_bus *bus)
{
    struct example_bus *state = bus->state;

    state->is_open = false;
}

/* ---- 3. Planning: points that are due together -> requests ------------------------------------------- */

/* Here one request serves them all. A driver of a protocol with a price for each byte looks for the cheapest set of
 * requests instead. Pure: no I/O, so that `field2mqtt check` can predict the load of the bus. */
static enum gw_err example_plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                                struct gw_plan *ret_plan)
{
    (void)device;
    if (ret_plan->max_requests < 1 || ret_plan->max_members < n_points)
        return GW_E_RANGE;
    memcpy(ret_plan->members, points, n_points * sizeof *points);
    ret_plan->n_members = n_points;
    ret_plan->requests[0] = (struct gw_request){
        .wire_us =
            100, /* predicted; a serial driver counts bytes at the baud rate, silence and turnaround */
        .first_member = 0,
        .n_members = (uint16_t)n_points,
        .n_units = (uint16_t)n_points,
        .n_wanted = (uint16_t)n_points,
    };
    ret_plan->n_requests = 1;
    return GW_OK;
}

/* ---- 4. One exchange -------------------------------------------------------------------------------- */

/* Everything from a file or a wire is hostile: lengths are explicit, nothing is believed. */
struct span {
    const char *p;
    size_t len;
};

static struct span trim(const char *from, const char *to)
{
    while (from < to && strchr(" \t\r", *from))
        from++;
    while (to > from && strchr(" \t\r", to[-1]))
        to--;
    return (struct span){from, (size_t)(to - from)};
}

static bool is_same(struct span span, const char *word)
{
    return span.len == strlen(word) && memcmp(span.p, word, span.len) == 0;
}

/* Takes the next line off *text; false at the end. */
static bool next_line(const char **text, struct span *ret_line)
{
    const char *end = strchr(*text, '\n');

    if (**text == '\0')
        return false;
    if (!end)
        end = *text + strlen(*text);
    *ret_line = trim(*text, end);
    *text = *end ? end + 1 : end;
    return true;
}

/* Gives what follows the heading [section], NULL when there is none. */
static const char *find_section(const char *text, const char *section)
{
    struct span line;

    while (next_line(&text, &line))
        if (line.len >= 2 && line.p[0] == '[' && line.p[line.len - 1] == ']' &&
            is_same(trim(line.p + 1, line.p + line.len - 1), section))
            return text;
    return NULL;
}

static bool find_field(const char *text, const char *field, struct span *ret_value)
{
    struct span line;

    while (next_line(&text, &line) && !(line.len > 0 && line.p[0] == '[')) {
        const char *equals = memchr(line.p, '=', line.len);

        if (equals && is_same(trim(line.p, equals), field)) {
            *ret_value = trim(equals + 1, line.p + line.len);
            return true;
        }
    }
    return false;
}

static bool parse_bool(struct span text, bool *ret_value)
{
    static const char *const yes[] = {"on", "true", "1"}, *const no[] = {"off", "false", "0"};

    for (size_t i = 0; i < 3; i++)
        if (is_same(text, yes[i]) || is_same(text, no[i])) {
            *ret_value = is_same(text, yes[i]);
            return true;
        }
    return false;
}

/* Are these bytes whole UTF-8 characters, and none of them a control character? */
static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.len;) {
        unsigned char first = (unsigned char)text.p[i++];
        int n_more = first < 0x80                    ? 0
                     : first >= 0xC2 && first < 0xE0 ? 1
                     : first >= 0xE0 && first < 0xF0 ? 2
                                                     : 3;

        if (first < 0x20 || first == 0x7F || (first >= 0x80 && first < 0xC2) || first > 0xF4)
            return false;
        for (; n_more > 0; n_more--)
            if (i >= text.len || ((unsigned char)text.p[i++] & 0xC0) != 0x80)
                return false;
    }
    return true;
}

static bool parse_integer(struct span text, int64_t *ret_value)
{
    char digits[64], *end;

    snprintf(digits, sizeof digits, "%.*s", (int)(text.len < sizeof digits ? text.len : 0), text.p);
    errno = 0;
    *ret_value = strtoll(digits, &end, 10);
    return end != digits && *end == '\0' && errno == 0;
}

static bool parse_number(struct span text, double *ret_value)
{
    char digits[64], *end;

    snprintf(digits, sizeof digits, "%.*s", (int)(text.len < sizeof digits ? text.len : 0), text.p);
    *ret_value = strtod(digits, &end);
    return end != digits && *end == '\0' && isfinite(*ret_value);
}

/* Text of the file to a typed raw value. A wrong value is worse than a missing one: what cannot be read whole is bad,
 * with a reason that stands in the payload. */
static void decode(struct span text, struct example_type type, struct gw_result *result)
{
    struct gw_value *value = &result->value;
    bool is_good;

    value->kind = type.kind;
    switch (type.kind) {
    case GW_TEXT:
        value->text.p = text.p;
        value->text.len = text.len;
        result->reason = "bad_text";
        is_good = text.len <= type.max_len && is_printable(text);
        break;
    case GW_BOOL:
        result->reason = "not_a_bool";
        is_good = parse_bool(text, &value->b);
        break;
    case GW_INT:
        result->reason = "not_a_number";
        is_good = parse_integer(text, &value->i);
        break;
    default:
        result->reason = "not_a_number";
        is_good = parse_number(text, &value->f64);
        break;
    }
    result->err = is_good ? GW_OK : GW_E_PROTO;
}

/* Blocks until deadline_us at most. The error that it returns is about the whole exchange, and chosen by what the core
 * shall do: LINK reopens the bus, TIMEOUT counts a failure of this device, PROTO asks again. What is wrong with a single
 * point goes into its result, so that its neighbours stay good. */
static enum gw_err example_execute(struct gw_device *device, const struct gw_request *request,
                                   const uint16_t *members, int64_t deadline_us,
                                   struct gw_result *results, struct gw_outcome *outcome)
{
    const struct gw_host *host = device->bus->host;
    const struct example_bus_conf *bus_conf = device->bus->conf;
    const struct example_device_conf *conf = device->conf;
    struct example_bus *state = device->bus->state;
    const char *name = conf->section ? conf->section : device->name;
    (void)deadline_us; /* reading a regular file does not wait */

    if (!state->is_open)
        return GW_E_CLOSED;
    enum gw_err err = read_file(bus_conf->path, state->text, &outcome->reason);
    if (err != GW_OK)
        return err;
    outcome->acquired_us = host->now_us(host->ctx);
    outcome->reason = NULL;
    const char *section = find_section(state->text, name);
    if (!section) {
        outcome->reason = "no_section";
        return GW_E_TIMEOUT; /* this device is silent, others may answer */
    }
    for (size_t i = 0; i < request->n_members; i++) {
        const struct example_point_conf *point = device->points[members[i]];
        struct span text;

        if (find_field(section, point->field, &text)) {
            decode(text, point->type, &results[i]);
        } else {
            results[i].err = GW_E_REFUSED;
            results[i].reason = "no_field";
        }
    }
    return GW_OK;
}

/* ---- 5. The table, and the one symbol that the gateway looks for -------------------------------------- */

static const struct gw_driver example_driver = {
    .name = "example",
    .summary = "values from a text file; a skeleton for drivers of your own",
    .bus_keys = bus_keys,
    .device_keys = device_keys,
    .point_keys = point_keys,
    .bus_conf_size = sizeof(struct example_bus_conf),
    .device_conf_size = sizeof(struct example_device_conf),
    .point_conf_size = sizeof(struct example_point_conf),
    .bus_state_size = sizeof(struct example_bus),
    .reopen_min_us = 1000000,
    .reopen_max_us = 10000000,
    .check_point = check_point,
    .open = example_open,
    .close = example_close,
    .plan = example_plan,
    .execute = example_execute,
    .redirect = example_redirect,
    .simulate = example_simulate,
    /* Not needed here, so left NULL: check_bus, check_device, device_state_size, prepare, split, forget, write, listen,
     * scan, identify. */
};

static const struct gw_driver *const drivers[] = {&example_driver, NULL};

GW_PLUGIN_EXPORT extern const struct gw_plugin field2mqtt_plugin;
const struct gw_plugin field2mqtt_plugin = {
    .abi = GW_DRIVER_ABI,
    .driver_size = sizeof(struct gw_driver),
    .key_size = sizeof(struct gw_key),
    .drivers = drivers,
};
