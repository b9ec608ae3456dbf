/* config_bus: the list of buses, each with its driver's keys. */
#include "gateway/config_internal.h"

#include <stdio.h>
#include <string.h>

enum { DRIVERS_MAX = 64 };

static const struct gw_driver *find_driver(struct gw_loader *loader, const struct gw_yaml_node *map)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, "driver");
    const char *names[DRIVERS_MAX], *near;
    char list[300] = "";
    size_t at = 0;

    if (!value || !gw_yaml_is_scalar(value) || gw_yaml_is_null(value))
        return NULL; /* reported as missing or of the wrong type */
    const struct gw_driver *driver = loader->env->find_driver(loader->env->ctx, value->text);
    if (driver || loader->is_off)
        return driver;
    size_t n = loader->env->driver_names(loader->env->ctx, names, DRIVERS_MAX);
    if (n > DRIVERS_MAX)
        n = DRIVERS_MAX;
    for (size_t i = 0; i < n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", names[i]);
    near = gw_suggest(value->text, names, n);
    gw_diag_add(loader->diags, gw_yaml_mark(value), "unknown driver %s%s%s%s there %s %s",
                gw_describe(loader, value), near ? "; did you mean \"" : ";", near ? near : "",
                near ? "\"?" : "", n == 1 ? "is" : "are", n ? list : "none");
    return NULL;
}

static void bind_driver(struct gw_loader *loader, struct gw_walk *walk,
                        struct gw_bus_context *context)
{
    const struct gw_driver *driver = context->driver;
    struct gw_arena *arena = &loader->memory.texts;

    context->bus->driver = driver;
    context->bus->driver_conf = gw_arena_alloc(arena, driver->bus_conf_size);
    context->device_proto = gw_arena_alloc(arena, driver->device_conf_size);
    context->point_proto = gw_arena_alloc(arena, driver->point_conf_size);
    gw_decode_defaults(loader, driver->bus_keys, context->bus->driver_conf, false);
    gw_decode_defaults(loader, driver->device_keys, context->device_proto, false);
    gw_decode_defaults(loader, driver->point_keys, context->point_proto, false);
    walk->driver = driver;
    gw_walk_bind(walk, driver->bus_keys, context->bus->driver_conf, 0);
    gw_walk_bind(walk, driver->device_keys, context->device_proto, GW_INHERIT);
    gw_walk_bind(walk, driver->point_keys, context->point_proto, GW_INHERIT);
}

static void check_bus(struct gw_loader *loader, const struct gw_bus_context *context,
                      const struct gw_bus_draft *draft, const struct gw_yaml_node *map,
                      size_t before)
{
    const struct gw_driver *driver = context->driver;
    const char *of =
        gw_arena_print(&loader->memory.nodes, "bus \"%s\"", draft->name ? draft->name : "");
    struct gw_driver_diag diag = {0};

    if (loader->is_off)
        return;
    gw_check_required(loader, gw_bus_section.keys, context->layer, GW_LEVEL_BUS, gw_yaml_mark(map),
                      draft->name ? of : "the bus");
    gw_check_required(loader, driver->bus_keys, context->layer, GW_LEVEL_BUS, gw_yaml_mark(map),
                      of);
    if (gw_diags_n_added(loader->diags) == before && driver->check_bus &&
        driver->check_bus(context->bus->driver_conf, &diag) != GW_OK) {
        const struct gw_yaml_node *value =
            diag.key ? gw_layer_find(context->layer, diag.key, GW_LEVEL_BUS) : NULL;

        gw_diag_add(loader->diags, value ? gw_yaml_mark(value) : gw_yaml_mark(map), "%s",
                    diag.text);
    }
}

static void resolve_reopen(struct gw_loader *loader, const struct gw_bus_draft *draft,
                           const struct gw_yaml_node *map, struct gw_bus_conf *bus)
{
    const struct gw_yaml_node *min = gw_yaml_get(map, "reopen_min"),
                              *max = gw_yaml_get(map, "reopen_max");

    bus->reopen_min_us = draft->reopen_min_us ? draft->reopen_min_us : bus->driver->reopen_min_us;
    bus->reopen_max_us = draft->reopen_max_us ? draft->reopen_max_us : bus->driver->reopen_max_us;
    if (bus->reopen_min_us <= bus->reopen_max_us)
        return;
    if (min && max && gw_is_sound(loader, min) && gw_is_sound(loader, max))
        gw_diag_add(loader->diags, gw_yaml_mark(min), "reopen_min is longer than reopen_max");
    else if (min) /* the driver's own other end gives way */
        bus->reopen_max_us = bus->reopen_min_us;
    else
        bus->reopen_min_us = bus->reopen_max_us;
}

static void load_devices(struct gw_loader *loader, const struct gw_bus_context *context,
                         const struct gw_yaml_node *list, const struct gw_yaml_node *map,
                         const char *name)
{
    struct gw_bus_conf *bus = context->bus;

    gw_strmap_clear(&loader->device_names);
    if (!list) {
        if (!loader->is_off)
            gw_diag_add(loader->diags, gw_yaml_mark(map), "bus \"%s\" has no \"devices\"", name);
        return;
    }
    if (list->kind == GW_YAML_WRONG)
        return;
    if (list->kind != GW_YAML_LIST) {
        gw_diag_add(loader->diags, gw_yaml_key_mark(list),
                    "\"devices\" must be a list of devices, not %s", gw_describe(loader, list));
        return;
    }
    if (list->n_entries == 0 && !loader->is_off)
        gw_diag_add(loader->diags, gw_yaml_key_mark(list), "bus \"%s\" has no devices", name);
    const uint64_t around = gw_fingerprint_around(context->layer->outer->map, map);
    bus->fingerprint = gw_fingerprint_number(around, (uint64_t)loader->config->mqtt.max_payload);
    bus->devices = gw_arena_alloc(&loader->memory.texts, list->n_entries * sizeof *bus->devices);
    for (const struct gw_yaml_node *node = list->first; node; node = node->next) {
        struct gw_device_conf *device = &bus->devices[bus->n_devices];

        bus->n_devices += gw_load_device(loader, context, node, device);
        device->fingerprint = gw_fingerprint_device(loader, around, node);
        bus->fingerprint = gw_fingerprint_number(bus->fingerprint, device->fingerprint);
    }
    if (!gw_diags_any(loader->diags))
        gw_warn_of_twins(loader, bus);
}

/* Without its driver nothing can be said of the keys of a bus. */
static void report_no_driver(struct gw_loader *loader, const struct gw_yaml_node *map)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, "driver");

    gw_check_name(loader, map, &loader->bus_names, "bus");
    if (!value && !loader->is_off)
        gw_diag_add(loader->diags, gw_yaml_mark(map), "the bus has no \"driver\"");
    else if (value && value->kind != GW_YAML_WRONG &&
             (!gw_yaml_is_scalar(value) || gw_yaml_is_null(value)))
        gw_diag_add(loader->diags, gw_yaml_mark(value),
                    "\"driver\" must be the name of a driver, not %s", gw_describe(loader, value));
}

/* Loads what a bus of a known driver says. */
static void walk_bus(struct gw_loader *loader, const struct gw_yaml_node *map,
                     struct gw_bus_context *context)
{
    struct gw_bus_draft draft = {0};
    struct gw_walk walk = {.section = &gw_bus_section};
    struct gw_bus_conf *bus = context->bus;
    size_t before = gw_diags_n_added(loader->diags);

    gw_decode_defaults(loader, gw_bus_section.keys, &draft, false);
    gw_walk_bind(&walk, gw_bus_section.keys, &draft, 0);
    gw_walk_bind(&walk, gw_default_keys, &context->settings, 0);
    bind_driver(loader, &walk, context);
    if (!gw_walk_section(loader, &walk, map))
        return;
    const bool has_name = gw_check_name(loader, map, &loader->bus_names, "bus");
    bus->name = draft.name ? draft.name : "bus";
    bus->align = draft.align;
    if (has_name && draft.name)
        gw_claim_bus_topics(loader, bus->name, NULL, gw_yaml_mark(map));
    check_bus(loader, context, &draft, map, before);
    resolve_reopen(loader, &draft, map, bus);
    gw_load_publish(loader, &gw_publish_section, gw_walk_child(&walk, "publish"), NULL,
                    &context->settings);
    gw_load_publish(loader, &gw_write_section, gw_walk_child(&walk, "write"), NULL,
                    &context->settings);
    const struct gw_variable variable = {
        "bus", bus->name,
        gw_decode_variables(loader, gw_walk_child(&walk, "variables"), context->variables)};
    context->variables =
        &variable; /* cppcheck-suppress autoVariables ; until the end of this call */
    load_devices(loader, context, gw_walk_child(&walk, "devices"), map, bus->name);
    context->variables = variable.outer;
}

/* Loads one bus; false when it is left out. */
static bool load_bus(struct gw_loader *loader, const struct gw_yaml_node *map,
                     const struct gw_settings *settings, const struct gw_layer *root,
                     struct gw_bus_conf *ret_bus)
{
    const struct gw_layer layer = {map, GW_LEVEL_BUS, root};
    struct gw_bus_context context = {
        .bus = ret_bus, .settings = *settings, .variables = loader->variables, .layer = &layer};

    *ret_bus = (struct gw_bus_conf){.mark = gw_yaml_mark(map)};
    if (map->kind == GW_YAML_WRONG)
        return false;
    if (map->kind != GW_YAML_MAP) {
        gw_diag_add(loader->diags, gw_yaml_mark(map), "a bus must be a mapping of keys, not %s",
                    gw_describe(loader, map));
        return false;
    }
    loader->is_off = gw_is_off(map);
    context.driver = find_driver(loader, map);
    if (context.driver)
        walk_bus(loader, map, &context);
    else
        report_no_driver(loader, map);
    if (context.driver)
        ret_bus->link_fingerprint = gw_fingerprint_link(root->map, map, context.driver);
    bool is_kept = !loader->is_off && ret_bus->n_devices > 0;
    loader->is_off = false;
    return is_kept;
}

void gw_load_buses(struct gw_loader *loader, const struct gw_yaml_node *list,
                   const struct gw_settings *settings, const struct gw_layer *root)
{
    struct gw_config *config = loader->config;

    config->buses = gw_arena_alloc(&loader->memory.texts, list->n_entries * sizeof *config->buses);
    for (const struct gw_yaml_node *map = list->first; map; map = map->next)
        config->n_buses += load_bus(loader, map, settings, root, &config->buses[config->n_buses]);
}
