/* simulator: plays the devices of one bus in a thread of its own, through the driver's simulate.
 * Knows what values the points show and what was written to them; nothing of the wire. */
#ifndef GW_SIMULATOR_H
#define GW_SIMULATOR_H

#include "gateway/clock.h"
#include "gateway/config.h"

struct gw_simulator;

/* What all buses of a simulation share. Borrowed until gw_simulator_join. */
struct gw_simulation {
    struct gw_sim_faults faults; /* its seed also moves the values */
    const struct gw_clock *clock;
    int stop_fd;  /* an eventfd: readable when all have to end */
    int ended_fd; /* an eventfd that a bus adds to when it has ended */
    /* Told once per bus, from its thread, when it can be reached. */
    void (*ready)(void *ctx, const char *bus_name, const char *where);
    void *ctx;
};

/* Starts a bus; conf has been redirected. Errors: GW_E_CONFIG when the driver simulates nothing; GW_E_NOMEM.
 * Owns:   conf and simulation are borrowed until gw_simulator_join. */
GW_MUST_CHECK enum gw_err gw_simulator_start(const struct gw_bus_conf *conf,
                                             const struct gw_simulation *simulation,
                                             struct gw_simulator **ret_simulator);

/* Waits for the end, which stop_fd or a failure brings, and frees. Gives what the driver said; GW_OK after stop_fd. */
enum gw_err gw_simulator_join(struct gw_simulator *simulator, struct gw_driver_diag *ret_diag);

#endif
