/* load: predicted time on the wire against the intervals asked for.
 * Groups of a device with different intervals meet again and again; then their points share requests, so their costs
 * cannot simply be added. All the meetings of one common period are planned, each different one once. */
#include "gateway/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/driver_bus.h"

enum { TICKS_MAX = 1000, MASK_GROUPS_MAX = 64 };

/* What planning a device takes. */
struct planner {
    const struct gw_driver *driver;
    struct gw_device *device;
    const struct gw_device_conf *conf;
    struct gw_plan plan;
    uint16_t *points;
    /* Costs of the sets of groups planned so far. */
    struct {
        uint64_t groups;
        int64_t wire_us;
    } known[TICKS_MAX];
    size_t n_known;
};

static bool is_read(const struct gw_point_conf *point)
{
    return point->access != GW_ACCESS_W && !point->traits.is_heard;
}

/* ---- groups ---------------------------------------------------------------------------------------- */

static int compare_intervals(const void *a, const void *b)
{
    const struct gw_load_group *left = a, *right = b;

    return (left->interval_us > right->interval_us) - (left->interval_us < right->interval_us);
}

/* One group for each interval, the shortest first. `groups` has room for all points. */
static size_t collect_groups(const struct gw_device_conf *conf, struct gw_load_group *groups)
{
    size_t n = 0, n_unique = 0;

    for (size_t i = 0; i < conf->n_points; i++)
        if (is_read(&conf->points[i]))
            groups[n++] =
                (struct gw_load_group){.interval_us = conf->points[i].interval_us, .n_points = 1};
    if (n == 0)
        return 0;
    qsort(groups, n, sizeof *groups, compare_intervals);
    for (size_t i = 1; i < n; i++)
        if (groups[i].interval_us == groups[n_unique].interval_us)
            groups[n_unique].n_points++;
        else
            groups[++n_unique] = groups[i];
    return n_unique + 1;
}

static bool is_in(const struct gw_load_device *device, uint64_t groups, int64_t interval_us)
{
    for (size_t g = 0; g < device->n_groups && g < MASK_GROUPS_MAX; g++)
        if (groups >> g & 1 && device->groups[g].interval_us == interval_us)
            return true;
    return false;
}

static int64_t plan_cost(const struct gw_plan *plan)
{
    int64_t wire_us = 0;

    for (size_t i = 0; i < plan->n_requests; i++)
        wire_us += plan->requests[i].wire_us;
    return wire_us;
}

/* ---- plans ----------------------------------------------------------------------------------------- */

static void describe(const struct planner *planner, const struct gw_request *request,
                     char text[GW_LOAD_TEXT])
{
    if (planner->driver->describe)
        planner->driver->describe(planner->device, request, text, GW_LOAD_TEXT);
    else
        snprintf(text, GW_LOAD_TEXT, "%u values", request->n_units);
}

static enum gw_err keep_requests(const struct planner *planner, struct gw_load_group *group,
                                 const struct gw_plan *plan)
{
    group->requests = calloc(plan->n_requests, sizeof *group->requests);
    if (!group->requests)
        return GW_E_NOMEM;
    group->n_requests = plan->n_requests;
    for (size_t i = 0; i < plan->n_requests; i++) {
        const struct gw_request *request = &plan->requests[i];

        group->requests[i] = (struct gw_load_request){
            .wire_us = request->wire_us,
            .n_points = request->n_members,
            .n_units = request->n_units,
            .n_wanted = request->n_wanted,
        };
        describe(planner, request, group->requests[i].text);
        group->n_units += request->n_units;
        group->n_wanted += request->n_wanted;
    }
    group->wire_us = plan_cost(plan);
    return GW_OK;
}

/* Plans each group on its own. */
static enum gw_err plan_groups(struct planner *planner, struct gw_load_device *device)
{
    for (size_t g = 0; g < device->n_groups; g++) {
        struct gw_load_group *group = &device->groups[g];
        size_t n = 0;

        for (size_t i = 0; i < planner->conf->n_points; i++) {
            const struct gw_point_conf *point = &planner->conf->points[i];

            if (is_read(point) && point->interval_us == group->interval_us)
                planner->points[n++] = (uint16_t)i;
        }
        enum gw_err err =
            gw_driver_plan(planner->driver, planner->device, planner->points, n, &planner->plan);
        if (err == GW_OK)
            err = keep_requests(planner, group, &planner->plan);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

/* What it costs when just these groups are due together. */
static enum gw_err cost_of_meeting(struct planner *planner, const struct gw_load_device *device,
                                   uint64_t groups, int64_t *ret_wire_us)
{
    size_t n = 0;

    for (size_t i = 0; i < planner->n_known; i++)
        if (planner->known[i].groups == groups) {
            *ret_wire_us = planner->known[i].wire_us;
            return GW_OK;
        }
    for (size_t i = 0; i < planner->conf->n_points; i++)
        if (is_read(&planner->conf->points[i]) &&
            is_in(device, groups, planner->conf->points[i].interval_us))
            planner->points[n++] = (uint16_t)i;
    enum gw_err err =
        gw_driver_plan(planner->driver, planner->device, planner->points, n, &planner->plan);
    if (err != GW_OK)
        return err;
    *ret_wire_us = plan_cost(&planner->plan);
    planner->known[planner->n_known].groups = groups;
    planner->known[planner->n_known++].wire_us = *ret_wire_us;
    return GW_OK;
}

/* ---- the common period ----------------------------------------------------------------------------- */

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The time between two instants at which something may be due, and how many of them pass until all meet again;
 * 0: more than TICKS_MAX. */
static int64_t count_ticks(const struct gw_load_device *device, int64_t *ret_tick_us)
{
    int64_t tick_us = device->groups[0].interval_us, ticks = 1;

    for (size_t g = 1; g < device->n_groups; g++)
        tick_us = greatest_divisor(tick_us, device->groups[g].interval_us);
    for (size_t g = 0; g < device->n_groups; g++) {
        int64_t every = device->groups[g].interval_us / tick_us;

        if (every > TICKS_MAX)
            return 0;
        ticks = ticks / greatest_divisor(ticks, every) * every;
        if (ticks > TICKS_MAX)
            return 0;
    }
    *ret_tick_us = tick_us;
    return ticks;
}

static uint64_t groups_due(const struct gw_load_device *device, int64_t at_us)
{
    uint64_t groups = 0;

    for (size_t g = 0; g < device->n_groups; g++)
        if (at_us % device->groups[g].interval_us == 0)
            groups |= UINT64_C(1) << g;
    return groups;
}

static enum gw_err add_meetings(struct planner *planner, struct gw_load_device *device,
                                int64_t ticks, int64_t tick_us)
{
    int64_t total_us = 0;

    for (int64_t tick = 0; tick < ticks; tick++) {
        uint64_t groups = groups_due(device, tick * tick_us);
        int64_t wire_us = 0;
        enum gw_err err = groups ? cost_of_meeting(planner, device, groups, &wire_us) : GW_OK;

        if (err != GW_OK)
            return err;
        total_us += wire_us;
    }
    device->utilisation = (double)total_us / ((double)ticks * (double)tick_us);
    device->is_exact = true;
    return GW_OK;
}

static enum gw_err add_device(struct planner *planner, struct gw_load_device *device)
{
    enum gw_err err = plan_groups(planner, device);
    int64_t tick_us = 0, ticks = 0;

    if (err != GW_OK || device->n_groups == 0)
        return err;
    if (device->n_groups <= MASK_GROUPS_MAX)
        ticks = count_ticks(device, &tick_us);
    if (ticks != 0)
        return add_meetings(planner, device, ticks, tick_us);
    for (size_t g = 0; g < device->n_groups; g++)
        device->utilisation +=
            (double)device->groups[g].wire_us / (double)device->groups[g].interval_us;
    return GW_OK;
}

/* ---- the bus --------------------------------------------------------------------------------------- */

static enum gw_err predict_device(const struct gw_driver *driver, struct gw_device *device,
                                  const struct gw_device_conf *conf, struct gw_load_device *load)
{
    enum gw_err err = GW_E_NOMEM;
    struct planner *planner = calloc(1, sizeof *planner);
    size_t room = conf->n_points + 1;

    load->conf = conf;
    load->groups = calloc(room, sizeof *load->groups);
    if (!planner || !load->groups)
        goto free_planner;
    *planner = (struct planner){.driver = driver, .device = device, .conf = conf};
    planner->points = calloc(room, sizeof *planner->points);
    if (!planner->points || gw_plan_init(&planner->plan, conf->n_points) != GW_OK)
        goto free_planner;
    load->n_groups = collect_groups(conf, load->groups);
    for (size_t g = 0; g < load->n_groups; g++)
        load->n_points += load->groups[g].n_points;
    err = add_device(planner, load);
free_planner:
    if (planner) {
        gw_plan_done(&planner->plan);
        free(planner->points);
        free(planner);
    }
    return err;
}

static void add_extremes(struct gw_load *load, const struct gw_load_device *device)
{
    load->utilisation += device->utilisation;
    for (size_t g = 0; g < device->n_groups; g++) {
        const struct gw_load_group *group = &device->groups[g];

        if (load->shortest_interval_us == 0 || group->interval_us < load->shortest_interval_us) {
            load->shortest_interval_us = group->interval_us;
            load->shortest = device->conf;
        }
        for (size_t i = 0; i < group->n_requests; i++)
            if (group->requests[i].wire_us > load->longest_request_us) {
                load->longest_request_us = group->requests[i].wire_us;
                load->longest = device->conf;
            }
    }
}

enum gw_err gw_load_predict(const struct gw_bus_conf *conf, struct gw_bus *bus,
                            struct gw_load **ret_load)
{
    enum gw_err err = GW_OK;
    struct gw_load *load = calloc(1, sizeof *load);

    if (!load)
        return GW_E_NOMEM;
    load->devices = calloc(conf->n_devices + 1, sizeof *load->devices);
    if (!load->devices)
        err = GW_E_NOMEM;
    for (size_t i = 0; i < conf->n_devices && err == GW_OK; i++) {
        load->n_devices = i + 1;
        err = predict_device(conf->driver, &bus->devices[i], &conf->devices[i], &load->devices[i]);
        add_extremes(load, &load->devices[i]);
    }
    if (err != GW_OK)
        gw_load_free(load);
    else
        *ret_load = load;
    return err;
}

void gw_load_free(struct gw_load *load)
{
    if (!load)
        return;
    for (size_t i = 0; i < load->n_devices; i++) {
        for (size_t g = 0; g < load->devices[i].n_groups; g++)
            free(load->devices[i].groups[g].requests);
        free(load->devices[i].groups);
    }
    free(load->devices);
    free(load);
}
