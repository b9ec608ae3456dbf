/* json_schema: sections and their keys as definitions that refer to each other.
 * A section that takes a driver's keys becomes one definition for each driver, and the bus's `driver` tells which of
 * them holds. Keys are definitions of their own, since the same table stands in many sections. */
#include "gateway/json_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFS_MAX = 2048, NAME_MAX_LEN = 160 };

/* The three keys of the language that change what else a section needs. */
#define TEMPLATE_KEY "template"
#define ENABLED_KEY  "enabled"
#define DRIVER_KEY   "driver"
#define DRIVERS_KEY  "drivers"

struct maker {
    struct gw_json *defs; /* of the document, by name */
    const struct gw_driver *const *drivers;
    size_t n_drivers;
    struct {
        const void *what; /* a key or a section */
        const struct gw_driver *driver;
        char name[NAME_MAX_LEN];
    } known[DEFS_MAX]; /* definitions made so far */
    size_t n_known;
    bool expands; /* inside of mqtt: */
};

/* One section being made into a definition. */
struct making {
    struct maker *maker;
    const struct gw_section *section;
    const struct gw_driver *driver; /* NULL where no bus is known */
    struct gw_json *properties;
    struct gw_json *needed;        /* names that are needed */
    struct gw_json *driver_needed; /* ... which a template may have */
};

static struct gw_json *section_ref(struct maker *maker, const struct gw_section *section,
                                   const struct gw_driver *driver);

/* ---- small pieces ---------------------------------------------------------------------------------- */

static struct gw_json *ref_to(const char *name)
{
    char path[NAME_MAX_LEN + 16];
    struct gw_json *ref = gw_json_object();

    snprintf(path, sizeof path, "#/$defs/%s", name);
    gw_json_set(ref, "$ref", gw_json_text(path));
    return ref;
}

static struct gw_json *object_with(const char *key, struct gw_json *value)
{
    struct gw_json *object = gw_json_object();

    gw_json_set(object, key, value);
    return object;
}

static struct gw_json *list_with(struct gw_json *value)
{
    struct gw_json *list = gw_json_array();

    gw_json_add(list, value);
    return list;
}

/* {"properties": {KEY: value}, "required": [KEY]}: the key is there, and as value says */
static struct gw_json *has_key(const char *key, struct gw_json *value)
{
    struct gw_json *schema = object_with("properties", object_with(key, value));

    gw_json_set(schema, "required", list_with(gw_json_text(key)));
    return schema;
}

/* {"if": condition, "then": schema} */
static struct gw_json *rule(struct gw_json *condition, struct gw_json *schema)
{
    struct gw_json *whole = object_with("if", condition);

    gw_json_set(whole, "then", schema);
    return whole;
}

static bool has_own_key(const struct gw_section *section, const char *name)
{
    for (const struct gw_key *key = section->keys; key && key->name; key++)
        if (strcmp(key->name, name) == 0)
            return true;
    return false;
}

/* ---- definitions ----------------------------------------------------------------------------------- */

static bool is_known_name(const struct maker *maker, const char *name)
{
    for (size_t i = 0; i < maker->n_known; i++)
        if (strcmp(maker->known[i].name, name) == 0)
            return true;
    return false;
}

/* Gives the name of the definition of a key or section. True when it has yet to be made. */
static bool is_new(struct maker *maker, const void *what, const struct gw_driver *driver,
                   const char *wish, char ret_name[NAME_MAX_LEN])
{
    for (size_t i = 0; i < maker->n_known; i++)
        if (maker->known[i].what == what && maker->known[i].driver == driver) {
            memcpy(ret_name, maker->known[i].name, NAME_MAX_LEN);
            return false;
        }
    snprintf(ret_name, NAME_MAX_LEN, "%s", wish);
    for (int i = 2; is_known_name(maker, ret_name); i++)
        snprintf(ret_name, NAME_MAX_LEN, "%.140s-%d", wish, i);
    if (maker->n_known == DEFS_MAX) /* made again at each place: larger, but right */
        return true;
    maker->known[maker->n_known].what = what;
    maker->known[maker->n_known].driver = driver;
    memcpy(maker->known[maker->n_known++].name, ret_name, NAME_MAX_LEN);
    return true;
}

static struct gw_json *key_ref(struct maker *maker, const struct gw_key *key, const char *owner)
{
    char wish[NAME_MAX_LEN], name[NAME_MAX_LEN];

    snprintf(wish, sizeof wish, "key.%s.%s", owner, key->name);
    if (is_new(maker, key, NULL, wish, name))
        gw_json_set(maker->defs, name, gw_json_schema_key(key, maker->expands));
    return ref_to(name);
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static void add_keys(struct making *making, const struct gw_key *keys, const char *owner)
{
    for (; keys && keys->name; keys++) {
        if (!gw_json_get(making->properties, keys->name))
            gw_json_set(making->properties, keys->name, key_ref(making->maker, keys, owner));
        if (keys->flags & GW_REQUIRED)
            gw_json_add(making->needed, gw_json_text(keys->name));
    }
}

static bool is_in_table(const struct gw_key *keys, const struct gw_key *key)
{
    for (; keys->name; keys++)
        if (keys == key)
            return true;
    return false;
}

static bool add_driver_key(void *ctx, const struct gw_key *key)
{
    struct making *making = ctx;
    const struct gw_driver *driver = making->driver;
    char owner[NAME_MAX_LEN / 2];
    const char *level = is_in_table(driver->bus_keys, key)      ? "bus"
                        : is_in_table(driver->device_keys, key) ? "device"
                                                                : "point";

    snprintf(owner, sizeof owner, "%s.%s", driver->name, level);
    if (!gw_json_get(making->properties, key->name))
        gw_json_set(making->properties, key->name, key_ref(making->maker, key, owner));
    /* One that is inherited may stand further out, where a schema does not see it. */
    if (key->flags & GW_REQUIRED && !(key->flags & GW_INHERIT))
        gw_json_add(making->driver_needed, gw_json_text(key->name));
    return true;
}

/* ---- children -------------------------------------------------------------------------------------- */

static struct gw_json *text_type(void)
{
    return object_with("type", gw_json_text("string"));
}

static struct gw_json *files_schema(void)
{
    struct gw_json *list = object_with("type", gw_json_text("array")), *either = gw_json_array();

    gw_json_set(list, "items", text_type());
    gw_json_add(either, text_type());
    gw_json_add(either, list);
    return object_with("anyOf", either);
}

static struct gw_json *variables_schema(void)
{
    struct gw_json *types = gw_json_array(), *schema = object_with("type", gw_json_text("object"));

    gw_json_add(types, gw_json_text("string"));
    gw_json_add(types, gw_json_text("number"));
    gw_json_set(schema, "additionalProperties", object_with("type", types));
    return schema;
}

/* A list whose items' own key `driver` decides what else they may hold. */
static struct gw_json *dispatch_by_driver(struct maker *maker, const struct gw_section *section)
{
    struct gw_json *names = gw_json_array(), *rules = gw_json_array();
    struct gw_json *item = has_key(DRIVER_KEY, object_with("enum", names));

    gw_json_set(item, "type", gw_json_text("object"));
    for (size_t i = 0; i < maker->n_drivers; i++) {
        const char *name = maker->drivers[i]->name;

        gw_json_add(names, gw_json_text(name));
        gw_json_add(rules, rule(has_key(DRIVER_KEY, object_with("const", gw_json_text(name))),
                                section_ref(maker, section, maker->drivers[i])));
    }
    gw_json_set(item, "allOf", rules);
    return item;
}

/* The section, or the words that turn it off ("off" is false to readers of YAML 1.1). */
static struct gw_json *switch_schema(struct gw_json *section)
{
    struct gw_json *words = gw_json_array(), *either = gw_json_array(), *schema = gw_json_object();

    gw_json_add(words, gw_json_text("off"));
    gw_json_add(words, gw_json_bool(false));
    struct gw_json *off = gw_json_object();
    gw_json_set(off, "enum", words);
    gw_json_add(either, section);
    gw_json_add(either, off);
    gw_json_set(schema, "anyOf", either);
    return schema;
}

static struct gw_json *child_schema(struct maker *maker, const struct gw_child *child,
                                    const struct gw_driver *driver)
{
    struct gw_json *schema, *items;

    switch (child->shape) {
    case GW_SHAPE_SECTION:
        schema = section_ref(maker, child->section, driver);
        break;
    case GW_SHAPE_SWITCH:
        schema = switch_schema(section_ref(maker, child->section, driver));
        break;
    case GW_SHAPE_LIST:
        schema = object_with("type", gw_json_text("array"));
        items = child->section->driver_keys == GW_BUS_KEYS
                    ? dispatch_by_driver(maker, child->section)
                    : section_ref(maker, child->section, driver);
        gw_json_set(schema, "items", items);
        break;
    case GW_SHAPE_NAMED:
        schema = variables_schema();
        break;
    default:
        schema = files_schema();
        break;
    }
    gw_json_set(schema, "description", gw_json_text(child->help));
    return schema;
}

static void add_children(struct making *making)
{
    for (const struct gw_child *child = making->section->children; child && child->name; child++) {
        struct maker *maker = making->maker;
        bool was_expanding = maker->expands;

        maker->expands = was_expanding || strcmp(child->name, "mqtt") == 0;
        gw_json_set(making->properties, child->name, child_schema(maker, child, making->driver));
        maker->expands = was_expanding;
        if (child->is_required)
            gw_json_add(making->needed, gw_json_text(child->name));
    }
}

/* ---- what a section needs -------------------------------------------------------------------------- */

/* Names of the keys that must be there, unless the section is switched off. */
static void add_needs(const struct gw_section *section, struct gw_json *rules,
                      struct gw_json *condition, struct gw_json *needed)
{
    struct gw_json *off;

    if (gw_json_size(needed) == 0) {
        gw_json_free(needed);
        gw_json_free(condition);
        return;
    }
    if (has_own_key(section, ENABLED_KEY)) {
        off = object_with("not", has_key(ENABLED_KEY, object_with("const", gw_json_bool(false))));
        if (condition)
            gw_json_set(off, "allOf", list_with(condition));
        condition = off;
    }
    struct gw_json *needs = object_with("required", needed);
    gw_json_add(rules, condition ? rule(condition, needs) : needs);
}

static struct gw_json *lacks(const char *key)
{
    return object_with("not", object_with("required", list_with(gw_json_text(key))));
}

/* Points of a device with a template need only a name: their definition needs no more, and the rule for devices
 * without a template adds the rest. */
static void add_needs_of_points(const struct making *making, struct gw_json *rules)
{
    for (const struct gw_child *child = making->section->children; child && child->name; child++) {
        struct gw_json *needed, *item_rules, *items;

        if (!making->driver || child->shape != GW_SHAPE_LIST ||
            child->section->driver_keys != GW_POINT_KEYS)
            continue;
        needed = gw_json_array();
        for (const struct gw_key *key = making->driver->point_keys; key->name; key++)
            if (key->flags & GW_REQUIRED && !(key->flags & GW_INHERIT))
                gw_json_add(needed, gw_json_text(key->name));
        item_rules = gw_json_array();
        add_needs(child->section, item_rules, NULL, needed);
        if (gw_json_size(item_rules) == 0) {
            gw_json_free(item_rules);
            continue;
        }
        items = object_with("items", object_with("allOf", item_rules));
        items = object_with("properties", object_with(child->name, items));
        gw_json_add(rules, has_own_key(making->section, TEMPLATE_KEY)
                               ? rule(lacks(TEMPLATE_KEY), items)
                               : items);
    }
}

/* A list that is required is not empty either; with further files, those may fill it. */
static void add_fillings(const struct gw_section *section, const char *files, struct gw_json *rules)
{
    for (const struct gw_child *child = section->children; files && child->name; child++)
        if (child->is_required && child->shape == GW_SHAPE_LIST) {
            struct gw_json *filled = object_with("minItems", gw_json_int(1));

            gw_json_add(rules, rule(lacks(files),
                                    object_with("properties", object_with(child->name, filled))));
        }
}

static void add_rules(struct making *making, struct gw_json *schema)
{
    const struct gw_section *section = making->section;
    struct gw_json *rules = gw_json_array();
    bool may_have_template = has_own_key(section, TEMPLATE_KEY);
    bool is_template = has_own_key(section, DRIVERS_KEY);
    bool is_point = section->driver_keys == GW_POINT_KEYS;
    const char *files = NULL; /* with further files, what this one lacks may stand there */

    for (const struct gw_child *child = section->children; child && child->name; child++)
        if (child->shape == GW_SHAPE_FILES)
            files = child->name;
    add_needs(section, rules, files ? lacks(files) : NULL, making->needed);
    add_fillings(section, files, rules);
    if (is_template || is_point)
        gw_json_free(making->driver_needed);
    else
        add_needs(section, rules, may_have_template ? lacks(TEMPLATE_KEY) : NULL,
                  making->driver_needed);
    add_needs_of_points(making, rules);
    if (gw_json_size(rules) > 0)
        gw_json_set(schema, "allOf", rules);
    else
        gw_json_free(rules);
}

/* ---- sections -------------------------------------------------------------------------------------- */

static struct gw_json *section_schema(struct maker *maker, const struct gw_section *section,
                                      const struct gw_driver *driver)
{
    struct gw_json *schema = object_with("type", gw_json_text("object"));
    struct making making = {
        maker, section, driver, gw_json_object(), gw_json_array(), gw_json_array(),
    };

    gw_json_set(schema, "description", gw_json_text(section->help));
    add_keys(&making, section->keys, section->name);
    for (const struct gw_key *const *more = section->more_keys; more && *more; more++)
        add_keys(&making, *more, section->name);
    if (driver)
        gw_schema_driver_keys(driver, section->driver_keys, add_driver_key, &making);
    add_children(&making);
    gw_json_set(schema, "properties", making.properties);
    add_rules(&making, schema);
    gw_json_set(schema, "additionalProperties", gw_json_bool(false));
    return schema;
}

static struct gw_json *section_ref(struct maker *maker, const struct gw_section *section,
                                   const struct gw_driver *driver)
{
    char wish[NAME_MAX_LEN], name[NAME_MAX_LEN];

    if (section->driver_keys == GW_NO_DRIVER_KEYS)
        driver = NULL;
    snprintf(wish, sizeof wish, "section.%s%s%s", section->name, driver ? "." : "",
             driver ? driver->name : "");
    if (is_new(maker, section, driver, wish, name))
        gw_json_set(maker->defs, name, section_schema(maker, section, driver));
    return ref_to(name);
}

/* A template may be for several drivers: its keys have to be keys of each that it names. */
static void add_template_rules(struct maker *maker, const struct gw_section *root,
                               struct gw_json *document)
{
    struct gw_json *rules = gw_json_array();

    for (size_t i = 0; i < maker->n_drivers; i++) {
        struct gw_json *name = object_with("const", gw_json_text(maker->drivers[i]->name)),
                       *either = gw_json_array();
        struct gw_json *list = object_with("type", gw_json_text("array"));

        gw_json_set(list, "contains", object_with("const", gw_json_text(maker->drivers[i]->name)));
        gw_json_add(either, name);
        gw_json_add(either, list);
        gw_json_add(rules, rule(has_key(DRIVERS_KEY, object_with("anyOf", either)),
                                section_ref(maker, root, maker->drivers[i])));
    }
    gw_json_set(document, "type", gw_json_text("object"));
    gw_json_set(document, "required", list_with(gw_json_text(DRIVERS_KEY)));
    gw_json_set(document, "allOf", rules);
}

struct gw_json *gw_json_schema(const struct gw_section *root,
                               const struct gw_driver *const *drivers, size_t n_drivers)
{
    struct maker *maker = calloc(1, sizeof *maker);
    struct gw_json *document = gw_json_object();

    if (!maker) {
        gw_json_free(document);
        return NULL;
    }
    maker->defs = gw_json_object();
    maker->drivers = drivers;
    maker->n_drivers = n_drivers;
    gw_json_set(document, "$schema", gw_json_text("https://json-schema.org/draft/2020-12/schema"));
    gw_json_set(document, "title", gw_json_text(root->help));
    if (has_own_key(root, DRIVERS_KEY))
        add_template_rules(maker, root, document);
    else
        gw_json_set(document, "allOf", list_with(section_ref(maker, root, NULL)));
    gw_json_set(document, "$defs", maker->defs);
    free(maker);
    return document;
}
