/* config_write: who may command (commands:), and how points are written (write:), with the topics for it. */
#include "gateway/config_internal.h"

#include <math.h>
#include <string.h>

#include "gateway/mapping.h"
#include "gateway/number.h"

/* ---- commands -------------------------------------------------------------------------------------- */

static struct gw_mark mark_of(const struct gw_yaml_node *map, const char *key)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, key);

    return value ? gw_yaml_mark(value) : map ? gw_yaml_key_mark(map) : (struct gw_mark){0};
}

static void check_topics(struct gw_loader *loader, const struct gw_yaml_node *map,
                         const struct gw_commands_conf *commands)
{
    char why[GW_TOPIC_WHY];

    if (commands->arm_topic && gw_topic_check(commands->arm_topic, false, why) != GW_OK)
        gw_diag_add(loader->diags, mark_of(map, "arm_topic"), "arm_topic \"%.300s\" %s",
                    commands->arm_topic, why);
    else if (commands->arm_topic && commands->is_enabled)
        gw_claim_command_topic(loader, commands->arm_topic, mark_of(map, "arm_topic"), NULL, NULL);
    const char *response = gw_arena_print(&loader->memory.nodes, "%sx", commands->response_prefix);
    if (gw_topic_check(response, false, why) != GW_OK)
        gw_diag_add(loader->diags, mark_of(map, "response_prefix"), "response_prefix \"%.300s\" %s",
                    commands->response_prefix, why);
}

static void resolve_path(struct gw_loader *loader, const struct gw_yaml_node *map, const char *key,
                         const char **path)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, key);

    if (value && *path)
        *path = gw_path_beside(loader, gw_folder_of(loader, value->file), *path);
}

void gw_load_commands(struct gw_loader *loader, const struct gw_yaml_node *map,
                      struct gw_commands_conf *ret_commands)
{
    struct gw_commands_conf commands = {0};
    struct gw_walk walk = {.section = &gw_commands_section, .expands = true};

    gw_decode_defaults(loader, gw_commands_section.keys, &commands, true);
    gw_walk_bind(&walk, gw_commands_section.keys, &commands, 0);
    if (map && !gw_walk_section(loader, &walk, map))
        return;
    check_topics(loader, map, &commands);
    resolve_path(loader, map, "lock_file", &commands.lock_file);
    resolve_path(loader, map, "ids_file", &commands.ids_file);
    resolve_path(loader, map, "audit_file", &commands.audit_file);
    *ret_commands = commands;
}

/* ---- values ---------------------------------------------------------------------------------------- */

/* Reads a value as a command would bring it. */
static struct gw_value parse_value(const struct gw_yaml_node *node)
{
    struct gw_value value = {.kind = GW_TEXT, .text = {node->text, strlen(node->text)}};
    struct gw_decimal decimal;
    uint64_t whole;

    if (node->kind == GW_YAML_QUOTED)
        return value;
    if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)
        return (struct gw_value){.kind = GW_BOOL, .b = node->text[0] == 't'};
    if (gw_decimal_parse(node->text, &decimal) == GW_OK)
        return (struct gw_value){.kind = GW_DECIMAL, .dec = decimal};
    if (gw_number_kind(node->text) == GW_WHOLE && gw_parse_uint(node->text, &whole))
        return (struct gw_value){.kind = GW_UINT, .u = whole};
    return value;
}

/* A value that could never be written is a mistake. */
static bool take_value(struct gw_loader *loader, const char *key, const struct gw_yaml_node *node,
                       const struct gw_point_conf *point, struct gw_value *ret_value)
{
    struct gw_value raw;

    if (node->kind == GW_YAML_WRONG)
        return false;
    if (!gw_yaml_is_scalar(node) || gw_yaml_is_null(node)) {
        gw_diag_add(loader->diags, gw_yaml_mark(node), "\"%s\" must be a value, not %s", key,
                    gw_describe(loader, node));
        return false;
    }
    *ret_value = parse_value(node);
    if (point->traits.is_scaled ||
        gw_map_unscale(point->map, &point->traits, ret_value, &raw) == GW_OK)
        return true;
    gw_diag_add(loader->diags, gw_yaml_mark(node),
                "%s value %s cannot be written to point \"%s\": it does not fit its type, limits, "
                "step or names",
                key, gw_describe(loader, node), point->name);
    return false;
}

static void take_allowed(struct gw_loader *loader, const struct gw_yaml_node *list,
                         const struct gw_point_conf *point, struct gw_write_conf *write)
{
    bool is_list = list->kind == GW_YAML_LIST;
    size_t n = 0, n_items = is_list ? list->n_entries : 1;
    struct gw_value *values = gw_arena_alloc(&loader->memory.texts, n_items * sizeof *values);

    for (const struct gw_yaml_node *item = is_list ? list->first : list; item;
         item = is_list ? item->next : NULL)
        n += take_value(loader, "allowed", item, point, &values[n]);
    write->allowed = values;
    write->n_allowed = n;
}

/* ---- topics ---------------------------------------------------------------------------------------- */

static const char *expand_topic(struct gw_loader *loader, const char *template, const char *topic,
                                const struct gw_variable *variables, const char *key,
                                const struct gw_layer *layer, struct gw_mark otherwise)
{
    const struct gw_variable own = {"topic", topic, variables};
    const struct gw_yaml_node *value = gw_layer_find(layer, key, GW_LEVEL_ROOT);
    struct gw_mark mark = value ? gw_yaml_mark(value) : otherwise;
    char buf[GW_TOPIC_MAX_BYTES * 4], why[GW_TOPIC_WHY];
    enum gw_err err = gw_text_expand(template, &own, NULL, buf, sizeof buf, why);

    if (err != GW_OK)
        gw_diag_add(loader->diags, mark, "%s%s%s", err == GW_E_RANGE ? key : "",
                    err == GW_E_RANGE ? " " : "", why);
    else if (gw_topic_check(buf, false, why) != GW_OK)
        gw_diag_add(loader->diags, mark, "%s \"%.300s\" %s", key, buf, why);
    else
        return gw_arena_text(&loader->memory.texts, buf, strlen(buf));
    return NULL;
}

/* Sets both topics of a point or, without one, of a device. */
static void take_topics(struct gw_loader *loader, const struct gw_write_settings *settings,
                        const char *topic, const struct gw_variable *variables,
                        const struct gw_layer *layer, const struct gw_device_conf *device,
                        const char *point, struct gw_mark mark, const char **ret_set,
                        const char **ret_result)
{
    *ret_set =
        expand_topic(loader, settings->set_topic, topic, variables, "set_topic", layer, mark);
    *ret_result =
        expand_topic(loader, settings->result_topic, topic, variables, "result_topic", layer, mark);
    if (*ret_set)
        gw_claim_command_topic(loader, *ret_set, mark, device->name, point);
    if (*ret_result)
        gw_claim_result_topic(loader, *ret_result, mark, device->name, point);
}

/* ---- points ---------------------------------------------------------------------------------------- */

static void check_useless(struct gw_loader *loader, const struct gw_layer *layer,
                          const struct gw_point_conf *point)
{
    const struct gw_yaml_node *write = gw_yaml_get(layer->map, "write");

    if (write && point->access == GW_ACCESS_R)
        gw_diag_warn(loader->diags, gw_yaml_key_mark(write),
                     "\"write\" has no effect: point \"%s\" is read only (access: r)", point->name);
}

static void check_safe_values(struct gw_loader *loader, const struct gw_layer *layer,
                              const struct gw_write_draft *draft)
{
    const struct gw_yaml_node *value = draft->on_disconnect ? draft->on_disconnect : draft->on_stop;

    (void)layer;
    if (value && !loader->config->commands.is_enabled)
        gw_diag_warn(loader->diags, gw_yaml_key_mark(value),
                     "\"%s\" has no effect: commands are not enabled", value->key);
}

static void take_values(struct gw_loader *loader, const struct gw_write_draft *draft,
                        const struct gw_layer *layer, const struct gw_point_conf *point,
                        struct gw_write_conf *write)
{
    bool is_number =
        point->traits.kind != GW_TEXT && point->traits.kind != GW_BOOL && point->map->n_enums == 0;
    const struct gw_yaml_node *change = gw_layer_find(layer, "max_change", GW_LEVEL_POINT);

    if (draft->allowed)
        take_allowed(loader, draft->allowed, point, write);
    if (draft->on_disconnect)
        take_value(loader, "on_disconnect", draft->on_disconnect, point, &write->on_disconnect);
    if (draft->on_stop)
        take_value(loader, "on_stop", draft->on_stop, point, &write->on_stop);
    if (change && draft->max_change > 0 && !is_number)
        gw_diag_add(loader->diags, gw_yaml_key_mark(change),
                    "\"max_change\" is for numbers, not for texts, bits and names");
    else if (change && draft->max_change > 0 && point->access == GW_ACCESS_W)
        gw_diag_add(loader->diags, gw_yaml_key_mark(change),
                    "\"max_change\" needs the present value, and point \"%s\" is never read",
                    point->name);
}

void gw_resolve_write(struct gw_loader *loader, const struct gw_device_context *context,
                      const struct gw_settings *settings, const struct gw_write_draft *draft,
                      const struct gw_variable *variables, const struct gw_layer *layer,
                      struct gw_point_conf *point)
{
    struct gw_write_conf *write;

    check_useless(loader, layer, point);
    if (point->access == GW_ACCESS_R)
        return;
    write = gw_arena_alloc(&loader->memory.texts, sizeof *write);
    *write = (struct gw_write_conf){
        .verify = settings->write.verify && (point->access == GW_ACCESS_RW || draft->read_back),
        .settle_us = settings->write.settle_us,
        .tolerance = settings->write.tolerance,
        .is_idempotent = settings->write.idempotent,
        .rate = settings->write.rate,
        .max_change = draft->max_change,
        .read_back_name = draft->read_back,
        .is_secret = draft->is_secret,
        .on_disconnect_after_us = draft->on_disconnect_after_us,
    };
    take_values(loader, draft, layer, point, write);
    check_safe_values(loader, layer, draft);
    point->write = write;
    if (!loader->config->commands.is_enabled || !point->topic)
        return;
    const struct gw_variable own = {"point", point->name, variables};
    const char *topic =
        point->publish->per == GW_PER_DEVICE
            ? gw_arena_print(&loader->memory.nodes, "%s/%s", point->topic, point->name)
            : point->topic;
    take_topics(loader, &settings->write, topic, &own, layer, context->device, point->name,
                point->mark, &write->set_topic, &write->result_topic);
}

/* ---- devices --------------------------------------------------------------------------------------- */

static void find_read_back(struct gw_loader *loader, const struct gw_device_conf *device,
                           size_t index)
{
    const struct gw_point_conf *point = &device->points[index];
    struct gw_write_conf *write = (struct gw_write_conf *)(uintptr_t)point->write;

    write->read_back = (uint16_t)index;
    if (!write->read_back_name)
        return;
    for (size_t i = 0; i < device->n_points; i++) {
        const struct gw_point_conf *other = &device->points[i];

        if (strcmp(other->name, write->read_back_name) != 0)
            continue;
        write->read_back = (uint16_t)i;
        if (other->access == GW_ACCESS_W)
            gw_diag_add(loader->diags, point->mark,
                        "read_back of point \"%s\": point \"%s\" is never read", point->name,
                        other->name);
        return;
    }
    gw_diag_add(loader->diags, point->mark,
                "read_back of point \"%s\": device \"%s\" has no point \"%s\"", point->name,
                device->name, write->read_back_name);
}

/* The topic under which the points of a device are; NULL when there is none. */
static const char *device_topic(struct gw_loader *loader, const struct gw_device_context *context)
{
    static const char suffix[] = "/${point}";
    const char *template = context->settings.topic;
    size_t len = strlen(template), n = sizeof suffix - 1;
    char buf[GW_TOPIC_MAX_BYTES * 4], why[GW_TOPIC_WHY];

    if (context->device->publish.per == GW_PER_DEVICE)
        return context->device->topic;
    if (len <= n || strcmp(template + len - n, suffix) != 0)
        return NULL;
    template = gw_arena_text(&loader->memory.nodes, template, len - n);
    if (gw_text_expand(template, context->variables, NULL, buf, sizeof buf, why) != GW_OK)
        return NULL;
    return gw_arena_text(&loader->memory.nodes, buf, strlen(buf));
}

void gw_resolve_device_writes(struct gw_loader *loader, const struct gw_device_context *context)
{
    struct gw_device_conf *device = context->device;
    const struct gw_write_settings *settings = &context->settings.write;
    bool is_any = false;

    for (size_t i = 0; i < device->n_points; i++)
        if (device->points[i].write) {
            find_read_back(loader, device, i);
            is_any = true;
        }
    if (!is_any || !loader->config->commands.is_enabled ||
        strstr(settings->set_topic, "${point}") || strstr(settings->result_topic, "${point}"))
        return;
    const char *topic = device_topic(loader, context);
    if (topic)
        take_topics(loader, settings, topic, context->variables, context->layer, device, NULL,
                    device->mark, &device->set_topic, &device->result_topic);
}
