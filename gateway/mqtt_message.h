/* mqtt_message: a message that came from the broker, as it is handed from the client library's thread to whoever acts on
 * it. A plain value without pointers; what does not fit is not cut silently but marked. */
#ifndef GW_MQTT_MESSAGE_H
#define GW_MQTT_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/outbox.h"

enum {
    GW_MQTT_PAYLOAD_MAX = 4096, /* bytes of a payload that are kept */
    GW_MQTT_USER_MAX = 512,     /* bytes of all user properties, as name=value; ... */
    GW_MQTT_MESSAGES_MAX = 128, /* that may wait */
};

struct gw_mqtt_message {
    int64_t received_us, received_wall_ms;
    uint32_t expiry_s; /* left of its life when it was handed out, MQTT 5; UINT32_MAX: no end */
    bool is_retained;
    bool is_incomplete;      /* topic, Response Topic or Correlation Data did not fit */
    uint8_t correlation_len; /* MQTT 5 Correlation Data */
    uint32_t payload_len;    /* more than GW_MQTT_PAYLOAD_MAX: only so many bytes are there */
    char topic[GW_TOPIC_MAX + 1];
    char response_topic[GW_TOPIC_MAX + 1]; /* MQTT 5; empty without one */
    char user[GW_MQTT_USER_MAX];           /* MQTT 5 user properties, for the audit */
    unsigned char correlation[GW_CORRELATION_MAX];
    char payload[GW_MQTT_PAYLOAD_MAX];
};

struct gw_queue;

/* What to subscribe to, and where messages go. */
struct gw_mqtt_subscription {
    const char *const *topics; /* exact ones, without wildcards */
    size_t n_topics;
    struct gw_queue
        *messages; /* of struct gw_mqtt_message; when it is full the message is lost and counted */
};

#endif
