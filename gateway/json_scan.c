#include "gateway/json_scan.h"

#include <stdint.h>
#include <string.h>

struct scan {
    const char *p, *end;
    unsigned depth;
    enum gw_scan_fault fault;
};

static bool fail(struct scan *scan, enum gw_scan_fault fault)
{
    if (!scan->fault)
        scan->fault = fault;
    return false;
}

static void skip_space(struct scan *scan)
{
    while (scan->p < scan->end && strchr(" \t\n\r", *scan->p) && *scan->p)
        scan->p++;
}

static bool take(struct scan *scan, char c)
{
    if (scan->p == scan->end || *scan->p != c)
        return false;
    scan->p++;
    return true;
}

/* ---- characters ------------------------------------------------------------------------------------ */

/* Gives the length of the character at p, 0 when it is not valid UTF-8. Source: RFC 3629. */
static size_t character_len(const char *p, const char *end)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *b = (const unsigned char *)p;
    size_t n = b[0] < 0x80             ? 1
               : (b[0] & 0xe0) == 0xc0 ? 2
               : (b[0] & 0xf0) == 0xe0 ? 3
               : (b[0] & 0xf8) == 0xf0 ? 4
                                       : 0;

    if (n == 0 || (size_t)(end - p) < n)
        return 0;
    uint32_t c = n == 1 ? b[0] : b[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (b[i] & 0x3f);
    }
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Reads four hexadecimal digits; false when they are not there. */
static bool take_hex(struct scan *scan, uint32_t *ret_unit)
{
    uint32_t unit = 0;

    if (scan->end - scan->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*scan->p++);

        if (digit < 0)
            return false;
        unit = unit << 4 | (uint32_t)digit;
    }
    *ret_unit = unit;
    return true;
}

static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint32_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(heads[n] | c);
    return n;
}

/* Reads what stands behind a backslash. */
static bool take_escape(struct scan *scan, char out[4], size_t *ret_len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t c, low;
    const char *plain;

    if (scan->p == scan->end)
        return false;
    char kind = *scan->p++;
    plain = kind ? strchr(from, kind) : NULL;
    *ret_len = 1;
    if (plain) {
        out[0] = to[plain - from];
        return true;
    }
    if (kind != 'u' || !take_hex(scan, &c) || c == 0 || (c >= 0xdc00 && c <= 0xdfff))
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (!take(scan, '\\') || !take(scan, 'u') || !take_hex(scan, &low) || low < 0xdc00 ||
            low > 0xdfff)
            return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *ret_len = encode(c, out);
    return true;
}

/* Reads one character of a text, escaped or not. */
static bool take_character(struct scan *scan, char out[4], size_t *ret_len)
{
    if (take(scan, '\\'))
        return take_escape(scan, out, ret_len);
    if ((unsigned char)*scan->p < 0x20)
        return false;
    *ret_len = character_len(scan->p, scan->end);
    memcpy(out, scan->p, *ret_len);
    scan->p += *ret_len;
    return *ret_len > 0;
}

static bool scan_text(struct scan *scan)
{
    char character[4];
    size_t len;

    if (!take(scan, '"'))
        return fail(scan, GW_SCAN_SYNTAX);
    while (scan->p < scan->end && *scan->p != '"')
        if (!take_character(scan, character, &len))
            return fail(scan, GW_SCAN_SYNTAX);
    return take(scan, '"') || fail(scan, GW_SCAN_SYNTAX);
}

bool gw_scan_text(const struct gw_scan_value *value, char *buf, size_t size, size_t *ret_len)
{
    struct scan scan = {.p = value->at + 1, .end = value->at + value->len - 1};
    char character[4];
    size_t len, n = 0;

    while (scan.p < scan.end && take_character(&scan, character, &len)) {
        if (len > size - n)
            return false;
        memcpy(buf + n, character, len);
        n += len;
    }
    *ret_len = n;
    return true;
}

bool gw_scan_is(const struct gw_scan_value *value, const char *text)
{
    char buf[GW_SCAN_KEY_MAX];
    size_t len;

    return gw_scan_text(value, buf, sizeof buf, &len) && len == strlen(text) &&
           memcmp(buf, text, len) == 0;
}

bool gw_scan_is_plain_text(const char *text, size_t len)
{
    const char *end = text + len;

    while (text < end) {
        size_t n = character_len(text, end);

        if (n == 0 || ((unsigned char)*text < 0x20 && !strchr("\t\n\r", *text)) || *text == '\0' ||
            *text == 0x7f)
            return false;
        text += n;
    }
    return true;
}

/* ---- values ---------------------------------------------------------------------------------------- */

static size_t take_digits(struct scan *scan)
{
    size_t n = 0;

    for (; scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9'; n++)
        scan->p++;
    return n;
}

static bool scan_number(struct scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && take_digits(scan) == 0)
        return fail(scan, GW_SCAN_SYNTAX);
    if (take(scan, '.') && take_digits(scan) == 0)
        return fail(scan, GW_SCAN_SYNTAX);
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        if (take_digits(scan) == 0)
            return fail(scan, GW_SCAN_SYNTAX);
    }
    return true;
}

static bool scan_word(struct scan *scan, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(scan->end - scan->p) < len || memcmp(scan->p, word, len) != 0)
        return fail(scan, GW_SCAN_SYNTAX);
    scan->p += len;
    return true;
}

static bool scan_value(struct scan *scan, struct gw_scan_value *ret_value);

static bool is_same_key(const struct gw_scan_value *a, const struct gw_scan_value *b)
{
    char text[GW_SCAN_KEY_MAX + 1];
    size_t len;

    if (!gw_scan_text(a, text, sizeof text - 1, &len))
        return false;
    text[len] = '\0'; /* no text has a NUL inside */
    return gw_scan_is(b, text);
}

static bool scan_key(struct scan *scan, struct gw_scan_value *keys, size_t n)
{
    char text[GW_SCAN_KEY_MAX];
    size_t len;

    skip_space(scan);
    keys[n] = (struct gw_scan_value){GW_SCAN_TEXT, scan->p, 0};
    if (!scan_text(scan))
        return false;
    keys[n].len = (size_t)(scan->p - keys[n].at);
    if (!gw_scan_text(&keys[n], text, sizeof text, &len))
        return fail(scan, GW_SCAN_MANY);
    for (size_t i = 0; i < n; i++)
        if (is_same_key(&keys[i], &keys[n]))
            return fail(scan, GW_SCAN_DUPLICATE);
    skip_space(scan);
    return take(scan, ':') || fail(scan, GW_SCAN_SYNTAX);
}

static bool scan_list(struct scan *scan, char close, bool has_keys)
{
    struct gw_scan_value keys[GW_SCAN_MEMBERS_MAX], value;
    size_t n = 0;

    scan->p++;
    skip_space(scan);
    if (take(scan, close))
        return true;
    do {
        if (n == GW_SCAN_MEMBERS_MAX)
            return fail(scan, GW_SCAN_MANY);
        if ((has_keys && !scan_key(scan, keys, n)) || !scan_value(scan, &value))
            return false;
        n++;
        skip_space(scan);
    } while (take(scan, ','));
    return take(scan, close) || fail(scan, GW_SCAN_SYNTAX);
}

static enum gw_scan_type type_at(const struct scan *scan)
{
    switch (scan->p < scan->end ? *scan->p : '\0') {
    case '{':
        return GW_SCAN_OBJECT;
    case '[':
        return GW_SCAN_ARRAY;
    case '"':
        return GW_SCAN_TEXT;
    case 't':
        return GW_SCAN_TRUE;
    case 'f':
        return GW_SCAN_FALSE;
    case 'n':
        return GW_SCAN_NULL;
    default:
        return GW_SCAN_NUMBER;
    }
}

static bool scan_by_type(struct scan *scan, enum gw_scan_type type)
{
    switch (type) {
    case GW_SCAN_OBJECT:
        return scan_list(scan, '}', true);
    case GW_SCAN_ARRAY:
        return scan_list(scan, ']', false);
    case GW_SCAN_TEXT:
        return scan_text(scan);
    case GW_SCAN_TRUE:
        return scan_word(scan, "true");
    case GW_SCAN_FALSE:
        return scan_word(scan, "false");
    case GW_SCAN_NULL:
        return scan_word(scan, "null");
    default:
        return scan_number(scan);
    }
}

static bool scan_value(struct scan *scan, struct gw_scan_value *ret_value)
{
    skip_space(scan);
    *ret_value = (struct gw_scan_value){type_at(scan), scan->p, 0};
    bool nests = ret_value->type == GW_SCAN_OBJECT || ret_value->type == GW_SCAN_ARRAY;
    if (nests && scan->depth == GW_SCAN_DEPTH_MAX)
        return fail(scan, GW_SCAN_DEEP);
    scan->depth += nests;
    bool is_good = scan_by_type(scan, ret_value->type);
    scan->depth -= nests;
    ret_value->len = (size_t)(scan->p - ret_value->at);
    return is_good;
}

enum gw_scan_fault gw_scan(const char *text, size_t len, struct gw_scan_value *ret_value)
{
    struct scan scan = {.p = text, .end = text + len};

    if (!scan_value(&scan, ret_value))
        return scan.fault;
    skip_space(&scan);
    return scan.p == scan.end ? GW_SCAN_GOOD : GW_SCAN_SYNTAX;
}

bool gw_scan_next(const struct gw_scan_value *object, size_t *at, struct gw_scan_value *ret_key,
                  struct gw_scan_value *ret_value)
{
    struct scan scan = {.p = object->at + (*at ? *at : 1), .end = object->at + object->len};

    skip_space(&scan);
    if (scan.p >= scan.end || *scan.p == '}')
        return false;
    take(&scan, ',');
    skip_space(&scan);
    *ret_key = (struct gw_scan_value){GW_SCAN_TEXT, scan.p, 0};
    if (!scan_text(&scan))
        return false;
    ret_key->len = (size_t)(scan.p - ret_key->at);
    skip_space(&scan);
    take(&scan, ':');
    if (!scan_value(&scan, ret_value))
        return false;
    *at = (size_t)(scan.p - object->at);
    return true;
}
