/* bus_change: other devices for a bus that runs.
 *
 * DESIGN: whoever wants the change makes a whole second loop, with all the devices, and no link; the thread of the bus
 * exchanges the insides of the two between two steps, so that nobody else ever touches what runs and nothing is allocated
 * there. Devices that go on are put, with all their state, into their place of the second loop before the exchange;
 * what is left of the second loop afterwards is what went, and is freed by whoever made it. A device that goes on lives
 * from the conf that it began with, which has to be kept as long. */
#include "gateway/bus_run.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/view.h"

/* ---- making ---------------------------------------------------------------------------------------- */

static void find_places(struct gw_bus_change *change, const size_t *from, size_t n, size_t n_before)
{
    for (size_t i = 0; i < n_before; i++)
        change->to[i] = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        change->from[i] = from[i];
        if (from[i] != SIZE_MAX)
            change->to[from[i]] = i;
    }
}

enum gw_err gw_bus_change_new(const struct gw_bus_loop *loop, const struct gw_bus_conf *conf,
                              size_t max_payload, const size_t *from, size_t n_before,
                              struct gw_bus_change **ret_change)
{
    struct gw_bus_change *change = calloc(1, sizeof *change);
    enum gw_err err = GW_E_NOMEM;

    if (!change)
        return err;
    change->from = calloc(conf->n_devices + 1, sizeof *change->from);
    change->to = calloc(n_before + 1, sizeof *change->to);
    change->view = gw_view_new(conf, loop->clock);
    if (change->from && change->to && change->view)
        err = gw_bus_loop_new(conf, loop->outbox, loop->clock, max_payload, -1, &change->next);
    if (err != GW_OK) {
        gw_bus_change_free(change);
        return err;
    }
    find_places(change, from, conf->n_devices, n_before);
    *ret_change = change;
    return GW_OK;
}

void gw_bus_change_free(struct gw_bus_change *change)
{
    if (!change)
        return;
    gw_bus_loop_free(change->next);
    gw_view_free(change->view);
    free(change->from);
    free(change->to);
    free(change);
}

/* ---- exchanging ------------------------------------------------------------------------------------ */

#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) kept = (a);                                                                  \
        (a) = (b);                                                                                 \
        (b) = kept;                                                                                \
    } while (0)

static void bind_devices(struct gw_bus_loop *loop)
{
    for (size_t i = 0; i < loop->n_devices; i++)
        loop->devices[i].device = &loop->bus->devices[i];
}

static void swap_loops(struct gw_bus_loop *loop, struct gw_bus_loop *next, const size_t *from)
{
    for (size_t i = 0; i < next->n_devices; i++)
        if (from[i] != SIZE_MAX)
            SWAP(loop->devices[from[i]], next->devices[i]);
    gw_driver_bus_change(loop->bus, next->bus, from);
    SWAP(loop->conf, next->conf);
    SWAP(loop->devices, next->devices);
    SWAP(loop->n_devices, next->n_devices);
    SWAP(loop->contenders, next->contenders);
    SWAP(loop->n_heard, next->n_heard);
    SWAP(loop->scratch, next->scratch);
    SWAP(loop->due, next->due);
    SWAP(loop->results, next->results);
    SWAP(loop->payload, next->payload);
    SWAP(loop->payload_size, next->payload_size);
    bind_devices(loop);
    bind_devices(next);
    loop->stats.n_devices = loop->n_devices;
}

/* What it has read and not said yet is still to be said. */
static void part_with(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    gw_bus_flush(loop, dev, now_us);
    if (loop->link.is_open && loop->driver->leave)
        loop->driver->leave(dev->device);
}

static void take_in(struct gw_bus_loop *loop, struct gw_bus_device *dev, int64_t now_us)
{
    gw_schedule_start(&dev->schedule, now_us);
    if (loop->link.is_open) {
        if (loop->driver->join)
            loop->driver->join(dev->device);
        gw_bus_listen_start(loop, dev, now_us);
    }
    if (loop->link.is_down) {
        gw_bus_listen_abort(loop, dev, "link_down");
        gw_bus_cycle_abort(loop, dev, "link_down", now_us);
    }
}

void gw_bus_loop_change(struct gw_bus_loop *loop, struct gw_bus_change *change)
{
    int64_t now_us = gw_now_us(loop->clock);

    gw_bus_commands_change(loop, change->to);
    for (size_t i = 0; i < loop->n_devices; i++)
        if (change->to[i] == SIZE_MAX)
            part_with(loop, &loop->devices[i], now_us);
    swap_loops(loop, change->next, change->from);
    if (loop->view) {
        gw_view_take_over(change->view, loop->view, change->from);
        loop->view = change->view;
    }
    now_us = gw_now_us(loop->clock);
    for (size_t i = 0; i < loop->n_devices; i++)
        if (change->from[i] == SIZE_MAX)
            take_in(loop, &loop->devices[i], now_us);
}
