/* slave: the other side of the wire, for `field2mqtt simulate`: plays all the devices of a bus. Both functions have the
 * shape of the members of struct gw_driver (gateway/driver.h). */
#ifndef MODBUS_SLAVE_H
#define MODBUS_SLAVE_H

#include "gateway/driver.h"

/* Errors: GW_E_RANGE when the shifted TCP port is above 65535 or `buf` is too small for the address. */
enum gw_err modbus_redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                            char *buf, size_t size);

/* RTU: on a pty, with a link to it at the bus's port, at the pace of the line. TCP and RTU over TCP: a server on the
 * bus's host and port, for up to 32 clients.
 * Errors: GW_E_LINK with diag->text when the place cannot be served; GW_E_NOMEM. GW_OK after stop_fd. */
enum gw_err modbus_simulate(const struct gw_sim *sim, struct gw_driver_diag *diag);

#endif
