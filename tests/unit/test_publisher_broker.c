/* The publisher against a real mosquitto on the loopback interface: what the subscriber sees and what is said. */
#include "tests/unit/broker_rig.h"

#include <malloc.h>
#include <poll.h>

#include "gateway/mqtt.h"

/* ---- what arrives ---- */

static void qos_and_retain_arrive(struct rig *rig)
{
    rig_up(rig, ANONYMOUS);
    list_add(rig->list, "a/b", "zero", 0, false);
    list_add(rig->list, "a/b", "one", 1, false);
    list_add(rig->list, "a/\xc3\xa4", "", 1, false);
    list_add(rig->list, "a/b", "two", 2, true); /* last: its handshake takes two rounds */

    start(rig);

    expect_line(rig, "rig/state|1|1|online");
    expect_line(rig, "a/b|0|0|zero");
    expect_line(rig, "a/b|1|0|one");
    expect_line(rig, "a/\xc3\xa4|1|0|");
    expect_line(rig, "a/b|2|1|two");
    list_wait_acked(rig->list, 4);
    log_wait("connected to mqtt://127.0.0.1:");
}

static void messages_arrive_with_the_qos_and_retain_asked_for(void **state)
{
    qos_and_retain_arrive(*state);
}

static void messages_arrive_with_the_qos_and_retain_asked_for_with_mqtt_5(void **state)
{
    struct rig *rig = *state;

    rig->conf.version = GW_MQTT_5;
    qos_and_retain_arrive(rig);
}

static void a_clean_stop_flushes_and_says_offline_last(void **state)
{
    struct rig *rig = *state;
    char payload[16];

    rig_up(rig, ANONYMOUS);
    start(rig);
    expect_line(rig, "rig/state|1|1|online");
    for (int i = 0; i < 500; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        list_add(rig->list, "n", payload, 1, false);
    }

    assert_int_equal(stop(rig, 10000000), GW_OK);

    assert_int_equal(list_acked(rig->list), 500);
    for (int i = 0; i < 500; i++) {
        char line[32];
        snprintf(line, sizeof line, "n|1|0|%d", i);
        expect_line(rig, line);
    }
    expect_line(rig, "rig/state|1|1|offline");
    assert_null(subscriber_next(&rig->subscriber, 300)); /* and no last will behind it */
}

static void a_broken_connection_publishes_the_last_will(void **state)
{
    struct rig *rig = *state;

    rig_up(rig, ANONYMOUS);
    proxy_start(&rig->proxy, rig->broker.port);
    rig->has_proxy = true;
    rig->conf.servers.n_items = 0;
    use_server(rig, "mqtt", "127.0.0.1", rig->proxy.port);
    start(rig);
    expect_line(rig, "rig/state|1|1|online");

    proxy_cut(&rig->proxy);

    expect_line(rig, "rig/state|1|1|offline");
    expect_line(rig, "rig/state|1|1|online");
    log_wait("lost; connecting again");
}

/* ---- who may connect ---- */

static void wrong_password_is_told_once_and_cured_when_the_broker_accepts(void **state)
{
    struct rig *rig = *state;
    char password_file[128];

    broker_init(&rig->broker, "");
    snprintf(password_file, sizeof password_file, "%s/passwords", rig->broker.dir);
    assert_int_equal(run_shell("mosquitto_passwd -b -c %s gw old", password_file), 0);
    assert_int_equal(run_shell("echo 'allow_anonymous false\npassword_file %s' >>%s", password_file,
                               rig->broker.config),
                     0);
    broker_start(&rig->broker);
    use_server(rig, "mqtt", "127.0.0.1", rig->broker.port);
    rig->conf.username = "gw";
    rig->conf.password = "new";
    start(rig);
    log_wait("refuses the connection: ");
    list_add(rig->list, "a", "1", 1, false);

    assert_int_equal(run_shell("mosquitto_passwd -b %s gw new", password_file), 0);
    kill(rig->broker.pid, SIGHUP);

    list_wait_acked(rig->list, 1);
    log_wait("connected to");
    assert_int_equal(log_count("refuses the connection"), 1);
}

static void bad_user_name_or_password_has_its_sentence_with_mqtt_5(void **state)
{
    struct rig *rig = *state;

    broker_init(&rig->broker, "allow_anonymous false");
    broker_start(&rig->broker);
    use_server(rig, "mqtt", "127.0.0.1", rig->broker.port);
    rig->conf.version = GW_MQTT_5;

    start(rig);

    log_wait("refuses the connection: not authorised");
}

static void nobody_listening_is_told_once(void **state)
{
    struct rig *rig = *state;

    use_server(rig, "mqtt", "127.0.0.1", free_port());
    start(rig);

    log_wait("connection refused, no broker listens there; trying again, later every 200 ms");
    const int64_t until_us = rig_now_us() + 500000;
    while (rig_now_us() < until_us)
        poll(NULL, 0, 50);
    assert_int_equal(log_count("no broker listens"), 1);
    assert_int_equal(stop(rig, 0), GW_OK);
}

static void an_unknown_host_has_its_sentence(void **state)
{
    struct rig *rig = *state;

    use_server(rig, "mqtt", "no-such-host.invalid", 1883);

    start(rig);

    log_wait("mqtt://no-such-host.invalid:1883: unknown host");
}

static void a_host_that_never_answers_times_out(void **state)
{
    struct rig *rig = *state;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    getsockname(fd, (struct sockaddr *)&address, &len);
    use_server(rig, "mqtt", "127.0.0.1", ntohs(address.sin_port));
    rig->conf.connect_timeout_us = 1000000;

    start(rig);

    log_wait("timed out, no answer within 1 s");
    close(fd);
}

/* ---- several servers ---- */

static void the_second_server_is_taken_when_the_first_is_dead(void **state)
{
    struct rig *rig = *state;
    struct broker first;

    broker_init(&first, ANONYMOUS);
    use_server(rig, "mqtt", "127.0.0.1", first.port);
    rig_up(rig, ANONYMOUS);
    list_add(rig->list, "a", "1", 1, false);

    start(rig);
    list_wait_acked(rig->list, 1);
    assert_string_equal(stats_of(rig).server, rig->server_texts[1]);
    /* After a loss the first comes first again. */
    broker_start(&first);
    end_process(&rig->broker.pid, SIGKILL);
    list_add(rig->list, "a", "2", 1, false);
    list_wait_acked(rig->list, 2);

    assert_string_equal(stats_of(rig).server, rig->server_texts[0]);
    assert_int_equal(stop(rig, 1000000), GW_OK);
    broker_done(&first);
}

/* ---- outages ---- */

static void count_numbers(struct rig *rig, int n_numbers, int *ret_n_twice)
{
    int next = 0, n_twice = 0;

    while (next < n_numbers) {
        const char *line = subscriber_wait(&rig->subscriber, "n|1|0|");
        const int number = (int)strtol(line + 6, NULL, 10);
        assert_true(number <= next); /* none lost, none ahead of its turn */
        if (number < next)
            n_twice++;
        else
            next++;
    }
    *ret_n_twice = n_twice;
}

static void add_numbers(struct rig *rig, int n)
{
    char payload[64];

    for (int i = 0; i < n; i++) {
        snprintf(payload, sizeof payload, "%d some text to make it as long as messages are", i);
        list_add(rig->list, "n", payload, 1, false);
    }
}

static void nothing_is_lost_when_the_connection_breaks_in_mid_stream(void **state)
{
    struct rig *rig = *state;
    int n_twice = 0;

    rig_up(rig, ANONYMOUS);
    proxy_start(&rig->proxy, rig->broker.port);
    rig->has_proxy = true;
    rig->proxy.cut_after = 100000; /* about 1500 messages */
    rig->conf.servers.n_items = 0;
    use_server(rig, "mqtt", "127.0.0.1", rig->proxy.port);
    add_numbers(rig, 5000);

    start(rig);
    count_numbers(rig, 5000, &n_twice);

    list_wait_acked(rig->list, 5000);
    assert_true(rig->proxy.n_accepted >= 3);
    /* Only what was under way can come twice. */
    assert_true(n_twice <= (int)rig->conf.max_inflight * (int)(rig->proxy.n_accepted - 1));
}

static void nothing_is_lost_when_the_broker_restarts_in_mid_stream(void **state)
{
    struct rig *rig = *state;
    int n_twice = 0;

    broker_init(&rig->broker, ANONYMOUS "\npersistence true\nmax_inflight_messages 0");
    assert_int_equal(
        run_shell("echo 'persistence_location %s/' >>%s", rig->broker.dir, rig->broker.config), 0);
    broker_start(&rig->broker);
    subscriber_start(&rig->subscriber, rig->broker.port, true);
    subscriber_sync(&rig->subscriber, rig->broker.port);
    use_server(rig, "mqtt", "127.0.0.1", rig->broker.port);
    add_numbers(rig, 5000);

    start(rig);
    list_wait_acked(rig->list, 1500);
    end_process(&rig->broker.pid, SIGTERM);
    broker_start(&rig->broker);
    list_wait_acked(rig->list, 5000);

    count_numbers(rig, 5000, &n_twice);
}

static void a_stop_with_the_broker_down_keeps_its_deadline(void **state)
{
    struct rig *rig = *state;

    rig_up(rig, ANONYMOUS);
    start(rig);
    log_wait("connected to");
    end_process(&rig->broker.pid, SIGKILL);
    log_wait("no broker listens");
    list_add(rig->list, "a", "1", 1, false);
    const int64_t begin_us = rig_now_us();

    assert_int_equal(gw_publisher_stop(rig->publisher, begin_us + 300000, begin_us + 5000000),
                     GW_OK);
    rig->publisher = NULL;

    assert_true(rig_now_us() - begin_us >= 300000); /* it hoped for the broker until then */
    assert_true(rig_now_us() - begin_us < 5000000);
}

static void a_stop_with_a_silent_broker_keeps_its_deadline(void **state)
{
    struct rig *rig = *state;

    rig_up(rig, ANONYMOUS);
    start(rig);
    log_wait("connected to");
    kill(rig->broker.pid, SIGSTOP);
    list_add(rig->list, "a", "1", 1, false);
    const int64_t begin_us = rig_now_us();

    assert_int_equal(gw_publisher_stop(rig->publisher, begin_us + 300000, begin_us + 5000000),
                     GW_OK);
    rig->publisher = NULL;

    assert_true(rig_now_us() - begin_us < 5000000);
    kill(rig->broker.pid, SIGCONT);
}

/* ---- what is refused for good ---- */

static void a_message_that_is_too_large_is_dropped_and_its_neighbours_arrive(void **state)
{
    struct rig *rig = *state;
    char *large = calloc(1, 2002);

    memset(large, 'x', 2001);
    rig_up(rig, ANONYMOUS);
    rig->conf.max_payload = 2000;
    list_add(rig->list, "a", "before", 1, false);
    list_add(rig->list, "a", large, 1, false);
    list_add(rig->list, "a", large, 1, false);
    list_add(rig->list, "a", large + 1, 1, false);
    list_add(rig->list, "a", "after", 1, false);
    free(large);

    start(rig);
    list_wait_acked(rig->list, 5);

    expect_line(rig, "rig/state|1|1|online");
    expect_line(rig, "a|1|0|before");
    assert_int_equal(strlen(subscriber_wait(&rig->subscriber, "a|1|0|xx")), 6 + 2000);
    expect_line(rig, "a|1|0|after");
    wait_refused(rig, 2);
    assert_int_equal(log_count("message for a dropped: its payload of 2001 bytes is larger than "
                               "max_payload (2000)"),
                     1);
}

static void the_packet_size_of_an_mqtt_5_broker_is_obeyed(void **state)
{
    struct rig *rig = *state;
    char *large = calloc(1, 1001);

    memset(large, 'x', 1000);
    rig_up(rig, ANONYMOUS "\nmax_packet_size 1000");
    rig->conf.version = GW_MQTT_5;
    list_add(rig->list, "a", large, 1, false);
    list_add(rig->list, "a", "after", 1, false);
    free(large);

    start(rig);
    list_wait_acked(rig->list, 2);

    expect_line(rig, "rig/state|1|1|online");
    expect_line(rig, "a|1|0|after");
    wait_refused(rig, 1);
    assert_int_equal(stats_of(rig).n_connects, 1);
    log_wait("larger than the broker allows (1000)");
}

static void a_message_that_makes_the_broker_close_does_not_block_the_rest(void **state)
{
    struct rig *rig = *state;
    char *large = calloc(1, 1001);

    memset(large, 'x', 1000);
    rig_up(rig, ANONYMOUS "\nmax_packet_size 1000"); /* 3.1.1 has no word for it: it closes */
    list_add(rig->list, "a", "before", 1, false);
    list_add(rig->list, "a", large, 1, false);
    list_add(rig->list, "a", "after", 1, false);
    free(large);

    start(rig);
    list_wait_acked(rig->list, 3);

    subscriber_wait(&rig->subscriber, "a|1|0|before");
    subscriber_wait(&rig->subscriber, "a|1|0|after");
    wait_refused(rig, 1);
    assert_int_equal(log_count("the broker closes the connection each time it is sent"), 1);
}

static void bad_topics_are_dropped_without_costing_the_connection(void **state)
{
    struct rig *rig = *state;

    rig_up(rig, ANONYMOUS);
    list_add(rig->list, "a/+/b", "1", 1, false);
    list_add(rig->list, "a/#", "1", 1, false);
    list_add(rig->list, "", "1", 1, false);
    list_add(rig->list, "a\x01", "1", 1, false);
    list_add(rig->list, "a\xff", "1", 1, false);
    list_add(rig->list, "a", "good", 1, false);

    start(rig);
    list_wait_acked(rig->list, 6);

    expect_line(rig, "rig/state|1|1|online");
    expect_line(rig, "a|1|0|good");
    wait_refused(rig, 5);
    assert_int_equal(stats_of(rig).n_connects, 1);
    log_wait("message for a/+/b dropped: the topic has a + or #");
    log_wait("the topic is not valid UTF-8");
}

static void what_an_mqtt_5_broker_refuses_is_dropped_with_its_reason(void **state)
{
    struct rig *rig = *state;

    broker_init(&rig->broker, ANONYMOUS);
    assert_int_equal(
        run_shell("printf 'topic readwrite rig/#\ntopic read #\ntopic write ok/#\n' >%s/acl; "
                  "echo 'acl_file %s/acl' >>%s",
                  rig->broker.dir, rig->broker.dir, rig->broker.config),
        0);
    broker_start(&rig->broker);
    subscriber_start(&rig->subscriber, rig->broker.port, false);
    subscriber_sync(&rig->subscriber, rig->broker.port);
    use_server(rig, "mqtt", "127.0.0.1", rig->broker.port);
    rig->conf.version = GW_MQTT_5;
    list_add(rig->list, "secret/a", "1", 1, false);
    list_add(rig->list, "secret/a", "2", 2, false);
    list_add(rig->list, "ok/a", "3", 1, false);

    start(rig);
    list_wait_acked(rig->list, 3);

    expect_line(rig, "rig/state|1|1|online");
    expect_line(rig, "ok/a|1|0|3");
    wait_refused(rig, 2);
    assert_int_equal(
        log_count("message for secret/a dropped: the broker refuses it: not authorised"), 1);
}

static void a_second_client_with_our_id_is_told_and_retried_ever_more_slowly(void **state)
{
    struct rig *rig = *state;

    rig_up(rig, ANONYMOUS);
    rig->conf.reconnect_max_us = 400000;
    start(rig);
    for (int i = 0; i < 3; i++) {
        subscriber_wait(&rig->subscriber, "rig/state|1|1|online");
        run_shell("mosquitto_pub -h 127.0.0.1 -p %d -i gw-test -t x -m x", rig->broker.port);
        subscriber_wait(&rig->subscriber, "rig/state|1|1|offline");
    }

    log_wait("does another client use the client id \"gw-test\"?");
}

/* ---- many reconnects ---- */

static int open_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_bytes(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
                                                   : mallinfo2().uordblks;
}

static void reconnects_leak_nothing(void **state)
{
    struct rig *rig = *state;
    size_t n_bytes = 0;
    int n_open = 0;

    rig_up(rig, ANONYMOUS);
    proxy_start(&rig->proxy, rig->broker.port);
    rig->has_proxy = true;
    rig->conf.servers.n_items = 0;
    use_server(rig, "mqtt", "127.0.0.1", rig->proxy.port);
    start(rig);
    for (size_t i = 1; i <= 45; i++) {
        list_add(rig->list, "a", "1", 1, false);
        list_wait_acked(rig->list, i);
        /* What is allocated once is there by now, and the C library's own stores of free pieces are filled. */
        if (i == 25) {
            n_open = open_fds();
            n_bytes = heap_bytes();
        }
        if (i > 25)
            assert_int_equal(open_fds(), n_open);
        proxy_cut(&rig->proxy);
    }
    list_add(rig->list, "a", "1", 1, false);
    list_wait_acked(rig->list, 46);

    /* 21 outbox entries of this test, of 2 bytes, and the noise of threads coming and going. */
    assert_true(heap_bytes() < n_bytes + 8192);
}

static void fail_to_connect(struct gw_mqtt *mqtt, const char *server)
{
    struct pollfd ready = {.fd = gw_mqtt_event_fd(mqtt), .events = POLLIN};
    struct gw_mqtt_event event = {0};

    gw_mqtt_connect(mqtt, server);
    while (event.kind != GW_MQTT_CONNECT_FAILED) {
        assert_int_equal(poll(&ready, 1, 30000), 1);
        if (gw_mqtt_events(mqtt, &event, 1) == 0)
            event.kind = GW_MQTT_CONNECTED;
    }
    gw_mqtt_drop(mqtt);
}

/* Each start of Paho takes about 160 bytes in OpenSSL for good. */
static void a_broker_that_is_away_for_long_costs_no_memory(void **state)
{
    enum { ATTEMPTS = 100 };
    struct rig *rig = *state;
    struct gw_mqtt *mqtt;
    char server[64];
    size_t n_bytes = 0;

    snprintf(server, sizeof server, "mqtt://127.0.0.1:%u", free_port());
    assert_int_equal(gw_mqtt_new(&rig->conf, NULL, &mqtt), GW_OK);
    for (int i = 0; i < 40 + ATTEMPTS; i++) {
        if (i == 40)
            n_bytes = heap_bytes();
        fail_to_connect(mqtt, server);
    }
    assert_true(heap_bytes() < n_bytes + 40 * ATTEMPTS);

    gw_mqtt_free(mqtt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_arrive_with_the_qos_and_retain_asked_for),
        TEST(messages_arrive_with_the_qos_and_retain_asked_for_with_mqtt_5),
        TEST(a_clean_stop_flushes_and_says_offline_last),
        TEST(a_broken_connection_publishes_the_last_will),
        TEST(wrong_password_is_told_once_and_cured_when_the_broker_accepts),
        TEST(bad_user_name_or_password_has_its_sentence_with_mqtt_5),
        TEST(nobody_listening_is_told_once),
        TEST(an_unknown_host_has_its_sentence),
        TEST(a_host_that_never_answers_times_out),
        TEST(the_second_server_is_taken_when_the_first_is_dead),
        TEST(nothing_is_lost_when_the_connection_breaks_in_mid_stream),
        TEST(nothing_is_lost_when_the_broker_restarts_in_mid_stream),
        TEST(a_stop_with_the_broker_down_keeps_its_deadline),
        TEST(a_stop_with_a_silent_broker_keeps_its_deadline),
        TEST(a_message_that_is_too_large_is_dropped_and_its_neighbours_arrive),
        TEST(the_packet_size_of_an_mqtt_5_broker_is_obeyed),
        TEST(a_message_that_makes_the_broker_close_does_not_block_the_rest),
        TEST(bad_topics_are_dropped_without_costing_the_connection),
        TEST(what_an_mqtt_5_broker_refuses_is_dropped_with_its_reason),
        TEST(a_second_client_with_our_id_is_told_and_retried_ever_more_slowly),
        TEST(reconnects_leak_nothing),
        TEST(a_broker_that_is_away_for_long_costs_no_memory),
    };

    if (getenv("RIG_TEST"))
        cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
