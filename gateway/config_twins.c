/* config_twins: devices of one bus that read the same of one instrument. Nothing is wrong with that on the wire, but mostly one of
 * them was copied from the other and still has its address: then its topics carry the values of another instrument. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config_internal.h"

/* What a driver is told of a point is kept once in a file (share.h), so equal points have the same address there. */
static int compare(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)(*(const struct gw_point_conf *const *)a)->driver_conf;
    const uintptr_t y = (uintptr_t)(*(const struct gw_point_conf *const *)b)->driver_conf;

    return x < y ? -1 : x > y;
}

static size_t sort_points(const struct gw_device_conf *device,
                          const struct gw_point_conf **ret_points)
{
    for (size_t i = 0; i < device->n_points; i++)
        ret_points[i] = &device->points[i];
    qsort(ret_points, device->n_points, sizeof *ret_points, compare);
    return device->n_points;
}

/* Finds a point that both read: ret_pair is its form in each. */
static bool find_common(const struct gw_device_conf *one, const struct gw_device_conf *other,
                        const struct gw_point_conf *ret_pair[2])
{
    const struct gw_point_conf **points = malloc((one->n_points + 1) * sizeof(void *));
    bool is_found = false;

    const size_t n = points ? sort_points(one, points) : 0;
    for (size_t i = 0; i < other->n_points && !is_found && n > 0; i++) {
        const struct gw_point_conf *point = &other->points[i];
        const struct gw_point_conf **found = bsearch(&point, points, n, sizeof *points, compare);

        is_found = found && point->driver_conf && point->access != GW_ACCESS_W &&
                   (*found)->access != GW_ACCESS_W;
        if (is_found) {
            ret_pair[0] = *found;
            ret_pair[1] = point;
        }
    }
    free(points);
    return is_found;
}

static bool is_same_address(const struct gw_bus_conf *bus, const struct gw_device_conf *one,
                            const struct gw_device_conf *other)
{
    const size_t size = bus->driver->device_conf_size;

    return size == 0 || memcmp(one->driver_conf, other->driver_conf, size) == 0;
}

void gw_warn_of_twins(struct gw_loader *loader, const struct gw_bus_conf *bus)
{
    const struct gw_point_conf *pair[2];

    for (size_t i = 1; i < bus->n_devices; i++)
        for (size_t k = 0; k < i; k++) {
            const struct gw_device_conf *one = &bus->devices[k], *other = &bus->devices[i];

            if (!is_same_address(bus, one, other) || !find_common(one, other, pair))
                continue;
            gw_diag_warn(
                loader->diags, other->mark,
                "devices \"%s\" and \"%s\" of bus \"%s\" are one instrument: nothing tells "
                "them apart, and point \"%s\" of one is point \"%s\" of the other; is the "
                "address of \"%s\" right?",
                one->name, other->name, bus->name, pair[0]->name, pair[1]->name, other->name);
            break;
        }
}
