/* bus: the thread around a bus loop: step, wait for the deadline or the wake descriptor, step again. */
#include "gateway/bus_run.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/pulse.h"
#include "gateway/queue.h"
#include "gateway/view.h"

enum { STACK_BYTES = 256 * 1024 };

struct gw_bus_thread {
    pthread_t thread;
    struct gw_bus_loop *loop; /* the thread's own */
    int wake_fd; /* an eventfd: written to stop, or to call a thread that does nothing but wait */
    int any_fd;  /* readable when wake_fd is, or there are orders; -1 without orders */
    struct gw_bus_change *change; /* that was handed over and has not ended; the main thread's */
    atomic_bool is_stopping;
    struct gw_pulse pulse;
    struct gw_view *view;
    int64_t longest_step_us;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t told;   /* on the monotonic clock: the thread has ended or taken a change */
    bool has_ended;
    struct gw_bus_change *mail; /* the change, until the thread takes it */
    bool is_waiting, is_called; /* is_called: wake_fd was written, but not to stop */
    struct gw_bus_stats stats;
};

/* False: there is mail to be taken first. */
static bool begin_waiting(struct gw_bus_thread *bus)
{
    pthread_mutex_lock(&bus->mutex);
    bus->is_waiting = !bus->mail;
    bool is_waiting = bus->is_waiting;
    pthread_mutex_unlock(&bus->mutex);
    return is_waiting;
}

/* Whoever is called has come: a driver takes a readable wake_fd for the stop. A stop is not missed, since is_stopping is
 * set before wake_fd is written, and looked at after this. */
static void end_waiting(struct gw_bus_thread *bus)
{
    eventfd_t n;

    pthread_mutex_lock(&bus->mutex);
    bus->is_waiting = false;
    if (bus->is_called)
        (void)eventfd_read(bus->wake_fd, &n);
    bus->is_called = false;
    pthread_mutex_unlock(&bus->mutex);
}

static void wait_until(struct gw_bus_thread *bus, int64_t wake_us)
{
    int64_t left_us = wake_us - gw_now_us(bus->loop->clock);
    struct pollfd wake = {.fd = bus->any_fd >= 0 ? bus->any_fd : bus->wake_fd, .events = POLLIN};

    if (left_us <= 0 || !begin_waiting(bus))
        return;
    const struct timespec left = gw_timespec(left_us);
    (void)ppoll(&wake, 1, wake_us == INT64_MAX ? NULL : &left, NULL);
    end_waiting(bus);
}

static int64_t longest_step_us(const struct gw_bus_conf *conf)
{
    int64_t longest_us = 0;

    for (size_t i = 0; i < conf->n_devices; i++)
        if (conf->devices[i].timeout_us > longest_us)
            longest_us = conf->devices[i].timeout_us;
    return GW_PULSE_WORK_US + longest_us;
}

static void take_change(struct gw_bus_thread *bus)
{
    pthread_mutex_lock(&bus->mutex);
    struct gw_bus_change *change = bus->mail;
    bus->mail = NULL;
    pthread_mutex_unlock(&bus->mutex);
    if (!change)
        return;
    gw_bus_loop_change(bus->loop, change);
    bus->longest_step_us = longest_step_us(bus->loop->conf);
    pthread_mutex_lock(&bus->mutex);
    change->is_taken = true;
    pthread_cond_signal(&bus->told);
    pthread_mutex_unlock(&bus->mutex);
}

static void *run(void *arg)
{
    struct gw_bus_thread *bus = arg;

    while (!atomic_load(&bus->is_stopping)) {
        gw_pulse_work(&bus->pulse, gw_now_us(bus->loop->clock), bus->longest_step_us);
        take_change(bus);
        int64_t wake_us = gw_bus_loop_step(bus->loop);

        gw_pulse_wait(&bus->pulse, gw_now_us(bus->loop->clock), wake_us);
        pthread_mutex_lock(&bus->mutex);
        bus->stats = bus->loop->stats;
        pthread_mutex_unlock(&bus->mutex);
        wait_until(bus, wake_us);
    }
    gw_bus_commands_abort(bus->loop);
    gw_bus_loop_close(bus->loop);
    pthread_mutex_lock(&bus->mutex);
    bus->has_ended = true;
    pthread_cond_signal(&bus->told);
    pthread_mutex_unlock(&bus->mutex);
    return NULL;
}

static enum gw_err start_thread(struct gw_bus_thread *bus)
{
    pthread_attr_t attr;
    char name[16];
    size_t n = 0;

    if (pthread_attr_init(&attr) != 0)
        return GW_E_NOMEM;
    int failed = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!failed)
        failed = pthread_create(&bus->thread, &attr, run, bus);
    pthread_attr_destroy(&attr);
    if (failed)
        return GW_E_NOMEM;
    for (const char *c = bus->loop->conf->name; *c && n < sizeof name - 1; c++)
        name[n++] = *c;
    name[n] = '\0';
    pthread_setname_np(bus->thread, name); /* for top -H and gdb */
    return GW_OK;
}

static void free_bus(struct gw_bus_thread *bus)
{
    gw_bus_change_free(bus->change);
    gw_view_free(bus->view);
    gw_bus_loop_free(bus->loop);
    if (bus->wake_fd >= 0)
        close(bus->wake_fd);
    if (bus->any_fd >= 0)
        close(bus->any_fd);
    pthread_cond_destroy(&bus->told);
    pthread_mutex_destroy(&bus->mutex);
    free(bus);
}

static bool watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* One descriptor for both, since a driver that listens can watch one only. */
static enum gw_err watch_orders(struct gw_bus_thread *bus, const struct gw_bus_orders *orders)
{
    bus->any_fd = epoll_create1(EPOLL_CLOEXEC);
    if (bus->any_fd < 0 || !watch(bus->any_fd, bus->wake_fd) ||
        !watch(bus->any_fd, gw_queue_fd(orders->orders)))
        return GW_E_NOMEM;
    bus->loop->host.listen_fd = bus->any_fd;
    return GW_OK;
}

enum gw_err gw_bus_start(const struct gw_bus_conf *conf, struct gw_outbox *outbox,
                         const struct gw_clock *clock, size_t max_payload,
                         const struct gw_bus_orders *orders, struct gw_bus_thread **ret_bus)
{
    struct gw_bus_thread *bus = calloc(1, sizeof *bus);
    enum gw_err err = GW_E_NOMEM;

    if (!bus)
        return err;
    pthread_mutex_init(&bus->mutex, NULL);
    gw_cond_init(&bus->told);
    bus->any_fd = -1;
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bus->view = gw_view_new(conf, clock);
    if (bus->wake_fd >= 0 && bus->view)
        err = gw_bus_loop_new(conf, outbox, clock, max_payload, bus->wake_fd, &bus->loop);
    if (err == GW_OK)
        err = gw_bus_commands_init(bus->loop, orders);
    if (err == GW_OK && orders)
        err = watch_orders(bus, orders);
    if (err == GW_OK) {
        bus->stats = bus->loop->stats;
        bus->loop->view = bus->view;
        bus->longest_step_us = longest_step_us(conf);
        gw_pulse_work(&bus->pulse, gw_now_us(clock), bus->longest_step_us);
        err = start_thread(bus);
    }
    if (err != GW_OK)
        free_bus(bus);
    else
        *ret_bus = bus;
    return err;
}

void gw_bus_ask_stop(struct gw_bus_thread *bus)
{
    const uint64_t one = 1;

    atomic_store(&bus->is_stopping, true);
    if (write(bus->wake_fd, &one, sizeof one) < 0)
        return; /* only when it was written 2^64 - 2 times: it is readable then as well */
}

/* Waits for what the thread tells; gives whether it has. */
static bool await(struct gw_bus_thread *bus, const bool *has_told, int64_t deadline_us)
{
    const struct timespec deadline = gw_timespec(deadline_us);
    int failed = 0;

    pthread_mutex_lock(&bus->mutex);
    while (!*has_told && !failed)
        failed = pthread_cond_timedwait(&bus->told, &bus->mutex, &deadline);
    bool has = *has_told;
    pthread_mutex_unlock(&bus->mutex);
    return has;
}

enum gw_err gw_bus_change(struct gw_bus_thread *bus, const struct gw_bus_conf *conf,
                          size_t max_payload, const size_t *from)
{
    enum gw_err err = gw_bus_change_new(bus->loop, conf, max_payload, from,
                                        bus->view->conf->n_devices, &bus->change);

    if (err != GW_OK)
        return err;
    pthread_mutex_lock(&bus->mutex);
    bus->mail = bus->change;
    bus->is_called = bus->is_waiting; /* one that works or listens looks by itself soon */
    if (bus->is_called)
        (void)eventfd_write(bus->wake_fd, 1);
    pthread_mutex_unlock(&bus->mutex);
    return GW_OK;
}

enum gw_err gw_bus_await_change(struct gw_bus_thread *bus, int64_t deadline_us)
{
    if (!await(bus, &bus->change->is_taken, deadline_us))
        return GW_E_TIMEOUT;
    struct gw_view *before = bus->view;

    bus->view = bus->change->view;
    bus->change->view = before;
    return GW_OK;
}

void gw_bus_end_change(struct gw_bus_thread *bus)
{
    gw_bus_change_free(bus->change);
    bus->change = NULL;
}

enum gw_err gw_bus_join(struct gw_bus_thread *bus, int64_t deadline_us)
{
    if (!await(bus, &bus->has_ended, deadline_us))
        return GW_E_TIMEOUT;
    pthread_join(bus->thread, NULL);
    free_bus(bus);
    return GW_OK;
}

void gw_bus_stats(const struct gw_bus_thread *bus, struct gw_bus_stats *ret_stats)
{
    struct gw_bus_thread *shared = (struct gw_bus_thread *)bus; /* only the mutex changes */

    pthread_mutex_lock(&shared->mutex);
    *ret_stats = shared->stats;
    pthread_mutex_unlock(&shared->mutex);
}

struct gw_view *gw_bus_view(const struct gw_bus_thread *bus)
{
    return bus->view;
}

int64_t gw_bus_late_us(const struct gw_bus_thread *bus, int64_t now_us)
{
    return gw_pulse_late_us(&bus->pulse, now_us);
}
