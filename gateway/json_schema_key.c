/* json_schema_key: what one key of a table allows, as a JSON Schema. Knows the key types, no sections. */
#include "gateway/json_schema.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/key_text.h"

#define DURATION_UNITS "(us|ms|s|m|h|d)$"
#define SIZE_UNITS     "(B|kB|KiB|MB|MiB|GB|GiB)$"
#define VARIABLE       "\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}"

static bool has_range(const struct gw_key *key)
{
    return key->min != 0 || key->max != 0;
}

static struct gw_json *typed(const char *type)
{
    struct gw_json *schema = gw_json_object();

    gw_json_set(schema, "type", gw_json_text(type));
    return schema;
}

/* YAML takes 5 for a number where a text is meant, and the gateway takes it for a text again. */
static struct gw_json *text_or_number(void)
{
    struct gw_json *schema = gw_json_object(), *types = gw_json_array();

    gw_json_add(types, gw_json_text("string"));
    gw_json_add(types, gw_json_text("number"));
    gw_json_set(schema, "type", types);
    return schema;
}

static struct gw_json *number_schema(const struct gw_key *key)
{
    struct gw_json *schema = typed(key->type == GW_KEY_INT ? "integer" : "number");

    if (has_range(key)) {
        gw_json_set(schema, "minimum", gw_json_number(key->min));
        gw_json_set(schema, "maximum", gw_json_number(key->max));
    }
    return schema;
}

/* Lengths of the table are bytes, those of a schema characters, which are never more. */
static void add_length(struct gw_json *schema, const struct gw_key *key)
{
    if (key->min >= 1)
        gw_json_set(schema, "minLength", gw_json_int(1));
    if (has_range(key))
        gw_json_set(schema, "maxLength", gw_json_number(key->max));
}

static struct gw_json *text_schema(const struct gw_key *key)
{
    struct gw_json *schema = text_or_number();

    add_length(schema, key);
    if (key->pattern)
        gw_json_set(schema, "pattern", gw_json_text(key->pattern));
    return schema;
}

/* Does the driver's own notation have bare numbers among its texts? Asked of its parser, which is the judge of it. */
static bool takes_numbers(const struct gw_key *key)
{
    static const char *const probes[] = {"0", "1", "0.5", "100", "40001", "400001"};
    struct gw_driver_diag diag;
    union {
        char bytes[4096]; /* as much as any member may take */
        max_align_t align;
    } field;

    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        memset(&field, 0, sizeof field);
        if (key->parse && key->parse(probes[i], &field, &diag) == GW_OK)
            return true;
    }
    return false;
}

static struct gw_json *parsed_schema(const struct gw_key *key)
{
    struct gw_json *schema = takes_numbers(key) ? text_or_number() : typed("string");

    if (key->pattern)
        gw_json_set(schema, "pattern", gw_json_text(key->pattern));
    return schema;
}

/* Numbers are written without quotes, too: version: 5. */
static struct gw_json *choice_schema(const struct gw_key *key)
{
    struct gw_json *schema = gw_json_object(), *names = gw_json_array();

    for (const struct gw_choice *choice = key->choices; choice->name; choice++) {
        char *end;
        double number = strtod(choice->name, &end);

        gw_json_add(names, gw_json_text(choice->name));
        if (*end == '\0')
            gw_json_add(names, gw_json_number(number));
    }
    gw_json_set(schema, "enum", names);
    return schema;
}

/* The range stands in the description: a pattern can only keep zero out. */
static struct gw_json *quantity_schema(const struct gw_key *key)
{
    struct gw_json *schema = typed("string");
    bool may_be_zero = key->min <= 0;

    if (key->type == GW_KEY_DURATION)
        gw_json_set(
            schema, "pattern",
            gw_json_text(may_be_zero ? "^[0-9]+" DURATION_UNITS : "^0*[1-9][0-9]*" DURATION_UNITS));
    else
        gw_json_set(schema, "pattern",
                    gw_json_text(may_be_zero ? "^[0-9]+" SIZE_UNITS : "^0*[1-9][0-9]*" SIZE_UNITS));
    return schema;
}

static struct gw_json *item_schema(const struct gw_key *key)
{
    struct gw_json *schema = text_or_number();

    if (key->pattern)
        gw_json_set(schema, "pattern", gw_json_text(key->pattern));
    return schema;
}

static struct gw_json *list_schema(const struct gw_key *key)
{
    struct gw_json *schema = gw_json_object(), *either = gw_json_array(), *list = typed("array");

    gw_json_set(list, "items", item_schema(key));
    if (has_range(key)) {
        gw_json_set(list, "minItems", gw_json_number(key->min));
        gw_json_set(list, "maxItems", gw_json_number(key->max));
    }
    gw_json_add(either, item_schema(key));
    gw_json_add(either, list);
    gw_json_set(schema, "anyOf", either);
    return schema;
}

static struct gw_json *map_schema(const struct gw_key *key)
{
    struct gw_json *schema = typed("object"), *properties = gw_json_object(),
                   *needed = gw_json_array();

    for (const struct gw_key *inner = key->keys; inner->name; inner++) {
        gw_json_set(properties, inner->name, gw_json_schema_key(inner, false));
        if (inner->flags & GW_REQUIRED)
            gw_json_add(needed, gw_json_text(inner->name));
    }
    gw_json_set(schema, "properties", properties);
    if (gw_json_size(needed) > 0)
        gw_json_set(schema, "required", needed);
    else
        gw_json_free(needed);
    gw_json_set(schema, "additionalProperties", gw_json_bool(false));
    return schema;
}

static struct gw_json *maps_schema(const struct gw_key *key)
{
    struct gw_json *schema = gw_json_object(), *either = gw_json_array(), *list = typed("array");

    gw_json_set(list, "items", map_schema(key));
    if (has_range(key)) {
        gw_json_set(list, "minItems", gw_json_number(key->min));
        gw_json_set(list, "maxItems", gw_json_number(key->max));
    }
    gw_json_add(either, map_schema(key));
    gw_json_add(either, list);
    gw_json_set(schema, "anyOf", either);
    return schema;
}

static struct gw_json *custom_schema(const struct gw_key *key)
{
    struct gw_json *schema = key->pattern ? gw_json_parse(key->pattern) : NULL;

    return schema ? schema : gw_json_object();
}

static struct gw_json *value_schema(const struct gw_key *key)
{
    switch (key->type) {
    case GW_KEY_BOOL:
        return typed("boolean");
    case GW_KEY_INT:
    case GW_KEY_FLOAT:
    case GW_KEY_DECIMAL:
        return number_schema(key);
    case GW_KEY_TEXT:
        return text_schema(key);
    case GW_KEY_CHOICE:
        return choice_schema(key);
    case GW_KEY_DURATION:
    case GW_KEY_SIZE:
        return quantity_schema(key);
    case GW_KEY_PARSED:
        return parsed_schema(key);
    case GW_KEY_LIST:
        return list_schema(key);
    case GW_KEY_MAP:
        return map_schema(key);
    case GW_KEY_MAPS:
        return maps_schema(key);
    case GW_KEY_CUSTOM:
        return custom_schema(key);
    }
    return gw_json_object();
}

/* A value as the user writes it, as the JSON value that YAML makes of it. NULL: not a plain value. */
static struct gw_json *written_value(const struct gw_key *key, const char *text)
{
    char unquoted[256];
    char *end;
    size_t len = strlen(text);

    if (key->type == GW_KEY_BOOL)
        return gw_json_bool(strcmp(text, "true") == 0);
    if (key->type == GW_KEY_INT)
        return gw_json_int(strtoll(text, NULL, strncmp(text, "0x", 2) == 0 ? 16 : 10));
    if (key->type == GW_KEY_FLOAT || key->type == GW_KEY_DECIMAL) {
        double number = strtod(text, &end);
        return *end == '\0' ? gw_json_number(number) : NULL;
    }
    if (!*text || strchr("[{", text[0]) || len >= sizeof unquoted)
        return NULL;
    if (len >= 2 && strchr("'\"", text[0]) && text[len - 1] == text[0]) {
        memcpy(unquoted, text + 1, len - 2);
        unquoted[len - 2] = '\0';
        text = unquoted;
    }
    return gw_json_text(text);
}

static void annotate(struct gw_json *schema, const struct gw_key *key)
{
    char description[GW_KEY_WORDS];
    struct gw_json *value = key->example ? written_value(key, key->example) : NULL;
    struct gw_json *def = key->def ? written_value(key, key->def) : NULL;

    gw_json_set(schema, "description", gw_json_text(gw_key_description(key, description)));
    if (def)
        gw_json_set(schema, "default", def);
    if (value) {
        struct gw_json *examples = gw_json_array();

        gw_json_add(examples, value);
        gw_json_set(schema, "examples", examples);
    }
    if (key->flags & GW_SECRET)
        gw_json_set(schema, "writeOnly", gw_json_bool(true));
}

struct gw_json *gw_json_schema_key(const struct gw_key *key, bool expands)
{
    struct gw_json *schema = value_schema(key);

    if ((expands || key->flags & GW_ADDRESS) && key->type != GW_KEY_TEXT &&
        key->type != GW_KEY_LIST) {
        struct gw_json *either = gw_json_array(), *variable = typed("string"),
                       *whole = gw_json_object();

        gw_json_set(variable, "pattern", gw_json_text(VARIABLE));
        gw_json_add(either, schema);
        gw_json_add(either, variable);
        gw_json_set(whole, "anyOf", either);
        schema = whole;
    }
    annotate(schema, key);
    return schema;
}
