#include "gateway/plant.h"

#include <stdlib.h>
#include <string.h>

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

        if (strcmp(bus->conf->name, name) != 0)
            continue;
        if (!bus->is_leaving)
            return bus;
        leaving = bus;
    }
    return leaving;
}

static bool is_same(const struct gw_running_bus *bus, const struct gw_bus_conf *conf)
{
    return bus && conf && !bus->is_leaving && bus->conf->driver == conf->driver &&
           bus->conf->fingerprint == conf->fingerprint;
}

void gw_plant_compare(const struct gw_plant *plant, const struct gw_config *wanted,
                      struct gw_plant_change *ret_change)
{
    *ret_change = (struct gw_plant_change){0};
    for (size_t i = 0; i < wanted->n_buses; i++) {
        const struct gw_running_bus *bus = find_running(plant, wanted->buses[i].name);

        if (is_same(bus, &wanted->buses[i]))
            ret_change->n_same++;
        else if (bus)
            ret_change->n_changed++;
        else
            ret_change->n_new++;
    }
    for (size_t i = 0; i < plant->n_buses; i++)
        ret_change->n_removed += !find_wanted(wanted, plant->buses[i].conf->name);
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

void gw_plant_end_others(struct gw_plant *plant, const struct gw_config *wanted)
{
    for (size_t i = 0; i < plant->n_buses; i++) {
        struct gw_running_bus *bus = &plant->buses[i];

        if (!is_same(bus, find_wanted(wanted, bus->conf->name)))
            ask_to_leave(plant, bus);
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
            gw_generation_release(bus.generation);
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
    struct gw_running_bus bus = {.conf = conf};
    size_t max_payload = (size_t)generation->config->mqtt.max_payload;

    if (!make_room(plant, plant->n_buses + 1))
        return GW_E_NOMEM;
    enum gw_err err = make_orders(plant, &generation->config->commands, &bus.orders);
    if (err == GW_OK)
        err = gw_bus_start(conf, plant->outbox, &gw_system_clock, max_payload, bus.orders,
                           &bus.thread);
    if (err != GW_OK) {
        free_orders(bus.orders);
        return err;
    }
    bus.generation = gw_generation_hold(generation);
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
        gw_log(GW_LOG_WARN, plant->buses[i].conf->name, "hangs in its driver, ending without it");
    return n_hanging;
}

void gw_plant_done(struct gw_plant *plant)
{
    free(plant->buses);
    gw_queue_free(plant->answers);
    *plant = (struct gw_plant){0};
}
