/* cmd_monitor_broker: a client of the broker beside the gateway, for `field2mqtt monitor --broker`: subscribes to the topics of
 * a configuration and keeps the last that was said. Publishes nothing and has no last will. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "gateway/clock.h"
#include "gateway/cmd_monitor.h"
#include "gateway/config.h"
#include "gateway/mqtt.h"
#include "gateway/mqtt_message.h"
#include "gateway/mqtt_words.h"
#include "gateway/queue.h"
#include "gateway/server_url.h"

enum { QUEUE_MAX = 2048, CLIENT_ID_MAX = 192, EVENTS = 16 };

#define AGAIN_US   ((int64_t)2000000)
#define HEARING_US ((int64_t)3000000) /* for retained messages, which a broker sends at once */

struct gw_monitor_broker {
    struct gw_mqtt_conf conf;
    struct gw_mqtt_subscription subscription;
    char client_id[CLIENT_ID_MAX], url[GW_SERVER_HOST_MAX + 32];
    const char *own_server;
    size_t at_server;
    struct gw_mqtt *mqtt;
    int64_t due_us; /* when to connect again */
    int stop_fd;
    pthread_t thread;
    bool is_started;

    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    struct gw_monitor_rows *rows;
    bool is_connected, is_subscribed, was_asked;
    char why[GW_MONITOR_WHY];
};

/* ---- the thread ------------------------------------------------------------------------------------ */

static void connect_next(struct gw_monitor_broker *broker, int64_t now_us)
{
    const struct gw_list *servers = &broker->conf.servers;

    broker->due_us = now_us + broker->conf.connect_timeout_us + AGAIN_US;
    gw_mqtt_connect(broker->mqtt, servers->items[broker->at_server++ % servers->n_items]);
}

static void take_failure(struct gw_monitor_broker *broker, const struct gw_mqtt_event *event)
{
    char text[GW_MONITOR_WHY];

    broker->is_connected = broker->is_subscribed = false;
    if (event->kind == GW_MQTT_LOST) {
        snprintf(broker->why, sizeof broker->why, "the connection to the broker is lost");
    } else {
        gw_mqtt_failure_text(broker->mqtt, broker->conf.connect_timeout_us, event, text,
                             sizeof text);
        snprintf(broker->why, sizeof broker->why, "%s", text + strspn(text, ": "));
    }
    broker->due_us = gw_now_us(&gw_system_clock) + AGAIN_US;
}

static void take_event(struct gw_monitor_broker *broker, const struct gw_mqtt_event *event)
{
    pthread_mutex_lock(&broker->mutex);
    if (event->kind == GW_MQTT_CONNECTED) {
        broker->is_connected = true;
        broker->why[0] = '\0';
        broker->due_us = gw_mqtt_subscribe(broker->mqtt, broker->subscription.topics,
                                           broker->subscription.n_topics) == GW_OK
                             ? INT64_MAX
                             : 0;
    } else if (event->kind == GW_MQTT_SUBSCRIBED) {
        broker->is_subscribed = true;
        if (event->n_refused > 0)
            snprintf(broker->why, sizeof broker->why, "it refuses %u of %zu topics: %s",
                     event->n_refused, broker->subscription.n_topics,
                     gw_mqtt_code_text(event->code));
    } else if (event->kind == GW_MQTT_CONNECT_FAILED || event->kind == GW_MQTT_LOST) {
        take_failure(broker, event);
    } else if (event->kind == GW_MQTT_TRYING) {
        broker->due_us = gw_now_us(&gw_system_clock) + broker->conf.connect_timeout_us + AGAIN_US;
    }
    pthread_cond_broadcast(&broker->changed);
    pthread_mutex_unlock(&broker->mutex);
}

static void take_messages(struct gw_monitor_broker *broker)
{
    struct gw_mqtt_message message;

    while (gw_queue_pop(broker->subscription.messages, &message, 1) == 1) {
        pthread_mutex_lock(&broker->mutex);
        gw_monitor_rows_take(broker->rows, &message);
        pthread_cond_broadcast(&broker->changed);
        pthread_mutex_unlock(&broker->mutex);
    }
}

static int ms_until(int64_t due_us, int64_t now_us)
{
    if (due_us == INT64_MAX)
        return -1;
    return due_us <= now_us ? 0 : (int)((due_us - now_us) / 1000) + 1;
}

static void *listen_to(void *ctx)
{
    struct gw_monitor_broker *broker = ctx;
    struct gw_mqtt_event events[EVENTS];
    struct pollfd fds[] = {{.fd = broker->stop_fd, .events = POLLIN},
                           {.fd = gw_mqtt_event_fd(broker->mqtt), .events = POLLIN},
                           {.fd = gw_queue_fd(broker->subscription.messages), .events = POLLIN}};
    size_t n;

    for (;;) {
        const int64_t now_us = gw_now_us(&gw_system_clock);

        if (now_us >= broker->due_us)
            connect_next(broker, now_us);
        if (poll(fds, 3, ms_until(broker->due_us, now_us)) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            break;
        while ((n = gw_mqtt_events(broker->mqtt, events, EVENTS)) > 0)
            for (size_t i = 0; i < n; i++)
                take_event(broker, &events[i]);
        take_messages(broker);
    }
    gw_mqtt_drop(broker->mqtt);
    return NULL;
}

/* ---- its owner ------------------------------------------------------------------------------------- */

static bool start(struct gw_monitor_broker *broker)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    broker->is_started = pthread_create(&broker->thread, NULL, listen_to, broker) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return broker->is_started;
}

static void set_conf(struct gw_monitor_broker *broker, const char *url, const char *username,
                     const char *password)
{
    struct gw_mqtt_conf *conf = &broker->conf;
    struct gw_server_url server;
    char why[GW_SERVER_URL_WHY];

    snprintf(broker->client_id, sizeof broker->client_id, "%.150s-monitor-%ld", conf->client_id,
             (long)getpid());
    conf->client_id = broker->client_id;
    conf->state_topic = NULL; /* no last will */
    if (username) {
        conf->username = username;
        conf->password = password;
    }
    if (!url || gw_server_url_parse(url, &server, why) != GW_OK)
        return;
    const bool is_v6 = strchr(server.host, ':') != NULL;
    snprintf(broker->url, sizeof broker->url, "%s://%s%s%s:%d", server.is_tls ? "mqtts" : "mqtt",
             is_v6 ? "[" : "", server.host, is_v6 ? "]" : "", server.port);
    broker->own_server = broker->url;
    conf->servers = (struct gw_list){.items = &broker->own_server, .n_items = 1};
}

struct gw_monitor_broker *gw_monitor_broker_new(const struct gw_config *config, const char *url,
                                                const char *username, const char *password)
{
    struct gw_monitor_broker *broker = calloc(1, sizeof *broker);

    if (!broker)
        return NULL;
    pthread_mutex_init(&broker->mutex, NULL);
    gw_cond_init(&broker->changed);
    broker->conf = config->mqtt;
    broker->stop_fd = eventfd(0, EFD_CLOEXEC);
    broker->rows = gw_monitor_rows_new(config);
    broker->subscription.messages = gw_queue_new(sizeof(struct gw_mqtt_message), QUEUE_MAX);
    if (broker->rows)
        broker->subscription.topics =
            gw_monitor_rows_topics(broker->rows, &broker->subscription.n_topics);
    set_conf(broker, url, username, password);
    if (broker->stop_fd < 0 || !broker->rows || !broker->subscription.messages ||
        gw_mqtt_new(&broker->conf, broker->subscription.messages, &broker->mqtt) != GW_OK ||
        !start(broker)) {
        gw_monitor_broker_free(broker);
        return NULL;
    }
    return broker;
}

void gw_monitor_broker_free(struct gw_monitor_broker *broker)
{
    if (!broker)
        return;
    if (broker->is_started) {
        eventfd_write(broker->stop_fd, 1);
        pthread_join(broker->thread, NULL);
    }
    gw_mqtt_free(broker->mqtt);
    gw_queue_free(broker->subscription.messages);
    gw_monitor_rows_free(broker->rows);
    if (broker->stop_fd >= 0)
        close(broker->stop_fd);
    pthread_cond_destroy(&broker->changed);
    pthread_mutex_destroy(&broker->mutex);
    free(broker);
}

static struct timespec after_us(int64_t us)
{
    return gw_timespec(gw_now_us(&gw_system_clock) + us);
}

/* Waits for the first answer: until the broker has taken the subscription or there is a word why not, and then until
 * every point was heard. */
static void wait_first(struct gw_monitor_broker *broker)
{
    struct timespec until = after_us(broker->conf.connect_timeout_us + 1000000);
    int rc = 0;

    while (rc == 0 && !broker->is_subscribed && !broker->why[0])
        rc = pthread_cond_timedwait(&broker->changed, &broker->mutex, &until);
    until = after_us(HEARING_US);
    for (rc = 0; rc == 0 && broker->is_subscribed && gw_monitor_rows_unheard(broker->rows) > 0;)
        rc = pthread_cond_timedwait(&broker->changed, &broker->mutex, &until);
}

bool gw_monitor_broker_ask(struct gw_monitor_broker *broker, struct gw_monitor_row **ret_rows,
                           size_t *ret_n, char why[GW_MONITOR_WHY])
{
    bool is_good;

    pthread_mutex_lock(&broker->mutex);
    if (!broker->was_asked)
        wait_first(broker);
    broker->was_asked = true;
    is_good = broker->is_connected && !broker->why[0];
    snprintf(why, GW_MONITOR_WHY, "%s", broker->why[0] ? broker->why : "no answer yet");
    if (is_good && !gw_monitor_rows_copy(broker->rows, ret_rows, ret_n)) {
        snprintf(why, GW_MONITOR_WHY, "out of memory");
        is_good = false;
    }
    pthread_mutex_unlock(&broker->mutex);
    return is_good;
}
