/* load: how much time on the wire a bus needs for what its configuration asks, before anything is started.
 * Pure: asks the driver to plan, touches no hardware. */
#ifndef GW_LOAD_H
#define GW_LOAD_H

#include "gateway/config.h"
#include "gateway/driver.h"

enum { GW_LOAD_TEXT = 64 };

struct gw_load_request {
    char text[GW_LOAD_TEXT]; /* what it reads, in the driver's words */
    int64_t wire_us;
    size_t n_points;
    size_t n_units,
        n_wanted; /* registers, bits or bytes that it reads, and of which points asked for */
};

/* Points of a device that are read at the same interval, planned on their own. */
struct gw_load_group {
    int64_t interval_us;
    size_t n_points;
    struct gw_load_request *requests;
    size_t n_requests;
    size_t n_units, n_wanted; /* of all requests */
    int64_t wire_us;
};

struct gw_load_device {
    const struct gw_device_conf *conf;
    struct gw_load_group *groups; /* the shortest interval first */
    size_t n_groups;
    size_t n_points;    /* that are read; points of access w are not */
    double utilisation; /* share of the time on the wire, 1.0: all of it */
    bool
        is_exact; /* false: the intervals do not fit together within 1000 ticks, and utilisation is the sum of the
                           groups, as if no two were ever due together and shared a request */
};

struct gw_load {
    struct gw_load_device *devices;
    size_t n_devices;
    double utilisation;
    int64_t longest_request_us, shortest_interval_us; /* 0 when nothing is read */
    const struct gw_device_conf *longest, *shortest;  /* whose they are */
};

/* Predicts the load of a bus that gw_driver_bus_new has made from conf.
 * Errors: GW_E_NOMEM; what the driver's plan says.
 * Owns:   *ret_load by the caller, gw_load_free; it borrows from conf. */
GW_MUST_CHECK enum gw_err gw_load_predict(const struct gw_bus_conf *conf, struct gw_bus *bus,
                                          struct gw_load **ret_load);
void gw_load_free(struct gw_load *load);

#endif
