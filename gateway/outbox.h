/* outbox: the queue between readings and broker, behind one interface.
 * Producers are the bus threads; the one consumer is the publisher's thread. A message is kept until the broker has
 * acknowledged it (ack), and given out again after a lost connection (rewind).
 * Bounded: what does not fit is dropped by policy, counted, and told by the caller. */
#ifndef GW_OUTBOX_H
#define GW_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/err.h"

enum {
    GW_TOPIC_MAX = 256,       /* bytes, without the NUL */
    GW_CORRELATION_MAX = 128, /* bytes */
};

/* A message as it goes to the broker. Text and payload are borrowed for the call. */
struct gw_message {
    const char *topic; /* NUL-terminated */
    const void *payload;
    size_t payload_len;
    int qos;
    bool retain;
    int64_t acquired_wall_ms;
    int64_t expires_wall_ms; /* not sent after this time; 0: sent whenever it can be */
    const void *correlation; /* MQTT 5 Correlation Data, at most GW_CORRELATION_MAX bytes */
    size_t correlation_len;
    uint64_t seq; /* given by the outbox: grows by one for each message put, never goes back */
};

struct gw_outbox_stats {
    uint64_t n_messages, n_bytes;       /* held now */
    uint64_t n_put, n_acked, n_dropped; /* since start */
    int64_t oldest_wall_ms;             /* 0 when empty */
};

struct gw_outbox;

struct gw_outbox_ops {
    /* Takes a copy. GW_E_FULL: this message was dropped (drop-newest, or larger than the whole).
     * GW_OK also when older ones had to go. Thread: any. */
    enum gw_err (*put)(struct gw_outbox *outbox, const struct gw_message *message);
    /* Gives the next message not yet given out, without removing it. Its texts stay valid until the next call of
     * next. GW_E_CLOSED when there is none. Thread: consumer. */
    enum gw_err (*next)(struct gw_outbox *outbox, struct gw_message *ret_message);
    /* The broker has it (or refuses it for good): forget it. Unknown numbers are ignored. Thread: consumer. */
    void (*ack)(struct gw_outbox *outbox, uint64_t seq);
    /* The connection is lost: all that was given out and not acknowledged will be given out again, in order. Thread: consumer. */
    void (*rewind)(struct gw_outbox *outbox);
    void (*stats)(struct gw_outbox *outbox, struct gw_outbox_stats *ret_stats); /* Thread: any. */
    void (*free)(struct gw_outbox *outbox);
};

struct gw_outbox {
    const struct gw_outbox_ops *ops;
    int event_fd; /* becomes readable when a message was put into an outbox that had nothing left to give out; the
                     consumer reads it (EFD_NONBLOCK) before it calls next */
};

/* Makes an outbox in memory of at most max_bytes (topic + payload + overhead). NULL when memory is out.
 * The memory is taken as it is needed, and given back. */
struct gw_outbox *gw_outbox_memory_new(uint64_t max_bytes, bool drop_newest);

static inline void gw_outbox_free(struct gw_outbox *outbox)
{
    if (outbox)
        outbox->ops->free(outbox);
}

#endif
