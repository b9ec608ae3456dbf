/* outbox_writer: the steps of the writer: drop what is too old or too much, commit, refill, shrink. The mutex is held to take work
 * and to enter the result, never while the disk works. */
#include "gateway/outbox_durable.h"

#include <stdlib.h>

#include "gateway/log.h"

enum {
    LINGER_US = 10000,  /* the rest of the same poll comes within this */
    LOOK_US = 1000000,  /* at what is too old on disk */
    DELETE_RUNS = 4096, /* in one transaction */
    TRIM_PART = 20, /* of the whole goes at a time, so that it need not be done for each message */
    SHRINK_LOOK_US = 5000000,             /* at what an outage has left in the file */
    SHRINK_FREE_BYTES = 16 * 1024 * 1024, /* less is not worth the writing, and the next needs it */
    SHRINK_LEFT_BYTES = 2048 * 1024,      /* written anew at most; a card takes that in a second */
};

/* ---- too old, too much ----------------------------------------------------------------------------- */

/* What goes from the beginning of the middle. */
struct cut {
    int64_t limit_put_ms; /* older than this goes; ... */
    uint64_t want_bytes;  /* ... or so many bytes */
    uint64_t n, n_bytes, first_seq, last_seq;
    int64_t next_wall_ms; /* of the first that stays */
};

static bool cut_record(void *ctx, const struct gw_record *record)
{
    struct cut *cut = ctx;

    if (record->put_ms >= cut->limit_put_ms && cut->n_bytes >= cut->want_bytes) {
        cut->next_wall_ms = record->acquired_wall_ms;
        return false;
    }
    if (cut->n++ == 0)
        cut->first_seq = record->seq;
    cut->last_seq = record->seq;
    cut->n_bytes += gw_record_bytes(record);
    return true;
}

static enum gw_store_fault cut_middle(struct gw_durable *self, int64_t limit_put_ms,
                                      uint64_t want_bytes, enum gw_drop reason)
{
    struct cut cut = {.limit_put_ms = limit_put_ms, .want_bytes = want_bytes};

    pthread_mutex_lock(&self->mutex);
    const uint64_t first_seq = self->gap_seq + 1, last_seq = gw_durable_middle_end(self);
    pthread_mutex_unlock(&self->mutex);
    const enum gw_store_fault fault =
        gw_store_scan(self->store, first_seq, last_seq, cut_record, &cut);
    pthread_mutex_lock(&self->mutex);
    const uint64_t n_passed = gw_live_count_passed(self, cut.first_seq, cut.last_seq);
    if (cut.n > 0 && gw_runs_add(&self->deletes, cut.first_seq, cut.last_seq)) {
        cut.n -= n_passed < cut.n ? n_passed : cut.n;
        self->gap_seq = cut.last_seq;
        self->middle_wall_ms = cut.next_wall_ms;
        gw_durable_forget_middle(self, cut.n, cut.n_bytes);
        gw_durable_count_drop(self, reason, cut.n);
        if (self->delete_since_us == 0)
            self->delete_since_us = gw_now_us(self->clock);
    }
    self->has_to_trim = false;
    pthread_mutex_unlock(&self->mutex);
    return fault;
}

static uint64_t excess_bytes(const struct gw_durable *self)
{
    const uint64_t n_bytes = self->given.n_bytes + self->front.n_bytes + self->tail.n_bytes +
                             self->live.n_bytes + self->middle_bytes + self->max_bytes / TRIM_PART;

    return n_bytes > self->max_bytes ? n_bytes - self->max_bytes : 0;
}

static enum gw_store_fault tidy(struct gw_durable *self)
{
    const int64_t now_us = gw_now_us(self->clock);

    pthread_mutex_lock(&self->mutex);
    const bool has_middle = self->n_middle > 0;
    const uint64_t want_bytes = has_middle && self->has_to_trim ? excess_bytes(self) : 0;
    const int64_t limit_ms = gw_durable_age_ms(self) - self->conf.max_age_us / 1000;
    gw_durable_drop_expired(self);
    self->has_to_trim = false;
    pthread_mutex_unlock(&self->mutex);
    enum gw_store_fault fault = GW_STORE_OK;
    if (want_bytes > 0)
        fault = cut_middle(self, INT64_MIN, want_bytes, GW_DROP_FULL);
    if (fault == GW_STORE_OK && has_middle && self->conf.max_age_us > 0 &&
        now_us >= self->next_look_us) {
        self->next_look_us = now_us + LOOK_US;
        fault = cut_middle(self, limit_ms, 0, GW_DROP_EXPIRED);
    }
    return fault;
}

/* ---- commit ---------------------------------------------------------------------------------------- */

static bool is_full_batch(const struct gw_durable *self)
{
    return self->n_unsaved >= GW_COMMIT_ROWS || self->unsaved_bytes >= GW_COMMIT_BYTES;
}

static bool has_to_mark(const struct gw_durable *self)
{
    return self->seq_mark < self->next_seq + GW_SEQ_BLOCK / 2;
}

/* When the next commit is due; INT64_MAX: nothing to commit. */
static int64_t commit_due_us(struct gw_durable *self, int64_t now_us)
{
    const int64_t interval_us = self->conf.commit_interval_us;
    int64_t due_us = INT64_MAX;

    if (!gw_durable_must_save(self))
        self->save_since_us = 0;
    else if (self->save_since_us == 0)
        self->save_since_us = now_us;
    if (self->is_degraded)
        return self->retry_us;
    if (self->save_since_us > 0) {
        due_us = self->save_since_us + interval_us;
        if (is_full_batch(self) || self->is_stopping)
            due_us = now_us;
    }
    /* Messages that wait for the commit go soon when commits are rare, and together when they are not. */
    if (self->save_since_us > 0 && self->conf.durability == GW_DURABLE_ALWAYS) {
        const int64_t linger_us = interval_us < LINGER_US ? interval_us : LINGER_US;
        int64_t soon_us = self->save_since_us + linger_us;

        if (soon_us < self->last_commit_us + interval_us)
            soon_us = self->last_commit_us + interval_us;
        due_us = soon_us < due_us ? soon_us : due_us;
    }
    if (self->deletes.n > 0 && self->delete_since_us + interval_us < due_us)
        due_us = self->delete_since_us + interval_us;
    if (has_to_mark(self) || gw_live_is_held_back(self) || (self->is_ended && self->deletes.n > 0))
        due_us = now_us;
    return due_us;
}

/* What a transaction takes along. */
struct work {
    struct gw_runs deletes;
    struct gw_store_state state;
};

static void take_work(struct gw_durable *self, struct work *work)
{
    uint64_t n_bytes = 0;

    self->n_batch = 0;
    self->is_committing = true;
    /* In a full file what goes makes room for what comes. */
    const bool only_deletes = self->is_full && self->deletes.n > 0;
    while (!only_deletes && gw_durable_must_save(self) && self->n_batch < GW_COMMIT_ROWS &&
           n_bytes < GW_COMMIT_BYTES) {
        struct gw_node *node = self->first_unsaved;

        gw_durable_remove_unsaved(self, node);
        node->is_busy = true;
        n_bytes += gw_record_bytes(&node->record);
        self->batch[self->n_batch++] = node;
    }
    work->deletes = self->deletes;
    self->deletes = (struct gw_runs){0};
    self->delete_since_us = 0;
    work->state =
        gw_durable_state(self, has_to_mark(self) ? gw_durable_next_mark(self) : self->seq_mark);
}

static enum gw_store_fault write_work(struct gw_durable *self, const struct work *work)
{
    const bool has_to_set = work->state.seq_mark != self->seq_mark || self->n_failures > 0;
    enum gw_store_fault fault = gw_store_begin(self->store);
    uint64_t n;

    for (size_t i = 0; fault == GW_STORE_OK && i < self->n_batch; i++)
        fault = gw_store_insert(self->store, &self->batch[i]->record);
    for (size_t i = 0; fault == GW_STORE_OK && i < work->deletes.n; i++)
        fault = gw_store_delete(self->store, work->deletes.items[i].first_seq,
                                work->deletes.items[i].last_seq, &n);
    if (fault == GW_STORE_OK && has_to_set)
        fault = gw_store_set_state(self->store, &work->state);
    if (fault == GW_STORE_OK)
        fault = gw_store_commit(self->store);
    return fault;
}

/* Back to where it was, in order; what was acknowledged meanwhile is only let go of. */
static void take_back(struct gw_durable *self)
{
    while (self->n_batch > 0) {
        struct gw_node *node = self->batch[--self->n_batch];

        node->is_busy = false;
        if (node->is_dead)
            gw_durable_release(self, node);
        else
            gw_durable_add_unsaved(self, self->first_unsaved, node);
    }
}

static void enter_saved(struct gw_durable *self)
{
    for (size_t i = 0; i < self->n_batch; i++) {
        struct gw_node *node = self->batch[i];

        node->is_busy = false;
        node->is_saved = true;
        if (node->is_dead)
            gw_durable_release(self, node);
    }
    self->n_batch = 0;
    gw_durable_evict(self);
}

/* Runs that were not deleted join those that came since. */
static void put_runs_back(struct gw_durable *self, struct gw_runs *runs)
{
    for (size_t i = 0; i < self->deletes.n; i++)
        gw_runs_add(runs, self->deletes.items[i].first_seq, self->deletes.items[i].last_seq);
    free(self->deletes.items);
    self->deletes = *runs;
    if (runs->n > 0 && self->delete_since_us == 0)
        self->delete_since_us = gw_now_us(self->clock);
}

static void finish_work(struct gw_durable *self, struct work *work, bool is_stored)
{
    pthread_mutex_lock(&self->mutex);
    const int64_t now_us = gw_now_us(self->clock);
    if (self->n_batch > 0)
        self->last_commit_us = now_us;
    if (is_stored) {
        self->stats.n_commits++;
        self->stats.n_rows_written += self->n_batch;
        self->seq_mark = work->state.seq_mark;
        enter_saved(self);
        self->may_shrink = self->may_shrink || work->deletes.n > 0;
        free(work->deletes.items);
        self->save_since_us = self->n_unsaved > 0 ? now_us : 0;
        gw_durable_wake_consumer(self);
    } else {
        take_back(self);
        put_runs_back(self, &work->deletes);
    }
    self->is_committing = false;
    pthread_cond_signal(&self->finished);
    pthread_mutex_unlock(&self->mutex);
}

static bool has_to_save(struct gw_durable *self)
{
    pthread_mutex_lock(&self->mutex);
    const bool has = gw_durable_must_save(self);
    pthread_mutex_unlock(&self->mutex);
    return has;
}

/* One transaction if it is due. *ret_due_us: when the next is. */
static enum gw_store_fault commit(struct gw_durable *self, int64_t *ret_due_us)
{
    const int64_t now_us = gw_now_us(self->clock);
    struct work work;

    pthread_mutex_lock(&self->mutex);
    *ret_due_us = commit_due_us(self, now_us);
    const bool is_due = *ret_due_us <= now_us;
    if (is_due)
        take_work(self, &work);
    pthread_mutex_unlock(&self->mutex);
    if (!is_due)
        return GW_STORE_OK;
    const size_t n_written = self->n_batch;
    const bool was_full = self->is_full;
    const enum gw_store_fault fault = write_work(self, &work);
    if (fault != GW_STORE_OK)
        gw_store_rollback(self->store);
    finish_work(self, &work, fault == GW_STORE_OK);
    if (fault == GW_STORE_OK) {
        /* Deletions alone do not tell that there is room; what comes next does. */
        if (!was_full || n_written > 0 || !has_to_save(self))
            gw_durable_recovered(self);
        self->is_full = false;
        *ret_due_us = now_us;
    }
    return fault;
}

/* ---- refill ---------------------------------------------------------------------------------------- */

struct refill {
    struct gw_node_list nodes;
    struct gw_runs damaged;
    uint64_t n_damaged, last_seq;
    bool is_out_of_memory;
};

static bool refill_record(void *ctx, uint64_t seq, const struct gw_record *record)
{
    struct refill *refill = ctx;

    if (seq <= refill->last_seq) /* a damaged file */
        return false;
    if (!record) {
        refill->n_damaged++;
        gw_runs_add(&refill->damaged, seq, seq);
        refill->last_seq = seq;
        return true;
    }
    struct gw_node *node = gw_node_new(record, NULL, 0);
    if (!node) {
        refill->is_out_of_memory = true;
        return false;
    }
    node->is_saved = true;
    gw_list_append(&refill->nodes, node);
    refill->last_seq = seq;
    return refill->nodes.n_bytes < GW_FRONT_BYTES;
}

static void tell_damage(struct gw_durable *self, const struct refill *refill)
{
    if (refill->n_damaged == 0 || self->has_told_damage)
        return;
    self->has_told_damage = true;
    gw_log(GW_LOG_ERROR, "buffer",
           "%s: records that are not what was written (%llu at %llu) are dropped and counted",
           self->conf.path, (unsigned long long)refill->n_damaged,
           (unsigned long long)refill->last_seq);
}

static void enter_refill(struct gw_durable *self, struct refill *refill, bool is_end)
{
    const uint64_t n = refill->nodes.n + refill->n_damaged;

    gw_durable_forget_middle(self, refill->n_damaged, 0);
    for (struct gw_node *node; (node = gw_list_pop(&refill->nodes));) {
        if (gw_live_is_passed(self, node->record.seq)) {
            free(node);
            continue;
        }
        gw_durable_forget_middle(self, 1, gw_record_bytes(&node->record));
        gw_list_append(&self->front, node);
    }
    if (is_end)
        gw_durable_forget_middle(self, self->n_middle, self->middle_bytes);
    if (n > 0)
        self->gap_seq = refill->last_seq;
    if (refill->n_damaged > 0)
        gw_durable_count_drop(self, GW_DROP_DAMAGED, refill->n_damaged);
    put_runs_back(self, &refill->damaged);
    self->has_to_refill = false;
    if (n > 0 || is_end)
        gw_durable_wake_consumer(self);
}

static enum gw_store_fault refill(struct gw_durable *self)
{
    struct refill refill = {0};

    pthread_mutex_lock(&self->mutex);
    const bool is_wanted = self->has_to_refill && self->n_middle > 0;
    const uint64_t first_seq = self->gap_seq + 1, last_seq = gw_durable_middle_end(self);
    const uint64_t n_evicted = self->n_evicted;
    self->has_to_refill = self->has_to_refill && is_wanted;
    pthread_mutex_unlock(&self->mutex);
    if (!is_wanted)
        return GW_STORE_OK;
    refill.last_seq = first_seq - 1;
    const enum gw_store_fault fault =
        first_seq <= last_seq
            ? gw_store_read(self->store, first_seq, last_seq, refill_record, &refill)
            : GW_STORE_OK;
    if (fault == GW_STORE_DAMAGED) { /* once more, from what can be kept of it */
        for (struct gw_node *node; (node = gw_list_pop(&refill.nodes));)
            free(node);
        free(refill.damaged.items);
        return fault;
    }
    pthread_mutex_lock(&self->mutex);
    const bool is_end = fault == GW_STORE_OK && !refill.is_out_of_memory &&
                        refill.nodes.n_bytes < GW_FRONT_BYTES && n_evicted == self->n_evicted;
    enter_refill(self, &refill, is_end);
    pthread_mutex_unlock(&self->mutex);
    tell_damage(self, &refill);
    return fault;
}

/* ---- shrink ---------------------------------------------------------------------------------------- */

/* When an outage is over and nothing is due, its room on the disk is given back. What fails here harms nothing, and fails
 * again where it is told. */
static void shrink(struct gw_durable *self, int64_t due_us)
{
    const int64_t now_us = gw_now_us(self->clock);
    uint64_t n_bytes;

    if (!self->may_shrink || now_us < self->next_shrink_us || now_us >= due_us)
        return;
    self->next_shrink_us = now_us + SHRINK_LOOK_US;
    pthread_mutex_lock(&self->mutex);
    const bool has_time = !self->is_stopping && !self->is_degraded;
    pthread_mutex_unlock(&self->mutex);
    if (!has_time)
        return;
    self->may_shrink =
        gw_store_shrink(self->store, SHRINK_FREE_BYTES, SHRINK_LEFT_BYTES, &n_bytes) != GW_STORE_OK;
    if (n_bytes > 0)
        gw_log(GW_LOG_INFO, "buffer", "%s: gave %llu MiB back to the disk", self->conf.path,
               (unsigned long long)n_bytes >> 20);
}

/* ---- the step -------------------------------------------------------------------------------------- */

/* History that waits for its turn: wakes the consumer when that is there. */
static int64_t pace(struct gw_durable *self, int64_t due_us)
{
    pthread_mutex_lock(&self->mutex);
    if (self->drain_due_us > 0 && gw_now_us(self->clock) >= self->drain_due_us) {
        self->drain_due_us = 0;
        gw_durable_wake_consumer(self);
    }
    if (self->drain_due_us > 0 && self->drain_due_us < due_us)
        due_us = self->drain_due_us;
    pthread_mutex_unlock(&self->mutex);
    return due_us;
}

int64_t gw_durable_step(struct gw_durable *self)
{
    int64_t due_us = INT64_MAX;
    enum gw_store_fault fault = gw_durable_take_conf(self);

    if (!self->store) {
        pthread_mutex_lock(&self->mutex);
        const int64_t retry_us = self->retry_us;
        gw_durable_drop_expired(self);
        pthread_mutex_unlock(&self->mutex);
        if (gw_now_us(self->clock) < retry_us)
            return retry_us;
        if (gw_durable_open_store(self) != GW_STORE_OK)
            return gw_now_us(self->clock);
    }
    if (fault == GW_STORE_OK)
        fault = tidy(self);
    if (fault == GW_STORE_OK)
        fault = refill(self);
    if (fault == GW_STORE_OK)
        fault = commit(self, &due_us);
    if (fault != GW_STORE_OK) {
        gw_durable_fail(self, fault, gw_store_why(self->store));
        due_us = self->retry_us;
    } else {
        shrink(self, due_us);
    }
    return pace(self, due_us);
}

/* Tries once more what failed before: it is the last occasion. */
static void try_at_last(struct gw_durable *self)
{
    pthread_mutex_lock(&self->mutex);
    const bool has_unsaved = self->n_unsaved > 0;
    self->retry_us = 0;
    pthread_mutex_unlock(&self->mutex);
    if (has_unsaved && !self->store)
        (void)gw_durable_open_store(self);
}

void gw_durable_finish(struct gw_durable *self)
{
    int64_t due_us;

    try_at_last(self);
    bool is_left = self->store != NULL;
    while (is_left) {
        const enum gw_store_fault fault = commit(self, &due_us);

        pthread_mutex_lock(&self->mutex);
        is_left = fault == GW_STORE_OK && (self->n_unsaved > 0 || self->deletes.n > 0);
        pthread_mutex_unlock(&self->mutex);
    }
    if (self->n_unsaved > 0)
        gw_log(GW_LOG_ERROR, "buffer", "%s: %llu messages could not be saved and are lost",
               self->conf.path, (unsigned long long)self->n_unsaved);
    gw_durable_close_store(self);
}
