/* supervisor: the life of a gateway from start to stop. Knows no device and no broker, only who runs.
 *
 * DESIGN: first the outbox, then the buses, then commands, then the publisher. At the stop commands come first, since
 * on_stop values are still to be written; then buses, then the publisher. From the signal on commands have 1.2 s,
 * buses 2.5 s to end, the publisher flushes until 3 s, and at 5 s everything is over: a driver that hangs in a
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

#include "gateway/clock_watch.h"
#include "gateway/duration.h"
#include "gateway/log.h"
#include "gateway/notify.h"
#include "gateway/reload.h"
#include "gateway/watchdog.h"

#define SECOND_US ((int64_t)1000000)

enum {
    LOOK_EVERY_MS = 1000,  /* at the drops of the outbox */
    CALM_AFTER_LOOKS = 10, /* without a drop it has room again */
    CONTROL_MS = 1200,     /* times from the signal on */
    JOIN_MS = 2500,
    FLUSH_MS = 3000,
    END_MS = 3700, /* and the outbox closes its file */
};

enum { N_EPISODES = 2 };

/* Of drops for one reason. */
struct episode {
    uint64_t n_seen, n_before;
    unsigned n_calm_looks;
    bool is_on;
};

struct supervisor {
    struct gw_site site;
    int signal_fd;
    struct gw_watchdog watchdog;
    struct gw_clock_watch clock_watch;

    struct episode episodes[N_EPISODES];
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

static enum gw_err start_all(struct gw_site *site)
{
    const struct gw_buffer_conf *buffer = &site->generation->config->buffer;

    enum gw_err err = gw_outbox_open(buffer, &gw_system_clock, &site->outbox);
    if (err == GW_E_BUSY)
        gw_log(GW_LOG_ERROR, "buffer",
               "another gateway uses %s: give each its own buffer.path; not starting",
               buffer->path);
    if (err != GW_OK)
        return err;
    site->state_topics = gw_state_topics_new(&site->board, site->outbox);
    if (!site->state_topics)
        return GW_E_NOMEM;
    gw_plant_init(&site->plant, site->outbox, &site->board);
    err = gw_plant_start_missing(&site->plant, site->generation);
    if (err == GW_OK)
        err = gw_site_start_control(site, site->generation);
    if (err == GW_OK)
        err = gw_site_start_publisher(site, site->generation);
    if (err == GW_OK)
        gw_site_start_http(site, site->generation);
    return err;
}

static void tell_dropping(const struct supervisor *s, enum gw_drop reason,
                          const struct gw_outbox_stats *stats)
{
    const struct gw_buffer_conf *buffer = &s->site.generation->config->buffer;

    if (reason == GW_DROP_FULL)
        gw_log(GW_LOG_WARN, "buffer",
               "full with %" PRIu64 " messages (%" PRIu64 " bytes), dropping the %s ones",
               stats->n_messages, stats->n_bytes, buffer->drop_newest ? "newest" : "oldest");
    else
        gw_log(GW_LOG_WARN, "buffer", "messages are older than they may get, dropping them");
}

/* Says once that messages are dropped for a reason, and once that this is over. */
static void look_at_drops(struct supervisor *s)
{
    static const struct {
        enum gw_drop reason;
        const char *end;
    } episodes[N_EPISODES] = {{GW_DROP_FULL, "has room again"},
                              {GW_DROP_EXPIRED, "no message is too old any more"}};
    struct gw_outbox_stats stats;

    s->site.outbox->ops->stats(s->site.outbox, &stats);
    for (size_t i = 0; i < N_EPISODES; i++) {
        struct episode *episode = &s->episodes[i];
        const uint64_t n_dropped = stats.n_dropped_by[episodes[i].reason];
        const bool is_new = n_dropped > episode->n_seen;

        if (is_new && !episode->is_on) {
            episode->is_on = true;
            episode->n_before = episode->n_seen;
            tell_dropping(s, episodes[i].reason, &stats);
        }
        episode->n_seen = n_dropped;
        episode->n_calm_looks = is_new ? 0 : episode->n_calm_looks + 1;
        if (episode->is_on && episode->n_calm_looks >= CALM_AFTER_LOOKS) {
            episode->is_on = false;
            gw_log(GW_LOG_INFO, "buffer", "%s, %" PRIu64 " messages were dropped", episodes[i].end,
                   n_dropped - episode->n_before);
        }
    }
}

static void look_at_threads(struct supervisor *s)
{
    int64_t now_us = gw_now_us(&gw_system_clock);

    gw_watchdog_begin(&s->watchdog);
    gw_watchdog_thread(&s->watchdog, "publisher", gw_publisher_late_us(s->site.publisher, now_us),
                       &s->site.is_publisher_late_told);
    if (s->site.control)
        gw_watchdog_thread(&s->watchdog, "commands", gw_control_late_us(s->site.control, now_us),
                           &s->site.is_control_late_told);
    for (size_t i = 0; i < s->site.plant.n_buses; i++) {
        struct gw_running_bus *bus = &s->site.plant.buses[i];

        gw_watchdog_thread(&s->watchdog, bus->roots.conf->name, gw_bus_late_us(bus->thread, now_us),
                           &bus->is_late_told);
    }
    gw_watchdog_end(&s->watchdog);
}

/* Values for the time without a broker depend on it. */
static void look_at_broker(struct supervisor *s)
{
    struct gw_site *site = &s->site;
    struct gw_publisher_stats stats;
    struct gw_outbox_stats outbox;

    gw_publisher_stats(site->publisher, &stats);
    gw_control_set_online(site->control, stats.is_connected);
    site->outbox->ops->stats(site->outbox, &outbox);
    gw_board_tick(&site->board, &stats, &outbox, s->watchdog.n_late == 0);
    gw_state_topics_look(site->state_topics, site->mqtt.state_topic, site->mqtt.device_states);
    gw_state_topics_outbox(site->state_topics, &outbox);
}

static void look_at_clock(struct supervisor *s)
{
    char span[GW_DURATION_TEXT];
    enum gw_clock_news news = gw_clock_watch_look(&s->clock_watch, &gw_system_clock);
    const int64_t jump_ms = s->clock_watch.jump_ms;

    gw_duration_print(llabs(jump_ms) * 1000, span);
    if (news == GW_CLOCK_UNSET)
        gw_log(GW_LOG_WARN, "clock",
               "the clock of this machine is not set: readings carry wrong times until it is");
    else if (news == GW_CLOCK_SET)
        gw_log(GW_LOG_INFO, "clock",
               "the clock is set now: readings carry right times from here on");
    else if (news == GW_CLOCK_JUMPED)
        gw_log(GW_LOG_WARN, "clock",
               "the clock of this machine went %s by %s: readings carry the new time from here on",
               jump_ms > 0 ? "forward" : "back", span);
}

/* Gives the signal that ends it; 0: the publisher is lost. */
static int run_until_signal(struct supervisor *s)
{
    look_at_clock(s);
    while (true) {
        int signo = wait_signal(s, gw_watchdog_every_ms(&s->watchdog, LOOK_EVERY_MS));

        if (signo == SIGTERM || signo == SIGINT)
            return signo;
        if (signo == SIGHUP) {
            enum gw_err err = gw_reload(&s->site);

            if (err != GW_OK && err != GW_E_CONFIG)
                return 0;
        }
        gw_reload_catch_up(&s->site);
        look_at_clock(s);
        look_at_drops(s);
        look_at_threads(s);
        look_at_broker(s);
        gw_site_keep_http(&s->site);
    }
}

/* ---- stopping -------------------------------------------------------------------------------------- */

static void tell_stop(struct gw_outbox *outbox, const struct gw_outbox_stats *before)
{
    struct gw_outbox_stats after;

    outbox->ops->stats(outbox, &after);
    gw_log(GW_LOG_INFO, NULL,
           "stopped: %" PRIu64 " messages flushed, %" PRIu64
           " left and %s; since the start %" PRIu64 " put, %" PRIu64 " acknowledged, %" PRIu64
           " dropped",
           after.n_acked - before->n_acked, after.n_messages,
           outbox->ops->stop && !after.is_degraded ? "kept for the next start" : "lost",
           after.n_put, after.n_acked, after.n_dropped);
}

/* Before an end at which a thread still uses the outbox. */
static void save_outbox(struct gw_outbox *outbox)
{
    if (outbox && outbox->ops->save)
        outbox->ops->save(outbox);
}

/* Gives whether all threads ended; if not, nothing that they use may be freed. */
static bool stop_all(struct gw_site *site)
{
    int64_t start_us = gw_now_us(&gw_system_clock);
    struct gw_outbox_stats before = {0};

    gw_site_stop_http(site);
    bool is_control_good = !site->is_control_running ||
                           gw_control_stop(site->control, start_us + CONTROL_MS * 1000) == GW_OK;
    size_t n_hanging = gw_plant_stop(&site->plant, start_us + JOIN_MS * 1000);

    if (!is_control_good) {
        n_hanging++;
        gw_log(GW_LOG_WARN, "command", "hangs, ending without it");
    } else if (site->control) {
        gw_control_finish(site->control);
    }
    if (site->outbox && site->outbox->ops->stop)
        site->outbox->ops->stop(site->outbox);
    if (site->outbox)
        site->outbox->ops->stats(site->outbox, &before);
    if (site->publisher && gw_publisher_stop(site->publisher, start_us + FLUSH_MS * 1000,
                                             start_us + END_MS * 1000) != GW_OK) {
        n_hanging++;
        gw_log(GW_LOG_WARN, "publisher", "hangs, ending without it");
    }
    if (site->outbox && site->publisher)
        tell_stop(site->outbox, &before);
    if (n_hanging > 0)
        save_outbox(site->outbox);
    return n_hanging == 0;
}

static enum gw_err run(struct supervisor *s)
{
    gw_notify_ready();
    int signo = run_until_signal(s);

    if (signo != 0) {
        gw_log(GW_LOG_INFO, NULL, "%s: stopping", signo == SIGTERM ? "SIGTERM" : "SIGINT");
        return GW_OK;
    }
    gw_log(GW_LOG_ERROR, NULL, "the connection to the broker cannot be changed, ending");
    save_outbox(s->site.outbox);
    _exit(EXIT_FAILURE); /* what hangs uses what would have to be freed */
}

enum gw_err gw_supervisor_run(const struct gw_config_source *source, struct gw_config *config,
                              const char *version)
{
    struct supervisor s = {.site.source = source, .signal_fd = -1};
    enum gw_err err = catch_signals(&s);

    s.site.generation = gw_generation_new(source, config);
    if (!s.site.generation)
        return GW_E_NOMEM;
    gw_board_init(&s.site.board, &gw_system_clock, config->gateway_name, version);
    gw_watchdog_init(&s.watchdog);
    if (err == GW_OK) {
        tell_start(config, version);
        err = start_all(&s.site);
    }
    if (err == GW_OK)
        err = run(&s);
    gw_notify_stopping();
    if (!stop_all(&s.site))
        _exit(err == GW_OK ? EXIT_SUCCESS : EXIT_FAILURE);
    gw_site_done(&s.site);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    return err;
}
