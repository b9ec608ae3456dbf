/* board_json: the board as JSON, straight to the stream: there may be ten thousand points. */
#include "gateway/board.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"

/* ---- pieces ---------------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20 || *c == 0x7f)
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static void put_member(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\":", key);
    if (text)
        put_text(out, text);
    else
        fputs("null", out);
}

static void put_value(FILE *out, const struct gw_point_view *point)
{
    if (!point->is_good)
        fputs("null", out);
    else if (point->is_text)
        put_text(out, point->value);
    else
        fputs(point->value, out);
}

/* ---- status ---------------------------------------------------------------------------------------- */

static void put_devices(FILE *out, const struct gw_view *view)
{
    fputs("\"devices\":[", out);
    for (size_t i = 0; i < view->conf->n_devices; i++) {
        const struct gw_device_conf *conf = &view->conf->devices[i];
        size_t n_bad = 0;

        for (size_t k = 0; k < conf->n_points; k++)
            n_bad += !view->devices[i].points[k].is_good;
        fputs(i ? ",{" : "{", out);
        put_member(out, "name", conf->name);
        fputc(',', out);
        put_member(out, "template", conf->template_name);
        fputc(',', out);
        put_member(out, "state", gw_board_device_state(view, i));
        fputc(',', out);
        put_member(out, "reason", view->devices[i].reason);
        fprintf(out, ",\"since\":%" PRId64 ",\"points\":%zu,\"bad_points\":%zu}",
                view->devices[i].since_wall_ms, conf->n_points, n_bad);
    }
    fputc(']', out);
}

static void put_errors(FILE *out, const struct gw_view *view)
{
    fputs("\"errors\":{", out);
    for (size_t i = 0; i < GW_VIEW_REASONS && view->reasons[i].reason; i++) {
        fputs(i ? "," : "", out);
        put_text(out, view->reasons[i].reason);
        fprintf(out, ":%" PRIu64, view->reasons[i].n);
    }
    fputs("},", out);
}

/* null before the first answer: 0 ms would look like a fast device. */
static void put_latency(FILE *out, const struct gw_view *view)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};

    fputs("\"latency_ms\":", out);
    for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
        const int64_t us = gw_view_quantile_us(view, quantiles[i].share);

        fprintf(out, "%c\"%s\":", i == 0 ? '{' : ',', quantiles[i].name);
        if (us > 0)
            fprintf(out, "%.1f", (double)us / 1000);
        else
            fputs("null", out);
    }
    fputs("},", out);
}

static void put_bus(FILE *out, const struct gw_board_bus *bus)
{
    struct gw_view *view = bus->view;
    const struct gw_bus_stats *stats = &view->stats;

    pthread_mutex_lock(&view->lock);
    fputc('{', out);
    put_member(out, "name", view->conf->name);
    fputc(',', out);
    put_member(out, "driver", view->conf->driver->name);
    fputc(',', out);
    put_member(out, "state", gw_board_bus_state(view));
    fprintf(out,
            ",\"since\":%" PRId64 ",\"utilisation\":%.4f,\"requests\":%" PRIu64
            ",\"timeouts\":%" PRIu64 ",\"overruns\":%" PRIu64 ",\"opens\":%" PRIu64
            ",\"readings\":%" PRIu64 ",\"bad_readings\":%" PRIu64 ",",
            view->since_wall_ms, bus->utilisation, stats->n_requests, stats->n_timeouts,
            stats->n_overruns, stats->n_opens, stats->n_readings, stats->n_bad_readings);
    put_latency(out, view);
    put_errors(out, view);
    put_devices(out, view);
    fputc('}', out);
    pthread_mutex_unlock(&view->lock);
}

static void put_broker(FILE *out, const struct gw_board *board)
{
    const struct gw_publisher_stats *stats = &board->publisher;

    fputs("\"broker\":{", out);
    put_member(out, "server", board->server);
    fprintf(out,
            ",\"connected\":%s,\"connects\":%" PRIu64 ",\"sent\":%" PRIu64
            ",\"acknowledged\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"in_flight\":%zu},",
            stats->is_connected ? "true" : "false", stats->n_connects, stats->n_sent,
            stats->n_acked, stats->n_refused, stats->n_in_flight);
}

static void put_outbox(FILE *out, const struct gw_board *board)
{
    const struct gw_outbox_stats *stats = &board->outbox;
    int64_t age_ms =
        stats->oldest_wall_ms > 0 ? gw_wall_ms(board->clock) - stats->oldest_wall_ms : 0;

    fprintf(out,
            "\"outbox\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"oldest_s\":%.1f"
            ",\"on_disk\":%" PRIu64 ",\"degraded\":%s"
            ",\"put\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"dropped\":%" PRIu64
            ",\"backlog_every_s\":%d,\"backlog\":[",
            stats->n_messages, stats->n_bytes, age_ms > 0 ? (double)age_ms / 1000 : 0.0,
            stats->n_on_disk, stats->is_degraded ? "true" : "false", stats->n_put, stats->n_acked,
            stats->n_dropped, GW_BOARD_BACKLOG_S);
    for (size_t i = 0; i < board->n_backlog; i++)
        fprintf(out, "%s%" PRIu64, i ? "," : "",
                board->backlog[(board->backlog_at + GW_BOARD_BACKLOG - board->n_backlog + i) %
                               GW_BOARD_BACKLOG]);
    fputs("]},", out);
}

static void put_log_line(void *ctx, enum gw_log_level level, int64_t wall_ms, const char *text)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    FILE *out = ctx;

    fprintf(out, "[%" PRId64 ",\"%s\",", wall_ms, words[level]);
    put_text(out, text);
    fputs("],", out);
}

static void put_reload(FILE *out, const struct gw_board *board)
{
    if (board->reload_wall_ms == 0) {
        fputs("\"reload\":null,", out);
        return;
    }
    fprintf(out, "\"reload\":{\"ts\":%" PRId64 ",\"refused\":%s,", board->reload_wall_ms,
            board->is_reload_refused ? "true" : "false");
    put_member(out, "text", board->reload_text);
    fputs("},", out);
}

void gw_board_print_status(struct gw_board *board, FILE *out)
{
    pthread_mutex_lock(&board->lock);
    fputc('{', out);
    put_member(out, "gateway", board->gateway_name);
    fputc(',', out);
    put_member(out, "version", board->version);
    fprintf(out, ",\"epoch\":%" PRIu64 ",\"now\":%" PRId64 ",\"started\":%" PRId64 ",\"alive\":%s,",
            board->epoch, gw_wall_ms(board->clock), board->started_wall_ms,
            board->is_alive ? "true" : "false");
    put_reload(out, board);
    put_broker(out, board);
    put_outbox(out, board);
    fputs("\"buses\":[", out);
    for (size_t i = 0; i < board->n_buses; i++) {
        fputs(i ? "," : "", out);
        put_bus(out, &board->buses[i]);
    }
    fputs("],\"log\":[", out);
    pthread_mutex_unlock(&board->lock);
    gw_log_each_recent(put_log_line, out);
    fputs("null]}", out); /* ends the list, whose lines end in commas */
}

/* ---- points ---------------------------------------------------------------------------------------- */

static void put_point(FILE *out, const struct gw_view *view, size_t device, size_t index)
{
    const struct gw_device_conf *dev = &view->conf->devices[device];
    const struct gw_point_conf *conf = &dev->points[index];
    const struct gw_point_view *point = &view->devices[device].points[index];

    fputc('{', out);
    put_member(out, "bus", view->conf->name);
    fputc(',', out);
    put_member(out, "device", dev->name);
    fputc(',', out);
    put_member(out, "name", conf->name);
    fputc(',', out);
    put_member(out, "unit", conf->map->unit);
    fputc(',', out);
    put_member(out, "topic", conf->topic);
    fputs(",\"value\":", out);
    put_value(out, point);
    fputc(',', out);
    put_member(out, "quality", point->is_good ? "good" : "bad");
    fputc(',', out);
    put_member(out, "reason", point->reason);
    fprintf(out, ",\"ts\":%" PRId64 ",\"interval_ms\":%" PRId64 "}", point->acquired_wall_ms,
            conf->interval_us / 1000);
}

void gw_board_print_points(struct gw_board *board, FILE *out)
{
    bool is_first = true;

    pthread_mutex_lock(&board->lock);
    fprintf(out, "{\"epoch\":%" PRIu64 ",\"points\":[", board->epoch);
    for (size_t b = 0; b < board->n_buses; b++) {
        struct gw_view *view = board->buses[b].view;

        pthread_mutex_lock(&view->lock);
        for (size_t d = 0; d < view->conf->n_devices; d++)
            for (size_t i = 0; i < view->conf->devices[d].n_points; i++) {
                fputs(is_first ? "" : ",", out);
                is_first = false;
                put_point(out, view, d, i);
            }
        pthread_mutex_unlock(&view->lock);
    }
    fputs("]}", out);
    pthread_mutex_unlock(&board->lock);
}

/* ---- changes --------------------------------------------------------------------------------------- */

static bool begin_cursor(const struct gw_board *board, struct gw_board_cursor *cursor)
{
    if (cursor->epoch == board->epoch && cursor->versions)
        return true;
    free(cursor->versions);
    cursor->versions = calloc(board->n_buses + 1, sizeof *cursor->versions);
    cursor->n = cursor->versions ? board->n_buses : 0;
    cursor->epoch = board->epoch;
    return cursor->versions != NULL;
}

static size_t put_bus_changes(FILE *out, struct gw_view *view, uint64_t *version, size_t place,
                              bool *is_first)
{
    pthread_mutex_lock(&view->lock);
    for (size_t d = 0; d < view->conf->n_devices; d++)
        for (size_t i = 0; i < view->conf->devices[d].n_points; i++, place++) {
            const struct gw_point_view *point = &view->devices[d].points[i];

            if (point->version <= *version)
                continue;
            fprintf(out, "%s[%zu,", *is_first ? "" : ",", place);
            *is_first = false;
            put_value(out, point);
            fputc(',', out);
            if (point->reason)
                put_text(out, point->reason);
            else
                fputs("null", out);
            fprintf(out, ",%" PRId64 "]", point->acquired_wall_ms);
        }
    *version = view->version;
    pthread_mutex_unlock(&view->lock);
    return place;
}

void gw_board_print_changes(struct gw_board *board, struct gw_board_cursor *cursor, FILE *out)
{
    bool is_first = true;
    size_t place = 0;

    pthread_mutex_lock(&board->lock);
    fprintf(out, "{\"epoch\":%" PRIu64 ",\"changes\":[", board->epoch);
    if (begin_cursor(board, cursor))
        for (size_t b = 0; b < board->n_buses; b++)
            place =
                put_bus_changes(out, board->buses[b].view, &cursor->versions[b], place, &is_first);
    fputs("]}", out);
    pthread_mutex_unlock(&board->lock);
}
