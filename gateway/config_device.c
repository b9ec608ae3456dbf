/* config_device: one device: its template below it, its points merged by name. */
#include "gateway/config_internal.h"

#include <stdlib.h>
#include <string.h>

enum { POINTS_MAX = 32766 }; /* as driver_bus.h: indexes of a plan are 16 bits wide */

static bool fits_driver(struct gw_loader *loader, const struct gw_template *template,
                        const struct gw_driver *driver, struct gw_mark mark)
{
    char list[200] = "";
    size_t at = 0;

    for (size_t i = 0; i < template->drivers.n_items; i++) {
        const char *name = template->drivers.items[i];

        if (strcmp(name, driver->name) == 0)
            return true;
        if (at + strlen(name) + 3 < sizeof list) {
            memcpy(list + at, i ? ", " : "", i ? 2 : 0);
            at += i ? 2 : 0;
            memcpy(list + at, name, strlen(name) + 1);
            at += strlen(name);
        }
    }
    if (template->drivers.n_items)
        gw_diag_add(loader->diags, mark, "template \"%s\" is for %s, not for %s", template->name,
                    list, driver->name);
    return template->drivers.n_items == 0;
}

static const struct gw_template *find_template(struct gw_loader *loader,
                                               const struct gw_bus_context *bus,
                                               const struct gw_yaml_node *map)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, "template");

    if (!value || !gw_yaml_is_scalar(value) || gw_yaml_is_null(value))
        return NULL;
    if (strchr(value->text, '/') || value->text[0] == '.' || strlen(value->text) > 64) {
        gw_diag_add(loader->diags, gw_yaml_mark(value),
                    "template %s must be a name, not a path; templates stand in devices/",
                    gw_describe(loader, value));
        return NULL;
    }
    const struct gw_template *template = gw_find_template(loader, value->text, gw_yaml_mark(value));
    return template && fits_driver(loader, template, bus->driver, gw_yaml_mark(value)) ? template
                                                                                       : NULL;
}

/* What is filled in while the keys of a device are decoded. */
struct device_drafts {
    struct gw_device_draft device;
    struct
        gw_template_draft template; /* decoded when the template was read; here only to be passed over */
    struct gw_settings settings;
    void *device_conf, *point_proto, *point_draft;
    const struct gw_variable *variables;
    struct gw_variable own_name; /* ${device}; its next are the variables */
    const struct gw_yaml_node *own_points, *template_points;
    size_t n_before; /* mistakes: with none since then the driver can be asked */
};

/* Decodes a template's or a device's keys over what is there. */
static bool walk_layer(struct gw_loader *loader, const struct gw_driver *driver,
                       const struct gw_section *section, const struct gw_yaml_node *map,
                       struct device_drafts *drafts)
{
    bool is_template = section == &gw_schema_template;
    struct gw_walk walk = {.section = section, .driver = driver};

    gw_walk_bind(&walk, section->keys, is_template ? (void *)&drafts->template : &drafts->device,
                 0);
    gw_walk_bind(&walk, gw_default_keys, &drafts->settings, 0);
    gw_walk_bind(&walk, driver->device_keys, drafts->device_conf, 0);
    gw_walk_bind(&walk, driver->point_keys, drafts->point_proto, GW_INHERIT);
    if (!gw_walk_section(loader, &walk, map))
        return false;
    gw_load_publish(loader, &gw_publish_section, gw_walk_child(&walk, "publish"), NULL,
                    &drafts->settings);
    gw_load_publish(loader, &gw_write_section, gw_walk_child(&walk, "write"), NULL,
                    &drafts->settings);
    drafts->variables =
        gw_decode_variables(loader, gw_walk_child(&walk, "variables"), drafts->variables);
    *(is_template ? &drafts->template_points : &drafts->own_points) =
        gw_walk_child(&walk, "points");
    return true;
}

static void check_device(struct gw_loader *loader, const struct gw_bus_context *bus,
                         const struct gw_layer *layer, const struct gw_yaml_node *node,
                         const struct device_drafts *drafts, bool lacks_template)
{
    const char *name = drafts->device.name;
    const char *of =
        name ? gw_arena_print(&loader->memory.nodes, "device \"%s\"", name) : "the device";
    struct gw_driver_diag diag = {0};

    if (loader->is_off)
        return;
    gw_check_required(loader, gw_device_section.keys, layer, GW_LEVEL_DEVICE, gw_yaml_mark(node),
                      of);
    if (lacks_template)
        return;
    gw_check_required(loader, bus->driver->device_keys, layer, GW_LEVEL_DEVICE, gw_yaml_mark(node),
                      of);
    if (gw_diags_n_added(loader->diags) != drafts->n_before || !bus->driver->check_device ||
        bus->driver->check_device(bus->bus->driver_conf, drafts->device_conf, &diag) == GW_OK)
        return;
    const struct gw_yaml_node *value =
        diag.key ? gw_layer_find(layer, diag.key, GW_LEVEL_BUS) : NULL;
    gw_diag_add(loader->diags, value ? gw_yaml_mark(value) : gw_yaml_mark(node), "%s", diag.text);
}

static void resolve_device(const struct device_drafts *drafts, const struct gw_template *template,
                           const struct gw_yaml_node *node, struct gw_device_conf *ret_device)
{
    *ret_device = (struct gw_device_conf){
        .name = drafts->device.name ? drafts->device.name : "device",
        .mark = gw_yaml_mark(node),
        .template_name = template ? template->name : NULL,
        .driver_conf = drafts->device_conf,
        .timeout_us = drafts->settings.timeout_us,
        .offline_after_us = drafts->settings.offline_after_us,
        .retries = (int)drafts->settings.retries,
        .retry_max_us = drafts->settings.retry_max_us,
    };
}

/* Registers the topic of the message of a device. */
static void resolve_device_topic(struct gw_loader *loader, const struct gw_device_context *context)
{
    struct gw_device_conf *device = context->device;

    if (context->settings.per != GW_PER_DEVICE) {
        device->publish.per = GW_PER_POINT;
        return;
    }
    const struct gw_publish_source source = {
        .settings = &context->settings,
        .variables = context->variables,
        .layer = context->layer,
        .mark = device->mark,
        .is_device = true,
    };
    if (gw_resolve_publish(loader, &source, &device->topic, &device->publish))
        gw_claim_topic(loader, device->topic, device->mark, device->name, NULL);
}

/* Makes the device and its points of what was decoded. */
static void load_decoded(struct gw_loader *loader, struct gw_device_context *context,
                         const struct gw_yaml_node *node, struct device_drafts *drafts)
{
    const struct gw_bus_context *bus = context->bus;
    struct gw_device_conf *device = context->device;
    const bool has_name = gw_check_name(loader, node, &loader->device_names, "device");

    check_device(loader, bus, context->layer, node, drafts, context->lacks_template);
    resolve_device(drafts, context->template, node, device);
    drafts->own_name = (struct gw_variable){"device", device->name, drafts->variables};
    context->settings = drafts->settings;
    context->variables = &drafts->own_name;
    if (has_name && gw_yaml_get(node, "name"))
        gw_claim_bus_topics(loader, bus->bus->name, device->name, device->mark);
    if (!loader->is_off)
        resolve_device_topic(loader, context);
    gw_load_points(loader, context, drafts->own_points, drafts->template_points);
    gw_resolve_device_writes(loader, context);
}

bool gw_load_device(struct gw_loader *loader, const struct gw_bus_context *bus,
                    const struct gw_yaml_node *node, struct gw_device_conf *ret_device)
{
    const struct gw_driver *driver = bus->driver;
    struct device_drafts drafts = {.settings = bus->settings,
                                   .variables = bus->variables,
                                   .n_before = gw_diags_n_added(loader->diags)};
    bool was_off = loader->is_off;

    if (node->kind == GW_YAML_WRONG)
        return false;
    loader->is_off = was_off || gw_is_off(node);
    drafts.device_conf = gw_arena_alloc(&loader->memory.texts, driver->device_conf_size);
    memcpy(drafts.device_conf, bus->device_proto, driver->device_conf_size);
    drafts.point_proto = gw_alloc(1, driver->point_conf_size);
    drafts.point_draft = gw_alloc(1, driver->point_conf_size);
    memcpy(drafts.point_proto, bus->point_proto, driver->point_conf_size);
    gw_decode_defaults(loader, gw_device_section.keys, &drafts.device, false);
    const struct gw_template *template = find_template(loader, bus, node);
    if (template)
        walk_layer(loader, driver, &gw_schema_template, template->map, &drafts);
    const struct gw_layer outer = {template ? template->map : NULL, GW_LEVEL_DEVICE, bus->layer};
    const struct gw_layer layer = {node, GW_LEVEL_DEVICE, &outer};
    if (walk_layer(loader, driver, &gw_device_section, node, &drafts)) {
        struct gw_device_context context = {
            .bus = bus,
            .device = ret_device,
            .template = template,
            .lacks_template = !template && gw_yaml_get(node, "template"),
            .point_proto = drafts.point_proto,
            .point_draft = drafts.point_draft,
            .layer = &layer,
        };
        load_decoded(loader, &context, node, &drafts);
    }
    free(drafts.point_proto);
    free(drafts.point_draft);
    bool is_kept = !loader->is_off && ret_device->n_points > 0;
    loader->is_off = was_off;
    return is_kept;
}

/* ---- points of a device ---------------------------------------------------------------------------- */

static size_t count_points(struct gw_loader *loader, const struct gw_yaml_node *list)
{
    if (!list || list->kind == GW_YAML_WRONG)
        return 0;
    if (list->kind == GW_YAML_LIST)
        return list->n_entries;
    gw_diag_add(loader->diags, gw_yaml_key_mark(list),
                "\"points\" must be a list of points, not %s", gw_describe(loader, list));
    return 0;
}

static bool is_list(const struct gw_yaml_node *list)
{
    return !list || list->kind == GW_YAML_LIST;
}

/* Finds the point of the template that a device's point changes. NULL: it is a new one. */
static const struct gw_yaml_node *find_in_template(const struct gw_device_context *context,
                                                   const struct gw_yaml_node *own)
{
    const struct gw_yaml_node *name = gw_yaml_get(own, "name");

    if (!context->template || !name || !gw_yaml_is_scalar(name))
        return NULL;
    return gw_strmap_get(&context->template->points, name->text);
}

static const struct gw_yaml_node *find_change(const struct gw_strmap *changes,
                                              const struct gw_yaml_node *of_template)
{
    const struct gw_yaml_node *name = gw_yaml_get(of_template, "name");

    return name && gw_yaml_is_scalar(name) ? gw_strmap_get(changes, name->text) : NULL;
}

/* The second point of one name in a template was reported when it was read. */
static bool is_first(const struct gw_device_context *context, const struct gw_yaml_node *point)
{
    const struct gw_yaml_node *name = gw_yaml_get(point, "name");

    return !name || !gw_yaml_is_scalar(name) ||
           gw_strmap_get(&context->template->points, name->text) == point;
}

static void load_one(struct gw_loader *loader, const struct gw_device_context *context,
                     const struct gw_yaml_node *own, const struct gw_yaml_node *of_template)
{
    struct gw_device_conf *device = context->device;

    device->n_points +=
        gw_load_point(loader, context, own, of_template, &device->points[device->n_points]);
}

/* Switching off a point that is not there does nothing: its name is mistyped. */
static bool report_off_for_nothing(struct gw_loader *loader,
                                   const struct gw_device_context *context,
                                   const struct gw_yaml_node *point)
{
    const struct gw_yaml_node *name = gw_yaml_get(point, "name");

    if (!context->template || !gw_is_off(point) || point->n_entries > 2)
        return false;
    if (!name || !gw_yaml_is_scalar(name) || gw_yaml_is_null(name))
        return false; /* to be reported like that of any other point */
    if (!loader->is_off)
        gw_report_template_point(loader, context->template, name, true);
    return true;
}

/* Loads a point of the device, unless it changes one of the template: those are loaded already. */
static void load_own(struct gw_loader *loader, const struct gw_device_context *context,
                     const struct gw_yaml_node *point)
{
    if (!find_in_template(context, point) && !report_off_for_nothing(loader, context, point))
        load_one(loader, context, point, NULL);
}

/* Finds the mistakes in the keys of a point that cannot be loaded. */
static void look_at(struct gw_loader *loader, const struct gw_device_context *context,
                    const struct gw_yaml_node *point)
{
    struct gw_point_conf unused;
    bool was_off = loader->is_off;

    loader->is_off = true;
    gw_load_point(loader, context, point, NULL, &unused);
    loader->is_off = was_off;
}

static void report_no_points(struct gw_loader *loader, const struct gw_device_context *context,
                             size_t n)
{
    const struct gw_device_conf *device = context->device;

    if (loader->is_off || context->lacks_template || device->n_points > 0)
        return;
    if (n == 0)
        gw_diag_add(loader->diags, device->mark, "device \"%s\" has no points", device->name);
    else if (!gw_diags_any(loader->diags))
        gw_diag_warn(loader->diags, device->mark,
                     "all points of device \"%s\" are disabled: it is left out", device->name);
}

void gw_load_points(struct gw_loader *loader, struct gw_device_context *context,
                    const struct gw_yaml_node *own, const struct gw_yaml_node *of_template)
{
    size_t n_own = count_points(loader, own), n_template = count_points(loader, of_template);
    struct gw_device_conf *device = context->device;
    struct gw_strmap *changes = &loader->changes;

    gw_strmap_clear(changes);
    gw_strmap_clear(&loader->point_names);
    if (n_own + n_template > POINTS_MAX) {
        gw_diag_add(loader->diags, device->mark, "device \"%s\" has %zu points; at most %d",
                    device->name, n_own + n_template, POINTS_MAX);
        return;
    }
    device->points =
        gw_arena_alloc(&loader->memory.texts, (n_own + n_template) * sizeof *device->points);
    for (const struct gw_yaml_node *point = n_own ? own->first : NULL; point && n_template;
         point = point->next)
        if (find_in_template(context, point)) {
            void **change = gw_strmap_at(changes, gw_yaml_get(point, "name")->text);

            if (!*change) /* a second one of the name is reported below */
                *change = (void *)(uintptr_t)point;
        }
    for (const struct gw_yaml_node *point = n_template ? of_template->first : NULL; point;
         point = point->next)
        if (is_first(context, point))
            load_one(loader, context, find_change(changes, point), point);
    for (const struct gw_yaml_node *point = n_own ? own->first : NULL; point; point = point->next) {
        if (gw_check_name(loader, point, &loader->point_names, "point"))
            load_own(loader, context, point);
        else
            look_at(loader, context, point);
    }
    if (is_list(own) && is_list(of_template))
        report_no_points(loader, context, n_own + n_template);
}
