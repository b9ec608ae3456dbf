/* control_answer: what became of a command, to the audit file, to whoever sent it, and to the log. In this order: what
 * was answered stands in the audit file. */
#include "gateway/control_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "gateway/log.h"

enum { SHOWN_MAX = 80 };

/* ---- audit ----------------------------------------------------------------------------------------- */

struct line {
    char *buf;
    size_t size, len;
};

static void put(struct line *line, const char *text)
{
    size_t n = strlen(text);

    if (n >= line->size - line->len)
        return;
    memcpy(line->buf + line->len, text, n + 1);
    line->len += n;
}

static void put_quoted(struct line *line, const char *key, const char *text, size_t len)
{
    put(line, ",\"");
    put(line, key);
    put(line, "\":");
    if (line->size - line->len > 8)
        line->len += gw_command_quote(text, len, line->buf + line->len, line->size - line->len - 4);
}

static void put_time(struct line *line, int64_t wall_ms)
{
    char text[64];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);
    put(line, text);
    snprintf(text, sizeof text, ".%03dZ\"", (int)(wall_ms % 1000));
    put(line, text);
}

static bool is_word_secret(const char *name, size_t len)
{
    static const char *const words[] = {"password", "passwd", "secret", "token", "key", "auth"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        for (size_t at = 0; at + strlen(words[i]) <= len; at++)
            if (strncasecmp(name + at, words[i], strlen(words[i])) == 0)
                return true;
    return false;
}

/* User properties as name=value; name=value, without the values that look like secrets. */
static void put_user(struct line *line, const char *user)
{
    char text[GW_MQTT_USER_MAX + 64];
    size_t at = 0;

    if (!user[0])
        return;
    while (*user && at < sizeof text - 8) {
        const char *end = strstr(user, "; "), *equals = strchr(user, '=');
        size_t len = end ? (size_t)(end - user) : strlen(user);

        if (equals && (size_t)(equals - user) < len &&
            is_word_secret(user, (size_t)(equals - user)))
            at += (size_t)snprintf(text + at, sizeof text - at, "%.*s=***%s", (int)(equals - user),
                                   user, end ? "; " : "");
        else
            at += (size_t)snprintf(text + at, sizeof text - at, "%.*s%s", (int)len, user,
                                   end ? "; " : "");
        user += len + (end ? 2 : 0);
    }
    put_quoted(line, "user", text, at < sizeof text ? at : sizeof text - 1);
}

static void add_line(struct gw_control *control, const struct line *line)
{
    bool is_bad = gw_audit_add(control->audit, line->buf, line->len) != GW_OK;

    if (is_bad && !control->is_audit_bad)
        gw_log(GW_LOG_ERROR, "command",
               "the audit file %s cannot be written: %s; going on without it",
               control->conf->audit_file, strerror(errno));
    if (!is_bad && control->is_audit_bad)
        gw_log(GW_LOG_INFO, "command", "the audit file %s is written again",
               control->conf->audit_file);
    control->is_audit_bad = is_bad;
}

/* Is the payload to be kept out of sight? */
static bool is_secret(const struct gw_control *control, const struct gw_target *target)
{
    const struct gw_device_conf *device;

    if (target->point == GW_CONTROL_ARMING)
        return false;
    device = &control->config->buses[target->bus].devices[target->device];
    if (target->point >= 0)
        return device->points[target->point].write->is_secret;
    for (size_t i = 0; i < device->n_points; i++)
        if (device->points[i].write && device->points[i].write->is_secret)
            return true;
    return false;
}

/* Sentences about a value often show it: of a secret one they say nothing. */
static const char *sentence_of(const struct gw_control *control, const struct gw_target *target,
                               enum gw_command_code code, const char *why)
{
    bool is_of_value = code >= GW_COMMAND_BAD_PAYLOAD && code <= GW_COMMAND_CHANGE_TOO_LARGE;

    return target && is_of_value && is_secret(control, target)
               ? "the value is secret, so no more is said of it"
               : why;
}

static size_t shown_len(const struct gw_mqtt_message *message, size_t max)
{
    size_t len = message->payload_len;

    len = len < GW_MQTT_PAYLOAD_MAX ? len : GW_MQTT_PAYLOAD_MAX;
    return len < max ? len : max;
}

static void audit(struct gw_control *control, const char *event, const struct gw_target *target,
                  const struct gw_mqtt_message *message, const char *result, size_t result_len)
{
    struct line line = {control->line, sizeof control->line - 2, 0};

    put_time(&line, gw_wall_ms(control->clock));
    put(&line, ",\"event\":\"");
    put(&line, event);
    put(&line, "\"");
    if (message) {
        put_quoted(&line, "topic", message->topic, strlen(message->topic));
        if (target && is_secret(control, target))
            put(&line, ",\"payload\":\"***\"");
        else
            put_quoted(&line, "payload", message->payload, shown_len(message, GW_MQTT_PAYLOAD_MAX));
        put_user(&line, message->user);
    }
    if (result && result_len < line.size - line.len - 16) {
        put(&line, ",\"result\":");
        memcpy(line.buf + line.len, result, result_len);
        line.len += result_len;
    }
    line.buf[line.len++] = '}';
    add_line(control, &line);
}

/* ---- the log --------------------------------------------------------------------------------------- */

static void tell(struct gw_control *control, const struct gw_target *target,
                 const struct gw_mqtt_message *message, enum gw_command_code code, const char *why)
{
    static const struct gw_rate rate = {2, 20};
    int64_t now_us = gw_now_us(control->clock);
    char payload[SHOWN_MAX + 16];

    if (!gw_bucket_take(&control->log_bucket, &rate, now_us)) {
        control->n_unlogged++;
        return;
    }
    if (control->n_unlogged > 0)
        gw_log(GW_LOG_WARN, "command", "%" PRIu64 " commands were not logged here; they are in %s",
               control->n_unlogged, control->conf->audit_file);
    control->n_unlogged = 0;
    if (is_secret(control, target))
        snprintf(payload, sizeof payload, "***");
    else
        gw_command_quote(message->payload, shown_len(message, SHOWN_MAX), payload, sizeof payload);
    gw_log(code == GW_COMMAND_OK ? GW_LOG_INFO : GW_LOG_WARN, "command", "%s %s: %s%s%s",
           message->topic, payload, gw_command_code_str(code), why && why[0] ? ", " : "",
           why ? why : "");
}

/* ---- results --------------------------------------------------------------------------------------- */

static void publish(struct gw_control *control, const struct gw_target *target,
                    const struct gw_mqtt_message *request, const char *result, size_t len)
{
    int64_t wall_ms = gw_wall_ms(control->clock);
    bool has_response = request->response_topic[0] && !request->is_incomplete &&
                        strncmp(request->response_topic, control->conf->response_prefix,
                                strlen(control->conf->response_prefix)) == 0 &&
                        !strpbrk(request->response_topic, "+#");
    const struct gw_message message = {
        .topic = has_response ? request->response_topic : target->result_topic,
        .payload = result,
        .payload_len = len,
        .qos = 1,
        .kind = GW_KIND_RESULT,
        .acquired_wall_ms = wall_ms,
        .expires_wall_ms = wall_ms + control->conf->result_max_age_us / 1000,
        .correlation = request->correlation,
        .correlation_len = request->correlation_len,
    };

    if (message.topic)
        (void)!control->outbox->ops->put(control->outbox, &message);
}

/* Prints into control->result; the shortest form always fits. */
static size_t print(struct gw_control *control, const struct gw_command_result *result)
{
    struct gw_command_result shorter = *result;
    size_t len = 0;

    if (gw_command_result_print(result, control->result, sizeof control->result, &len) == GW_OK)
        return len;
    shorter.values = shorter.read_back = NULL;
    if (gw_command_result_print(&shorter, control->result, sizeof control->result, &len) != GW_OK)
        return 0;
    return len;
}

static const char *name_of(const struct gw_control *control, size_t bus, size_t device, int point)
{
    return point >= 0 ? control->config->buses[bus].devices[device].points[point].name : NULL;
}

void gw_control_refuse(struct gw_control *control, const struct gw_target *target,
                       enum gw_command_code code, const char *why)
{
    const char *sentence = sentence_of(control, target, code, why);
    const struct gw_command_result result = {
        .code = code,
        .why = sentence,
        .id = control->command.id,
        .device = &control->config->buses[target->bus].devices[target->device],
        .point = name_of(control, target->bus, target->device, target->point),
        .is_one_point = target->point >= 0,
        .values = &control->command.values,
        .received_wall_ms = control->message.received_wall_ms,
    };
    size_t len = print(control, &result);

    audit(control, "refused", target, &control->message, control->result, len);
    publish(control, target, &control->message, control->result, len);
    tell(control, target, &control->message, code, sentence);
}

/* The earlier result with a mark; of one that is still under way nothing is said yet: its own result will come. */
void gw_control_repeat(struct gw_control *control, const struct gw_target *target,
                       const struct gw_id *id)
{
    const struct gw_command_result unknown = {
        .code = GW_COMMAND_UNKNOWN,
        .why = "a command of this id was accepted before; what became of it is not known",
        .id = control->command.id,
        .device = &control->config->buses[target->bus].devices[target->device],
        .point = name_of(control, target->bus, target->device, target->point),
        .is_one_point = target->point >= 0,
        .values = &control->command.values,
        .received_wall_ms = control->message.received_wall_ms,
        .is_repeated = true,
    };
    static const char mark[] = ",\"repeated\":true}";
    size_t len = 0;

    for (size_t i = 0; i < control->n_jobs; i++)
        if (control->jobs[i].ticket != 0 && control->jobs[i].id_key == id->key) {
            audit(control, "repeated", target, &control->message, NULL, 0);
            return;
        }
    if (id->is_done && id->result_len > 1) {
        len = id->result_len - 1u; /* without the closing brace */
        memcpy(control->result, id->result, len);
        memcpy(control->result + len, mark, sizeof mark - 1);
        len += sizeof mark - 1;
    } else {
        len = print(control, &unknown);
    }
    audit(control, "repeated", target, &control->message, control->result, len);
    publish(control, target, &control->message, control->result, len);
}

void gw_control_accepted(struct gw_control *control, const struct gw_control_job *job)
{
    if (job->target)
        audit(control, "accepted", job->target, &job->message, NULL, 0);
}

static void end_safe(struct gw_control *control, struct gw_control_job *job,
                     const struct gw_bus_answer *answer, size_t len)
{
    const struct gw_device_conf *device = &control->config->buses[job->bus].devices[job->device];
    const char *name = device->points[job->safe->point].name;
    bool is_good = answer->code == GW_COMMAND_OK;

    audit(control, job->safe->is_on_stop ? "on_stop" : "on_disconnect", NULL, NULL, control->result,
          len);
    gw_log(is_good ? GW_LOG_WARN : GW_LOG_ERROR, "command", "%s of %s (%s): %s%s%s",
           job->safe->is_on_stop ? "on_stop" : "on_disconnect", name, device->name,
           is_good ? "the safe value is written" : gw_command_code_str(answer->code),
           answer->why[0] ? ", " : "", answer->why);
    gw_control_safe_done(control, job->safe, is_good);
}

void gw_control_end(struct gw_control *control, struct gw_control_job *job,
                    const struct gw_bus_answer *answer)
{
    const char *sentence = sentence_of(control, job->target, answer->code, answer->why);
    const struct gw_command_result result = {
        .code = answer->code,
        .why = sentence,
        .reason = answer->reason,
        .id = job->command.id,
        .device = &control->config->buses[job->bus].devices[job->device],
        .point = name_of(control, job->bus, job->device, job->point),
        .is_one_point = job->point >= 0,
        .values = &job->command.values,
        .read_back = &answer->read_back,
        .n_written = answer->n_written,
        .received_wall_ms = job->message.received_wall_ms,
        .written_wall_ms = answer->written_wall_ms,
        .verified_wall_ms = answer->verified_wall_ms,
    };
    size_t len = print(control, &result);

    if (job->safe) {
        end_safe(control, job, answer, len);
    } else {
        if (job->id_key != 0)
            gw_ids_end(control->ids, job->id_key, control->result, len);
        audit(control, "done", job->target, &job->message, control->result, len);
        publish(control, job->target, &job->message, control->result, len);
        tell(control, job->target, &job->message, answer->code, sentence);
    }
    control->n_waiting[job->bus]--;
    job->ticket = 0;
}

void gw_control_armed(struct gw_control *control, const struct gw_target *target, bool is_good)
{
    bool is_armed = gw_now_us(control->clock) < control->armed_until_us;
    int n = snprintf(control->result, sizeof control->result,
                     "{\"ok\":%s,\"code\":\"%s\",\"armed\":%s}", is_good ? "true" : "false",
                     is_good                        ? "ok"
                     : control->message.is_retained ? "retained"
                                                    : "bad_payload",
                     is_armed ? "true" : "false");

    audit(control, "arming", target, &control->message, control->result, (size_t)n);
    publish(control, target, &control->message, control->result, (size_t)n);
    gw_log(GW_LOG_WARN, "command", "%s: the gateway is %s", control->message.topic,
           is_armed ? "armed" : "not armed");
}
