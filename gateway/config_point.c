/* config_point: one point: a template's keys, the device's own over them, and what its driver says of it. */
#include "gateway/config_internal.h"

#include <math.h>
#include <string.h>

/* What is filled in while the keys of a point are decoded. */
struct point_drafts {
    struct gw_point_draft point;
    struct gw_settings settings;
    struct gw_write_draft write;
    void *driver_conf;
    const struct gw_variable *variables;
};

static void walk_write(struct gw_loader *loader, const struct gw_yaml_node *map,
                       struct point_drafts *drafts)
{
    struct gw_walk walk = {.section = &gw_write_point_section};

    gw_walk_bind(&walk, gw_write_point_keys, &drafts->write, 0);
    gw_walk_bind(&walk, gw_write_keys, &drafts->settings, 0);
    gw_walk_section(loader, &walk, map);
}

static bool walk_layer(struct gw_loader *loader, const struct gw_driver *driver,
                       const struct gw_yaml_node *map, struct point_drafts *drafts)
{
    struct gw_walk walk = {.section = &gw_point_section, .driver = driver};

    gw_walk_bind(&walk, gw_point_section.keys, &drafts->point, 0);
    gw_walk_bind(&walk, driver->point_keys, drafts->driver_conf, 0);
    gw_walk_bind(&walk, gw_point_default_keys, &drafts->settings, 0);
    gw_walk_bind(&walk, gw_publish_keys, &drafts->settings, 0);
    if (!gw_walk_section(loader, &walk, map))
        return false;
    const struct gw_yaml_node *publish = gw_walk_child(&walk, "publish"),
                              *write = gw_walk_child(&walk, "write"),
                              *variables = gw_walk_child(&walk, "variables");
    if (publish)
        gw_load_publish(loader, gw_point_section.children[0].section, publish, map,
                        &drafts->settings);
    if (write)
        walk_write(loader, write, drafts);
    if (variables)
        drafts->variables = gw_decode_variables(loader, variables, drafts->variables);
    return true;
}

/* ---- checks ---------------------------------------------------------------------------------------- */

/* Checks that everything needed is there. False when the driver cannot be asked. */
static bool check_complete(struct gw_loader *loader, const struct gw_device_context *context,
                           const struct gw_layer *layer, const struct gw_yaml_node *own,
                           const char *name, struct gw_mark mark)
{
    size_t before = gw_diags_n_added(loader->diags);

    if (!name) {
        gw_check_required(loader, gw_point_section.keys, layer, GW_LEVEL_POINT, mark, "the point");
        return false;
    }
    if (context->lacks_template)
        return false;
    for (const struct gw_key *key = context->bus->driver->point_keys; key && key->name; key++)
        if ((key->flags & GW_REQUIRED) &&
            !gw_layer_find(layer, key->name,
                           key->flags & GW_INHERIT ? GW_LEVEL_ROOT : GW_LEVEL_POINT))
            gw_diag_add(loader->diags, mark, "point \"%s\" has no \"%s\"", name, key->name);
    if (gw_diags_n_added(loader->diags) == before)
        return true;
    /* A name that the template does not have is the likely reason for a point that lacks the rest. */
    if (!layer->outer->map && context->template && own)
        gw_report_template_point(loader, context->template, gw_yaml_get(own, "name"), false);
    return false;
}

static bool ask_driver(struct gw_loader *loader, const struct gw_device_context *context,
                       const struct gw_layer *layer, const void *driver_conf, struct gw_mark mark,
                       struct gw_point_traits *ret_traits)
{
    const struct gw_bus_context *bus = context->bus;
    struct gw_driver_diag diag = {0};

    if (bus->driver->check_point(bus->bus->driver_conf, context->device->driver_conf, driver_conf,
                                 ret_traits, &diag) == GW_OK)
        return true;
    const struct gw_yaml_node *value =
        diag.key ? gw_layer_find(layer, diag.key, GW_LEVEL_BUS) : NULL;
    gw_diag_add(loader->diags, value ? gw_yaml_mark(value) : mark, "%s", diag.text);
    return false;
}

static void check_access(struct gw_loader *loader, const struct gw_device_context *context,
                         const struct gw_layer *layer, const struct gw_point_conf *point)
{
    const struct gw_yaml_node *value = gw_layer_find(layer, "access", GW_LEVEL_POINT);
    struct gw_mark mark = value ? gw_yaml_mark(value) : point->mark;
    static const char *const words[] = {
        [GW_ACCESS_R] = "r", [GW_ACCESS_RW] = "rw", [GW_ACCESS_W] = "w"};
    bool reads = point->access != GW_ACCESS_W, writes = point->access != GW_ACCESS_R;

    if (writes && !context->bus->driver->write)
        gw_diag_add(loader->diags, mark, "access %s: the driver \"%s\" cannot write",
                    words[point->access], context->bus->driver->name);
    else if (writes && !point->traits.can_write)
        gw_diag_add(loader->diags, mark, "access %s: this point cannot be written",
                    words[point->access]);
    else if (reads && !point->traits.can_read)
        gw_diag_add(loader->diags, mark, "point \"%s\" cannot be read; say access: w", point->name);
}

static void check_deadband(struct gw_loader *loader, const struct gw_settings *settings,
                           const struct gw_layer *layer, const char *name, const char *unit)
{
    const struct gw_deadband_draft *deadband = &settings->deadband;
    const struct gw_yaml_node *value;

    if (deadband->unit[0] == '\0' || (unit && strcmp(unit, deadband->unit) == 0))
        return;
    value = gw_layer_find(layer, "deadband", GW_LEVEL_ROOT);
    if (!value)
        return;
    if (unit)
        gw_diag_add(loader->diags, gw_yaml_mark(value),
                    "deadband is in \"%s\", but point \"%s\" is in \"%s\"", deadband->unit, name,
                    unit);
    else
        gw_diag_add(loader->diags, gw_yaml_mark(value),
                    "deadband is in \"%s\", but point \"%s\" has no unit", deadband->unit, name);
}

/* ---- publishing ------------------------------------------------------------------------------------ */

static const void *share(struct gw_loader *loader, const void *bytes, size_t size)
{
    return gw_share(&loader->shared, &loader->memory.texts, bytes, size);
}

/* A point of a device's message: what the device says holds for topic and payload. */
static void join_device(struct gw_loader *loader, const struct gw_device_context *context,
                        const struct gw_layer *layer, const struct gw_settings *settings,
                        struct gw_point_conf *point)
{
    static const char *const taken[] = {"ts", "quality", "bad"}, *const unused[] = {"topic",
                                                                                    "payload"};
    const struct gw_publish *device = &context->device->publish;

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(point->name, taken[i]) == 0)
            gw_diag_add(loader->diags, point->mark,
                        "point name \"%s\" is taken in the message of a device (per: device); give "
                        "it another",
                        point->name);
    for (size_t i = 0; i < sizeof unused / sizeof unused[0]; i++) {
        const struct gw_yaml_node *value = gw_layer_find(layer, unused[i], GW_LEVEL_POINT);

        if (value)
            gw_diag_warn(
                loader->diags, gw_yaml_key_mark(value),
                "\"%s\" has no effect: the points of device \"%s\" share one message (per: device)",
                unused[i], context->device->name);
    }
    struct gw_publish publish;
    gw_join_publish(settings, device, &publish);
    point->topic = context->device->topic;
    point->publish = share(loader, &publish, sizeof publish);
}

static void publish_alone(struct gw_loader *loader, const struct gw_device_context *context,
                          const struct gw_layer *layer, const struct point_drafts *drafts,
                          struct gw_mark owner, struct gw_point_conf *point)
{
    const struct gw_variable variable = {"point", point->name, drafts->variables};

    const struct gw_publish_source source = {
        .settings = &drafts->settings,
        .variables = &variable,
        .layer = layer,
        .mark = point->mark,
    };
    struct gw_publish publish;
    bool is_good = gw_resolve_publish(loader, &source, &point->topic, &publish);

    point->publish = share(loader, &publish, sizeof publish);
    if (is_good)
        gw_claim_topic(loader, point->topic, owner, context->device->name, point->name);
}

/* ---- all of it ------------------------------------------------------------------------------------- */

/* What can be told of a point without its driver, even when other keys of it are wrong. */
static void publish_point(struct gw_loader *loader, const struct gw_device_context *context,
                          const struct gw_layer *layer, const struct point_drafts *drafts,
                          struct gw_mark owner, struct gw_point_conf *point)
{
    gw_check_map(loader, &drafts->point, layer);
    gw_check_settings(loader, &drafts->settings, layer);
    if (!point->name)
        return;
    if (context->settings.per == GW_PER_DEVICE)
        join_device(loader, context, layer, &drafts->settings, point);
    else
        publish_alone(loader, context, layer, drafts, owner, point);
}

static void resolve_point(struct gw_loader *loader, const struct gw_device_context *context,
                          const struct gw_layer *layer, const struct point_drafts *drafts,
                          struct gw_point_conf *point)
{
    size_t before = gw_diags_n_added(loader->diags);
    struct gw_map map;

    point->driver_conf = share(loader, drafts->driver_conf, context->bus->driver->point_conf_size);
    point->interval_us = drafts->settings.interval_us;
    point->stale_after_us = drafts->settings.stale_after_us;
    point->access = (enum gw_access)drafts->point.access;
    gw_resolve_map(loader, &drafts->point, layer, &point->traits, &map);
    point->map = share(loader, &map, sizeof map);
    check_access(loader, context, layer, point);
    check_deadband(loader, &drafts->settings, layer, point->name, point->map->unit);
    if (gw_diags_n_added(loader->diags) == before)
        gw_resolve_write(loader, context, &drafts->settings, &drafts->write, drafts->variables,
                         layer, point);
}

bool gw_load_point(struct gw_loader *loader, const struct gw_device_context *context,
                   const struct gw_yaml_node *own, const struct gw_yaml_node *of_template,
                   struct gw_point_conf *ret_point)
{
    const struct gw_driver *driver = context->bus->driver;
    const struct gw_layer outer = {of_template, GW_LEVEL_POINT, context->layer};
    const struct gw_layer layer = {own, GW_LEVEL_POINT, &outer};
    struct point_drafts drafts = {.settings = context->settings, .variables = context->variables};
    struct gw_mark mark = gw_yaml_mark(own ? own : of_template);
    size_t before = gw_diags_n_added(loader->diags);

    drafts.point = loader->point_defaults;
    drafts.write = loader->write_defaults;
    drafts.driver_conf = context->point_draft;
    memcpy(drafts.driver_conf, context->point_proto, driver->point_conf_size);
    if ((of_template && !walk_layer(loader, driver, of_template, &drafts)) ||
        (own && !walk_layer(loader, driver, own, &drafts)))
        return false;
    if (loader->is_off || !drafts.point.is_enabled)
        return false;
    *ret_point = (struct gw_point_conf){.name = drafts.point.name, .mark = mark};
    bool is_good = check_complete(loader, context, &layer, own, drafts.point.name, mark) &&
                   gw_diags_n_added(loader->diags) == before;
    publish_point(loader, context, &layer, &drafts, own ? mark : context->device->mark, ret_point);
    if (!is_good ||
        !ask_driver(loader, context, &layer, drafts.driver_conf, mark, &ret_point->traits))
        return false;
    resolve_point(loader, context, &layer, &drafts, ret_point);
    return true;
}
