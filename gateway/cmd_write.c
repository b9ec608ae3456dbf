/* cmd_write: `field2mqtt write`: a command from the shell, through the same checks, the same bus and the same audit as one
 * from MQTT. Prints the result as it would be published. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/audit.h"
#include "gateway/cmd_talk.h"
#include "gateway/queue.h"

enum { TIMEOUT_US = 30000000, RESULT_MAX = 16384 };

/* One command. */
struct asking {
    struct gw_talk talk;
    struct gw_bus_orders queues;
    struct gw_bus_order order;
    struct gw_bus_answer answer;
    bool is_answered;
    int64_t received_wall_ms;
    char result[RESULT_MAX], line[RESULT_MAX + 512];
};

static bool has_answer(const struct gw_talk *talk, void *ctx)
{
    struct asking *asking = ctx;

    (void)talk;
    if (!asking->is_answered)
        asking->is_answered = gw_queue_pop(asking->queues.answers, &asking->answer, 1) == 1;
    return asking->is_answered;
}

/* ---- checks ---------------------------------------------------------------------------------------- */

static enum gw_command_code refuse(struct asking *asking, enum gw_command_code code,
                                   const char *why)
{
    snprintf(asking->answer.why, sizeof asking->answer.why, "%s", why);
    return asking->answer.code = code;
}

static enum gw_command_code take_value(struct asking *asking, const char *word)
{
    const struct gw_device_conf *device = asking->talk.device;
    const char *equals = word ? strchr(word, '=') : NULL;
    struct gw_command command;
    size_t i = 0, len = equals ? (size_t)(equals - word) : 0;

    if (!equals)
        return refuse(asking, GW_COMMAND_UNKNOWN_POINT,
                      "say POINT=VALUE with a point of the device");
    while (i < device->n_points && (strlen(device->points[i].name) != len ||
                                    strncmp(device->points[i].name, word, len) != 0))
        i++;
    if (i == device->n_points)
        return refuse(asking, GW_COMMAND_UNKNOWN_POINT, "the device has no such point");
    asking->answer.code = gw_command_parse(device, (int)i, equals + 1, strlen(equals + 1), &command,
                                           asking->answer.why);
    if (asking->answer.code != GW_COMMAND_OK)
        return asking->answer.code;
    struct gw_value value = gw_command_value(&command.values, 0);
    if (!gw_command_add(&asking->order.values, (uint16_t)i, &value))
        return refuse(asking, GW_COMMAND_TOO_LARGE, "these are too many values");
    return GW_COMMAND_OK;
}

static enum gw_command_code check(struct asking *asking, char **words, size_t n)
{
    const struct gw_commands_conf *conf = &asking->talk.config->commands;

    if (!conf->is_enabled)
        return refuse(asking, GW_COMMAND_READ_ONLY,
                      "commands are not enabled in the configuration");
    if (conf->lock_file && access(conf->lock_file, F_OK) == 0)
        return refuse(asking, GW_COMMAND_LOCKED, "the gateway is locked: it only reads");
    for (size_t i = 0; i < n; i++)
        if (take_value(asking, words[i]) != GW_COMMAND_OK)
            return asking->answer.code;
    return GW_COMMAND_OK;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static void write_values(struct asking *asking)
{
    struct gw_talk *talk = &asking->talk;

    asking->queues = (struct gw_bus_orders){gw_queue_new(sizeof(struct gw_bus_order), 1),
                                            gw_queue_new(sizeof(struct gw_bus_answer), 1)};
    if (!asking->queues.orders || !asking->queues.answers ||
        gw_bus_commands_init(talk->loop, &asking->queues) != GW_OK) {
        (void)refuse(asking, GW_COMMAND_FAILED, "out of memory");
        return;
    }
    /* The present values: for max_change, and so that a dead device is known to be dead. */
    (void)gw_talk_until(talk, gw_talk_has_read, NULL, TIMEOUT_US);
    asking->order.ticket = 1;
    asking->order.begin_by_us = gw_now_us(&gw_system_clock) + talk->config->commands.timeout_us;
    if (gw_queue_push(asking->queues.orders, &asking->order) != GW_OK ||
        !gw_talk_until(talk, has_answer, asking, TIMEOUT_US + talk->config->commands.timeout_us))
        (void)refuse(asking, GW_COMMAND_UNKNOWN, "there was no answer in time");
}

static size_t print_result(struct asking *asking)
{
    const struct gw_command_result result = {
        .code = asking->answer.code,
        .why = asking->answer.why,
        .reason = asking->answer.reason,
        .device = asking->talk.device,
        .point = asking->order.values.n == 1
                     ? asking->talk.device->points[asking->order.values.items[0].point].name
                     : NULL,
        .is_one_point = asking->order.values.n == 1,
        .values = &asking->order.values,
        .read_back = &asking->answer.read_back,
        .n_written = asking->answer.n_written,
        .received_wall_ms = asking->received_wall_ms,
        .written_wall_ms = asking->answer.written_wall_ms,
        .verified_wall_ms = asking->answer.verified_wall_ms,
    };
    size_t len = 0;

    if (gw_command_result_print(&result, asking->result, sizeof asking->result, &len) == GW_OK)
        printf("%.*s\n", (int)len, asking->result);
    return len;
}

static void audit(struct asking *asking, size_t len)
{
    const struct gw_commands_conf *conf = &asking->talk.config->commands;
    time_t seconds = (time_t)(asking->received_wall_ms / 1000);
    struct gw_audit *file;
    struct tm tm;
    char time_text[32];
    int n;

    if (!conf->is_enabled)
        return;
    file = gw_audit_new(conf->audit_file, conf->audit_max_bytes);
    gmtime_r(&seconds, &tm);
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H:%M:%S", &tm);
    n = snprintf(asking->line, sizeof asking->line,
                 "{\"time\":\"%s.%03dZ\",\"event\":\"shell\",\"uid\":%u,\"result\":%.*s}",
                 time_text, (int)(asking->received_wall_ms % 1000), (unsigned)getuid(), (int)len,
                 asking->result);
    if (!file || n < 0 || gw_audit_add(file, asking->line, (size_t)n) != GW_OK)
        fprintf(stderr, "field2mqtt write: the audit file %s cannot be written\n",
                conf->audit_file);
    gw_audit_free(file);
}

static int ask(struct asking *asking, char **words, size_t n)
{
    asking->received_wall_ms = gw_wall_ms(&gw_system_clock);
    if (check(asking, words, n) == GW_COMMAND_OK)
        write_values(asking);
    audit(asking, print_result(asking));
    return asking->answer.code == GW_COMMAND_OK ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct asking *asking = calloc(1, sizeof *asking);
    char **words = calloc((size_t)argc + 1, sizeof *words);
    size_t n = 0;
    int code = asking && words ? GW_EXIT_OK : GW_EXIT_FAILED;

    if (code == GW_EXIT_OK)
        gw_cmd_paths_init(&asking->talk.paths);
    for (int i = 1; i < argc && code == GW_EXIT_OK; i++) {
        int taken = gw_talk_take(&asking->talk, argc, argv, &i);

        if (taken < 0)
            code = gw_cmd_usage(&gw_cmd_write, "%s needs an argument", argv[i]);
        else if (taken == 0 && argv[i][0] == '-')
            code = gw_cmd_usage(&gw_cmd_write, "unknown option %s", argv[i]);
        else if (taken == 0)
            words[n++] = argv[i];
    }
    if (code == GW_EXIT_OK && n < 2)
        code = gw_cmd_usage(&gw_cmd_write, "say a device, and at least one POINT=VALUE");
    if (code == GW_EXIT_OK)
        code = gw_talk_begin(&asking->talk, &gw_cmd_write, words[0]);
    if (code == GW_EXIT_OK)
        code = ask(asking, words + 1, n - 1);
    if (asking) {
        gw_talk_end(&asking->talk);
        gw_queue_free(asking->queues.orders);
        gw_queue_free(asking->queues.answers);
    }
    free(asking);
    free(words);
    return code;
}

const struct gw_verb gw_cmd_write = {
    .name = "write",
    .usage = "write [--simulated DIR[,PORT_OFFSET]] -c FILE [BUS/]DEVICE POINT=VALUE...",
    .summary = "write points once, with the checks of commands",
    .run = run,
};
