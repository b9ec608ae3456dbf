/* driver_bus: makes the objects that the driver contract speaks of, and holds drivers to what plan and split promise.
 * Knows the configuration structs and the driver table; no I/O, no clock, no threads. */
#include "gateway/driver_bus.h"

#include <stdlib.h>
#include <string.h>

/* What gw_driver_bus_new gives out is the first member. */
struct owned_bus {
    struct gw_bus bus;
    const struct gw_driver *driver;
};

static void free_devices(struct gw_bus *bus, const struct gw_driver *driver)
{
    for (size_t i = 0; i < bus->n_devices; i++) {
        if (driver->release && bus->devices[i].state)
            driver->release(&bus->devices[i]);
        free((void *)bus->devices[i].points);
        free(bus->devices[i].state);
    }
    free(bus->devices);
}

/* calloc of nothing may give NULL, which would look like no memory. */
static void *zeroed(size_t n, size_t size)
{
    return calloc(n ? n : 1, size ? size : 1);
}

static enum gw_err fill_device(struct gw_device *device, const struct gw_device_conf *conf,
                               const struct gw_driver *driver)
{
    if (conf->n_points > GW_DEVICE_POINTS_MAX)
        return GW_E_RANGE;
    const void **points = zeroed(conf->n_points, sizeof *points);
    if (!points)
        return GW_E_NOMEM;
    for (size_t k = 0; k < conf->n_points; k++)
        points[k] = conf->points[k].driver_conf;
    device->name = conf->name;
    device->conf = conf->driver_conf;
    device->points = points;
    device->n_points = conf->n_points;
    device->state = zeroed(1, driver->device_state_size ? driver->device_state_size(device) : 0);
    return device->state ? GW_OK : GW_E_NOMEM;
}

static void adopt_devices(struct gw_bus *bus)
{
    for (size_t i = 0; i < bus->n_devices; i++) {
        bus->devices[i].bus = bus;
        bus->devices[i].index = i;
    }
}

static enum gw_err fill_devices(struct gw_bus *bus, const struct gw_bus_conf *conf)
{
    enum gw_err err = GW_OK;

    bus->n_devices = conf->n_devices;
    adopt_devices(bus);
    for (size_t i = 0; i < conf->n_devices && err == GW_OK; i++)
        err = fill_device(&bus->devices[i], &conf->devices[i], conf->driver);
    /* Only now: a driver may look at the neighbours of the device that it prepares. */
    for (size_t i = 0; i < conf->n_devices && err == GW_OK; i++)
        if (conf->driver->prepare)
            err = conf->driver->prepare(&bus->devices[i]);
    return err;
}

enum gw_err gw_driver_bus_new(const struct gw_bus_conf *conf, const struct gw_host *host,
                              struct gw_bus **ret_bus)
{
    enum gw_err err = GW_E_NOMEM;
    struct owned_bus *owned = calloc(1, sizeof *owned);

    if (!owned)
        return err;
    struct gw_bus *bus = &owned->bus;
    owned->driver = conf->driver;
    bus->name = conf->name;
    bus->conf = conf->driver_conf;
    bus->host = host;
    bus->state = zeroed(1, conf->driver->bus_state_size);
    bus->devices = zeroed(conf->n_devices, sizeof *bus->devices);
    if (bus->state && bus->devices)
        err = fill_devices(bus, conf);
    if (err != GW_OK)
        gw_driver_bus_free(bus);
    else
        *ret_bus = bus;
    return err;
}

void gw_driver_bus_free(struct gw_bus *bus)
{
    if (!bus)
        return;
    struct owned_bus *owned = (struct owned_bus *)(void *)bus;
    free_devices(bus, owned->driver);
    free(bus->state);
    free(owned);
}

void gw_driver_bus_change(struct gw_bus *bus, struct gw_bus *next, const size_t *from)
{
    struct gw_device *devices = bus->devices;
    const size_t n_devices = bus->n_devices;

    bus->devices = next->devices;
    bus->n_devices = next->n_devices;
    next->devices = devices;
    next->n_devices = n_devices;
    for (size_t i = 0; i < bus->n_devices; i++) {
        if (from[i] == SIZE_MAX)
            continue;
        const struct gw_device fresh = bus->devices[i];
        bus->devices[i] = devices[from[i]];
        devices[from[i]] = fresh;
    }
    adopt_devices(bus);
    adopt_devices(next);
}

enum gw_err gw_plan_init(struct gw_plan *plan, size_t n_points)
{
    size_t room = 2 * n_points + 2;
    struct gw_request *requests = calloc(room, sizeof *requests);
    uint16_t *members = calloc(room, sizeof *members);

    if (!requests || !members) {
        free(requests);
        free(members);
        return GW_E_NOMEM;
    }
    *plan = (struct gw_plan){
        .requests = requests, .max_requests = room, .members = members, .max_members = room};
    return GW_OK;
}

void gw_plan_done(struct gw_plan *plan)
{
    free(plan->requests);
    free(plan->members);
    memset(plan, 0, sizeof *plan);
}

static bool is_well_formed(const struct gw_plan *plan)
{
    if (plan->n_requests > plan->max_requests || plan->n_members > plan->max_members)
        return false;
    for (size_t i = 0; i < plan->n_requests; i++) {
        const struct gw_request *request = &plan->requests[i];

        if (request->n_members == 0 ||
            (size_t)request->first_member + request->n_members > plan->n_members)
            return false;
    }
    return true;
}

/* One bit for each point that a device may have: 4 KiB, of which only what the device needs is touched. */
struct point_set {
    uint8_t bits[(GW_DEVICE_POINTS_MAX + 7) / 8];
};

static void clear_set(struct point_set *set, size_t n_points)
{
    memset(set->bits, 0, (n_points + 7) / 8);
}

static void set_point(struct point_set *set, uint16_t point)
{
    set->bits[point / 8] = (uint8_t)(set->bits[point / 8] | 1u << point % 8);
}

/* Are the members of the requests just these points? */
static bool serves_just(const struct gw_plan *plan, const uint16_t *points, size_t n_points,
                        size_t n_device_points)
{
    struct point_set wanted, served;

    clear_set(&wanted, n_device_points);
    clear_set(&served, n_device_points);
    for (size_t i = 0; i < n_points; i++)
        set_point(&wanted, points[i]);
    for (size_t i = 0; i < plan->n_requests; i++)
        for (size_t k = 0; k < plan->requests[i].n_members; k++) {
            uint16_t member = plan->members[plan->requests[i].first_member + k];

            if (member >= n_device_points)
                return false;
            set_point(&served, member);
        }
    return memcmp(wanted.bits, served.bits, (n_device_points + 7) / 8) == 0;
}

enum gw_err gw_driver_plan(const struct gw_driver *driver, struct gw_device *device,
                           const uint16_t *points, size_t n_points, struct gw_plan *plan)
{
    plan->n_requests = plan->n_members = 0;
    enum gw_err err = driver->plan(device, points, n_points, plan);
    if (err != GW_OK)
        return err;
    return is_well_formed(plan) && serves_just(plan, points, n_points, device->n_points)
               ? GW_OK
               : GW_E_PROTO;
}

static bool all_in_request(const struct gw_plan *plan, const uint16_t *members, size_t n_members)
{
    for (size_t i = 0; i < plan->n_members; i++) {
        size_t k = 0;

        while (k < n_members && members[k] != plan->members[i])
            k++;
        if (k == n_members)
            return false;
    }
    return true;
}

enum gw_err gw_driver_split(const struct gw_driver *driver, struct gw_device *device,
                            const struct gw_request *request, const uint16_t *members,
                            struct gw_plan *plan)
{
    plan->n_requests = plan->n_members = 0;
    if (!driver->split)
        return GW_OK;
    enum gw_err err = driver->split(device, request, members, plan);
    if (err != GW_OK)
        return err;
    return is_well_formed(plan) && all_in_request(plan, members, request->n_members) ? GW_OK
                                                                                     : GW_E_PROTO;
}
