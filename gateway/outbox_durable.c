/* outbox_durable: the beginning and the end of an outbox on disk, and its thread. */
#include "gateway/outbox_durable.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/log.h"

enum { TICK_US = 1000000, JOIN_US = 1200000 };

static void free_list(struct gw_node_list *list)
{
    for (struct gw_node *node; (node = gw_list_pop(list));)
        free(node);
}

static bool has_finished(const struct gw_durable *self)
{
    return self->has_finished;
}

/* Nothing is left that only memory knows. */
static bool has_saved(const struct gw_durable *self)
{
    return self->has_finished ||
           (!self->is_committing && self->n_unsaved == 0 && self->deletes.n == 0);
}

/* A disk that hangs must not keep the program from ending: what is committed is safe without a clean end. */
static bool wait_for(struct gw_durable *self, bool (*is_over)(const struct gw_durable *self))
{
    const struct timespec until = gw_timespec(gw_now_us(&gw_system_clock) + JOIN_US);
    int rc = 0;

    pthread_mutex_lock(&self->mutex);
    while (!is_over(self) && rc == 0)
        rc = pthread_cond_timedwait(&self->finished, &self->mutex, &until);
    const bool is_in_time = is_over(self);
    const unsigned long long n_unsaved = self->n_unsaved + self->n_batch;
    pthread_mutex_unlock(&self->mutex);
    if (!is_in_time)
        gw_log(GW_LOG_ERROR, "buffer",
               "%s: the disk hangs, ending without it; %llu messages may not be saved", self->path,
               n_unsaved);
    return is_in_time;
}

static bool join(struct gw_durable *self)
{
    if (wait_for(self, has_finished))
        return pthread_join(self->thread, NULL) == 0;
    pthread_detach(self->thread);
    return false;
}

/* What was given out last stays lent: the publisher may be what hangs. */
void gw_durable_save(struct gw_outbox *outbox)
{
    struct gw_durable *self = (struct gw_durable *)(void *)outbox;

    pthread_mutex_lock(&self->mutex);
    self->is_stopping = self->is_ended = true;
    gw_durable_wake_writer(self);
    pthread_mutex_unlock(&self->mutex);
    if (self->has_thread)
        (void)wait_for(self, has_saved);
    else
        gw_durable_finish(self);
}

void gw_durable_free(struct gw_outbox *outbox)
{
    struct gw_durable *self = (struct gw_durable *)(void *)outbox;

    pthread_mutex_lock(&self->mutex);
    self->is_stopping = self->is_ended = true;
    gw_durable_end_loan(self);
    gw_durable_wake_writer(self);
    pthread_mutex_unlock(&self->mutex);
    if (self->has_thread && !join(self))
        return; /* the thread still uses all of it */
    if (!self->has_thread)
        gw_durable_finish(self);
    free_list(&self->given);
    free_list(&self->front);
    free_list(&self->tail);
    free_list(&self->live);
    gw_live_free(self);
    free(self->deletes.items);
    pthread_cond_destroy(&self->work);
    pthread_cond_destroy(&self->finished);
    pthread_mutex_destroy(&self->mutex);
    if (self->base.event_fd >= 0)
        close(self->base.event_fd);
    free(self->path);
    free(self);
}

static void wait_for_work(struct gw_durable *self, int64_t due_us)
{
    int64_t left_us = due_us - gw_now_us(self->clock);

    if (left_us > TICK_US)
        left_us = TICK_US;
    if (left_us <= 0 || self->is_ended || self->is_woken)
        return;
    const struct timespec until = gw_timespec(gw_now_us(&gw_system_clock) + left_us);
    pthread_cond_timedwait(&self->work, &self->mutex, &until);
}

static void *run(void *arg)
{
    struct gw_durable *self = arg;
    bool is_ended = false;

    while (!is_ended) {
        const int64_t due_us = gw_durable_step(self);

        pthread_mutex_lock(&self->mutex);
        wait_for_work(self, due_us);
        self->is_woken = false;
        is_ended = self->is_ended;
        pthread_mutex_unlock(&self->mutex);
    }
    gw_durable_finish(self);
    pthread_mutex_lock(&self->mutex);
    self->has_finished = true;
    pthread_cond_signal(&self->finished);
    pthread_mutex_unlock(&self->mutex);
    return NULL;
}

static enum gw_err start_thread(struct gw_durable *self)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    self->has_thread = pthread_create(&self->thread, NULL, run, self) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return self->has_thread ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_outbox_open(const struct gw_buffer_conf *conf, const struct gw_clock *clock,
                           struct gw_outbox **ret_outbox)
{
    struct gw_durable *self = NULL;
    enum gw_err err;

    if (conf->durability == GW_DURABLE_NONE) {
        *ret_outbox = gw_outbox_memory_new((uint64_t)conf->max_bytes, conf->drop_newest,
                                           gw_durable_seq_of_time(gw_wall_ms(clock)));
        return *ret_outbox ? GW_OK : GW_E_NOMEM;
    }
    err = gw_durable_new(conf, clock, &self);
    if (err != GW_OK)
        return err;
    err = start_thread(self);
    if (err != GW_OK)
        gw_durable_free(&self->base);
    else
        *ret_outbox = &self->base;
    return err;
}

enum gw_err gw_durable_new(const struct gw_buffer_conf *conf, const struct gw_clock *clock,
                           struct gw_durable **ret_self)
{
    struct gw_durable *self = calloc(1, sizeof *self);

    if (!self)
        return GW_E_NOMEM;
    self->base.ops = &gw_durable_ops;
    self->base.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    self->conf = *conf;
    self->conf.path = self->path = strdup(conf->path);
    self->clock = clock;
    gw_durable_size(self);
    self->is_dry = true;
    pthread_mutex_init(&self->mutex, NULL);
    gw_cond_init(&self->work);
    gw_cond_init(&self->finished);
    const bool has_all = self->base.event_fd >= 0 && self->path;
    if (has_all && gw_durable_open_store(self) != GW_STORE_BUSY) {
        *ret_self = self;
        return GW_OK;
    }
    const enum gw_err err = has_all ? GW_E_BUSY : GW_E_NOMEM;
    gw_durable_free(&self->base);
    return err;
}
