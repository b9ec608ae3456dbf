#include "gateway/board.h"

#include <stdlib.h>
#include <string.h>

void gw_board_init(struct gw_board *board, const struct gw_clock *clock, const char *gateway_name,
                   const char *version)
{
    *board = (struct gw_board){.clock = clock, .is_alive = true};
    pthread_mutex_init(&board->lock, NULL);
    snprintf(board->gateway_name, sizeof board->gateway_name, "%s", gateway_name);
    snprintf(board->version, sizeof board->version, "%s", version);
    board->started_wall_ms = gw_wall_ms(clock);
}

void gw_board_done(struct gw_board *board)
{
    free(board->buses);
    pthread_mutex_destroy(&board->lock);
}

enum gw_err gw_board_add(struct gw_board *board, struct gw_view *view)
{
    enum gw_err err = GW_OK;

    pthread_mutex_lock(&board->lock);
    if (board->n_buses == board->n_room) {
        size_t n_room = board->n_room ? 2 * board->n_room : 16;
        struct gw_board_bus *buses = realloc(board->buses, n_room * sizeof *buses);

        if (buses) {
            board->buses = buses;
            board->n_room = n_room;
        } else {
            err = GW_E_NOMEM;
        }
    }
    if (err == GW_OK)
        board->buses[board->n_buses++] = (struct gw_board_bus){.view = view};
    board->epoch++;
    pthread_mutex_unlock(&board->lock);
    return err;
}

void gw_board_remove(struct gw_board *board, const struct gw_view *view)
{
    size_t n = 0;

    pthread_mutex_lock(&board->lock);
    for (size_t i = 0; i < board->n_buses; i++)
        if (board->buses[i].view != view)
            board->buses[n++] = board->buses[i];
    board->n_buses = n;
    board->epoch++;
    pthread_mutex_unlock(&board->lock);
}

void gw_board_replace(struct gw_board *board, const struct gw_view *before, struct gw_view *view)
{
    pthread_mutex_lock(&board->lock);
    for (size_t i = 0; i < board->n_buses; i++)
        if (board->buses[i].view == before)
            board->buses[i].view = view;
    board->epoch++;
    pthread_mutex_unlock(&board->lock);
}

/* ---- once a second --------------------------------------------------------------------------------- */

static void sample_bus(struct gw_board_bus *bus, int64_t now_us)
{
    const size_t last = GW_BOARD_SAMPLES - 1;

    memmove(&bus->busy_us[1], &bus->busy_us[0], last * sizeof bus->busy_us[0]);
    memmove(&bus->at_us[1], &bus->at_us[0], last * sizeof bus->at_us[0]);
    pthread_mutex_lock(&bus->view->lock);
    bus->busy_us[0] = bus->view->stats.busy_us;
    pthread_mutex_unlock(&bus->view->lock);
    bus->at_us[0] = now_us;
    if (bus->n_samples < GW_BOARD_SAMPLES)
        bus->n_samples++;
    const size_t oldest = bus->n_samples - 1;
    const int64_t span_us = bus->at_us[0] - bus->at_us[oldest];
    const uint64_t busy_us = bus->busy_us[0] - bus->busy_us[oldest];
    bus->utilisation = span_us > 0 ? (double)busy_us / (double)span_us : 0;
    if (bus->utilisation > 1) /* an exchange is counted when it ends */
        bus->utilisation = 1;
}

static void sample_backlog(struct gw_board *board, int64_t now_us)
{
    if (now_us < board->backlog_due_us)
        return;
    board->backlog_due_us = now_us + GW_BOARD_BACKLOG_S * INT64_C(1000000);
    board->backlog[board->backlog_at] = board->outbox.n_messages;
    board->backlog_at = (board->backlog_at + 1) % GW_BOARD_BACKLOG;
    if (board->n_backlog < GW_BOARD_BACKLOG)
        board->n_backlog++;
}

void gw_board_tick(struct gw_board *board, const struct gw_publisher_stats *publisher,
                   const struct gw_outbox_stats *outbox, bool is_alive)
{
    int64_t now_us = gw_now_us(board->clock);

    pthread_mutex_lock(&board->lock);
    board->publisher = *publisher;
    snprintf(board->server, sizeof board->server, "%s", publisher->server ? publisher->server : "");
    board->publisher.server = board->server;
    board->outbox = *outbox;
    board->is_alive = is_alive;
    for (size_t i = 0; i < board->n_buses; i++)
        sample_bus(&board->buses[i], now_us);
    sample_backlog(board, now_us);
    pthread_mutex_unlock(&board->lock);
}

void gw_board_rename(struct gw_board *board, const char *gateway_name)
{
    pthread_mutex_lock(&board->lock);
    snprintf(board->gateway_name, sizeof board->gateway_name, "%s", gateway_name);
    pthread_mutex_unlock(&board->lock);
}

void gw_board_reloaded(struct gw_board *board, bool is_refused, const char *text)
{
    pthread_mutex_lock(&board->lock);
    board->n_reloads++;
    board->n_reloads_refused += is_refused;
    board->is_reload_refused = is_refused;
    board->reload_wall_ms = gw_wall_ms(board->clock);
    snprintf(board->reload_text, sizeof board->reload_text, "%s", text);
    pthread_mutex_unlock(&board->lock);
}

/* ---- states ---------------------------------------------------------------------------------------- */

bool gw_board_is_alive(struct gw_board *board)
{
    pthread_mutex_lock(&board->lock);
    bool is_alive = board->is_alive;
    pthread_mutex_unlock(&board->lock);
    return is_alive;
}

bool gw_board_is_ready(struct gw_board *board)
{
    pthread_mutex_lock(&board->lock);
    bool is_ready = board->publisher.is_connected;
    pthread_mutex_unlock(&board->lock);
    return is_ready;
}

const char *gw_board_bus_state(const struct gw_view *view)
{
    if (view->stats.is_open)
        return "online";
    return view->stats.n_opens == 0 && !view->stats.is_down ? "starting" : "offline";
}

const char *gw_board_device_state(const struct gw_view *view, size_t device)
{
    const struct gw_device_view *dev = &view->devices[device];

    switch (dev->state) {
    case GW_HEALTH_OFFLINE:
        return "offline";
    case GW_HEALTH_SUSPECT:
        return "suspect";
    case GW_HEALTH_ONLINE:
        break;
    }
    if (gw_device_is_only_written(&view->conf->devices[device]))
        return gw_board_bus_state(view); /* it is never asked: nothing else is known of it */
    return dev->has_answered ? "online" : "starting";
}
