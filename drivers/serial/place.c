/* place: see the header. */
#include "drivers/serial/place.h"

#include <string.h>

static bool give(const uint8_t *p, size_t len, struct serial_slice *ret)
{
    *ret = (struct serial_slice){p, len};
    return true;
}

static const uint8_t *find(const uint8_t *p, size_t len, const char *text)
{
    size_t n = strlen(text);

    for (; len >= n && n; p++, len--)
        if (memcmp(p, text, n) == 0)
            return p;
    return NULL;
}

/* ---- columns, fields, keys ------------------------------------------------------------------------- */

/* A line that is shorter than the last column may still have the first ones: blanks at its end are often left out. */
static bool find_column(const struct serial_place *place, const uint8_t *body, size_t len,
                        struct serial_slice *ret)
{
    if (place->first > len)
        return false;
    size_t last = place->last < len ? place->last : len;
    return give(body + place->first - 1, last - place->first + 1u, ret);
}

/* A field in quotes ends at the closing quote, and separators inside of it are text. */
static size_t field_len(const uint8_t *p, size_t len, const char *separator, bool *ret_is_quoted)
{
    const uint8_t *end;
    size_t n = 0;

    *ret_is_quoted = len > 0 && p[0] == '"';
    if (*ret_is_quoted)
        for (n = 1; n < len && p[n] != '"'; n++)
            ;
    end = find(p + n, len - n, separator);
    return end ? (size_t)(end - p) : len;
}

static bool find_field(const struct serial_place *place, const char *separator, const uint8_t *body,
                       size_t len, struct serial_slice *ret)
{
    size_t n_separator = strlen(separator);

    for (size_t i = 1;; i++) {
        bool is_quoted;
        size_t n = field_len(body, len, separator, &is_quoted);

        if (i == place->first && is_quoted && n >= 2 && body[n - 1] == '"')
            return give(body + 1, n - 2, ret);
        if (i == place->first)
            return give(body, n, ret);
        if (n + n_separator > len)
            return false;
        body += n + n_separator;
        len -= n + n_separator;
    }
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool find_key(const struct serial_place *place, const struct serial_point_conf *point,
                     const uint8_t *body, size_t len, struct serial_slice *ret)
{
    size_t n_name = strlen(place->name), n_assign = strlen(point->assign);
    size_t n_separator = strlen(point->separator);

    while (len > 0) {
        const uint8_t *end = find(body, len, point->separator);
        size_t n = end ? (size_t)(end - body) : len, skip = 0;

        while (skip < n && is_blank(body[skip]))
            skip++;
        if (n - skip >= n_name + n_assign && memcmp(body + skip, place->name, n_name) == 0 &&
            memcmp(body + skip + n_name, point->assign, n_assign) == 0)
            return give(body + skip + n_name + n_assign, n - skip - n_name - n_assign, ret);
        if (!end)
            break;
        body += n + n_separator;
        len -= n + n_separator;
    }
    return false;
}

/* ---- OBIS: code(value*unit)(value) ------------------------------------------------------------------ */

/* The text inside of the n-th parenthesis from p on, without its unit; line ends may stand between (DSMR 2.2). */
static bool find_parenthesis(const uint8_t *p, size_t len, size_t n, struct serial_slice *ret)
{
    size_t i = 0;

    while (true) {
        while (i < len && (p[i] == '\r' || p[i] == '\n'))
            i++;
        if (i == len || p[i] != '(')
            return false;
        const uint8_t *close = memchr(p + i, ')', len - i);
        if (!close)
            return false;
        if (--n == 0) {
            const uint8_t *from = p + i + 1, *unit = memchr(from, '*', (size_t)(close - from));

            return give(from, (size_t)((unit ? unit : close) - from), ret);
        }
        i = (size_t)(close - p) + 1;
    }
}

/* A code stands at the beginning of a line, or after the parenthesis of another (IEC 62056-21, 6.5). */
static bool find_obis(const struct serial_place *place, const uint8_t *body, size_t len,
                      struct serial_slice *ret)
{
    size_t n = strlen(place->name);

    for (size_t i = 0; i + n < len; i++) {
        bool is_begin = i == 0 || body[i - 1] == '\n' || body[i - 1] == '\r' ||
                        body[i - 1] == ')' || body[i - 1] == 0x02;

        if (is_begin && body[i + n] == '(' && memcmp(body + i, place->name, n) == 0)
            return find_parenthesis(body + i + n, len - i - n, place->first, ret);
    }
    return false;
}

/* ---- bytes ----------------------------------------------------------------------------------------- */

static bool find_bytes(const struct serial_place *place, const struct serial_frame *frame,
                       size_t n_bytes, struct serial_slice *ret)
{
    size_t n = place->has_last ? place->last - place->first + 1u
               : n_bytes       ? n_bytes
                               : 1,
           at = place->first;

    if (place->from_end) {
        if (at > frame->len)
            return false;
        at = frame->len - at;
    }
    return at + n <= frame->len && give(frame->bytes + at, n, ret);
}

bool serial_place_find(const struct serial_place *place, const struct serial_point_conf *point,
                       const struct serial_frame *frame, size_t n_bytes, struct serial_slice *ret)
{
    const uint8_t *body = frame->bytes + frame->body;
    bool is_text;

    switch (place->kind) {
    case SERIAL_WHOLE:
        return give(body, frame->n_body, ret);
    case SERIAL_COLUMN:
        return find_column(place, body, frame->n_body, ret);
    case SERIAL_FIELD:
        return find_field(place, point->separator, body, frame->n_body, ret);
    case SERIAL_KEY:
        return find_key(place, point, body, frame->n_body, ret);
    case SERIAL_OBIS:
        return find_obis(place, body, frame->n_body, ret);
    case SERIAL_JSON:
        return serial_json_find(place->name, body, frame->n_body, ret, &is_text);
    case SERIAL_BYTE:
        return find_bytes(place, frame, n_bytes, ret);
    case SERIAL_GROUP:
    case SERIAL_MBUS:
    case SERIAL_NOWHERE:
        break;
    }
    return false;
}
