/* supervisor: the life of a gateway from start to stop. Knows no device and no broker, only who runs.
 *
 * DESIGN: first the outbox, then commands, then the publisher, then the buses. At the stop commands come first, since
 * on_stop values are still to be written; then buses, then the publisher. From the signal on commands have 1.2 s,
 * buses 2.5 s to end, the publisher flushes until 4 s, and at 5 s everything is over: a driver that hangs in a
 * system call keeps its memory and its thread, and the process ends without it. */
#include "gateway/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "gateway/bus.h"
#include "gateway/control.h"
#include "gateway/duration.h"
#include "gateway/log.h"
#include "gateway/notify.h"
#include "gateway/outbox.h"
#include "gateway/publisher.h"
#include "gateway/watchdog.h"

#define SECOND_US ((int64_t)1000000)

enum {
    LOOK_EVERY_MS = 1000,  /* at the drops of the outbox */
    CALM_AFTER_LOOKS = 10, /* without a drop it has room again */
    CONTROL_MS = 1200,     /* times from the signal on */
    JOIN_MS = 2500,
    FLUSH_MS = 4000,
    END_MS = 4700,
};

struct supervisor {
    const struct gw_config *config;
    struct gw_outbox *outbox;
    struct gw_control *control; /* NULL: commands are not enabled */
    bool is_control_running, is_control_late;
    struct gw_mqtt_conf mqtt; /* the configuration's, with what control subscribes to */
    struct gw_publisher *publisher;
    struct gw_bus_thread **buses; /* NULL entries: ended */
    bool *is_bus_late, is_publisher_late;
    size_t n_buses;
    struct gw_watchdog watchdog;
    int signal_fd;

    uint64_t n_dropped_seen, n_dropped_before;
    unsigned n_calm_looks;
    bool is_dropping;
};

static size_t count_points(const struct gw_config *config, size_t *ret_n_devices)
{
    size_t n = 0;

    *ret_n_devices = 0;
    for (size_t i = 0; i < config->n_buses; i++) {
        *ret_n_devices += config->buses[i].n_devices;
        for (size_t k = 0; k < config->buses[i].n_devices; k++)
            n += config->buses[i].devices[k].n_points;
    }
    return n;
}

static const char *plural(size_t n, const char *ending)
{
    return n == 1 ? "" : ending;
}

static void tell_start(const struct gw_config *config, const char *version)
{
    size_t n_devices;
    size_t n_points = count_points(config, &n_devices);

    gw_log(GW_LOG_INFO, NULL, "field2mqtt %s: gateway %s, %zu bus%s, %zu device%s, %zu point%s",
           version, config->gateway_name, config->n_buses, plural(config->n_buses, "es"), n_devices,
           plural(n_devices, "s"), n_points, plural(n_points, "s"));
}

/* ---- signals --------------------------------------------------------------------------------------- */

static enum gw_err catch_signals(struct supervisor *s)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return GW_E_NOMEM;
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0 ? GW_OK : GW_E_NOMEM;
}

/* Waits for a signal at most so long; 0: none came. */
static int wait_signal(const struct supervisor *s, int timeout_ms)
{
    struct pollfd fd = {.fd = s->signal_fd, .events = POLLIN};
    struct signalfd_siginfo info;

    if (poll(&fd, 1, timeout_ms) <= 0)
        return 0;
    return read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

/* ---- running --------------------------------------------------------------------------------------- */

static enum gw_err start_all(struct supervisor *s)
{
    const struct gw_config *config = s->config;
    size_t max_payload = (size_t)config->mqtt.max_payload;

    s->buses = calloc(config->n_buses + 1, sizeof(struct gw_bus_thread *));
    s->is_bus_late = calloc(config->n_buses + 1, sizeof *s->is_bus_late);
    s->outbox =
        gw_outbox_memory_new((uint64_t)config->buffer.max_bytes, config->buffer.drop_newest);
    if (!s->buses || !s->is_bus_late || !s->outbox)
        return GW_E_NOMEM;
    enum gw_err err = gw_control_new(config, s->outbox, &gw_system_clock, &s->control);
    s->mqtt = config->mqtt;
    s->mqtt.subscription = gw_control_subscription(s->control);
    if (err == GW_OK && s->control)
        err = gw_control_start(s->control);
    s->is_control_running = err == GW_OK && s->control;
    if (err == GW_OK)
        err = gw_publisher_start(&s->mqtt, s->outbox, &gw_system_clock, &s->publisher);
    for (; err == GW_OK && s->n_buses < config->n_buses; s->n_buses++) {
        const struct gw_bus_conf *bus = &config->buses[s->n_buses];

        err = gw_bus_start(bus, s->outbox, &gw_system_clock, max_payload,
                           gw_control_orders(s->control, s->n_buses), &s->buses[s->n_buses]);
        if (err != GW_OK) {
            gw_log(GW_LOG_ERROR, bus->name, "cannot be started (%s)", gw_err_str(err));
            break;
        }
    }
    return err;
}

/* Says once that messages are dropped, and once that this is over. */
static void look_at_drops(struct supervisor *s)
{
    struct gw_outbox_stats stats;

    s->outbox->ops->stats(s->outbox, &stats);
    bool is_new = stats.n_dropped > s->n_dropped_seen;
    if (is_new && !s->is_dropping) {
        s->is_dropping = true;
        s->n_dropped_before = s->n_dropped_seen;
        gw_log(GW_LOG_WARN, "buffer",
               "full with %" PRIu64 " messages (%" PRIu64 " bytes), dropping the %s ones",
               stats.n_messages, stats.n_bytes,
               s->config->buffer.drop_newest ? "newest" : "oldest");
    }
    s->n_dropped_seen = stats.n_dropped;
    s->n_calm_looks = is_new ? 0 : s->n_calm_looks + 1;
    if (s->is_dropping && s->n_calm_looks >= CALM_AFTER_LOOKS) {
        s->is_dropping = false;
        gw_log(GW_LOG_INFO, "buffer", "has room again, %" PRIu64 " messages were dropped",
               stats.n_dropped - s->n_dropped_before);
    }
}

static void look_at_threads(struct supervisor *s)
{
    int64_t now_us = gw_now_us(&gw_system_clock);

    gw_watchdog_begin(&s->watchdog);
    gw_watchdog_thread(&s->watchdog, "publisher", gw_publisher_late_us(s->publisher, now_us),
                       &s->is_publisher_late);
    if (s->control)
        gw_watchdog_thread(&s->watchdog, "commands", gw_control_late_us(s->control, now_us),
                           &s->is_control_late);
    for (size_t i = 0; i < s->n_buses; i++)
        gw_watchdog_thread(&s->watchdog, s->config->buses[i].name,
                           gw_bus_late_us(s->buses[i], now_us), &s->is_bus_late[i]);
    gw_watchdog_end(&s->watchdog);
}

/* Values for the time without a broker depend on it. */
static void look_at_broker(struct supervisor *s)
{
    struct gw_publisher_stats stats;

    gw_publisher_stats(s->publisher, &stats);
    gw_control_set_online(s->control, stats.is_connected);
}

static int run_until_signal(struct supervisor *s)
{
    while (true) {
        int signo = wait_signal(s, gw_watchdog_every_ms(&s->watchdog, LOOK_EVERY_MS));

        if (signo == SIGTERM || signo == SIGINT)
            return signo;
        if (signo == SIGHUP)
            gw_log(GW_LOG_WARN, NULL, "reload is not supported yet: restart the service");
        look_at_drops(s);
        look_at_broker(s);
        look_at_threads(s);
    }
}

/* ---- stopping -------------------------------------------------------------------------------------- */

/* Gives the number of threads that hang. */
static size_t stop_buses(struct supervisor *s, int64_t deadline_us)
{
    size_t n_hanging = 0;

    for (size_t i = 0; i < s->n_buses; i++)
        gw_bus_ask_stop(s->buses[i]);
    for (size_t i = 0; i < s->n_buses; i++) {
        if (gw_bus_join(s->buses[i], deadline_us) == GW_OK)
            continue;
        n_hanging++;
        gw_log(GW_LOG_WARN, s->config->buses[i].name, "hangs in its driver, ending without it");
    }
    return n_hanging;
}

static void tell_stop(const struct supervisor *s, const struct gw_outbox_stats *before)
{
    struct gw_outbox_stats after;

    s->outbox->ops->stats(s->outbox, &after);
    gw_log(GW_LOG_INFO, NULL,
           "stopped: %" PRIu64 " messages flushed, %" PRIu64
           " left and lost; since the start %" PRIu64 " put, %" PRIu64 " acknowledged, %" PRIu64
           " dropped",
           after.n_acked - before->n_acked, after.n_messages, after.n_put, after.n_acked,
           after.n_dropped);
}

/* Gives whether all threads ended; if not, nothing that they use may be freed. */
static bool stop_all(struct supervisor *s)
{
    int64_t start_us = gw_now_us(&gw_system_clock);
    struct gw_outbox_stats before = {0};
    bool is_control_good = !s->is_control_running ||
                           gw_control_stop(s->control, start_us + CONTROL_MS * 1000) == GW_OK;
    size_t n_hanging = stop_buses(s, start_us + JOIN_MS * 1000);

    if (!is_control_good) {
        n_hanging++;
        gw_log(GW_LOG_WARN, "command", "hangs, ending without it");
    } else if (s->control) {
        gw_control_finish(s->control);
    }
    if (s->outbox)
        s->outbox->ops->stats(s->outbox, &before);
    if (s->publisher && gw_publisher_stop(s->publisher, start_us + FLUSH_MS * 1000,
                                          start_us + END_MS * 1000) != GW_OK) {
        n_hanging++;
        gw_log(GW_LOG_WARN, "publisher", "hangs, ending without it");
    }
    if (s->outbox && s->publisher)
        tell_stop(s, &before);
    return n_hanging == 0;
}

enum gw_err gw_supervisor_run(const struct gw_config *config, const char *version)
{
    struct supervisor s = {.config = config, .signal_fd = -1};
    enum gw_err err = catch_signals(&s);

    gw_watchdog_init(&s.watchdog);
    if (err == GW_OK) {
        tell_start(config, version);
        err = start_all(&s);
    }
    if (err == GW_OK) {
        gw_notify_ready();
        gw_log(GW_LOG_INFO, NULL, "%s: stopping",
               run_until_signal(&s) == SIGTERM ? "SIGTERM" : "SIGINT");
    }
    gw_notify_stopping();
    if (!stop_all(&s))
        _exit(err == GW_OK ? EXIT_SUCCESS : EXIT_FAILURE);
    gw_control_free(s.control);
    gw_outbox_free(s.outbox);
    free(s.buses);
    free(s.is_bus_late);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    return err;
}
