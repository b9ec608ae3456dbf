/* mqtt_paho_in: subscriptions, messages from the broker, and what the library answers to a call. */
#include "gateway/mqtt_paho.h"

#include <stdio.h>
#include <string.h>

#include "gateway/clock.h"

enum { TOPICS_PER_PACKET = 64, QOS = 1 };

/* ---- messages -------------------------------------------------------------------------------------- */

static bool copy_text(char *out, size_t size, const char *text, size_t len)
{
    if (len >= size || memchr(text, '\0', len))
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

static void copy_user_properties(struct gw_mqtt_message *out, const MQTTProperties *properties)
{
    size_t at = 0;

    for (int i = 0; i < properties->count; i++) {
        const MQTTProperty *property = &properties->array[i];

        if (property->identifier != MQTTPROPERTY_CODE_USER_PROPERTY)
            continue;
        int n = snprintf(out->user + at, sizeof out->user - at, "%s%.*s=%.*s", at ? "; " : "",
                         property->value.data.len, property->value.data.data,
                         property->value.value.len, property->value.value.data);
        if (n < 0 || (size_t)n >= sizeof out->user - at)
            break; /* cut: it is for the audit only */
        at += (size_t)n;
    }
}

static void copy_properties(struct gw_mqtt_message *out, MQTTProperties *properties)
{
    MQTTProperty *property =
        MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC);

    if (property && !copy_text(out->response_topic, sizeof out->response_topic,
                               property->value.data.data, (size_t)property->value.data.len))
        out->is_incomplete = true;
    property = MQTTProperties_getProperty(properties, MQTTPROPERTY_CODE_CORRELATION_DATA);
    if (property && (size_t)property->value.data.len <= sizeof out->correlation) {
        out->correlation_len = (uint8_t)property->value.data.len;
        memcpy(out->correlation, property->value.data.data, out->correlation_len);
    } else if (property) {
        out->is_incomplete = true;
    }
    if (MQTTProperties_hasProperty(properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL))
        out->expiry_s = (uint32_t)MQTTProperties_getNumericValue(
            properties, MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL);
    copy_user_properties(out, properties);
}

/* 1, always: 0 would bring the message again at once. */
int gw_paho_on_message(void *context, char *topic, int topic_len, MQTTAsync_message *message)
{
    struct gw_mqtt_message out = {
        .received_us = gw_now_us(&gw_system_clock),
        .received_wall_ms = gw_wall_ms(&gw_system_clock),
        .expiry_s = UINT32_MAX,
        .is_retained = message->retained != 0,
        .payload_len = message->payloadlen > 0 ? (uint32_t)message->payloadlen : 0,
    };
    /* 0: the topic has no NUL inside and ends with one. */
    const size_t len = topic_len > 0 ? (size_t)topic_len : strlen(topic);

    out.is_incomplete = !copy_text(out.topic, sizeof out.topic, topic, len);
    memcpy(out.payload, message->payload,
           out.payload_len < sizeof out.payload ? out.payload_len : sizeof out.payload);
    copy_properties(&out, &message->properties);
    gw_inbox_deliver(context, &out);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* ---- subscriptions --------------------------------------------------------------------------------- */

/* The slot of a context says which packet it was, and how many topics were in it. */
static uint16_t packet_slot(size_t at, size_t n)
{
    return (uint16_t)(at / TOPICS_PER_PACKET * TOPICS_PER_PACKET + n - 1);
}

static size_t first_of(const void *context)
{
    return gw_inbox_slot(context) / TOPICS_PER_PACKET * TOPICS_PER_PACKET;
}

static size_t count_of(const void *context)
{
    return gw_inbox_slot(context) % TOPICS_PER_PACKET + 1u;
}

/* Tells what the broker answered for each of the topics of a packet; 0x80 and more is no. */
static void post(void *context, const int *codes)
{
    struct gw_mqtt_event event = {.kind = GW_MQTT_SUBSCRIBED};

    for (size_t i = 0; i < count_of(context); i++) {
        if (codes[i] < MQTTREASONCODE_UNSPECIFIED_ERROR)
            continue;
        if (event.n_refused++ == 0) {
            event.slot = (uint16_t)(first_of(context) + i);
            event.code = (uint8_t)codes[i];
        }
    }
    gw_inbox_post(context, event);
}

static void on_subscribed(void *context, MQTTAsync_successData *data)
{
    if (data)
        post(context, count_of(context) == 1 ? &data->alt.qos : data->alt.qosList);
}

static void on_subscribed_5(void *context, MQTTAsync_successData5 *data)
{
    const size_t n = count_of(context);
    int codes[TOPICS_PER_PACKET] = {0};

    if (!data)
        return;
    for (size_t i = 0; i < n && i < (size_t)data->alt.sub.reasonCodeCount; i++)
        codes[i] = (int)data->alt.sub.reasonCodes[i];
    if (n == 1)
        codes[0] = (int)data->reasonCode;
    post(context, codes);
}

/* Of one topic that was refused, or the connection broke: then others tell. */
static void post_failed(void *context, int code)
{
    const int codes[TOPICS_PER_PACKET] = {code};

    if (code >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        post(context, codes);
}

static void on_not_subscribed(void *context, MQTTAsync_failureData *data)
{
    post_failed(context, data ? data->code : 0);
}

static void on_not_subscribed_5(void *context, MQTTAsync_failureData5 *data)
{
    post_failed(context, data ? (int)data->reasonCode : 0);
}

/* Names of one packet. Paho copies them. */
static size_t take_names(const char *const *topics, size_t n_topics, char *ret_names[])
{
    const size_t n = n_topics < TOPICS_PER_PACKET ? n_topics : TOPICS_PER_PACKET;

    for (size_t i = 0; i < n; i++)
        ret_names[i] = (char *)(uintptr_t)topics[i];
    return n;
}

static int ask_for(MQTTAsync handle, bool is_v5, void *context, char *const *names, size_t n)
{
    MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
    MQTTSubscribe_options options[TOPICS_PER_PACKET];
    const MQTTSubscribe_options option = MQTTSubscribe_options_initializer;
    int qos[TOPICS_PER_PACKET];

    for (size_t i = 0; i < n; i++) {
        qos[i] = QOS;
        options[i] = option;
        options[i].retainAsPublished =
            1; /* a command that is retained is refused, also the first time */
    }
    answer.context = context;
    if (is_v5) {
        answer.onSuccess5 = on_subscribed_5;
        answer.onFailure5 = on_not_subscribed_5;
        answer.subscribeOptions = options[0];
        answer.subscribeOptionsCount = (int)n;
        answer.subscribeOptionsList = options;
    } else {
        answer.onSuccess = on_subscribed;
        answer.onFailure = on_not_subscribed;
    }
    return MQTTAsync_subscribeMany(handle, (int)n, names, qos, &answer);
}

enum gw_err gw_paho_subscribe(MQTTAsync handle, bool is_v5, const struct gw_inbox *inbox,
                              const char *const *topics, size_t n_topics)
{
    char *names[TOPICS_PER_PACKET];
    size_t n;

    for (size_t at = 0; at < n_topics; at += n) {
        n = take_names(topics + at, n_topics - at, names);
        if (ask_for(handle, is_v5, gw_inbox_context(inbox, packet_slot(at, n)), names, n) !=
            MQTTASYNC_SUCCESS)
            return GW_E_LINK;
    }
    return GW_OK;
}

enum gw_err gw_paho_unsubscribe(MQTTAsync handle, const char *const *topics, size_t n_topics)
{
    MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
    char *names[TOPICS_PER_PACKET];
    size_t n;

    for (size_t at = 0; at < n_topics; at += n) {
        n = take_names(topics + at, n_topics - at, names);
        if (MQTTAsync_unsubscribeMany(handle, (int)n, names, &answer) != MQTTASYNC_SUCCESS)
            return GW_E_LINK;
    }
    return GW_OK;
}

/* ---- what answers carry ---------------------------------------------------------------------------- */

static int64_t least_of_ms(int64_t a_ms, int64_t b_ms)
{
    return a_ms == 0 || (b_ms > 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* Correlation, number, and how long the broker may keep it: what is left, rounded up to seconds. */
void gw_paho_add_properties(MQTTProperties *properties, const struct gw_message *message,
                            int64_t wall_ms)
{
    static char name[] = "seq";
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_CORRELATION_DATA};
    char number[24];

    if (message->correlation_len > 0) {
        property.value.data.len = (int)message->correlation_len;
        property.value.data.data = (char *)(uintptr_t)message->correlation; /* copied */
        MQTTProperties_add(properties, &property);
    }
    int64_t left_ms = message->expires_wall_ms > 0 ? message->expires_wall_ms - wall_ms : 0;
    left_ms = least_of_ms(message->left_ms, left_ms);
    if (left_ms > 0) {
        property = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL};
        property.value.integer4 =
            left_ms / 1000 < UINT32_MAX ? (uint32_t)((left_ms + 999) / 1000) : UINT32_MAX;
        MQTTProperties_add(properties, &property);
    }
    if (message->seq == 0)
        return;
    property = (MQTTProperty){.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    property.value.data = (MQTTLenString){sizeof name - 1, name};
    property.value.value.len =
        snprintf(number, sizeof number, "%llu", (unsigned long long)message->seq);
    property.value.value.data = number; /* copied */
    MQTTProperties_add(properties, &property);
}

static int64_t property(MQTTProperties *properties, enum MQTTPropertyCodes code, int64_t otherwise)
{
    if (!MQTTProperties_hasProperty(properties, code))
        return otherwise;
    return MQTTProperties_getNumericValue(properties, code);
}

struct gw_mqtt_limits gw_paho_limits(MQTTProperties *have)
{
    return (struct gw_mqtt_limits){
        .max_packet = (uint32_t)property(have, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, UINT32_MAX),
        .receive_max = (uint16_t)property(have, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, UINT16_MAX),
        .max_qos = (uint8_t)property(have, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2),
        .has_retain = property(have, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) != 0,
    };
}

enum gw_err gw_paho_result(int rc)
{
    switch (rc) {
    case MQTTASYNC_SUCCESS:
        return GW_OK;
    case MQTTASYNC_MAX_BUFFERED_MESSAGES:
    case MQTTASYNC_NO_MORE_MSGIDS:
        return GW_E_FULL;
    case GW_PAHO_NO_MEMORY:
        return GW_E_NOMEM;
    case MQTTASYNC_BAD_UTF8_STRING:
    case MQTTASYNC_BAD_QOS:
    case MQTTASYNC_BAD_MQTT_OPTION:
        return GW_E_REFUSED;
    default:
        return GW_E_LINK;
    }
}
