/* json: finds a value by its pointer in a JSON text. Nothing is built and numbers stay as they are written, so that 0.1 is
 * 0.1; a text that is not well-formed to its end has no values, since half a message would be as good as another. */
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/place.h"

enum { DEPTH_MAX = 32 };

struct cursor {
    const uint8_t *p, *end;
    struct serial_slice found;
    bool is_found, is_text;
};

static void skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\r' || *c->p == '\n'))
        c->p++;
}

static bool take(struct cursor *c, uint8_t byte)
{
    skip_blanks(c);
    if (c->p == c->end || *c->p != byte)
        return false;
    c->p++;
    return true;
}

/* A text; what is between its quotes. */
static bool take_text(struct cursor *c, struct serial_slice *ret)
{
    if (!take(c, '"'))
        return false;
    ret->p = c->p;
    for (; c->p < c->end && *c->p != '"'; c->p++) {
        if (*c->p < 0x20)
            return false;
        if (*c->p == '\\' && ++c->p == c->end)
            return false;
    }
    ret->len = (size_t)(c->p - ret->p);
    return take(c, '"');
}

static size_t count_digits(const uint8_t *p, const uint8_t *end)
{
    size_t n = 0;

    while (p + n < end && p[n] >= '0' && p[n] <= '9')
        n++;
    return n;
}

static bool take_number(struct cursor *c)
{
    size_t n;

    if (*c->p == '-')
        c->p++;
    c->p += n = count_digits(c->p, c->end);
    if (n == 0 || (n > 1 && c->p[-(ptrdiff_t)n] == '0'))
        return false;
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        c->p += n = count_digits(c->p, c->end);
        if (n == 0)
            return false;
    }
    if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
        c->p++;
        if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
            c->p++;
        c->p += n = count_digits(c->p, c->end);
        return n > 0;
    }
    return true;
}

static bool take_word(struct cursor *c)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(words[i]);

        if ((size_t)(c->end - c->p) >= n && memcmp(c->p, words[i], n) == 0) {
            c->p += n;
            return true;
        }
    }
    return false;
}

/* Is this the next step of the pointer? In it ~1 is / and ~0 is ~. Gives what is left of the pointer. */
static const char *step_into(const char *pointer, const uint8_t *name, size_t len)
{
    const char *p = pointer;

    if (!p || *p++ != '/')
        return NULL;
    for (; len > 0; name++, len--, p++) {
        uint8_t want = (uint8_t)*p;

        if (*p == '\0' || *p == '/')
            return NULL;
        if (*p == '~' && (p[1] == '0' || p[1] == '1'))
            want = *++p == '1' ? '/' : '~';
        if (want != *name)
            return NULL;
    }
    return *p == '\0' || *p == '/' ? p : NULL;
}

static bool take_value(struct cursor *c, const char *pointer, int depth);

static bool take_object(struct cursor *c, const char *pointer, int depth)
{
    struct serial_slice name;

    c->p++;
    if (take(c, '}'))
        return true;
    do {
        skip_blanks(c);
        if (!take_text(c, &name) || !take(c, ':') ||
            !take_value(c, step_into(pointer, name.p, name.len), depth + 1))
            return false;
    } while (take(c, ','));
    return take(c, '}');
}

static bool take_array(struct cursor *c, const char *pointer, int depth)
{
    size_t i = 0;

    c->p++;
    if (take(c, ']'))
        return true;
    do {
        char *end = NULL;
        const char *inner = NULL;

        if (pointer && pointer[0] == '/' && pointer[1] >= '0' && pointer[1] <= '9' &&
            strtoul(pointer + 1, &end, 10) == i && (*end == '/' || *end == '\0'))
            inner = end;
        if (!take_value(c, inner, depth + 1))
            return false;
        i++;
    } while (take(c, ','));
    return take(c, ']');
}

/* pointer: what is left of it; NULL: it does not lead here. */
static bool take_value(struct cursor *c, const char *pointer, int depth)
{
    struct serial_slice text = {NULL, 0};
    bool is_it = pointer && *pointer == '\0', is_text = false;

    skip_blanks(c);
    if (c->p == c->end || depth > DEPTH_MAX)
        return false;
    const uint8_t *from = c->p;
    if (*from == '{' || *from == '[') {
        if (!(*from == '{' ? take_object(c, pointer, depth) : take_array(c, pointer, depth)))
            return false;
    } else if (*from == '"') {
        is_text = true;
        if (!take_text(c, &text))
            return false;
    } else if (!(*from == '-' || (*from >= '0' && *from <= '9') ? take_number(c) : take_word(c))) {
        return false;
    }
    if (is_it) {
        c->found = is_text ? text : (struct serial_slice){from, (size_t)(c->p - from)};
        c->is_text = is_text;
        c->is_found = true;
    }
    return true;
}

bool serial_json_find(const char *pointer, const uint8_t *text, size_t len,
                      struct serial_slice *ret, bool *ret_is_text)
{
    struct cursor c = {.p = text, .end = text + len};

    if (!take_value(&c, pointer, 0))
        return false;
    skip_blanks(&c);
    if (c.p != c.end || !c.is_found)
        return false;
    *ret = c.found;
    *ret_is_text = c.is_text;
    return c.is_text || c.found.len != 4 || memcmp(c.found.p, "null", 4) != 0;
}
