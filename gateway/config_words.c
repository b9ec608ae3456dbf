/* config_words: words of the command line as a map of keys, decoded by the same tables as a file. */
#include "gateway/config_words.h"

#include <string.h>

#include "gateway/config_internal.h"

static const char *address_key(const struct gw_driver *driver)
{
    for (const struct gw_key *key = driver->bus_keys; key->name; key++)
        if (key->flags & GW_ADDRESS)
            return key->name;
    return "";
}

/* Is it KEY=VALUE? A path may hold a = as well, but what is before it is no word then. */
static size_t key_length(const char *word)
{
    size_t len = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return word[len] == '=' ? len : 0;
}

static struct gw_yaml_node *node_of(struct gw_loader *loader, const char *word)
{
    struct gw_yaml_node *node = gw_arena_alloc(&loader->memory.nodes, sizeof *node);
    size_t len = key_length(word);

    node->kind = GW_YAML_PLAIN;
    node->key = len > 0 ? gw_arena_print(&loader->memory.nodes, "%.*s", (int)len, word)
                        : address_key(loader->config->buses->driver);
    node->text = gw_arena_print(&loader->memory.texts, "%s", len > 0 ? word + len + 1 : word);
    return node;
}

/* The words as the map of a section; a key twice is a mistake. */
static struct gw_yaml_node *map_of(struct gw_loader *loader, const char *const *words,
                                   size_t n_words)
{
    struct gw_yaml_node *map = gw_arena_alloc(&loader->memory.nodes, sizeof *map);
    struct gw_yaml_node **end = &map->first;

    map->kind = GW_YAML_MAP;
    for (size_t i = 0; i < n_words; i++) {
        struct gw_yaml_node *node = node_of(loader, words[i]);

        if (gw_yaml_get(map, node->key)) {
            gw_diag_add(loader->diags, (struct gw_mark){0}, "\"%s\" is given twice", node->key);
            continue;
        }
        *end = node;
        end = &node->next;
        map->n_entries++;
    }
    return map;
}

static void load(struct gw_loader *loader, const struct gw_yaml_node *map)
{
    static const struct gw_section section = {.name = "command line"};
    struct gw_bus_conf *bus = loader->config->buses;
    const struct gw_layer layer = {map, GW_LEVEL_BUS, NULL};
    size_t before = gw_diags_n_added(loader->diags);
    struct gw_walk walk = {.section = &section, .driver = bus->driver};
    struct gw_driver_diag diag = {0};

    bus->driver_conf = gw_arena_alloc(&loader->memory.texts, bus->driver->bus_conf_size);
    gw_decode_defaults(loader, bus->driver->bus_keys, bus->driver_conf, false);
    gw_walk_bind(&walk, bus->driver->bus_keys, bus->driver_conf, 0);
    gw_walk_section(loader, &walk, map);
    gw_check_required(loader, bus->driver->bus_keys, &layer, GW_LEVEL_BUS, (struct gw_mark){0},
                      "the command line");
    if (gw_diags_n_added(loader->diags) == before && bus->driver->check_bus &&
        bus->driver->check_bus(bus->driver_conf, &diag) != GW_OK)
        gw_diag_add(loader->diags, (struct gw_mark){0}, "%s", diag.text);
}

enum gw_err gw_config_of_words(const struct gw_driver *driver, const char *const *words,
                               size_t n_words, struct gw_diags *diags,
                               struct gw_config **ret_config)
{
    struct gw_loader loader = {.diags = diags};
    size_t before = gw_diags_count(diags);

    loader.config = gw_arena_alloc(&loader.memory.texts, sizeof *loader.config);
    loader.config->buses = gw_arena_alloc(&loader.memory.texts, sizeof *loader.config->buses);
    loader.config->n_buses = 1;
    *loader.config->buses = (struct gw_bus_conf){.name = driver->name, .driver = driver};
    load(&loader, map_of(&loader, words, n_words));
    gw_arena_free(&loader.memory.nodes);
    if (gw_diags_count(diags) != before) {
        gw_arena_free(&loader.memory.texts);
        return GW_E_CONFIG;
    }
    gw_config_own(loader.config, &loader.memory.texts);
    *ret_config = loader.config;
    return GW_OK;
}
