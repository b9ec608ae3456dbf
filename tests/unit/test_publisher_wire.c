/* The publisher through the real client library, against a broker of a few lines that says what a test wants:
 * what stands in our packets, and what becomes of answers that mosquitto does not give. */
#include "tests/unit/broker_rig.h"

/* ---- the scripted broker ---- */

enum { PACKETS_MAX = 256, PACKET_BYTES = 512 };

/* Source of all packets here: MQTT 3.1.1 and MQTT 5, section 3. */
enum { CONNECT = 1, PUBLISH = 3, PUBACK = 4, PINGREQ = 12, DISCONNECT = 14 };

struct packet {
    uint8_t first;
    uint8_t body[PACKET_BYTES];
    size_t len;
};

struct scripted {
    int listen_fd, stop_fd, port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t grew;
    struct packet packets[PACKETS_MAX];
    size_t n_packets;
    /* The script: set before the publisher starts. */
    const char *connacks[4]; /* of the first, second ... connection, as hex; the last one repeats */
    const char *farewell;    /* sent after so many PUBLISH, then closed */
    size_t farewell_after;
    bool holds_acks; /* until told to let go */
    uint8_t ack_code;
};

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t n = 0;
    unsigned byte;
    int used;

    for (; sscanf(hex, " %2x%n", &byte, &used) == 1; hex += used)
        bytes[n++] = (uint8_t)byte;
    return n;
}

static void say(int fd, const char *hex)
{
    uint8_t bytes[64];
    const size_t n = from_hex(hex, bytes);

    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static bool read_exactly(struct scripted *broker, int fd, uint8_t *bytes, size_t len)
{
    for (size_t n = 0; n < len;) {
        struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
                                {.fd = broker->stop_fd, .events = POLLIN}};
        poll(fds, 2, -1);
        const ssize_t got = fds[1].revents ? 0 : recv(fd, bytes + n, len - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
    return true;
}

static bool read_packet(struct scripted *broker, int fd, struct packet *ret_packet)
{
    uint8_t byte;
    size_t len = 0;
    unsigned shift = 0;

    if (!read_exactly(broker, fd, &ret_packet->first, 1))
        return false;
    do {
        if (!read_exactly(broker, fd, &byte, 1))
            return false;
        len |= (size_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    ret_packet->len = len;
    return len <= PACKET_BYTES && read_exactly(broker, fd, ret_packet->body, len);
}

static void acknowledge(struct scripted *broker, int fd, const struct packet *publish)
{
    const size_t topic_len = (size_t)publish->body[0] << 8 | publish->body[1];
    const uint8_t *id = publish->body + 2 + topic_len;
    const uint8_t with_code[] = {0x40, 3, id[0], id[1], broker->ack_code};
    const uint8_t plain[] = {0x40, 2, id[0], id[1]};

    if (!(publish->first & 6)) /* QoS 0 */
        return;
    if (broker->ack_code)
        send(fd, with_code, sizeof with_code, MSG_NOSIGNAL);
    else
        send(fd, plain, sizeof plain, MSG_NOSIGNAL);
}

static void serve(struct scripted *broker, int fd, size_t n_connection)
{
    struct packet packet;
    size_t n_publish = 0;

    while (read_packet(broker, fd, &packet)) {
        pthread_mutex_lock(&broker->lock);
        broker->packets[broker->n_packets++ % PACKETS_MAX] = packet;
        const bool holds_acks = broker->holds_acks;
        pthread_cond_broadcast(&broker->grew);
        pthread_mutex_unlock(&broker->lock);
        const int type = packet.first >> 4;
        if (type == CONNECT) {
            size_t i = n_connection;
            while (i > 0 && (i > 3 || !broker->connacks[i]))
                i--;
            say(fd, broker->connacks[i]);
        } else if (type == PUBLISH) {
            if (!holds_acks)
                acknowledge(broker, fd, &packet);
            if (broker->farewell && ++n_publish == broker->farewell_after) {
                say(fd, broker->farewell);
                return;
            }
        } else if (type == PINGREQ) {
            say(fd, "d0 00");
        }
    }
}

static void *scripted_run(void *arg)
{
    struct scripted *broker = arg;
    struct pollfd fds[2] = {{.fd = broker->listen_fd, .events = POLLIN},
                            {.fd = broker->stop_fd, .events = POLLIN}};

    for (size_t n_connection = 0;; n_connection++) {
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        const int fd = accept4(broker->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        serve(broker, fd, n_connection);
        close(fd);
    }
}

static void scripted_start(struct scripted *broker)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    broker->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    broker->stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(bind(broker->listen_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(broker->listen_fd, 8), 0);
    getsockname(broker->listen_fd, (struct sockaddr *)&address, &len);
    broker->port = ntohs(address.sin_port);
    pthread_mutex_init(&broker->lock, NULL);
    pthread_cond_init(&broker->grew, NULL);
    assert_int_equal(pthread_create(&broker->thread, NULL, scripted_run, broker), 0);
}

static void scripted_stop(struct scripted *broker)
{
    eventfd_write(broker->stop_fd, 1);
    pthread_join(broker->thread, NULL);
    close(broker->listen_fd);
    close(broker->stop_fd);
}

/* Waits for the n-th packet (from 1) of this type and copies it. */
static struct packet wait_packet(struct scripted *broker, int type, int nth)
{
    struct packet packet = {0};
    struct timespec until;
    bool is_found = false;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&broker->lock);
    for (;;) {
        int n = 0;
        for (size_t i = 0; i < broker->n_packets && !is_found; i++)
            if (broker->packets[i].first >> 4 == type && ++n == nth) {
                packet = broker->packets[i];
                is_found = true;
            }
        if (is_found || pthread_cond_timedwait(&broker->grew, &broker->lock, &until) == ETIMEDOUT)
            break;
    }
    pthread_mutex_unlock(&broker->lock);
    assert_true(is_found);
    return packet;
}

static size_t count_packets(struct scripted *broker, int type)
{
    size_t n = 0;

    pthread_mutex_lock(&broker->lock);
    for (size_t i = 0; i < broker->n_packets; i++)
        n += broker->packets[i].first >> 4 == type;
    pthread_mutex_unlock(&broker->lock);
    return n;
}

/* ---- set up ---- */

struct wire {
    struct rig *rig;
    struct scripted broker;
};

static int wire_setup(void **state)
{
    struct wire *wire = calloc(1, sizeof *wire);
    void *rig;

    setup(&rig);
    wire->rig = rig;
    wire->broker.connacks[0] = "20 02 00 00";
    *state = wire;
    return 0;
}

static int wire_teardown(void **state)
{
    struct wire *wire = *state;
    void *rig = wire->rig;

    const int rc = teardown(&rig);
    scripted_stop(&wire->broker);
    free(wire);
    return rc;
}

static void wire_up(struct wire *wire)
{
    scripted_start(&wire->broker);
    use_server(wire->rig, "mqtt", "127.0.0.1", wire->broker.port);
    start(wire->rig);
}

static void use_v5(struct wire *wire, const char *connack)
{
    wire->rig->conf.version = GW_MQTT_5;
    wire->broker.connacks[0] = connack;
}

/* ---- what we say ---- */

static void connect_says_what_is_configured(void **state)
{
    struct wire *wire = *state;
    /* MQTT 3.1.1, 3.1: protocol name, level 4, flags (user name, password, will retain, will QoS 1, will, clean),
     * keep alive 15, then client id, will topic, will message, user name, password. */
    static const char expected[] = "00 04 4d 51 54 54 04 ee 00 0f 00 07 67 77 2d 74 65 73 74 "
                                   "00 09 72 69 67 2f 73 74 61 74 65 00 07 6f 66 66 6c 69 6e 65 "
                                   "00 02 6d 65 00 02 70 77";
    uint8_t bytes[64];

    wire->rig->conf.username = "me";
    wire->rig->conf.password = "pw";
    wire_up(wire);
    const struct packet packet = wait_packet(&wire->broker, CONNECT, 1);

    assert_int_equal(packet.len, from_hex(expected, bytes));
    assert_memory_equal(packet.body, bytes, packet.len);
}

static void connect_of_mqtt_5_asks_for_a_clean_start_and_no_session(void **state)
{
    struct wire *wire = *state;
    /* MQTT 5, 3.1: level 5, flags (will retain, will QoS 1, will, clean start), keep alive, no properties (a
     * session that is not to expire later), client id, will properties, will topic and message. */
    static const char expected[] = "00 04 4d 51 54 54 05 2e 00 0f 00 00 07 67 77 2d 74 65 73 74 "
                                   "00 00 09 72 69 67 2f 73 74 61 74 65 00 07 6f 66 66 6c 69 6e 65";
    uint8_t bytes[64];

    use_v5(wire, "20 03 00 00 00");
    wire_up(wire);
    const struct packet packet = wait_packet(&wire->broker, CONNECT, 1);

    assert_int_equal(packet.len, from_hex(expected, bytes));
    assert_memory_equal(packet.body, bytes, packet.len);
}

static void without_a_state_topic_there_is_no_will_and_no_birth(void **state)
{
    struct wire *wire = *state;

    wire->rig->conf.state_topic = NULL;
    list_add(wire->rig->list, "a", "1", 1, false);
    wire_up(wire);

    assert_int_equal(wait_packet(&wire->broker, CONNECT, 1).body[7], 0x02); /* clean only */
    assert_int_equal(wait_packet(&wire->broker, PUBLISH, 1).body[2], 'a');
}

static void an_idle_connection_is_kept_alive(void **state)
{
    struct wire *wire = *state;

    wire->rig->conf.keepalive_us = 1000000;
    wire_up(wire);

    wait_packet(&wire->broker, PINGREQ, 2);
    assert_int_equal(stats_of(wire->rig).n_connects, 1);
}

static void a_goodbye_is_polite(void **state)
{
    struct wire *wire = *state;

    wire_up(wire);
    log_wait("connected to");
    assert_int_equal(stop(wire->rig, 0), GW_OK);

    const struct packet last = wait_packet(&wire->broker, PUBLISH, 2);
    assert_memory_equal(last.body + 13, "offline", 7);
    wait_packet(&wire->broker, DISCONNECT, 1);
}

/* ---- what we hear ---- */

static void the_return_codes_of_3_1_1_are_told_apart(void **state)
{
    struct wire *wire = *state;

    wire->broker.connacks[0] = "20 02 00 02";
    wire->broker.connacks[1] = "20 02 00 04";
    wire->broker.connacks[2] = "20 02 00 05";
    wire->broker.connacks[3] = "20 02 00 00";
    wire_up(wire);

    log_wait("refuses the connection: client id rejected");
    log_wait("refuses the connection: bad user name or password");
    log_wait("refuses the connection: not authorised");
    log_wait("connected to");
}

static void the_reason_codes_of_mqtt_5_are_told_apart(void **state)
{
    struct wire *wire = *state;

    use_v5(wire, "20 03 00 86 00");
    wire->broker.connacks[1] = "20 03 00 8a 00";
    wire->broker.connacks[2] = "20 03 00 97 00";
    wire->broker.connacks[3] = "20 03 00 00 00";
    wire_up(wire);

    log_wait("refuses the connection: bad user name or password");
    log_wait("refuses the connection: banned");
    log_wait("refuses the connection: quota exceeded");
    log_wait("connected to");
}

static void a_broker_that_does_not_know_mqtt_5_is_told(void **state)
{
    struct wire *wire = *state;

    use_v5(wire, "20 02 00 01"); /* as a 3.1.1 broker answers, 3.1.2.2 */
    wire_up(wire);

    log_wait("refuses the connection: it does not speak this MQTT version");
}

static void an_answer_that_is_not_mqtt_is_no_connection(void **state)
{
    struct wire *wire = *state;

    wire->broker.connacks[0] = "48 54 54 50 2f 31 2e 31 20 34 30 30 0d 0a 0d 0a"; /* HTTP/1.1 400 */
    wire->rig->conf.connect_timeout_us = 1000000;
    wire_up(wire);

    log_wait("trying again, later every");
    assert_int_equal(log_count("connected to"), 0);
}

static void the_receive_maximum_is_never_exceeded(void **state)
{
    struct wire *wire = *state;
    char payload[16];

    for (int i = 0; i < 50; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        list_add(wire->rig->list, "a", payload, 1, false);
    }
    use_v5(wire, "20 06 00 00 03 21 00 03"); /* receive maximum 3 */
    wire->broker.holds_acks = true;
    wire_up(wire);

    wait_packet(&wire->broker, PUBLISH, 3);
    poll(NULL, 0, 200); /* time in which a fourth would have come */
    assert_int_equal(count_packets(&wire->broker, PUBLISH), 3);
    assert_int_equal(stats_of(wire->rig).n_in_flight, 2); /* and "online" */
    pthread_mutex_lock(&wire->broker.lock);
    wire->broker.holds_acks = false; /* for the goodbye */
    pthread_mutex_unlock(&wire->broker.lock);
}

static void a_broker_without_retain_and_qos_gets_neither(void **state)
{
    struct wire *wire = *state;

    list_add(wire->rig->list, "a", "1", 2, true);
    use_v5(wire, "20 03 00 9a 00");                          /* our will is retained: refused */
    wire->broker.connacks[1] = "20 03 00 9b 00";             /* it has QoS 1: refused */
    wire->broker.connacks[2] = "20 07 00 00 04 24 00 25 00"; /* maximum QoS 0, no retain */
    wire_up(wire);

    assert_int_equal(wait_packet(&wire->broker, CONNECT, 1).body[7], 0x2e);
    assert_int_equal(wait_packet(&wire->broker, CONNECT, 2).body[7], 0x0e);
    assert_int_equal(wait_packet(&wire->broker, CONNECT, 3).body[7], 0x06);
    assert_int_equal(wait_packet(&wire->broker, PUBLISH, 1).first, 0x30);
    assert_int_equal(wait_packet(&wire->broker, PUBLISH, 2).first, 0x30);
    list_wait_acked(wire->rig->list, 1);
}

static void a_message_that_mqtt_5_refuses_is_dropped(void **state)
{
    struct wire *wire = *state;

    list_add(wire->rig->list, "a", "1", 1, false);
    use_v5(wire, "20 03 00 00 00");
    wire->broker.ack_code = 0x90;
    wire_up(wire);

    list_wait_acked(wire->rig->list, 1);
    wait_refused(wire->rig, 1);
    log_wait("message for a dropped: the broker refuses it: topic not accepted");
    log_wait("message for rig/state dropped: the broker refuses it: topic not accepted");
}

static void nobody_listening_to_a_topic_is_no_refusal(void **state)
{
    struct wire *wire = *state;

    list_add(wire->rig->list, "a", "1", 1, false);
    use_v5(wire, "20 03 00 00 00");
    wire->broker.ack_code = 0x10; /* no matching subscribers */
    wire_up(wire);

    list_wait_acked(wire->rig->list, 1);
    assert_int_equal(stats_of(wire->rig).n_refused, 0);
}

static void a_session_taken_over_is_told_by_an_mqtt_5_broker(void **state)
{
    struct wire *wire = *state;

    use_v5(wire, "20 03 00 00 00");
    wire->broker.farewell = "e0 02 8e 00";
    wire->broker.farewell_after = 1;
    wire_up(wire);

    log_wait("another client with the client id \"gw-test\" took over the session");
}

static void a_broker_that_shuts_down_says_so(void **state)
{
    struct wire *wire = *state;

    use_v5(wire, "20 03 00 00 00");
    wire->broker.farewell = "e0 01 8b";
    wire->broker.farewell_after = 1;
    wire_up(wire);

    log_wait("lost: the broker shuts down; connecting again");
}

static void a_message_nobody_asked_for_does_no_harm(void **state)
{
    struct wire *wire = *state;

    wire->broker.connacks[0] = "20 02 00 00 30 05 00 01 61 68 69 32 07 00 01 61 00 07 68 69";
    list_add(wire->rig->list, "a", "1", 1, false);
    wire_up(wire);

    list_wait_acked(wire->rig->list, 1);
    assert_int_equal(wait_packet(&wire->broker, PUBACK, 1).body[1], 7);
    assert_int_equal(stats_of(wire->rig).n_connects, 1);
}

#define WIRE_TEST(name) cmocka_unit_test_setup_teardown(name, wire_setup, wire_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(connect_says_what_is_configured),
        WIRE_TEST(connect_of_mqtt_5_asks_for_a_clean_start_and_no_session),
        WIRE_TEST(without_a_state_topic_there_is_no_will_and_no_birth),
        WIRE_TEST(an_idle_connection_is_kept_alive),
        WIRE_TEST(a_goodbye_is_polite),
        WIRE_TEST(the_return_codes_of_3_1_1_are_told_apart),
        WIRE_TEST(the_reason_codes_of_mqtt_5_are_told_apart),
        WIRE_TEST(a_broker_that_does_not_know_mqtt_5_is_told),
        WIRE_TEST(an_answer_that_is_not_mqtt_is_no_connection),
        WIRE_TEST(the_receive_maximum_is_never_exceeded),
        WIRE_TEST(a_broker_without_retain_and_qos_gets_neither),
        WIRE_TEST(a_message_that_mqtt_5_refuses_is_dropped),
        WIRE_TEST(nobody_listening_to_a_topic_is_no_refusal),
        WIRE_TEST(a_session_taken_over_is_told_by_an_mqtt_5_broker),
        WIRE_TEST(a_broker_that_shuts_down_says_so),
        WIRE_TEST(a_message_nobody_asked_for_does_no_harm),
    };

    if (getenv("RIG_TEST"))
        cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
