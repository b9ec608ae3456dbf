#include "gateway/state_topics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/strmap.h"

enum {
    KEY_MAX = 160,
    TOPIC_MAX = 1400,
    STATUS_MAX = 400,
    QOS = 1,
    OUTBOX_MAX = 700,
    OUTBOX_EVERY_US = 10000000
};

/* What was said last of a bus ("line") or device ("line/meter"). */
struct entry {
    struct entry *next;
    char key[KEY_MAX];
    char state[12]; /* empty: nothing yet */
    bool is_there;  /* in this round */
};

struct gw_state_topics {
    struct gw_board *board;
    struct gw_outbox *outbox;
    struct gw_strmap by_key;
    struct entry *entries;
    char base[TOPIC_MAX];
    uint64_t n_connects;
    bool has_connects;
    struct gw_outbox_stats outbox_before; /* said last */
    int64_t outbox_us;                    /* when; 0: never */
};

struct gw_state_topics *gw_state_topics_new(struct gw_board *board, struct gw_outbox *outbox)
{
    struct gw_state_topics *topics = calloc(1, sizeof *topics);

    if (!topics)
        return NULL;
    topics->board = board;
    topics->outbox = outbox;
    return topics;
}

static void forget_all(struct gw_state_topics *topics)
{
    while (topics->entries) {
        struct entry *entry = topics->entries;

        topics->entries = entry->next;
        free(entry);
    }
    gw_strmap_free(&topics->by_key);
    topics->by_key = (struct gw_strmap){0};
}

void gw_state_topics_free(struct gw_state_topics *topics)
{
    if (!topics)
        return;
    forget_all(topics);
    free(topics);
}

/* ---- saying ---------------------------------------------------------------------------------------- */

/* False when the outbox has no room: it is tried again with the next look. */
static bool put(struct gw_state_topics *topics, const char *key, const char *what,
                const char *payload)
{
    char topic[TOPIC_MAX];
    const struct gw_message message = {
        .topic = topic,
        .payload = payload,
        .payload_len = strlen(payload),
        .qos = QOS,
        .retain = true,
        .acquired_wall_ms = gw_wall_ms(topics->board->clock),
    };

    if (snprintf(topic, sizeof topic, "%s/%s%s%s", topics->base, key, key[0] ? "/" : "", what) >=
        (int)sizeof topic)
        return true; /* can never be said */
    return topics->outbox->ops->put(topics->outbox, &message) == GW_OK;
}

static struct entry *entry_of(struct gw_state_topics *topics, const char *key)
{
    struct entry *entry = gw_strmap_get(&topics->by_key, key);

    if (entry)
        return entry;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    snprintf(entry->key, sizeof entry->key, "%s", key);
    *gw_strmap_at(&topics->by_key, entry->key) = entry;
    entry->next = topics->entries;
    topics->entries = entry;
    return entry;
}

static void say(struct gw_state_topics *topics, const char *key, const char *state,
                const char *reason, int64_t since_wall_ms)
{
    struct entry *entry = entry_of(topics, key);
    char status[STATUS_MAX];
    /* To whoever reads the topic a suspect device is still there: it has not failed for long enough. */
    const char *word = strcmp(state, "suspect") == 0 ? "online" : state;

    if (!entry)
        return;
    entry->is_there = true;
    if (strcmp(state, "starting") == 0 || strcmp(entry->state, state) == 0)
        return;
    snprintf(status, sizeof status, "{\"state\":\"%s\",\"reason\":%s%s%s,\"since\":%" PRId64 "}",
             state, reason ? "\"" : "", reason ? reason : "null", reason ? "\"" : "",
             since_wall_ms);
    if (put(topics, key, "state", word) && put(topics, key, "status", status))
        snprintf(entry->state, sizeof entry->state, "%s", state);
}

static void say_bus(struct gw_state_topics *topics, struct gw_view *view)
{
    const struct gw_bus_conf *conf = view->conf;
    char key[KEY_MAX];

    pthread_mutex_lock(&view->lock);
    const char *state = gw_board_bus_state(view);
    say(topics, conf->name, state, strcmp(state, "offline") == 0 ? "link_down" : NULL,
        view->since_wall_ms);
    for (size_t i = 0; i < conf->n_devices; i++) {
        snprintf(key, sizeof key, "%s/%s", conf->name, conf->devices[i].name);
        say(topics, key, gw_board_device_state(view, i), view->devices[i].reason,
            view->devices[i].since_wall_ms);
    }
    pthread_mutex_unlock(&view->lock);
}

/* An empty retained message makes the broker forget. Source: MQTT 3.1.1, 3.3.1.3. */
static void clear_gone(struct gw_state_topics *topics)
{
    struct entry **at = &topics->entries, *kept = NULL;
    bool any_gone = false;

    while (*at) {
        struct entry *entry = *at;

        if (entry->is_there || (entry->state[0] && (!put(topics, entry->key, "state", "") ||
                                                    !put(topics, entry->key, "status", "")))) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        free(entry);
        any_gone = true;
    }
    if (!any_gone)
        return;
    gw_strmap_free(&topics->by_key);
    topics->by_key = (struct gw_strmap){0};
    for (kept = topics->entries; kept; kept = kept->next)
        *gw_strmap_at(&topics->by_key, kept->key) = kept;
}

/* ---- looking --------------------------------------------------------------------------------------- */

static void make_base(const char *state_topic, char base[TOPIC_MAX])
{
    snprintf(base, TOPIC_MAX, "%.*s", (int)gw_config_state_base_len(state_topic), state_topic);
}

/* Whether the broker is there; with each new connection everything is said anew, since it may be another broker. */
static bool is_connected(struct gw_state_topics *topics)
{
    struct gw_board *board = topics->board;

    pthread_mutex_lock(&board->lock);
    const struct gw_publisher_stats stats = board->publisher;
    pthread_mutex_unlock(&board->lock);
    if (!stats.is_connected)
        topics->has_connects = false;
    if (!stats.is_connected)
        return false;
    if (!topics->has_connects || stats.n_connects != topics->n_connects)
        for (struct entry *entry = topics->entries; entry; entry = entry->next)
            if (strcmp(entry->state, "") != 0)
                snprintf(entry->state, sizeof entry->state, "?"); /* said once, and again */
    topics->has_connects = true;
    topics->n_connects = stats.n_connects;
    return true;
}

void gw_state_topics_look(struct gw_state_topics *topics, const char *state_topic, bool is_wanted)
{
    char base[TOPIC_MAX];

    if (!topics || !is_connected(topics))
        return;
    for (struct entry *entry = topics->entries; entry; entry = entry->next)
        entry->is_there = false;
    make_base(state_topic, base);
    if (strcmp(base, topics->base) != 0) { /* they move: those that were there go */
        clear_gone(topics);
        forget_all(topics);
        memcpy(topics->base, base, sizeof base);
    }
    /* The main thread alone adds and removes buses: no lock is needed to walk over them. */
    for (size_t i = 0; is_wanted && i < topics->board->n_buses; i++)
        say_bus(topics, topics->board->buses[i].view);
    clear_gone(topics);
}

static double rate(uint64_t now, uint64_t before, int64_t passed_us)
{
    return passed_us > 0 && now >= before ? (double)(now - before) * 1e6 / (double)passed_us : 0;
}

static void print_outbox(const struct gw_state_topics *topics, const struct gw_outbox_stats *now,
                         int64_t passed_us, char *text, size_t size)
{
    const struct gw_outbox_stats *before = &topics->outbox_before;
    const uint64_t *by = now->n_dropped_by;

    snprintf(text, size,
             "{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"on_disk\":%" PRIu64
             ",\"oldest\":%" PRId64 ",\"disk\":\"%s\",\"dropped\":{\"full\":%" PRIu64
             ",\"expired\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"too_large\":%" PRIu64
             ",\"refused\":%" PRIu64 ",\"memory\":%" PRIu64
             "},\"put_rate\":%.1f,\"drain_rate\":%.1f,\"commit_rate\":%.2f,\"write_rate\":%.1f}",
             now->n_messages, now->n_bytes, now->n_on_disk, now->oldest_wall_ms,
             now->is_degraded ? "failed" : "ok", by[GW_DROP_FULL], by[GW_DROP_EXPIRED],
             by[GW_DROP_DAMAGED], by[GW_DROP_TOO_LARGE], by[GW_DROP_REFUSED], by[GW_DROP_NO_MEMORY],
             rate(now->n_put, before->n_put, passed_us),
             rate(now->n_acked, before->n_acked, passed_us),
             rate(now->n_commits, before->n_commits, passed_us),
             rate(now->n_rows_written, before->n_rows_written, passed_us));
}

void gw_state_topics_outbox(struct gw_state_topics *topics, const struct gw_outbox_stats *stats)
{
    char text[OUTBOX_MAX];

    if (!topics || !topics->has_connects || !topics->base[0])
        return;
    const int64_t now_us = gw_now_us(topics->board->clock);
    const int64_t passed_us = now_us - topics->outbox_us;
    const bool is_new = stats->is_degraded != topics->outbox_before.is_degraded;
    if (topics->outbox_us > 0 && passed_us < OUTBOX_EVERY_US && !is_new)
        return;
    print_outbox(topics, stats, topics->outbox_us > 0 ? passed_us : 0, text, sizeof text);
    if (!put(topics, "", "outbox", text))
        return;
    topics->outbox_before = *stats;
    topics->outbox_us = now_us;
}

void gw_state_topics_reloaded(struct gw_state_topics *topics, const char *state_topic,
                              const char *json)
{
    if (!topics)
        return;
    topics->has_connects = false; /* there may be another broker now */
    if (!topics->base[0])
        make_base(state_topic, topics->base);
    (void)put(topics, "", "reload", json); /* the log has it too */
}
