/* outbox_disk: the file of the outbox comes, goes, fails, is damaged, and comes back. What is said of it in the log. */
#include "gateway/outbox_durable.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/duration.h"
#include "gateway/log.h"
#include "gateway/outbox_age.h"

enum {
    RETRY_MIN_US = 1000000, /* doubles with each failure */
    RETRY_MAX_US = 30000000,
    FAILURES_TO_CLOSE = 2, /* in a row; then the file is opened anew */
    SEQ_PER_MS = 1024,
};

/* ---- numbers and ages ------------------------------------------------------------------------------ */

/* Numbers of a new file begin at the time of its birth, so that those of a lost one are not used again: nobody gives
 * away more than a million numbers a second. They stay below 2^53, exact in every JSON reader, until the year 2248. */
uint64_t gw_durable_seq_of_time(int64_t wall_ms)
{
    return wall_ms > 0 ? (uint64_t)wall_ms * SEQ_PER_MS : 1;
}

uint64_t gw_durable_next_mark(const struct gw_durable *self)
{
    return (self->next_seq + GW_SEQ_BLOCK) | (GW_SEQ_BLOCK - 1);
}

/* After a clean end in the same run of the machine nothing but this file gave numbers. Otherwise more may have been given
 * than the file knows, when it could not be written, or was not there for a while. */
static bool has_ended_clean(const struct gw_durable *self, const struct gw_store_state *state)
{
    return (state->seq_mark & (GW_SEQ_BLOCK - 1)) != GW_SEQ_BLOCK - 1 &&
           state->boot_id[0] != '\0' && strcmp(state->boot_id, self->boot_id) == 0;
}

struct gw_store_state gw_durable_state(const struct gw_durable *self, uint64_t seq_mark)
{
    struct gw_store_state state = {
        .seq_mark = seq_mark,
        .age_ms = gw_durable_age_ms(self),
        .mono_ms = gw_now_us(self->clock) / 1000,
    };

    memcpy(state.boot_id, self->boot_id, sizeof state.boot_id);
    return state;
}

static void read_boot_id(char *boot_id)
{
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t len = fd >= 0 ? read(fd, boot_id, GW_STORE_BOOT_ID - 1) : 0;

    if (fd >= 0)
        close(fd);
    boot_id[len > 0 ? len : 0] = '\0';
}

/* ---- what the file holds --------------------------------------------------------------------------- */

static bool take_last(void *ctx, uint64_t seq, const struct gw_record *record)
{
    struct gw_last_record *last = ctx;

    if (!record)
        return true;
    last->seq = seq;
    last->put_ms = record->put_ms;
    last->acquired_wall_ms = record->acquired_wall_ms;
    return false;
}

struct count {
    struct gw_durable *self; /* NULL, or at the start: the newest of each topic is noted too */
    uint64_t n, n_bytes;
    int64_t first_wall_ms;
};

static bool count_record(void *ctx, const struct gw_record *record)
{
    struct count *count = ctx;

    if (count->n++ == 0)
        count->first_wall_ms = record->acquired_wall_ms;
    count->n_bytes += gw_record_bytes(record);
    if (count->self)
        gw_live_note(count->self, record);
    return true;
}

static void renumber(struct gw_durable *self, const struct gw_node_list *list)
{
    for (struct gw_node *node = list->first; node; node = node->next) {
        gw_node_set_number(node, self->next_seq++);
        gw_live_note(self, &node->record);
    }
}

/* A file that could not be opened at the start is there at last. What memory holds is younger than all in it, also by
 * its numbers, unless the wall clock went back: then it gets new ones behind last_seq, the last that the file knows of.
 * Those that the publisher knows keep theirs, and are not saved: another message in the file may have the same. */
static void stand_behind(struct gw_durable *self, uint64_t last_seq)
{
    while (self->front.last) {
        struct gw_node *node = self->front.last;

        gw_list_remove(&self->front, node);
        gw_list_insert(&self->tail, self->tail.first, node);
    }
    const struct gw_node *oldest = gw_durable_oldest(self);
    if (!oldest || oldest->record.seq > last_seq)
        return;
    for (struct gw_node *node = self->given.first; node; node = node->next)
        if (node->is_unsaved)
            gw_durable_remove_unsaved(self, node);
    renumber(self, &self->tail);
    renumber(self, &self->live);
}

static void take_in_numbers(struct gw_durable *self, const struct gw_store_state *state,
                            const struct gw_last_record *last)
{
    const int64_t wall_ms = gw_wall_ms(self->clock), mono_ms = gw_now_us(self->clock) / 1000;
    const bool is_start = !self->has_begun;
    uint64_t next_seq = state ? state->seq_mark + 1 : gw_durable_seq_of_time(wall_ms);

    if (is_start && state && !has_ended_clean(self, state) &&
        next_seq < gw_durable_seq_of_time(wall_ms))
        next_seq = gw_durable_seq_of_time(wall_ms);
    if (next_seq <= last->seq)
        next_seq = last->seq + 1;
    if (self->next_seq < next_seq)
        self->next_seq = next_seq;
    if (is_start) {
        self->age_mono_ms = mono_ms;
        self->age_base_ms = gw_age_resume(state, last, self->boot_id, mono_ms, wall_ms);
    }
    if (!self->was_open)
        stand_behind(self, state && state->seq_mark > last->seq ? state->seq_mark : last->seq);
    if (!self->was_open)
        self->middle_last_seq = last->seq;
    self->was_open = true;
    self->may_shrink = true;
    self->is_unreachable = false;
    self->seq_mark = self->next_seq - 1;
}

/* Enters numbers, ages and the count of the records that memory does not hold. */
static enum gw_store_fault take_in(struct gw_durable *self)
{
    struct gw_last_record last = {0};
    struct gw_store_state state;
    struct count count = {0};
    enum gw_store_fault fault = gw_store_get_state(self->store, &state);
    const bool has_state = fault == GW_STORE_OK, was_open = self->was_open;
    const bool is_start = !self->has_begun;

    if (!has_state && fault != GW_STORE_DAMAGED)
        return fault;
    fault = gw_store_read(self->store, INT64_MAX, 1, take_last, &last);
    if (fault != GW_STORE_OK)
        return fault;
    pthread_mutex_lock(&self->mutex);
    take_in_numbers(self, has_state ? &state : NULL, &last);
    /* Before the thread runs: nobody else is in there. */
    count.self = is_start ? self : NULL;
    const bool has_middle = !was_open || self->n_middle > 0;
    const uint64_t first_seq = self->gap_seq + 1, last_seq = gw_durable_middle_end(self);
    pthread_mutex_unlock(&self->mutex);
    if (has_middle && first_seq <= last_seq)
        fault = gw_store_scan(self->store, first_seq, last_seq, count_record, &count);
    if (fault == GW_STORE_OK && is_start && self->conf.is_live_first)
        gw_live_load(self);
    pthread_mutex_lock(&self->mutex);
    if (fault == GW_STORE_OK) {
        self->n_middle = count.n;
        self->middle_bytes = count.n_bytes;
        self->middle_wall_ms = count.first_wall_ms;
        self->has_begun = true;
    } else { /* what is kept of it is taken in as if this file had not been there, but for its numbers */
        self->was_open = was_open;
    }
    gw_durable_wake_consumer(self);
    pthread_mutex_unlock(&self->mutex);
    return fault;
}

/* ---- a file that cannot be used -------------------------------------------------------------------- */

/* What memory holds is not known to be on disk any more. */
static void unsave_list(struct gw_durable *self, struct gw_node_list *list)
{
    for (struct gw_node *node = list->last; node; node = node->prev) {
        node->is_saved = false;
        if (!node->is_unsaved)
            gw_durable_add_unsaved(self, self->first_unsaved, node);
    }
}

/* In order: the newest ones are put in front first. Those that were unsaved already are the newest of all. */
static void unsave_all(struct gw_durable *self)
{
    pthread_mutex_lock(&self->mutex);
    unsave_list(self, &self->live);
    unsave_list(self, &self->tail);
    unsave_list(self, &self->front);
    unsave_list(self, &self->given);
    pthread_mutex_unlock(&self->mutex);
}

/* A disk that damages file after file must not be filled with them. Newer ones stay: a newer program can read them. */
static void forget_old_asides(const struct gw_durable *self)
{
    const int n = gw_store_forget_asides(self->conf.path, "damaged", GW_ASIDES_MAX);

    if (n > 0)
        gw_log(GW_LOG_WARN, "buffer",
               "%s: deleted %d damaged files that were set aside earlier, the last %d stay",
               self->conf.path, n, GW_ASIDES_MAX);
}

/* Puts a new file in the place of one that cannot be used, with what can be read of the old one. */
static enum gw_store_fault replace(struct gw_durable *self, enum gw_store_fault fault, char *why)
{
    const bool is_newer = fault == GW_STORE_NEWER;
    const int64_t wall_ms = gw_wall_ms(self->clock);
    struct gw_salvage salvage;
    char aside[GW_STORE_PATH];
    char reason[GW_STORE_WHY];

    snprintf(reason, sizeof reason, "%s", why);
    if (gw_store_set_aside(self->conf.path, is_newer ? "newer" : "damaged", wall_ms, aside) !=
        GW_OK) {
        snprintf(why, GW_STORE_WHY, "it is damaged (%.100s) and cannot be renamed", reason);
        return GW_STORE_UNUSABLE;
    }
    fault = gw_store_open(self->conf.path, false, self->max_bytes, &self->store, why);
    if (fault == GW_STORE_OK) {
        fault = gw_store_salvage(aside, self->store, &salvage);
        if (fault != GW_STORE_OK)
            snprintf(why, GW_STORE_WHY, "%s", gw_store_why(self->store));
    }
    if (fault != GW_STORE_OK) {
        gw_log(GW_LOG_ERROR, "buffer", "%s cannot be used (%s): set aside as %s", self->conf.path,
               reason, aside);
        return fault;
    }
    gw_log(GW_LOG_ERROR, "buffer",
           "%s cannot be used (%s): set aside as %s; %llu messages in it were kept, %llu were "
           "damaged; going on with a new file",
           self->conf.path, reason, aside, (unsigned long long)salvage.n_kept,
           (unsigned long long)salvage.n_damaged);
    pthread_mutex_lock(&self->mutex);
    gw_durable_count_drop(self, GW_DROP_DAMAGED, salvage.n_damaged);
    pthread_mutex_unlock(&self->mutex);
    forget_old_asides(self);
    unsave_all(self);
    return GW_STORE_OK;
}

/* ---- opening and closing --------------------------------------------------------------------------- */

static enum gw_store_fault open_file(struct gw_durable *self, char *why)
{
    enum gw_store_fault fault = GW_STORE_DAMAGED;

    if (self->is_damaged)
        snprintf(why, GW_STORE_WHY, "damage was found in it while it was used");
    else
        fault = gw_store_open(self->conf.path, false, self->max_bytes, &self->store, why);
    if (fault == GW_STORE_OK) {
        fault = take_in(self);
        if (fault == GW_STORE_OK)
            return fault;
        snprintf(why, GW_STORE_WHY, "%s", gw_store_why(self->store));
        gw_store_close(self->store);
        self->store = NULL;
    }
    if (fault != GW_STORE_DAMAGED && fault != GW_STORE_NEWER)
        return fault;
    fault = replace(self, fault, why);
    if (fault == GW_STORE_OK) {
        self->is_damaged = false;
        fault = take_in(self);
        if (fault != GW_STORE_OK)
            snprintf(why, GW_STORE_WHY, "%s", gw_store_why(self->store));
    }
    if (fault != GW_STORE_OK) {
        gw_store_close(self->store);
        self->store = NULL;
    }
    return fault;
}

/* Before the first number is given: a kill right after the start would have it given again. On a full disk the first try
 * makes room. What fails here fails again at the first commit, and is told then. */
static void set_numbers_aside(struct gw_durable *self)
{
    const struct gw_store_state state = gw_durable_state(self, gw_durable_next_mark(self));

    for (int i = 0; i < 2; i++) {
        if (gw_store_begin(self->store) == GW_STORE_OK &&
            gw_store_set_state(self->store, &state) == GW_STORE_OK &&
            gw_store_commit(self->store) == GW_STORE_OK) {
            self->seq_mark = state.seq_mark;
            gw_store_checkpoint(
                self->store); /* a log that is lost must not leave the mark of a clean end */
            return;
        }
        gw_store_rollback(self->store);
    }
}

static void tell_waiting(struct gw_durable *self)
{
    if (self->n_middle > 0)
        gw_log(GW_LOG_INFO, "buffer", "%s holds %llu messages (%llu bytes) of before",
               self->conf.path, (unsigned long long)self->n_middle,
               (unsigned long long)self->middle_bytes);
}

enum gw_store_fault gw_durable_open_store(struct gw_durable *self)
{
    const bool is_start = !self->has_begun;
    char why[GW_STORE_WHY] = "";

    if (is_start)
        read_boot_id(self->boot_id);
    const enum gw_store_fault fault = open_file(self, why);
    if (fault == GW_STORE_OK) {
        if (is_start) {
            set_numbers_aside(self);
            tell_waiting(self);
        }
        return fault;
    }
    if (fault == GW_STORE_BUSY && is_start)
        return fault;
    if (is_start) { /* without a file; ages are those of this run */
        self->next_seq = gw_durable_seq_of_time(gw_wall_ms(self->clock));
        self->age_mono_ms = gw_now_us(self->clock) / 1000;
        self->has_begun = true;
    }
    gw_durable_fail(self, fault == GW_STORE_DAMAGED ? GW_STORE_UNUSABLE : fault, why);
    return fault;
}

/* After a clean end no number is skipped. */
void gw_durable_close_store(struct gw_durable *self)
{
    if (!self->store)
        return;
    const struct gw_store_state state = gw_durable_state(self, self->next_seq - 1);
    if (!self->is_degraded && gw_store_begin(self->store) == GW_STORE_OK &&
        (gw_store_set_state(self->store, &state) != GW_STORE_OK ||
         gw_store_commit(self->store) != GW_STORE_OK))
        gw_store_rollback(self->store);
    gw_store_close(self->store);
    self->store = NULL;
}

/* ---- failing and coming back ----------------------------------------------------------------------- */

static int64_t back_off_us(unsigned n_failures)
{
    int64_t pause_us = RETRY_MIN_US;

    while (--n_failures > 0 && pause_us < RETRY_MAX_US)
        pause_us *= 2;
    return pause_us < RETRY_MAX_US ? pause_us : RETRY_MAX_US;
}

void gw_durable_fail(struct gw_durable *self, enum gw_store_fault fault, const char *why)
{
    const int64_t now_us = gw_now_us(self->clock);

    if (++self->n_failures == 1) {
        self->failed_since_us = now_us;
        gw_log(GW_LOG_ERROR, "buffer",
               "%s cannot be used: %s; messages are kept in memory only (%llu MiB at most), trying "
               "again every %d s",
               self->conf.path, why, (unsigned long long)self->max_ram_bytes >> 20,
               RETRY_MAX_US / 1000000);
    }
    pthread_mutex_lock(&self->mutex);
    self->is_degraded = true;
    self->is_full = fault == GW_STORE_FULL;
    self->retry_us = now_us + (fault == GW_STORE_DAMAGED ? 0 : back_off_us(self->n_failures));
    pthread_mutex_unlock(&self->mutex);
    if (self->store && (fault == GW_STORE_DAMAGED ||
                        (fault != GW_STORE_FULL && self->n_failures >= FAILURES_TO_CLOSE))) {
        gw_store_close(self->store); /* opening it finds out more, or sets it aside */
        self->store = NULL;
        self->is_damaged = fault == GW_STORE_DAMAGED;
    }
    pthread_mutex_lock(&self->mutex);
    /* What can be read of a damaged file is there again in a moment: nothing newer may go before it. */
    self->is_unreachable = !self->store && fault != GW_STORE_DAMAGED;
    gw_durable_wake_consumer(self);
    pthread_mutex_unlock(&self->mutex);
}

void gw_durable_recovered(struct gw_durable *self)
{
    if (self->n_failures == 0)
        return;
    gw_log(GW_LOG_INFO, "buffer", "%s works again after %lld s; messages are saved there",
           self->conf.path,
           (long long)((gw_now_us(self->clock) - self->failed_since_us) / 1000000));
    self->n_failures = 0;
    pthread_mutex_lock(&self->mutex);
    self->is_degraded = self->is_full = false;
    gw_durable_wake_consumer(self);
    pthread_mutex_unlock(&self->mutex);
}
