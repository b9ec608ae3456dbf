/* The publisher against a real mosquitto with TLS: who trusts whom, and what is said when one does not. */
#include "tests/unit/broker_rig.h"

/* Makes a CA, a broker certificate for this name (subjectAltName) and a client certificate in the broker's folder. */
static void make_certificates(struct rig *rig, const char *broker_name, int bits)
{
    static const char script[] =
        "cd '%s' && exec 2>/dev/null && "
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca "
        "&& "
        "openssl req -newkey rsa:%d -nodes -keyout broker.key -out broker.csr -subj /CN=broker && "
        "echo 'subjectAltName=%s' >names && "
        "openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile names -out broker.pem && "
        "openssl req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=client "
        "&& "
        "openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-out client.pem && "
        "openssl rsa -in client.key -aes128 -passout pass:secret -out locked.key && "
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj "
        "/CN=ca";

    assert_int_equal(run_shell(script, rig->broker.dir, bits, broker_name), 0);
}

static const char *file_of(const struct rig *rig, const char *name)
{
    static char paths[8][128];
    static size_t next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof paths[0], "%s/%s", rig->broker.dir, name);
    return path;
}

/* A broker with TLS on its port, and a publisher that trusts the right CA, not started. */
static void tls_up_weak(struct rig *rig, const char *broker_name, const char *more, int bits)
{
    broker_init(&rig->broker, ANONYMOUS);
    make_certificates(rig, broker_name, bits);
    assert_int_equal(
        run_shell("cd '%s' && echo 'cafile ca.pem\ncertfile broker.pem\nkeyfile broker.key\n"
                  "%s' | sed 's|file |file '%s'/|' >>broker.conf",
                  rig->broker.dir, more, rig->broker.dir),
        0);
    broker_start(&rig->broker);
    use_server(rig, "mqtts", "localhost", rig->broker.port);
    rig->conf.tls.ca_file = file_of(rig, "ca.pem");
    list_add(rig->list, "a", "1", 1, false);
}

static void tls_up(struct rig *rig, const char *broker_name, const char *more)
{
    tls_up_weak(rig, broker_name, more, 2048);
}

static void a_broker_with_a_certificate_of_the_ca_is_trusted(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "");

    start(rig);

    list_wait_acked(rig->list, 1);
    log_wait("connected to mqtts://localhost:");
}

static void mqtt_5_works_over_tls(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "");
    rig->conf.version = GW_MQTT_5;

    start(rig);

    list_wait_acked(rig->list, 1);
}

static void a_host_given_as_a_number_is_compared_with_the_certificate(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "IP:127.0.0.1", "");
    rig->conf.servers.n_items = 0;
    use_server(rig, "mqtts", "127.0.0.1", rig->broker.port);

    start(rig);

    list_wait_acked(rig->list, 1);
}

static void a_client_certificate_is_shown_to_a_broker_that_asks(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "require_certificate true");
    rig->conf.tls.cert_file = file_of(rig, "client.pem");
    rig->conf.tls.key_file = file_of(rig, "client.key");

    start(rig);

    list_wait_acked(rig->list, 1);
}

static void a_locked_key_is_opened_with_its_password(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "require_certificate true");
    rig->conf.tls.cert_file = file_of(rig, "client.pem");
    rig->conf.tls.key_file = file_of(rig, "locked.key");
    rig->conf.tls.key_password = "secret";

    start(rig);

    list_wait_acked(rig->list, 1);
}

static void a_locked_key_without_a_password_is_told(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "require_certificate true");
    rig->conf.tls.cert_file = file_of(rig, "client.pem");
    rig->conf.tls.key_file = file_of(rig, "locked.key");

    start(rig);

    log_wait("locked.key: there is no key in it, or it needs a key_password");
    assert_int_equal(list_acked(rig->list), 0);
}

static void a_key_of_another_certificate_is_told(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "require_certificate true");
    rig->conf.tls.cert_file = file_of(rig, "client.pem");
    rig->conf.tls.key_file = file_of(rig, "other.key");

    start(rig);

    log_wait("other.key: the key does not belong to cert_file");
}

static void a_ca_file_without_a_certificate_is_told(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "");
    rig->conf.tls.ca_file = file_of(rig, "broker.conf");

    start(rig);

    log_wait("broker.conf: there is no certificate in it");
}

static void a_missing_client_certificate_is_told(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "require_certificate true");

    start(rig);

    log_wait("no TLS connection: tlsv13 alert certificate required"); /* RFC 8446, 6.2 */
    assert_int_equal(list_acked(rig->list), 0);
}

static void a_certificate_of_another_ca_is_not_accepted(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "");
    rig->conf.tls.ca_file = file_of(rig, "other.pem");

    start(rig);

    log_wait("the certificate of the broker is not accepted");
    assert_int_equal(list_acked(rig->list), 0);
}

static void the_cas_of_the_system_do_not_know_ours(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "");
    rig->conf.tls.ca_file = NULL;

    start(rig);

    log_wait("the certificate of the broker is not accepted");
}

static void a_certificate_for_another_host_is_not_accepted(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:elsewhere.example", "");

    start(rig);

    log_wait("the certificate of the broker is not accepted: hostname mismatch");
    assert_int_equal(list_acked(rig->list), 0);
}

static void nothing_is_compared_with_verify_off(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:elsewhere.example", "");
    rig->conf.tls.ca_file = file_of(rig, "other.pem");
    rig->conf.tls.verify = false;

    start(rig);

    list_wait_acked(rig->list, 1);
}

static void a_key_too_short_for_security_level_2_is_not_accepted(void **state)
{
    struct rig *rig = *state;

    tls_up_weak(rig, "DNS:localhost", "ciphers DEFAULT:@SECLEVEL=0", 1024);

    start(rig);

    log_wait("the certificate of the broker is not accepted: EE certificate key too weak");
    assert_int_equal(list_acked(rig->list), 0);
}

static void tls_1_1_is_not_spoken(void **state)
{
    struct rig *rig = *state;
    char port[8];
    struct broker *broker = &rig->broker;

    broker_init(broker, ANONYMOUS);
    make_certificates(rig, "DNS:localhost", 2048);
    snprintf(port, sizeof port, "%d", broker->port);
    const char *const argv[] = {"openssl", "s_server",
                                "-quiet",  "-tls1_1",
                                "-cipher", "DEFAULT:@SECLEVEL=0",
                                "-accept", port,
                                "-cert",   file_of(rig, "broker.pem"),
                                "-key",    file_of(rig, "broker.key"),
                                NULL};
    broker->pid = start_process(argv, -1);
    broker_wait(broker);
    use_server(rig, "mqtts", "localhost", broker->port);
    rig->conf.tls.ca_file = file_of(rig, "ca.pem");

    start(rig);

    log_wait("no TLS connection: "); /* were it spoken, the silence afterwards would be told */
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct rig *rig = *state;

    use_server(rig, "mqtts", "localhost", free_port());
    rig->conf.tls.ca_file = "/nowhere/ca.pem";

    start(rig);

    log_wait("cannot use /nowhere/ca.pem: No such file or directory");
}

static void plain_mqtt_to_a_tls_port_is_told(void **state)
{
    struct rig *rig = *state;

    tls_up(rig, "DNS:localhost", "");
    rig->conf.servers.n_items = 0;
    use_server(rig, "mqtt", "127.0.0.1", rig->broker.port);

    start(rig);

    log_wait("closes the connection before it answers");
}

static void tls_to_a_plain_port_is_told(void **state)
{
    struct rig *rig = *state;

    rig_up(rig, ANONYMOUS);
    rig->conf.servers.n_items = 0;
    rig->conf.connect_timeout_us = 1000000;
    use_server(rig, "mqtts", "localhost", rig->broker.port);

    start(rig);

    log_wait("no TLS connection: ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_broker_with_a_certificate_of_the_ca_is_trusted),
        TEST(mqtt_5_works_over_tls),
        TEST(a_host_given_as_a_number_is_compared_with_the_certificate),
        TEST(a_client_certificate_is_shown_to_a_broker_that_asks),
        TEST(a_locked_key_is_opened_with_its_password),
        TEST(a_locked_key_without_a_password_is_told),
        TEST(a_key_of_another_certificate_is_told),
        TEST(a_ca_file_without_a_certificate_is_told),
        TEST(a_missing_client_certificate_is_told),
        TEST(a_certificate_of_another_ca_is_not_accepted),
        TEST(the_cas_of_the_system_do_not_know_ours),
        TEST(a_certificate_for_another_host_is_not_accepted),
        TEST(nothing_is_compared_with_verify_off),
        TEST(a_key_too_short_for_security_level_2_is_not_accepted),
        TEST(tls_1_1_is_not_spoken),
        TEST(a_file_that_is_not_there_is_named),
        TEST(plain_mqtt_to_a_tls_port_is_told),
        TEST(tls_to_a_plain_port_is_told),
    };

    if (getenv("RIG_TEST"))
        cmocka_set_test_filter(getenv("RIG_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
