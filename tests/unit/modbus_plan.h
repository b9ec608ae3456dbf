/* modbus_plan: a device with points for tests of the planner, with room for its plans. */
#ifndef TEST_MODBUS_PLAN_H
#define TEST_MODBUS_PLAN_H

#include "tests/unit/modbus_conf.h"

#include <stdlib.h>

#include "drivers/modbus/driver.h"

/* A bus with one device. Fill in the confs and add points, then call rig_ready. */
struct rig {
    struct modbus_bus_conf bus_conf;
    struct modbus_device_conf conf;
    struct modbus_point_conf *points;
    const void **point_confs;
    struct gw_bus bus;
    struct gw_device device;
    struct gw_plan plan, parts;
    uint16_t *all; /* 0, 1, 2, ... */
};

static inline struct gw_plan plan_for(size_t n_points)
{
    size_t n = 2 * n_points + 2;

    return (struct gw_plan){.requests = calloc(n, sizeof(struct gw_request)),
                            .max_requests = n,
                            .members = calloc(n, sizeof(uint16_t)),
                            .max_members = n};
}

static inline struct rig *rig_new(size_t max_points)
{
    struct rig *rig = calloc(1, sizeof *rig);

    rig->bus_conf = make_rtu_bus(9600);
    rig->conf = make_device();
    rig->points = calloc(max_points, sizeof *rig->points);
    rig->point_confs = calloc(max_points, sizeof *rig->point_confs);
    rig->all = calloc(max_points, sizeof *rig->all);
    rig->bus = (struct gw_bus){.conf = &rig->bus_conf, .devices = &rig->device, .n_devices = 1};
    rig->device =
        (struct gw_device){.bus = &rig->bus, .conf = &rig->conf, .points = rig->point_confs};
    rig->plan = plan_for(max_points);
    rig->parts = plan_for(max_points);
    return rig;
}

static inline struct modbus_point_conf *rig_add(struct rig *rig, struct modbus_point_conf point)
{
    size_t i = rig->device.n_points++;

    rig->points[i] = point;
    rig->point_confs[i] = &rig->points[i];
    rig->all[i] = (uint16_t)i;
    return &rig->points[i];
}

/* Checks every point as the core does, and prepares the state. */
static inline void rig_ready(struct rig *rig)
{
    for (size_t i = 0; i < rig->device.n_points; i++) {
        struct gw_point_traits traits;
        struct gw_driver_diag diag = {0};
        if (modbus_check_point(&rig->bus_conf, &rig->conf, &rig->points[i], &traits, &diag) !=
            GW_OK)
            fail_msg("point %zu: %s", i, diag.text);
    }
    rig->device.state = calloc(1, modbus_device_size(&rig->device));
    assert_int_equal(modbus_prepare(&rig->device), GW_OK);
}

static inline void rig_free(struct rig *rig)
{
    free(rig->plan.requests);
    free(rig->plan.members);
    free(rig->parts.requests);
    free(rig->parts.members);
    free(rig->points);
    free(rig->point_confs);
    free(rig->all);
    free(rig->device.state);
    free(rig);
}

static inline void rig_plan(struct rig *rig)
{
    assert_int_equal(modbus_plan(&rig->device, rig->all, rig->device.n_points, &rig->plan), GW_OK);
}

/* Asserts that a plan is exactly these requests: "holding:0+36 input:5+1 ...". */
static inline void assert_requests(const struct gw_plan *plan, const char *expected)
{
    char text[2000] = "", reg[24];
    size_t len = 0;

    for (size_t i = 0; i < plan->n_requests; i++) {
        struct modbus_read read = modbus_read_of(&plan->requests[i]);
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s+%u", i ? " " : "",
                                modbus_print_register(read.span.area, read.span.first, reg),
                                (unsigned)(read.span.end - read.span.first));
    }
    assert_string_equal(text, expected);
}

#endif
