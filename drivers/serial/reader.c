/* reader: the patterns of a device, and which points a frame brings. What stands at their places is read in values.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/charset.h"
#include "drivers/serial/notation.h"
#include "drivers/serial/reader.h"

enum { PATTERN_MAX = 1200 };

/* ---- patterns, each compiled once ------------------------------------------------------------------ */

/* Letters of patterns in an address stand for themselves. */
static size_t put_literal(const char *address, char *buf, size_t size)
{
    size_t len = 0;

    for (const char *p = address; *p && len + 3 < size; p++) {
        if (strchr("\\^$.[|()?*+{}", *p))
            buf[len++] = '\\';
        buf[len++] = *p;
    }
    return len;
}

/* The bytes that ${address:bcd} and ${address:byte} send, as \xHH. */
static size_t put_bytes(const char *address, const char *form, char *buf, size_t size)
{
    struct serial_vars vars = {0};
    uint8_t bytes[SERIAL_VAR_LEN];
    size_t n = 0, len = 0;

    if (!serial_vars_set(&vars, "address", address, strlen(address)) ||
        serial_render(form, NULL, &vars, bytes, sizeof bytes, &n, NULL) != GW_OK)
        return 0;
    for (size_t i = 0; i < n && len + 5 < size; i++)
        len += (size_t)snprintf(buf + len, size - len, "\\x%02X", bytes[i]);
    return len;
}

/* Puts the address into a pattern. False: too long. */
static bool put_address(const char *text, const char *address, char buf[PATTERN_MAX])
{
    static const char *const forms[] = {"${address}", "${address:bcd}", "${address:byte}"};
    size_t len = 0;

    while (*text && len + 1 < PATTERN_MAX) {
        size_t form = 0;

        while (form < 3 && strncmp(text, forms[form], strlen(forms[form])) != 0)
            form++;
        if (form == 3) {
            buf[len++] = *text++;
            continue;
        }
        text += strlen(forms[form]);
        if (address)
            len += form == 0 ? put_literal(address, buf + len, PATTERN_MAX - len)
                             : put_bytes(address, forms[form], buf + len, PATTERN_MAX - len);
    }
    buf[len] = '\0';
    return *text == '\0';
}

struct serial_pattern *serial_device_pattern(const struct serial_device_conf *conf,
                                             const char *text, struct gw_driver_diag *diag)
{
    char buf[PATTERN_MAX];

    if (!put_address(text, conf->address, buf)) {
        serial_complain(diag, "pattern \"%.60s\" is too long with its address", text);
        return NULL;
    }
    return serial_pattern_new(buf, diag);
}

size_t serial_reader_pattern(const struct serial_reader *reader, const char *pattern)
{
    for (size_t i = 0; pattern && i < reader->patterns->n; i++)
        if (strcmp(reader->patterns->list[i].text, pattern) == 0)
            return i;
    return SIZE_MAX;
}

/* of_frames: every frame is looked at by it. */
static enum gw_err add_pattern(struct serial_reader *reader, const char *text, bool of_frames)
{
    struct serial_patterns *patterns = reader->patterns;
    size_t i = serial_reader_pattern(reader, text);

    if (!text)
        return GW_OK;
    if (i == SIZE_MAX) {
        i = patterns->n;
        patterns->list[i] = (struct serial_known_pattern){
            .text = text, .compiled = serial_device_pattern(reader->conf, text, NULL)};
        if (!patterns->list[i].compiled)
            return GW_E_NOMEM;
        patterns->n++;
    }
    patterns->list[i].is_of_frames |= of_frames;
    return GW_OK;
}

static size_t count_patterns(const struct serial_device_conf *conf, size_t n_points)
{
    const struct serial_poll_conf *polls = conf->polls.items;
    size_t n =
        3 * n_points + conf->conditions.n_items + conf->on_open.n_items + conf->on_close.n_items;

    for (size_t i = 0; i < conf->polls.n_items; i++)
        n += 2 + polls[i].steps.n_items;
    return n;
}

static enum gw_err add_steps(struct serial_reader *reader, const struct gw_items *steps)
{
    const struct serial_step_conf *step = steps->items;
    enum gw_err err = GW_OK;

    for (size_t i = 0; i < steps->n_items && !err; i++)
        err = add_pattern(reader, step[i].expect, false);
    return err;
}

static enum gw_err add_device_patterns(struct serial_reader *reader)
{
    const struct serial_device_conf *conf = reader->conf;
    const struct serial_poll_conf *poll = conf->polls.items;
    const struct serial_condition_conf *condition = conf->conditions.items;
    enum gw_err err = GW_OK;

    for (size_t i = 0; i < conf->conditions.n_items && !err; i++)
        err = add_pattern(reader, condition[i].match, true);
    for (size_t i = 0; i < conf->polls.n_items && !err; i++) {
        err = add_pattern(reader, poll[i].ignore, false);
        err = err ? err : add_pattern(reader, poll[i].refused, false);
        err = err ? err : add_steps(reader, &poll[i].steps);
    }
    err = err ? err : add_steps(reader, &conf->on_open);
    return err ? err : add_steps(reader, &conf->on_close);
}

enum gw_err serial_reader_init(struct serial_reader *reader, const struct serial_device_conf *conf,
                               const void *const *points, size_t n_points)
{
    size_t n = count_patterns(conf, n_points);
    enum gw_err err;

    *reader = (struct serial_reader){.conf = conf, .points = points, .n_points = n_points};
    reader->patterns = calloc(1, sizeof *reader->patterns + n * sizeof reader->patterns->list[0]);
    reader->of_points = calloc(n_points ? n_points : 1, sizeof *reader->of_points);
    reader->texts = calloc(n_points ? n_points : 1, sizeof *reader->texts);
    err = reader->patterns && reader->of_points && reader->texts ? add_device_patterns(reader)
                                                                 : GW_E_NOMEM;
    for (size_t i = 0; i < n_points && !err; i++) {
        const struct serial_point_conf *point = points[i];

        err = add_pattern(reader, point->match, true);
        err = err ? err : add_pattern(reader, point->write_reply, false);
        err = err ? err : add_pattern(reader, point->write_refused, false);
        reader->of_points[i] = err ? SIZE_MAX : serial_reader_pattern(reader, point->match);
    }
    if (!err && !serial_charset_open((enum serial_charset)conf->charset, &reader->converter))
        err = GW_E_CONFIG;
    if (err)
        serial_reader_done(reader);
    return err;
}

void serial_reader_done(struct serial_reader *reader)
{
    for (size_t i = 0; reader->patterns && i < reader->patterns->n; i++)
        serial_pattern_free(reader->patterns->list[i].compiled);
    free(reader->patterns);
    free(reader->of_points);
    free(reader->texts);
    serial_charset_close(reader->converter);
    memset(reader, 0, sizeof *reader);
}

bool serial_reader_fits(struct serial_reader *reader, size_t pattern, const uint8_t *text,
                        size_t len)
{
    return pattern < reader->patterns->n &&
           serial_pattern_match(reader->patterns->list[pattern].compiled, text, len);
}

/* ---- frames ---------------------------------------------------------------------------------------- */

bool serial_reader_brings(const struct serial_reader *reader, size_t point)
{
    size_t pattern = reader->of_points[point];
    const struct serial_point_conf *conf = reader->points[point];

    return serial_is_read(conf) && (pattern == SIZE_MAX || reader->patterns->list[pattern].fits);
}

static bool holds(const struct serial_reader *reader, const struct serial_condition_conf *condition,
                  const struct serial_frame *frame)
{
    static const struct serial_point_conf plain = {.separator = ",", .assign = "="};
    struct serial_slice text;
    size_t pattern = serial_reader_pattern(reader, condition->match);

    if (pattern != SIZE_MAX && !reader->patterns->list[pattern].fits)
        return false;
    if (condition->where.kind == SERIAL_NOWHERE)
        return true;
    if (!serial_place_find(&condition->where, &plain, frame, 1, &text))
        return false;
    if (condition->equals.n_items)
        return serial_is_one_of(&condition->equals, serial_trim(text));
    uint64_t bits = serial_join(text.p, text.len, SERIAL_BIG);
    return condition->where.mask ? bits & condition->where.mask : bits != 0;
}

static const char *find_condition(const struct serial_reader *reader,
                                  const struct serial_frame *frame)
{
    const struct serial_condition_conf *condition = reader->conf->conditions.items;

    for (size_t i = 0; i < reader->conf->conditions.n_items; i++)
        if ((condition[i].reason != SERIAL_UNSTABLE || reader->conf->only_stable) &&
            holds(reader, &condition[i], frame))
            return serial_reason_text((enum serial_reason)condition[i].reason);
    return NULL;
}

size_t serial_reader_look(struct serial_reader *reader, const struct serial_frame *frame)
{
    struct serial_patterns *patterns = reader->patterns;
    size_t n = 0;

    for (size_t i = 0; i < patterns->n; i++)
        if (patterns->list[i].is_of_frames)
            patterns->list[i].fits = serial_pattern_match(
                patterns->list[i].compiled, frame->bytes + frame->body, frame->n_body);
    reader->reason = find_condition(reader, frame);
    for (size_t i = 0; i < reader->n_points; i++)
        n += serial_reader_brings(reader, i);
    return n;
}

const char *serial_reason_text(enum serial_reason reason)
{
    static const char *const texts[] = {
        [SERIAL_OVERLOAD] = "overload",
        [SERIAL_UNDERLOAD] = "underload",
        [SERIAL_OUT_OF_RANGE] = "out_of_range",
        [SERIAL_UNSTABLE] = "unstable",
        [SERIAL_NOT_EXECUTABLE] = "not_executable",
        [SERIAL_INVALID_FIX] = "invalid_fix",
        [SERIAL_ZERO_ERROR] = "zero_error",
        [SERIAL_ERROR] = "instrument_error",
        [SERIAL_NOT_AVAILABLE] = "not_available",
    };

    return texts[reason];
}
