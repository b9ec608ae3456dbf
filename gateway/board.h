/* board: all that is seen of the gateway from outside, in one place: the views of its buses, the broker, the outbox, the
 * last reload. The main thread keeps it up to date; others print it. One mutex, held while something is printed into
 * memory, never while somebody is waited for. */
#ifndef GW_BOARD_H
#define GW_BOARD_H

#include <stdio.h>

#include "gateway/outbox.h"
#include "gateway/publisher.h"
#include "gateway/view.h"

enum {
    GW_BOARD_SAMPLES = 11, /* of a bus, one a second: utilisation is that of the last 10 s */
    GW_BOARD_BACKLOG = 720,
    GW_BOARD_BACKLOG_S = 5, /* one sample every so many seconds: an hour in all */
    GW_BOARD_TEXT = 240,
};

struct gw_board_bus {
    struct gw_view *view;
    uint64_t busy_us[GW_BOARD_SAMPLES];
    int64_t at_us[GW_BOARD_SAMPLES];
    size_t n_samples;
    double utilisation; /* 0-1 */
};

struct gw_board {
    pthread_mutex_t lock; /* of all that follows */
    const struct gw_clock *clock;
    char gateway_name[65], version[16];
    int64_t started_wall_ms;
    struct gw_board_bus *buses;
    size_t n_buses, n_room;
    uint64_t epoch; /* grows when a bus comes or goes: places of points are void then */
    struct gw_publisher_stats publisher;
    char server[GW_BOARD_TEXT];
    struct gw_outbox_stats outbox;
    uint64_t backlog[GW_BOARD_BACKLOG]; /* messages that waited; a ring */
    size_t backlog_at, n_backlog;
    int64_t backlog_due_us;
    bool is_alive; /* every thread makes progress */
    uint64_t n_reloads, n_reloads_refused;
    int64_t reload_wall_ms;
    bool is_reload_refused;
    char reload_text[GW_BOARD_TEXT];
};

void gw_board_init(struct gw_board *board, const struct gw_clock *clock, const char *gateway_name,
                   const char *version);
void gw_board_done(struct gw_board *board);

/* ---- the main thread's ----------------------------------------------------------------------------- */

/* GW_E_NOMEM: the bus is not seen. Owns: view is borrowed until gw_board_remove. */
GW_MUST_CHECK enum gw_err gw_board_add(struct gw_board *board, struct gw_view *view);
void gw_board_remove(struct gw_board *board, const struct gw_view *view);
/* Another view of the same bus, in the same place. Owns: as gw_board_add; `before` is given back. */
void gw_board_replace(struct gw_board *board, const struct gw_view *before, struct gw_view *view);
/* Once a second. */
void gw_board_tick(struct gw_board *board, const struct gw_publisher_stats *publisher,
                   const struct gw_outbox_stats *outbox, bool is_alive);
void gw_board_rename(struct gw_board *board, const char *gateway_name);
void gw_board_reloaded(struct gw_board *board, bool is_refused, const char *text);

/* ---- any thread's ---------------------------------------------------------------------------------- */

bool gw_board_is_alive(struct gw_board *board);
/* The broker is connected and every bus was opened at least once. */
bool gw_board_is_ready(struct gw_board *board);

/* "starting", "online", "suspect" or "offline". Call them with the locks of board and view held. */
const char *gw_board_bus_state(const struct gw_view *view);
const char *gw_board_device_state(const struct gw_view *view, size_t device);

/* All but the points, as one JSON object. */
void gw_board_print_status(struct gw_board *board, FILE *out);
/* All points: {"epoch":N,"points":[...]}. */
void gw_board_print_points(struct gw_board *board, FILE *out);
/* What has changed since *version (0: everything), as {"epoch":N,"changes":[[PLACE,VALUE,REASON,TIME],...]}, and moves it
 * on; places are those of gw_board_print_points. versions[0..n) belong to the buses; it grows by realloc. */
struct gw_board_cursor {
    uint64_t epoch;
    uint64_t *versions;
    size_t n;
};
void gw_board_print_changes(struct gw_board *board, struct gw_board_cursor *cursor, FILE *out);
/* In the text format of Prometheus, version 0.0.4. */
void gw_board_print_metrics(struct gw_board *board, FILE *out);

#endif
