/* queue: a ring under a mutex and an eventfd. The eventfd is written only when the ring was empty, so that a burst
 * of items costs one system call and wakes the consumer once. */
#include "gateway/queue.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct gw_queue {
    pthread_mutex_t lock;
    size_t item_size, max_items, first, n_items;
    int event_fd;
    unsigned char *items;
};

struct gw_queue *gw_queue_new(size_t item_size, size_t max_items)
{
    struct gw_queue *queue = calloc(1, sizeof *queue);

    if (!queue)
        return NULL;
    queue->item_size = item_size;
    queue->max_items = max_items;
    queue->items = calloc(max_items, item_size);
    queue->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&queue->lock, NULL);
    if (!queue->items || queue->event_fd < 0) {
        gw_queue_free(queue);
        return NULL;
    }
    return queue;
}

void gw_queue_free(struct gw_queue *queue)
{
    if (!queue)
        return;
    if (queue->event_fd >= 0)
        close(queue->event_fd);
    pthread_mutex_destroy(&queue->lock);
    free(queue->items);
    free(queue);
}

enum gw_err gw_queue_push(struct gw_queue *queue, const void *item)
{
    pthread_mutex_lock(&queue->lock);
    const size_t n_before = queue->n_items;
    const bool is_full = n_before == queue->max_items;
    if (!is_full) {
        const size_t at = (queue->first + n_before) % queue->max_items;
        memcpy(queue->items + at * queue->item_size, item, queue->item_size);
        queue->n_items++;
    }
    pthread_mutex_unlock(&queue->lock);
    if (is_full)
        return GW_E_FULL;
    /* Outside the lock: the consumer may take the item first and then wakes once for nothing, which is harmless. */
    if (n_before == 0)
        (void)eventfd_write(queue->event_fd, 1);
    return GW_OK;
}

size_t gw_queue_pop(struct gw_queue *queue, void *ret_items, size_t max_items)
{
    unsigned char *out = ret_items;
    eventfd_t n_wakes;
    size_t n = 0;

    pthread_mutex_lock(&queue->lock);
    for (; n < max_items && queue->n_items > 0; n++) {
        memcpy(out + n * queue->item_size, queue->items + queue->first * queue->item_size,
               queue->item_size);
        queue->first = (queue->first + 1) % queue->max_items;
        queue->n_items--;
    }
    /* Under the lock: a later push sees an empty ring and writes again, so no wake-up is lost. */
    if (queue->n_items == 0)
        (void)eventfd_read(queue->event_fd, &n_wakes);
    pthread_mutex_unlock(&queue->lock);
    return n;
}

int gw_queue_fd(const struct gw_queue *queue)
{
    return queue->event_fd;
}
