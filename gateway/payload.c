/* payload: writes readings as bytes. Every JSON text is valid whatever the reading: texts are escaped, broken UTF-8 is
 * replaced, what is not certain is null. */
#include "gateway/payload.h"

#include <string.h>

#include "gateway/number.h"

/* A buffer that counts what does not fit, so that nothing needs a check before the end. */
struct out {
    char *buf;
    size_t size, len;
    struct gw_seq_places places;
};

static void put_bytes(struct out *out, const char *bytes, size_t len)
{
    if (len > 0 && out->len <= out->size && len <= out->size - out->len)
        memcpy(out->buf + out->len, bytes, len);
    out->len += len;
}

static void put(struct out *out, const char *text)
{
    put_bytes(out, text, strlen(text));
}

static enum gw_err finish(struct out *out, size_t *ret_len, struct gw_seq_places *ret_places)
{
    if (out->len > out->size)
        return GW_E_RANGE;
    if (ret_places)
        *ret_places = out->places;
    if (out->len < out->size)
        out->buf[out->len] = '\0';
    *ret_len = out->len;
    return GW_OK;
}

/* ---- JSON texts ------------------------------------------------------------------------------------- */

/* Gives the length of the UTF-8 sequence at p, 0 when it is none (overlong, surrogate, cut off, beyond U+10FFFF).
 * Source: Unicode 15, table 3-7. */
static size_t utf8_len(const unsigned char *p, size_t len)
{
    static const struct {
        unsigned char first, last, low, high, len; /* first byte; second byte */
    } rows[] = {
        {0x00, 0x7F, 0x00, 0xFF, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (p[0] < rows[i].first || p[0] > rows[i].last)
            continue;
        if (rows[i].len > len || (rows[i].len > 1 && (p[1] < rows[i].low || p[1] > rows[i].high)))
            return 0;
        for (size_t k = 2; k < rows[i].len; k++)
            if (p[k] < 0x80 || p[k] > 0xBF)
                return 0;
        return rows[i].len;
    }
    return 0;
}

static void put_control(struct out *out, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";
    const char text[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

    put_bytes(out, text, sizeof text);
}

/* Puts a text as it stands inside of JSON quotes. */
static void put_escaped(struct out *out, const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;

    while (len > 0) {
        size_t n = utf8_len(p, len);

        if (n == 0) {
            put(out, "\xEF\xBF\xBD"); /* U+FFFD */
            n = 1;
        } else if (*p == '"' || *p == '\\') {
            put(out, "\\");
            put_bytes(out, (const char *)p, 1);
        } else if (*p < 0x20 || *p == 0x7F) {
            put_control(out, *p);
        } else {
            put_bytes(out, (const char *)p, n);
        }
        p += n;
        len -= n;
    }
}

static void put_quoted(struct out *out, const char *text)
{
    put(out, "\"");
    put_escaped(out, text, strlen(text));
    put(out, "\"");
}

/* ---- the parts of a reading ------------------------------------------------------------------------- */

/* How a part is written: bare, as a JSON value of its own, or within JSON quotes that are there already. */
enum style { STYLE_PLAIN, STYLE_JSON, STYLE_QUOTED };

static void put_text(struct out *out, enum style style, const char *text, size_t len)
{
    if (style == STYLE_PLAIN) {
        put_bytes(out, text, len);
        return;
    }
    if (style == STYLE_JSON)
        put(out, "\"");
    put_escaped(out, text, len);
    if (style == STYLE_JSON)
        put(out, "\"");
}

static void put_optional(struct out *out, enum style style, const char *text)
{
    if (text)
        put_text(out, style, text, strlen(text));
    else if (style == STYLE_JSON)
        put(out, "null");
}

static void put_raw(struct out *out, enum style style, const struct gw_reading *reading)
{
    char text[GW_NUMBER_TEXT];

    if (reading->quality != GW_GOOD) {
        put(out, "null");
    } else if (reading->value.kind == GW_TEXT) {
        put_text(out, style, reading->value.text.p, reading->value.text.len);
    } else {
        gw_number_print(&reading->value, text);
        put(out, text);
    }
}

/* A point whose values have names always publishes texts, so that its type does not change with the value. */
static void put_value(struct out *out, enum style style, const struct gw_map *map,
                      const struct gw_reading *reading)
{
    bool is_number = reading->value.kind != GW_TEXT;

    if (reading->quality == GW_GOOD && reading->enum_name) {
        put_text(out, style, reading->enum_name, strlen(reading->enum_name));
    } else if (reading->quality == GW_GOOD && map->n_enums > 0 && is_number &&
               style == STYLE_JSON) {
        put(out, "\"");
        put_raw(out, STYLE_QUOTED, reading);
        put(out, "\"");
    } else {
        put_raw(out, style, reading);
    }
}

/* The number behind a name: enums give names to numbers, those of a coil too. */
static void put_number(struct out *out, enum style style, const struct gw_map *map,
                       const struct gw_reading *reading)
{
    if (reading->quality == GW_GOOD && map->n_enums > 0 && reading->value.kind == GW_BOOL)
        put(out, reading->value.b ? "1" : "0");
    else
        put_raw(out, style, reading);
}

static void put_integer(struct out *out, int64_t n)
{
    char text[GW_NUMBER_TEXT];

    gw_number_print(&(struct gw_value){.kind = GW_INT, .i = n}, text);
    put(out, text);
}

static void put_padded(struct out *out, int64_t n, int width)
{
    char text[20];

    for (int i = width - 1; i >= 0; i--, n /= 10)
        text[i] = (char)('0' + n % 10);
    put_bytes(out, text, (size_t)width);
}

/* Puts a time as 2026-11-24T10:05:12.345Z.
 * Source: days to year, month and day counted from 1 March of year 0, so that the leap day is the last of a year. */
static void put_iso8601(struct out *out, int64_t wall_ms)
{
    const int64_t day_ms = 86400000, last_ms = 253402300799999; /* the end of the year 9999 */
    int64_t ms = wall_ms < 0 ? 0 : wall_ms > last_ms ? last_ms : wall_ms;
    int64_t days = ms / day_ms + 719468; /* from 0000-03-01 to 1970-01-01 */
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

    ms %= day_ms;
    put_padded(out, era * 400 + year_of_era + (month <= 2), 4);
    put(out, "-");
    put_padded(out, month, 2);
    put(out, "-");
    put_padded(out, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
    put(out, "T");
    put_padded(out, ms / 3600000, 2);
    put(out, ":");
    put_padded(out, ms / 60000 % 60, 2);
    put(out, ":");
    put_padded(out, ms / 1000 % 60, 2);
    put(out, ".");
    put_padded(out, ms % 1000, 3);
    put(out, "Z");
}

static void put_time(struct out *out, enum style style, int64_t wall_ms)
{
    put(out, style == STYLE_JSON ? "\"" : "");
    put_iso8601(out, wall_ms);
    put(out, style == STYLE_JSON ? "\"" : "");
}

static void put_ts(struct out *out, enum gw_time_format format, int64_t wall_ms)
{
    if (format == GW_TIME_ISO8601)
        put_time(out, STYLE_JSON, wall_ms);
    else
        put_integer(out, wall_ms);
}

static const char *quality_of(const struct gw_reading *reading)
{
    return reading->quality == GW_GOOD ? "good" : "bad";
}

static const char *reason_of(const struct gw_reading *reading)
{
    if (reading->quality == GW_GOOD)
        return NULL;
    return reading->reason ? reading->reason : "not_read";
}

/* ---- json and template ------------------------------------------------------------------------------ */

/* Blanks before a number are as good as none in JSON. Beyond the places that are kept it stays 0. */
static void put_seq(struct out *out)
{
    if (out->places.n < GW_SEQ_PLACES_MAX)
        out->places.at[out->places.n++] = (uint32_t)out->len;
    put(out, "               0");
}

static void put_json(struct out *out, const struct gw_publish *publish, const struct gw_map *map,
                     const struct gw_reading *reading)
{
    put(out, "{\"value\":");
    put_value(out, STYLE_JSON, map, reading);
    if (reading->quality == GW_GOOD && map->n_enums > 0) {
        put(out, ",\"raw\":");
        put_number(out, STYLE_JSON, map, reading);
    }
    put(out, ",\"ts\":");
    put_ts(out, publish->time_format, reading->acquired_wall_ms);
    put(out, ",\"quality\":\"");
    put(out, quality_of(reading));
    put(out, "\"");
    if (reading->quality != GW_GOOD) {
        put(out, ",\"reason\":");
        put_quoted(out, reason_of(reading));
    }
    if (map->unit) {
        put(out, ",\"unit\":");
        put_quoted(out, map->unit);
    }
    if (publish->has_seq) {
        put(out, ",\"seq\":");
        put_seq(out);
    }
    put(out, "}");
}

static bool is_word(const char *name, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(name, word, len) == 0;
}

/* Puts what a variable stands for; false when it is none. */
static bool put_variable(struct out *out, enum style style, const char *name, size_t len,
                         const struct gw_map *map, const struct gw_reading *reading)
{
    if (is_word(name, len, "value"))
        put_value(out, style, map, reading);
    else if (is_word(name, len, "raw"))
        put_number(out, style, map, reading);
    else if (is_word(name, len, "unit"))
        put_optional(out, style, map->unit);
    else if (is_word(name, len, "ts"))
        put_integer(out, reading->acquired_wall_ms);
    else if (is_word(name, len, "time"))
        put_time(out, style, reading->acquired_wall_ms);
    else if (is_word(name, len, "quality"))
        put_optional(out, style, quality_of(reading));
    else if (is_word(name, len, "reason"))
        put_optional(out, style, reason_of(reading));
    else if (is_word(name, len, "seq"))
        put_seq(out);
    else
        return false;
    return true;
}

static bool looks_like_json(const char *template)
{
    template += strspn(template, " \t\r\n");
    return *template == '{' || *template == '[';
}

/* In a JSON template it matters whether ${value} stands between quotes or on its own, so the quotes are followed. */
static void put_template(struct out *out, const char *template, const struct gw_map *map,
                         const struct gw_reading *reading)
{
    bool is_json = looks_like_json(template), is_quoted = false;

    for (const char *p = template; *p;) {
        const char *end = p[0] == '$' && p[1] == '{' ? strchr(p, '}') : NULL;
        enum style style = !is_json ? STYLE_PLAIN : is_quoted ? STYLE_QUOTED : STYLE_JSON;

        if (end && put_variable(out, style, p + 2, (size_t)(end - p - 2), map, reading)) {
            p = end + 1;
            continue;
        }
        if (*p == '\\' && is_quoted && p[1]) {
            put_bytes(out, p, 2);
            p += 2;
            continue;
        }
        is_quoted ^= *p == '"';
        put_bytes(out, p++, 1);
    }
}

enum gw_err gw_payload_point(const struct gw_publish *publish, const struct gw_map *map,
                             const struct gw_reading *reading, char *buf, size_t size,
                             size_t *ret_len, struct gw_seq_places *ret_places)
{
    struct out out = {.buf = buf, .size = size};

    switch (publish->payload) {
    case GW_PAYLOAD_VALUE:
        put_value(&out, STYLE_PLAIN, map, reading);
        break;
    case GW_PAYLOAD_TEMPLATE:
        put_template(&out, publish->payload_template, map, reading);
        break;
    case GW_PAYLOAD_JSON:
        put_json(&out, publish, map, reading);
        break;
    }
    return finish(&out, ret_len, ret_places);
}

/* ---- device ----------------------------------------------------------------------------------------- */

static bool is_of_device(const struct gw_point_conf *point)
{
    return point->publish->per == GW_PER_DEVICE && point->access != GW_ACCESS_W;
}

static void put_reasons(struct out *out, const struct gw_device_conf *device,
                        const struct gw_reading *readings)
{
    const char *separator = ",\"bad\":{";

    for (size_t i = 0; i < device->n_points; i++) {
        if (!is_of_device(&device->points[i]) || readings[i].quality == GW_GOOD)
            continue;
        put(out, separator);
        put_quoted(out, device->points[i].name);
        put(out, ":");
        put_quoted(out, reason_of(&readings[i]));
        separator = ",";
    }
    if (separator[1] == '\0')
        put(out, "}");
}

enum gw_err gw_payload_device(const struct gw_device_conf *device,
                              const struct gw_reading *readings, char *buf, size_t size,
                              size_t *ret_len, struct gw_seq_places *ret_places)
{
    struct out out = {.buf = buf, .size = size};
    int64_t newest_wall_ms = 0;
    bool is_good = false;

    for (size_t i = 0; i < device->n_points; i++) {
        if (!is_of_device(&device->points[i]))
            continue;
        is_good |= readings[i].quality == GW_GOOD;
        if (readings[i].acquired_wall_ms > newest_wall_ms)
            newest_wall_ms = readings[i].acquired_wall_ms;
    }
    put(&out, "{\"ts\":");
    put_ts(&out, device->publish.time_format, newest_wall_ms);
    put(&out, is_good ? ",\"quality\":\"good\"" : ",\"quality\":\"bad\"");
    for (size_t i = 0; i < device->n_points; i++) {
        if (!is_of_device(&device->points[i]))
            continue;
        put(&out, ",");
        put_quoted(&out, device->points[i].name);
        put(&out, ":");
        put_value(&out, STYLE_JSON, device->points[i].map, &readings[i]);
    }
    put_reasons(&out, device, readings);
    if (device->publish.has_seq) {
        put(&out, ",\"seq\":");
        put_seq(&out);
    }
    put(&out, "}");
    return finish(&out, ret_len, ret_places);
}
