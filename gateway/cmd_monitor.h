/* cmd_monitor: what `field2mqtt monitor` shows: the points of a running gateway as rows. Shared by the files of the verb:
 * cmd_monitor.c asks and keeps, cmd_monitor_screen.c draws, cmd_monitor_broker.c listens at a broker instead, and
 * cmd_monitor_rows.c knows what its messages say. */
#ifndef GW_CMD_MONITOR_H
#define GW_CMD_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct gw_config;
struct gw_mqtt_message;
struct gw_scan_value;

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

/* Writes texts without their quotes, numbers with every digit as they came, and nothing for null. */
void gw_monitor_text(const struct gw_scan_value *value, char *buf, size_t size);

struct gw_monitor_member {
    const char *key;
    char *buf; /* what it keeps when the object has no such member */
    size_t size;
};
/* Writes the members of an object, and gives whether its quality is good. */
bool gw_monitor_members(const struct gw_scan_value *object, const struct gw_monitor_member *members,
                        size_t n);

/* The rows of a configuration's points, as the messages of its topics tell them. One thread at a time. */
struct gw_monitor_rows;
struct gw_monitor_rows *gw_monitor_rows_new(
    const struct gw_config *config); /* borrowed; NULL: memory */
void gw_monitor_rows_free(struct gw_monitor_rows *rows);
/* All the topics to listen to: of values, and of states of gateway, buses and devices. Borrowed. */
const char *const *gw_monitor_rows_topics(const struct gw_monitor_rows *rows, size_t *ret_n);
void gw_monitor_rows_take(struct gw_monitor_rows *rows, const struct gw_mqtt_message *message);
/* Counts points of which nothing was heard yet. */
size_t gw_monitor_rows_unheard(const struct gw_monitor_rows *rows);
/* Gives a copy in which points of what is offline are bad; *ret_rows is the caller's. False: memory. */
bool gw_monitor_rows_copy(const struct gw_monitor_rows *rows, struct gw_monitor_row **ret_rows,
                          size_t *ret_n);

/* Listens at a broker, in a thread of its own that connects again and again. */
struct gw_monitor_broker;
/* config is borrowed; so are the others, which may be NULL: mqtt.servers, mqtt.username. NULL: memory. */
struct gw_monitor_broker *gw_monitor_broker_new(const struct gw_config *config, const char *url,
                                                const char *username, const char *password);
void gw_monitor_broker_free(struct gw_monitor_broker *broker);
/* Gives rows as gw_monitor_rows_copy does; the first time when all points were heard, or 3 s after the broker took the
 * subscription. False, with a sentence, while there is no connection. */
enum { GW_MONITOR_WHY = 300 };
bool gw_monitor_broker_ask(struct gw_monitor_broker *broker, struct gw_monitor_row **ret_rows,
                           size_t *ret_n, char why[GW_MONITOR_WHY]);

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
