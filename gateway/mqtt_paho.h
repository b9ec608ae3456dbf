/* mqtt_paho: what the mqtt_paho*.c files share. The only header that knows Eclipse Paho. */
#ifndef GW_MQTT_PAHO_H
#define GW_MQTT_PAHO_H

#include <MQTTAsync.h>

#include "gateway/mqtt_inbox.h"

/* Paho's callback for a message of a subscription: copies it into the inbox. On Paho's thread. */
int gw_paho_on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message);

/* Asks for all topics, so many in a packet. The answers come as GW_MQTT_SUBSCRIBED. GW_E_LINK: not connected. */
GW_MUST_CHECK enum gw_err gw_paho_subscribe(MQTTAsync handle, bool is_v5,
                                            const struct gw_inbox *inbox, const char *const *topics,
                                            size_t n_topics);
/* The other way round, without an answer. GW_E_LINK: not connected. */
GW_MUST_CHECK enum gw_err gw_paho_unsubscribe(MQTTAsync handle, const char *const *topics,
                                              size_t n_topics);

/* Adds the MQTT 5 properties of a message to be sent; MQTTProperties_free afterwards. */
void gw_paho_add_properties(MQTTProperties *properties, const struct gw_message *message,
                            int64_t wall_ms);

/* What the broker allows, of its answer to CONNECT; what it does not tell is as MQTT 5 says, 3.2.2.3. */
struct gw_mqtt_limits gw_paho_limits(MQTTProperties *have);

enum {
    GW_PAHO_NO_MEMORY = -99
}; /* PAHO_MEMORY_ERROR, which the library returns but its header does not name */

/* What its return code means for a message handed over. */
enum gw_err gw_paho_result(int rc);

#endif
