/* config_publish: how readings are published: settings of all levels become one topic, one payload, one policy. */
#include "gateway/config_internal.h"

#include <string.h>

enum { PAYLOAD_MAX_BYTES = 8192 };

static const char *const run_time_names[] = {"value",   "raw",    "unit", "ts", "time",
                                             "quality", "reason", "seq",  NULL};

void gw_load_publish(struct gw_loader *loader, const struct gw_section *section,
                     const struct gw_yaml_node *map, const struct gw_yaml_node *flat,
                     struct gw_settings *settings)
{
    struct gw_walk walk = {.section = section};

    if (!map)
        return;
    gw_walk_bind(&walk, section->keys, settings, 0);
    for (const struct gw_key *const *more = section->more_keys; more && *more; more++)
        gw_walk_bind(&walk, *more, settings, 0);
    if (!gw_walk_section(loader, &walk, map) || !flat)
        return;
    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next) {
        const struct gw_yaml_node *other = gw_yaml_get(flat, entry->key);

        if (other)
            gw_diag_add(loader->diags, gw_yaml_key_mark(entry),
                        "duplicate key \"%s\"; also at the point itself, %s", entry->key,
                        gw_print_place(loader, other, entry->file));
    }
}

/* The place where a setting was made; `otherwise` for a default. */
static struct gw_mark place_of(const struct gw_layer *layer, const char *key,
                               struct gw_mark otherwise)
{
    const struct gw_yaml_node *value = gw_layer_find(layer, key, GW_LEVEL_ROOT);

    return value ? gw_yaml_mark(value) : otherwise;
}

/* ---- topic ----------------------------------------------------------------------------------------- */

/* The topic of a device's message: what is usual for points, without the point. */
static const char *without_point(struct gw_loader *loader, const char *topic)
{
    static const char suffix[] = "/${point}";
    size_t len = strlen(topic), n = sizeof suffix - 1;

    if (len <= n || strcmp(topic + len - n, suffix) != 0)
        return topic;
    return gw_share_text(&loader->memory.scalars, &loader->memory.texts, topic, len - n);
}

static bool resolve_topic(struct gw_loader *loader, const struct gw_publish_source *source,
                          const char **ret_template, const char **ret_topic)
{
    const char *template = source->settings->topic;
    char buf[GW_TOPIC_MAX_BYTES * 4], why[GW_TOPIC_WHY];

    if (source->is_device)
        template = without_point(loader, template);
    *ret_template = template;
    if (source->is_device && strstr(template, "${point}")) {
        gw_diag_add(loader->diags, place_of(source->layer, "topic", source->mark),
                    "the topic of a device's message (per: device) cannot hold ${point}");
        return false;
    }
    if (template != loader->good_topic && gw_topic_check(template, true, why) != GW_OK) {
        gw_diag_add(loader->diags, place_of(source->layer, "topic", source->mark),
                    "topic \"%.300s\" %s", template, why);
        return false;
    }
    loader->good_topic = template;
    enum gw_err err = gw_text_expand(template, source->variables, NULL, buf, sizeof buf, why);
    if (err != GW_OK) {
        gw_diag_add(loader->diags, place_of(source->layer, "topic", source->mark), "%s%s",
                    err == GW_E_RANGE ? "topic " : "", why);
        return false;
    }
    if (gw_topic_check(buf, false, why) != GW_OK) {
        gw_diag_add(loader->diags, place_of(source->layer, "topic", source->mark),
                    "topic \"%.300s\" %s", buf, why);
        return false;
    }
    *ret_topic = gw_arena_text(&loader->memory.texts, buf, strlen(buf));
    return true;
}

/* ---- payload --------------------------------------------------------------------------------------- */

static bool expand_payload(struct gw_loader *loader, const struct gw_publish_source *source,
                           struct gw_publish *publish)
{
    const char *template = source->settings->payload;
    char buf[PAYLOAD_MAX_BYTES], why[GW_TOPIC_WHY];
    enum gw_err err =
        gw_text_expand(template, source->variables, run_time_names, buf, sizeof buf, why);

    if (err != GW_OK) {
        gw_diag_add(loader->diags, place_of(source->layer, "payload", source->mark), "%s%s",
                    err == GW_E_RANGE ? "payload " : "", why);
        return false;
    }
    publish->payload = GW_PAYLOAD_TEMPLATE;
    publish->payload_template =
        strcmp(buf, template) == 0
            ? template
            : gw_share_text(&loader->memory.scalars, &loader->memory.texts, buf, strlen(buf));
    return true;
}

static bool resolve_payload(struct gw_loader *loader, const struct gw_publish_source *source,
                            struct gw_publish *publish)
{
    const char *payload = source->settings->payload;
    static const char *const formats[] = {"json", "value"};

    if (strcmp(payload, "json") == 0) {
        publish->payload = GW_PAYLOAD_JSON;
        return true;
    }
    if (source->is_device) {
        gw_diag_add(loader->diags, place_of(source->layer, "payload", source->mark),
                    "the payload of a device's message (per: device) must be json");
        return false;
    }
    if (strcmp(payload, "value") == 0) {
        publish->payload = GW_PAYLOAD_VALUE;
        return true;
    }
    if (strstr(payload, "${"))
        return expand_payload(loader, source, publish);
    const char *near = gw_suggest(payload, formats, 2);
    gw_diag_add(
        loader->diags, place_of(source->layer, "payload", source->mark),
        "payload \"%.60s\" is neither json nor value, nor a template with ${value} in it%s%s%s",
        payload, near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return false;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

enum { NOTE_USED = 1, NOTE_LISTED = 2 };

/* One deadband serves many points: whether it is of any use is known only when all have been seen. */
static void note_deadband(struct gw_loader *loader, const struct gw_yaml_node *deadband,
                          bool is_used)
{
    struct gw_yaml_node *node = (struct gw_yaml_node *)(uintptr_t)deadband;

    if (is_used) {
        node->notes |= NOTE_USED;
        return;
    }
    if (node->notes)
        return;
    if (loader->n_deadbands == loader->n_deadbands_room) {
        loader->n_deadbands_room = loader->n_deadbands_room ? loader->n_deadbands_room * 2 : 16;
        loader->deadbands =
            gw_grow(loader->deadbands, loader->n_deadbands_room, sizeof *loader->deadbands);
    }
    node->notes |= NOTE_LISTED;
    loader->deadbands[loader->n_deadbands++] = node;
}

void gw_check_deadbands(struct gw_loader *loader)
{
    for (size_t i = 0; i < loader->n_deadbands; i++)
        if (!(loader->deadbands[i]->notes & NOTE_USED))
            gw_diag_warn(loader->diags, gw_yaml_key_mark(loader->deadbands[i]),
                         "deadband has no effect without \"when: change\"");
}

void gw_check_settings(struct gw_loader *loader, const struct gw_settings *settings,
                       const struct gw_layer *layer)
{
    const struct gw_yaml_node *deadband = NULL, *silence = NULL;

    if (settings->deadband.amount > 0)
        deadband = gw_layer_find(layer, "deadband", GW_LEVEL_ROOT);
    if (deadband)
        note_deadband(loader, deadband, settings->when == GW_WHEN_CHANGE);
    if (settings->max_silence_us && settings->max_silence_us < settings->min_interval_us)
        silence = gw_layer_find(layer, "max_silence", GW_LEVEL_ROOT);
    if (silence)
        gw_diag_add(loader->diags, gw_yaml_mark(silence),
                    "max_silence is shorter than min_interval");
}

/* Over zeroed memory, member by member, so that policies that are alike are so in every byte. */
static void fill_policy(const struct gw_settings *settings, struct gw_publish *publish)
{
    memset(publish, 0, sizeof *publish);
    publish->per = (enum gw_publish_per)settings->per;
    publish->when = (enum gw_publish_when)settings->when;
    publish->time_format = (enum gw_time_format)settings->time_format;
    publish->on_bad = (enum gw_on_bad)settings->on_bad;
    publish->deadband.amount = settings->deadband.amount;
    publish->deadband.is_percent = settings->deadband.is_percent;
    publish->min_interval_us = settings->min_interval_us;
    publish->max_silence_us = settings->max_silence_us;
    publish->qos = (int)settings->qos;
    publish->retain = settings->retain;
    publish->has_seq = settings->seq;
}

bool gw_resolve_publish(struct gw_loader *loader, const struct gw_publish_source *source,
                        const char **ret_topic, struct gw_publish *ret_publish)
{
    fill_policy(source->settings, ret_publish);
    bool is_good = resolve_topic(loader, source, &ret_publish->topic_template, ret_topic);

    is_good &= resolve_payload(loader, source, ret_publish);
    return is_good;
}

void gw_join_publish(const struct gw_settings *settings, const struct gw_publish *device,
                     struct gw_publish *ret_publish)
{
    fill_policy(settings, ret_publish);
    ret_publish->topic_template = device->topic_template;
    ret_publish->payload = device->payload;
    ret_publish->payload_template = device->payload_template;
    ret_publish->per = device->per;
}
