/* bus_probe: what a device that failed is asked first, and whether its silence is that of a dead device.
 *
 * DESIGN: the request that failed is asked first next time, so that a late answer to it is the right one. But some
 * devices refuse a register by keeping silent, and one such register would take the whole device away. Therefore every
 * second probe of an offline device begins with a single other point. When that is answered, and the request that failed
 * again is not, the silence counts as a refusal: the request is split, and its neighbours live. One answer proves this
 * for one request only, so that a device that dies is not taken apart. */
#include "gateway/bus_run.h"

static bool is_member_of_failed(const struct gw_bus_device *dev, size_t index)
{
    for (size_t i = 0; i < dev->failed.n_members; i++)
        if (dev->failed.members[i] == index)
            return true;
    return false;
}

/* Another point each time, so that it does not matter if this one is ignored as well. */
static size_t find_other_point(const struct gw_bus_device *dev, bool of_failed)
{
    size_t n = dev->conf->n_points;

    for (size_t k = 0; k < n; k++) {
        size_t i = (dev->n_probes / 2 + k) % n;

        if (dev->points[i].group != GW_SCHEDULE_NO_GROUP && !dev->points[i].block.is_blocked &&
            is_member_of_failed(dev, i) == of_failed)
            return i;
    }
    return SIZE_MAX;
}

static bool push_other(struct gw_bus_loop *loop, struct gw_bus_device *dev)
{
    size_t index = find_other_point(dev, false);

    if (index == SIZE_MAX && dev->failed.n_members > 1)
        index = find_other_point(dev, true);
    if (index == SIZE_MAX)
        return false;
    const uint16_t point = (uint16_t)index;
    return gw_driver_plan(loop->driver, dev->device, &point, 1, &loop->scratch) == GW_OK &&
           gw_bus_work_push_all(&dev->work, &loop->scratch);
}

static size_t find_failed_in_plan(const struct gw_bus_device *dev)
{
    for (size_t i = 0; dev->plan && i < dev->plan->n_requests; i++) {
        const struct gw_request *request = &dev->plan->requests[i];

        if (gw_bus_work_is_same(request, &dev->plan->members[request->first_member],
                                dev->failed.requests, dev->failed.members))
            return i;
    }
    return SIZE_MAX;
}

void gw_bus_probe_push_first(struct gw_bus_loop *loop, struct gw_bus_device *dev)
{
    dev->is_other_first = false;
    if (!dev->is_failed_pending ||
        !gw_bus_work_push(&dev->work, dev->failed.requests, dev->failed.members))
        return;
    dev->skip_request = find_failed_in_plan(dev);
    if (dev->health.state == GW_HEALTH_OFFLINE && ++dev->n_probes % 2 == 0)
        dev->is_other_first = push_other(loop, dev);
    if (dev->is_other_first || dev->skip_request == SIZE_MAX)
        dev->plan_epoch = dev->epoch - 1; /* plan the rest without what is read here */
}

bool gw_bus_probe_is_ignored(const struct gw_bus_device *dev)
{
    const struct gw_request *top = &dev->work.requests[dev->work.n_requests - 1];

    if (!dev->has_answered)
        return false;
    return dev->is_selective ||
           (dev->is_other_first && gw_bus_work_is_same(top, gw_bus_work_members(&dev->work),
                                                       dev->failed.requests, dev->failed.members));
}
