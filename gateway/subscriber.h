/* subscriber: what a session is subscribed to: asked for at each connection, and changed while one is there. */
#ifndef GW_SUBSCRIBER_H
#define GW_SUBSCRIBER_H

#include "gateway/mqtt.h"

struct gw_topics; /* a list of its own, in one block: free(3) */

/* Copies the topics. NULL: memory is out. */
struct gw_topics *gw_topics_copy(const char *const *topics, size_t n_topics);

/* Zeroed: no topics. */
struct gw_subscriber {
    struct gw_topics *topics;
};

void gw_subscriber_done(struct gw_subscriber *subscriber);

/* Subscribes to all, at a new connection. GW_E_LINK: it is not there any more. */
GW_MUST_CHECK enum gw_err gw_subscriber_ask(struct gw_subscriber *subscriber, struct gw_mqtt *mqtt);

/* Takes other topics in their place, and tells the broker what is new and what is gone, nothing else: a topic that stays
 * misses no message. mqtt: NULL without a connection.
 * Owns:   topics are taken over.
 * Errors: GW_E_LINK: the connection is not there any more; the next one asks for all. */
GW_MUST_CHECK enum gw_err gw_subscriber_change(struct gw_subscriber *subscriber,
                                               struct gw_topics *topics, struct gw_mqtt *mqtt);

/* Logs what the broker refused of the topics asked for last. */
void gw_subscriber_tell(const struct gw_subscriber *subscriber, const struct gw_mqtt_event *event);

#endif
