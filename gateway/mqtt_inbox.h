/* mqtt_inbox: brings the events of a client library's threads to the thread that uses the client.
 * A callback gets an integer (client, connection, slot) dressed as a pointer: it may come late, when what a real
 * pointer points to is gone. Events of an earlier connection are dropped. */
#ifndef GW_MQTT_INBOX_H
#define GW_MQTT_INBOX_H

#include "gateway/mqtt.h"
#include "gateway/mqtt_message.h"

struct gw_inbox;

/* Makes an inbox for so many events at once; NULL when memory is out, or 16 exist already. */
struct gw_inbox *gw_inbox_new(size_t max_events);
void gw_inbox_free(struct gw_inbox *inbox);

/* What a callback of the present connection and this slot (0: none) gets as its context. */
void *gw_inbox_context(const struct gw_inbox *inbox, uint16_t slot);
uint16_t gw_inbox_slot(const void *context);

/* Adds an event. When the inbox is full it is lost, and the next take tells GW_MQTT_OVERRUN. Thread: any. */
void gw_inbox_post(void *context, struct gw_mqtt_event event);

/* Where messages from the broker go; NULL: nowhere. */
void gw_inbox_set_messages(struct gw_inbox *inbox, struct gw_queue *messages);
/* Hands a message over; when the queue is full it is lost, and the log says so once. Thread: any. */
void gw_inbox_deliver(void *context, const struct gw_mqtt_message *message);

/* Keeps a text about the connection. The first one stays: later ones tell of the consequences. Thread: any. */
void gw_inbox_note(void *context, const char *text, size_t len);
const char *gw_inbox_noted(struct gw_inbox *inbox); /* "" without one; valid until the next call */

/* Fetches events of the present connection, oldest first; 0 when there is none. */
size_t gw_inbox_take(struct gw_inbox *inbox, struct gw_mqtt_event *ret_events, size_t max_events);

/* Begins another connection: events and texts of the one before are forgotten, also those still to come. */
void gw_inbox_renew(struct gw_inbox *inbox);

int gw_inbox_fd(const struct gw_inbox *inbox);

#endif
