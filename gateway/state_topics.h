/* state_topics: the state of every bus and device as retained messages, for who watches the plant through the broker.
 * Only the latest counts: nothing is said while the broker is away, everything anew with each connection. Main thread. */
#ifndef GW_STATE_TOPICS_H
#define GW_STATE_TOPICS_H

#include "gateway/board.h"

struct gw_state_topics;

/* NULL when memory is out. Owns: board and outbox are borrowed. */
struct gw_state_topics *gw_state_topics_new(struct gw_board *board, struct gw_outbox *outbox);
void gw_state_topics_free(struct gw_state_topics *topics);

/* Says what changed since the last time; to be called once a second. state_topic is the gateway's; the others stand
 * beside it: what ends in "/state" without that, then "/BUS/state", "/BUS/DEVICE/state" and the same with "status".
 * What is gone, or all when is_wanted is false, is cleared. */
void gw_state_topics_look(struct gw_state_topics *topics, const char *state_topic, bool is_wanted);
/* How the outbox does, as JSON on "/outbox" every 10 s, and at once when it can or cannot use its disk. Once a second. */
void gw_state_topics_outbox(struct gw_state_topics *topics, const struct gw_outbox_stats *stats);
/* The configuration was loaded again, or refused with these sentences: the topic ".../reload". */
void gw_state_topics_reloaded(struct gw_state_topics *topics, const char *state_topic,
                              const char *json);

#endif
