/* config: loads a configuration: files to one tree, the tree section by section to structs, and the checks of the whole. */
#include "gateway/config_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What gw_config.owner points at. */
struct owner {
    struct gw_arena arena;
};

static void load_defaults(struct gw_loader *loader, struct gw_settings *settings)
{
    gw_decode_defaults(loader, gw_default_keys, settings, false);
    gw_decode_defaults(loader, gw_publish_keys, settings, false);
    gw_decode_defaults(loader, gw_publish_per_keys, settings, false);
    gw_decode_defaults(loader, gw_write_keys, settings, false);
    gw_decode_defaults(loader, gw_write_point_keys, &loader->write_defaults, false);
    loader->point_defaults = (struct gw_point_draft){.decimals = -1, .min = NAN, .max = NAN};
    gw_decode_defaults(loader, gw_point_section.keys, &loader->point_defaults, false);
}

static void load_root(struct gw_loader *loader, const struct gw_yaml_node *root)
{
    struct gw_config *config = loader->config;
    const struct gw_layer layer = {root, GW_LEVEL_ROOT, NULL};
    const struct gw_yaml_node *mqtt, *buses;
    struct gw_mark whole = {.file = loader->file};
    struct gw_settings settings = {0};
    struct gw_walk walk = {.section = &gw_schema_root};

    load_defaults(loader, &settings);
    gw_walk_bind(&walk, gw_default_keys, &settings, 0);
    gw_walk_section(loader, &walk, root);
    gw_load_gateway(loader, gw_walk_child(&walk, "gateway"), whole);
    mqtt = gw_walk_child(&walk, "mqtt");
    if (mqtt)
        gw_load_mqtt(loader, mqtt, &config->mqtt);
    else if (!loader->lacks_files)
        gw_diag_add(loader->diags, whole,
                    "there is no section \"mqtt\" with the servers to publish to");
    const struct gw_yaml_node *state_topic = mqtt ? gw_yaml_get(mqtt, "state_topic") : NULL;
    gw_claim_gateway_topics(loader, state_topic ? gw_yaml_mark(state_topic) : (struct gw_mark){0});
    gw_load_commands(loader, gw_walk_child(&walk, "commands"), &config->commands);
    gw_load_http(loader, gw_walk_child(&walk, "http"), &config->http);
    gw_load_buffer(loader, gw_walk_child(&walk, "buffer"), &config->buffer);
    config->buffer.fingerprint =
        gw_fingerprint_node(GW_FINGERPRINT_START, gw_walk_child(&walk, "buffer"));
    gw_load_publish(loader, &gw_publish_section, gw_walk_child(&walk, "publish"), NULL, &settings);
    gw_load_publish(loader, &gw_write_section, gw_walk_child(&walk, "write"), NULL, &settings);
    buses = gw_walk_child(&walk, "buses");
    if (buses)
        gw_load_buses(loader, buses, &settings, &layer);
    if (!loader->lacks_files && (!buses || (buses->kind == GW_YAML_LIST && buses->n_entries == 0)))
        gw_diag_add(loader->diags, whole, "there are no \"buses\": nothing to read");
    gw_check_command_topics(loader);
    gw_check_deadbands(loader);
}

static void free_scratch(struct gw_loader *loader)
{
    gw_free_templates(loader);
    free(loader->deadbands);
    gw_strmap_free(&loader->topics);
    gw_strmap_free(&loader->changes);
    gw_strmap_free(&loader->bus_names);
    gw_strmap_free(&loader->device_names);
    gw_strmap_free(&loader->point_names);
    gw_strmap_free(&loader->enum_names);
    gw_share_free(&loader->shared);
    gw_share_free(&loader->memory.scalars);
    gw_arena_free(&loader->memory.nodes);
}

void gw_config_own(struct gw_config *config, const struct gw_arena *memory)
{
    struct owner *owner = gw_alloc(1, sizeof *owner);

    owner->arena = *memory;
    config->owner = owner;
}

enum gw_err gw_config_load(const char *file, const struct gw_config_env *env,
                           struct gw_diags *diags, struct gw_config **ret_config)
{
    struct gw_loader loader = {.env = env, .diags = diags};
    size_t before = gw_diags_count(diags);

    loader.file = gw_intern_file_name(file);
    loader.dir = gw_folder_of(&loader, loader.file);
    loader.config = gw_arena_alloc(&loader.memory.texts, sizeof *loader.config);
    loader.config->file = loader.file;
    const struct gw_yaml_node *root = gw_load_files(&loader);
    if (root)
        load_root(&loader, root);
    free_scratch(&loader);
    if (gw_diags_count(diags) != before) {
        gw_arena_free(&loader.memory.texts);
        return GW_E_CONFIG;
    }
    gw_config_own(loader.config, &loader.memory.texts);
    *ret_config = loader.config;
    return GW_OK;
}

void gw_config_free(struct gw_config *config)
{
    if (!config)
        return;
    struct owner *owner = config->owner;
    gw_arena_free(&owner->arena); /* config is in there */
    free(owner);
}
