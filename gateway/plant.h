/* plant: the buses that run, brought to what a configuration wants: what it says as before goes on undisturbed, the rest
 * is ended or started; a bus that is as before gets its new devices while it runs. Main thread only. */
#ifndef GW_PLANT_H
#define GW_PLANT_H

#include "gateway/board.h"
#include "gateway/bus.h"
#include "gateway/bus_command.h"
#include "gateway/bus_roots.h"

struct gw_running_bus {
    struct gw_bus_roots roots;
    struct gw_bus_roots next; /* of the change that it was asked for; conf NULL: of none */
    struct gw_bus_thread *thread;
    struct gw_bus_orders *orders; /* its own; NULL: it only reads */
    bool is_leaving;              /* asked to end */
    bool is_late_told;            /* the watchdog's */
};

struct gw_plant {
    struct gw_outbox *outbox;
    struct gw_board *board;   /* where its buses are seen */
    struct gw_queue *answers; /* of all buses that take commands; NULL until there is one */
    struct gw_running_bus *buses;
    size_t n_buses, n_room;
};

/* What a configuration changes. */
struct gw_plant_count {
    size_t n_same, n_changed, n_new, n_removed;
};

struct gw_plant_change {
    struct gw_plant_count buses;
    size_t n_going_on;             /* changed buses that keep their connection */
    struct gw_plant_count devices; /* theirs */
};

void gw_plant_init(struct gw_plant *plant, struct gw_outbox *outbox, struct gw_board *board);
/* Compares what runs with what is wanted. Changes nothing. */
void gw_plant_compare(const struct gw_plant *plant, const struct gw_config *wanted,
                      struct gw_plant_change *ret_change);
/* Would every bus that is new or changed start? No I/O. Gives the bus that would not, and why; NULL: all would. */
const struct gw_bus_conf *gw_plant_find_unfit(const struct gw_plant *plant,
                                              const struct gw_config *wanted, enum gw_err *ret_why);

/* The steps of a change. Buses that stay are given their new devices, the others are asked to end. */
void gw_plant_begin_change(struct gw_plant *plant, struct gw_generation *wanted);
/* Waits until deadline_us for those that have new devices to take; who has not by then is asked to end. */
void gw_plant_await_change(struct gw_plant *plant, int64_t deadline_us);
/* Waits until deadline_us for those that were asked to end; gives the number of those that still run. */
size_t gw_plant_reap(struct gw_plant *plant, int64_t deadline_us);
/* A bus whose predecessor of the same name still runs is not started yet. */
GW_MUST_CHECK enum gw_err gw_plant_start_missing(struct gw_plant *plant,
                                                 struct gw_generation *wanted);

/* The orders of a bus that runs and stays; NULL without. */
const struct gw_bus_orders *gw_plant_orders(const struct gw_plant *plant, const char *name);

/* Ends all; gives the number of those that hang. Nothing that these use may be freed. */
size_t gw_plant_stop(struct gw_plant *plant, int64_t deadline_us);
void gw_plant_done(struct gw_plant *plant);

#endif
