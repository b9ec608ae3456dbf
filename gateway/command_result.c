/* command_result: what became of a command, as JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/command.h"
#include "gateway/json_scan.h"
#include "gateway/number.h"

/* Text being written; what does not fit is only counted. */
struct out {
    char *buf;
    size_t size, len;
};

static void put(struct out *out, const char *bytes, size_t n)
{
    if (out->len < out->size && n <= out->size - out->len)
        memcpy(out->buf + out->len, bytes, n);
    out->len += n;
}

static GW_PRINTF(2, 3) void put_f(struct out *out, const char *fmt, ...)
{
    char text[160];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    put(out, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* Gives the length of the UTF-8 character at p; 0 when it is none. */
static size_t character_len(const char *p, size_t left)
{
    for (size_t n = 1; n <= 4 && n <= left; n++)
        if ((unsigned char)p[0] < 0x80 || (n > 1 && gw_scan_is_plain_text(p, n)))
            return n;
    return 0;
}

/* Writes one character as it stands in a JSON text; gives its length in *ret_n. */
static size_t escape(const char *p, size_t left, char out[8], size_t *ret_n)
{
    size_t n = character_len(p, left);
    unsigned char c = (unsigned char)*p;

    *ret_n = n ? n : 1;
    if (n == 0)
        return (size_t)snprintf(out, 8, "?");
    if (c == '"' || c == '\\')
        return (size_t)snprintf(out, 8, "\\%c", c);
    if (c < 0x20 || c == 0x7f)
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    memcpy(out, p, n);
    return n;
}

size_t gw_command_quote(const char *text, size_t len, char *buf, size_t size)
{
    size_t at = 0, n;
    char character[8];

    buf[at++] = '"';
    for (size_t i = 0; i < len; i += n) {
        size_t n_out = escape(text + i, len - i, character, &n);

        if (at + n_out + 2 > size)
            break;
        memcpy(buf + at, character, n_out);
        at += n_out;
    }
    buf[at++] = '"';
    if (at < size)
        buf[at] = '\0';
    return at;
}

static void put_text(struct out *out, const char *text, size_t len)
{
    char character[8];
    size_t n;

    put(out, "\"", 1);
    for (size_t i = 0; i < len; i += n) {
        size_t n_out = escape(text + i, len - i, character, &n);

        put(out, character, n_out);
    }
    put(out, "\"", 1);
}

static void put_value(struct out *out, const struct gw_command_result *result,
                      const struct gw_command_values *values, size_t i)
{
    const struct gw_point_conf *point = &result->device->points[values->items[i].point];
    struct gw_value value = gw_command_value(values, i);
    char text[GW_NUMBER_TEXT];

    if (point->write && point->write->is_secret)
        put_f(out, "\"***\"");
    else if (value.kind == GW_TEXT)
        put_text(out, value.text.p, value.text.len);
    else
        put(out, text, gw_number_print(&value, text));
}

static void put_values(struct out *out, const char *key, const char *plural,
                       const struct gw_command_result *result,
                       const struct gw_command_values *values)
{
    if (!values || values->n == 0)
        return;
    if (result->is_one_point) {
        put_f(out, ",\"%s\":", key);
        put_value(out, result, values, 0);
        return;
    }
    put_f(out, ",\"%s\":{", plural);
    for (size_t i = 0; i < values->n; i++) {
        const char *name = result->device->points[values->items[i].point].name;

        put(out, ",", i > 0);
        put_text(out, name, strlen(name));
        put(out, ":", 1);
        put_value(out, result, values, i);
    }
    put(out, "}", 1);
}

static void put_written(struct out *out, const struct gw_command_result *result)
{
    if (result->is_one_point || !result->values || result->n_written == result->values->n)
        return;
    put_f(out, ",\"written_points\":[");
    for (size_t i = 0; i < result->n_written; i++) {
        const char *name = result->device->points[result->values->items[i].point].name;

        put(out, ",", i > 0);
        put_text(out, name, strlen(name));
    }
    put(out, "]", 1);
}

/* Several points may share a topic for results. */
static void put_place(struct out *out, const struct gw_command_result *result)
{
    const char *device = result->device->name;

    put_f(out, ",\"device\":");
    put_text(out, device, strlen(device));
    if (!result->point)
        return;
    put_f(out, ",\"point\":");
    put_text(out, result->point, strlen(result->point));
}

static void put_time(struct out *out, const char *key, int64_t wall_ms)
{
    if (wall_ms != 0)
        put_f(out, ",\"%s\":%" PRId64, key, wall_ms);
}

enum gw_err gw_command_result_print(const struct gw_command_result *result, char *buf, size_t size,
                                    size_t *ret_len)
{
    struct out out = {buf, size, 0};

    put_f(&out, "{\"ok\":%s,\"code\":\"%s\"", result->code == GW_COMMAND_OK ? "true" : "false",
          gw_command_code_str(result->code));
    if (result->why && result->why[0]) {
        put_f(&out, ",\"message\":");
        put_text(&out, result->why, strlen(result->why));
    }
    if (result->reason)
        put_f(&out, ",\"reason\":\"%s\"", result->reason);
    if (result->id && result->id[0]) {
        put_f(&out, ",\"id\":");
        put_text(&out, result->id, strlen(result->id));
    }
    put_place(&out, result);
    put_values(&out, "value", "values", result, result->values);
    put_values(&out, "read_back", "read_back", result, result->read_back);
    put_written(&out, result);
    put_time(&out, "received", result->received_wall_ms);
    put_time(&out, "written", result->written_wall_ms);
    put_time(&out, "verified", result->verified_wall_ms);
    if (result->is_repeated)
        put_f(&out, ",\"repeated\":true");
    put(&out, "}", 1);
    if (out.len > size)
        return GW_E_RANGE;
    *ret_len = out.len;
    return GW_OK;
}
