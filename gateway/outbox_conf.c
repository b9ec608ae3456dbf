/* outbox_conf: settings of an outbox that change while it runs. The writer takes them between two steps, since it reads
 * them without the mutex; everybody else holds the mutex when it reads them. */
#include "gateway/outbox_durable.h"

#include <string.h>

const char *gw_outbox_needs_restart(const struct gw_buffer_conf *now,
                                    const struct gw_buffer_conf *wanted)
{
    const bool is_moved = strcmp(now->path, wanted->path) != 0;
    const bool is_reordered = now->is_live_first != wanted->is_live_first;

    if ((now->durability == GW_DURABLE_NONE) != (wanted->durability == GW_DURABLE_NONE))
        return "buffer.durability from or to none";
    if (is_moved)
        return is_reordered ? "buffer.path and buffer.order" : "buffer.path";
    return is_reordered ? "buffer.order" : NULL;
}

void gw_durable_size(struct gw_durable *self)
{
    self->max_bytes = (uint64_t)self->conf.max_bytes;
    self->max_ram_bytes = self->max_bytes < GW_RAM_BYTES ? self->max_bytes : GW_RAM_BYTES;
    self->window_bytes =
        self->max_bytes / 4 < GW_WINDOW_BYTES ? self->max_bytes / 4 : GW_WINDOW_BYTES;
}

void gw_durable_configure(struct gw_outbox *outbox, const struct gw_buffer_conf *conf)
{
    struct gw_durable *self = (struct gw_durable *)(void *)outbox;

    pthread_mutex_lock(&self->mutex);
    self->next_conf = *conf;
    self->next_conf.path = self->path;
    self->next_conf.is_live_first = self->conf.is_live_first;
    if (conf->durability == GW_DURABLE_NONE)
        self->next_conf.durability = self->conf.durability;
    self->has_next_conf = true;
    gw_durable_wake_writer(self);
    pthread_mutex_unlock(&self->mutex);
}

enum gw_store_fault gw_durable_take_conf(struct gw_durable *self)
{
    pthread_mutex_lock(&self->mutex);
    const bool is_new = self->has_next_conf;
    if (is_new) {
        self->conf = self->next_conf;
        self->has_next_conf = false;
        gw_durable_size(self);
        gw_durable_wake_consumer(self); /* what waited for the disk, or its turn, may go now */
    }
    pthread_mutex_unlock(&self->mutex);
    return is_new && self->store ? gw_store_resize(self->store, self->max_bytes) : GW_STORE_OK;
}
