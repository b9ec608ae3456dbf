/* publisher: the thread around a session (session.h): waits for the outbox, the MQTT client, a request or the next
 * deadline, whichever is first. The outbox, the client and the session belong to the thread; others reach it through
 * requests, to stop or to subscribe, and a copy of the counters. */
#include "gateway/publisher.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/mqtt.h"
#include "gateway/pulse.h"
#include "gateway/session.h"
#include "gateway/subscriber.h"

enum {
    EVENT_BATCH = 64,
    LINGER_US = 5000,
    FREE_US = 300000, /* three times what the library took to end its threads */
};

enum { FD_REQUEST, FD_MQTT, FD_OUTBOX, N_FDS };

struct gw_publisher {
    struct gw_mqtt *mqtt;
    struct gw_session *session;
    struct gw_outbox *outbox;
    const struct gw_clock *clock;
    int request_fd;
    pthread_t thread;
    struct gw_pulse pulse;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended;
    bool has_ended, wants_stop;
    struct gw_topics *topics; /* to be subscribed to from now on; NULL: no change */
    int64_t flush_until_us, deadline_us;
    struct gw_publisher_stats stats;
};

/* Also tells whether messages were sent since the last time. */
static bool copy_stats(struct gw_publisher *publisher)
{
    struct gw_publisher_stats stats;

    gw_session_stats(publisher->session, &stats);
    pthread_mutex_lock(&publisher->lock);
    const bool has_sent = stats.n_sent != publisher->stats.n_sent;
    publisher->stats = stats;
    pthread_mutex_unlock(&publisher->lock);
    return has_sent;
}

static void take_requests(struct gw_publisher *publisher)
{
    pthread_mutex_lock(&publisher->lock);
    struct gw_topics *topics = publisher->topics;
    publisher->topics = NULL;
    const bool wants_stop = publisher->wants_stop;
    publisher->wants_stop = false;
    const int64_t flush_until_us = publisher->flush_until_us, deadline_us = publisher->deadline_us;
    pthread_mutex_unlock(&publisher->lock);
    if (topics)
        gw_session_subscribe(publisher->session, topics);
    if (wants_stop)
        gw_session_stop(publisher->session, flush_until_us, deadline_us - FREE_US);
}

static void take_events(struct gw_publisher *publisher)
{
    struct gw_mqtt_event events[EVENT_BATCH];
    size_t n;

    while ((n = gw_mqtt_events(publisher->mqtt, events, EVENT_BATCH)) > 0)
        for (size_t i = 0; i < n; i++)
            gw_session_handle(publisher->session, &events[i]);
}

static void wait(struct gw_publisher *publisher, int64_t due_us)
{
    struct pollfd fds[N_FDS] = {
        [FD_REQUEST] = {.fd = publisher->request_fd, .events = POLLIN},
        [FD_MQTT] = {.fd = gw_mqtt_event_fd(publisher->mqtt), .events = POLLIN},
        [FD_OUTBOX] = {.fd = publisher->outbox->event_fd, .events = POLLIN},
    };
    const struct timespec timeout = gw_timespec(due_us - gw_now_us(publisher->clock));
    eventfd_t n;

    if (ppoll(fds, N_FDS, due_us == INT64_MAX ? NULL : &timeout, NULL) <= 0)
        return;
    if (fds[FD_REQUEST].revents)
        (void)eventfd_read(publisher->request_fd, &n); /* only a wake-up: the next step takes it */
    if (fds[FD_MQTT].revents)
        take_events(publisher);
    if (fds[FD_OUTBOX].revents && eventfd_read(publisher->outbox->event_fd, &n) == 0)
        gw_session_wake(publisher->session);
}

/* After sending, waits a moment for acknowledgements and more messages of the same poll: to be woken for each one
 * singly costs more than all the rest. */
static void linger(const struct gw_publisher *publisher)
{
    struct pollfd request = {.fd = publisher->request_fd, .events = POLLIN};
    const struct timespec timeout = {.tv_nsec = LINGER_US * 1000L};

    ppoll(&request, 1, &timeout, NULL);
}

static void *run(void *arg)
{
    struct gw_publisher *publisher = arg;

    for (;;) {
        gw_pulse_work(&publisher->pulse, gw_now_us(publisher->clock), GW_PULSE_WORK_US);
        take_requests(publisher); /* before what was put after them */
        const int64_t due_us = gw_session_step(publisher->session);
        const bool has_sent = copy_stats(publisher);
        if (gw_session_is_done(publisher->session))
            break;
        if (has_sent && !gw_session_is_urgent(publisher->session))
            linger(publisher);
        gw_pulse_wait(&publisher->pulse, gw_now_us(publisher->clock), due_us);
        wait(publisher, due_us);
    }
    gw_mqtt_free(publisher->mqtt);
    pthread_mutex_lock(&publisher->lock);
    publisher->mqtt = NULL;
    publisher->has_ended = true;
    pthread_cond_signal(&publisher->ended);
    pthread_mutex_unlock(&publisher->lock);
    return NULL;
}

static void free_publisher(struct gw_publisher *publisher)
{
    gw_mqtt_free(publisher->mqtt);
    gw_session_free(publisher->session);
    free(publisher->topics);
    if (publisher->request_fd >= 0)
        close(publisher->request_fd);
    pthread_cond_destroy(&publisher->ended);
    pthread_mutex_destroy(&publisher->lock);
    free(publisher);
}

/* Signals belong to the main thread; the library's threads inherit the mask of this one. */
static int start_thread(struct gw_publisher *publisher)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int rc = pthread_create(&publisher->thread, NULL, run, publisher);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static struct gw_publisher *new_publisher(struct gw_outbox *outbox, const struct gw_clock *clock)
{
    struct gw_publisher *publisher = calloc(1, sizeof *publisher);

    if (!publisher)
        return NULL;
    publisher->outbox = outbox;
    publisher->clock = clock;
    publisher->request_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&publisher->lock, NULL);
    gw_cond_init(&publisher->ended);
    return publisher;
}

static enum gw_err new_session(struct gw_publisher *publisher, const struct gw_mqtt_conf *conf,
                               const struct gw_mqtt_subscription *subscription)
{
    struct gw_topics *topics = gw_topics_copy(subscription->topics, subscription->n_topics);

    if (topics)
        publisher->session =
            gw_session_new(conf, publisher->mqtt, publisher->outbox, publisher->clock);
    if (!publisher->session) {
        free(topics);
        return GW_E_NOMEM;
    }
    gw_session_subscribe(publisher->session, topics);
    return GW_OK;
}

enum gw_err gw_publisher_start(const struct gw_mqtt_conf *conf,
                               const struct gw_mqtt_subscription *subscription,
                               struct gw_outbox *outbox, const struct gw_clock *clock,
                               struct gw_publisher **ret_publisher)
{
    struct gw_publisher *publisher = new_publisher(outbox, clock);

    if (!publisher)
        return GW_E_NOMEM;
    enum gw_err err = gw_mqtt_new(conf, subscription->messages, &publisher->mqtt);
    if (err == GW_E_CONFIG)
        gw_log(GW_LOG_ERROR, "mqtt", "the client id \"%s\" cannot be used", conf->client_id);
    if (err == GW_OK)
        err = new_session(publisher, conf, subscription);
    gw_pulse_work(&publisher->pulse, gw_now_us(clock), GW_PULSE_WORK_US);
    if (!publisher->session || publisher->request_fd < 0 || start_thread(publisher) != 0) {
        free_publisher(publisher);
        return err == GW_OK ? GW_E_NOMEM : err;
    }
    *ret_publisher = publisher;
    return GW_OK;
}

enum gw_err gw_publisher_subscribe(struct gw_publisher *publisher, const char *const *topics,
                                   size_t n_topics)
{
    struct gw_topics *wanted = gw_topics_copy(topics, n_topics);

    if (!wanted)
        return GW_E_NOMEM;
    pthread_mutex_lock(&publisher->lock);
    struct gw_topics *overtaken = publisher->topics;
    publisher->topics = wanted;
    pthread_mutex_unlock(&publisher->lock);
    free(overtaken);
    (void)eventfd_write(publisher->request_fd, 1);
    return GW_OK;
}

static bool wait_ended(struct gw_publisher *publisher, int64_t left_us)
{
    const struct timespec until = gw_timespec(gw_now_us(&gw_system_clock) + left_us);
    int rc = 0;

    pthread_mutex_lock(&publisher->lock);
    while (!publisher->has_ended && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&publisher->ended, &publisher->lock, &until);
    const bool has_ended = publisher->has_ended;
    pthread_mutex_unlock(&publisher->lock);
    return has_ended;
}

enum gw_err gw_publisher_stop(struct gw_publisher *publisher, int64_t flush_until_us,
                              int64_t deadline_us)
{
    if (!publisher)
        return GW_OK;
    pthread_mutex_lock(&publisher->lock);
    publisher->wants_stop = true;
    publisher->flush_until_us = flush_until_us;
    publisher->deadline_us = deadline_us;
    pthread_mutex_unlock(&publisher->lock);
    (void)eventfd_write(publisher->request_fd, 1);
    if (!wait_ended(publisher, deadline_us - gw_now_us(publisher->clock))) {
        pthread_detach(publisher->thread);
        gw_log(GW_LOG_ERROR, "mqtt", "the connection hangs and is abandoned");
        return GW_E_TIMEOUT;
    }
    pthread_join(publisher->thread, NULL);
    free_publisher(publisher);
    return GW_OK;
}

void gw_publisher_stats(struct gw_publisher *publisher, struct gw_publisher_stats *ret_stats)
{
    pthread_mutex_lock(&publisher->lock);
    *ret_stats = publisher->stats;
    pthread_mutex_unlock(&publisher->lock);
}

int64_t gw_publisher_late_us(const struct gw_publisher *publisher, int64_t now_us)
{
    return gw_pulse_late_us(&publisher->pulse, now_us);
}
