/* outbox_memory: the outbox in memory. It does not survive the program.
 *
 * DESIGN: messages are written one behind the other into blocks of mapped memory; a ring of pointers finds a message by
 * its number, since numbers have no gaps. Acknowledged and dropped messages leave an empty slot, and slots are removed
 * from the front, so that acknowledgements in any order cost the same. A block goes back to the system with its last
 * message, so that memory follows what is held. The message last given out keeps its block until the next is asked for.
 * Everything happens under one mutex, held for a copy at most. The event descriptor is written when a message arrives
 * where nothing was left to give out; the consumer that reads it before it calls next cannot miss one. */
#include "gateway/outbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gateway/payload.h"

enum {
    BLOCK_BYTES = 256 * 1024,
    OVERHEAD_BYTES = 64, /* counted for each message: record, slot and rounding */
    RING_MIN = 64,       /* slots; a power of 2, as all its sizes */
    ALIGNMENT = 8,
};

struct block {
    size_t size, used; /* bytes, this header included */
    size_t n_live;     /* messages in it, and one more while one is lent out */
};

/* A message in its block. Topic with its NUL, payload and correlation follow. */
struct record {
    struct block *block;
    int64_t acquired_wall_ms, expires_wall_ms;
    size_t payload_len;
    uint32_t topic_len;
    uint8_t qos, kind, correlation_len;
    bool retain;
};

struct memory_outbox {
    struct gw_outbox base;
    pthread_mutex_t mutex;
    _Atomic uint64_t max_bytes; /* put looks at it before it has the mutex */
    bool drop_newest;

    struct record **ring; /* the message seq is ring[seq & (n_ring - 1)], NULL when it is gone */
    size_t n_ring;
    uint64_t first_seq, end_seq; /* held: first_seq .. end_seq - 1; the first is never gone */
    uint64_t next_seq;           /* to be given out */
    uint64_t given_end_seq;      /* all below were given out at some time */
    uint64_t n_pending;          /* messages from next_seq on */

    struct block *tail; /* where the next message goes; may be empty */
    struct block *lent; /* block of the message last given out */
    struct gw_outbox_stats stats;
};

static struct memory_outbox *self_of(struct gw_outbox *outbox)
{
    return (struct memory_outbox *)(void *)outbox; /* base is the first member */
}

/* ---- blocks ----------------------------------------------------------------------------------------- */

static struct block *new_block(size_t size)
{
    struct block *block;

    if (size < BLOCK_BYTES)
        size = BLOCK_BYTES;
    /* Not malloc: it may keep what is freed, and an outage would leave its mark for ever. */
    block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    block->size = size;
    block->used = sizeof *block;
    return block;
}

/* Takes one use of a block away; the last one frees it, or empties it when it is the tail. */
static void release_block(struct memory_outbox *self, struct block *block)
{
    if (--block->n_live > 0)
        return;
    if (block == self->tail && block->size == BLOCK_BYTES) {
        block->used = sizeof *block;
        return;
    }
    if (block == self->tail)
        self->tail = NULL;
    munmap(block, block->size);
}

/* Gives room for a record of `size` bytes; NULL when memory is out. */
static struct record *new_record(struct memory_outbox *self, size_t size)
{
    struct block *block = self->tail;
    struct record *record;

    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!block || size > block->size - block->used) {
        struct block *old = block;

        block = new_block(sizeof *block + size);
        if (!block)
            return NULL;
        self->tail = block;
        if (old && old->n_live == 0)
            munmap(old, old->size);
    }
    record = (struct record *)(void *)((char *)block + block->used);
    block->used += size;
    block->n_live++;
    record->block = block;
    return record;
}

/* ---- ring ------------------------------------------------------------------------------------------- */

static struct record **slot_of(const struct memory_outbox *self, uint64_t seq)
{
    return &self->ring[seq & (self->n_ring - 1)];
}

static bool resize_ring(struct memory_outbox *self, size_t n_ring)
{
    struct record **old = self->ring, **ring = calloc(n_ring, sizeof *ring);

    if (!ring)
        return false;
    for (uint64_t seq = self->first_seq; seq < self->end_seq; seq++)
        ring[seq & (n_ring - 1)] = *slot_of(self, seq);
    self->ring = ring;
    self->n_ring = n_ring;
    free(old);
    return true;
}

static size_t bytes_of(size_t topic_len, size_t payload_len)
{
    return topic_len + payload_len + OVERHEAD_BYTES;
}

/* Removes one message; then empty slots from the front, so that the first one is always held. */
static void forget(struct memory_outbox *self, uint64_t seq)
{
    struct record *record = *slot_of(self, seq);

    assert(record);
    *slot_of(self, seq) = NULL;
    self->stats.n_messages--;
    self->stats.n_bytes -= bytes_of(record->topic_len, record->payload_len);
    if (seq >= self->next_seq)
        self->n_pending--;
    release_block(self, record->block);
    while (self->first_seq < self->end_seq && !*slot_of(self, self->first_seq))
        self->first_seq++;
    if (self->next_seq < self->first_seq)
        self->next_seq = self->first_seq;
    if (self->n_ring > RING_MIN && self->end_seq - self->first_seq < self->n_ring / 8 &&
        !resize_ring(self, self->n_ring / 2))
        return; /* stays larger than it needs to be */
}

void gw_outbox_fill_seq(char *payload, size_t payload_len, uint32_t seq_at, uint64_t seq)
{
    if (seq_at + (size_t)GW_SEQ_DIGITS > payload_len)
        return;
    for (int k = GW_SEQ_DIGITS - 1; k >= 0; k--, seq /= 10)
        payload[seq_at + (uint32_t)k] =
            seq > 0 || k == GW_SEQ_DIGITS - 1 ? (char)('0' + seq % 10) : ' ';
}

/* ---- the interface ---------------------------------------------------------------------------------- */

static void count_drop(struct memory_outbox *self, enum gw_drop reason)
{
    self->stats.n_dropped++;
    self->stats.n_dropped_by[reason]++;
}

/* Makes room for a message by the policy. The slots are bounded too: one message that is never acknowledged would
 * otherwise keep a slot for each one after it. */
static bool make_room(struct memory_outbox *self, uint64_t n_bytes)
{
    uint64_t max_slots = self->max_bytes / OVERHEAD_BYTES * 2 + RING_MIN;

    while (self->stats.n_bytes + n_bytes > self->max_bytes ||
           self->end_seq - self->first_seq >= max_slots) {
        if (self->drop_newest)
            return false;
        count_drop(self, GW_DROP_FULL);
        forget(self, self->first_seq);
    }
    return true;
}

static enum gw_err store(struct memory_outbox *self, const struct gw_message *message,
                         size_t topic_len)
{
    struct record *record;
    char *text;

    if (self->end_seq - self->first_seq == self->n_ring && !resize_ring(self, self->n_ring * 2))
        return GW_E_NOMEM;
    record = new_record(self, sizeof *record + topic_len + 1 + message->payload_len +
                                  message->correlation_len);
    if (!record)
        return GW_E_NOMEM;
    record->acquired_wall_ms = message->acquired_wall_ms;
    record->expires_wall_ms = message->expires_wall_ms;
    record->correlation_len = (uint8_t)message->correlation_len;
    record->payload_len = message->payload_len;
    record->topic_len = (uint32_t)topic_len;
    record->qos = (uint8_t)message->qos;
    record->kind = (uint8_t)message->kind;
    record->retain = message->retain;
    text = (char *)(record + 1);
    memcpy(text, message->topic, topic_len + 1);
    if (message->payload_len > 0)
        memcpy(text + topic_len + 1, message->payload, message->payload_len);
    for (size_t i = 0; i < message->n_seq_at; i++)
        gw_outbox_fill_seq(text + topic_len + 1, message->payload_len, message->seq_at[i],
                           self->end_seq);
    if (message->correlation_len > 0)
        memcpy(text + topic_len + 1 + message->payload_len, message->correlation,
               message->correlation_len);
    *slot_of(self, self->end_seq++) = record;
    return GW_OK;
}

static enum gw_err memory_put(struct gw_outbox *outbox, const struct gw_message *message)
{
    struct memory_outbox *self = self_of(outbox);
    size_t topic_len = strlen(message->topic);
    uint64_t n_bytes = bytes_of(topic_len, message->payload_len);
    bool fits = message->correlation_len <= GW_CORRELATION_MAX && topic_len <= UINT16_MAX &&
                message->payload_len <= self->max_bytes && n_bytes <= self->max_bytes;
    bool has_to_wake = false;
    enum gw_err err = GW_E_FULL;

    pthread_mutex_lock(&self->mutex);
    self->stats.n_put++;
    if (fits && make_room(self, n_bytes))
        err = store(self, message, topic_len);
    if (err == GW_OK) {
        self->stats.n_messages++;
        self->stats.n_bytes += n_bytes;
        has_to_wake = self->n_pending++ == 0;
    } else {
        count_drop(self, !fits               ? GW_DROP_TOO_LARGE
                         : err == GW_E_NOMEM ? GW_DROP_NO_MEMORY
                                             : GW_DROP_FULL);
    }
    /* Under the mutex: the consumer that finds the message has read the descriptor before, or finds it readable. */
    if (has_to_wake)
        (void)!write(self->base.event_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_mutex_unlock(&self->mutex);
    return err;
}

static enum gw_err memory_next(struct gw_outbox *outbox, struct gw_message *ret_message)
{
    struct memory_outbox *self = self_of(outbox);
    enum gw_err err = GW_E_CLOSED;

    pthread_mutex_lock(&self->mutex);
    if (self->lent) {
        release_block(self, self->lent);
        self->lent = NULL;
    }
    if (self->n_pending > 0) {
        while (!*slot_of(self, self->next_seq))
            self->next_seq++;
        const struct record *record = *slot_of(self, self->next_seq);
        const char *text = (const char *)(record + 1);

        *ret_message = (struct gw_message){
            .topic = text,
            .payload = text + record->topic_len + 1,
            .payload_len = record->payload_len,
            .qos = record->qos,
            .retain = record->retain,
            .kind = record->kind,
            .acquired_wall_ms = record->acquired_wall_ms,
            .expires_wall_ms = record->expires_wall_ms,
            .correlation = text + record->topic_len + 1 + record->payload_len,
            .correlation_len = record->correlation_len,
            .seq = self->next_seq,
        };
        self->lent = record->block;
        self->lent->n_live++;
        self->next_seq++;
        self->n_pending--;
        if (self->given_end_seq < self->next_seq)
            self->given_end_seq = self->next_seq;
        err = GW_OK;
    }
    pthread_mutex_unlock(&self->mutex);
    return err;
}

static void memory_ack(struct gw_outbox *outbox, uint64_t seq)
{
    struct memory_outbox *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    if (seq >= self->first_seq && seq < self->given_end_seq && *slot_of(self, seq)) {
        forget(self, seq);
        self->stats.n_acked++;
    }
    pthread_mutex_unlock(&self->mutex);
}

static void memory_drop(struct gw_outbox *outbox, uint64_t seq, enum gw_drop reason)
{
    struct memory_outbox *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    if (seq >= self->first_seq && seq < self->given_end_seq && *slot_of(self, seq)) {
        forget(self, seq);
        count_drop(self, reason);
    }
    pthread_mutex_unlock(&self->mutex);
}

static void memory_rewind(struct gw_outbox *outbox)
{
    struct memory_outbox *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    self->next_seq = self->first_seq;
    self->n_pending = self->stats.n_messages;
    pthread_mutex_unlock(&self->mutex);
}

static void memory_stats(struct gw_outbox *outbox, struct gw_outbox_stats *ret_stats)
{
    struct memory_outbox *self = self_of(outbox);

    pthread_mutex_lock(&self->mutex);
    *ret_stats = self->stats;
    ret_stats->n_memory_bytes = self->stats.n_bytes;
    if (self->stats.n_messages > 0)
        ret_stats->oldest_wall_ms = (*slot_of(self, self->first_seq))->acquired_wall_ms;
    pthread_mutex_unlock(&self->mutex);
}

static void memory_free(struct gw_outbox *outbox)
{
    struct memory_outbox *self = self_of(outbox);

    if (self->lent)
        release_block(self, self->lent);
    while (self->stats.n_messages > 0)
        forget(self, self->first_seq);
    if (self->tail)
        munmap(self->tail, self->tail->size);
    pthread_mutex_destroy(&self->mutex);
    close(self->base.event_fd);
    free(self->ring);
    free(self);
}

static void memory_configure(struct gw_outbox *outbox, const struct gw_buffer_conf *conf)
{
    struct memory_outbox *self = (struct memory_outbox *)(void *)outbox;

    pthread_mutex_lock(&self->mutex);
    self->max_bytes = (uint64_t)conf->max_bytes;
    self->drop_newest = conf->drop_newest;
    pthread_mutex_unlock(&self->mutex);
}

struct gw_outbox *gw_outbox_memory_new(uint64_t max_bytes, bool drop_newest, uint64_t first_seq)
{
    static const struct gw_outbox_ops ops = {
        .put = memory_put,
        .next = memory_next,
        .ack = memory_ack,
        .drop = memory_drop,
        .rewind = memory_rewind,
        .stats = memory_stats,
        .configure = memory_configure,
        .free = memory_free,
    };
    struct memory_outbox *self = calloc(1, sizeof *self);

    if (!self)
        return NULL;
    self->base.ops = &ops;
    self->max_bytes = max_bytes;
    self->drop_newest = drop_newest;
    self->first_seq = self->end_seq = self->next_seq = self->given_end_seq = first_seq;
    self->base.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->ring = calloc(RING_MIN, sizeof(struct record *));
    self->n_ring = RING_MIN;
    if (self->base.event_fd < 0 || !self->ring || pthread_mutex_init(&self->mutex, NULL) != 0) {
        if (self->base.event_fd >= 0)
            close(self->base.event_fd);
        free(self->ring);
        free(self);
        return NULL;
    }
    return &self->base;
}
