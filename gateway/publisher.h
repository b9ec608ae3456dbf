/* publisher: one thread that takes messages from the outbox to the broker and keeps the connection.
 * It alone calls the MQTT library (mqtt.h). A message leaves the outbox when the broker has acknowledged it. */
#ifndef GW_PUBLISHER_H
#define GW_PUBLISHER_H

#include "gateway/clock.h"
#include "gateway/config.h"
#include "gateway/mqtt_message.h"
#include "gateway/outbox.h"

struct gw_publisher;

struct gw_publisher_stats {
    bool is_connected;
    const char *server; /* of the connection or the last attempt; borrowed from the config */
    uint64_t n_connects, n_sent, n_acked,
        n_refused; /* refused: dropped, the broker or library says never */
    size_t n_in_flight;
};

/* Starts the thread.
 * subscription: what to subscribe to at first, and where messages go at any time; without topics: nothing
 * Errors: GW_E_NOMEM, GW_E_CONFIG (the library refuses the settings; logged).
 * Owns:   conf, outbox, clock and the queue of messages are borrowed until gw_publisher_stop; topics are copied. */
GW_MUST_CHECK enum gw_err gw_publisher_start(const struct gw_mqtt_conf *conf,
                                             const struct gw_mqtt_subscription *subscription,
                                             struct gw_outbox *outbox, const struct gw_clock *clock,
                                             struct gw_publisher **ret_publisher);

/* Subscribes to these topics in place of those before, on the connection that there is; a topic that stays misses nothing.
 * GW_E_NOMEM: those before stay. */
GW_MUST_CHECK enum gw_err gw_publisher_subscribe(struct gw_publisher *publisher,
                                                 const char *const *topics, size_t n_topics);

/* Sends what is left until flush_until_us at most, publishes "offline", disconnects, ends the thread, frees.
 * deadline_us bounds the whole. GW_E_TIMEOUT: the thread hangs in the resolver or the library and is abandoned; it may
 * still touch conf, outbox and clock, so leave them alone and end the process. NULL is fine. */
GW_MUST_CHECK enum gw_err gw_publisher_stop(struct gw_publisher *publisher, int64_t flush_until_us,
                                            int64_t deadline_us);
void gw_publisher_stats(struct gw_publisher *publisher,
                        struct gw_publisher_stats *ret_stats); /* Thread: any. */
/* For how long the thread has been without a sign of life that it should have given; 0: it makes progress. Thread: any. */
int64_t gw_publisher_late_us(const struct gw_publisher *publisher, int64_t now_us);

#endif
