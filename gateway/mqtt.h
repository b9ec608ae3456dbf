/* mqtt: one MQTT client as the publisher needs it: connect, send, disconnect, and events to be fetched.
 * It hides the client library with its threads, callbacks and globals. It retries nothing, keeps no message and logs
 * nothing. All functions belong to one thread, the publisher's; connect, drop and free may block in the library
 * or the resolver. */
#ifndef GW_MQTT_H
#define GW_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/config.h"
#include "gateway/outbox.h"

struct gw_mqtt;
struct gw_queue;

enum {
    GW_MQTT_SLOT_MAX =
        65000, /* a slot is a number from 1 to this that the caller gives to a message */
    GW_MQTT_CODE_BAD_RETAIN = 0x9a, /* MQTT 5, 2.4 reason codes */
    GW_MQTT_CODE_QUOTA = 0x97,
    GW_MQTT_CODE_TAKEN_OVER = 0x8e,
};

/* Why there is no connection. */
enum gw_mqtt_why {
    GW_MQTT_WHY_NONE,
    GW_MQTT_WHY_CODE,         /* the broker says why: event.code */
    GW_MQTT_WHY_UNKNOWN_HOST, /* detail: the resolver's words */
    GW_MQTT_WHY_NO_LISTENER,  /* the host refuses the connection */
    GW_MQTT_WHY_UNREACHABLE,  /* detail: the system's words */
    GW_MQTT_WHY_TIMEOUT,      /* no answer, or not a complete one, within connect_timeout */
    GW_MQTT_WHY_CLOSED,       /* the other side closed the connection, or it broke */
    GW_MQTT_WHY_CERTIFICATE,  /* the broker's certificate is not accepted; detail: why */
    GW_MQTT_WHY_TLS,          /* detail: the TLS library's words */
    GW_MQTT_WHY_FILE,         /* a file of tls: cannot be used; detail: which and why */
    GW_MQTT_WHY_LIBRARY,      /* the client library refuses; detail: its words */
};

enum gw_mqtt_event_kind {
    GW_MQTT_CONNECTED, /* limits is set */
    GW_MQTT_TRYING, /* the next address of the same server is tried: the time for connecting starts anew */
    GW_MQTT_CONNECT_FAILED, /* why, code */
    GW_MQTT_LOST,           /* why, code: of a connection that was there */
    GW_MQTT_DELIVERED,      /* slot: the broker has acknowledged it; QoS 0: it is written */
    GW_MQTT_REFUSED, /* slot, code: the broker acknowledged with a reason >= 0x80 (MQTT 5 only) */
    GW_MQTT_UNDELIVERED,  /* slot: given up by the library, mostly since the connection broke */
    GW_MQTT_DISCONNECTED, /* the disconnect asked for is done */
    GW_MQTT_SUBSCRIBED,   /* n_refused topics with code, the first of them topics[slot] */
    GW_MQTT_OVERRUN,      /* events were lost: nothing is known of the messages under way */
};

/* What the broker allows on this connection. */
struct gw_mqtt_limits {
    uint32_t max_packet;  /* bytes of a whole packet; UINT32_MAX: no limit told */
    uint16_t receive_max; /* messages of QoS 1 and 2 not yet acknowledged; 65535 when not told */
    uint8_t max_qos;      /* 0-2 */
    bool has_retain;
};

struct gw_mqtt_event {
    uint8_t kind, why, code; /* code: CONNACK return code (3.1.1) or MQTT 5 reason code */
    uint16_t slot, n_refused;
    struct gw_mqtt_limits limits;
};

/* Makes a client of these settings, not connected.
 * messages: where messages of subscribed topics go (struct gw_mqtt_message); when it is full they are lost and the log
 *         says so; NULL: nothing is subscribed
 * Owns:   conf and messages are borrowed until gw_mqtt_free.
 * Errors: GW_E_NOMEM; GW_E_CONFIG when the library refuses the settings (the client id, for one). */
GW_MUST_CHECK enum gw_err gw_mqtt_new(const struct gw_mqtt_conf *conf, struct gw_queue *messages,
                                      struct gw_mqtt **ret_mqtt);
void gw_mqtt_free(struct gw_mqtt *mqtt); /* NULL is fine; a connection is dropped */

/* Begins to connect; GW_MQTT_CONNECTED or GW_MQTT_CONNECT_FAILED tells the outcome, as a rule. The last will and
 * "clean start" are part of it. Whatever connection there was is dropped first.
 * server: mqtt://host:port or mqtts://host:port */
void gw_mqtt_connect(struct gw_mqtt *mqtt, const char *server);

/* Hands over a copy of the message. DELIVERED, REFUSED or UNDELIVERED with this slot, or LOST, tells the outcome.
 * Errors: GW_E_FULL and GW_E_NOMEM, not now; GW_E_LINK, not connected; GW_E_REFUSED, this message never. */
GW_MUST_CHECK enum gw_err gw_mqtt_send(struct gw_mqtt *mqtt, const struct gw_message *message,
                                       uint16_t slot);

/* Asks for exact topics, as often as wanted. SUBSCRIBED tells what the broker refuses.
 * Errors: GW_E_LINK, not connected. */
GW_MUST_CHECK enum gw_err gw_mqtt_subscribe(struct gw_mqtt *mqtt, const char *const *topics,
                                            size_t n_topics);
/* Nothing of these topics is wanted any more; what is on its way still comes.
 * Errors: GW_E_LINK, not connected. */
GW_MUST_CHECK enum gw_err gw_mqtt_unsubscribe(struct gw_mqtt *mqtt, const char *const *topics,
                                              size_t n_topics);

/* Ends the connection politely, so that the broker does not publish the last will. */
void gw_mqtt_disconnect(struct gw_mqtt *mqtt);

/* Forgets connection or attempt; no event of it comes any more. */
void gw_mqtt_drop(struct gw_mqtt *mqtt);

/* Becomes readable when there are events; valid until gw_mqtt_free. */
int gw_mqtt_event_fd(const struct gw_mqtt *mqtt);
/* Fetches events, oldest first; 0 when there is none. Call until 0. */
size_t gw_mqtt_events(struct gw_mqtt *mqtt, struct gw_mqtt_event *ret_events, size_t max_events);

/* The detail of the last CONNECT_FAILED; "" without one. Valid until the next call. */
const char *gw_mqtt_detail(struct gw_mqtt *mqtt);

/* Says a code in words: "bad user name or password". Never NULL. Pure. */
const char *gw_mqtt_code_text(unsigned code);

#endif
