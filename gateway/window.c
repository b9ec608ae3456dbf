#include "gateway/window.h"

#include <stdio.h>
#include <stdlib.h>

bool gw_window_init(struct gw_window *window, size_t n_slots, bool keeps_topics)
{
    window->n_slots = n_slots;
    window->flights = calloc(n_slots + 1, sizeof *window->flights);
    window->free_slots = calloc(n_slots, sizeof *window->free_slots);
    window->topics = keeps_topics ? calloc(n_slots + 1, sizeof *window->topics) : NULL;
    if (!window->flights || !window->free_slots || (keeps_topics && !window->topics)) {
        gw_window_done(window);
        return false;
    }
    gw_window_clear(window);
    return true;
}

void gw_window_done(struct gw_window *window)
{
    free(window->flights);
    free(window->topics);
    free(window->free_slots);
    *window = (struct gw_window){0};
}

uint16_t gw_window_put(struct gw_window *window, const struct gw_message *message)
{
    if (window->n_free == 0)
        return 0;
    const uint16_t slot = window->free_slots[--window->n_free];
    window->flights[slot] = (struct gw_flight){message->seq, message->qos};
    if (window->topics)
        snprintf(window->topics[slot], sizeof window->topics[slot], "%s", message->topic);
    return slot;
}

bool gw_window_take(struct gw_window *window, uint16_t slot, struct gw_flight *ret_flight)
{
    if (slot == 0 || slot > window->n_slots || window->flights[slot].qos < 0)
        return false;
    *ret_flight = window->flights[slot];
    window->flights[slot].qos = -1;
    window->free_slots[window->n_free++] = slot;
    return true;
}

void gw_window_clear(struct gw_window *window)
{
    window->n_free = 0;
    for (size_t slot = window->n_slots; slot > 0; slot--) {
        window->flights[slot].qos = -1;
        window->free_slots[window->n_free++] = (uint16_t)slot;
    }
}
