/* cmd_monitor: what `field2mqtt monitor` shows: the points of a running gateway as rows. Shared by the two files of the
 * verb: cmd_monitor.c asks and keeps, cmd_monitor_screen.c draws. */
#ifndef GW_CMD_MONITOR_H
#define GW_CMD_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { GW_MONITOR_NAME = 256, GW_MONITOR_VALUE = 112, GW_MONITOR_REASON = 40 };

struct gw_monitor_row {
    char name[GW_MONITOR_NAME];   /* bus/device/point */
    char value[GW_MONITOR_VALUE]; /* with its unit; empty when bad */
    char reason[GW_MONITOR_REASON];
    int64_t wall_ms; /* 0: never */
    bool is_good;
};

enum gw_monitor_order { GW_MONITOR_BY_PLACE, GW_MONITOR_BY_NAME, GW_MONITOR_BY_AGE };

struct gw_monitor_view {
    enum gw_monitor_order order;
    bool bad_only;
    const char *const *words; /* all of which have to stand in the name */
    size_t n_words;
};

/* Gives whether a row is to be shown. */
bool gw_monitor_wants(const struct gw_monitor_view *view, const struct gw_monitor_row *row);

/* The terminal: begun once, always ended. */
void gw_monitor_screen_begin(void);
void gw_monitor_screen_end(void);
/* Draws rows[0..n); error: what is wrong instead, or NULL. first is the row at the top, kept within bounds. */
void gw_monitor_screen_draw(const char *url, const struct gw_monitor_view *view,
                            const struct gw_monitor_row *rows, size_t n, size_t *first,
                            const char *error);
/* Waits for a key or the time; 0: none came. Arrows are 'j' and 'k', page keys 'd' and 'u'. */
int gw_monitor_screen_key(int timeout_ms);

#endif
