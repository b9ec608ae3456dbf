/* control_run: the insides of control, shared by the control*.c files only. */
#ifndef GW_CONTROL_RUN_H
#define GW_CONTROL_RUN_H

#include <pthread.h>
#include <stdatomic.h>

#include "gateway/audit.h"
#include "gateway/control.h"
#include "gateway/control_ids.h"
#include "gateway/pulse.h"
#include "gateway/queue.h"
#include "gateway/strmap.h"

enum {
    GW_CONTROL_RESULT_MAX = 16384,
    GW_CONTROL_BATCH = 64, /* messages between two syncs of the ids */
    GW_CONTROL_ARMING = -2,
};

struct gw_bucket {
    double tokens;
    int64_t at_us; /* 0: full */
};

/* What a subscribed topic stands for. */
struct gw_target {
    size_t bus, device;
    int point; /* GW_COMMAND_ONE_DEVICE, GW_CONTROL_ARMING, or the index */
    const char *result_topic;
    struct gw_bucket bucket;
};

/* A value that is written without being asked for. */
struct gw_safe {
    size_t bus, device;
    uint16_t point;
    bool is_on_stop;
    bool is_written, is_under_way;
    int64_t after_us, not_before_us;
};

struct gw_control_job {
    uint64_t ticket; /* 0: free */
    size_t bus, device;
    int point;
    const struct gw_target *target; /* NULL with safe */
    struct gw_safe *safe;           /* NULL for a command */
    bool is_handed_over;
    uint64_t id_key; /* 0: without an id */
    struct gw_mqtt_message message;
    struct gw_command command;
};

struct gw_control {
    const struct gw_config *config;
    const struct gw_commands_conf *conf;
    struct gw_outbox *outbox;
    const struct gw_clock *clock;

    struct gw_strmap topics; /* of struct gw_target */
    struct gw_target *targets;
    size_t n_targets;
    const char **names; /* of the topics */
    struct gw_mqtt_subscription subscription;
    struct gw_bus_orders *buses;
    size_t *n_waiting; /* by bus: handed over and not answered */
    struct gw_queue *answers;

    struct gw_control_job *jobs;
    size_t n_jobs;
    uint64_t last_ticket;
    struct gw_mqtt_message message; /* the one at hand */
    struct gw_command command;
    struct gw_bus_answer answer;
    char result[GW_CONTROL_RESULT_MAX], line[3 * GW_CONTROL_RESULT_MAX];

    struct gw_bucket bucket, log_bucket;
    uint64_t n_unlogged;
    int64_t armed_until_us;
    struct gw_ids *ids;
    struct gw_audit *audit;
    bool is_audit_bad, is_ids_bad; /* told */

    struct gw_safe *safes;
    size_t n_safes;
    atomic_bool is_online;
    int64_t offline_since_us; /* 0: it is there */
    bool is_stopping;         /* the thread's own */
    bool owns_queues;
    struct gw_queue **own; /* orders for buses that brought none */
    size_t n_own_lines;

    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t ended;  /* on the monotonic clock */
    bool has_ended;
    struct gw_pulse pulse;
    int stop_fd;
    atomic_bool wants_stop, keeps_still; /* keeps_still: on_stop values are not written */
    int64_t stop_by_us;
};

/* Takes a token when there is one. A rate of 0: always. */
bool gw_bucket_take(struct gw_bucket *bucket, const struct gw_rate *rate, int64_t now_us);

/* control_decide.c: a message becomes a job, or is answered. */
void gw_control_decide(struct gw_control *control);
/* Hands over the jobs that were made since the last time, their ids being on disk. */
void gw_control_hand_over(struct gw_control *control);
/* NULL: too many are under way. */
struct gw_control_job *gw_control_new_job(struct gw_control *control, size_t bus);

/* control_answer.c: results, audit, log. */
/* Answers a message that did not become a job; id and values are those of control->command. */
void gw_control_refuse(struct gw_control *control, const struct gw_target *target,
                       enum gw_command_code code, const char *why);
/* Publishes the result of an earlier command of the same id again. */
void gw_control_repeat(struct gw_control *control, const struct gw_target *target,
                       const struct gw_id *id);
/* Publishes what became of a job and frees it. */
void gw_control_end(struct gw_control *control, struct gw_control_job *job,
                    const struct gw_bus_answer *answer);
void gw_control_accepted(struct gw_control *control, const struct gw_control_job *job);
void gw_control_armed(struct gw_control *control, const struct gw_target *target, bool is_good);

/* control_safe.c: values that are written when the broker is away, or at the stop. */
GW_MUST_CHECK enum gw_err gw_control_safes_init(struct gw_control *control);
/* Gives when to look again. */
int64_t gw_control_safes_look(struct gw_control *control, int64_t now_us);
void gw_control_safe_done(struct gw_control *control, struct gw_safe *safe, bool is_good);
bool gw_control_safes_left(const struct gw_control *control);

#endif
