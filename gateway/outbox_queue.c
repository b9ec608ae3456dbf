/* outbox_queue: what producers and the publisher call, and the lists in memory. Nothing here touches the disk. */
#include "gateway/outbox_durable.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OLD_MS = 5000, /* unacknowledged for longer: as good as no connection */
};

static struct gw_durable *self_of(struct gw_outbox *outbox)
{
    return (struct gw_durable *)(void *)outbox; /* base is the first member */
}

/* ---- lists ----------------------------------------------------------------------------------------- */

int64_t gw_durable_age_ms(const struct gw_durable *self)
{
    return self->age_base_ms + (gw_now_us(self->clock) / 1000 - self->age_mono_ms);
}

void gw_durable_wake_writer(struct gw_durable *self)
{
    self->is_woken = true;
    pthread_cond_signal(&self->work);
}

void gw_durable_wake_consumer(struct gw_durable *self)
{
    if (!self->is_dry)
        return;
    self->is_dry = false;
    (void)!write(self->base.event_fd, &(uint64_t){1}, sizeof(uint64_t));
}

void gw_durable_add_unsaved(struct gw_durable *self, struct gw_node *before, struct gw_node *node)
{
    node->next_unsaved = before;
    node->prev_unsaved = before ? before->prev_unsaved : self->last_unsaved;
    *(node->prev_unsaved ? &node->prev_unsaved->next_unsaved : &self->first_unsaved) = node;
    *(before ? &before->prev_unsaved : &self->last_unsaved) = node;
    node->is_unsaved = true;
    self->n_unsaved++;
    self->unsaved_bytes += gw_record_bytes(&node->record);
}

void gw_durable_remove_unsaved(struct gw_durable *self, struct gw_node *node)
{
    struct gw_node *prev = node->prev_unsaved, *next = node->next_unsaved;

    *(prev ? &prev->next_unsaved : &self->first_unsaved) = next;
    *(next ? &next->prev_unsaved : &self->last_unsaved) = prev;
    node->prev_unsaved = node->next_unsaved = NULL;
    node->is_unsaved = false;
    self->n_unsaved--;
    self->unsaved_bytes -= gw_record_bytes(&node->record);
}

void gw_durable_release(struct gw_durable *self, struct gw_node *node)
{
    if (node->is_unsaved)
        gw_durable_remove_unsaved(self, node);
    node->is_dead = true;
    if (node->is_busy)
        return;
    if (node->is_saved) {
        gw_runs_add(&self->deletes, node->record.seq, node->record.seq);
        if (self->delete_since_us == 0)
            self->delete_since_us = gw_now_us(self->clock);
        node->is_saved = false;
    }
    if (node != self->lent)
        free(node);
}

void gw_durable_count_drop(struct gw_durable *self, enum gw_drop reason, uint64_t n)
{
    self->stats.n_dropped += n;
    self->stats.n_dropped_by[reason] += n;
}

static uint64_t ram_bytes(const struct gw_durable *self)
{
    return self->given.n_bytes + self->front.n_bytes + self->tail.n_bytes + self->live.n_bytes;
}

void gw_durable_forget_middle(struct gw_durable *self, uint64_t n, uint64_t n_bytes)
{
    self->n_middle -= n < self->n_middle ? n : self->n_middle;
    self->middle_bytes -= n_bytes < self->middle_bytes ? n_bytes : self->middle_bytes;
    if (self->n_middle == 0)
        self->middle_bytes = 0;
}

uint64_t gw_durable_middle_end(const struct gw_durable *self)
{
    return self->middle_last_seq;
}

void gw_durable_evict(struct gw_durable *self)
{
    if (ram_bytes(self) <= self->window_bytes)
        return;
    if (self->n_middle == 0) { /* the next ones stay, so that nothing is read back at once */
        while (self->tail.first && self->front.n_bytes < GW_FRONT_BYTES)
            gw_list_append(&self->front, gw_list_pop(&self->tail));
        if (self->tail.first)
            self->gap_seq = self->tail.first->record.seq - 1;
    }
    while (ram_bytes(self) > self->window_bytes && self->tail.first && self->tail.first->is_saved &&
           !self->tail.first->is_busy && self->tail.first != self->lent) {
        struct gw_node *node = gw_list_pop(&self->tail);

        if (self->n_middle++ == 0)
            self->middle_wall_ms = node->record.acquired_wall_ms;
        self->n_evicted++;
        self->middle_bytes += gw_record_bytes(&node->record);
        self->middle_last_seq = node->record.seq;
        if (!gw_live_keep(self, node))
            free(node);
    }
}

/* ---- room ------------------------------------------------------------------------------------------ */

static void drop_first(struct gw_durable *self, struct gw_node_list *list, enum gw_drop reason)
{
    gw_durable_count_drop(self, reason, 1);
    gw_durable_release(self, gw_list_pop(list));
}

/* Drops one of the oldest in memory that is not under way. */
static bool drop_oldest(struct gw_durable *self)
{
    struct gw_node_list *const lists[] = {&self->front, &self->tail, &self->live};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (lists[i]->first) {
            drop_first(self, lists[i], GW_DROP_FULL);
            return true;
        }
    return false;
}

/* The writer drops the oldest on disk, since only it can know how large they are; until then it may be a little more. */
static bool make_room(struct gw_durable *self, uint64_t n_bytes)
{
    while (ram_bytes(self) + self->middle_bytes + n_bytes > self->max_bytes) {
        if (self->conf.drop_newest)
            return false;
        if (!self->front.first && self->n_middle > 0) {
            self->has_to_trim = true;
            gw_durable_wake_writer(self);
            break;
        }
        if (!drop_oldest(self))
            return false;
    }
    while (ram_bytes(self) + n_bytes > self->max_ram_bytes) {
        const uint64_t before = ram_bytes(self);

        gw_durable_evict(self);
        if (ram_bytes(self) < before)
            continue;
        if (self->conf.drop_newest || !drop_oldest(self))
            return false;
    }
    return true;
}

static void drop_expired(struct gw_durable *self, struct gw_node_list *list, int64_t limit_ms)
{
    for (struct gw_node *node = list->first, *next; node && node->record.put_ms < limit_ms;
         node = next) {
        next = node->next;
        drop_first(self, list, GW_DROP_EXPIRED);
    }
}

void gw_durable_drop_expired(struct gw_durable *self)
{
    const int64_t limit_ms = gw_durable_age_ms(self) - self->conf.max_age_us / 1000;

    if (self->conf.max_age_us == 0)
        return;
    drop_expired(self, &self->live, limit_ms);
    drop_expired(self, &self->front, limit_ms);
    if (self->n_middle == 0)
        drop_expired(self, &self->tail, limit_ms);
}

/* ---- put ------------------------------------------------------------------------------------------- */

const struct gw_node *gw_durable_oldest(const struct gw_durable *self)
{
    if (self->given.first)
        return self->given.first;
    if (self->front.first)
        return self->front.first;
    return self->tail.first ? self->tail.first : self->live.first;
}

bool gw_durable_must_save(const struct gw_durable *self)
{
    if (self->n_unsaved == 0)
        return false;
    if (self->conf.durability == GW_DURABLE_ALWAYS || !self->is_up || self->is_stopping ||
        self->n_middle > 0 || self->unsaved_bytes > self->window_bytes / 2)
        return true;
    return gw_durable_age_ms(self) - gw_durable_oldest(self)->record.put_ms > OLD_MS;
}

/* The writer looks once a second anyway; it is woken for what cannot wait so long. */
static void plan_save(struct gw_durable *self, uint64_t n_bytes)
{
    const bool is_batch =
        self->n_unsaved % GW_COMMIT_ROWS == 0 ||
        self->unsaved_bytes / GW_COMMIT_BYTES != (self->unsaved_bytes - n_bytes) / GW_COMMIT_BYTES;

    if (self->save_since_us == 0 && gw_durable_must_save(self)) {
        self->save_since_us = gw_now_us(self->clock);
        gw_durable_wake_writer(self);
    } else if (is_batch && self->save_since_us > 0) {
        gw_durable_wake_writer(self);
    }
}

static enum gw_err durable_put(struct gw_outbox *outbox, const struct gw_message *message)
{
    struct gw_durable *self = self_of(outbox);
    struct gw_record record = {
        .acquired_wall_ms = message->acquired_wall_ms,
        .expires_wall_ms = message->expires_wall_ms,
        .topic = message->topic,
        .payload = message->payload,
        .correlation = message->correlation,
        .topic_len = strlen(message->topic),
        .payload_len = message->payload_len,
        .correlation_len = message->correlation_len,
        .qos = (uint8_t)message->qos,
        .kind = (uint8_t)message->kind,
        .retain = message->retain,
    };
    const uint64_t n_bytes = gw_record_bytes(&record);
    const bool fits = n_bytes <= self->max_ram_bytes && record.topic_len <= UINT16_MAX &&
                      record.correlation_len <= GW_CORRELATION_MAX;
    struct gw_node *node = fits ? gw_node_new(&record, message->seq_at, message->n_seq_at) : NULL;

    pthread_mutex_lock(&self->mutex);
    self->stats.n_put++;
    if (!node || !make_room(self, n_bytes)) {
        gw_durable_count_drop(self,
                              !fits  ? GW_DROP_TOO_LARGE
                              : node ? GW_DROP_FULL
                                     : GW_DROP_NO_MEMORY,
                              1);
        pthread_mutex_unlock(&self->mutex);
        free(node);
        return fits && !node ? GW_E_NOMEM : GW_E_FULL;
    }
    gw_node_set_number(node, self->next_seq++);
    node->record.put_ms = gw_durable_age_ms(self);
    gw_live_put(self, node);
    gw_durable_add_unsaved(self, NULL, node);
    plan_save(self, n_bytes);
    if (self->conf.durability != GW_DURABLE_ALWAYS || self->is_degraded)
        gw_durable_wake_consumer(self);
    pthread_mutex_unlock(&self->mutex);
    return GW_OK;
}

/* ---- next and after -------------------------------------------------------------------------------- */

void gw_durable_end_loan(struct gw_durable *self)
{
    struct gw_node *node = self->lent;

    self->lent = NULL;
    if (node && node->is_dead)
        gw_durable_release(self, node);
}

/* Gives the list whose first message is the next one; NULL: there is none for now. */
static struct gw_node_list *next_list(struct gw_durable *self)
{
    if (self->n_middle > 0 && self->front.n_bytes < GW_FRONT_BYTES / 2 && !self->has_to_refill &&
        !self->is_unreachable) {
        self->has_to_refill = true;
        gw_durable_wake_writer(self);
    }
    if (self->front.first)
        return &self->front;
    /* A disk that is gone must not hold back the present; what is on it comes when it is back. */
    const bool is_reached = self->n_middle == 0 || self->is_unreachable;
    return is_reached && self->tail.first ? &self->tail : NULL;
}

static void give(struct gw_durable *self, const struct gw_node *node,
                 struct gw_message *ret_message)
{
    const struct gw_record *record = &node->record;
    const int64_t max_age_ms = self->conf.max_age_us / 1000;

    *ret_message = (struct gw_message){
        .topic = record->topic,
        .payload = record->payload,
        .payload_len = record->payload_len,
        .qos = record->qos,
        .retain = record->retain && gw_live_may_retain(self, record),
        .kind = record->kind,
        .acquired_wall_ms = record->acquired_wall_ms,
        .expires_wall_ms = record->expires_wall_ms,
        .correlation = record->correlation,
        .correlation_len = record->correlation_len,
        .seq = record->seq,
    };
    if (max_age_ms > 0)
        ret_message->left_ms = max_age_ms - (gw_durable_age_ms(self) - record->put_ms);
    if (max_age_ms > 0 && ret_message->left_ms < 1)
        ret_message->left_ms = 1;
}

/* What was given out while the disk failed may never get there, and goes again all the same. */
static bool is_ready(const struct gw_durable *self, const struct gw_node_list *list)
{
    const struct gw_node *node = list->first;

    return node && (self->conf.durability != GW_DURABLE_ALWAYS || node->is_saved ||
                    node->was_given || self->is_degraded);
}

static enum gw_err durable_next(struct gw_outbox *outbox, struct gw_message *ret_message)
{
    struct gw_durable *self = self_of(outbox);
    enum gw_err err = GW_E_CLOSED;

    pthread_mutex_lock(&self->mutex);
    gw_durable_end_loan(self);
    gw_durable_drop_expired(self);
    struct gw_node_list *list = next_list(self);
    if (is_ready(self, &self->live))
        list = &self->live;
    const bool may_go =
        list && is_ready(self, list) &&
        (list == &self->live || (!gw_live_is_held_back(self) && gw_live_may_drain(self)));
    if (may_go) {
        self->lent = gw_list_pop(list);
        self->lent->was_given = true;
        gw_list_append(&self->given, self->lent);
        give(self, self->lent, ret_message);
        err = GW_OK;
    }
    self->is_dry = !may_go;
    pthread_mutex_unlock(&self->mutex);
    return err;
}

/* Mostly the first or one of the first: brokers answer in order. */
static struct gw_node *find_given(const struct gw_durable *self, uint64_t seq)
{
    struct gw_node *node = self->given.first;

    while (node && node->record.seq != seq)
        node = node->next;
    return node;
}

static void durable_ack(struct gw_outbox *outbox, uint64_t seq)
{
    struct gw_durable *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    struct gw_node *node = find_given(self, seq);
    if (node) {
        gw_list_remove(&self->given, node);
        gw_durable_release(self, node);
        self->stats.n_acked++;
    }
    pthread_mutex_unlock(&self->mutex);
}

static void durable_drop(struct gw_outbox *outbox, uint64_t seq, enum gw_drop reason)
{
    struct gw_durable *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    struct gw_node *node = find_given(self, seq);
    if (node) {
        gw_list_remove(&self->given, node);
        gw_durable_release(self, node);
        gw_durable_count_drop(self, reason, 1);
    }
    pthread_mutex_unlock(&self->mutex);
}

static void durable_rewind(struct gw_outbox *outbox)
{
    struct gw_durable *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    if (self->conf.is_live_first)
        gw_live_end(self);
    while (self->given.last) {
        struct gw_node *node = self->given.last;
        const bool is_behind = self->n_middle > 0 && node->record.seq > self->gap_seq;
        struct gw_node_list *list = is_behind ? &self->tail : &self->front;

        gw_list_remove(&self->given, node);
        gw_list_insert(list, list->first, node);
    }
    pthread_mutex_unlock(&self->mutex);
}

static void durable_link(struct gw_outbox *outbox, bool is_up)
{
    struct gw_durable *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    self->is_up = is_up;
    if (is_up)
        gw_live_begin(self);
    else
        gw_durable_wake_writer(self);
    pthread_mutex_unlock(&self->mutex);
}

static void durable_stats(struct gw_outbox *outbox, struct gw_outbox_stats *ret_stats)
{
    struct gw_durable *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    const struct gw_node *first = gw_durable_oldest(self);
    *ret_stats = self->stats;
    ret_stats->n_memory_bytes = ram_bytes(self);
    ret_stats->n_bytes = ret_stats->n_memory_bytes + self->middle_bytes;
    ret_stats->n_messages =
        self->given.n + self->front.n + self->tail.n + self->live.n + self->n_middle;
    ret_stats->n_on_disk = ret_stats->n_messages - self->n_unsaved;
    ret_stats->oldest_wall_ms = first ? first->record.acquired_wall_ms : 0;
    if (self->n_middle > 0 && (!first || first->record.seq > self->gap_seq))
        ret_stats->oldest_wall_ms = self->middle_wall_ms;
    ret_stats->is_degraded = self->is_degraded;
    pthread_mutex_unlock(&self->mutex);
}

static void durable_stop(struct gw_outbox *outbox)
{
    struct gw_durable *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    self->is_stopping = true;
    gw_durable_wake_writer(self);
    pthread_mutex_unlock(&self->mutex);
}

const struct gw_outbox_ops gw_durable_ops = {
    .put = durable_put,
    .next = durable_next,
    .ack = durable_ack,
    .drop = durable_drop,
    .rewind = durable_rewind,
    .link = durable_link,
    .stats = durable_stats,
    .configure = gw_durable_configure,
    .stop = durable_stop,
    .save = gw_durable_save,
    .free = gw_durable_free,
};
