/* bus_run: the insides of a running bus, shared by the bus_*.c files only.
 * The loop is single-stepped by whoever owns it: the thread of bus.c, or a test with a clock turned by hand. */
#ifndef GW_BUS_RUN_H
#define GW_BUS_RUN_H

#include "gateway/bus.h"
#include "gateway/bus_command.h"
#include "gateway/driver_bus.h"
#include "gateway/health.h"
#include "gateway/mapping.h"
#include "gateway/schedule.h"

enum {
    GW_BUS_TEXT_MAX = 1024, /* bytes of a text value that are kept */
    GW_BUS_PLANS_MAX = 16,  /* remembered per device */
    GW_BUS_LABEL_MAX = 160,
};

struct gw_bus_point {
    struct gw_point_state filter;
    struct gw_block block;
    char *
        text; /* GW_BUS_TEXT_MAX bytes that its reading points into; NULL for a point without text */
    int64_t heard_us; /* last; of a link that was down: when it was opened. 0: not yet */
    uint32_t cycle;   /* of the device, in which it was settled last */
    int32_t exp10;    /* of the last good result */
    uint8_t group;  /* the small ones stand together: there is one of this struct for every point */
    bool is_unread; /* written, or perhaps, since it was last read */
    bool is_heard;  /* listen delivers it; never polled */
    bool is_refused;   /* since it was last read */
    bool is_new;       /* is_refused changed and nobody was told yet */
    bool is_too_large; /* its last payload did not fit; told */
};

struct gw_bus_plan {
    uint64_t groups;
    uint32_t epoch; /* of the device when it was made; an older one is void. 0: never made */
    uint32_t used;
    struct gw_plan plan;
};

/* A request still to be run; its members are work_members[first_member ..) of the device. */
struct gw_bus_device {
    const struct gw_device_conf *conf;
    struct gw_device *device;
    char label[GW_BUS_LABEL_MAX]; /* "boiler (rs485-1)" */
    struct gw_bus_point *points;
    struct gw_reading *readings; /* the latest of each point */

    struct gw_schedule schedule;
    bool is_wanted_now;   /* poll everything at once, whatever is due */
    uint64_t lost_groups; /* whose last poll failed: read with the next cycle */
    uint64_t n_lost;      /* polls that failed since the last answer */

    struct gw_health health;
    struct gw_health_limits limits;
    const char *down_reason; /* why it is offline; NULL while it is not */

    /* The cycle that is running. */
    bool is_cycling;
    uint32_t cycle;
    uint64_t cycle_groups;
    uint64_t cycle_polls;
    int64_t deadline_us, served_us, hold_until_us;
    const struct gw_plan *plan;
    uint32_t plan_epoch; /* when it was made */
    size_t next_request;
    struct gw_plan work; /* a stack: the last request is run next */
    unsigned n_busy;     /* answers in a row */
    size_t n_refusals;

    /* The request that failed is asked first next time: a late answer to it is then the right one. */
    struct gw_plan failed; /* one request, or none */
    bool is_failed_pending;
    size_t skip_request; /* of the running cycle's plan: it was asked first; SIZE_MAX: none */

    /* A device may keep silent to one request and answer the others. */
    unsigned n_probes;   /* since it is offline */
    bool is_other_first; /* the running cycle began with another request than the one that failed */
    bool has_answered;   /* since a request was last found to be met with silence */
    bool is_selective;   /* it was found to do so */

    struct gw_bus_plan
        *plans; /* one for each set of groups that may be due together, as far as there is room */
    size_t max_plans;
    uint32_t epoch; /* grows when points are blocked or the driver has learned a hole */
    uint32_t n_plans_used;
    int64_t forget_us; /* when to let the driver forget what was refused; 0: nothing was */
    int64_t stale_us;  /* when the next point that is heard may become stale; INT64_MAX: none may */
    size_t n_heard;    /* points that are heard */
    int64_t silent_since_us; /* all its points that may become stale are; 0: not so */
    bool has_news;           /* some point is_new */
    bool has_bad_plan;       /* told */
    bool wants_message;
    bool is_too_large;
};

enum gw_job_state { GW_JOB_WAITS, GW_JOB_WRITES, GW_JOB_READS, GW_JOB_DONE };

/* A command being carried out. */
struct gw_bus_job {
    enum gw_job_state state;
    struct gw_bus_order order;
    size_t n_written;
    bool has_sent, is_repeated, said_later;
    const char *doubt; /* why nobody knows whether it was written; NULL: it was confirmed */
    int64_t not_before_us, give_up_us;
    size_t next_request; /* of the plan that reads it back */
    unsigned n_failures; /* of that request, in a row */
    int64_t written_wall_ms, verified_wall_ms;
    struct gw_command_values read_back;
};

struct gw_bus_link {
    bool is_open;
    bool is_proven; /* an exchange worked, or at least did not lose the link */
    bool is_down;   /* told, and the points are bad */
    int64_t reopen_us;
    int64_t pause_us;
    int64_t down_since_us;
    uint64_t n_lost;
    uint32_t told[4]; /* hashes of the causes that were logged while it is down */
    size_t n_told;
};

struct gw_bus_loop {
    const struct gw_bus_conf *conf;
    const struct gw_driver *driver;
    struct gw_outbox *outbox;
    const struct gw_clock *clock;
    struct gw_host host;
    struct gw_bus *bus;
    struct gw_bus_device *devices;
    size_t n_devices;
    struct gw_contender *contenders;
    bool last_was_late;
    size_t n_heard; /* points of all devices that are heard: the bus listens when it is idle */

    struct gw_bus_link link;
    int64_t reopen_min_us, reopen_max_us;
    uint64_t random;

    const struct gw_bus_orders *orders; /* NULL: no commands */
    struct gw_bus_job *jobs;            /* in the order of their arrival */
    size_t n_jobs;
    unsigned n_in_a_row; /* exchanges for jobs since the last poll */

    struct gw_plan scratch; /* room for the largest device */
    uint16_t *due;
    struct gw_result *results;
    char *payload;
    size_t payload_size;

    struct gw_bus_stats stats;
    struct gw_view *view; /* borrowed; NULL: nobody looks */
};

/* A new set of devices for a loop; what the loop had before is in it afterwards. */
struct gw_bus_change {
    struct gw_bus_loop *next; /* never opened: its devices are what counts */
    struct gw_view *view;     /* of the new set */
    size_t *
        from; /* by new device: the place of the one that goes on in it; SIZE_MAX: it begins anew */
    size_t *to; /* the same by old device; SIZE_MAX: it goes */
    bool is_taken;
};

/* bus_change.c: other devices for a bus that runs. */

/* conf as in gw_bus_loop_new. from[0..conf->n_devices) is copied; n_before is the number of devices that the bus has.
 * Errors: as gw_bus_loop_new. */
GW_MUST_CHECK enum gw_err gw_bus_change_new(const struct gw_bus_loop *loop,
                                            const struct gw_bus_conf *conf, size_t max_payload,
                                            const size_t *from, size_t n_before,
                                            struct gw_bus_change **ret_change);
/* Frees what is in it. Takes NULL. */
void gw_bus_change_free(struct gw_bus_change *change);
/* Between two steps of the loop. Allocates nothing and cannot fail. */
void gw_bus_loop_change(struct gw_bus_loop *loop, struct gw_bus_change *change);

/* bus_loop.c: the link, and who goes next. */

/* Makes a loop; nothing is opened. wake_fd goes to the driver (-1: none).
 * Errors: GW_E_NOMEM; what gw_driver_bus_new says. Owns: conf, outbox and clock are borrowed. */
GW_MUST_CHECK enum gw_err gw_bus_loop_new(const struct gw_bus_conf *conf, struct gw_outbox *outbox,
                                          const struct gw_clock *clock, size_t max_payload,
                                          int wake_fd, struct gw_bus_loop **ret_loop);
/* Closes the link and frees. Takes NULL. */
void gw_bus_loop_free(struct gw_bus_loop *loop);
void gw_bus_loop_close(struct gw_bus_loop *loop);
/* Does one thing, which may block: opens the link or runs one request. Returns when it wants to be called again
 * (monotonic; in the past: at once). */
int64_t gw_bus_loop_step(struct gw_bus_loop *loop);

/* bus_cycle.c: the poll cycle of a device. */

bool gw_bus_cycle_is_due(const struct gw_bus_device *dev, int64_t now_us);
void gw_bus_cycle_begin(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us);
/* When a device that is idle or held wants to be looked at again. */
int64_t gw_bus_cycle_wake_us(const struct gw_bus_device *dev);
/* Runs the next request of the cycle. GW_E_LINK: the link is gone, the request is still to be done;
 * *ret_reason says why. */
GW_MUST_CHECK enum gw_err gw_bus_cycle_run(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                                           const char **ret_reason);
/* The link is down: ends the cycle, makes all points bad. */
void gw_bus_cycle_abort(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason,
                        int64_t now_us);

/* bus_listen.c: what instruments say unasked. */

/* Counts the points that are heard and where they stand; after the points are made. */
void gw_bus_listen_init(struct gw_bus_loop *loop);
/* The link is open: a point that stays unheard is stale stale_after later. */
void gw_bus_listen_start(const struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us);
/* Waits until until_us at most for one message, and settles what it brings. GW_E_LINK: the link is gone;
 * *ret_reason says why. *ret_wake_us: when to call again (in the past: at once). */
GW_MUST_CHECK enum gw_err gw_bus_listen(struct gw_bus_loop *loop, int64_t until_us,
                                        const char **ret_reason, int64_t *ret_wake_us);
/* Takes what came meanwhile, without waiting: a bus that polls all the time hears as well. */
GW_MUST_CHECK enum gw_err gw_bus_listen_drain(struct gw_bus_loop *loop, const char **ret_reason);
/* Makes points bad that were not heard for too long. */
void gw_bus_listen_expire(struct gw_bus_loop *loop, int64_t now_us);
/* When gw_bus_listen_expire has something to do; INT64_MAX: never. */
int64_t gw_bus_listen_wake_us(const struct gw_bus_loop *loop);
/* The link is down: all points of the device that are heard are bad. */
void gw_bus_listen_abort(struct gw_bus_loop *loop, struct gw_bus_device *dev, const char *reason);

/* Counts an exchange and takes over what it says of the device. Gives the time now. */
int64_t gw_bus_count(struct gw_bus_loop *loop, struct gw_bus_device *dev, enum gw_err err,
                     int64_t asked_us, const struct gw_outcome *outcome);

/* bus_command.c: commands, and which of them is next. */

/* orders is borrowed and may be NULL. GW_E_NOMEM. */
GW_MUST_CHECK enum gw_err gw_bus_commands_init(struct gw_bus_loop *loop,
                                               const struct gw_bus_orders *orders);
/* Takes orders in; answers those that are overtaken, expired, or cannot be carried out now. */
void gw_bus_commands_look(struct gw_bus_loop *loop, int64_t now_us);
/* Is it a command's turn? Asked before every exchange. */
bool gw_bus_commands_want(struct gw_bus_loop *loop, int64_t now_us, bool is_poll_ready);
/* Runs one exchange of the next command. GW_E_LINK as gw_bus_cycle_run. */
GW_MUST_CHECK enum gw_err gw_bus_commands_run(struct gw_bus_loop *loop, const char **ret_reason);
int64_t gw_bus_commands_wake_us(const struct gw_bus_loop *loop);
/* Answers all that is left: the bus ends. */
void gw_bus_commands_abort(struct gw_bus_loop *loop);
/* The same for those of devices that go; the others follow theirs to its new place. */
void gw_bus_commands_change(struct gw_bus_loop *loop, const size_t *to);
void gw_bus_answer(struct gw_bus_loop *loop, struct gw_bus_job *job, enum gw_command_code code,
                   const char *reason, const char *fmt, ...) GW_PRINTF(5, 6);

/* bus_write.c: one command, exchange by exchange. */

GW_MUST_CHECK enum gw_err gw_bus_job_run(struct gw_bus_loop *loop, struct gw_bus_job *job,
                                         const char **ret_reason);
/* Answers a job that has begun and cannot be ended. */
void gw_bus_job_give_up(struct gw_bus_loop *loop, struct gw_bus_job *job, const char *reason);

/* bus_plan.c: plans remembered, and the stack of requests. */

/* Gives the plan of what is due in the given groups, not counting blocked points. NULL with *ret_err GW_OK: nothing is. */
const struct gw_plan *gw_bus_plan_get(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                                      uint64_t groups, enum gw_err *ret_err);
/* After the points have their groups. False: no memory. */
GW_MUST_CHECK bool gw_bus_plans_init(struct gw_bus_device *dev);
void gw_bus_plans_done(struct gw_bus_device *dev);
/* Puts a request on top. False: no memory, nothing was changed. */
GW_MUST_CHECK bool gw_bus_work_push(struct gw_plan *work, const struct gw_request *request,
                                    const uint16_t *members);
/* Puts the requests of a plan on top so that they are run in its order. False: no memory, nothing was changed. */
GW_MUST_CHECK bool gw_bus_work_push_all(struct gw_plan *work, const struct gw_plan *plan);
/* The same in place of the one on top. */
GW_MUST_CHECK bool gw_bus_work_replace_top(struct gw_plan *work, const struct gw_plan *plan);
void gw_bus_work_pop(struct gw_plan *work);
/* The members of the request on top. */
const uint16_t *gw_bus_work_members(const struct gw_plan *work);
bool gw_bus_work_is_same(const struct gw_request *a, const uint16_t *a_members,
                         const struct gw_request *b, const uint16_t *b_members);

/* bus_probe.c: what is asked before the plan, and what silence means. */

/* Puts the request that failed last on the stack, if one did; see the DESIGN of bus_probe.c for what goes on top. */
void gw_bus_probe_push_first(struct gw_bus_loop *loop, struct gw_bus_device *dev);
/* Does the device answer other requests, but not the one on top? */
bool gw_bus_probe_is_ignored(const struct gw_bus_device *dev);

/* bus_readings.c: readings to messages. */

/* Keeps a reading of a point and publishes it if it is worth it.
 * once: a bad reading that says what was published already is not published again. */
void gw_bus_settle(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                   const struct gw_reading *reading, bool once);
/* Keeps a reading and publishes it whatever the filter says. */
void gw_bus_settle_now(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                       const struct gw_reading *reading);
/* The same as settle with a bad reading. */
void gw_bus_settle_bad(struct gw_bus_loop *loop, struct gw_bus_device *dev, size_t index,
                       const char *reason);
/* Publishes the device's message if one of its points asked for it. */
void gw_bus_flush(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us);

/* bus_tell.c: what is said in the log. */

void gw_bus_tell_offline(const struct gw_bus_device *dev, int64_t now_us);
void gw_bus_tell_online(const struct gw_bus_device *dev, int64_t failing_since_us, int64_t now_us);
void gw_bus_tell_silent(const struct gw_bus_device *dev, int64_t stale_after_us);
void gw_bus_tell_heard(const struct gw_bus_device *dev, int64_t now_us);
void gw_bus_tell_points(struct gw_bus_device *dev);
void gw_bus_tell_bad_plan(const struct gw_bus_device *dev, enum gw_err err);
void gw_bus_tell_link_down(struct gw_bus_loop *loop, const char *cause);
void gw_bus_tell_link_up(const struct gw_bus_loop *loop, int64_t now_us);

#endif
