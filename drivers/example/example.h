/* example: what a user may say of a bus, a device and a point, as the structs that the key tables of example.c describe. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <field2mqtt/driver.h>

struct example_bus_conf {
    const char *path;
};

struct example_device_conf {
    const char *section; /* NULL: called like the device */
};

struct example_type {
    enum gw_kind kind;
    size_t max_len; /* of GW_TEXT */
};

struct example_point_conf {
    const char *field;
    struct example_type type;
};

/* example_sim.c; the contract of both is in driver.h */
enum gw_err example_redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                             char *buf, size_t size);
enum gw_err example_simulate(const struct gw_sim *sim, struct gw_driver_diag *diag);

#endif
