#include "gateway/subscriber.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"

struct gw_topics {
    const char **items; /* sorted */
    const char **asked; /* of the last change: those that are new; room for all */
    size_t n, n_asked;
    const char *block[];
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct gw_topics *gw_topics_copy(const char *const *topics, size_t n_topics)
{
    size_t n_bytes = 0;

    for (size_t i = 0; i < n_topics; i++)
        n_bytes += strlen(topics[i]) + 1;
    struct gw_topics *copy = malloc(sizeof *copy + 2 * n_topics * sizeof copy->block[0] + n_bytes);
    if (!copy)
        return NULL;
    *copy =
        (struct gw_topics){.items = copy->block, .asked = copy->block + n_topics, .n = n_topics};
    char *text = (char *)(copy->block + 2 * n_topics);
    for (size_t i = 0; i < n_topics; i++) {
        const size_t size = strlen(topics[i]) + 1;

        copy->items[i] = memcpy(text, topics[i], size);
        text += size;
    }
    if (n_topics > 1)
        qsort(copy->items, n_topics, sizeof copy->items[0], compare);
    return copy;
}

void gw_subscriber_done(struct gw_subscriber *subscriber)
{
    free(subscriber->topics);
    subscriber->topics = NULL;
}

static enum gw_err ask(const struct gw_topics *topics, struct gw_mqtt *mqtt)
{
    return topics->n_asked > 0 ? gw_mqtt_subscribe(mqtt, topics->asked, topics->n_asked) : GW_OK;
}

enum gw_err gw_subscriber_ask(struct gw_subscriber *subscriber, struct gw_mqtt *mqtt)
{
    struct gw_topics *topics = subscriber->topics;

    if (!topics)
        return GW_OK;
    for (size_t i = 0; i < topics->n; i++)
        topics->asked[i] = topics->items[i];
    topics->n_asked = topics->n;
    return ask(topics, mqtt);
}

/* Both are sorted. What is only in `in` is marked as asked there. */
static void mark_those_not_in(struct gw_topics *in, const struct gw_topics *other)
{
    size_t at = 0;

    in->n_asked = 0;
    for (size_t i = 0; i < in->n; i++) {
        int order = -1;

        while (other && at < other->n && (order = strcmp(in->items[i], other->items[at])) > 0)
            at++;
        if (!other || at == other->n || order != 0)
            in->asked[in->n_asked++] = in->items[i];
    }
}

enum gw_err gw_subscriber_change(struct gw_subscriber *subscriber, struct gw_topics *topics,
                                 struct gw_mqtt *mqtt)
{
    struct gw_topics *before = subscriber->topics;
    enum gw_err err = GW_OK;

    mark_those_not_in(topics, before);
    if (before)
        mark_those_not_in(before, topics);
    subscriber->topics = topics;
    if (mqtt)
        err = ask(topics, mqtt);
    if (err == GW_OK && mqtt && before && before->n_asked > 0)
        err = gw_mqtt_unsubscribe(mqtt, before->asked, before->n_asked);
    free(before);
    return err;
}

/* Told at every connection: nobody sees otherwise why commands do not arrive. */
void gw_subscriber_tell(const struct gw_subscriber *subscriber, const struct gw_mqtt_event *event)
{
    const struct gw_topics *topics = subscriber->topics;

    if (event->n_refused > 0 && topics && event->slot < topics->n_asked)
        gw_log(GW_LOG_ERROR, "mqtt",
               "the broker refuses %u subscription%s, %s first (%s): no commands from there",
               event->n_refused, event->n_refused == 1 ? "" : "s", topics->asked[event->slot],
               gw_mqtt_code_text(event->code));
}
