/* bus: one thread that polls the devices of one bus and puts their messages into the outbox.
 *
 * DESIGN: a bus owns its devices, their plans and their points' states; nobody else touches them. It waits on a
 * monotonic deadline or on its wake descriptor, never spins and never sleeps blindly. One request at a time, the
 * earliest deadline first. Errors of a device stay with the device, errors of the link with the bus. */
#ifndef GW_BUS_H
#define GW_BUS_H

#include "gateway/clock.h"
#include "gateway/config.h"
#include "gateway/outbox.h"

struct gw_bus_thread;
struct gw_bus_orders;
struct gw_view;

struct gw_bus_stats {
    uint64_t n_requests, n_timeouts, n_proto_errors, n_refused, n_busy, n_link_errors, n_opens;
    uint64_t n_heard;    /* messages that instruments sent unasked */
    uint64_t n_overruns; /* polls left out because the bus was late */
    uint64_t n_readings, n_bad_readings;
    uint64_t n_too_large; /* messages left out since their payload was larger than allowed */
    uint64_t busy_us;     /* spent in exchanges */
    size_t n_devices_online, n_devices;
    bool is_open;
    bool is_down; /* it was told; devices count as offline */
};

/* Makes the bus and starts its thread; payloads larger than max_payload bytes are left out. orders may be NULL: the
 * bus only reads.
 * Errors: GW_E_NOMEM; what gw_driver_bus_new says (a device of too many points, a driver's prepare).
 * Owns:   conf, outbox, clock and orders are borrowed until gw_bus_join has returned GW_OK. */
GW_MUST_CHECK enum gw_err gw_bus_start(const struct gw_bus_conf *conf, struct gw_outbox *outbox,
                                       const struct gw_clock *clock, size_t max_payload,
                                       const struct gw_bus_orders *orders,
                                       struct gw_bus_thread **ret_bus);

/* Gives a running bus other devices, in three steps; what the bus itself is has to be as before.
 * 1. Makes the new ones and hands them over: the thread takes them between two requests. Device i goes on from the one at
 *    from[i] now, with its connection, phase and state; SIZE_MAX: it begins anew. Errors: as gw_bus_start, nothing changes.
 * Owns:   conf is borrowed from now on as in gw_bus_start; those before are needed on for the bus itself and for each device
 *         that goes on. Thread: main, as the other two. */
GW_MUST_CHECK enum gw_err gw_bus_change(struct gw_bus_thread *bus, const struct gw_bus_conf *conf,
                                        size_t max_payload, const size_t *from);
/* 2. Waits until deadline_us for the thread; from then on gw_bus_view gives another one. GW_E_TIMEOUT: not yet. */
GW_MUST_CHECK enum gw_err gw_bus_await_change(struct gw_bus_thread *bus, int64_t deadline_us);
/* 3. Frees what went, and the view before; gw_bus_join does so, too. */
void gw_bus_end_change(struct gw_bus_thread *bus);

/* Asks the thread to end; returns at once. Thread: any. */
void gw_bus_ask_stop(struct gw_bus_thread *bus);
/* Waits until deadline_us (monotonic, system clock) for the thread, then frees it. GW_E_TIMEOUT: it hangs; nothing is freed. */
GW_MUST_CHECK enum gw_err gw_bus_join(struct gw_bus_thread *bus, int64_t deadline_us);
/* Thread: any. */
void gw_bus_stats(const struct gw_bus_thread *bus, struct gw_bus_stats *ret_stats);
/* What is seen of it; valid until it is joined, or a change ends. */
struct gw_view *gw_bus_view(const struct gw_bus_thread *bus);
/* For how long the thread has been without a sign of life that it should have given; 0: it makes progress. A silent
 * device is no reason, a driver that does not come back is. Thread: any. */
int64_t gw_bus_late_us(const struct gw_bus_thread *bus, int64_t now_us);

#endif
