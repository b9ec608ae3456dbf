/* delivery: takes messages from the outbox to the broker over the present connection, within what the broker allows.
 * Knows what is under way, what is acknowledged, and which messages the broker will never take; those are dropped
 * and told. Does not know how a connection comes about. */
#ifndef GW_DELIVERY_H
#define GW_DELIVERY_H

#include "gateway/clock.h"
#include "gateway/mqtt.h"
#include "gateway/pace.h"
#include "gateway/window.h"

enum { GW_DELIVERY_TOLD_MAX = 64 };

struct gw_delivery {
    const struct gw_mqtt_conf *conf;
    struct gw_mqtt *mqtt;
    struct gw_outbox *outbox;
    const struct gw_clock *clock;
    struct gw_window window;
    struct gw_pace pace;
    struct gw_mqtt_limits limits; /* of the present connection */
    bool has_more;                /* the outbox may have something to give out */
    bool has_pending;             /* given out by the outbox, not yet taken by the client */
    struct gw_message pending;
    int64_t retry_us;
    int64_t not_before_us; /* nothing is sent before */
    bool is_held; /* over quota: rewinds when nothing is under way any more, then goes on */
    bool is_state_pending; /* the state message is under way */
    bool is_proven;        /* the broker has acknowledged something on this connection */
    bool has_progress;     /* ... a message of the outbox, with QoS 1 or 2 */
    int64_t last_sent_us, last_answer_us;
    uint64_t last_seq;
    unsigned n_barren; /* connections in a row that broke without progress */
    uint64_t suspect_seq, banned_seq;
    unsigned n_suspected;
    uint64_t n_sent, n_acked, n_refused;
    uint32_t told[GW_DELIVERY_TOLD_MAX]; /* hashes of topic and reason that the log has seen */
    size_t n_told;
};

bool gw_delivery_init(struct gw_delivery *delivery, const struct gw_mqtt_conf *conf,
                      struct gw_mqtt *mqtt, struct gw_outbox *outbox, const struct gw_clock *clock);
void gw_delivery_done(struct gw_delivery *delivery);

/* A connection is there. */
void gw_delivery_begin(struct gw_delivery *delivery, const struct gw_mqtt_limits *limits);
/* It is gone: what was not acknowledged will be sent again. */
void gw_delivery_end(struct gw_delivery *delivery);

/* Publishes a word on the state topic, retained, QoS 1. */
void gw_delivery_say(struct gw_delivery *delivery, const char *word);

/* Sends what the window allows. GW_E_LINK: the connection is not there any more. */
GW_MUST_CHECK enum gw_err gw_delivery_pump(struct gw_delivery *delivery);

/* Takes in DELIVERED and REFUSED. */
void gw_delivery_handle(struct gw_delivery *delivery, const struct gw_mqtt_event *event);

/* When to pump again though nothing happens; INT64_MAX: none. */
int64_t gw_delivery_due_us(const struct gw_delivery *delivery);
/* Since when the broker owes an answer; INT64_MAX: it does not. */
int64_t gw_delivery_owed_since_us(const struct gw_delivery *delivery);
/* Nothing is left to send and nothing under way. */
bool gw_delivery_is_idle(const struct gw_delivery *delivery);
/* One more message can be under way. */
bool gw_delivery_has_room(const struct gw_delivery *delivery);
bool gw_delivery_is_half_full(const struct gw_delivery *delivery);

#endif
