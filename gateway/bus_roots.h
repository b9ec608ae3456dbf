/* bus_roots: the configurations that a running bus lives from: its link from that with which it was opened, each device
 * from that with which it began. A device that goes on over many reloads keeps the old one in memory. Main thread only. */
#ifndef GW_BUS_ROOTS_H
#define GW_BUS_ROOTS_H

#include "gateway/generation.h"

struct gw_bus_roots {
    const struct gw_bus_conf *conf; /* what it does now; NULL: nothing is held */
    struct gw_generation **held;    /* of the link, of conf, and of each device of conf */
};

/* Of a bus that begins with conf, which is in the generation. GW_E_NOMEM. */
GW_MUST_CHECK enum gw_err gw_bus_roots_begin(struct gw_generation *generation,
                                             const struct gw_bus_conf *conf,
                                             struct gw_bus_roots *ret_roots);
/* Of the same bus with the devices of another conf; those with from[i] other than SIZE_MAX go on. GW_E_NOMEM. */
GW_MUST_CHECK enum gw_err gw_bus_roots_follow(const struct gw_bus_roots *roots,
                                              struct gw_generation *generation,
                                              const struct gw_bus_conf *conf, const size_t *from,
                                              struct gw_bus_roots *ret_roots);
void gw_bus_roots_release(struct gw_bus_roots *roots);

#endif
