/* reference: the least that a program can do for the same work, with the same two libraries: a loop that reads 100 registers of
 * each device by libmodbus and sends them by MQTTAsync. It reconnects nothing, plans nothing, keeps nothing, checks nothing.
 * At most WINDOW messages are on their way, which is what the gateway calls max_inflight.
 *
 * usage: reference BROKER_PORT QOS INTERVAL_MS value|json|one|none WINDOW DEVICE_PORT...      until it is ended
 * INTERVAL_MS 0: as fast as it goes. value: a message per register; json: one per device; one: the first register of each
 * device; none: only reads. */
#include <MQTTAsync.h>
#include <errno.h>
#include <modbus.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REGISTERS = 100, DEVICES_MAX = 1000, JSON_BYTES = 4096 };

static MQTTAsync client;
static sem_t window, connected;
static int qos;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    exit(1);
}

static void on_connected(void *context, MQTTAsync_successData *data)
{
    (void)context;
    (void)data;
    sem_post(&connected);
}

static void on_sent(void *context, MQTTAsync_successData *data)
{
    (void)context;
    (void)data;
    sem_post(&window);
}

static void on_failed(void *context, MQTTAsync_failureData *data)
{
    (void)context;
    (void)data;
    fprintf(stderr, "the broker did not take it\n");
    exit(1);
}

static void connect_broker(const char *port)
{
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    char uri[64];

    snprintf(uri, sizeof uri, "tcp://127.0.0.1:%s", port);
    options.onSuccess = on_connected;
    options.onFailure = on_failed;
    if (MQTTAsync_create(&client, uri, "reference", MQTTCLIENT_PERSISTENCE_NONE, NULL) != 0 ||
        MQTTAsync_connect(client, &options) != 0)
        die("connect");
    sem_wait(&connected);
}

static void send(const char *topic, const char *payload, int len)
{
    MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;

    answer.onSuccess = on_sent;
    answer.onFailure = on_failed;
    sem_wait(&window);
    if (MQTTAsync_send(client, topic, len, payload, qos, 0, &answer) != MQTTASYNC_SUCCESS)
        die("send");
}

static void send_values(int device, const uint16_t *values, int n)
{
    char topic[64], payload[16];

    for (int i = 0; i < n; i++) {
        snprintf(topic, sizeof topic, "bench/dev%d/p%d", device, i);
        send(topic, payload, snprintf(payload, sizeof payload, "%d", values[i]));
    }
}

static void send_json(int device, const uint16_t *values)
{
    char topic[64], payload[JSON_BYTES];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int len = snprintf(payload, sizeof payload, "{\"ts\":%lld,\"quality\":\"good\"",
                       (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    for (int i = 0; i < REGISTERS; i++)
        len += snprintf(payload + len, sizeof payload - (size_t)len, ",\"p%d\":%d", i, values[i]);
    len += snprintf(payload + len, sizeof payload - (size_t)len, "}");
    snprintf(topic, sizeof topic, "bench/dev%d", device);
    send(topic, payload, len);
}

static void wait_until(struct timespec *next, long interval_ms)
{
    next->tv_nsec += interval_ms % 1000 * 1000000;
    next->tv_sec += interval_ms / 1000 + next->tv_nsec / 1000000000;
    next->tv_nsec %= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

int main(int argc, char **argv)
{
    static modbus_t *devices[DEVICES_MAX];
    uint16_t values[REGISTERS];
    struct timespec next;

    if (argc < 7 || argc - 6 > DEVICES_MAX)
        return 64;
    const int n_devices = argc - 6;
    const long interval_ms = strtol(argv[3], NULL, 10);
    const char mode = argv[4][0];
    qos = (int)strtol(argv[2], NULL, 10);
    sem_init(&connected, 0, 0);
    sem_init(&window, 0, (unsigned)strtoul(argv[5], NULL, 10));
    if (mode != 'n')
        connect_broker(argv[1]);
    for (int i = 0; i < n_devices; i++) {
        devices[i] = modbus_new_tcp("127.0.0.1", (int)strtol(argv[6 + i], NULL, 10));
        if (!devices[i] || modbus_connect(devices[i]) != 0)
            die("connect");
        modbus_set_slave(devices[i], 1);
    }
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        for (int i = 0; i < n_devices; i++) {
            if (modbus_read_registers(devices[i], 0, REGISTERS, values) != REGISTERS)
                die("read");
            if (mode == 'v' || mode == 'o')
                send_values(i, values, mode == 'v' ? REGISTERS : 1);
            else if (mode == 'j')
                send_json(i, values);
        }
        if (interval_ms > 0)
            wait_until(&next, interval_ms);
    }
}
