/* config_walk: goes through a section by its tables, whatever the section is. */
#include "gateway/config_internal.h"

#include <assert.h>
#include <string.h>

enum { CANDIDATES_MAX = 160 };

void gw_walk_bind(struct gw_walk *walk, const struct gw_key *keys, void *base, unsigned flags)
{
    assert(walk->n_bindings < GW_BINDINGS_MAX);
    walk->bindings[walk->n_bindings++] = (struct gw_binding){keys, base, flags};
}

static const struct gw_key *find_key(const struct gw_key *keys, const char *name, unsigned flags)
{
    for (; keys && keys->name; keys++)
        if (keys->name[0] == name[0] && (keys->flags & flags) == flags &&
            strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

static const struct gw_key *find_bound(const struct gw_walk *walk, const char *name,
                                       void **ret_base)
{
    for (size_t i = 0; i < walk->n_bindings; i++) {
        const struct gw_binding *binding = &walk->bindings[i];
        const struct gw_key *key = find_key(binding->keys, name, binding->flags);

        if (key) {
            *ret_base = binding->base;
            return key;
        }
    }
    return NULL;
}

static bool take_child(struct gw_walk *walk, const struct gw_yaml_node *entry)
{
    const struct gw_child *child = walk->section->children;

    for (size_t i = 0; child && child[i].name; i++) {
        if (strcmp(child[i].name, entry->key) == 0) {
            assert(i < GW_CHILDREN_MAX);
            walk->children[i] = entry;
            return true;
        }
    }
    return false;
}

const struct gw_yaml_node *gw_walk_child(const struct gw_walk *walk, const char *name)
{
    const struct gw_child *child = walk->section->children;

    for (size_t i = 0; child && child[i].name; i++)
        if (strcmp(child[i].name, name) == 0)
            return walk->children[i];
    return NULL;
}

/* ---- what cannot stand here ------------------------------------------------------------------------ */

static bool has_key(const struct gw_section *section, const struct gw_key *driver_keys,
                    const char *name)
{
    if (find_key(section->keys, name, 0) || find_key(driver_keys, name, 0))
        return true;
    for (const struct gw_key *const *more = section->more_keys; more && *more; more++)
        if (find_key(*more, name, 0))
            return true;
    for (const struct gw_child *child = section->children; child && child->name; child++)
        if (strcmp(child->name, name) == 0)
            return true;
    return false;
}

/* Gives the section that a key belongs to when it is known elsewhere. */
static const char *find_home(const struct gw_section *here, const struct gw_driver *driver,
                             const char *name)
{
    const struct {
        const struct gw_section *section;
        const struct gw_key *driver_keys;
    } homes[] = {
        {&gw_publish_section, NULL},
        {&gw_write_point_section, NULL},
        {&gw_commands_section, NULL},
        {&gw_device_section, driver ? driver->device_keys : NULL},
        {&gw_point_section, driver ? driver->point_keys : NULL},
        {&gw_bus_section, driver ? driver->bus_keys : NULL},
        {gw_schema_root.children[1].section, NULL},
        {&gw_http_section, NULL},
        {&gw_schema_root, NULL},
    };

    for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++)
        if (strcmp(homes[i].section->name, here->name) != 0 &&
            has_key(homes[i].section, homes[i].driver_keys, name))
            return homes[i].section->name;
    return NULL;
}

static const char *suggest_key(const struct gw_walk *walk, const char *name, bool *ret_is_synonym)
{
    const char *candidates[CANDIDATES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < walk->n_bindings; i++)
        for (const struct gw_key *key = walk->bindings[i].keys;
             key && key->name && n < CANDIDATES_MAX; key++)
            if ((key->flags & walk->bindings[i].flags) == walk->bindings[i].flags)
                candidates[n++] = key->name;
    for (const struct gw_child *child = walk->section->children;
         child && child->name && n < CANDIDATES_MAX; child++)
        candidates[n++] = child->name;
    *ret_is_synonym = gw_synonym(name, candidates, n) != NULL;
    return gw_suggest(name, candidates, n);
}

static void report_unknown(struct gw_loader *loader, const struct gw_walk *walk,
                           const struct gw_yaml_node *entry)
{
    bool is_synonym;
    const char *near = suggest_key(walk, entry->key, &is_synonym);
    const char *home = find_home(walk->section, walk->driver, entry->key);
    struct gw_mark mark = gw_yaml_key_mark(entry);

    if (home && !is_synonym)
        gw_diag_add(loader->diags, mark, "key \"%s\" belongs to the section \"%s\", not to \"%s\"",
                    entry->key, home, walk->section->name);
    else if (near)
        gw_diag_add(loader->diags, mark, "unknown key \"%s\"; did you mean \"%s\"?", entry->key,
                    near);
    else
        gw_diag_add(loader->diags, mark, "unknown key \"%s\"", entry->key);
}

bool gw_walk_section(struct gw_loader *loader, struct gw_walk *walk, const struct gw_yaml_node *map)
{
    if (map->kind == GW_YAML_WRONG)
        return false;
    if (map->kind != GW_YAML_MAP) {
        gw_diag_add(loader->diags, gw_yaml_key_mark(map),
                    "\"%s\" must be a mapping of keys, not %s",
                    map->key ? map->key : walk->section->name, gw_describe(loader, map));
        return false;
    }
    memset(walk->children, 0, sizeof walk->children);
    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next) {
        void *base;
        const struct gw_key *key = find_bound(walk, entry->key, &base);

        if (key)
            gw_decode(loader, key, entry, base, walk->expands);
        else if (!take_child(walk, entry))
            report_unknown(loader, walk, entry);
    }
    return true;
}

/* ---- layers ---------------------------------------------------------------------------------------- */

const struct gw_yaml_node *gw_layer_find(const struct gw_layer *layer, const char *key,
                                         enum gw_level up_to)
{
    for (; layer && layer->level <= up_to; layer = layer->outer) {
        const struct gw_yaml_node *entry = gw_yaml_get(layer->map, key);

        if (!entry)
            entry = gw_yaml_get(gw_yaml_get(layer->map, "publish"), key);
        if (!entry)
            entry = gw_yaml_get(gw_yaml_get(layer->map, "write"), key);
        if (entry)
            return entry;
    }
    return NULL;
}

void gw_check_required(struct gw_loader *loader, const struct gw_key *keys,
                       const struct gw_layer *layer, enum gw_level up_to, struct gw_mark mark,
                       const char *of)
{
    if (loader->is_off)
        return;
    for (; keys && keys->name; keys++)
        if ((keys->flags & GW_REQUIRED) &&
            !gw_layer_find(layer, keys->name, keys->flags & GW_INHERIT ? GW_LEVEL_ROOT : up_to))
            gw_diag_add(loader->diags, mark, "%s has no \"%s\"", of, keys->name);
}
