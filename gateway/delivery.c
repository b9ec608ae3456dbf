/* delivery. DESIGN.
 * - At most max_inflight messages, and no more than the broker's receive maximum, are under way; the state message
 *   counts. The outbox forgets a message only when the broker has acknowledged it (QoS 0: when it is written).
 * - After a broken connection the outbox is rewound: order holds, and only what was under way can come twice.
 * - A message that the broker will never take must not block those behind it. What can be known beforehand (topic,
 *   size) is checked; what MQTT 5 refuses by a reason code is dropped. A 3.1.1 broker just closes the connection,
 *   again and again: after connections without progress only one message at a time is sent, and the one after
 *   which three connections in a row broke at once, though the broker had answered before, is dropped. */
#include "gateway/delivery.h"

#include <stdio.h>
#include <string.h>

#include "gateway/log.h"
#include "gateway/mqtt_message.h"
#include "gateway/topic_fault.h"

enum {
    STATE_SLOT = GW_MQTT_SLOT_MAX + 1,
    BARREN_LIMIT = 2,
    SUSPECT_LIMIT = 3,
    RETRY_MIN_US = 1000, /* after the client took no more: doubles each time */
    RETRY_MAX_US = 64000,
    BREAKS_AT_ONCE_US = 2000000,
};

static const uint64_t no_seq = UINT64_MAX;

bool gw_delivery_init(struct gw_delivery *delivery, const struct gw_mqtt_conf *conf,
                      struct gw_mqtt *mqtt, struct gw_outbox *outbox, const struct gw_clock *clock)
{
    int64_t n_slots = conf->max_inflight;

    *delivery = (struct gw_delivery){.conf = conf, .mqtt = mqtt, .outbox = outbox, .clock = clock};
    delivery->suspect_seq = delivery->banned_seq = no_seq;
    delivery->has_more = true;
    if (n_slots < 1)
        n_slots = 1;
    if (n_slots > GW_MQTT_SLOT_MAX)
        n_slots = GW_MQTT_SLOT_MAX;
    /* Only MQTT 5 can refuse a message by its slot, and then the log needs the topic. */
    return gw_window_init(&delivery->window, (size_t)n_slots, conf->version == GW_MQTT_5);
}

void gw_delivery_done(struct gw_delivery *delivery)
{
    gw_window_done(&delivery->window);
}

/* ---- what is refused for good ---- */

static uint32_t hash(const char *topic, const char *reason)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (const char *at = topic; *at; at++)
        h = (h ^ (unsigned char)*at) * 16777619u;
    for (const char *at = reason; *at; at++)
        h = (h ^ (unsigned char)*at) * 16777619u;
    return h;
}

/* Once for a topic and reason, and for 64 of them: a device with a wrong topic must not fill the log. */
static void tell_refused(struct gw_delivery *delivery, const char *topic, const char *reason)
{
    const uint32_t h = hash(topic, reason);

    if (delivery->n_told == GW_DELIVERY_TOLD_MAX)
        return;
    for (size_t i = 0; i < delivery->n_told; i++)
        if (delivery->told[i] == h)
            return;
    delivery->told[delivery->n_told++] = h;
    gw_log(GW_LOG_ERROR, "mqtt", "message for %s dropped: %s", topic, reason);
    if (delivery->n_told == GW_DELIVERY_TOLD_MAX)
        gw_log(GW_LOG_ERROR, "mqtt", "further topics with dropped messages are only counted");
}

static void refuse(struct gw_delivery *delivery, uint64_t seq, const char *topic,
                   const char *reason)
{
    delivery->n_refused++;
    tell_refused(delivery, topic, reason);
    delivery->outbox->ops->drop(delivery->outbox, seq, GW_DROP_REFUSED);
}

/* Source: MQTT 5, 2.2.2 and 3.3.2.3: correlation data, message expiry, user property "seq"; their length first. */
static uint64_t properties_size(const struct gw_message *message)
{
    uint64_t size = 0;

    if (message->correlation_len > 0)
        size += 1 + 2 + message->correlation_len;
    if (message->left_ms > 0 || message->expires_wall_ms > 0)
        size += 1 + 4;
    if (message->seq > 0)
        size += 1 + 2 + strlen("seq") + 2;
    for (uint64_t seq = message->seq; seq > 0; seq /= 10)
        size++;
    return size + (size < 128 ? 1 : 2);
}

/* Source: MQTT 3.1.1 and 5, 2.1.4 and 3.3: header, remaining length, topic, packet id, properties, payload. */
static uint64_t packet_size(const struct gw_delivery *delivery, const struct gw_message *message)
{
    uint64_t rest = 2 + strlen(message->topic) + message->payload_len;

    rest += message->qos > 0 ? 2 : 0;
    rest += delivery->conf->version == GW_MQTT_5 ? properties_size(message) : 0;
    const uint64_t length_bytes = rest < 128 ? 1 : rest < 16384 ? 2 : rest < 2097152 ? 3 : 4;
    return 1 + length_bytes + rest;
}

/* Gives the reason for which this message can never be sent; NULL: it can. */
static const char *fault_of(const struct gw_delivery *delivery, const struct gw_message *message,
                            char *text, size_t size)
{
    const char *fault = gw_topic_fault(message->topic);

    if (fault)
        return fault;
    if (message->seq == delivery->banned_seq)
        return "the broker closes the connection each time it is sent";
    if (message->payload_len > (uint64_t)delivery->conf->max_payload) {
        snprintf(text, size, "its payload of %zu bytes is larger than max_payload (%lld)",
                 message->payload_len, (long long)delivery->conf->max_payload);
        return text;
    }
    if (packet_size(delivery, message) > delivery->limits.max_packet) {
        snprintf(text, size, "with %zu bytes of payload it is larger than the broker allows (%lu)",
                 message->payload_len, (unsigned long)delivery->limits.max_packet);
        return text;
    }
    return NULL;
}

/* ---- the connection comes and goes ---- */

void gw_delivery_begin(struct gw_delivery *delivery, const struct gw_mqtt_limits *limits)
{
    delivery->limits = *limits;
    delivery->is_proven = delivery->conf->state_topic == NULL;
    delivery->has_progress = false;
    gw_pace_begin(&delivery->pace);
    delivery->last_answer_us = gw_now_us(delivery->clock);
}

static void learn_from_break(struct gw_delivery *delivery)
{
    const int64_t since_sent_us = gw_now_us(delivery->clock) - delivery->last_sent_us;
    const size_t n_under_way = gw_window_count(&delivery->window);

    if (delivery->has_progress) {
        delivery->n_barren = 0;
        return;
    }
    if (!delivery->is_proven || n_under_way == 0 || since_sent_us > BREAKS_AT_ONCE_US)
        return;
    delivery->n_barren++;
    if (n_under_way > 1)
        return;
    if (delivery->suspect_seq != delivery->last_seq)
        delivery->n_suspected = 0;
    delivery->suspect_seq = delivery->last_seq;
    if (++delivery->n_suspected >= SUSPECT_LIMIT)
        delivery->banned_seq = delivery->suspect_seq;
}

void gw_delivery_end(struct gw_delivery *delivery)
{
    learn_from_break(delivery);
    gw_window_clear(&delivery->window);
    delivery->is_state_pending = false;
    delivery->is_held = false;
    delivery->has_pending = false;
    delivery->not_before_us = 0;
    delivery->outbox->ops->rewind(delivery->outbox);
    delivery->has_more = true;
}

/* ---- sending ---- */

static size_t limit_of(const struct gw_delivery *delivery)
{
    size_t limit = delivery->window.n_slots;

    if (limit > delivery->limits.receive_max)
        limit = delivery->limits.receive_max;
    return delivery->n_barren >= BARREN_LIMIT ? 1 : limit;
}

static size_t under_way(const struct gw_delivery *delivery)
{
    return gw_window_count(&delivery->window) + delivery->is_state_pending;
}

bool gw_delivery_has_room(const struct gw_delivery *delivery)
{
    return under_way(delivery) < limit_of(delivery);
}

bool gw_delivery_is_half_full(const struct gw_delivery *delivery)
{
    return delivery->has_pending || 2 * under_way(delivery) >= limit_of(delivery);
}

static enum gw_err send_one(struct gw_delivery *delivery, struct gw_message *message)
{
    const uint16_t slot = gw_window_put(&delivery->window, message);
    struct gw_flight flight;

    if (message->qos > delivery->limits.max_qos)
        message->qos = delivery->limits.max_qos;
    message->retain = message->retain && delivery->limits.has_retain;
    const enum gw_err err = gw_mqtt_send(delivery->mqtt, message, slot);
    if (err != GW_OK) {
        gw_window_take(&delivery->window, slot, &flight);
        return err;
    }
    if (gw_window_count(&delivery->window) == 1)
        delivery->last_answer_us = gw_now_us(delivery->clock);
    delivery->n_sent++;
    delivery->last_seq = message->seq;
    return GW_OK;
}

static bool is_too_old(const struct gw_delivery *delivery, const struct gw_message *message)
{
    return message->expires_wall_ms > 0 && gw_wall_ms(delivery->clock) > message->expires_wall_ms;
}

/* Gets the next message that can be sent at all into `pending`. */
static bool fetch(struct gw_delivery *delivery)
{
    struct gw_outbox *outbox = delivery->outbox;
    char text[128];

    while (!delivery->has_pending && delivery->has_more) {
        if (outbox->ops->next(outbox, &delivery->pending) != GW_OK) {
            delivery->has_more = false;
            break;
        }
        if (is_too_old(delivery, &delivery->pending)) {
            outbox->ops->drop(outbox, delivery->pending.seq, GW_DROP_EXPIRED);
            continue;
        }
        const char *fault = fault_of(delivery, &delivery->pending, text, sizeof text);
        if (fault)
            refuse(delivery, delivery->pending.seq, delivery->pending.topic, fault);
        else
            delivery->has_pending = true;
    }
    return delivery->has_pending;
}

/* Over quota: what the broker refused is sent again once the rest is through. */
static bool is_held_back(struct gw_delivery *delivery, int64_t now_us)
{
    if (now_us < delivery->not_before_us)
        return true;
    if (!delivery->is_held)
        return false;
    if (gw_window_count(&delivery->window) > 0)
        return true;
    delivery->is_held = false;
    delivery->has_pending = false;
    delivery->has_more = true;
    delivery->outbox->ops->rewind(delivery->outbox);
    return false;
}

static int64_t next_retry_us(int64_t retry_us)
{
    if (retry_us == 0)
        return RETRY_MIN_US;
    return 2 * retry_us < RETRY_MAX_US ? 2 * retry_us : RETRY_MAX_US;
}

enum gw_err gw_delivery_pump(struct gw_delivery *delivery)
{
    const int64_t now_us = gw_now_us(delivery->clock);

    gw_pace_look(&delivery->pace, delivery->outbox, limit_of(delivery), now_us);
    if (is_held_back(delivery, now_us))
        return GW_OK;
    delivery->not_before_us = 0;
    while (gw_delivery_has_room(delivery) && fetch(delivery)) {
        struct gw_message message = delivery->pending;
        switch (send_one(delivery, &message)) {
        case GW_OK:
            delivery->last_sent_us = now_us;
            delivery->has_pending = false;
            delivery->retry_us = 0;
            break;
        case GW_E_REFUSED:
            delivery->has_pending = false;
            refuse(delivery, message.seq, message.topic, "the MQTT library refuses it");
            break;
        case GW_E_LINK:
            return GW_E_LINK;
        default: /* back-pressure */
            delivery->retry_us = next_retry_us(delivery->retry_us);
            delivery->not_before_us = now_us + delivery->retry_us;
            return GW_OK;
        }
    }
    return GW_OK;
}

void gw_delivery_say(struct gw_delivery *delivery, const char *word)
{
    const struct gw_message message = {
        .topic = delivery->conf->state_topic,
        .payload = word,
        .payload_len = strlen(word),
        .qos = delivery->limits.max_qos < 1 ? 0 : 1,
        .retain = delivery->limits.has_retain,
    };

    if (!message.topic)
        return;
    /* When it cannot be sent the connection is gone or going, and the last will speaks for us. */
    if (gw_mqtt_send(delivery->mqtt, &message, STATE_SLOT) == GW_OK)
        delivery->is_state_pending = true;
}

/* ---- answers ---- */

static void hold(struct gw_delivery *delivery)
{
    delivery->is_held = true;
    delivery->not_before_us = gw_now_us(delivery->clock) + delivery->conf->reconnect_max_us;
    gw_log(GW_LOG_WARN, "mqtt", "the broker's quota is exceeded; pausing");
}

static void handle_refusal(struct gw_delivery *delivery, const struct gw_flight *flight,
                           const struct gw_mqtt_event *event)
{
    char text[128];

    if (event->code == GW_MQTT_CODE_QUOTA) {
        if (!delivery->is_held)
            hold(delivery);
        return;
    }
    snprintf(text, sizeof text, "the broker refuses it: %s", gw_mqtt_code_text(event->code));
    const char *topic = delivery->window.topics ? delivery->window.topics[event->slot] : "?";
    refuse(delivery, flight->seq, topic, text);
}

static void handle_state_answer(struct gw_delivery *delivery, const struct gw_mqtt_event *event)
{
    char text[128];

    delivery->is_state_pending = false;
    delivery->is_proven = true;
    if (event->kind != GW_MQTT_REFUSED)
        return;
    snprintf(text, sizeof text, "the broker refuses it: %s", gw_mqtt_code_text(event->code));
    tell_refused(delivery, delivery->conf->state_topic, text);
}

void gw_delivery_handle(struct gw_delivery *delivery, const struct gw_mqtt_event *event)
{
    struct gw_flight flight;

    if (event->slot == STATE_SLOT) {
        handle_state_answer(delivery, event);
        return;
    }
    if (!gw_window_take(&delivery->window, event->slot, &flight))
        return;
    delivery->last_answer_us = gw_now_us(delivery->clock);
    if (!delivery->is_held)
        delivery->not_before_us = 0;
    if (flight.qos > 0) {
        delivery->has_progress = true;
        delivery->n_barren = 0;
    }
    if (event->kind == GW_MQTT_REFUSED) {
        handle_refusal(delivery, &flight, event);
        return;
    }
    delivery->n_acked++;
    delivery->outbox->ops->ack(delivery->outbox, flight.seq);
}

int64_t gw_delivery_due_us(const struct gw_delivery *delivery)
{
    return delivery->not_before_us > 0 ? delivery->not_before_us : INT64_MAX;
}

int64_t gw_delivery_owed_since_us(const struct gw_delivery *delivery)
{
    const bool is_owed = gw_window_count(&delivery->window) > 0 || delivery->is_state_pending;

    return is_owed ? delivery->last_answer_us : INT64_MAX;
}

bool gw_delivery_is_idle(const struct gw_delivery *delivery)
{
    return !delivery->has_more && !delivery->has_pending && !delivery->is_held &&
           gw_window_count(&delivery->window) == 0;
}
