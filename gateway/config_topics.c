/* config_topics: who publishes where; no two to one topic. */
#include "gateway/config_internal.h"

#include <string.h>

enum topic_use { OF_READINGS, OF_COMMANDS, OF_RESULTS };

struct topic_owner {
    struct gw_mark mark;
    const char *device, *point; /* both NULL: the gateway's state; point NULL: a device's message */
    enum topic_use use;
};

static const char *describe(struct gw_loader *loader, const struct topic_owner *owner)
{
    const char *of = owner->use == OF_COMMANDS ? "commands to" : "results of";

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
    claim(loader, topic, &(struct topic_owner){mark, device, point, OF_READINGS});
}

void gw_claim_command_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                            const char *device, const char *point)
{
    claim(loader, topic, &(struct topic_owner){mark, device, point, OF_COMMANDS});
}

void gw_claim_result_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                           const char *device, const char *point)
{
    claim(loader, topic, &(struct topic_owner){mark, device, point, OF_RESULTS});
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
