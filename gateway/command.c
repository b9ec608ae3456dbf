/* command: payloads of commands. JSON is read strictly; a payload that is no JSON is a plain text. */
#include "gateway/command.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/json_scan.h"
#include "gateway/number.h"

const char *gw_command_code_str(enum gw_command_code code)
{
    static const char *const words[GW_COMMAND_CODES] = {
        [GW_COMMAND_OK] = "ok",
        [GW_COMMAND_TOO_LARGE] = "too_large",
        [GW_COMMAND_BAD_PAYLOAD] = "bad_payload",
        [GW_COMMAND_TOO_DEEP] = "too_deep",
        [GW_COMMAND_DUPLICATE_KEY] = "duplicate_key",
        [GW_COMMAND_UNKNOWN_KEY] = "unknown_key",
        [GW_COMMAND_BAD_ID] = "bad_id",
        [GW_COMMAND_BAD_EXPIRY] = "bad_expiry",
        [GW_COMMAND_UNKNOWN_POINT] = "unknown_point",
        [GW_COMMAND_READ_ONLY] = "read_only",
        [GW_COMMAND_WRONG_TYPE] = "wrong_type",
        [GW_COMMAND_UNKNOWN_NAME] = "unknown_name",
        [GW_COMMAND_OUT_OF_RANGE] = "out_of_range",
        [GW_COMMAND_OFF_STEP] = "off_step",
        [GW_COMMAND_NOT_ALLOWED] = "not_allowed",
        [GW_COMMAND_NOT_EXACT] = "not_exact",
        [GW_COMMAND_CHANGE_TOO_LARGE] = "change_too_large",
        [GW_COMMAND_PRESENT_UNKNOWN] = "present_value_unknown",
        [GW_COMMAND_RETAINED] = "retained",
        [GW_COMMAND_EXPIRED] = "expired",
        [GW_COMMAND_ID_REUSED] = "id_reused",
        [GW_COMMAND_RATE_LIMITED] = "rate_limited",
        [GW_COMMAND_BUSY] = "busy",
        [GW_COMMAND_LOCKED] = "locked",
        [GW_COMMAND_NOT_ARMED] = "not_armed",
        [GW_COMMAND_BAD_RESPONSE_TOPIC] = "bad_response_topic",
        [GW_COMMAND_SUPERSEDED] = "superseded",
        [GW_COMMAND_OFFLINE] = "device_offline",
        [GW_COMMAND_LINK_DOWN] = "link_down",
        [GW_COMMAND_STOPPING] = "stopping",
        [GW_COMMAND_REFUSED] = "refused_by_device",
        [GW_COMMAND_DEVICE_BUSY] = "device_busy",
        [GW_COMMAND_TIMEOUT] = "timeout",
        [GW_COMMAND_MISMATCH] = "mismatch",
        [GW_COMMAND_UNVERIFIED] = "unverified",
        [GW_COMMAND_UNKNOWN] = "unknown",
        [GW_COMMAND_FAILED] = "failed",
    };

    return (unsigned)code < GW_COMMAND_CODES ? words[code] : "unknown";
}

/* ---- values ---------------------------------------------------------------------------------------- */

bool gw_command_add(struct gw_command_values *values, uint16_t point, const struct gw_value *value)
{
    size_t len = value->kind == GW_TEXT ? value->text.len : 0;

    if (values->n == GW_COMMAND_POINTS_MAX || len > sizeof values->texts - values->n_text_bytes)
        return false;
    values->items[values->n].point = point;
    values->items[values->n].value = *value;
    values->items[values->n].text_at = values->n_text_bytes;
    if (value->kind == GW_TEXT) {
        if (len > 0)
            memcpy(values->texts + values->n_text_bytes, value->text.p, len);
        values->items[values->n].value.text.p = NULL;
        values->n_text_bytes = (uint16_t)(values->n_text_bytes + len);
    }
    values->n++;
    return true;
}

struct gw_value gw_command_value(const struct gw_command_values *values, size_t i)
{
    struct gw_value value = values->items[i].value;

    if (value.kind == GW_TEXT)
        value.text.p = values->texts + values->items[i].text_at;
    return value;
}

/* ---- parsing --------------------------------------------------------------------------------------- */

/* One payload being read. */
struct reading {
    const struct gw_device_conf *device;
    int point;
    struct gw_command *command;
    char *why;
    char text[GW_COMMAND_PAYLOAD_MAX]; /* characters of the text value at hand */
};

static GW_PRINTF(3, 4) enum gw_command_code
    refuse(const struct reading *r, enum gw_command_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(r->why, GW_COMMAND_WHY, fmt, args);
    va_end(args);
    return code;
}

/* A number with all its digits. Beyond 18 of them whole numbers are still exact; others become what a float can be, and
 * false tells that. */
static bool number_of(const struct gw_scan_value *json, struct gw_value *ret_value)
{
    char text[400], *end;
    struct gw_decimal decimal;

    if (json->len >= sizeof text)
        return false;
    memcpy(text, json->at, json->len);
    text[json->len] = '\0';
    if (gw_decimal_parse(text, &decimal) == GW_OK) {
        *ret_value = (struct gw_value){.kind = GW_DECIMAL, .dec = decimal};
        return true;
    }
    if (strspn(text, "0123456789") == json->len && json->len <= 20) {
        unsigned long long whole = strtoull(text, &end, 10);

        if (json->len < 20 || strcmp(text, "18446744073709551615") <= 0) {
            *ret_value = (struct gw_value){.kind = GW_UINT, .u = whole};
            return true;
        }
    }
    *ret_value = (struct gw_value){.kind = GW_FLOAT64, .f64 = strtod(text, &end)};
    return false;
}

static enum gw_command_code value_of(struct reading *r, const struct gw_point_conf *point,
                                     const struct gw_scan_value *json, struct gw_value *ret_value)
{
    bool is_float = point->traits.kind == GW_FLOAT32 || point->traits.kind == GW_FLOAT64;
    size_t len;

    switch (json->type) {
    case GW_SCAN_NUMBER:
        if (!number_of(json, ret_value) && !is_float && fabs(gw_value_to_double(ret_value)) < 1e20)
            return refuse(r, GW_COMMAND_NOT_EXACT, "%.*s has more digits than %s can hold",
                          json->len > 40 ? 40 : (int)json->len, json->at, point->name);
        return GW_COMMAND_OK;
    case GW_SCAN_TEXT:
        if (!gw_scan_text(json, r->text, sizeof r->text, &len))
            return refuse(r, GW_COMMAND_TOO_LARGE, "the text for %s is too long", point->name);
        *ret_value = (struct gw_value){.kind = GW_TEXT, .text = {r->text, len}};
        return GW_COMMAND_OK;
    case GW_SCAN_TRUE:
    case GW_SCAN_FALSE:
        *ret_value = (struct gw_value){.kind = GW_BOOL, .b = json->type == GW_SCAN_TRUE};
        return GW_COMMAND_OK;
    case GW_SCAN_NULL:
        return refuse(r, GW_COMMAND_WRONG_TYPE, "null is no value for %s", point->name);
    default:
        return refuse(r, GW_COMMAND_WRONG_TYPE,
                      "the value for %s must be a number, a text, true or "
                      "false",
                      point->name);
    }
}

static enum gw_command_code take(struct reading *r, size_t index, const struct gw_value *value)
{
    const struct gw_point_conf *point = &r->device->points[index];

    if (!point->write)
        return refuse(r, GW_COMMAND_READ_ONLY, "point %s is read only", point->name);
    enum gw_command_code code = gw_command_check(point, value, r->why);
    if (code != GW_COMMAND_OK)
        return code;
    return gw_command_add(&r->command->values, (uint16_t)index, value)
               ? GW_COMMAND_OK
               : refuse(r, GW_COMMAND_TOO_LARGE,
                        "a command can hold %d values with %d bytes of text at most",
                        GW_COMMAND_POINTS_MAX, GW_COMMAND_TEXTS_MAX);
}

static enum gw_command_code take_json(struct reading *r, size_t index,
                                      const struct gw_scan_value *json)
{
    struct gw_value value = {.kind = GW_NONE};
    enum gw_command_code code = value_of(r, &r->device->points[index], json, &value);

    return code == GW_COMMAND_OK ? take(r, index, &value) : code;
}

/* ---- id and expiry --------------------------------------------------------------------------------- */

static enum gw_command_code take_id(struct reading *r, const struct gw_scan_value *json)
{
    char *id = r->command->id;
    size_t len = 0;
    bool is_good = false;

    if (json->type == GW_SCAN_TEXT) {
        is_good = gw_scan_text(json, id, GW_COMMAND_ID_MAX, &len);
    } else if (json->type == GW_SCAN_NUMBER && json->len <= GW_COMMAND_ID_MAX) {
        len = json->len;
        memcpy(id, json->at, len);
        id[len] = '\0';
        is_good = strpbrk(id, ".eE") == NULL; /* a whole number */
    }
    for (size_t i = 0; i < len; i++)
        is_good = is_good && (unsigned char)id[i] >= 0x20 && id[i] != 0x7f;
    id[is_good ? len : 0] = '\0';
    return is_good && len > 0
               ? GW_COMMAND_OK
               : refuse(r, GW_COMMAND_BAD_ID,
                        "the id must be a text of 1 to %d bytes without control characters, or a "
                        "whole number",
                        GW_COMMAND_ID_MAX);
}

/* Days since 1970. Source: the civil calendar, counted from March so that a leap day is the last of its year. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year, m = month <= 2 ? month + 9 : month - 3;

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* Reads just so many digits and what has to stand behind them ('\0': anything). */
static bool take_digits(const char **at, size_t n, char after, int *ret_number)
{
    int number = 0;

    for (size_t i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        number = 10 * number + (**at - '0');
    }
    *ret_number = number;
    if (after && **at != after)
        return false;
    *at += after != '\0';
    return true;
}

static bool is_date(int year, int month, int day)
{
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return year >= 1970 && month >= 1 && month <= 12 && day >= 1 &&
           day <= lengths[month - 1] - (month == 2 && !is_leap);
}

/* 2026-01-31T12:00:00Z, with or without a fraction of the second. */
static bool parse_time(const char *text, int64_t *ret_wall_ms)
{
    int year, month, day, hour, minute, second, milli = 0;

    if (!take_digits(&text, 4, '-', &year) || !take_digits(&text, 2, '-', &month) ||
        !take_digits(&text, 2, 'T', &day) || !take_digits(&text, 2, ':', &hour) ||
        !take_digits(&text, 2, ':', &minute) || !take_digits(&text, 2, '\0', &second))
        return false;
    if (*text == '.')
        for (int digit = 100; *++text >= '0' && *text <= '9'; digit /= 10)
            milli += digit * (*text - '0');
    if (strcmp(text, "Z") != 0 || !is_date(year, month, day) || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    *ret_wall_ms =
        (((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milli;
    return true;
}

static enum gw_command_code take_expiry(struct reading *r, const struct gw_scan_value *json)
{
    char text[40] = "";
    size_t len = 0;
    bool is_good = false;

    if (json->type == GW_SCAN_TEXT && gw_scan_text(json, text, sizeof text - 1, &len)) {
        is_good = parse_time(text, &r->command->expires_wall_ms);
    } else if (json->type == GW_SCAN_NUMBER && json->len <= 15) {
        memcpy(text, json->at, json->len);
        is_good = strspn(text, "0123456789") == json->len;
        r->command->expires_wall_ms = strtoll(text, NULL, 10);
    }
    return is_good && r->command->expires_wall_ms > 0
               ? GW_COMMAND_OK
               : refuse(r, GW_COMMAND_BAD_EXPIRY,
                        "expires must be a time in ms since 1970 or as 2026-01-31T12:00:00Z");
}

/* ---- the whole ------------------------------------------------------------------------------------- */

static bool find_member(const struct gw_scan_value *object, const char *name,
                        struct gw_scan_value *ret_value)
{
    struct gw_scan_value key;
    size_t at = 0;

    while (gw_scan_next(object, &at, &key, ret_value))
        if (gw_scan_is(&key, name))
            return true;
    return false;
}

static enum gw_command_code take_points(struct reading *r, const struct gw_scan_value *object)
{
    struct gw_scan_value key, value;
    char name[GW_SCAN_KEY_MAX + 1];
    size_t at = 0, len;

    while (gw_scan_next(object, &at, &key, &value)) {
        size_t i = 0;

        if (!gw_scan_text(&key, name, sizeof name - 1, &len))
            len = 0;
        name[len] = '\0';
        while (i < r->device->n_points && strcmp(r->device->points[i].name, name) != 0)
            i++;
        if (i == r->device->n_points)
            return refuse(r, GW_COMMAND_UNKNOWN_POINT, "device %s has no point \"%.64s\"",
                          r->device->name, name);
        enum gw_command_code code = take_json(r, i, &value);
        if (code != GW_COMMAND_OK)
            return code;
    }
    return r->command->values.n > 0 ? GW_COMMAND_OK
                                    : refuse(r, GW_COMMAND_BAD_PAYLOAD, "there is no value in it");
}

/* Reads {"value":...,"id":...,"expires":...}; content is "value" or "values". */
static enum gw_command_code take_envelope(struct reading *r, const struct gw_scan_value *object,
                                          const char *content)
{
    struct gw_scan_value key, value, found = {0};
    enum gw_command_code code = GW_COMMAND_OK;
    size_t at = 0;

    if (find_member(object, "id", &value)) /* first: whatever else is wrong, the answer names it */
        code = take_id(r, &value);
    while (code == GW_COMMAND_OK && gw_scan_next(object, &at, &key, &value)) {
        if (gw_scan_is(&key, content))
            found = value;
        else if (gw_scan_is(&key, "expires"))
            code = take_expiry(r, &value);
        else if (!gw_scan_is(&key, "id"))
            code =
                refuse(r, GW_COMMAND_UNKNOWN_KEY, "unknown key %.*s; it may have %s, id, expires",
                       key.len > 60 ? 60 : (int)key.len, key.at, content);
    }
    if (code != GW_COMMAND_OK)
        return code;
    if (found.type == GW_SCAN_NOTHING)
        return refuse(r, GW_COMMAND_BAD_PAYLOAD, "there is no \"%s\" in it", content);
    if (r->point >= 0)
        return take_json(r, (size_t)r->point, &found);
    return take_points(r, &found);
}

static enum gw_command_code take_device(struct reading *r, const struct gw_scan_value *json)
{
    struct gw_scan_value values;

    if (json->type != GW_SCAN_OBJECT)
        return refuse(r, GW_COMMAND_BAD_PAYLOAD,
                      "a command to a device must be an object of points and values");
    if (find_member(json, "values", &values) && values.type == GW_SCAN_OBJECT)
        return take_envelope(r, json, "values");
    return take_points(r, json);
}

/* A payload that is not JSON: the text itself, for points of texts and names. */
static enum gw_command_code take_plain(struct reading *r, const char *payload, size_t len)
{
    const struct gw_point_conf *point = &r->device->points[r->point];
    const struct gw_value text = {.kind = GW_TEXT, .text = {payload, len}};

    if (point->traits.kind != GW_TEXT && point->map->n_enums == 0)
        return refuse(r, GW_COMMAND_BAD_PAYLOAD,
                      "the payload is neither JSON nor a plain value for %s, which takes %s",
                      point->name,
                      point->traits.kind == GW_BOOL ? "true or false" : "a number such as 40.1");
    if (!gw_scan_is_plain_text(payload, len))
        return refuse(r, GW_COMMAND_BAD_PAYLOAD, "the payload is not a text in UTF-8");
    return take(r, (size_t)r->point, &text);
}

static enum gw_command_code take_point(struct reading *r, const struct gw_scan_value *json,
                                       const char *payload, size_t len)
{
    const struct gw_point_conf *point = &r->device->points[r->point];

    if (json->type == GW_SCAN_OBJECT)
        return take_envelope(r, json, "value");
    /* 0042 and true are texts for a point of text, as they stand. */
    if (point->traits.kind == GW_TEXT && json->type != GW_SCAN_TEXT && point->map->n_enums == 0)
        return take_plain(r, payload, len);
    return take_json(r, (size_t)r->point, json);
}

static bool begins_with_brace(const char *payload, size_t len)
{
    size_t i = 0;

    while (i < len &&
           (payload[i] == ' ' || payload[i] == '\t' || payload[i] == '\r' || payload[i] == '\n'))
        i++;
    return i < len && payload[i] == '{';
}

enum gw_command_code gw_command_parse(const struct gw_device_conf *device, int point,
                                      const char *payload, size_t len,
                                      struct gw_command *ret_command, char why[GW_COMMAND_WHY])
{
    struct reading r = {.device = device, .point = point, .command = ret_command, .why = why};
    struct gw_scan_value json = {0};

    memset(ret_command, 0, sizeof *ret_command);
    why[0] = '\0';
    if (len > GW_COMMAND_PAYLOAD_MAX)
        return refuse(&r, GW_COMMAND_TOO_LARGE, "the payload has more than %d bytes",
                      GW_COMMAND_PAYLOAD_MAX);
    bool is_object = begins_with_brace(payload, len);
    switch (gw_scan(payload, len, &json)) {
    case GW_SCAN_GOOD:
        return point >= 0 ? take_point(&r, &json, payload, len) : take_device(&r, &json);
    case GW_SCAN_DEEP:
        return refuse(&r, GW_COMMAND_TOO_DEEP, "the payload is nested more than %d deep",
                      GW_SCAN_DEPTH_MAX);
    case GW_SCAN_DUPLICATE:
        return refuse(&r, GW_COMMAND_DUPLICATE_KEY, "a key stands twice in the payload");
    case GW_SCAN_MANY:
        return refuse(&r, GW_COMMAND_TOO_LARGE, "the payload has too many or too long keys");
    case GW_SCAN_SYNTAX:
        break;
    }
    if (point >= 0 && !is_object && len > 0)
        return take_plain(&r, payload, len);
    return refuse(&r, GW_COMMAND_BAD_PAYLOAD, "the payload is not JSON");
}
