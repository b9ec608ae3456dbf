#include "gateway/plant.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/bus_roots.h"
#include "gateway/control.h"
#include "gateway/driver_bus.h"
#include "gateway/log.h"
#include "gateway/queue.h"

void gw_plant_init(struct gw_plant *plant, struct gw_outbox *outbox, struct gw_board *board)
{
    *plant = (struct gw_plant){.outbox = outbox, .board = board};
}

/* ---- what is wanted and what runs ------------------------------------------------------------------ */

static const struct gw_bus_conf *find_wanted(const struct gw_config *wanted, const char *name)
{
    for (size_t i = 0; i < wanted->n_buses; i++)
        if (strcmp(wanted->buses[i].name, name) == 0)
            return &wanted->buses[i];
    return NULL;
}

/* The one that goes on, or else one that still leaves. */
static const struct gw_running_bus *find_running(const struct gw_plant *plant, const char *name)
{
    const struct gw_running_bus *leaving = NULL;

    for (size_t i = 0; i < plant->n_buses; i++) {
        const struct gw_running_bus *bus = &plant->buses[i];

        if (strcmp(bus->roots.conf->name, name) != 0)
            continue;
        if (!bus->is_leaving)
            return bus;
        leaving = bus;
    }
    return leaving;
}

static bool is_same(const struct gw_running_bus *bus, const struct gw_bus_conf *conf)
{
    return bus && conf && !bus->is_leaving && bus->roots.conf->driver == conf->driver &&
           bus->roots.conf->fingerprint == conf->fingerprint;
}

/* May it go on with other devices? */
static bool is_going_on(const struct gw_running_bus *bus, const struct gw_bus_conf *conf)
{
    return bus && conf && !bus->is_leaving && bus->roots.conf->driver == conf->driver &&
           conf->driver->devices_may_change &&
           bus->roots.conf->link_fingerprint == conf->link_fingerprint;
}

static size_t find_device(const struct gw_bus_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_devices; i++)
        if (strcmp(conf->devices[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

static bool is_same_device(const struct gw_device_conf *a, const struct gw_device_conf *b)
{
    return a->fingerprint == b->fingerprint;
}

static void compare_devices(const struct gw_bus_conf *now, const struct gw_bus_conf *wanted,
                            struct gw_plant_count *count)
{
    for (size_t i = 0; i < wanted->n_devices; i++) {
        const size_t at = find_device(now, wanted->devices[i].name);

        if (at == SIZE_MAX)
            count->n_new++;
        else if (is_same_device(&now->devices[at], &wanted->devices[i]))
            count->n_same++;
        else
            count->n_changed++;
    }
    for (size_t i = 0; i < now->n_devices; i++)
        count->n_removed += find_device(wanted, now->devices[i].name) == SIZE_MAX;
}

void gw_plant_compare(const struct gw_plant *plant, const struct gw_config *wanted,
                      struct gw_plant_change *ret_change)
{
    *ret_change = (struct gw_plant_change){0};
    for (size_t i = 0; i < wanted->n_buses; i++) {
        const struct gw_bus_conf *conf = &wanted->buses[i];
        const struct gw_running_bus *bus = find_running(plant, conf->name);

        if (is_same(bus, conf)) {
            ret_change->buses.n_same++;
            continue;
        }
        if (bus)
            ret_change->buses.n_changed++;
        else
            ret_change->buses.n_new++;
        if (!is_going_on(bus, conf))
            continue;
        ret_change->n_going_on++;
        compare_devices(bus->roots.conf, conf, &ret_change->devices);
    }
    for (size_t i = 0; i < plant->n_buses; i++)
        ret_change->buses.n_removed += !find_wanted(wanted, plant->buses[i].roots.conf->name);
}

const struct gw_bus_orders *gw_plant_orders(const struct gw_plant *plant, const char *name)
{
    const struct gw_running_bus *bus = find_running(plant, name);

    return bus && !bus->is_leaving ? bus->orders : NULL;
}

static int64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static GW_PRINTF(2, 3) void no_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx, (void)fmt;
}

const struct gw_bus_conf *gw_plant_find_unfit(const struct gw_plant *plant,
                                              const struct gw_config *wanted, enum gw_err *ret_why)
{
    const struct gw_host host = {
        .now_us = no_time, .debug = no_debug, .wake_fd = -1, .listen_fd = -1};

    for (size_t i = 0; i < wanted->n_buses; i++) {
        const struct gw_bus_conf *conf = &wanted->buses[i];
        struct gw_bus *bus;

        if (is_same(find_running(plant, conf->name), conf))
            continue;
        enum gw_err err = gw_driver_bus_new(conf, &host, &bus);
        if (err != GW_OK) {
            *ret_why = err;
            return conf;
        }
        gw_driver_bus_free(bus);
    }
    return NULL;
}

/* ---- changing -------------------------------------------------------------------------------------- */

static void ask_to_leave(const struct gw_plant *plant, struct gw_running_bus *bus)
{
    if (!bus->is_leaving) {
        gw_board_remove(plant->board, gw_bus_view(bus->thread));
        gw_bus_ask_stop(bus->thread);
    }
    bus->is_leaving = true;
}

static void begin_change(struct gw_plant *plant, struct gw_running_bus *bus,
                         struct gw_generation *wanted, const struct gw_bus_conf *conf)
{
    size_t *from = calloc(conf->n_devices + 1, sizeof *from);
    enum gw_err err = GW_E_NOMEM;

    for (size_t i = 0; from && i < conf->n_devices; i++) {
        from[i] = find_device(bus->roots.conf, conf->devices[i].name);
        if (from[i] != SIZE_MAX &&
            !is_same_device(&bus->roots.conf->devices[from[i]], &conf->devices[i]))
            from[i] = SIZE_MAX;
    }
    if (from)
        err = gw_bus_roots_follow(&bus->roots, wanted, conf, from, &bus->next);
    if (err == GW_OK)
        err = gw_bus_change(bus->thread, conf, (size_t)wanted->config->mqtt.max_payload, from);
    free(from);
    if (err != GW_OK) /* out of memory: perhaps there is some after its end */
        ask_to_leave(plant, bus);
}

void gw_plant_begin_change(struct gw_plant *plant, struct gw_generation *wanted)
{
    for (size_t i = 0; i < plant->n_buses; i++) {
        struct gw_running_bus *bus = &plant->buses[i];
        const struct gw_bus_conf *conf = find_wanted(wanted->config, bus->roots.conf->name);

        if (is_same(bus, conf))
            continue;
        if (is_going_on(bus, conf))
            begin_change(plant, bus, wanted, conf);
        else
            ask_to_leave(plant, bus);
    }
}

void gw_plant_await_change(struct gw_plant *plant, int64_t deadline_us)
{
    for (size_t i = 0; i < plant->n_buses; i++) {
        struct gw_running_bus *bus = &plant->buses[i];
        const struct gw_view *before = gw_bus_view(bus->thread);

        if (!bus->next.conf || bus->is_leaving)
            continue;
        if (gw_bus_await_change(bus->thread, deadline_us) != GW_OK) {
            ask_to_leave(plant, bus);
            continue;
        }
        gw_board_replace(plant->board, before, gw_bus_view(bus->thread));
        gw_bus_end_change(bus->thread);
        gw_bus_roots_release(&bus->roots);
        bus->roots = bus->next;
        bus->next = (struct gw_bus_roots){0};
    }
}

static void free_orders(struct gw_bus_orders *orders)
{
    if (orders)
        gw_queue_free(orders->orders);
    free(orders);
}

static enum gw_err make_orders(struct gw_plant *plant, const struct gw_commands_conf *conf,
                               struct gw_bus_orders **ret_orders)
{
    if (!conf->is_enabled)
        return GW_OK;
    struct gw_bus_orders *orders = calloc(1, sizeof *orders);
    if (!plant->answers)
        plant->answers = gw_queue_new(sizeof(struct gw_bus_answer), GW_CONTROL_JOBS_MAX + 1);
    if (orders)
        orders->orders = gw_queue_new(sizeof(struct gw_bus_order), (size_t)conf->max_waiting);
    if (!orders || !orders->orders || !plant->answers) {
        free_orders(orders);
        return GW_E_NOMEM;
    }
    orders->answers = plant->answers;
    *ret_orders = orders;
    return GW_OK;
}

size_t gw_plant_reap(struct gw_plant *plant, int64_t deadline_us)
{
    size_t n_kept = 0, n_hanging = 0;

    for (size_t i = 0; i < plant->n_buses; i++) {
        struct gw_running_bus bus = plant->buses[i];

        if (bus.is_leaving && gw_bus_join(bus.thread, deadline_us) == GW_OK) {
            gw_bus_roots_release(&bus.roots);
            gw_bus_roots_release(&bus.next);
            free_orders(bus.orders);
            continue;
        }
        n_hanging += bus.is_leaving;
        plant->buses[n_kept++] = bus;
    }
    plant->n_buses = n_kept;
    return n_hanging;
}

static bool make_room(struct gw_plant *plant, size_t n)
{
    if (plant->n_room >= n)
        return true;
    struct gw_running_bus *buses = realloc(plant->buses, n * sizeof *buses);

    if (!buses)
        return false;
    plant->buses = buses;
    plant->n_room = n;
    return true;
}

static enum gw_err start_bus(struct gw_plant *plant, struct gw_generation *generation,
                             const struct gw_bus_conf *conf)
{
    struct gw_running_bus bus = {0};
    size_t max_payload = (size_t)generation->config->mqtt.max_payload;

    if (!make_room(plant, plant->n_buses + 1))
        return GW_E_NOMEM;
    enum gw_err err = gw_bus_roots_begin(generation, conf, &bus.roots);
    if (err == GW_OK)
        err = make_orders(plant, &generation->config->commands, &bus.orders);
    if (err == GW_OK)
        err = gw_bus_start(conf, plant->outbox, &gw_system_clock, max_payload, bus.orders,
                           &bus.thread);
    if (err != GW_OK) {
        free_orders(bus.orders);
        gw_bus_roots_release(&bus.roots);
        return err;
    }
    plant->buses[plant->n_buses++] = bus;
    if (gw_board_add(plant->board, gw_bus_view(bus.thread)) != GW_OK)
        gw_log(GW_LOG_WARN, conf->name, "is not seen on the status page (out of memory)");
    return GW_OK;
}

enum gw_err gw_plant_start_missing(struct gw_plant *plant, struct gw_generation *wanted)
{
    enum gw_err first = GW_OK;

    for (size_t i = 0; i < wanted->config->n_buses; i++) {
        const struct gw_bus_conf *conf = &wanted->config->buses[i];

        if (find_running(plant, conf->name))
            continue;
        enum gw_err err = start_bus(plant, wanted, conf);
        if (err != GW_OK)
            gw_log(GW_LOG_ERROR, conf->name, "cannot be started (%s)", gw_err_str(err));
        if (first == GW_OK)
            first = err;
    }
    return first;
}

/* ---- ending ---------------------------------------------------------------------------------------- */

size_t gw_plant_stop(struct gw_plant *plant, int64_t deadline_us)
{
    for (size_t i = 0; i < plant->n_buses; i++)
        ask_to_leave(plant, &plant->buses[i]);
    size_t n_hanging = gw_plant_reap(plant, deadline_us);

    for (size_t i = 0; i < plant->n_buses; i++)
        gw_log(GW_LOG_WARN, plant->buses[i].roots.conf->name,
               "hangs in its driver, ending without it");
    return n_hanging;
}

void gw_plant_done(struct gw_plant *plant)
{
    free(plant->buses);
    gw_queue_free(plant->answers);
    *plant = (struct gw_plant){0};
}
