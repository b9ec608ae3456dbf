/* outbox_live: order live-first, and what happens to the lists when the connection comes and goes.
 * While there is a connection, what is put stands in `live` and goes first; the rest is history, paced by drain_rate. With
 * each new connection the newest message of every topic moves to `live`; one that memory let go of was kept aside for this
 * (topic->kept), and its row is passed over when history comes to it. History of a topic whose newer value went out is sent
 * without the retain flag, so that what the broker retains is the newest. */
#include "gateway/outbox_durable.h"

#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 65536, PASSED_MIN = 64 };

struct gw_live_topic {
    struct gw_live_topic *next;
    uint64_t newest_seq, given_seq;
    struct gw_node *kept; /* the newest one when only the disk holds it */
    char topic[];
};

/* ---- topics ---------------------------------------------------------------------------------------- */

/* NULL for fifo, and beyond the number of topics that is kept: those are history like any other. */
static struct gw_live_topic *topic_of(struct gw_durable *self, const struct gw_record *record)
{
    struct gw_live_topic *topic;

    if (!self->conf.is_live_first)
        return NULL;
    topic = gw_strmap_get_n(&self->topics, record->topic, record->topic_len);
    if (topic || self->n_topics == TOPICS_MAX)
        return topic;
    topic = calloc(1, sizeof *topic + record->topic_len + 1);
    if (!topic)
        return NULL;
    memcpy(topic->topic, record->topic, record->topic_len);
    *gw_strmap_at(&self->topics, topic->topic) = topic;
    topic->next = self->first_topic;
    self->first_topic = topic;
    self->n_topics++;
    return topic;
}

void gw_live_free(struct gw_durable *self)
{
    while (self->first_topic) {
        struct gw_live_topic *topic = self->first_topic;

        self->first_topic = topic->next;
        free(topic->kept);
        free(topic);
    }
    gw_strmap_free(&self->topics);
    free(self->passed);
}

void gw_live_note(struct gw_durable *self, const struct gw_record *record)
{
    struct gw_live_topic *topic = topic_of(self, record);

    if (!topic || topic->newest_seq > record->seq)
        return;
    topic->newest_seq = record->seq;
    free(topic->kept); /* is history now, on disk */
    topic->kept = NULL;
}

bool gw_live_keep(struct gw_durable *self, struct gw_node *node)
{
    struct gw_live_topic *topic = topic_of(self, &node->record);

    if (!topic || topic->newest_seq != node->record.seq || topic->kept)
        return false;
    topic->kept = node;
    return true;
}

bool gw_live_may_retain(struct gw_durable *self, const struct gw_record *record)
{
    struct gw_live_topic *topic = topic_of(self, record);

    if (!topic)
        return true;
    if (record->seq < topic->given_seq)
        return false;
    topic->given_seq = record->seq;
    return true;
}

static struct gw_node *read_kept(struct gw_durable *self, uint64_t seq)
{
    struct gw_node *node = NULL;

    if (gw_store_read(self->store, seq, seq, gw_live_take_node, &node) != GW_STORE_OK) {
        free(node);
        return NULL;
    }
    return node;
}

bool gw_live_take_node(void *ctx, uint64_t seq, const struct gw_record *record)
{
    struct gw_node **ret_node = ctx;

    (void)seq;
    *ret_node = record ? gw_node_new(record, NULL, 0) : NULL;
    if (*ret_node)
        (*ret_node)->is_saved = true;
    return false;
}

void gw_live_load(struct gw_durable *self)
{
    for (struct gw_live_topic *topic = self->first_topic; topic; topic = topic->next)
        if (!topic->kept && topic->newest_seq <= self->middle_last_seq)
            topic->kept = read_kept(self, topic->newest_seq);
}

/* ---- rows that are passed over --------------------------------------------------------------------- */

/* Mostly in growing order, so the search from the end is short. */
static void pass_over(struct gw_durable *self, uint64_t seq)
{
    size_t at = self->n_passed;

    if (self->n_passed == self->n_passed_room) {
        const size_t n_room = self->n_passed_room ? 2 * self->n_passed_room : PASSED_MIN;
        uint64_t *passed = realloc(self->passed, n_room * sizeof *passed);

        if (!passed)
            return; /* it comes twice, under one number */
        self->passed = passed;
        self->n_passed_room = n_room;
    }
    while (at > 0 && self->passed[at - 1] > seq)
        at--;
    if (at > 0 && self->passed[at - 1] == seq)
        return;
    memmove(self->passed + at + 1, self->passed + at, (self->n_passed - at) * sizeof seq);
    self->passed[at] = seq;
    self->n_passed++;
}

/* Only what stands out of its order in memory may be met on disk again. */
static void forget_passed(struct gw_durable *self)
{
    size_t n = 0;

    for (size_t i = 0; i < self->n_passed; i++)
        if (self->n_middle > 0 && self->passed[i] > self->gap_seq)
            self->passed[n++] = self->passed[i];
    self->n_passed = n;
    for (const struct gw_node *node = self->front.first; node; node = node->next)
        if (self->n_middle == 0 || node->record.seq > self->gap_seq)
            pass_over(self, node->record.seq);
}

static int compare_seqs(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

    return left < right ? -1 : left > right;
}

bool gw_live_is_passed(const struct gw_durable *self, uint64_t seq)
{
    if (self->n_passed > 0 && bsearch(&seq, self->passed, self->n_passed, sizeof seq, compare_seqs))
        return true;
    for (size_t i = 0; i < self->deletes.n; i++) /* acknowledged, its row not yet deleted */
        if (seq >= self->deletes.items[i].first_seq && seq <= self->deletes.items[i].last_seq)
            return true;
    return false;
}

uint64_t gw_live_count_passed(const struct gw_durable *self, uint64_t first_seq, uint64_t last_seq)
{
    uint64_t n = 0;

    for (size_t i = 0; i < self->n_passed; i++)
        n += self->passed[i] >= first_seq && self->passed[i] <= last_seq;
    return n;
}

/* ---- the connection comes -------------------------------------------------------------------------- */

static void move_newest(struct gw_durable *self, struct gw_node_list *list)
{
    for (struct gw_node *node = list->first, *next; node; node = next) {
        const struct gw_live_topic *topic = topic_of(self, &node->record);

        next = node->next;
        if (!topic || topic->newest_seq != node->record.seq)
            continue;
        gw_list_remove(list, node);
        gw_list_append(&self->live, node);
        pass_over(self, node->record.seq);
    }
}

static void pull_kept(struct gw_durable *self)
{
    for (struct gw_live_topic *topic = self->first_topic; topic; topic = topic->next) {
        struct gw_node *node = topic->kept;

        topic->kept = NULL;
        if (!node)
            continue;
        if (self->n_middle == 0 || node->record.seq <= self->gap_seq) { /* read back, or dropped */
            free(node);
            continue;
        }
        pass_over(self, node->record.seq);
        gw_durable_forget_middle(self, 1, gw_record_bytes(&node->record));
        gw_list_append(&self->live, node);
    }
}

void gw_live_begin(struct gw_durable *self)
{
    if (!self->conf.is_live_first)
        return;
    forget_passed(self);
    self->live_from_seq = self->next_seq;
    self->tokens = 1;
    self->tokens_us = gw_now_us(self->clock);
    pull_kept(self);
    move_newest(self, &self->front);
    move_newest(self, &self->tail);
    gw_durable_wake_consumer(self);
    if (gw_live_is_held_back(self))
        gw_durable_wake_writer(self);
}

bool gw_live_is_held_back(const struct gw_durable *self)
{
    const struct gw_node *node = self->live.first;

    return node && self->is_up && self->conf.durability == GW_DURABLE_ALWAYS && !node->is_saved &&
           !self->is_degraded && node->record.seq < self->live_from_seq;
}

/* ---- the connection goes --------------------------------------------------------------------------- */

static void insert_in_order(struct gw_node_list *list, struct gw_node *node)
{
    struct gw_node *before = list->first;

    while (before && before->record.seq < node->record.seq)
        before = before->next;
    gw_list_insert(list, before, node);
}

/* What was put since the connection came is younger than all else. */
static void make_history(struct gw_durable *self, struct gw_node *node)
{
    if (node->record.seq >= self->live_from_seq)
        gw_list_append(&self->tail, node);
    else
        insert_in_order(&self->front, node);
}

void gw_live_end(struct gw_durable *self)
{
    while (self->given.first)
        make_history(self, gw_list_pop(&self->given));
    while (self->live.first)
        make_history(self, gw_list_pop(&self->live));
}

void gw_live_put(struct gw_durable *self, struct gw_node *node)
{
    gw_live_note(self, &node->record);
    if (!self->conf.is_live_first || !self->is_up) {
        gw_list_append(&self->tail, node);
        return;
    }
    gw_list_append(&self->live, node);
    while (self->live.n_bytes > self->window_bytes / 2) /* the broker does not keep up */
        make_history(self, gw_list_pop(&self->live));
}

/* ---- pace ------------------------------------------------------------------------------------------ */

bool gw_live_may_drain(struct gw_durable *self)
{
    const struct gw_rate *rate = &self->conf.drain_rate;
    const int64_t now_us = gw_now_us(self->clock);

    if (!self->conf.is_live_first || self->is_stopping)
        return true;
    self->tokens += rate->per_s * (double)(now_us - self->tokens_us) / 1e6;
    self->tokens_us = now_us;
    if (self->tokens > rate->burst)
        self->tokens = rate->burst;
    if (self->tokens >= 1) {
        self->tokens -= 1;
        return true;
    }
    /* Not for each single one: a few at a time. */
    const double wanted = rate->per_s / 50 > 1 ? rate->per_s / 50 : 1;
    self->drain_due_us = now_us + (int64_t)((wanted - self->tokens) / rate->per_s * 1e6) + 1;
    gw_durable_wake_writer(self);
    return false;
}
