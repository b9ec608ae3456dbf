/* control: its parts, and the thread around them. */
#include "gateway/control_run.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/log.h"

/* ---- targets --------------------------------------------------------------------------------------- */

static void add_target(struct gw_control *control, const char *topic, struct gw_target target)
{
    struct gw_target *own = &control->targets[control->n_targets];

    if (!topic)
        return;
    *own = target;
    *gw_strmap_at(&control->topics, topic) = own;
    control->names[control->n_targets++] = topic;
}

static size_t count_targets(const struct gw_config *config)
{
    size_t n = 1;

    for (size_t b = 0; b < config->n_buses; b++)
        for (size_t d = 0; d < config->buses[b].n_devices; d++)
            n += 1 + config->buses[b].devices[d].n_points;
    return n;
}

static enum gw_err init_targets(struct gw_control *control)
{
    const struct gw_config *config = control->config;
    size_t most = count_targets(config);

    control->targets = calloc(most, sizeof *control->targets);
    control->names = calloc(most, sizeof *control->names);
    if (!control->targets || !control->names)
        return GW_E_NOMEM;
    for (size_t b = 0; b < config->n_buses; b++)
        for (size_t d = 0; d < config->buses[b].n_devices; d++) {
            const struct gw_device_conf *device = &config->buses[b].devices[d];

            add_target(control, device->set_topic,
                       (struct gw_target){.bus = b,
                                          .device = d,
                                          .point = GW_COMMAND_ONE_DEVICE,
                                          .result_topic = device->result_topic});
            for (size_t i = 0; i < device->n_points; i++)
                if (device->points[i].write)
                    add_target(
                        control, device->points[i].write->set_topic,
                        (struct gw_target){.bus = b,
                                           .device = d,
                                           .point = (int)i,
                                           .result_topic = device->points[i].write->result_topic});
        }
    add_target(control, control->conf->arm_topic, (struct gw_target){.point = GW_CONTROL_ARMING});
    return GW_OK;
}

/* ---- making ---------------------------------------------------------------------------------------- */

static enum gw_err init_lines(struct gw_control *control, const struct gw_control_lines *lines)
{
    for (size_t i = 0; i < control->config->n_buses; i++) {
        if (lines && lines->buses[i]) {
            control->buses[i] = *lines->buses[i];
            continue;
        }
        struct gw_queue *orders =
            gw_queue_new(sizeof(struct gw_bus_order), (size_t)control->conf->max_waiting);

        control->own[control->n_own_lines] = orders;
        control->n_own_lines += orders != NULL;
        if (!orders)
            return GW_E_NOMEM;
        control->buses[i] = (struct gw_bus_orders){orders, control->answers};
    }
    return GW_OK;
}

static enum gw_err init_queues(struct gw_control *control, const struct gw_control_lines *lines)
{
    size_t n_buses = control->config->n_buses;

    control->n_jobs = n_buses * (size_t)control->conf->max_waiting;
    if (control->n_jobs > GW_CONTROL_JOBS_MAX)
        control->n_jobs = GW_CONTROL_JOBS_MAX;
    control->jobs = calloc(control->n_jobs + 1, sizeof *control->jobs);
    control->buses = calloc(n_buses + 1, sizeof *control->buses);
    control->n_waiting = calloc(n_buses + 1, sizeof *control->n_waiting);
    control->own = calloc(n_buses + 1, sizeof *control->own);
    control->owns_queues = !lines;
    control->answers =
        lines ? lines->answers : gw_queue_new(sizeof(struct gw_bus_answer), control->n_jobs + 1);
    control->subscription = (struct gw_mqtt_subscription){
        control->names, control->n_targets,
        lines ? lines->messages
              : gw_queue_new(sizeof(struct gw_mqtt_message), GW_MQTT_MESSAGES_MAX)};
    if (!control->jobs || !control->buses || !control->own || !control->n_waiting ||
        !control->answers || !control->subscription.messages)
        return GW_E_NOMEM;
    return init_lines(control, lines);
}

static bool is_same_file(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Goes on where another one stood: a ticket is never given twice, and a command that was written stays known. */
static void inherit(struct gw_control *control, struct gw_control *before)
{
    control->last_ticket = before->last_ticket;
    control->armed_until_us = before->armed_until_us;
    control->offline_since_us = before->offline_since_us;
    atomic_store(&control->is_online, atomic_load(&before->is_online));
    if (!is_same_file(control->conf->ids_file, before->conf->ids_file))
        return;
    control->ids = before->ids;
    control->is_ids_bad = before->is_ids_bad;
    before->ids = NULL;
}

static enum gw_err init_files(struct gw_control *control)
{
    const char *why = NULL;

    if (!control->ids)
        control->ids = gw_ids_new(control->conf->ids_file, &why);
    control->audit = gw_audit_new(control->conf->audit_file, control->conf->audit_max_bytes);
    if (!control->ids || !control->audit)
        return GW_E_NOMEM;
    if (why)
        gw_log(GW_LOG_ERROR, "command",
               "%s cannot be used: %s; ids of commands are forgotten at a restart",
               control->conf->ids_file, why);
    control->is_ids_bad = control->is_ids_bad || why;
    return GW_OK;
}

enum gw_err gw_control_new(const struct gw_config *config, struct gw_outbox *outbox,
                           const struct gw_clock *clock, struct gw_control **ret_control)
{
    return gw_control_new_on(config, outbox, clock, NULL, ret_control);
}

enum gw_err gw_control_new_on(const struct gw_config *config, struct gw_outbox *outbox,
                              const struct gw_clock *clock, const struct gw_control_lines *lines,
                              struct gw_control **ret_control)
{
    struct gw_control *control;
    enum gw_err err;

    *ret_control = NULL;
    if (!config->commands.is_enabled)
        return GW_OK;
    control = calloc(1, sizeof *control);
    if (!control)
        return GW_E_NOMEM;
    control->config = config;
    control->conf = &config->commands;
    control->outbox = outbox;
    control->clock = clock;
    pthread_mutex_init(&control->mutex, NULL);
    gw_cond_init(&control->ended);
    control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    err = control->stop_fd < 0 ? GW_E_NOMEM : init_targets(control);
    if (err == GW_OK)
        err = init_queues(control, lines);
    if (err == GW_OK)
        err = gw_control_safes_init(control);
    if (err == GW_OK && lines && lines->before)
        inherit(control, lines->before);
    if (err == GW_OK)
        err = init_files(control);
    if (err != GW_OK)
        gw_control_free(control);
    else
        *ret_control = control;
    return err;
}

void gw_control_free(struct gw_control *control)
{
    if (!control)
        return;
    for (size_t i = 0; i < control->n_own_lines; i++)
        gw_queue_free(control->own[i]);
    if (control->owns_queues) {
        gw_queue_free(control->answers);
        gw_queue_free(control->subscription.messages);
    }
    gw_strmap_free(&control->topics);
    gw_ids_free(control->ids);
    gw_audit_free(control->audit);
    free(control->targets);
    free(control->names);
    free(control->jobs);
    free(control->buses);
    free(control->own);
    free(control->n_waiting);
    free(control->safes);
    if (control->stop_fd >= 0)
        close(control->stop_fd);
    pthread_cond_destroy(&control->ended);
    pthread_mutex_destroy(&control->mutex);
    free(control);
}

const struct gw_mqtt_subscription *gw_control_subscription(const struct gw_control *control)
{
    return control ? &control->subscription : NULL;
}

const struct gw_bus_orders *gw_control_orders(const struct gw_control *control, size_t bus)
{
    return control ? &control->buses[bus] : NULL;
}

void gw_control_set_online(struct gw_control *control, bool is_online)
{
    if (control)
        atomic_store(&control->is_online, is_online);
}

/* ---- one step -------------------------------------------------------------------------------------- */

static void take_answers(struct gw_control *control)
{
    while (gw_queue_pop(control->answers, &control->answer, 1) == 1)
        for (size_t i = 0; i < control->n_jobs; i++)
            if (control->jobs[i].ticket == control->answer.ticket) {
                gw_control_end(control, &control->jobs[i], &control->answer);
                break;
            }
}

static void sync_ids(struct gw_control *control)
{
    bool is_bad = !gw_ids_sync(control->ids);

    if (is_bad && !control->is_ids_bad)
        gw_log(GW_LOG_ERROR, "command",
               "%s cannot be written; ids of commands are forgotten at a restart",
               control->conf->ids_file);
    control->is_ids_bad = is_bad;
}

/* Takes a batch of messages; false when there are more. */
static bool take_messages(struct gw_control *control)
{
    size_t n = 0;
    bool has_ids = false;

    for (; n < GW_CONTROL_BATCH; n++) {
        if (gw_queue_pop(control->subscription.messages, &control->message, 1) == 0)
            break;
        gw_control_decide(control);
        has_ids = has_ids || control->command.id[0];
    }
    if (has_ids) /* before any of them may reach a device */
        sync_ids(control);
    gw_control_hand_over(control);
    return n < GW_CONTROL_BATCH;
}

int64_t gw_control_step(struct gw_control *control)
{
    int64_t wake_us = gw_control_safes_look(control, gw_now_us(control->clock));

    take_answers(control);
    return take_messages(control) ? wake_us : 0;
}

/* ---- the thread ------------------------------------------------------------------------------------ */

static bool has_jobs(const struct gw_control *control)
{
    for (size_t i = 0; i < control->n_jobs; i++)
        if (control->jobs[i].ticket != 0)
            return true;
    return false;
}

static bool is_over(struct gw_control *control)
{
    eventfd_t n;

    if (!atomic_load(&control->wants_stop))
        return false;
    (void)eventfd_read(control->stop_fd, &n); /* else the wait would end at once each time */
    if (!control->is_stopping) {
        control->is_stopping = true;
        return false; /* one more step begins what on_stop says */
    }
    return gw_now_us(control->clock) >= control->stop_by_us ||
           (!has_jobs(control) && !gw_control_safes_left(control));
}

static void wait(struct gw_control *control, int64_t wake_us)
{
    struct pollfd fds[] = {
        {.fd = control->stop_fd, .events = POLLIN},
        {.fd = gw_queue_fd(control->subscription.messages), .events = POLLIN},
        {.fd = gw_queue_fd(control->answers), .events = POLLIN},
    };
    int64_t left_us;

    if (control->is_stopping && control->stop_by_us < wake_us)
        wake_us = control->stop_by_us;
    left_us = wake_us == INT64_MAX ? 0 : wake_us - gw_now_us(control->clock);
    gw_pulse_wait(&control->pulse, gw_now_us(control->clock), wake_us);
    const struct timespec left = gw_timespec(left_us);
    (void)ppoll(fds, sizeof fds / sizeof fds[0], wake_us == INT64_MAX ? NULL : &left, NULL);
    gw_pulse_work(&control->pulse, gw_now_us(control->clock), GW_PULSE_WORK_US);
}

static void *run(void *arg)
{
    struct gw_control *control = arg;
    int64_t wake_us = 0;

    while (!is_over(control)) {
        wake_us = gw_control_step(control);
        if (!control->is_stopping || has_jobs(control) || gw_control_safes_left(control))
            wait(control, wake_us);
    }
    gw_pulse_wait(&control->pulse, gw_now_us(control->clock), INT64_MAX);
    pthread_mutex_lock(&control->mutex);
    control->has_ended = true;
    pthread_cond_signal(&control->ended);
    pthread_mutex_unlock(&control->mutex);
    return NULL;
}

enum gw_err gw_control_start(struct gw_control *control)
{
    sigset_t all, before;

    gw_pulse_work(&control->pulse, gw_now_us(control->clock), GW_PULSE_WORK_US);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals belong to the main thread */
    const int rc = pthread_create(&control->thread, NULL, run, control);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        pthread_setname_np(control->thread, "control");
    return rc == 0 ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_control_stop(struct gw_control *control, int64_t deadline_us)
{
    const int64_t last_us = deadline_us + 500000; /* to end a step that has begun */
    const struct timespec last = gw_timespec(last_us);
    int rc = 0;

    control->stop_by_us = deadline_us;
    atomic_store(&control->wants_stop, true);
    (void)eventfd_write(control->stop_fd, 1);
    pthread_mutex_lock(&control->mutex);
    while (!control->has_ended && rc == 0)
        rc = pthread_cond_timedwait(&control->ended, &control->mutex, &last);
    const bool has_ended = control->has_ended;
    pthread_mutex_unlock(&control->mutex);
    if (!has_ended)
        return GW_E_TIMEOUT;
    pthread_join(control->thread, NULL);
    return GW_OK;
}

enum gw_err gw_control_pause(struct gw_control *control, int64_t deadline_us)
{
    atomic_store(&control->keeps_still, true);
    return gw_control_stop(control, deadline_us);
}

void gw_control_finish(struct gw_control *control)
{
    struct gw_bus_answer unknown = {.code = GW_COMMAND_UNKNOWN,
                                    .why = "the gateway was stopped before there was an answer"};

    take_answers(control);
    for (size_t i = 0; i < control->n_jobs; i++)
        if (control->jobs[i].ticket != 0)
            gw_control_end(control, &control->jobs[i], &unknown);
}

int64_t gw_control_late_us(const struct gw_control *control, int64_t now_us)
{
    return gw_pulse_late_us(&control->pulse, now_us);
}
