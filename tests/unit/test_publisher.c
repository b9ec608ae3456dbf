/* The publisher's session and delivery, stepped by hand with a fake client behind mqtt.h and a fake clock. */
#include "tests/unit/publisher_rig.h"

#include "gateway/mqtt_message.h"
#include "gateway/session.h"
#include "gateway/subscriber.h"
#include "gateway/topic_fault.h"

enum { SENT_MAX = 4000, STATE_SLOT = GW_MQTT_SLOT_MAX + 1, SECOND = 1000000 };

/* ---- the fake client ---- */

struct sent {
    char topic[GW_TOPIC_MAX + 1], payload[64];
    int qos;
    bool retain;
    uint16_t slot;
};

struct gw_mqtt {
    char server[64]; /* of the last connect */
    int n_connects, n_drops, n_disconnects, n_subscribes;
    size_t n_sent_before_subscribe;
    char subscribed[64], unsubscribed[64]; /* by the last calls */
    struct sent sent[SENT_MAX];
    size_t n_sent;
    enum gw_err send_result;
};

void gw_mqtt_connect(struct gw_mqtt *mqtt, const char *server)
{
    snprintf(mqtt->server, sizeof mqtt->server, "%s", server);
    mqtt->n_connects++;
}

enum gw_err gw_mqtt_send(struct gw_mqtt *mqtt, const struct gw_message *message, uint16_t slot)
{
    if (mqtt->send_result != GW_OK)
        return mqtt->send_result;
    assert_true(mqtt->n_sent < SENT_MAX);
    struct sent *sent = &mqtt->sent[mqtt->n_sent++];
    *sent = (struct sent){.qos = message->qos, .retain = message->retain, .slot = slot};
    snprintf(sent->topic, sizeof sent->topic, "%s", message->topic);
    snprintf(sent->payload, sizeof sent->payload, "%.*s", (int)message->payload_len,
             (const char *)message->payload);
    return GW_OK;
}

static enum gw_err note_topics(char *text, size_t size, const char *const *topics, size_t n_topics)
{
    size_t at = 0;

    for (size_t i = 0; i < n_topics; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? " " : "", topics[i]);
    assert_true(at < size);
    return GW_OK;
}

enum gw_err gw_mqtt_subscribe(struct gw_mqtt *mqtt, const char *const *topics, size_t n_topics)
{
    mqtt->n_subscribes++;
    mqtt->n_sent_before_subscribe = mqtt->n_sent;
    return note_topics(mqtt->subscribed, sizeof mqtt->subscribed, topics, n_topics);
}

enum gw_err gw_mqtt_unsubscribe(struct gw_mqtt *mqtt, const char *const *topics, size_t n_topics)
{
    return note_topics(mqtt->unsubscribed, sizeof mqtt->unsubscribed, topics, n_topics);
}

void gw_mqtt_disconnect(struct gw_mqtt *mqtt)
{
    mqtt->n_disconnects++;
}

void gw_mqtt_drop(struct gw_mqtt *mqtt)
{
    mqtt->n_drops++;
}

const char *gw_mqtt_detail(struct gw_mqtt *mqtt)
{
    (void)mqtt;
    return "the detail";
}

/* ---- the world ---- */

struct world {
    struct gw_mqtt mqtt;
    struct list_outbox *list;
    struct gw_mqtt_conf conf;
    struct gw_session *session;
    struct gw_clock clock;
    int64_t now_us;
};

static int64_t world_now_us(void *ctx)
{
    return ((struct world *)ctx)->now_us;
}

static int64_t world_wall_ms(void *ctx)
{
    return ((struct world *)ctx)->now_us / 1000;
}

static const char *const one_server[] = {"mqtt://a:1"};
static const char *const three_servers[] = {"mqtt://a:1", "mqtt://b:2", "mqtt://c:3"};

static int world_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    log_clear();
    world->now_us = 1000 * (int64_t)SECOND;
    world->clock = (struct gw_clock){world, world_now_us, world_wall_ms};
    world->list = list_new(4000);
    world->conf = (struct gw_mqtt_conf){
        .servers = {one_server, 1},
        .version = GW_MQTT_5,
        .client_id = "gw",
        .keepalive_us = 15 * SECOND,
        .connect_timeout_us = 10 * SECOND,
        .reconnect_min_us = SECOND,
        .reconnect_max_us = 60 * SECOND,
        .max_inflight = 10,
        .state_topic = "state",
        .max_payload = 100,
    };
    *state = world;
    return 0;
}

static int world_down(void **state)
{
    struct world *world = *state;

    gw_session_free(world->session);
    world->list->outbox.ops->free(&world->list->outbox);
    free(world);
    return 0;
}

static int64_t step(struct world *world)
{
    return gw_session_step(world->session);
}

static void begin(struct world *world)
{
    world->session =
        gw_session_new(&world->conf, &world->mqtt, &world->list->outbox, &world->clock);
    assert_non_null(world->session);
    step(world);
}

static void handle(struct world *world, struct gw_mqtt_event event)
{
    gw_session_handle(world->session, &event);
}

static void connect_with(struct world *world, struct gw_mqtt_limits limits)
{
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_CONNECTED, .limits = limits});
    step(world);
}

static void come_up(struct world *world)
{
    connect_with(world, (struct gw_mqtt_limits){UINT32_MAX, UINT16_MAX, 2, true});
}

static void answer(struct world *world, uint16_t slot)
{
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_DELIVERED, .slot = slot});
}

static void connect_and_prove(struct world *world)
{
    come_up(world);
    answer(world, STATE_SLOT);
    step(world);
}

static void fail_connect(struct world *world, uint8_t why, uint8_t code)
{
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_CONNECT_FAILED, .why = why, .code = code});
}

static void lose(struct world *world, uint8_t code)
{
    const uint8_t why = code ? GW_MQTT_WHY_CODE : GW_MQTT_WHY_CLOSED;

    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_LOST, .why = why, .code = code});
    step(world);
}

/* Turns the clock on until the next attempt to connect, and gives how long that took. */
static int64_t wait_for_attempt(struct world *world)
{
    const int n_before = world->mqtt.n_connects;
    const int64_t begin_us = world->now_us;

    for (int i = 0; i < 10 && world->mqtt.n_connects == n_before; i++) {
        const int64_t due_us = step(world);
        if (world->mqtt.n_connects == n_before && due_us > world->now_us)
            world->now_us = due_us;
    }
    assert_int_equal(world->mqtt.n_connects, n_before + 1);
    return world->now_us - begin_us;
}

static void add(struct world *world, int n)
{
    char payload[16];

    for (int i = 0; i < n; i++) {
        snprintf(payload, sizeof payload, "%zu", world->list->n);
        list_add(world->list, "t", payload, 1, false);
    }
    if (world->session)
        gw_session_wake(world->session);
}

static const struct sent *last_sent(const struct world *world)
{
    assert_true(world->mqtt.n_sent > 0);
    return &world->mqtt.sent[world->mqtt.n_sent - 1];
}

static struct gw_publisher_stats stats(const struct world *world)
{
    struct gw_publisher_stats stats;

    gw_session_stats(world->session, &stats);
    return stats;
}

/* ---- when and where to connect ---- */

static void the_first_step_connects_to_the_first_server(void **state)
{
    struct world *world = *state;

    world->conf.servers = (struct gw_list){three_servers, 3};
    begin(world);

    assert_string_equal(world->mqtt.server, "mqtt://a:1");
    assert_int_equal(world->mqtt.n_connects, 1);
}

static void servers_are_tried_in_order_and_then_there_is_a_pause(void **state)
{
    struct world *world = *state;

    world->conf.servers = (struct gw_list){three_servers, 3};
    begin(world);

    fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
    assert_int_equal(wait_for_attempt(world), 0);
    assert_string_equal(world->mqtt.server, "mqtt://b:2");
    fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
    assert_int_equal(wait_for_attempt(world), 0);
    assert_string_equal(world->mqtt.server, "mqtt://c:3");
    fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
    assert_true(wait_for_attempt(world) >= SECOND);
    assert_string_equal(world->mqtt.server, "mqtt://a:1");
}

static void pauses_double_up_to_the_longest_and_stay_between_the_bounds(void **state)
{
    struct world *world = *state;
    int64_t limit_us = SECOND;
    bool differs = false;
    int64_t last_us = 0;

    begin(world);

    for (int i = 0; i < 200; i++) {
        fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
        const int64_t pause_us = wait_for_attempt(world);
        limit_us = 2 * limit_us < 60 * SECOND ? 2 * limit_us : 60 * (int64_t)SECOND;
        assert_in_range(pause_us, limit_us / 2, limit_us);
        differs = differs || (i > 10 && pause_us != last_us);
        last_us = pause_us;
    }
    assert_true(differs); /* jitter */
}

static void equal_bounds_make_equal_pauses(void **state)
{
    struct world *world = *state;

    world->conf.reconnect_min_us = world->conf.reconnect_max_us = 5 * SECOND;
    begin(world);

    for (int i = 0; i < 20; i++) {
        fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
        assert_int_equal(wait_for_attempt(world), 5 * SECOND);
    }
}

static void after_a_loss_the_first_server_is_tried_first_and_soon(void **state)
{
    struct world *world = *state;

    world->conf.servers = (struct gw_list){three_servers, 3};
    begin(world);
    for (int i = 0; i < 31; i++) {
        fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
        wait_for_attempt(world);
    }
    assert_string_equal(world->mqtt.server, "mqtt://b:2");
    come_up(world);
    world->now_us += 3600 * (int64_t)SECOND;

    lose(world, 0);

    assert_in_range(wait_for_attempt(world), SECOND, 2 * SECOND);
    assert_string_equal(world->mqtt.server, "mqtt://a:1");
}

static void a_connection_that_did_not_last_does_not_shorten_the_pause(void **state)
{
    struct world *world = *state;

    begin(world);
    for (int i = 0; i < 8; i++) {
        come_up(world);
        world->now_us += SECOND;
        lose(world, 0);
        wait_for_attempt(world);
    }
    come_up(world);
    lose(world, 0);

    assert_true(wait_for_attempt(world) >= 30 * (int64_t)SECOND);
    assert_int_equal(log_count("does another client use the client id \"gw\"?"), 1);
    assert_true(log_count("lost; connecting again") <= 3);
}

static void a_taken_over_session_is_told_loudly_and_waits_the_longest(void **state)
{
    struct world *world = *state;

    begin(world);
    come_up(world);
    world->now_us += 3600 * (int64_t)SECOND;

    lose(world, GW_MQTT_CODE_TAKEN_OVER);

    assert_int_equal(wait_for_attempt(world), 60 * SECOND);
    assert_int_equal(log_count("another client with the client id \"gw\" took over"), 1);
}

static void an_attempt_without_an_answer_is_given_up(void **state)
{
    struct world *world = *state;

    begin(world);
    world->now_us += 20 * SECOND - 1;
    step(world);
    assert_int_equal(log_count("timed out"), 0);
    world->now_us++;
    step(world);

    assert_int_equal(log_count("timed out, no answer within 10 s"), 1);
    assert_true(world->mqtt.n_drops > 0);
    wait_for_attempt(world);
}

static void the_next_address_of_a_server_gets_the_full_time(void **state)
{
    struct world *world = *state;

    begin(world);
    world->now_us += 15 * SECOND;
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_TRYING});
    world->now_us += 15 * SECOND;
    step(world);
    assert_int_equal(log_count("timed out"), 0);

    come_up(world);

    assert_true(stats(world).is_connected);
}

static void a_reason_is_told_once_until_it_changes_or_was_cured(void **state)
{
    struct world *world = *state;

    begin(world);
    for (int i = 0; i < 5; i++) {
        fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
        wait_for_attempt(world);
    }
    for (int i = 0; i < 5; i++) {
        fail_connect(world, GW_MQTT_WHY_CODE, 0x86);
        wait_for_attempt(world);
    }
    assert_int_equal(log_count("no broker listens there"), 1);
    assert_int_equal(
        log_count("mqtt: mqtt://a:1 refuses the connection: bad user name or password; "
                  "trying again, later every 60 s"),
        1);
    come_up(world);
    assert_int_equal(log_count("connected to mqtt://a:1 after "), 1);
    lose(world, 0);
    wait_for_attempt(world);
    fail_connect(world, GW_MQTT_WHY_CODE, 0x86);

    assert_int_equal(log_count("bad user name or password"), 2);
}

static void every_reason_has_its_own_sentence(void **state)
{
    static const struct {
        uint8_t why, code;
        const char *text;
    } rows[] = {
        {GW_MQTT_WHY_CODE, 1, "refuses the connection: it does not speak this MQTT version"},
        {GW_MQTT_WHY_CODE, 2, "refuses the connection: client id rejected"},
        {GW_MQTT_WHY_CODE, 3, "refuses the connection: the broker is not available"},
        {GW_MQTT_WHY_CODE, 4, "refuses the connection: bad user name or password"},
        {GW_MQTT_WHY_CODE, 5, "refuses the connection: not authorised"},
        {GW_MQTT_WHY_CODE, 0x8a, "refuses the connection: banned"},
        {GW_MQTT_WHY_CODE, 0xf0, "refuses the connection: for an unknown reason"},
        {GW_MQTT_WHY_UNKNOWN_HOST, 0, ": unknown host (the detail)"},
        {GW_MQTT_WHY_NO_LISTENER, 0, ": connection refused, no broker listens there"},
        {GW_MQTT_WHY_UNREACHABLE, 0, " cannot be reached: the detail"},
        {GW_MQTT_WHY_TIMEOUT, 0, ": timed out, no answer within 10 s"},
        {GW_MQTT_WHY_CLOSED, 0, " closes the connection before it answers"},
        {GW_MQTT_WHY_CERTIFICATE, 0, ": the certificate of the broker is not accepted: the detail"},
        {GW_MQTT_WHY_TLS, 0, ": no TLS connection: the detail"},
        {GW_MQTT_WHY_FILE, 0, ": cannot use the detail"},
        {GW_MQTT_WHY_LIBRARY, 0, ": cannot connect: the detail"},
    };
    struct world *world = *state;

    begin(world);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        log_clear();
        fail_connect(world, rows[i].why, rows[i].code);
        if (log_count(rows[i].text) != 1)
            print_error("not said: %s\n", rows[i].text);
        assert_int_equal(log_count(rows[i].text), 1);
        wait_for_attempt(world);
    }
}

/* ---- sending ---- */

static void online_is_sent_before_any_message(void **state)
{
    struct world *world = *state;

    add(world, 3);
    begin(world);
    assert_int_equal(world->mqtt.n_sent, 0);

    come_up(world);

    assert_int_equal(world->mqtt.n_sent, 4);
    assert_string_equal(world->mqtt.sent[0].topic, "state");
    assert_string_equal(world->mqtt.sent[0].payload, "online");
    assert_int_equal(world->mqtt.sent[0].qos, 1);
    assert_true(world->mqtt.sent[0].retain);
    assert_string_equal(world->mqtt.sent[1].payload, "0");
    assert_string_equal(world->mqtt.sent[3].payload, "2");
}

static void subscribe(struct world *world, const char *one, const char *another)
{
    const char *const topics[] = {one, another};

    gw_session_subscribe(world->session, gw_topics_copy(topics, 2));
}

static void topics_are_subscribed_at_every_connection_before_anything_is_sent(void **state)
{
    struct world *world = *state;

    add(world, 1);
    begin(world);
    subscribe(world, "b/set", "a/set");
    come_up(world);
    assert_int_equal(world->mqtt.n_subscribes, 1);
    assert_string_equal(world->mqtt.subscribed, "a/set b/set");
    assert_int_equal(world->mqtt.n_sent_before_subscribe, 0);
    const size_t n_sent = world->mqtt.n_sent;
    lose(world, 0);
    wait_for_attempt(world);
    come_up(world);

    assert_int_equal(world->mqtt.n_subscribes, 2);
    assert_int_equal(world->mqtt.n_sent_before_subscribe, n_sent);
}

static void a_refused_subscription_is_told_with_its_topic(void **state)
{
    struct world *world = *state;

    begin(world);
    subscribe(world, "a/set", "b/set");
    come_up(world);
    handle(world, (struct gw_mqtt_event){
                      .kind = GW_MQTT_SUBSCRIBED, .code = 0x87, .slot = 1, .n_refused = 2});

    assert_int_equal(log_count("refuses 2 subscriptions, b/set first"), 1);
    subscribe(world, "a/set", "c/set");
    handle(world, (struct gw_mqtt_event){
                      .kind = GW_MQTT_SUBSCRIBED, .code = 0x87, .slot = 0, .n_refused = 1});
    assert_int_equal(log_count("refuses 1 subscription, c/set first"), 1);
}

static void only_topics_that_change_are_told_to_the_broker(void **state)
{
    struct world *world = *state;

    begin(world);
    subscribe(world, "a/set", "b/set");
    assert_int_equal(world->mqtt.n_subscribes, 0); /* there is no connection yet */
    come_up(world);
    subscribe(world, "c/set", "b/set");
    assert_string_equal(world->mqtt.subscribed, "c/set");
    assert_string_equal(world->mqtt.unsubscribed, "a/set");

    subscribe(world, "b/set", "c/set");
    assert_int_equal(world->mqtt.n_subscribes, 2); /* nothing has changed */
    gw_session_subscribe(world->session, gw_topics_copy(NULL, 0));
    assert_string_equal(world->mqtt.unsubscribed, "b/set c/set");
    subscribe(world, "a/set", "d/set");
    lose(world, 0);
    wait_for_attempt(world);
    come_up(world);
    assert_string_equal(world->mqtt.subscribed, "a/set d/set");
    assert_string_equal(world->mqtt.unsubscribed, "b/set c/set");
}

static void a_message_that_has_expired_is_not_sent(void **state)
{
    struct world *world = *state;
    struct gw_message message = {.topic = "t", .payload = "old", .payload_len = 3, .qos = 1};

    message.expires_wall_ms = world_wall_ms(world) - 1;
    assert_int_equal(list_put(&world->list->outbox, &message), GW_OK);
    message.payload = "new";
    message.expires_wall_ms = world_wall_ms(world);
    assert_int_equal(list_put(&world->list->outbox, &message), GW_OK);
    begin(world);
    connect_and_prove(world);

    assert_string_equal(last_sent(world)->payload, "new");
    assert_int_equal(world->mqtt.n_sent, 2); /* online and this one */
    assert_int_equal(list_acked(world->list), 1);
}

static void no_more_than_max_inflight_are_under_way(void **state)
{
    struct world *world = *state;

    add(world, 100);
    begin(world);

    come_up(world);
    assert_int_equal(world->mqtt.n_sent, 10); /* "online" counts */
    answer(world, STATE_SLOT);
    step(world);
    assert_int_equal(world->mqtt.n_sent, 11);
    answer(world, world->mqtt.sent[1].slot);
    answer(world, world->mqtt.sent[2].slot);
    step(world);
    assert_int_equal(world->mqtt.n_sent, 13);
    assert_int_equal(stats(world).n_in_flight, 10);
    assert_int_equal(list_acked(world->list), 2);
}

static void the_receive_maximum_of_the_broker_is_obeyed(void **state)
{
    struct world *world = *state;

    add(world, 5);
    begin(world);

    connect_with(world, (struct gw_mqtt_limits){UINT32_MAX, 1, 2, true});
    assert_int_equal(world->mqtt.n_sent, 1); /* only "online" */
    answer(world, STATE_SLOT);
    step(world);
    assert_int_equal(world->mqtt.n_sent, 2);
    answer(world, world->mqtt.sent[1].slot);
    step(world);
    assert_int_equal(world->mqtt.n_sent, 3);
}

static void qos_and_retain_are_lowered_to_what_the_broker_can(void **state)
{
    struct world *world = *state;

    list_add(world->list, "t", "x", 2, true);
    begin(world);

    connect_with(world, (struct gw_mqtt_limits){UINT32_MAX, UINT16_MAX, 0, false});

    assert_int_equal(world->mqtt.sent[0].qos, 0);
    assert_false(world->mqtt.sent[0].retain);
    assert_int_equal(world->mqtt.sent[1].qos, 0);
    assert_false(world->mqtt.sent[1].retain);
}

static void what_is_not_acknowledged_is_sent_again_in_order_after_a_loss(void **state)
{
    struct world *world = *state;

    add(world, 5);
    begin(world);
    come_up(world);
    answer(world, world->mqtt.sent[2].slot); /* "1" */
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_LOST, .why = GW_MQTT_WHY_CLOSED});
    answer(world, world->mqtt.sent[4].slot); /* "3": came in the same batch as the loss */
    step(world);
    wait_for_attempt(world);
    const size_t n = world->mqtt.n_sent;

    come_up(world);

    assert_int_equal(world->mqtt.n_sent, n + 4);
    assert_string_equal(world->mqtt.sent[n + 1].payload, "0");
    assert_string_equal(world->mqtt.sent[n + 2].payload, "2");
    assert_string_equal(world->mqtt.sent[n + 3].payload, "4");
}

static void answers_for_nothing_are_ignored(void **state)
{
    struct world *world = *state;

    add(world, 1);
    begin(world);
    come_up(world);
    const uint16_t slot = last_sent(world)->slot;

    answer(world, 0);
    answer(world, 9999);
    answer(world, slot == 1 ? 2 : 1);
    assert_int_equal(list_acked(world->list), 0);
    answer(world, slot);
    answer(world, slot);

    assert_int_equal(list_acked(world->list), 1);
}

static void back_pressure_keeps_the_message_and_asks_again_ever_later(void **state)
{
    struct world *world = *state;
    int64_t pause_us = 0;

    add(world, 2);
    begin(world);
    come_up(world);
    answer(world, world->mqtt.sent[1].slot);
    answer(world, world->mqtt.sent[2].slot);
    add(world, 2);
    world->mqtt.send_result = GW_E_FULL;

    for (int i = 0; i < 12; i++) {
        const int64_t due_us = step(world);
        assert_true(due_us - world->now_us >= pause_us);
        pause_us = due_us - world->now_us;
        assert_in_range(pause_us, 1000, 64000);
        world->now_us = due_us;
    }
    world->mqtt.send_result = GW_OK;
    step(world);

    assert_int_equal(world->mqtt.n_sent, 5);
    assert_string_equal(world->mqtt.sent[3].payload, "2");
    assert_string_equal(world->mqtt.sent[4].payload, "3");
}

/* ---- a connection that is dead ---- */

static void a_broker_that_acknowledges_nothing_is_left(void **state)
{
    struct world *world = *state;

    add(world, 1);
    begin(world);
    connect_and_prove(world);
    const int64_t due_us = step(world);
    assert_int_equal(due_us - world->now_us, 60 * SECOND); /* more than 3 x keepalive */
    world->now_us = due_us;
    step(world);

    assert_int_equal(log_count("acknowledges nothing any more; connecting again"), 1);
    wait_for_attempt(world);
    come_up(world);
    assert_string_equal(last_sent(world)->payload, "0");
}

/* Ten seconds in which n_come messages come and the broker acknowledges n_taken. */
static void ten_seconds(struct world *world, int n_come, int n_taken, size_t *n_answered)
{
    world->now_us += 10 * SECOND;
    add(world, n_come);
    for (step(world); n_taken-- > 0 && *n_answered < world->mqtt.n_sent; step(world))
        answer(world, world->mqtt.sent[(*n_answered)++].slot);
}

static void a_broker_slower_than_what_comes_is_told_once_and_when_it_keeps_up_again(void **state)
{
    struct world *world = *state;
    size_t n_answered = 1; /* the state message */

    begin(world);
    connect_and_prove(world);
    for (int i = 0; i < 8; i++)
        ten_seconds(world, 40, 30, &n_answered);

    assert_int_equal(log_count("the broker takes messages more slowly than they come"), 1);
    assert_int_equal(log_count("keeps up again"), 0);

    for (int i = 0; i < 5; i++)
        ten_seconds(world, 0, 30, &n_answered);

    assert_int_equal(log_count("the broker keeps up again"), 1);
}

static void a_pile_that_an_outage_left_and_that_gets_smaller_is_not_a_slow_broker(void **state)
{
    struct world *world = *state;
    size_t n_answered = 1;

    add(world, 1000);
    begin(world);
    connect_and_prove(world);
    for (int i = 0; i < 20; i++)
        ten_seconds(world, 10, 30, &n_answered);

    assert_int_equal(log_count("more slowly than they come"), 0);
}

static void an_idle_connection_waits_for_ever(void **state)
{
    struct world *world = *state;

    begin(world);
    connect_and_prove(world);

    assert_true(step(world) == INT64_MAX);
}

static void a_loss_that_the_client_does_not_report_is_noticed(void **state)
{
    struct world *world = *state;

    add(world, 1);
    begin(world);
    come_up(world);
    handle(world,
           (struct gw_mqtt_event){.kind = GW_MQTT_UNDELIVERED, .slot = last_sent(world)->slot});
    world->now_us = step(world);
    step(world);

    assert_int_equal(log_count("lost; connecting again"), 1);
    wait_for_attempt(world);
    come_up(world);
    assert_string_equal(last_sent(world)->payload, "0");
}

static void a_refused_send_counts_as_a_loss_soon(void **state)
{
    struct world *world = *state;

    begin(world);
    come_up(world);
    world->mqtt.send_result = GW_E_LINK;
    add(world, 1);
    const int64_t due_us = step(world);
    assert_true(due_us > world->now_us && due_us <= world->now_us + 2 * SECOND);
    world->now_us = due_us;
    step(world);

    assert_false(stats(world).is_connected);
}

static void lost_events_cost_the_connection_and_no_message(void **state)
{
    struct world *world = *state;

    add(world, 3);
    begin(world);
    come_up(world);
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_OVERRUN});
    step(world);
    wait_for_attempt(world);
    const size_t n = world->mqtt.n_sent;

    come_up(world);

    assert_int_equal(world->mqtt.n_sent, n + 4);
}

/* ---- refused for good ---- */

static void refuse(struct world *world, uint16_t slot, uint8_t code)
{
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_REFUSED, .slot = slot, .code = code});
}

static void a_refused_message_is_dropped_counted_and_told_once(void **state)
{
    struct world *world = *state;

    add(world, 5);
    begin(world);
    come_up(world);
    for (int i = 1; i <= 3; i++)
        refuse(world, world->mqtt.sent[i].slot, 0x87);
    refuse(world, world->mqtt.sent[4].slot, 0x90);

    assert_int_equal(list_acked(world->list), 4);
    assert_int_equal(stats(world).n_refused, 4);
    assert_int_equal(log_count("message for t dropped: the broker refuses it: not authorised"), 1);
    assert_int_equal(log_count("message for t dropped: the broker refuses it: topic not accepted"),
                     1);
}

static void the_log_of_refused_messages_is_bounded(void **state)
{
    struct world *world = *state;
    char topic[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(topic, sizeof topic, "t/%d/#", i);
        list_add(world->list, topic, "x", 1, false);
    }
    begin(world);

    come_up(world);

    assert_int_equal(stats(world).n_refused, 1000);
    assert_int_equal(list_acked(world->list), 1000);
    assert_int_equal(log_count("dropped: the topic has a + or #"), 64);
    assert_int_equal(log_count("are only counted"), 1);
}

static void a_packet_of_exactly_the_size_allowed_is_sent(void **state)
{
    struct world *world = *state;

    /* MQTT 5, 3.3: 1 + 1 (remaining length 17) + 2 + 1 topic + 2 packet id + 1 property length + payload, and the
     * user property "seq", 3.3.2.3.7: 1 + 2 + 3 + 2 + 1 digit */
    list_add(world->list, "t", "12", 1, false);
    list_add(world->list, "t", "123", 1, false);
    begin(world);

    connect_with(world, (struct gw_mqtt_limits){19, UINT16_MAX, 2, true});

    assert_string_equal(last_sent(world)->payload, "12");
    assert_int_equal(stats(world).n_refused, 1);
}

static void a_message_over_quota_is_sent_again_after_a_pause(void **state)
{
    struct world *world = *state;

    add(world, 3);
    begin(world);
    come_up(world);
    answer(world, STATE_SLOT);
    refuse(world, world->mqtt.sent[1].slot, GW_MQTT_CODE_QUOTA);
    answer(world, world->mqtt.sent[2].slot);
    answer(world, world->mqtt.sent[3].slot);
    add(world, 1);
    const size_t n = world->mqtt.n_sent;

    const int64_t due_us = step(world);
    assert_int_equal(due_us - world->now_us, 60 * SECOND);
    assert_int_equal(world->mqtt.n_sent, n);
    world->now_us = due_us;
    step(world);

    assert_int_equal(world->mqtt.n_sent, n + 2);
    assert_string_equal(world->mqtt.sent[n].payload, "0");
    assert_string_equal(world->mqtt.sent[n + 1].payload, "3");
    assert_int_equal(stats(world).n_refused, 0);
}

static void a_message_that_breaks_every_connection_is_dropped(void **state)
{
    struct world *world = *state;
    int n_breaks = 0;

    add(world, 20);
    begin(world);
    while (list_acked(world->list) == 0) {
        assert_true(++n_breaks <= 6);
        connect_and_prove(world); /* "0" is sent, and the broker closes */
        lose(world, 0);
        wait_for_attempt(world);
    }
    connect_and_prove(world);

    assert_int_equal(n_breaks, 6); /* five to be sure, and it went when it came up again */
    assert_int_equal(log_count("the broker closes the connection each time it is sent"), 1);
    answer(world, last_sent(world)->slot);
    step(world);
    assert_int_equal(stats(world).n_in_flight, 10); /* one at a time no more */
}

static void a_connection_that_breaks_late_or_unproven_blames_no_message(void **state)
{
    struct world *world = *state;

    add(world, 20);
    begin(world);
    for (int i = 0; i < 30; i++) {
        if (i % 2) {
            come_up(world); /* the broker does not even acknowledge "online" */
        } else {
            connect_and_prove(world);
            world->now_us += 3 * SECOND;
        }
        lose(world, 0);
        wait_for_attempt(world);
    }

    assert_int_equal(stats(world).n_refused, 0);
    assert_int_equal(list_acked(world->list), 0);
}

static void topics_that_cannot_be_published_on_are_known(void **state)
{
    static const struct {
        const char *topic, *fault; /* MQTT 3.1.1, 1.5.3 and 4.7 */
    } rows[] = {
        {"a/b/c", NULL},
        {"/", NULL},
        {"\xc3\xa4/\xe6\xb0\xb4/\xf0\x9f\x94\x8b", NULL},
        {"", "the topic is empty"},
        {"a/+", "the topic has a + or #"},
        {"#", "the topic has a + or #"},
        {"a\n", "the topic has a control character"},
        {"a\x7f", "the topic has a control character"},
        {"a\xc2\x85", "the topic has a control character"},
        {"a\xef\xbf\xbf", "the topic has a character that Unicode excludes"},
        {"a\xef\xb7\x90", "the topic has a character that Unicode excludes"},
        {"a\xc0\x80", "the topic is not valid UTF-8"},         /* overlong */
        {"a\xed\xa0\x80", "the topic is not valid UTF-8"},     /* surrogate */
        {"a\xf4\x90\x80\x80", "the topic is not valid UTF-8"}, /* above U+10FFFF */
        {"a\xe6\xb0", "the topic is not valid UTF-8"},         /* cut off */
        {"a\x80", "the topic is not valid UTF-8"},
    };
    char topic[GW_TOPIC_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *fault = gw_topic_fault(rows[i].topic);
        if (rows[i].fault)
            assert_string_equal(fault ? fault : "none", rows[i].fault);
        else
            assert_null(fault);
    }
    memset(topic, 'a', sizeof topic);
    topic[GW_TOPIC_MAX] = '\0';
    assert_null(gw_topic_fault(topic));
    topic[GW_TOPIC_MAX] = 'a';
    topic[GW_TOPIC_MAX + 1] = '\0';
    assert_string_equal(gw_topic_fault(topic), "the topic is longer than 256 bytes");
}

/* ---- stopping ---- */

static void request_stop(struct world *world, int64_t flush_us, int64_t deadline_us)
{
    gw_session_stop(world->session, world->now_us + flush_us, world->now_us + deadline_us);
    step(world);
}

static void a_stop_sends_what_is_left_then_offline_then_disconnects(void **state)
{
    struct world *world = *state;

    add(world, 12);
    begin(world);
    connect_and_prove(world);
    request_stop(world, 5 * SECOND, 6 * SECOND);
    for (size_t i = 1; i <= 12; i++) {
        assert_string_not_equal(last_sent(world)->payload, "offline");
        answer(world, world->mqtt.sent[i].slot);
        step(world);
    }

    assert_string_equal(last_sent(world)->payload, "offline");
    assert_true(last_sent(world)->retain);
    assert_int_equal(world->mqtt.n_disconnects, 0);
    answer(world, STATE_SLOT);
    step(world);
    assert_int_equal(world->mqtt.n_disconnects, 1);
    assert_false(gw_session_is_done(world->session));
    handle(world, (struct gw_mqtt_event){.kind = GW_MQTT_DISCONNECTED});
    assert_true(gw_session_is_done(world->session));
}

static void a_stop_without_connection_and_messages_is_done_at_once(void **state)
{
    struct world *world = *state;

    begin(world);
    request_stop(world, 5 * SECOND, 6 * SECOND);

    assert_true(gw_session_is_done(world->session));
}

static void save_nothing(struct gw_outbox *outbox)
{
    (void)outbox;
}

static void a_stop_without_connection_is_done_at_once_when_the_disk_keeps_the_messages(void **state)
{
    struct world *world = *state;
    struct gw_outbox_ops ops = *world->list->outbox.ops;

    ops.stop = save_nothing;
    world->list->outbox.ops = &ops;
    add(world, 1);
    begin(world);
    fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
    request_stop(world, 5 * SECOND, 6 * SECOND);
    step(world);

    assert_true(gw_session_is_done(world->session));
    world->list->outbox.ops = &list_ops;
}

static void a_stop_without_connection_hopes_until_the_flush_is_over(void **state)
{
    struct world *world = *state;

    add(world, 1);
    begin(world);
    fail_connect(world, GW_MQTT_WHY_NO_LISTENER, 0);
    request_stop(world, 5 * SECOND, 6 * SECOND);
    wait_for_attempt(world);
    assert_false(gw_session_is_done(world->session));
    const int64_t due_us = step(world);
    world->now_us = due_us;
    step(world);

    assert_true(gw_session_is_done(world->session));
}

static void a_silent_broker_does_not_keep_offline_back(void **state)
{
    struct world *world = *state;

    add(world, 30);
    begin(world);
    connect_and_prove(world);
    request_stop(world, 5 * SECOND, 6 * SECOND);
    assert_string_not_equal(last_sent(world)->payload, "offline");
    world->now_us = step(world);
    step(world);
    assert_string_equal(last_sent(world)->payload, "offline");
    world->now_us = step(world);
    step(world);

    assert_int_equal(world->mqtt.n_disconnects, 1); /* the last thing tried */
    assert_true(gw_session_is_done(world->session));
}

static void a_connection_lost_while_stopping_is_made_again_for_what_is_left(void **state)
{
    struct world *world = *state;

    add(world, 2);
    begin(world);
    connect_and_prove(world);
    request_stop(world, 5 * SECOND, 6 * SECOND);
    lose(world, 0);
    wait_for_attempt(world);
    const size_t n = world->mqtt.n_sent;

    come_up(world);

    assert_int_equal(world->mqtt.n_sent, n + 3);
    assert_false(gw_session_is_done(world->session));
}

static void a_connection_lost_after_offline_is_the_end(void **state)
{
    struct world *world = *state;

    begin(world);
    connect_and_prove(world);
    request_stop(world, 5 * SECOND, 6 * SECOND);
    assert_string_equal(last_sent(world)->payload, "offline");

    lose(world, 0);

    assert_true(gw_session_is_done(world->session));
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_up, world_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_first_step_connects_to_the_first_server),
        WORLD_TEST(servers_are_tried_in_order_and_then_there_is_a_pause),
        WORLD_TEST(pauses_double_up_to_the_longest_and_stay_between_the_bounds),
        WORLD_TEST(equal_bounds_make_equal_pauses),
        WORLD_TEST(after_a_loss_the_first_server_is_tried_first_and_soon),
        WORLD_TEST(a_connection_that_did_not_last_does_not_shorten_the_pause),
        WORLD_TEST(a_taken_over_session_is_told_loudly_and_waits_the_longest),
        WORLD_TEST(an_attempt_without_an_answer_is_given_up),
        WORLD_TEST(the_next_address_of_a_server_gets_the_full_time),
        WORLD_TEST(a_reason_is_told_once_until_it_changes_or_was_cured),
        WORLD_TEST(every_reason_has_its_own_sentence),
        WORLD_TEST(online_is_sent_before_any_message),
        WORLD_TEST(topics_are_subscribed_at_every_connection_before_anything_is_sent),
        WORLD_TEST(a_refused_subscription_is_told_with_its_topic),
        WORLD_TEST(only_topics_that_change_are_told_to_the_broker),
        WORLD_TEST(a_message_that_has_expired_is_not_sent),
        WORLD_TEST(no_more_than_max_inflight_are_under_way),
        WORLD_TEST(the_receive_maximum_of_the_broker_is_obeyed),
        WORLD_TEST(qos_and_retain_are_lowered_to_what_the_broker_can),
        WORLD_TEST(what_is_not_acknowledged_is_sent_again_in_order_after_a_loss),
        WORLD_TEST(answers_for_nothing_are_ignored),
        WORLD_TEST(back_pressure_keeps_the_message_and_asks_again_ever_later),
        WORLD_TEST(a_broker_that_acknowledges_nothing_is_left),
        WORLD_TEST(a_broker_slower_than_what_comes_is_told_once_and_when_it_keeps_up_again),
        WORLD_TEST(a_pile_that_an_outage_left_and_that_gets_smaller_is_not_a_slow_broker),
        WORLD_TEST(an_idle_connection_waits_for_ever),
        WORLD_TEST(a_loss_that_the_client_does_not_report_is_noticed),
        WORLD_TEST(a_refused_send_counts_as_a_loss_soon),
        WORLD_TEST(lost_events_cost_the_connection_and_no_message),
        WORLD_TEST(a_refused_message_is_dropped_counted_and_told_once),
        WORLD_TEST(the_log_of_refused_messages_is_bounded),
        WORLD_TEST(a_packet_of_exactly_the_size_allowed_is_sent),
        WORLD_TEST(a_message_over_quota_is_sent_again_after_a_pause),
        WORLD_TEST(a_message_that_breaks_every_connection_is_dropped),
        WORLD_TEST(a_connection_that_breaks_late_or_unproven_blames_no_message),
        WORLD_TEST(topics_that_cannot_be_published_on_are_known),
        WORLD_TEST(a_stop_sends_what_is_left_then_offline_then_disconnects),
        WORLD_TEST(a_stop_without_connection_and_messages_is_done_at_once),
        WORLD_TEST(a_stop_without_connection_is_done_at_once_when_the_disk_keeps_the_messages),
        WORLD_TEST(a_stop_without_connection_hopes_until_the_flush_is_over),
        WORLD_TEST(a_silent_broker_does_not_keep_offline_back),
        WORLD_TEST(a_connection_lost_while_stopping_is_made_again_for_what_is_left),
        WORLD_TEST(a_connection_lost_after_offline_is_the_end),
    };

    if (getenv("RIG_TEST"))
        cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
