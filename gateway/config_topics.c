/* config_topics: who publishes where; no two to one topic. */
#include "gateway/config_internal.h"

#include <string.h>

enum topic_use { OF_READINGS, OF_COMMANDS, OF_RESULTS };

struct topic_owner {
    struct gw_mark mark;
    const char *device, *point; /* both NULL: the gateway's state; point NULL: a device's message */
    enum topic_use use;
    const char *what; /* of who is none of these */
};

static const char *describe(struct gw_loader *loader, const struct topic_owner *owner)
{
    const char *of = owner->use == OF_COMMANDS ? "commands to" : "results of";

    if (owner->what)
        return owner->what;
    if (owner->use != OF_READINGS && owner->point)
        return gw_arena_print(&loader->memory.nodes, "%s point \"%s\" of device \"%s\"", of,
                              owner->point, owner->device);
    if (owner->use != OF_READINGS && owner->device)
        return gw_arena_print(&loader->memory.nodes, "%s device \"%s\"", of, owner->device);
    if (owner->use != OF_READINGS)
        return "arming";
    if (owner->point)
        return gw_arena_print(&loader->memory.nodes, "point \"%s\" of device \"%s\"", owner->point,
                              owner->device);
    if (owner->device)
        return gw_arena_print(&loader->memory.nodes, "the message of device \"%s\"", owner->device);
    return "the state of the gateway";
}

/* Gives `, at line 12`. */
static const char *place(struct gw_loader *loader, struct gw_mark mark, const char *seen_from)
{
    const struct gw_yaml_node node = {.file = mark.file, .line = mark.line};

    return mark.file ? gw_print_place(loader, &node, seen_from) : "by default";
}

static void claim(struct gw_loader *loader, const char *topic, const struct topic_owner *self)
{
    void **slot = gw_strmap_at(&loader->topics, topic);
    const struct topic_owner *first = *slot;

    if (!first) {
        struct topic_owner *owner = gw_arena_alloc(&loader->memory.nodes, sizeof *owner);

        *owner = *self;
        *slot = owner;
        return;
    }
    if (first->use == OF_RESULTS && self->use == OF_RESULTS)
        return;
    gw_diag_add(loader->diags, self->mark, "topic \"%s\" of %s is also that of %s (%s)", topic,
                describe(loader, self), describe(loader, first),
                place(loader, first->mark, self->mark.file ? self->mark.file : ""));
}

void gw_claim_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                    const char *device, const char *point)
{
    claim(loader, topic, &(struct topic_owner){mark, device, point, OF_READINGS, NULL});
}

void gw_claim_command_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                            const char *device, const char *point)
{
    claim(loader, topic, &(struct topic_owner){mark, device, point, OF_COMMANDS, NULL});
}

void gw_claim_result_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                           const char *device, const char *point)
{
    claim(loader, topic, &(struct topic_owner){mark, device, point, OF_RESULTS, NULL});
}

size_t gw_config_state_base_len(const char *state_topic)
{
    static const char ending[] = "/state";
    size_t len = strlen(state_topic), cut = strlen(ending);

    return len > cut && strcmp(state_topic + len - cut, ending) == 0 ? len - cut : len;
}

static void claim_beside_state(struct gw_loader *loader, const char *key, const char *ending,
                               struct gw_mark mark, const char *what)
{
    const char *state = loader->config->mqtt.state_topic;
    const char *topic = gw_arena_print(&loader->memory.nodes, "%.*s/%s%s",
                                       (int)gw_config_state_base_len(state), state, key, ending);

    claim(loader, topic, &(struct topic_owner){.mark = mark, .use = OF_READINGS, .what = what});
}

void gw_claim_gateway_topics(struct gw_loader *loader, struct gw_mark mark)
{
    if (!loader->config->mqtt.state_topic)
        return;
    gw_claim_topic(loader, loader->config->mqtt.state_topic, mark, NULL, NULL);
    claim_beside_state(loader, "outbox", "", mark, "the state of the outbox");
    claim_beside_state(loader, "reload", "", mark, "the result of a reload");
}

void gw_claim_bus_topics(struct gw_loader *loader, const char *bus, const char *device,
                         struct gw_mark mark)
{
    const struct gw_mqtt_conf *mqtt = &loader->config->mqtt;
    const char *key = device ? gw_arena_print(&loader->memory.nodes, "%s/%s", bus, device) : bus;
    const char *what = gw_arena_print(&loader->memory.nodes, "the state of %s \"%s\"",
                                      device ? "device" : "bus", device ? device : bus);

    if (!mqtt->state_topic || !mqtt->device_states || loader->is_off)
        return;
    claim_beside_state(loader, key, "/state", mark, what);
    claim_beside_state(loader, key, "/status", mark, what);
}

/* Reports a topic that is the one where commands for a point arrive, or where their results go. */
static void check_command_topic(struct gw_loader *loader, const char *topic,
                                const struct topic_owner *owner)
{
    static const char *const suffixes[] = {"/set", "/result"};

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        size_t len = strlen(topic), n = strlen(suffixes[i]);

        if (len <= n || strcmp(topic + len - n, suffixes[i]) != 0)
            continue;
        const struct topic_owner *other = gw_strmap_get_n(&loader->topics, topic, len - n);
        if (other && other->point)
            gw_diag_add(loader->diags, owner->mark,
                        "topic \"%s\" of %s is kept for commands to %s (%s)", topic,
                        describe(loader, owner), describe(loader, other),
                        place(loader, other->mark, owner->mark.file ? owner->mark.file : ""));
    }
}

void gw_check_command_topics(struct gw_loader *loader)
{
    if (loader->config->commands.is_enabled) /* each was claimed by its point */
        return;
    for (size_t i = 0; i < loader->topics.n_slots; i++)
        if (loader->topics.slots[i].key)
            check_command_topic(loader, loader->topics.slots[i].key, loader->topics.slots[i].value);
}
