/* session: what the publisher does with its connections, one after the other: which server and when, birth and last
 * words, the window of messages under way, what is refused for good, and what is said about it in the log.
 * Has no thread and does not wait: it is stepped with events and the time. */
#ifndef GW_SESSION_H
#define GW_SESSION_H

#include "gateway/clock.h"
#include "gateway/mqtt.h"
#include "gateway/publisher.h"

struct gw_session;
struct gw_topics;

/* Makes a session that is not connected; the first step connects. NULL when memory is out.
 * Owns: everything passed is borrowed until gw_session_free. */
struct gw_session *gw_session_new(const struct gw_mqtt_conf *conf, struct gw_mqtt *mqtt,
                                  struct gw_outbox *outbox, const struct gw_clock *clock);
void gw_session_free(struct gw_session *session);

/* Takes in what the client tells. Takes no action: the next step does. */
void gw_session_handle(struct gw_session *session, const struct gw_mqtt_event *event);
/* The outbox has something to give out again. */
void gw_session_wake(struct gw_session *session);
/* Takes other topics to be subscribed to (subscriber.h), now if there is a connection, and at each one that comes.
 * Owns: topics are taken over. */
void gw_session_subscribe(struct gw_session *session, struct gw_topics *topics);
/* Ends: sends what is left until flush_until_us at most, says "offline", disconnects; is done at deadline_us at the
 * latest, whatever state that is. */
void gw_session_stop(struct gw_session *session, int64_t flush_until_us, int64_t deadline_us);

/* Does what is due now. Gives the time at which to call again though nothing happens; INT64_MAX: none. */
int64_t gw_session_step(struct gw_session *session);

/* Nothing is gained by waiting a moment for more events: connecting, stopping, or the window is half full. */
bool gw_session_is_urgent(const struct gw_session *session);
bool gw_session_is_done(const struct gw_session *session);
void gw_session_stats(const struct gw_session *session, struct gw_publisher_stats *ret_stats);

#endif
