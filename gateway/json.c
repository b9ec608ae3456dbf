/* json: the only file that includes jansson.h. A failure of jansson is out of memory or a text that is not UTF-8; both
 * are remembered in one flag, since the documents here are built by one thread and printed once. */
#include "gateway/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values are handed out as struct gw_json, which nobody defines, and are jansson's own inside. */
static _Thread_local bool is_incomplete;

static struct gw_json *checked(json_t *json)
{
    if (!json)
        is_incomplete = true;
    return (struct gw_json *)json;
}

static json_t *inside(const struct gw_json *json)
{
    return (json_t *)json;
}

struct gw_json *gw_json_object(void)
{
    return checked(json_object());
}

struct gw_json *gw_json_array(void)
{
    return checked(json_array());
}

/* Gives the length of the character at p; 0 when it is none. jansson is the judge of UTF-8. */
static size_t character_len(const char *p)
{
    size_t left = strnlen(p, 4);

    for (size_t len = 1; len <= left; len++) {
        json_t *json = json_stringn(p, len);

        json_decref(json);
        if (json)
            return len;
    }
    return 0;
}

/* A sentence may hold what a file or its name holds: bytes that are no UTF-8 become "?". */
static json_t *repaired_text(const char *text)
{
    char *copy = strdup(text);

    for (char *p = copy; p && *p;) {
        size_t len = character_len(p);

        if (len == 0)
            *p = '?';
        p += len ? len : 1;
    }
    json_t *json = copy ? json_string(copy) : NULL;
    free(copy);
    return json;
}

struct gw_json *gw_json_text(const char *text)
{
    json_t *json = json_string(text);

    return checked(json ? json : repaired_text(text));
}

struct gw_json *gw_json_bool(bool value)
{
    return checked(json_boolean(value));
}

struct gw_json *gw_json_int(int64_t value)
{
    return checked(json_integer(value));
}

struct gw_json *gw_json_number(double value)
{
    if (!isfinite(value))
        return NULL;
    if (value == floor(value) && fabs(value) < 1e15)
        return gw_json_int((int64_t)value);
    return checked(json_real(value));
}

struct gw_json *gw_json_parse(const char *text)
{
    return (struct gw_json *)json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
}

void gw_json_free(struct gw_json *json)
{
    json_decref(inside(json));
}

void gw_json_set(struct gw_json *object, const char *key, struct gw_json *value)
{
    if (json_object_set_new(inside(object), key, inside(value)) != 0)
        is_incomplete = true;
}

void gw_json_add(struct gw_json *array, struct gw_json *value)
{
    if (json_array_append_new(inside(array), inside(value)) != 0)
        is_incomplete = true;
}

void gw_json_merge(struct gw_json *object, const struct gw_json *other)
{
    if (json_object_update(inside(object), inside(other)) != 0)
        is_incomplete = true;
}

struct gw_json *gw_json_get(const struct gw_json *object, const char *key)
{
    return (struct gw_json *)json_object_get(inside(object), key);
}

size_t gw_json_size(const struct gw_json *json)
{
    return json_is_array(inside(json)) ? json_array_size(inside(json))
                                       : json_object_size(inside(json));
}

enum gw_err gw_json_print(const struct gw_json *json, FILE *out)
{
    bool was_incomplete = is_incomplete;

    is_incomplete = false;
    if (was_incomplete || !json)
        return GW_E_NOMEM;
    if (json_dumpf(inside(json), out, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)) !=
        0)
        return ferror(out) ? GW_E_LINK : GW_E_NOMEM;
    return fputc('\n', out) == EOF || fflush(out) != 0 ? GW_E_LINK : GW_OK;
}
