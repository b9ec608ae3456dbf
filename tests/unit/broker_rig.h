/* broker_rig: a real mosquitto with a subscriber, a proxy whose connections can be cut, and a publisher before them. */
#ifndef BROKER_RIG_H
#define BROKER_RIG_H

#include "tests/unit/publisher_rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gateway/publisher.h"
#include "tests/unit/free_port.h"

/* ---- processes ---- */

RIG int connect_to(int port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                        .sin_port = htons((uint16_t)port)};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

RIG pid_t start_process(const char *const argv[], int stdout_fd)
{
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    if (stdout_fd >= 0)
        dup2(stdout_fd, 1);
    else if (!getenv("RIG_SHOW_LOG"))
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 1);
    if (!getenv("RIG_SHOW_LOG"))
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
    execvp(argv[0], (char *const *)(uintptr_t)argv); /* which does not change them */
    _exit(127);
}

RIG void end_process(pid_t *pid, int signal_number)
{
    if (*pid <= 0)
        return;
    kill(*pid, signal_number);
    kill(*pid, SIGCONT);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

RIG GW_PRINTF(1, 2) int run_shell(const char *fmt, ...)
{
    char command[2048];
    va_list args;

    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    return system(command);
}

/* ---- the broker ---- */

struct broker {
    pid_t pid;
    int port;
    char dir[64], config[128];
};

RIG void broker_wait(const struct broker *broker)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    const int64_t until_us = rig_now_us() + PATIENCE_MS * 1000LL;
    int fd;

    while ((fd = connect_to(broker->port)) < 0) {
        assert_true(rig_now_us() < until_us);
        nanosleep(&pause, NULL);
    }
    close(fd);
}

RIG void broker_start(struct broker *broker)
{
    /* Debian puts it where the PATH of an ordinary user does not look. */
    const char *const sbin = "/usr/sbin/mosquitto";
    const char *const argv[] = {access(sbin, X_OK) == 0 ? sbin : "mosquitto", "-c", broker->config,
                                NULL};

    broker->pid = start_process(argv, -1);
    broker_wait(broker);
}

/* Prepares a folder, a port and a configuration of these lines; %d in them is the port, %s the folder. */
RIG void broker_init(struct broker *broker, const char *lines)
{
    char text[2048];

    *broker = (struct broker){.port = free_port()};
    snprintf(broker->dir, sizeof broker->dir, "/tmp/field2mqtt-test-XXXXXX");
    assert_non_null(mkdtemp(broker->dir));
    snprintf(broker->config, sizeof broker->config, "%s/broker.conf", broker->dir);
    /* mosquitto gives up root, and then cannot reach a private folder. */
    snprintf(
        text, sizeof text,
        "user root\nlistener %d 127.0.0.1\nset_tcp_nodelay true\nmax_queued_messages 100000\n%s\n",
        broker->port, lines);
    FILE *file = fopen(broker->config, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

RIG void broker_done(struct broker *broker)
{
    end_process(&broker->pid, SIGTERM);
    if (broker->dir[0])
        run_shell("rm -rf '%s'", broker->dir);
}

/* ---- the subscriber: lines of topic|qos|retain|payload ---- */

struct subscriber {
    pid_t pid;
    int fd;
    char buffer[65536];
    size_t n;
};

RIG void subscriber_start(struct subscriber *subscriber, int port, bool is_kept)
{
    char port_text[8];
    const char *argv[24] = {"mosquitto_sub",
                            "-h",
                            "127.0.0.1",
                            "-p",
                            port_text,
                            "-t",
                            "#",
                            "-q",
                            "2",
                            "-V",
                            "5",
                            "--retain-as-published",
                            "-F",
                            "%t|%q|%r|%p",
                            "-i",
                            "observer"};
    int fds[2];

    if (is_kept) {
        argv[16] = "-c";
        argv[17] = "-x";
        argv[18] = "3600";
    }
    snprintf(port_text, sizeof port_text, "%d", port);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    *subscriber = (struct subscriber){.pid = start_process(argv, fds[1]), .fd = fds[0]};
    close(fds[1]);
}

/* Gives the next line, without its end; NULL when none came in time. Valid until the next call. */
RIG const char *subscriber_next(struct subscriber *subscriber, int timeout_ms)
{
    static char line[65536];
    const int64_t until_us = rig_now_us() + timeout_ms * 1000LL;

    for (;;) {
        char *end = memchr(subscriber->buffer, '\n', subscriber->n);
        if (end) {
            const size_t len = (size_t)(end - subscriber->buffer);
            memcpy(line, subscriber->buffer, len);
            line[len] = '\0';
            subscriber->n -= len + 1;
            memmove(subscriber->buffer, end + 1, subscriber->n);
            return line;
        }
        struct pollfd poll_fd = {.fd = subscriber->fd, .events = POLLIN};
        const int64_t left_ms = (until_us - rig_now_us()) / 1000;
        if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) <= 0)
            return NULL;
        const ssize_t n = read(subscriber->fd, subscriber->buffer + subscriber->n,
                               sizeof subscriber->buffer - subscriber->n);
        if (n <= 0)
            return NULL;
        subscriber->n += (size_t)n;
    }
}

/* Gives the next line that begins so; lines before it are skipped. */
RIG const char *subscriber_wait(struct subscriber *subscriber, const char *prefix)
{
    const char *line;

    while ((line = subscriber_next(subscriber, PATIENCE_MS)) != NULL)
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            return line;
    fail_msg("the subscriber never saw %s; log:\n%s", prefix, log_text);
    return NULL;
}

/* Publishes a mark until the subscriber sees it: from then on it sees everything. */
RIG void subscriber_sync(struct subscriber *subscriber, int port)
{
    for (int i = 0; i < 100; i++) {
        run_shell("mosquitto_pub -h 127.0.0.1 -p %d -q 1 -t rig/mark -m x 2>/dev/null", port);
        for (const char *line; (line = subscriber_next(subscriber, 200)) != NULL;)
            if (strncmp(line, "rig/mark|", 9) == 0)
                return;
    }
    fail_msg("the subscriber never got a message");
}

RIG void subscriber_done(struct subscriber *subscriber)
{
    end_process(&subscriber->pid,
                SIGKILL); /* with SIGTERM it waits for a broker that may be stopped */
    if (subscriber->fd > 0)
        close(subscriber->fd);
    subscriber->fd = 0;
}

/* ---- the proxy ---- */

enum { PROXY_MAX = 16 };

struct proxy {
    int listen_fd, port, to_port, stop_fd;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    int fds[PROXY_MAX][2];
    size_t n, n_accepted;
    size_t cut_after; /* bytes to the broker after which a connection is cut; 0: never */
    size_t n_bytes;
};

static void proxy_cut_at(struct proxy *proxy, size_t i)
{
    const struct linger at_once = {.l_onoff = 1};

    for (int side = 0; side < 2; side++) {
        setsockopt(proxy->fds[i][side], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(proxy->fds[i][side]);
    }
    proxy->n--;
    memcpy(proxy->fds[i], proxy->fds[proxy->n], sizeof proxy->fds[i]);
}

RIG void proxy_cut(struct proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    while (proxy->n > 0)
        proxy_cut_at(proxy, 0);
    pthread_mutex_unlock(&proxy->lock);
}

static bool proxy_move(struct proxy *proxy, size_t i, int side)
{
    char buffer[4096];
    const ssize_t n = recv(proxy->fds[i][side], buffer, sizeof buffer, MSG_DONTWAIT);

    if (n < 0 && errno == EAGAIN)
        return true;
    if (n <= 0 || send(proxy->fds[i][1 - side], buffer, (size_t)n, MSG_NOSIGNAL) != n)
        return false;
    if (side == 0)
        proxy->n_bytes += (size_t)n;
    return side == 1 || proxy->cut_after == 0 || proxy->n_bytes < proxy->cut_after;
}

static void *proxy_run(void *arg)
{
    struct proxy *proxy = arg;
    struct pollfd fds[2 + 2 * PROXY_MAX];

    for (;;) {
        pthread_mutex_lock(&proxy->lock);
        size_t n = proxy->n;
        fds[0] = (struct pollfd){.fd = proxy->stop_fd, .events = POLLIN};
        fds[1] = (struct pollfd){.fd = proxy->listen_fd, .events = POLLIN};
        for (size_t i = 0; i < 2 * n; i++)
            fds[2 + i] = (struct pollfd){.fd = proxy->fds[i / 2][i % 2], .events = POLLIN};
        pthread_mutex_unlock(&proxy->lock);
        /* Short: a connection may be cut meanwhile by the test. */
        poll(fds, 2 + 2 * n, 50);
        if (fds[0].revents)
            return NULL;
        pthread_mutex_lock(&proxy->lock);
        for (size_t i = proxy->n; i-- > 0;)
            if (!proxy_move(proxy, i, 0) || !proxy_move(proxy, i, 1))
                proxy_cut_at(proxy, i);
        if (fds[1].revents && proxy->n < PROXY_MAX) {
            const int from = accept4(proxy->listen_fd, NULL, NULL, SOCK_CLOEXEC);
            const int to = connect_to(proxy->to_port);
            proxy->n_accepted++;
            proxy->n_bytes = 0;
            proxy->fds[proxy->n][0] = from;
            proxy->fds[proxy->n++][1] = to;
            if (to < 0)
                proxy_cut_at(proxy, proxy->n - 1);
        }
        pthread_mutex_unlock(&proxy->lock);
    }
}

RIG void proxy_start(struct proxy *proxy, int to_port)
{
    *proxy = (struct proxy){.port = free_port(), .to_port = to_port};
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                        .sin_port = htons((uint16_t)proxy->port)};
    const int yes = 1;

    proxy->stop_fd = eventfd(0, EFD_CLOEXEC);
    proxy->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(proxy->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    assert_int_equal(bind(proxy->listen_fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(proxy->listen_fd, 8), 0);
    pthread_mutex_init(&proxy->lock, NULL);
    assert_int_equal(pthread_create(&proxy->thread, NULL, proxy_run, proxy), 0);
}

RIG void proxy_done(struct proxy *proxy)
{
    eventfd_write(proxy->stop_fd, 1);
    pthread_join(proxy->thread, NULL);
    proxy_cut(proxy);
    close(proxy->listen_fd);
    close(proxy->stop_fd);
}

/* ---- all together ---- */

/* Paho 1.3.12 leaks the few messages it has not yet written when a connection breaks; see mqtt_paho.c, QUEUED_MAX.
 * test_publisher_broker's reconnects_leak_nothing counts the bytes itself. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libpaho-mqtt3as";
}

#define ANONYMOUS "allow_anonymous true"

struct rig {
    struct broker broker;
    struct subscriber subscriber;
    struct proxy proxy;
    bool has_proxy;
    struct list_outbox *list;
    struct gw_mqtt_conf conf;
    const char *servers[4];
    char server_texts[4][64];
    struct gw_publisher *publisher;
};

RIG void use_server(struct rig *rig, const char *scheme, const char *host, int port)
{
    const size_t i = rig->conf.servers.n_items++;

    snprintf(rig->server_texts[i], sizeof rig->server_texts[i], "%s://%s:%d", scheme, host, port);
    rig->servers[i] = rig->server_texts[i];
    rig->conf.servers.items = rig->servers;
}

RIG int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    log_clear();
    rig->list = list_new(20000);
    rig->conf = (struct gw_mqtt_conf){
        .version = GW_MQTT_3_1_1,
        .client_id = "gw-test",
        .keepalive_us = 15000000,
        .connect_timeout_us = 5000000,
        .reconnect_min_us = 20000,
        .reconnect_max_us = 200000,
        .max_inflight = 100,
        .state_topic = "rig/state",
        .max_payload = 262144,
        .tls = {.verify = true},
    };
    *state = rig;
    return 0;
}

RIG enum gw_err stop(struct rig *rig, int64_t flush_us)
{
    struct gw_publisher *publisher = rig->publisher;

    rig->publisher = NULL;
    return gw_publisher_stop(publisher, rig_now_us() + flush_us, rig_now_us() + 10000000);
}

RIG int teardown(void **state)
{
    struct rig *rig = *state;

    const enum gw_err err = stop(rig, 0);
    subscriber_done(&rig->subscriber);
    if (rig->has_proxy)
        proxy_done(&rig->proxy);
    broker_done(&rig->broker);
    rig->list->outbox.ops->free(&rig->list->outbox);
    free(rig);
    return err == GW_OK ? 0 : -1;
}

RIG void start(struct rig *rig)
{
    assert_int_equal(gw_publisher_start(&rig->conf, &(struct gw_mqtt_subscription){0},
                                        &rig->list->outbox, &gw_system_clock, &rig->publisher),
                     GW_OK);
}

RIG struct gw_publisher_stats stats_of(struct rig *rig)
{
    struct gw_publisher_stats stats;

    gw_publisher_stats(rig->publisher, &stats);
    return stats;
}

/* The counters are published a moment after the outbox has let go of a message. */
RIG void wait_refused(struct rig *rig, uint64_t n)
{
    const int64_t until_us = rig_now_us() + PATIENCE_MS * 1000LL;

    while (stats_of(rig).n_refused < n && rig_now_us() < until_us)
        poll(NULL, 0, 1);
    assert_int_equal(stats_of(rig).n_refused, n);
}

/* Broker with a subscriber to everything, and the publisher pointed at it but not started. */
RIG void rig_up(struct rig *rig, const char *broker_lines)
{
    broker_init(&rig->broker, broker_lines);
    broker_start(&rig->broker);
    subscriber_start(&rig->subscriber, rig->broker.port, false);
    subscriber_sync(&rig->subscriber, rig->broker.port);
    use_server(rig, "mqtt", "127.0.0.1", rig->broker.port);
}

RIG void expect_line(struct rig *rig, const char *line)
{
    const char *seen = subscriber_next(&rig->subscriber, PATIENCE_MS);

    assert_string_equal(seen ? seen : "nothing", line);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
