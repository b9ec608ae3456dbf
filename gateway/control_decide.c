/* control_decide: may this command be written? The checks go from what is certain to what depends on the moment; the
 * first that fails is the answer, and only what passed all of them becomes a job. */
#include "gateway/control_run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool gw_bucket_take(struct gw_bucket *bucket, const struct gw_rate *rate, int64_t now_us)
{
    if (!(rate->per_s > 0))
        return true;
    if (bucket->at_us == 0)
        bucket->tokens = rate->burst;
    else
        bucket->tokens += (double)(now_us - bucket->at_us) / 1e6 * rate->per_s;
    if (bucket->tokens > rate->burst)
        bucket->tokens = rate->burst;
    bucket->at_us = now_us;
    if (bucket->tokens < 1)
        return false;
    bucket->tokens -= 1;
    return true;
}

struct gw_control_job *gw_control_new_job(struct gw_control *control, size_t bus)
{
    if (control->n_waiting[bus] >= (size_t)control->conf->max_waiting)
        return NULL;
    for (size_t i = 0; i < control->n_jobs; i++) {
        struct gw_control_job *job = &control->jobs[i];

        if (job->ticket != 0)
            continue;
        job->ticket = ++control->last_ticket;
        job->bus = bus;
        job->target = NULL;
        job->safe = NULL;
        job->is_handed_over = false;
        job->id_key = 0;
        control->n_waiting[bus]++;
        return job;
    }
    return NULL;
}

/* ---- checks ---------------------------------------------------------------------------------------- */

static bool is_locked(const struct gw_control *control)
{
    return control->conf->lock_file && access(control->conf->lock_file, F_OK) == 0;
}

static bool is_expired(const struct gw_control *control)
{
    const struct gw_mqtt_message *message = &control->message;
    int64_t waited_us = gw_now_us(control->clock) - message->received_us;
    int64_t expires_ms = control->command.expires_wall_ms;

    if (message->expiry_s != UINT32_MAX && waited_us > (int64_t)message->expiry_s * 1000000)
        return true;
    return waited_us > control->conf->timeout_us ||
           (expires_ms > 0 && gw_wall_ms(control->clock) > expires_ms);
}

static bool is_response_good(const struct gw_control *control)
{
    const char *prefix = control->conf->response_prefix, *topic = control->message.response_topic;

    if (control->message.is_incomplete)
        return false;
    return topic[0] == '\0' ||
           (strncmp(topic, prefix, strlen(prefix)) == 0 && !strpbrk(topic, "+#"));
}

/* Takes one token of each point that is to be written; what was taken for a refused command is gone, on purpose. */
static bool is_within_rate(struct gw_control *control, struct gw_target *target, int64_t now_us)
{
    const struct gw_device_conf *device =
        &control->config->buses[target->bus].devices[target->device];
    const struct gw_command_values *values = &control->command.values;
    bool is_good = gw_bucket_take(&control->bucket, &control->conf->rate, now_us);

    for (size_t i = 0; is_good && i < values->n; i++) {
        const struct gw_write_conf *write = device->points[values->items[i].point].write;
        struct gw_target *own = gw_strmap_get(&control->topics, write->set_topic);

        is_good = gw_bucket_take(&(own ? own : target)->bucket, &write->rate, now_us);
    }
    return is_good;
}

/* What can be said without looking at what has been before. */
static enum gw_command_code check_message(struct gw_control *control,
                                          const struct gw_target *target, char why[GW_COMMAND_WHY])
{
    const struct gw_mqtt_message *message = &control->message;
    const struct gw_device_conf *device =
        &control->config->buses[target->bus].devices[target->device];
    enum gw_command_code code = gw_command_parse(device, target->point, message->payload,
                                                 message->payload_len, &control->command, why);

    if (message->is_retained) {
        snprintf(why, GW_COMMAND_WHY,
                 "retained commands are refused: they would be written at every connection");
        return GW_COMMAND_RETAINED;
    }
    if (!is_response_good(control)) {
        snprintf(why, GW_COMMAND_WHY,
                 "the Response Topic has to begin with %.120s, and the Correlation Data to have %d "
                 "bytes at most",
                 control->conf->response_prefix, GW_CORRELATION_MAX);
        return GW_COMMAND_BAD_RESPONSE_TOPIC;
    }
    return code;
}

static enum gw_command_code check_moment(struct gw_control *control, struct gw_target *target,
                                         int64_t now_us, const char **ret_why)
{
    if (control->is_stopping) {
        *ret_why = "the gateway is stopping";
        return GW_COMMAND_STOPPING;
    }
    if (is_locked(control)) {
        *ret_why = "the gateway is locked: it only reads";
        return GW_COMMAND_LOCKED;
    }
    if (control->conf->arm_topic && now_us >= control->armed_until_us) {
        *ret_why = "the gateway is not armed";
        return GW_COMMAND_NOT_ARMED;
    }
    if (is_expired(control)) {
        *ret_why = "the command is older than it may be";
        return GW_COMMAND_EXPIRED;
    }
    if (!is_within_rate(control, target, now_us)) {
        *ret_why = "more commands than the rate allows";
        return GW_COMMAND_RATE_LIMITED;
    }
    return GW_COMMAND_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static void arm(struct gw_control *control, const struct gw_target *target)
{
    const struct gw_mqtt_message *message = &control->message;
    bool arms = message->payload_len == 3 && memcmp(message->payload, "arm", 3) == 0;
    bool disarms = message->payload_len == 6 && memcmp(message->payload, "disarm", 6) == 0;

    if (disarms)
        control->armed_until_us = 0;
    if (arms && !message->is_retained)
        control->armed_until_us = gw_now_us(control->clock) + control->conf->arm_time_us;
    gw_control_armed(control, target, disarms || (arms && !message->is_retained));
}

static void accept(struct gw_control *control, const struct gw_target *target, uint64_t key,
                   uint64_t content)
{
    struct gw_control_job *job = gw_control_new_job(control, target->bus);

    if (!job) {
        gw_control_refuse(control, target, GW_COMMAND_BUSY, "too many commands wait already");
        return;
    }
    job->device = target->device;
    job->point = target->point;
    job->target = target;
    job->id_key = key;
    job->message = control->message;
    job->command = control->command;
    if (key != 0)
        gw_ids_begin(control->ids, key, content);
}

void gw_control_decide(struct gw_control *control)
{
    struct gw_target *target = gw_strmap_get(&control->topics, control->message.topic);
    char sentence[GW_COMMAND_WHY];
    const char *why = sentence;
    uint64_t key = 0, content;

    if (!target) /* it was never subscribed to */
        return;
    if (target->point == GW_CONTROL_ARMING) {
        arm(control, target);
        return;
    }
    enum gw_command_code code = check_message(control, target, sentence);
    content =
        gw_ids_content(control->message.payload, control->message.payload_len < GW_MQTT_PAYLOAD_MAX
                                                     ? control->message.payload_len
                                                     : GW_MQTT_PAYLOAD_MAX);
    if (code == GW_COMMAND_OK && control->command.id[0]) {
        key = gw_ids_key(control->message.topic, control->command.id);
        const struct gw_id *id = gw_ids_find(control->ids, key);

        if (id && id->content == content) {
            gw_control_repeat(control, target, id);
            return;
        }
        if (id) {
            code = GW_COMMAND_ID_REUSED;
            why = "another command with this id came before";
        }
    }
    if (code == GW_COMMAND_OK)
        code = check_moment(control, target, gw_now_us(control->clock), &why);
    if (code == GW_COMMAND_OK)
        accept(control, target, key, content);
    else
        gw_control_refuse(control, target, code, why);
}

static int64_t begin_by_us(const struct gw_control *control, const struct gw_control_job *job)
{
    int64_t by_us = job->message.received_us + control->conf->timeout_us;
    int64_t expiry_us = job->message.expiry_s == UINT32_MAX
                            ? INT64_MAX
                            : job->message.received_us + (int64_t)job->message.expiry_s * 1000000;

    return by_us < expiry_us ? by_us : expiry_us;
}

void gw_control_hand_over(struct gw_control *control)
{
    static const char lost[] = "it could not be handed over";

    for (size_t i = 0; i < control->n_jobs; i++) {
        struct gw_control_job *job = &control->jobs[i];
        struct gw_bus_order order;

        if (job->ticket == 0 || job->is_handed_over)
            continue;
        order = (struct gw_bus_order){
            .ticket = job->ticket,
            .device = (uint16_t)job->device,
            .begin_by_us = begin_by_us(control, job),
            .expires_wall_ms = job->command.expires_wall_ms,
            .values = job->command.values,
        };
        job->is_handed_over = true;
        gw_control_accepted(control, job);
        if (gw_queue_push(control->buses[job->bus].orders, &order) == GW_OK)
            continue;
        struct gw_bus_answer answer = {.code = GW_COMMAND_BUSY};
        memcpy(answer.why, lost, sizeof lost);
        gw_control_end(control, job, &answer);
    }
}
