/* outbox: the queue between readings and broker, behind one interface.
 * Producers are the bus threads; the one consumer is the publisher's thread. A message is kept until the broker has
 * acknowledged it (ack), and given out again after a lost connection (rewind).
 * Every message has a number that grows and is never used again, over restarts too.
 * Bounded: what does not fit is dropped by policy, counted, and told by the caller. */
#ifndef GW_OUTBOX_H
#define GW_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/clock.h"
#include "gateway/config.h"
#include "gateway/err.h"

enum {
    GW_TOPIC_MAX = 256,       /* bytes, without the NUL */
    GW_CORRELATION_MAX = 128, /* bytes */
};

enum gw_message_kind { GW_KIND_READING, GW_KIND_RESULT };

/* A message as it goes to the broker. Text and payload are borrowed for the call. */
struct gw_message {
    const char *topic; /* NUL-terminated */
    const void *payload;
    size_t payload_len;
    int qos;
    bool retain;
    enum gw_message_kind kind;
    int64_t acquired_wall_ms;
    int64_t expires_wall_ms; /* not sent after this time; 0: sent whenever it can be */
    const void *correlation; /* MQTT 5 Correlation Data, at most GW_CORRELATION_MAX bytes */
    size_t correlation_len;
    const uint32_t
        *seq_at;     /* n_seq_at places in the payload that the outbox fills with the number: */
    size_t n_seq_at; /* GW_SEQ_DIGITS bytes each (payload.h), blanks in front */
    uint64_t seq;    /* given by the outbox: grows with each message put, never goes back */
    int64_t left_ms; /* given by the outbox: what is left of the longest age; 0: no limit */
};

/* Why a message is gone that the broker never acknowledged. */
enum gw_drop {
    GW_DROP_FULL,      /* no room, by the policy */
    GW_DROP_EXPIRED,   /* older than max_age, or than its own limit */
    GW_DROP_DAMAGED,   /* its record on disk is not what was written */
    GW_DROP_TOO_LARGE, /* larger than the whole outbox */
    GW_DROP_REFUSED,   /* the broker will never take it */
    GW_DROP_NO_MEMORY,
    GW_DROP_REASONS,
};

/* Writes the number into one such place; payload is the outbox's own copy. */
void gw_outbox_fill_seq(char *payload, size_t payload_len, uint32_t seq_at, uint64_t seq);

struct gw_outbox_stats {
    uint64_t n_messages, n_bytes;       /* held now */
    uint64_t n_put, n_acked, n_dropped; /* since start */
    uint64_t n_dropped_by[GW_DROP_REASONS];
    int64_t oldest_wall_ms;             /* 0 when empty */
    uint64_t n_on_disk, n_memory_bytes; /* of those held */
    uint64_t n_commits, n_rows_written; /* since start */
    bool is_degraded;                   /* should be on disk, and cannot: memory only */
};

struct gw_outbox;

struct gw_outbox_ops {
    /* Takes a copy. GW_E_FULL: this message was dropped (drop-newest, or larger than the whole).
     * GW_OK also when older ones had to go. Never waits for a disk. Thread: any. */
    enum gw_err (*put)(struct gw_outbox *outbox, const struct gw_message *message);
    /* Gives the next message not yet given out, without removing it. Its texts stay valid until the next call of
     * next. GW_E_CLOSED when there is none. Thread: consumer. */
    enum gw_err (*next)(struct gw_outbox *outbox, struct gw_message *ret_message);
    /* The broker has it: forget it. Unknown numbers are ignored. Thread: consumer. */
    void (*ack)(struct gw_outbox *outbox, uint64_t seq);
    /* It will never be sent: forget and count it. Unknown numbers are ignored. Thread: consumer. */
    void (*drop)(struct gw_outbox *outbox, uint64_t seq, enum gw_drop reason);
    /* The connection is lost: all that was given out and not acknowledged will be given out again, in order.
     * Thread: consumer. */
    void (*rewind)(struct gw_outbox *outbox);
    /* There is a connection, or there is none any more (as at the start). NULL: no matter. Thread: consumer. */
    void (*link)(struct gw_outbox *outbox, bool is_up);
    void (*stats)(struct gw_outbox *outbox, struct gw_outbox_stats *ret_stats); /* Thread: any. */
    /* Other settings from now on, as far as gw_outbox_needs_restart does not name them; nothing that is held is lost, unless
     * it does not fit any more. Thread: any. */
    void (*configure)(struct gw_outbox *outbox, const struct gw_buffer_conf *conf);
    /* Begins to save all that is held, since the program ends. NULL: nothing to save. Does not wait. Thread: any. */
    void (*stop)(struct gw_outbox *outbox);
    /* For an end at which something still uses the outbox, so that it cannot be freed: saves what has to be saved, and
     * waits for that, but not for a disk that hangs. NULL: nothing to save. Thread: any. */
    void (*save)(struct gw_outbox *outbox);
    /* Saves what has to be saved, and waits for that. Thread: any, as the last. */
    void (*free)(struct gw_outbox *outbox);
};

struct gw_outbox {
    const struct gw_outbox_ops *ops;
    int event_fd; /* becomes readable when there is something to give out after next found nothing; the consumer
                     reads it (EFD_NONBLOCK) before it calls next */
};

/* Makes an outbox in memory of at most max_bytes (topic + payload + overhead), NULL when memory is out. The memory is taken as it is needed, and given back. */
struct gw_outbox *gw_outbox_memory_new(uint64_t max_bytes, bool drop_newest, uint64_t first_seq);

/* Makes the outbox that the configuration asks for, with what an earlier run left in its file.
 * Errors: GW_E_BUSY, another program has the file; GW_E_NOMEM. A file that cannot be used is no error: the outbox
 *         works in memory, says so in the log, and tries again. */
GW_MUST_CHECK enum gw_err gw_outbox_open(const struct gw_buffer_conf *conf,
                                         const struct gw_clock *clock,
                                         struct gw_outbox **ret_outbox);

/* The keys that differ and take effect with a restart only, in words; NULL: there are none. */
const char *gw_outbox_needs_restart(const struct gw_buffer_conf *now,
                                    const struct gw_buffer_conf *wanted);

static inline void gw_outbox_free(struct gw_outbox *outbox)
{
    if (outbox)
        outbox->ops->free(outbox);
}

#endif
