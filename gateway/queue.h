/* queue: hands small items from any thread to one consumer that waits with poll(2).
 * Bounded: its memory is taken once, and a full queue refuses. Items are copied and hold no pointers to free. */
#ifndef GW_QUEUE_H
#define GW_QUEUE_H

#include <stddef.h>

#include "gateway/err.h"

struct gw_queue;

/* Makes a queue of at most max_items items of item_size bytes; NULL when memory or descriptors are out. */
struct gw_queue *gw_queue_new(size_t item_size, size_t max_items);
void gw_queue_free(struct gw_queue *queue);

/* Copies an item to the end. GW_E_FULL: it was not taken. Thread: any; never blocks longer than a copy. */
GW_MUST_CHECK enum gw_err gw_queue_push(struct gw_queue *queue, const void *item);

/* Moves up to max_items items, oldest first, to ret_items and gives their number. Thread: consumer. */
size_t gw_queue_pop(struct gw_queue *queue, void *ret_items, size_t max_items);

/* Is readable while there are items (rarely also once without). The queue reads and closes it itself. */
int gw_queue_fd(const struct gw_queue *queue);

#endif
