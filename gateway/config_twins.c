/* config_twins: devices of one bus that read the same of one instrument. Nothing is wrong with that on the wire, but mostly one of
 * them was copied from the other and still has its address: then its topics carry the values of another instrument. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/config_internal.h"

/* A point, and the device that reads it. */
struct reader {
    const struct gw_device_conf *device;
    const struct gw_point_conf *point;
};

static int compare_pointers(const void *a, const void *b)
{
    return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

/* Equal are devices that the driver cannot tell apart. */
static int compare_addresses(const struct gw_device_conf *one, const struct gw_device_conf *other,
                             size_t size)
{
    return size > 0 ? memcmp(one->driver_conf, other->driver_conf, size) : 0;
}

/* Equal ones stay in the order of the file. */
static int compare_devices(const void *a, const void *b, void *size)
{
    const struct gw_device_conf *const *one = a, *const *other = b;
    const int order = compare_addresses(*one, *other, *(const size_t *)size);

    return order != 0 ? order : compare_pointers(*one, *other);
}

/* What a driver is told of a point is kept once in a file (share.h), so equal points have the same address there. */
static int compare_readers(const void *a, const void *b)
{
    const struct reader *one = a, *other = b;
    const int order = compare_pointers(one->point->driver_conf, other->point->driver_conf);

    return order != 0 ? order : compare_pointers(one->device, other->device);
}

static size_t list_readers(const struct gw_device_conf *const *devices, size_t n_devices,
                           struct reader *ret_readers)
{
    size_t n = 0;

    for (size_t i = 0; i < n_devices; i++)
        for (size_t k = 0; k < devices[i]->n_points; k++) {
            const struct gw_point_conf *point = &devices[i]->points[k];

            if (point->access != GW_ACCESS_W && point->driver_conf)
                ret_readers[n++] = (struct reader){devices[i], point};
        }
    qsort(ret_readers, n, sizeof *ret_readers, compare_readers);
    return n;
}

static void warn(struct gw_loader *loader, const struct gw_bus_conf *bus, const struct reader *one,
                 const struct reader *other)
{
    gw_diag_warn(loader->diags, other->device->mark,
                 "devices \"%s\" and \"%s\" of bus \"%s\" are one instrument: nothing tells them "
                 "apart, and point \"%s\" of one is point \"%s\" of the other; is the address of "
                 "\"%s\" right?",
                 one->device->name, other->device->name, bus->name, one->point->name,
                 other->point->name, other->device->name);
}

/* Warns once of each device of these, which have one address, that reads what one before it reads. */
static void look_at_points(struct gw_loader *loader, const struct gw_bus_conf *bus,
                           const struct gw_device_conf *const *devices, size_t n_devices)
{
    size_t n = 1;

    for (size_t i = 0; i < n_devices; i++)
        n += devices[i]->n_points;
    struct reader *readers = malloc(n * sizeof *readers);
    bool *is_told = calloc(bus->n_devices, sizeof *is_told);
    if (readers && is_told) {
        n = list_readers(devices, n_devices, readers);
        for (size_t i = 1; i < n; i++) {
            const struct reader *one = &readers[i - 1], *other = &readers[i];
            const size_t at = (size_t)(other->device - bus->devices);

            if (one->point->driver_conf != other->point->driver_conf ||
                one->device == other->device || is_told[at])
                continue;
            is_told[at] = true;
            warn(loader, bus, one, other);
        }
    }
    free(is_told);
    free(readers);
}

void gw_warn_of_twins(struct gw_loader *loader, const struct gw_bus_conf *bus)
{
    size_t size = bus->driver->device_conf_size;
    const struct gw_device_conf **devices = malloc((bus->n_devices + 1) * sizeof *devices);

    for (size_t i = 0; devices && i < bus->n_devices; i++)
        devices[i] = &bus->devices[i];
    if (devices)
        qsort_r(devices, bus->n_devices, sizeof *devices, compare_devices, &size);
    for (size_t i = 0, n; devices && i < bus->n_devices; i += n) {
        n = 1;
        while (i + n < bus->n_devices && compare_addresses(devices[i], devices[i + n], size) == 0)
            n++;
        if (n > 1)
            look_at_points(loader, bus, devices + i, n);
    }
    free(devices);
}
