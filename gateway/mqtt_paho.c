/* mqtt_paho: the one file that knows Eclipse Paho's MQTTAsync.
 * DESIGN. Paho keeps one lock for all its handles while it runs callbacks on its own two threads. So callbacks here
 * only copy an event into a queue; they get an integer (client, connection, slot) as context, never a pointer, since
 * a late callback may outlive what a pointer points to. Every attempt to connect has a handle of its own: a handle
 * that is connected again frees TLS options that its thread may still read (paho #1483), and late callbacks of an
 * old handle can be told from those of the new.
 * Between attempts there is no handle, so Paho ends its threads; that costs 100 ms, but starting them anew notices
 * the new socket at once, where running ones would only after a second. But the library takes places in a table of OpenSSL,
 * never given back, each time its first handle is made, with TLS or not. So while a broker is away for long an idle handle,
 * the anchor, stays.
 * Persistence, buffering, automatic reconnect and the server list of Paho stay off: they lose messages or hide what happens. */
#include "gateway/mqtt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/clock.h"
#include "gateway/mqtt_address.h"
#include "gateway/mqtt_inbox.h"
#include "gateway/mqtt_paho.h"
#include "gateway/mqtt_tls.h"
#include "gateway/one_cpu.h"
#include "gateway/readable.h"
#include "gateway/tls_client.h"

enum {
    /* Messages handed to Paho and not yet written to the socket. Paho 1.3.12 never frees topic and payload of those
     * when a handle is destroyed, so there are few, and sends beyond are told to wait. */
    QUEUED_MAX = 16,
    ANCHOR_AFTER = 20, /* attempts without a connection */
    SPARE_EVENTS = 64,
    PROBE_TIMEOUT_US = 2000000,
    DETAIL_BYTES = 256,
};

struct gw_mqtt {
    const struct gw_mqtt_conf *conf;
    struct gw_inbox *inbox;
    MQTTAsync handle;    /* NULL between attempts */
    MQTTAsync anchor;    /* NULL but for a broker that is away for long */
    unsigned n_attempts; /* since the last connection */
    struct gw_server server;
    struct gw_address addresses[GW_ADDRESS_MAX];
    size_t n_addresses, at_address;
    int will_qos; /* lowered, and retain taken away, for a broker that cannot */
    bool will_retain;
};

/* ---- Paho's callbacks: on its threads, under its lock ---- */

static void post(void *context, enum gw_mqtt_event_kind kind)
{
    gw_inbox_post(context,
                  (struct gw_mqtt_event){.kind = (uint8_t)kind, .slot = gw_inbox_slot(context)});
}

static void on_sent(void *context, MQTTAsync_successData *data)
{
    (void)data;
    post(context, GW_MQTT_DELIVERED);
}

static void on_sent_5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    post(context, GW_MQTT_DELIVERED);
}

static void on_not_sent(void *context, MQTTAsync_failureData *data)
{
    (void)data;
    post(context, GW_MQTT_UNDELIVERED);
}

static void on_not_sent_5(void *context, MQTTAsync_failureData5 *data)
{
    struct gw_mqtt_event event = {.kind = GW_MQTT_UNDELIVERED, .slot = gw_inbox_slot(context)};

    if (data && data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR) {
        event.kind = GW_MQTT_REFUSED;
        event.code = (uint8_t)data->reasonCode;
    }
    gw_inbox_post(context, event);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    (void)data;
    gw_inbox_post(context, (struct gw_mqtt_event){.kind = GW_MQTT_CONNECTED,
                                                  .limits = {UINT32_MAX, UINT16_MAX, 2, true}});
}

static void on_connected_5(void *context, MQTTAsync_successData5 *data)
{
    const struct gw_mqtt_limits limits = gw_paho_limits(&data->properties);

    gw_inbox_post(context, (struct gw_mqtt_event){.kind = GW_MQTT_CONNECTED, .limits = limits});
}

/* What the library calls a failure is -1 for nearly everything; a code above 0 is the broker's. */
static void post_failed(void *context, int code, const char *message)
{
    struct gw_mqtt_event event = {.kind = GW_MQTT_CONNECT_FAILED};

    if (code > 0 && code <= 0xff) {
        event.why = GW_MQTT_WHY_CODE;
        event.code = (uint8_t)code;
    } else if (message && strstr(message, "timeout")) {
        event.why = GW_MQTT_WHY_TIMEOUT;
    }
    gw_inbox_post(context, event);
}

static void on_not_connected(void *context, MQTTAsync_failureData *data)
{
    post_failed(context, data ? data->code : -1, data ? data->message : NULL);
}

static void on_not_connected_5(void *context, MQTTAsync_failureData5 *data)
{
    if (data && data->reasonCode > 0)
        post_failed(context, (int)data->reasonCode, NULL);
    else
        post_failed(context, data ? data->code : -1, data ? data->message : NULL);
}

static void on_lost(void *context, char *cause)
{
    (void)cause; /* always NULL */
    gw_inbox_post(context, (struct gw_mqtt_event){.kind = GW_MQTT_LOST, .why = GW_MQTT_WHY_CLOSED});
}

/* MQTT 5: the broker says why before it closes. */
static void on_broker_disconnects(void *context, MQTTProperties *properties,
                                  enum MQTTReasonCodes code)
{
    (void)properties;
    gw_inbox_post(context, (struct gw_mqtt_event){.kind = GW_MQTT_LOST,
                                                  .why = GW_MQTT_WHY_CODE,
                                                  .code = (uint8_t)code});
}

static void on_disconnected(void *context, MQTTAsync_successData *data)
{
    (void)data;
    post(context, GW_MQTT_DISCONNECTED);
}

static void on_disconnected_5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    post(context, GW_MQTT_DISCONNECTED);
}

/* ---- new, free ---- */

/* OpenSSL since 1.1 begins by itself with the first context. Paho would begin all of it also for a broker without TLS. */
static void leave_tls_alone(void)
{
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;

    options.do_openssl_init = 0;
    MQTTAsync_global_init(&options);
}

static bool is_v5(const struct gw_mqtt *mqtt)
{
    return mqtt->conf->version == GW_MQTT_5;
}

static int create_handle(const struct gw_mqtt *mqtt, const char *uri, MQTTAsync *ret_handle)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;

    options.MQTTVersion = is_v5(mqtt) ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    options.sendWhileDisconnected = 0;
    options.maxBufferedMessages = QUEUED_MAX;
    return MQTTAsync_createWithOptions(ret_handle, uri, mqtt->conf->client_id,
                                       MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
}

enum gw_err gw_mqtt_new(const struct gw_mqtt_conf *conf, struct gw_queue *messages,
                        struct gw_mqtt **ret_mqtt)
{
    struct gw_mqtt *mqtt = calloc(1, sizeof *mqtt);

    if (!mqtt)
        return GW_E_NOMEM;
    signal(SIGPIPE, SIG_IGN); /* the library does the same, later */
    leave_tls_alone();
    mqtt->conf = conf;
    mqtt->will_qos = 1;
    mqtt->will_retain = true;
    mqtt->inbox = gw_inbox_new((size_t)conf->max_inflight + SPARE_EVENTS);
    if (!mqtt->inbox) {
        free(mqtt);
        return GW_E_NOMEM;
    }
    gw_inbox_set_messages(mqtt->inbox, messages);
    const int rc = create_handle(mqtt, "tcp://127.0.0.1:1", &mqtt->handle); /* as a trial */
    if (rc != MQTTASYNC_SUCCESS) {
        mqtt->handle = NULL;
        gw_mqtt_free(mqtt);
        return rc == GW_PAHO_NO_MEMORY ? GW_E_NOMEM : GW_E_CONFIG;
    }
    gw_mqtt_drop(mqtt);
    *ret_mqtt = mqtt;
    return GW_OK;
}

void gw_mqtt_free(struct gw_mqtt *mqtt)
{
    if (!mqtt)
        return;
    mqtt->n_attempts = 0;
    gw_mqtt_drop(mqtt);
    gw_inbox_free(mqtt->inbox);
    free(mqtt);
}

/* ---- connect ---- */

static void fail(struct gw_mqtt *mqtt, enum gw_mqtt_why why, const char *detail)
{
    gw_inbox_note(gw_inbox_context(mqtt->inbox, 0), detail, strlen(detail));
    gw_inbox_post(gw_inbox_context(mqtt->inbox, 0),
                  (struct gw_mqtt_event){.kind = GW_MQTT_CONNECT_FAILED, .why = (uint8_t)why});
}

static int seconds_up(int64_t us)
{
    return (int)((us + 999999) / 1000000);
}

static void set_tls(const struct gw_mqtt *mqtt, MQTTAsync_SSLOptions *tls)
{
    const struct gw_mqtt_tls *conf = &mqtt->conf->tls;

    tls->trustStore = conf->ca_file; /* NULL: the system's */
    tls->keyStore = conf->cert_file;
    /* Named even if it is the same file: else Paho 1.3.12 lets both point to one text and frees it twice. */
    tls->privateKey = conf->key_file ? conf->key_file : conf->cert_file;
    /* Never NULL: OpenSSL would ask for the password of an encrypted key at the terminal. */
    tls->privateKeyPassword = conf->key_password ? conf->key_password : "";
    tls->verify = conf->verify;
    tls->enableServerCertAuth = conf->verify;
    tls->enabledCipherSuites = GW_TLS_CIPHERS; /* without it Paho 1.3.12 lowers the level to 1 */
    tls->sslVersion = MQTT_SSL_VERSION_TLS_1_2;
}

static void set_answers(const struct gw_mqtt *mqtt, MQTTAsync_connectOptions *options)
{
    options->context = gw_inbox_context(mqtt->inbox, 0);
    if (is_v5(mqtt)) {
        options->cleanstart = 1;
        options->onSuccess5 = on_connected_5;
        options->onFailure5 = on_not_connected_5;
    } else {
        options->cleansession = 1;
        options->onSuccess = on_connected;
        options->onFailure = on_not_connected;
    }
}

static int start_connect(struct gw_mqtt *mqtt)
{
    const struct gw_mqtt_conf *conf = mqtt->conf;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    const MQTTAsync_connectOptions options_5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;

    if (is_v5(mqtt))
        options = options_5;
    options.MQTTVersion = is_v5(mqtt) ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    set_answers(mqtt, &options);
    options.keepAliveInterval = seconds_up(conf->keepalive_us);
    options.connectTimeout = seconds_up(conf->connect_timeout_us);
    options.username = conf->username;
    options.password = conf->password;
    if (conf->state_topic) {
        will.topicName = conf->state_topic;
        will.message = "offline";
        will.qos = mqtt->will_qos;
        will.retained = mqtt->will_retain;
        options.will = &will;
    }
    if (mqtt->server.is_tls) {
        set_tls(mqtt, &tls);
        options.ssl = &tls;
    }
    return MQTTAsync_connect(mqtt->handle, &options);
}

/* Makes the anchor when it is time, as well as memory allows. */
static void count_attempt(struct gw_mqtt *mqtt)
{
    if (mqtt->n_attempts < ANCHOR_AFTER)
        mqtt->n_attempts++;
    else if (!mqtt->anchor && create_handle(mqtt, "tcp://127.0.0.1:1", &mqtt->anchor) != 0)
        mqtt->anchor = NULL;
}

/* One attempt, at one address, with a handle of its own. */
static void attempt(struct gw_mqtt *mqtt)
{
    char uri[sizeof mqtt->server.authority + 8];

    gw_mqtt_drop(mqtt);
    count_attempt(mqtt);
    gw_one_cpu_gather();     /* before the library starts its threads */
    if (mqtt->server.is_tls) /* the name stays, for the certificate is compared with it */
        snprintf(uri, sizeof uri, "ssl://%s", mqtt->server.authority);
    else
        snprintf(uri, sizeof uri, "tcp://%s:%s", mqtt->addresses[mqtt->at_address].text,
                 mqtt->server.port);
    int rc = create_handle(mqtt, uri, &mqtt->handle);
    if (rc != MQTTASYNC_SUCCESS)
        mqtt->handle = NULL;
    else
        rc = MQTTAsync_setCallbacks(mqtt->handle, gw_inbox_context(mqtt->inbox, 0), on_lost,
                                    gw_paho_on_message, NULL);
    if (rc == MQTTASYNC_SUCCESS && is_v5(mqtt))
        rc = MQTTAsync_setDisconnected(mqtt->handle, gw_inbox_context(mqtt->inbox, 0),
                                       on_broker_disconnects);
    if (rc == MQTTASYNC_SUCCESS)
        rc = start_connect(mqtt);
    if (rc != MQTTASYNC_SUCCESS) {
        const char *text = MQTTAsync_strerror(rc);
        fail(mqtt, GW_MQTT_WHY_LIBRARY, text ? text : "unknown error");
    }
}

/* Looked at here, for Paho tells a missing file and a dead broker in the same way. */
static bool can_read_files(struct gw_mqtt *mqtt)
{
    const struct gw_mqtt_tls *tls = &mqtt->conf->tls;
    const char *const files[] = {tls->ca_file, tls->cert_file, tls->key_file};
    char text[DETAIL_BYTES];

    if (gw_are_readable(files, sizeof files / sizeof files[0], text, sizeof text))
        return true;
    fail(mqtt, GW_MQTT_WHY_FILE, text);
    return false;
}

void gw_mqtt_connect(struct gw_mqtt *mqtt, const char *server)
{
    const char *why = "";

    gw_mqtt_drop(mqtt);
    if (gw_server_parse(server, &mqtt->server) != GW_OK) {
        fail(mqtt, GW_MQTT_WHY_LIBRARY, "not of the form mqtt://host:port");
        return;
    }
    if (mqtt->server.is_tls && !can_read_files(mqtt))
        return;
    mqtt->n_addresses = gw_server_resolve(&mqtt->server, mqtt->addresses, GW_ADDRESS_MAX, &why);
    mqtt->at_address =
        mqtt->server.is_tls ? gw_address_of_library(mqtt->addresses, mqtt->n_addresses) : 0;
    if (mqtt->n_addresses == 0)
        fail(mqtt, GW_MQTT_WHY_UNKNOWN_HOST, why);
    else
        attempt(mqtt);
}

/* ---- what became of it ---- */

/* Finds out why an attempt failed that the library only calls failed. */
static enum gw_mqtt_why explain(const struct gw_mqtt *mqtt)
{
    char text[DETAIL_BYTES] = "";
    const enum gw_mqtt_why why =
        gw_server_explain(&mqtt->server, &mqtt->addresses[mqtt->at_address], &mqtt->conf->tls,
                          PROBE_TIMEOUT_US, text, sizeof text);

    gw_inbox_note(gw_inbox_context(mqtt->inbox, 0), text, strlen(text));
    return why;
}

/* Looks at a failed attempt on the caller's thread: tries the next address, or says why it failed. */
static void settle(struct gw_mqtt *mqtt, struct gw_mqtt_event *event)
{
    if (event->why == GW_MQTT_WHY_CODE) {
        /* The broker may dislike the last will only: ask for less the next time. */
        if (event->code == MQTTREASONCODE_RETAIN_NOT_SUPPORTED)
            mqtt->will_retain = false;
        if (event->code == MQTTREASONCODE_QOS_NOT_SUPPORTED)
            mqtt->will_qos = 0;
        return;
    }
    const bool is_from_network =
        event->why == GW_MQTT_WHY_NONE || event->why == GW_MQTT_WHY_TIMEOUT;
    if (is_from_network && !mqtt->server.is_tls && mqtt->at_address + 1 < mqtt->n_addresses) {
        mqtt->at_address++;
        attempt(mqtt);
        *event = (struct gw_mqtt_event){.kind = GW_MQTT_TRYING};
    } else if (event->why == GW_MQTT_WHY_NONE) {
        event->why = (uint8_t)explain(mqtt);
    }
}

size_t gw_mqtt_events(struct gw_mqtt *mqtt, struct gw_mqtt_event *ret_events, size_t max_events)
{
    const size_t n = gw_inbox_take(mqtt->inbox, ret_events, max_events);

    for (size_t i = 0; i < n; i++) {
        if (ret_events[i].kind == GW_MQTT_CONNECTED)
            mqtt->n_attempts = 0;
        if (ret_events[i].kind != GW_MQTT_CONNECT_FAILED)
            continue;
        settle(mqtt, &ret_events[i]);
        return i + 1; /* the last of its attempt */
    }
    return n;
}

const char *gw_mqtt_detail(struct gw_mqtt *mqtt)
{
    return gw_inbox_noted(mqtt->inbox);
}

int gw_mqtt_event_fd(const struct gw_mqtt *mqtt)
{
    return gw_inbox_fd(mqtt->inbox);
}

/* ---- send, disconnect, drop ---- */

enum gw_err gw_mqtt_send(struct gw_mqtt *mqtt, const struct gw_message *message, uint16_t slot)
{
    MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;

    if (!mqtt->handle)
        return GW_E_LINK;
    if (message->payload_len > INT32_MAX)
        return GW_E_REFUSED;
    answer.context = gw_inbox_context(mqtt->inbox, slot);
    if (is_v5(mqtt)) {
        answer.onSuccess5 = on_sent_5;
        answer.onFailure5 = on_not_sent_5;
        gw_paho_add_properties(&answer.properties, message, gw_wall_ms(&gw_system_clock));
    } else {
        answer.onSuccess = on_sent;
        answer.onFailure = on_not_sent;
    }
    const int rc = MQTTAsync_send(mqtt->handle, message->topic, (int)message->payload_len,
                                  message->payload ? message->payload : "", message->qos,
                                  message->retain, &answer);
    MQTTProperties_free(&answer.properties);
    return gw_paho_result(rc);
}

enum gw_err gw_mqtt_subscribe(struct gw_mqtt *mqtt, const char *const *topics, size_t n_topics)
{
    return gw_paho_subscribe(mqtt->handle, is_v5(mqtt), mqtt->inbox, topics, n_topics);
}

enum gw_err gw_mqtt_unsubscribe(struct gw_mqtt *mqtt, const char *const *topics, size_t n_topics)
{
    return gw_paho_unsubscribe(mqtt->handle, topics, n_topics);
}

void gw_mqtt_disconnect(struct gw_mqtt *mqtt)
{
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    const MQTTAsync_disconnectOptions options_5 = MQTTAsync_disconnectOptions_initializer5;

    if (is_v5(mqtt)) {
        options = options_5;
        options.onSuccess5 = on_disconnected_5;
    } else {
        options.onSuccess = on_disconnected;
    }
    options.context = gw_inbox_context(mqtt->inbox, 0);
    options.timeout = 0; /* the caller has waited; and Paho looks at this time every 3 s only */
    if (!mqtt->handle || MQTTAsync_disconnect(mqtt->handle, &options) != MQTTASYNC_SUCCESS)
        post(gw_inbox_context(mqtt->inbox, 0), GW_MQTT_DISCONNECTED);
}

void gw_mqtt_drop(struct gw_mqtt *mqtt)
{
    if (mqtt->handle)
        MQTTAsync_destroy(&mqtt->handle);
    mqtt->handle = NULL;
    if (mqtt->anchor && mqtt->n_attempts == 0)
        MQTTAsync_destroy(&mqtt->anchor);
    gw_one_cpu_spread();
    gw_inbox_renew(mqtt->inbox);
}
