/* board_metrics: the board in the text format of Prometheus. Base units, _total for counters.
 * Source: Prometheus, "Exposition formats" (text format 0.0.4) and "Metric and label naming". */
#include "gateway/board.h"

#include <inttypes.h>
#include <string.h>

static void put_label(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            fputc('\\', out);
        if (*value == '\n')
            fputs("\\n", out);
        else
            fputc(*value, out);
    }
    fputc('"', out);
}

static void put_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(FILE *out, const char *name, const char *type, const char *help, double value)
{
    put_head(out, name, type, help);
    fprintf(out, "%s %.17g\n", name, value);
}

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

/* ---- buses ----------------------------------------------------------------------------------------- */

struct bus_metric {
    const char *name, *type, *help;
    double (*get)(const struct gw_board_bus *bus);
};

#define COUNTER(function, expression)                                                              \
    static double function(const struct gw_board_bus *bus)                                         \
    {                                                                                              \
        return (double)(expression);                                                               \
    }

COUNTER(get_up, bus->view->stats.is_open)
COUNTER(get_requests, bus->view->stats.n_requests)
COUNTER(get_overruns, bus->view->stats.n_overruns)
COUNTER(get_opens, bus->view->stats.n_opens)
COUNTER(get_readings, bus->view->stats.n_readings)
COUNTER(get_bad, bus->view->stats.n_bad_readings)
COUNTER(get_too_large, bus->view->stats.n_too_large)
COUNTER(get_busy, seconds(bus->view->stats.busy_us))
COUNTER(get_utilisation, bus->utilisation)
COUNTER(get_devices, bus->view->conf->n_devices)

static const struct bus_metric bus_metrics[] = {
    {"field2mqtt_bus_up", "gauge", "Whether the bus is open.", get_up},
    {"field2mqtt_bus_utilisation_ratio", "gauge", "Share of the last 10 s spent in exchanges.",
     get_utilisation},
    {"field2mqtt_bus_busy_seconds_total", "counter", "Time spent in exchanges.", get_busy},
    {"field2mqtt_bus_requests_total", "counter", "Requests sent to devices.", get_requests},
    {"field2mqtt_bus_overruns_total", "counter", "Polls left out because the bus was late.",
     get_overruns},
    {"field2mqtt_bus_opens_total", "counter", "Times that the bus was opened.", get_opens},
    {"field2mqtt_bus_readings_total", "counter", "Good readings.", get_readings},
    {"field2mqtt_bus_bad_readings_total", "counter", "Bad readings.", get_bad},
    {"field2mqtt_bus_dropped_payloads_total", "counter",
     "Messages left out since their payload was too large.", get_too_large},
    {"field2mqtt_bus_devices", "gauge", "Configured devices of the bus.", get_devices},
};

static void put_bus_metrics(const struct gw_board *board, FILE *out)
{
    for (size_t m = 0; m < sizeof bus_metrics / sizeof bus_metrics[0]; m++) {
        const struct bus_metric *metric = &bus_metrics[m];

        put_head(out, metric->name, metric->type, metric->help);
        for (size_t i = 0; i < board->n_buses; i++) {
            struct gw_view *view = board->buses[i].view;

            pthread_mutex_lock(&view->lock);
            double value = metric->get(&board->buses[i]);
            pthread_mutex_unlock(&view->lock);
            fprintf(out, "%s{", metric->name);
            put_label(out, "bus", view->conf->name);
            fprintf(out, "} %.17g\n", value);
        }
    }
}

static void put_error_line(FILE *out, const struct gw_view *view, const char *reason, uint64_t n)
{
    fputs("field2mqtt_bus_errors_total{", out);
    put_label(out, "bus", view->conf->name);
    fputc(',', out);
    put_label(out, "reason", reason);
    fprintf(out, "} %" PRIu64 "\n", n);
}

static void put_errors(const struct gw_board *board, FILE *out)
{
    put_head(out, "field2mqtt_bus_errors_total", "counter",
             "Exchanges without a usable answer, by reason: timeout, crc, exceptions by name.");
    for (size_t b = 0; b < board->n_buses; b++) {
        struct gw_view *view = board->buses[b].view;

        pthread_mutex_lock(&view->lock);
        for (size_t i = 0; i < GW_VIEW_REASONS && view->reasons[i].reason; i++)
            put_error_line(out, view, view->reasons[i].reason, view->reasons[i].n);
        if (view->n_other_reasons > 0)
            put_error_line(out, view, "other", view->n_other_reasons);
        pthread_mutex_unlock(&view->lock);
    }
}

static void put_latencies(const struct gw_board *board, FILE *out)
{
    static const double quantiles[] = {0.5, 0.95, 0.99};
    static const char name[] = "field2mqtt_bus_exchange_duration_seconds";

    put_head(out, name, "summary", "Time that an exchange with a device took.");
    for (size_t b = 0; b < board->n_buses; b++) {
        struct gw_view *view = board->buses[b].view;

        pthread_mutex_lock(&view->lock);
        for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
            fprintf(out, "%s{", name);
            put_label(out, "bus", view->conf->name);
            const int64_t us = gw_view_quantile_us(view, quantiles[i]);

            fprintf(out, ",quantile=\"%g\"} ", quantiles[i]);
            if (us > 0)
                fprintf(out, "%.17g\n", (double)us / 1e6);
            else
                fputs("NaN\n", out); /* 0 s would look like a fast device */
        }
        fprintf(out, "%s_sum{", name);
        put_label(out, "bus", view->conf->name);
        fprintf(out, "} %.17g\n%s_count{", seconds(view->exchange_us), name);
        put_label(out, "bus", view->conf->name);
        fprintf(out, "} %" PRIu64 "\n", view->n_exchanges);
        pthread_mutex_unlock(&view->lock);
    }
}

static void put_devices(const struct gw_board *board, FILE *out)
{
    put_head(out, "field2mqtt_device_up", "gauge",
             "Whether the device answers: 1 online or suspect, 0 offline or not asked yet.");
    for (size_t b = 0; b < board->n_buses; b++) {
        struct gw_view *view = board->buses[b].view;

        pthread_mutex_lock(&view->lock);
        for (size_t d = 0; d < view->conf->n_devices; d++) {
            const char *state = gw_board_device_state(view, d);

            fputs("field2mqtt_device_up{", out);
            put_label(out, "bus", view->conf->name);
            fputc(',', out);
            put_label(out, "device", view->conf->devices[d].name);
            fprintf(out, "} %d\n", strcmp(state, "online") == 0 || strcmp(state, "suspect") == 0);
        }
        pthread_mutex_unlock(&view->lock);
    }
}

/* ---- the gateway ----------------------------------------------------------------------------------- */

static void put_drops(const struct gw_outbox_stats *outbox, FILE *out)
{
    static const char *const reasons[GW_DROP_REASONS] = {"full",      "expired", "damaged",
                                                         "too_large", "refused", "no_memory"};

    put_head(out, "field2mqtt_outbox_dropped_messages_total", "counter",
             "Messages that were lost, by reason.");
    for (size_t i = 0; i < GW_DROP_REASONS; i++)
        fprintf(out, "field2mqtt_outbox_dropped_messages_total{reason=\"%s\"} %" PRIu64 "\n",
                reasons[i], outbox->n_dropped_by[i]);
}

static void put_gateway(const struct gw_board *board, FILE *out)
{
    const struct gw_publisher_stats *broker = &board->publisher;
    const struct gw_outbox_stats *outbox = &board->outbox;
    int64_t age_ms =
        outbox->oldest_wall_ms > 0 ? gw_wall_ms(board->clock) - outbox->oldest_wall_ms : 0;

    put_head(out, "field2mqtt_build_info", "gauge", "Version and name of the gateway.");
    fputs("field2mqtt_build_info{", out);
    put_label(out, "version", board->version);
    fputc(',', out);
    put_label(out, "gateway", board->gateway_name);
    fputs("} 1\n", out);
    put_one(out, "field2mqtt_start_time_seconds", "gauge", "When it was started, Unix time.",
            (double)board->started_wall_ms / 1000);
    put_one(out, "field2mqtt_broker_up", "gauge", "Whether the broker is connected.",
            broker->is_connected);
    put_one(out, "field2mqtt_broker_connects_total", "counter", "Connections to a broker.",
            (double)broker->n_connects);
    put_one(out, "field2mqtt_broker_sent_messages_total", "counter",
            "Messages handed to the broker.", (double)broker->n_sent);
    put_one(out, "field2mqtt_broker_refused_messages_total", "counter",
            "Messages that the broker refused for good.", (double)broker->n_refused);
    put_one(out, "field2mqtt_broker_in_flight_messages", "gauge",
            "Messages sent and not yet acknowledged.", (double)broker->n_in_flight);
    put_one(out, "field2mqtt_outbox_messages", "gauge", "Messages that wait for the broker.",
            (double)outbox->n_messages);
    put_one(out, "field2mqtt_outbox_bytes", "gauge", "What they take.", (double)outbox->n_bytes);
    put_one(out, "field2mqtt_outbox_oldest_age_seconds", "gauge", "Age of the oldest of them.",
            age_ms > 0 ? (double)age_ms / 1000 : 0);
    put_one(out, "field2mqtt_outbox_put_messages_total", "counter", "Messages put in.",
            (double)outbox->n_put);
    put_one(out, "field2mqtt_outbox_acknowledged_messages_total", "counter",
            "Messages that the broker has acknowledged.", (double)outbox->n_acked);
    put_drops(outbox, out);
    put_one(out, "field2mqtt_outbox_disk_messages", "gauge", "Those of them that are on disk.",
            (double)outbox->n_on_disk);
    put_one(out, "field2mqtt_outbox_degraded", "gauge",
            "Whether messages that should be on disk are in memory only.", outbox->is_degraded);
    put_one(out, "field2mqtt_outbox_commits_total", "counter", "Commits to the disk.",
            (double)outbox->n_commits);
    put_one(out, "field2mqtt_reloads_total", "counter", "Reloads of the configuration asked for.",
            (double)board->n_reloads);
    put_one(out, "field2mqtt_refused_reloads_total", "counter", "Reloads that were refused.",
            (double)board->n_reloads_refused);
    put_one(out, "field2mqtt_last_reload_successful", "gauge",
            "Whether the configuration in force is the one of the file at the last reload.",
            !board->is_reload_refused);
}

void gw_board_print_metrics(struct gw_board *board, FILE *out)
{
    pthread_mutex_lock(&board->lock);
    put_gateway(board, out);
    put_bus_metrics(board, out);
    put_errors(board, out);
    put_latencies(board, out);
    put_devices(board, out);
    pthread_mutex_unlock(&board->lock);
}
