/* reload. DESIGN: first everything is found out (the file, what changed, whether a changed bus would start), and only
 * then anything is ended. Buses end before others start, since they may share a port; the publisher changes in between.
 * A bus that hangs in its driver is left behind: its successor starts when it ends. */
#include "gateway/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/json.h"
#include "gateway/log.h"
#include "gateway/notify.h"
#include "gateway/strmap.h"

enum {
    CHANGE_MS = 10000, /* for the buses that get other devices */
    END_MS = 10000,    /* for those that end */
    FLUSH_MS = 2000,
    LEAVE_MS = 15000, /* for the publisher: a resolver may take long */
    MISTAKES_MAX = 20,
    MISTAKE_TEXT = 1000,
    MORE_TEXT = 200,
};

static int64_t after_ms(int64_t ms)
{
    return gw_now_us(&gw_system_clock) + ms * 1000;
}

/* ---- a wrong file ---------------------------------------------------------------------------------- */

/* Takes the line breaks with their indentation out; within texts there are none. */
static void to_one_line(char *json)
{
    char *to = json;

    for (const char *from = json; *from; from++) {
        if (*from != '\n') {
            *to++ = *from;
            continue;
        }
        while (from[1] == ' ')
            from++;
    }
    *to = '\0';
}

/* What became of a reload, for the log, the status page and the topic beside the gateway's state. */
static void publish_outcome(struct gw_site *site, bool is_refused, const char *text,
                            struct gw_json *mistakes)
{
    struct gw_json *object = gw_json_object();
    char *json = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&json, &len);

    gw_board_reloaded(&site->board, is_refused, text);
    gw_json_set(object, "state", gw_json_text(is_refused ? "refused" : "applied"));
    gw_json_set(object, "ts", gw_json_int(gw_wall_ms(&gw_system_clock)));
    gw_json_set(object, "text", gw_json_text(text));
    if (mistakes)
        gw_json_set(object, "mistakes", mistakes);
    if (out) {
        const bool is_good = gw_json_print(object, out) == GW_OK;

        if (fclose(out) == 0 && is_good) {
            to_one_line(json);
            gw_state_topics_reloaded(site->state_topics, site->mqtt.state_topic, json);
        }
    }
    free(json);
    gw_json_free(object);
}

struct teller {
    size_t n_told;
    struct gw_json *mistakes;
};

static void tell_mistake(void *ctx, bool is_warning, struct gw_mark mark, const char *sentence)
{
    struct teller *teller = ctx;
    char text[MISTAKE_TEXT];

    if (is_warning || teller->n_told++ >= MISTAKES_MAX)
        return;
    if (mark.file)
        snprintf(text, sizeof text, "%s:%u:%u: %s", mark.file, mark.line, mark.column, sentence);
    else
        snprintf(text, sizeof text, "%s", sentence);
    gw_log(GW_LOG_ERROR, "reload", "%s", text);
    gw_json_add(teller->mistakes, gw_json_text(text));
}

static void tell_refused(struct gw_site *site, const struct gw_diags *diags)
{
    struct teller teller = {.mistakes = gw_json_array()};
    char text[GW_BOARD_TEXT];
    size_t n = gw_diags_count(diags);

    gw_diags_each(diags, tell_mistake, &teller);
    gw_log(GW_LOG_ERROR, "reload",
           "refused: %zu mistake%s in the configuration; the old one stays in force", n,
           n == 1 ? "" : "s");
    gw_notify_status("reload refused: %zu mistake%s in the configuration", n, n == 1 ? "" : "s");
    snprintf(text, sizeof text, "%zu mistake%s in the configuration; the old one stays in force", n,
             n == 1 ? "" : "s");
    publish_outcome(site, true, text, teller.mistakes);
}

/* ---- topics that go -------------------------------------------------------------------------------- */

struct topics {
    char **items;
    size_t n, n_room;
};

static void visit_retained(const struct gw_bus_conf *bus,
                           void (*visit)(void *ctx, const char *topic), void *ctx)
{
    for (size_t i = 0; i < bus->n_devices; i++) {
        const struct gw_device_conf *device = &bus->devices[i];
        bool any_per_device = false;

        for (size_t k = 0; k < device->n_points; k++) {
            const struct gw_publish *publish = device->points[k].publish;

            if (publish->per == GW_PER_DEVICE)
                any_per_device = true;
            else if (publish->retain)
                visit(ctx, device->points[k].topic);
        }
        if (any_per_device && device->publish.retain)
            visit(ctx, device->topic);
    }
}

static void note_topic(void *ctx, const char *topic)
{
    *gw_strmap_at(ctx, topic) = ctx;
}

struct search {
    const struct gw_strmap *wanted;
    struct topics *gone;
};

static void collect_gone(void *ctx, const char *topic)
{
    struct search *search = ctx;
    struct topics *gone = search->gone;

    if (gw_strmap_get(search->wanted, topic))
        return;
    if (gone->n == gone->n_room) {
        size_t n_room = gone->n_room ? 2 * gone->n_room : 64;
        char **items = realloc(gone->items, n_room * sizeof *items);

        if (!items)
            return;
        gone->items = items;
        gone->n_room = n_room;
    }
    gone->items[gone->n] = strdup(topic);
    gone->n += gone->items[gone->n] != NULL;
}

/* Lists the retained topics that run now and are not in the wanted configuration; copies, since theirs may go. */
static void list_gone(const struct gw_plant *plant, const struct gw_config *wanted,
                      struct topics *ret_gone)
{
    struct gw_strmap topics = {0};
    struct search search = {&topics, ret_gone};

    for (size_t i = 0; i < wanted->n_buses; i++)
        visit_retained(&wanted->buses[i], note_topic, &topics);
    for (size_t i = 0; i < plant->n_buses; i++)
        visit_retained(plant->buses[i].roots.conf, collect_gone, &search);
    gw_strmap_free(&topics);
}

/* An empty retained message makes the broker forget. Source: MQTT 3.1.1, 3.3.1.3. */
static void clear_gone(struct gw_outbox *outbox, struct topics *gone)
{
    for (size_t i = 0; i < gone->n; i++) {
        const struct gw_message message = {
            .topic = gone->items[i],
            .payload = "",
            .qos = 1,
            .retain = true,
            .acquired_wall_ms = gw_wall_ms(&gw_system_clock),
        };

        if (outbox->ops->put(outbox, &message) != GW_OK)
            gw_log(GW_LOG_WARN, "reload", "the buffer is full, %s stays retained", gone->items[i]);
        free(gone->items[i]);
    }
    free(gone->items);
}

/* ---- applying -------------------------------------------------------------------------------------- */

static enum gw_err stop_publisher(struct gw_site *site)
{
    if (gw_publisher_stop(site->publisher, after_ms(FLUSH_MS), after_ms(LEAVE_MS)) != GW_OK)
        return GW_E_TIMEOUT;
    site->publisher = NULL;
    /* Its consumer has ended: until the next starts it is us. */
    site->outbox->ops->rewind(site->outbox);
    if (site->outbox->ops->link)
        site->outbox->ops->link(site->outbox, false);
    return GW_OK;
}

static enum gw_err start_publisher(struct gw_site *site, struct gw_generation *next)
{
    enum gw_err err = gw_site_start_publisher(site, next);

    if (err != GW_E_CONFIG)
        return err;
    gw_log(GW_LOG_ERROR, "reload",
           "the new settings of the broker cannot be used, going on with the old ones");
    return gw_site_start_publisher(site, site->publisher_generation);
}

static void tell_applied(const struct gw_plant_change *change)
{
    const struct gw_plant_count *buses = &change->buses, *devices = &change->devices;
    char more[MORE_TEXT] = "";

    if (change->n_going_on > 0)
        snprintf(more, sizeof more,
                 "; %zu of the changed with the connection kept: devices: %zu new, %zu changed, "
                 "%zu removed, %zu go on undisturbed",
                 change->n_going_on, devices->n_new, devices->n_changed, devices->n_removed,
                 devices->n_same);
    gw_log(GW_LOG_INFO, "reload",
           "applied: buses: %zu new, %zu changed, %zu removed, %zu go on undisturbed%s",
           buses->n_new, buses->n_changed, buses->n_removed, buses->n_same, more);
    gw_notify_status("reloaded: %zu new, %zu changed, %zu removed, %zu undisturbed buses",
                     buses->n_new, buses->n_changed, buses->n_removed, buses->n_same);
}

static void change_http(struct gw_site *site, struct gw_generation *next)
{
    const uint64_t before =
        site->http_generation ? site->http_generation->config->http.fingerprint : 0;

    if (site->http_generation ? before == next->config->http.fingerprint
                              : !next->config->http.is_enabled)
        return;
    gw_site_stop_http(site);
    gw_site_start_http(site, next);
}

/* What is under way on any bus is finished before anything changes; its next command is decided by the new settings. */
static enum gw_err change_buses(struct gw_site *site, struct gw_generation *next, bool has_control)
{
    if (has_control && gw_site_pause_control(site, after_ms(END_MS)) != GW_OK)
        return GW_E_TIMEOUT;
    gw_notify_alive(); /* the watchdog's patience is longer than each of these waits, not than all */
    gw_plant_begin_change(&site->plant, next);
    gw_plant_await_change(&site->plant, after_ms(CHANGE_MS));
    gw_notify_alive();
    if (gw_plant_reap(&site->plant, after_ms(END_MS)) > 0)
        gw_log(GW_LOG_ERROR, "reload",
               "a bus hangs in its driver; its new settings take effect when it ends");
    gw_notify_alive();
    if (has_control && site->control)
        gw_control_finish(site->control);
    return GW_OK;
}

static bool is_plant_changed(const struct gw_plant_change *change)
{
    return change->buses.n_new + change->buses.n_changed + change->buses.n_removed > 0;
}

/* A publisher is born with the place for messages. */
static bool gets_first_commands(const struct gw_site *site, const struct gw_generation *next)
{
    return !site->messages && next->config->commands.is_enabled;
}

static enum gw_err apply(struct gw_site *site, struct gw_generation *next,
                         const struct gw_plant_change *change)
{
    const bool has_control =
        (site->control || next->config->commands.is_enabled) && is_plant_changed(change);
    const bool is_broker_new =
        site->publisher_generation->config->mqtt.fingerprint != next->config->mqtt.fingerprint;
    struct topics gone = {0};

    if (next->config->mqtt.clear_removed)
        list_gone(&site->plant, next->config, &gone);
    enum gw_err err = change_buses(site, next, has_control);
    if (is_broker_new)
        gw_log(GW_LOG_INFO, "reload", "the settings of the broker changed, connecting again");
    if (err == GW_OK && (is_broker_new || gets_first_commands(site, next)))
        err = stop_publisher(site);
    clear_gone(site->outbox, &gone);
    if (err != GW_OK)
        return err;
    gw_generation_release(site->generation);
    site->generation = gw_generation_hold(next);
    gw_board_rename(&site->board, next->config->gateway_name);
    enum gw_err partly = gw_plant_start_missing(&site->plant, next);
    if (has_control && gw_site_start_control(site, next) != GW_OK)
        gw_log(GW_LOG_ERROR, "reload", "commands cannot be taken any more (out of memory)");
    if (!site->publisher)
        err = start_publisher(site, next);
    else if (has_control && gw_site_subscribe(site) != GW_OK)
        gw_log(GW_LOG_ERROR, "reload", "out of memory: commands are taken from the old topics");
    change_http(site, next);
    if (err == GW_OK && partly == GW_OK) {
        tell_applied(change);
        publish_outcome(site, false, "applied", NULL);
    }
    return err;
}

static void change_buffer(struct gw_site *site, const struct gw_buffer_conf *wanted)
{
    const struct gw_buffer_conf *now = &site->generation->config->buffer;
    const char *late = gw_outbox_needs_restart(now, wanted);

    if (now->fingerprint == wanted->fingerprint)
        return;
    site->outbox->ops->configure(site->outbox, wanted);
    if (late)
        gw_log(GW_LOG_WARN, "reload", "changes of %s take effect with a restart", late);
}

static bool is_unchanged(const struct gw_site *site, const struct gw_config *next,
                         const struct gw_plant_change *change)
{
    const struct gw_config *now = site->generation->config;

    return !is_plant_changed(change) && now->mqtt.fingerprint == next->mqtt.fingerprint &&
           now->http.fingerprint == next->http.fingerprint &&
           now->buffer.fingerprint == next->buffer.fingerprint;
}

static enum gw_err take(struct gw_site *site, struct gw_generation *next)
{
    struct gw_plant_change change;
    enum gw_err why;
    const struct gw_bus_conf *unfit = gw_plant_find_unfit(&site->plant, next->config, &why);

    if (unfit) {
        gw_log(GW_LOG_ERROR, "reload",
               "refused: bus %s cannot be started (%s); the old "
               "configuration stays in force",
               unfit->name, gw_err_str(why));
        gw_notify_status("reload refused: bus %s cannot be started", unfit->name);
        publish_outcome(site, true, "a bus cannot be started; see the log", NULL);
        return GW_E_CONFIG;
    }
    gw_plant_compare(&site->plant, next->config, &change);
    if (is_unchanged(site, next->config, &change)) {
        gw_log(GW_LOG_INFO, "reload", "nothing has changed");
        publish_outcome(site, false, "nothing has changed", NULL);
        return GW_OK;
    }
    change_buffer(site, &next->config->buffer);
    return apply(site, next, &change);
}

enum gw_err gw_reload(struct gw_site *site)
{
    struct gw_diags *diags = gw_diags_new();
    struct gw_config *config;

    if (!diags)
        return GW_OK; /* out of memory: everything stays as it is */
    gw_notify_reloading();
    enum gw_err err = site->source->load(site->source->ctx, diags, &config);
    if (err != GW_OK)
        tell_refused(site, diags);
    gw_diags_free(diags);
    struct gw_generation *next = err == GW_OK ? gw_generation_new(site->source, config) : NULL;
    if (next)
        err = take(site, next);
    gw_generation_release(next);
    gw_notify_ready();
    return err;
}

void gw_reload_catch_up(struct gw_site *site)
{
    bool any_leaving = false;

    for (size_t i = 0; i < site->plant.n_buses; i++)
        any_leaving |= site->plant.buses[i].is_leaving;
    if (!any_leaving || gw_plant_reap(&site->plant, after_ms(0)) > 0)
        return;
    if (gw_plant_start_missing(&site->plant, site->generation) == GW_OK)
        gw_log(GW_LOG_INFO, "reload", "what hung has ended; all is applied now");
}
