/* window: the messages that are under way to the broker, by slot. Bounded; takes its memory once. */
#ifndef GW_WINDOW_H
#define GW_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/outbox.h"

struct gw_flight {
    uint64_t seq;
    int qos; /* 0 to 2; -1: the slot is free */
};

struct gw_window {
    struct gw_flight *flights;        /* by slot; slot 0 is never used */
    char (*topics)[GW_TOPIC_MAX + 1]; /* by slot; NULL: not kept */
    uint16_t *free_slots;
    size_t n_slots, n_free;
};

/* Shape: n_slots 1 to 65000. false: memory is out. */
bool gw_window_init(struct gw_window *window, size_t n_slots, bool keeps_topics);
void gw_window_done(struct gw_window *window);

/* Takes a free slot for a message; 0 when all are taken. */
uint16_t gw_window_put(struct gw_window *window, const struct gw_message *message);
/* Frees a slot and gives what was in it; its topic is still there until the next put. false: there was nothing. */
bool gw_window_take(struct gw_window *window, uint16_t slot, struct gw_flight *ret_flight);
/* Frees all. */
void gw_window_clear(struct gw_window *window);

static inline size_t gw_window_count(const struct gw_window *window)
{
    return window->n_slots - window->n_free;
}

#endif
