/* driver_bus: the bus, devices and points of a configuration as a driver sees them, with the memory for its state.
 * Used by whoever calls a driver: the bus thread, check, simulate. No I/O: open is the caller's. */
#ifndef GW_DRIVER_BUS_H
#define GW_DRIVER_BUS_H

#include "gateway/config.h"
#include "gateway/driver.h"

/* Devices of more points are refused: indexes of plan members are 16 bits, and a plan has up to 2 x points + 2. */
enum { GW_DEVICE_POINTS_MAX = 32766 };

/* Makes the bus with all its devices: points, zeroed states (bus_state_size, device_state_size), prepare called.
 * Device i and point k are conf->devices[i] and conf->devices[i].points[k].
 * Errors: GW_E_NOMEM; GW_E_RANGE for a device of too many points; whatever the driver's prepare says.
 * Owns:   *ret_bus by the caller, gw_driver_bus_free; conf and host are borrowed until then. */
GW_MUST_CHECK enum gw_err gw_driver_bus_new(const struct gw_bus_conf *conf,
                                            const struct gw_host *host, struct gw_bus **ret_bus);
/* Frees the memory; the link has to be closed before. Takes NULL. */
void gw_driver_bus_free(struct gw_bus *bus);

/* Gives a bus the devices of another one of the same driver and conf, and the other one its: device i is what `next` had,
 * or with from[i] other than SIZE_MAX what this bus had at that place. Both remain to be freed. */
void gw_driver_bus_change(struct gw_bus *bus, struct gw_bus *next, const size_t *from);

/* Gives a plan room for a device of n_points (2 x n_points + 2 requests and as many members). A zeroed plan has none. */
GW_MUST_CHECK enum gw_err gw_plan_init(struct gw_plan *plan, size_t n_points);
void gw_plan_done(struct gw_plan *plan);

/* Empties *plan, lets the driver plan these points and checks the outcome, so that a faulty driver is found here
 * and not as a write past an array: members exist, requests have members, every point asked for has a request.
 * Shape:  points[0..n_points) sorted, without repeats; n_points >= 1; plan has room for all points of the device.
 * Errors: GW_E_PROTO when the driver broke the contract; else what the driver says. */
GW_MUST_CHECK enum gw_err gw_driver_plan(const struct gw_driver *driver, struct gw_device *device,
                                         const uint16_t *points, size_t n_points,
                                         struct gw_plan *plan);
/* The same for split: no request in *plan is a good answer, and only members of `request` may come back. A driver
 * without split gives none. */
GW_MUST_CHECK enum gw_err gw_driver_split(const struct gw_driver *driver, struct gw_device *device,
                                          const struct gw_request *request, const uint16_t *members,
                                          struct gw_plan *plan);

#endif
