/* control: decides on commands. One thread between the MQTT client's and those of the buses: every message from a set
 * topic is checked, refused or handed to its bus, and answered exactly once.
 *
 * DESIGN: messages come in by one queue, orders go out by one queue for each bus, answers come back by one for all of
 * them. The number of commands under way is bounded for each bus and in all, so that no queue overflows. Results are
 * messages in the outbox: they survive an outage of the broker, with an expiry. Everything is told to the audit. */
#ifndef GW_CONTROL_H
#define GW_CONTROL_H

#include "gateway/bus_command.h"
#include "gateway/clock.h"
#include "gateway/config.h"
#include "gateway/mqtt_message.h"
#include "gateway/outbox.h"

struct gw_control;

enum { GW_CONTROL_JOBS_MAX = 256 }; /* commands under way in all */

/* Queues that live longer than a control, since buses go on when a configuration is loaded again. */
struct gw_control_lines {
    const struct gw_bus_orders *const *buses; /* by bus; NULL: one of its own */
    struct gw_queue *answers;                 /* room for GW_CONTROL_JOBS_MAX + 1 */
    struct gw_queue *messages;                /* of struct gw_mqtt_message */
    struct gw_control *before; /* paused and finished: it goes on from its ids; NULL: the first */
};

/* Makes it, without a thread; a configuration without commands gives NULL and GW_OK. GW_E_NOMEM.
 * Owns: everything is borrowed until gw_control_free. */
GW_MUST_CHECK enum gw_err gw_control_new(const struct gw_config *config, struct gw_outbox *outbox,
                                         const struct gw_clock *clock,
                                         struct gw_control **ret_control);
/* The same with queues that are there already; they are borrowed until gw_control_free. */
GW_MUST_CHECK enum gw_err gw_control_new_on(const struct gw_config *config,
                                            struct gw_outbox *outbox, const struct gw_clock *clock,
                                            const struct gw_control_lines *lines,
                                            struct gw_control **ret_control);
void gw_control_free(struct gw_control *control); /* NULL is fine; the thread has ended before */

/* What the publisher subscribes to, and what a bus takes its orders from. NULL for NULL. */
const struct gw_mqtt_subscription *gw_control_subscription(const struct gw_control *control);
const struct gw_bus_orders *gw_control_orders(const struct gw_control *control, size_t bus);

/* Tells whether the broker is there, for values that are written when it is not. Thread: any. */
void gw_control_set_online(struct gw_control *control, bool is_online);

/* Does all that can be done now; gives when to call again though nothing comes. For tests, and the thread. */
int64_t gw_control_step(struct gw_control *control);

/* Starts the thread. GW_E_NOMEM. */
GW_MUST_CHECK enum gw_err gw_control_start(struct gw_control *control);
/* Refuses further commands, writes what on_stop says, waits for what is under way until deadline_us at the latest (system
 * clock), ends the thread. GW_E_TIMEOUT: it hangs, and nothing may be freed. */
GW_MUST_CHECK enum gw_err gw_control_stop(struct gw_control *control, int64_t deadline_us);
/* The same for a reload: what on_stop says is not written. */
GW_MUST_CHECK enum gw_err gw_control_pause(struct gw_control *control, int64_t deadline_us);
/* After the buses have ended: passes their last answers on; what has none is answered for them. */
void gw_control_finish(struct gw_control *control);

/* For how long the thread has been overdue. Thread: any. */
int64_t gw_control_late_us(const struct gw_control *control, int64_t now_us);

#endif
