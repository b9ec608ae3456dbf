/* session. DESIGN.
 * WAITING -> CONNECTING -> ONLINE -> (stop) LEAVING -> DISCONNECTING -> DONE; every failure leads back to WAITING.
 * - Servers are tried in their order, each once, then there is a pause that doubles up to reconnect_max, with
 *   jitter, so that a plant full of gateways does not come back in one instant. After a loss the first is tried
 *   again. A connection that did not last does not shorten the pause.
 * - "online" is sent before anything else of a connection. "offline" is the last will, and is also published before
 *   a polite goodbye, after which the broker does not publish the will.
 * - The client library may never answer: every state but ONLINE ends at a time, and in ONLINE an answer that is owed
 *   for long ends it.
 * - What is wrong is said once until it changes, for each server. */
#include "gateway/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "gateway/delivery.h"
#include "gateway/log.h"
#include "gateway/mqtt_words.h"
#include "gateway/subscriber.h"

enum {
    LASTED_US = 5000000, /* a connection shorter than this counts as a failure; */
    SHORT_LIMIT = 3,     /* ... and that so often in a row is a riddle worth telling */
    OWED_MIN_US =
        60000000, /* longest silence on messages under way, or 4 x keepalive if that is more */
    DOUBT_US = 2000000, /* the library found the connection broken: so long for it to say so */
    ROUND_MAX = 30,     /* doublings of the pause */
};

enum state { WAITING, CONNECTING, ONLINE, LEAVING, DISCONNECTING, DONE };

struct said {
    uint8_t why, code;
};

struct gw_session {
    const struct gw_mqtt_conf *conf;
    struct gw_mqtt *mqtt;
    const struct gw_clock *clock;
    struct gw_outbox *outbox;
    struct gw_delivery delivery;
    struct gw_subscriber subscriber;
    enum state state;
    int64_t due_us; /* WAITING: the next attempt; else: the end of patience */
    size_t at_server;
    unsigned n_rounds; /* of failures, since a connection lasted */
    unsigned n_short;
    int64_t connected_us, down_since_us;
    int64_t doubted_us; /* since when the connection seems broken; 0: it does not */
    uint64_t n_connects, random;
    struct said *said; /* by server */
    struct gw_mqtt_event lost;
    bool is_lost, is_stopping;
    int64_t flush_until_us, deadline_us;
};

struct gw_session *gw_session_new(const struct gw_mqtt_conf *conf, struct gw_mqtt *mqtt,
                                  struct gw_outbox *outbox, const struct gw_clock *clock)
{
    struct gw_session *session = calloc(1, sizeof *session);

    if (!session)
        return NULL;
    session->conf = conf;
    session->mqtt = mqtt;
    session->outbox = outbox;
    session->clock = clock;
    session->due_us = session->down_since_us = gw_now_us(clock);
    session->random = (uint64_t)gw_wall_ms(clock) * 2 + (uint64_t)(uintptr_t)session + 1;
    session->said = calloc(conf->servers.n_items + 1, sizeof *session->said);
    if (!session->said || !gw_delivery_init(&session->delivery, conf, mqtt, outbox, clock)) {
        free(session->said);
        free(session);
        return NULL;
    }
    return session;
}

void gw_session_free(struct gw_session *session)
{
    if (!session)
        return;
    gw_delivery_done(&session->delivery);
    gw_subscriber_done(&session->subscriber);
    free(session->said);
    free(session);
}

static const char *server_of(const struct gw_session *session)
{
    return session->conf->servers.items[session->at_server];
}

/* ---- words ---- */

static void tell_failure(struct gw_session *session, const struct gw_mqtt_event *event)
{
    struct said *said = &session->said[session->at_server];
    char text[400], time[32];

    if (said->why == event->why && said->code == event->code)
        return;
    *said = (struct said){event->why, event->code};
    gw_mqtt_failure_text(session->mqtt, session->conf->connect_timeout_us, event, text,
                         sizeof text);
    gw_log(GW_LOG_WARN, "mqtt", "%s%s; trying again, later every %s", server_of(session), text,
           gw_mqtt_span_text(session->conf->reconnect_max_us, time, sizeof time));
}

static void tell_connected(struct gw_session *session, int64_t now_us)
{
    const int64_t down_us = now_us - session->down_since_us;
    char time[32];

    if (down_us < LASTED_US)
        gw_log(GW_LOG_INFO, "mqtt", "connected to %s", server_of(session));
    else
        gw_log(GW_LOG_INFO, "mqtt", "connected to %s after %s", server_of(session),
               gw_mqtt_span_text(down_us, time, sizeof time));
    for (size_t i = 0; i < session->conf->servers.n_items; i++)
        session->said[i] = (struct said){0};
}

static void tell_lost(struct gw_session *session)
{
    const struct gw_mqtt_event *lost = &session->lost;
    char time[32];

    gw_mqtt_span_text(session->conf->reconnect_max_us, time, sizeof time);
    if (lost->code == GW_MQTT_CODE_TAKEN_OVER)
        gw_log(GW_LOG_ERROR, "mqtt",
               "another client with the client id \"%s\" took over the session at %s; give each "
               "gateway its own client_id; trying again every %s",
               session->conf->client_id, server_of(session), time);
    else if (session->n_short == SHORT_LIMIT)
        gw_log(GW_LOG_ERROR, "mqtt",
               "%s closed the connection %d times soon after it was made; does another client use "
               "the "
               "client id \"%s\"? trying again every %s",
               server_of(session), SHORT_LIMIT, session->conf->client_id, time);
    else if (lost->why == GW_MQTT_WHY_TIMEOUT)
        gw_log(GW_LOG_WARN, "mqtt", "%s acknowledges nothing any more; connecting again",
               server_of(session));
    else if (session->n_short < SHORT_LIMIT)
        gw_log(GW_LOG_WARN, "mqtt", "connection to %s lost%s%s; connecting again",
               server_of(session), lost->why == GW_MQTT_WHY_CODE ? ": " : "",
               lost->why == GW_MQTT_WHY_CODE ? gw_mqtt_code_text(lost->code) : "");
}

/* ---- when and where to connect ---- */

static int64_t random_below(struct gw_session *session, int64_t limit)
{
    session->random ^= session->random << 13; /* xorshift64; only jitter */
    session->random ^= session->random >> 7;
    session->random ^= session->random << 17;
    return limit > 0 ? (int64_t)(session->random % (uint64_t)limit) : 0;
}

/* Somewhere in the upper half of min x 2, x 4, x 8 ... max. */
static int64_t pause_us(struct gw_session *session)
{
    const int64_t min_us = session->conf->reconnect_min_us,
                  max_us = session->conf->reconnect_max_us;
    int64_t base_us = min_us;

    for (unsigned i = 0; i <= session->n_rounds && base_us < max_us; i++)
        base_us *= 2;
    if (base_us > max_us)
        base_us = max_us;
    const int64_t pause = base_us - random_below(session, base_us / 2 + 1);
    return pause < min_us ? min_us : pause;
}

static void wait_for(struct gw_session *session, int64_t pause)
{
    session->state = WAITING;
    session->due_us = gw_now_us(session->clock) + pause;
}

static void end_round(struct gw_session *session)
{
    session->at_server = 0;
    wait_for(session, pause_us(session));
    if (session->n_rounds < ROUND_MAX)
        session->n_rounds++;
}

static void begin_connect(struct gw_session *session)
{
    session->state = CONNECTING;
    session->due_us = gw_now_us(session->clock) + 2 * session->conf->connect_timeout_us;
    gw_mqtt_connect(session->mqtt, server_of(session));
}

static void connect_failed(struct gw_session *session, const struct gw_mqtt_event *event)
{
    tell_failure(session, event);
    gw_mqtt_drop(session->mqtt);
    if (session->at_server + 1 < session->conf->servers.n_items) {
        session->at_server++;
        wait_for(session, 0);
    } else {
        end_round(session);
    }
}

static void connected(struct gw_session *session, const struct gw_mqtt_event *event)
{
    const int64_t now_us = gw_now_us(session->clock);

    tell_connected(session, now_us);
    session->state = ONLINE;
    session->connected_us = now_us;
    session->doubted_us = 0;
    session->n_connects++;
    if (session->outbox->ops->link)
        session->outbox->ops->link(session->outbox, true);
    gw_delivery_begin(&session->delivery, &event->limits);
    if (gw_subscriber_ask(&session->subscriber, session->mqtt) != GW_OK)
        session->doubted_us = now_us;
    gw_delivery_say(&session->delivery, "online");
}

/* Noted first: acknowledgements that came before the loss are still to be taken in. */
static void note_loss(struct gw_session *session, uint8_t why, uint8_t code)
{
    if (session->is_lost)
        return;
    session->is_lost = true;
    session->lost = (struct gw_mqtt_event){.why = why, .code = code};
}

static void take_loss(struct gw_session *session)
{
    const int64_t now_us = gw_now_us(session->clock);
    const int64_t lasted_us = now_us - session->connected_us;

    session->is_lost = false;
    if (session->state != ONLINE) { /* on the way out: the broker has published the last will */
        session->state = session->is_stopping ? DONE : WAITING;
        return;
    }
    session->n_short = lasted_us < LASTED_US ? session->n_short + 1 : 0;
    tell_lost(session);
    gw_mqtt_drop(session->mqtt);
    gw_delivery_end(&session->delivery);
    if (session->outbox->ops->link)
        session->outbox->ops->link(session->outbox, false);
    session->down_since_us = now_us;
    if (lasted_us >= LASTED_US)
        session->n_rounds = 0;
    end_round(session);
    if (session->lost.code == GW_MQTT_CODE_TAKEN_OVER)
        wait_for(session, session->conf->reconnect_max_us);
}

/* ---- events ---- */

void gw_session_handle(struct gw_session *session, const struct gw_mqtt_event *event)
{
    switch ((enum gw_mqtt_event_kind)event->kind) {
    case GW_MQTT_CONNECTED:
        if (session->state == CONNECTING)
            connected(session, event);
        break;
    case GW_MQTT_TRYING:
        session->due_us = gw_now_us(session->clock) + 2 * session->conf->connect_timeout_us;
        break;
    case GW_MQTT_CONNECT_FAILED:
        if (session->state == CONNECTING)
            connect_failed(session, event);
        break;
    case GW_MQTT_LOST:
        note_loss(session, event->why, event->code);
        break;
    case GW_MQTT_OVERRUN:
        note_loss(session, GW_MQTT_WHY_NONE, 0);
        break;
    case GW_MQTT_DELIVERED:
    case GW_MQTT_REFUSED:
        gw_delivery_handle(&session->delivery, event);
        break;
    case GW_MQTT_UNDELIVERED:
        if (session->doubted_us == 0)
            session->doubted_us = gw_now_us(session->clock);
        break;
    case GW_MQTT_SUBSCRIBED:
        gw_subscriber_tell(&session->subscriber, event);
        break;
    case GW_MQTT_DISCONNECTED:
        if (session->state == DISCONNECTING)
            session->state = DONE;
        break;
    }
}

void gw_session_wake(struct gw_session *session)
{
    session->delivery.has_more = true;
}

void gw_session_subscribe(struct gw_session *session, struct gw_topics *topics)
{
    struct gw_mqtt *mqtt = session->state == ONLINE ? session->mqtt : NULL;

    if (gw_subscriber_change(&session->subscriber, topics, mqtt) != GW_OK &&
        session->doubted_us == 0)
        session->doubted_us = gw_now_us(session->clock);
}

void gw_session_stop(struct gw_session *session, int64_t flush_until_us, int64_t deadline_us)
{
    session->is_stopping = true;
    session->flush_until_us = flush_until_us < deadline_us ? flush_until_us : deadline_us;
    session->deadline_us = deadline_us;
}

/* ---- steps ---- */

/* Messages would be lost that an outbox on disk keeps for the next start. */
static bool would_lose_messages(struct gw_session *session)
{
    struct gw_outbox_stats stats = {0};

    session->outbox->ops->stats(session->outbox, &stats);
    return stats.n_messages > 0 && (!session->outbox->ops->stop || stats.is_degraded);
}

/* Stopping without a connection: worth waiting only while that may save something. */
static bool gives_up(struct gw_session *session, int64_t now_us)
{
    return session->is_stopping &&
           (now_us >= session->flush_until_us || !would_lose_messages(session));
}

static int64_t patience_us(const struct gw_session *session)
{
    const int64_t keepalive_us = session->conf->keepalive_us;

    return 4 * keepalive_us > OWED_MIN_US ? 4 * keepalive_us : OWED_MIN_US;
}

static void leave(struct gw_session *session, int64_t now_us)
{
    /* A full window of a silent broker must not keep "offline" back for ever. */
    if (!gw_delivery_has_room(&session->delivery) && now_us < session->flush_until_us)
        return;
    gw_delivery_say(&session->delivery, "offline");
    session->state = LEAVING;
    session->due_us = session->deadline_us;
}

/* Gives up a connection that is dead though the library has not said so. */
static bool is_dead(struct gw_session *session, int64_t now_us)
{
    const int64_t owed_us = gw_delivery_owed_since_us(&session->delivery);

    if (session->doubted_us > 0 && now_us - session->doubted_us >= DOUBT_US)
        note_loss(session, GW_MQTT_WHY_CLOSED, 0);
    else if (owed_us != INT64_MAX && now_us - owed_us >= patience_us(session))
        note_loss(session, GW_MQTT_WHY_TIMEOUT, 0);
    return session->is_lost;
}

static void step_online(struct gw_session *session, int64_t now_us)
{
    if (is_dead(session, now_us)) {
        take_loss(session);
        return;
    }
    if (session->doubted_us == 0 && gw_delivery_pump(&session->delivery) != GW_OK)
        session->doubted_us = now_us;
    const int64_t owed_us = gw_delivery_owed_since_us(&session->delivery);
    session->due_us = owed_us == INT64_MAX ? INT64_MAX : owed_us + patience_us(session);
    if (session->doubted_us > 0)
        session->due_us = session->doubted_us + DOUBT_US;
    if (session->is_stopping &&
        (gw_delivery_is_idle(&session->delivery) || now_us >= session->flush_until_us))
        leave(session, now_us);
}

static void step_leaving(struct gw_session *session, int64_t now_us)
{
    if (session->delivery.is_state_pending && now_us < session->deadline_us)
        return;
    session->state = DISCONNECTING;
    session->due_us = session->deadline_us;
    gw_mqtt_disconnect(session->mqtt);
}

static int64_t next_due_us(const struct gw_session *session)
{
    int64_t due_us = session->due_us;

    if (session->state == ONLINE && gw_delivery_due_us(&session->delivery) < due_us)
        due_us = gw_delivery_due_us(&session->delivery);
    if (session->is_stopping && session->state < LEAVING && session->flush_until_us < due_us)
        due_us = session->flush_until_us;
    return due_us;
}

int64_t gw_session_step(struct gw_session *session)
{
    const int64_t now_us = gw_now_us(session->clock);

    if (session->is_lost)
        take_loss(session);
    if (session->state == WAITING && gives_up(session, now_us))
        session->state = DONE;
    if (session->state == WAITING && now_us >= session->due_us)
        begin_connect(session);
    if (session->state == CONNECTING && gives_up(session, now_us))
        session->state = DONE;
    if (session->state == CONNECTING && now_us >= session->due_us)
        connect_failed(session, &(struct gw_mqtt_event){.why = GW_MQTT_WHY_TIMEOUT});
    if (session->state == ONLINE)
        step_online(session, now_us);
    if (session->state == LEAVING)
        step_leaving(session, now_us);
    if (session->state == DISCONNECTING && now_us >= session->deadline_us)
        session->state = DONE;
    if (session->state == DONE)
        return INT64_MAX;
    return next_due_us(session);
}

bool gw_session_is_urgent(const struct gw_session *session)
{
    return session->state != ONLINE || session->is_stopping ||
           gw_delivery_is_half_full(&session->delivery);
}

bool gw_session_is_done(const struct gw_session *session)
{
    return session->state == DONE;
}

void gw_session_stats(const struct gw_session *session, struct gw_publisher_stats *ret_stats)
{
    const struct gw_delivery *delivery = &session->delivery;

    *ret_stats = (struct gw_publisher_stats){
        .is_connected = session->state == ONLINE,
        .server = server_of(session),
        .n_connects = session->n_connects,
        .n_sent = delivery->n_sent,
        .n_acked = delivery->n_acked,
        .n_refused = delivery->n_refused,
        .n_in_flight = gw_window_count(&delivery->window),
    };
}
