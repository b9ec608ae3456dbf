/* config_nested: keys whose value is a mapping of keys, or a list of such mappings, by the tables of a driver. */
#include <stdio.h>
#include <string.h>

#include "gateway/config_internal.h"

enum { CANDIDATES_MAX = 64 };

static const struct gw_key *find_key(const struct gw_key *keys, const char *name)
{
    for (; keys->name; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

static void report_unknown(struct gw_loader *loader, const struct gw_key *key,
                           const struct gw_yaml_node *entry)
{
    const char *candidates[CANDIDATES_MAX], *near;
    size_t n = 0;

    for (const struct gw_key *inner = key->keys; inner->name && n < CANDIDATES_MAX; inner++)
        candidates[n++] = inner->name;
    near = gw_suggest(entry->key, candidates, n);
    gw_diag_add(loader->diags, gw_yaml_key_mark(entry), "unknown key \"%s\" in \"%s\"%s%s%s",
                entry->key, key->name, near ? "; did you mean \"" : "", near ? near : "",
                near ? "\"?" : "");
}

/* Decodes the entries of one mapping into the struct at base. */
static bool decode_entries(struct gw_loader *loader, const struct gw_key *key,
                           const struct gw_yaml_node *map, void *base)
{
    bool is_good = true;

    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next) {
        const struct gw_key *inner = find_key(key->keys, entry->key);

        if (inner)
            is_good &= gw_decode(loader, inner, entry, base, false);
        else
            report_unknown(loader, key, entry);
        is_good &= inner != NULL;
    }
    return is_good;
}

static bool must_be(struct gw_loader *loader, const struct gw_key *key,
                    const struct gw_yaml_node *value, const char *what)
{
    gw_diag_add(loader->diags, gw_yaml_mark(value), "\"%s\" must be %s, not %s", key->name, what,
                gw_describe(loader, value));
    return false;
}

bool gw_decode_map(struct gw_loader *loader, const struct gw_key *key,
                   const struct gw_yaml_node *value, void *field)
{
    if (value->kind != GW_YAML_MAP)
        return must_be(loader, key, value, "a mapping of keys");
    return decode_entries(loader, key, value, field);
}

static bool decode_item(struct gw_loader *loader, const struct gw_key *key,
                        const struct gw_yaml_node *item, void *base)
{
    if (item->kind == GW_YAML_WRONG)
        return false;
    if (item->kind != GW_YAML_MAP)
        return must_be(loader, key, item, "a list of mappings of keys");
    gw_decode_defaults(loader, key->keys, base, false);
    bool is_good = decode_entries(loader, key, item, base);
    for (const struct gw_key *inner = key->keys; inner->name; inner++)
        if (inner->flags & GW_REQUIRED && !gw_yaml_get(item, inner->name)) {
            gw_diag_add(loader->diags, gw_yaml_mark(item), "an entry of \"%s\" has no \"%s\"",
                        key->name, inner->name);
            is_good = false;
        }
    return is_good;
}

bool gw_decode_maps(struct gw_loader *loader, const struct gw_key *key,
                    const struct gw_yaml_node *value, void *field)
{
    bool is_list = value->kind == GW_YAML_LIST, is_good = true;
    size_t n = is_list ? value->n_entries : 1;
    const struct gw_yaml_node *item = is_list ? value->first : value;

    if (!is_list && value->kind != GW_YAML_MAP)
        return must_be(loader, key, value, "a mapping of keys or a list of them");
    if (key->max > 0 && ((double)n < key->min || (double)n > key->max)) {
        gw_diag_add(loader->diags, gw_yaml_mark(value), "\"%s\" has %zu entries (%.0f-%.0f)",
                    key->name, n, key->min, key->max);
        return false;
    }
    char *items = gw_arena_alloc(&loader->memory.texts, n * key->item_size);
    for (size_t i = 0; i < n; i++, item = item->next)
        is_good &= decode_item(loader, key, item, items + i * key->item_size);
    if (is_good)
        *(struct gw_items *)field = (struct gw_items){items, n};
    return is_good;
}
