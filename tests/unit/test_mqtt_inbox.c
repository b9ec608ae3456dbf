/* The way of an event from a library's thread to the publisher: queue, inbox, and the text of a server. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/mqtt_address.h"
#include "gateway/mqtt_inbox.h"
#include "gateway/queue.h"

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

/* ---- queue ---- */

static void items_come_out_in_order_and_a_full_queue_refuses(void **state)
{
    struct gw_queue *queue = gw_queue_new(sizeof(int), 3);
    int out[8];

    (void)state;
    for (int round = 0; round < 5; round++) { /* around the ring */
        for (int i = 0; i < 3; i++)
            assert_int_equal(gw_queue_push(queue, &i), GW_OK);
        assert_int_equal(gw_queue_push(queue, &round), GW_E_FULL);
        assert_int_equal(gw_queue_pop(queue, out, 2), 2);
        assert_int_equal(out[0], 0);
        assert_int_equal(out[1], 1);
        assert_true(is_readable(gw_queue_fd(queue)));
        assert_int_equal(gw_queue_pop(queue, out, 8), 1);
        assert_int_equal(out[0], 2);
        assert_false(is_readable(gw_queue_fd(queue)));
        assert_int_equal(gw_queue_pop(queue, out, 8), 0);
    }
    gw_queue_free(queue);
}

enum { PRODUCERS = 3, ITEMS = 20000 };

struct producer {
    struct gw_queue *queue;
    int number;
};

static void *produce(void *arg)
{
    const struct producer *producer = arg;

    for (int i = 0; i < ITEMS;) {
        const int item = producer->number * ITEMS + i;
        if (gw_queue_push(producer->queue, &item) == GW_OK)
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void no_wake_up_is_lost_between_threads(void **state)
{
    struct gw_queue *queue = gw_queue_new(sizeof(int), 7);
    struct producer producers[PRODUCERS];
    pthread_t threads[PRODUCERS];
    int next[PRODUCERS] = {0}, items[5];

    (void)state;
    for (int i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){queue, i};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    for (int left = PRODUCERS * ITEMS; left > 0;) {
        struct pollfd poll_fd = {.fd = gw_queue_fd(queue), .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 20000), 1);
        const size_t n = gw_queue_pop(queue, items, 5);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(items[i] % ITEMS, next[items[i] / ITEMS]++);
        left -= (int)n;
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    gw_queue_free(queue);
}

/* ---- inbox ---- */

static struct gw_mqtt_event delivered(void *context)
{
    return (struct gw_mqtt_event){.kind = GW_MQTT_DELIVERED, .slot = gw_inbox_slot(context)};
}

static void a_context_finds_its_inbox_and_carries_the_slot(void **state)
{
    struct gw_inbox *one = gw_inbox_new(4), *two = gw_inbox_new(4);
    struct gw_mqtt_event events[4];

    (void)state;
    void *context = gw_inbox_context(two, GW_MQTT_SLOT_MAX + 1);
    gw_inbox_post(context, delivered(context));

    assert_int_equal(gw_inbox_take(one, events, 4), 0);
    assert_int_equal(gw_inbox_take(two, events, 4), 1);
    assert_int_equal(events[0].slot, GW_MQTT_SLOT_MAX + 1);
    assert_true((uintptr_t)gw_inbox_context(two, UINT16_MAX) <=
                UINT32_MAX); /* fits small machines */
    gw_inbox_free(one);
    gw_inbox_free(two);
}

static void events_and_texts_of_an_earlier_connection_are_forgotten(void **state)
{
    struct gw_inbox *inbox = gw_inbox_new(4);
    struct gw_mqtt_event events[4];

    (void)state;
    void *old = gw_inbox_context(inbox, 1);
    gw_inbox_post(old, delivered(old));
    gw_inbox_note(old, "old\n", 4);
    assert_string_equal(gw_inbox_noted(inbox), "old");
    gw_inbox_renew(inbox);
    gw_inbox_post(old, delivered(old));
    gw_inbox_note(old, "late", 4);

    assert_int_equal(gw_inbox_take(inbox, events, 4), 0);
    assert_string_equal(gw_inbox_noted(inbox), "");
    gw_inbox_free(inbox);
}

static void a_callback_after_the_end_finds_nothing(void **state)
{
    struct gw_inbox *inbox = gw_inbox_new(4);

    (void)state;
    void *context = gw_inbox_context(inbox, 1);
    gw_inbox_free(inbox);

    gw_inbox_post(context, delivered(context)); /* the sanitizer would tell */
    gw_inbox_note(context, "late", 4);
}

static void lost_events_are_told(void **state)
{
    struct gw_inbox *inbox = gw_inbox_new(2);
    struct gw_mqtt_event events[4];
    void *context = gw_inbox_context(inbox, 1);

    (void)state;
    for (int i = 0; i < 3; i++)
        gw_inbox_post(context, delivered(context));

    assert_int_equal(gw_inbox_take(inbox, events, 4), 3);
    assert_int_equal(events[1].kind, GW_MQTT_DELIVERED);
    assert_int_equal(events[2].kind, GW_MQTT_OVERRUN);
    assert_int_equal(gw_inbox_take(inbox, events, 4), 0);
    gw_inbox_free(inbox);
}

static void there_is_an_end_to_inboxes_and_room_again_after_it(void **state)
{
    struct gw_inbox *inboxes[17];

    (void)state;
    for (int i = 0; i < 17; i++)
        inboxes[i] = gw_inbox_new(1);
    assert_non_null(inboxes[15]);
    assert_null(inboxes[16]);
    gw_inbox_free(inboxes[7]);
    inboxes[7] = gw_inbox_new(1);
    assert_non_null(inboxes[7]);
    for (int i = 0; i < 17; i++)
        gw_inbox_free(inboxes[i]);
}

/* ---- server ---- */

static void the_text_of_a_server_is_taken_apart(void **state)
{
    static const struct {
        const char *text, *host, *port;
        bool is_tls, is_good;
    } rows[] = {
        {"mqtt://broker.example:1883", "broker.example", "1883", false, true},
        {"mqtts://10.0.0.1:8883", "10.0.0.1", "8883", true, true},
        {"mqtts://[fe80::1%eth0]:8883", "fe80::1%eth0", "8883", true, true},
        {"tcp://a:1", "", "", false, false},
        {"mqtt://a", "", "", false, false},
        {"mqtt://:1883", "", "", false, false},
        {"mqtt://a:", "", "", false, false},
        {"mqtt://a:1234567", "", "", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gw_server server;
        const enum gw_err err = gw_server_parse(rows[i].text, &server);
        assert_int_equal(err, rows[i].is_good ? GW_OK : GW_E_RANGE);
        if (err != GW_OK)
            continue;
        assert_string_equal(server.host, rows[i].host);
        assert_string_equal(server.port, rows[i].port);
        assert_int_equal(server.is_tls, rows[i].is_tls);
    }
}

static void numbers_resolve_to_themselves_and_ipv6_gets_brackets(void **state)
{
    struct gw_address addresses[GW_ADDRESS_MAX];
    struct gw_server server;
    const char *why;

    (void)state;
    assert_int_equal(gw_server_parse("mqtt://192.0.2.1:1883", &server), GW_OK);
    assert_int_equal(gw_server_resolve(&server, addresses, GW_ADDRESS_MAX, &why), 1);
    assert_string_equal(addresses[0].text, "192.0.2.1");
    assert_int_equal(gw_server_parse("mqtt://[2001:db8::1]:1883", &server), GW_OK);
    assert_int_equal(gw_server_resolve(&server, addresses, GW_ADDRESS_MAX, &why), 1);
    assert_string_equal(addresses[0].text, "[2001:db8::1]");
}

static struct gw_queue *messages_of_three(struct gw_inbox *inbox)
{
    struct gw_queue *messages = gw_queue_new(sizeof(struct gw_mqtt_message), 3);

    gw_inbox_set_messages(inbox, messages);
    return messages;
}

static void a_message_reaches_whoever_waits_for_it_whatever_the_connection(void **state)
{
    struct gw_inbox *inbox = gw_inbox_new(8);
    struct gw_queue *messages = messages_of_three(inbox);
    static struct gw_mqtt_message in = {.payload_len = 2, .topic = "a/set", .payload = "40"}, out;
    void *context = gw_inbox_context(inbox, 0);

    (void)state;
    gw_inbox_renew(inbox); /* it was acknowledged, and nobody would send it again */
    gw_inbox_deliver(context, &in);

    assert_int_equal(gw_queue_pop(messages, &out, 1), 1);
    assert_memory_equal(&in, &out, sizeof in);
    gw_inbox_free(inbox);
    gw_queue_free(messages);
}

static void messages_beyond_what_may_wait_are_lost_and_the_rest_kept(void **state)
{
    struct gw_inbox *inbox = gw_inbox_new(8);
    struct gw_queue *messages = messages_of_three(inbox);
    static struct gw_mqtt_message in, out[8];

    (void)state;
    for (in.payload_len = 1; in.payload_len <= 5; in.payload_len++)
        gw_inbox_deliver(gw_inbox_context(inbox, 0), &in);

    assert_int_equal(gw_queue_pop(messages, out, 8), 3);
    assert_int_equal(out[0].payload_len, 1);
    assert_int_equal(out[2].payload_len, 3);
    gw_inbox_free(inbox);
    gw_queue_free(messages);
}

/* Debian's hosts file gives "localhost" as ::1 first. */
static void the_library_takes_the_first_ipv4_address_of_a_name(void **state)
{
    const struct gw_address both[] = {{"[::1]"}, {"[fe80::1%lo]"}, {"127.0.0.1"}, {"127.0.0.2"}};

    (void)state;
    assert_int_equal(gw_address_of_library(both, 4), 2);
    assert_int_equal(gw_address_of_library(both, 2), 0);
    assert_int_equal(gw_address_of_library(both + 2, 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_and_a_full_queue_refuses),
        cmocka_unit_test(no_wake_up_is_lost_between_threads),
        cmocka_unit_test(a_context_finds_its_inbox_and_carries_the_slot),
        cmocka_unit_test(events_and_texts_of_an_earlier_connection_are_forgotten),
        cmocka_unit_test(a_callback_after_the_end_finds_nothing),
        cmocka_unit_test(lost_events_are_told),
        cmocka_unit_test(a_message_reaches_whoever_waits_for_it_whatever_the_connection),
        cmocka_unit_test(messages_beyond_what_may_wait_are_lost_and_the_rest_kept),
        cmocka_unit_test(there_is_an_end_to_inboxes_and_room_again_after_it),
        cmocka_unit_test(the_text_of_a_server_is_taken_apart),
        cmocka_unit_test(numbers_resolve_to_themselves_and_ipv6_gets_brackets),
        cmocka_unit_test(the_library_takes_the_first_ipv4_address_of_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
