/* Predicted load with a fake driver whose costs can be added up by hand: a request takes 10 ms and 1 ms for each
 * point, and serves at most four points. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/driver_bus.h"
#include "gateway/load.h"

enum { REQUEST_US = 10000, POINT_US = 1000, POINTS_PER_REQUEST = 4, MAX_POINTS = 70 };

static size_t n_plans;
static enum gw_err plan_err;

static enum gw_err plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan)
{
    (void)device;
    n_plans++;
    for (size_t i = 0; i < n_points; i++) {
        if (i % POINTS_PER_REQUEST == 0)
            ret_plan->requests[ret_plan->n_requests++] = (struct gw_request){
                .wire_us = REQUEST_US, .first_member = (uint16_t)i, .n_units = 3};
        struct gw_request *request = &ret_plan->requests[ret_plan->n_requests - 1];
        request->wire_us += POINT_US;
        request->n_members++;
        request->n_units = (uint16_t)(request->n_units + 2);
        request->n_wanted = (uint16_t)(request->n_wanted + 2);
        ret_plan->members[ret_plan->n_members++] = points[i];
    }
    return plan_err;
}

static const struct gw_driver driver = {.name = "fake", .plan = plan};
static struct gw_point_conf points[2][MAX_POINTS];
static struct gw_device_conf devices[2];
static struct gw_bus_conf conf;
static struct gw_bus *bus;
static struct gw_load *load;

static int set_up(void **state)
{
    (void)state;
    memset(points, 0, sizeof points);
    plan_err = GW_OK;
    n_plans = 0;
    bus = NULL;
    load = NULL;
    devices[0] = (struct gw_device_conf){.name = "meter", .points = points[0]};
    devices[1] = (struct gw_device_conf){.name = "drive", .points = points[1]};
    conf =
        (struct gw_bus_conf){.name = "line", .driver = &driver, .devices = devices, .n_devices = 1};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gw_load_free(load);
    gw_driver_bus_free(bus);
    return 0;
}

static void add_points(size_t device, size_t n, int64_t interval_ms)
{
    for (size_t i = 0; i < n; i++)
        points[device][devices[device].n_points++].interval_us = interval_ms * 1000;
}

static void predict(void)
{
    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_OK);
    assert_int_equal(gw_load_predict(&conf, bus, &load), GW_OK);
}

static void assert_share(double have, double want)
{
    assert_true(fabs(have - want) < 1e-9);
}

static void points_of_one_interval_are_one_plan(void **state)
{
    (void)state;
    add_points(0, 5, 100);
    predict();
    const struct gw_load_device *device = &load->devices[0];

    assert_int_equal(device->n_points, 5);
    assert_int_equal(device->n_groups, 1);
    assert_int_equal(device->groups[0].n_requests, 2);
    assert_int_equal(device->groups[0].requests[0].wire_us, 14000);
    assert_int_equal(device->groups[0].requests[0].n_points, 4);
    assert_int_equal(device->groups[0].requests[0].n_units, 11);
    assert_int_equal(device->groups[0].requests[0].n_wanted, 8);
    assert_int_equal(device->groups[0].requests[1].wire_us, 11000);
    assert_int_equal(device->groups[0].n_units, 16);
    assert_int_equal(device->groups[0].n_wanted, 10);
    assert_int_equal(device->groups[0].wire_us, 25000);
    assert_true(device->is_exact);
    assert_share(device->utilisation, 0.25);
    assert_share(load->utilisation, 0.25);
}

static void groups_that_meet_share_a_request(void **state)
{
    (void)state;
    add_points(0, 1, 200);
    add_points(0, 1, 100);
    predict();

    /* In 200 ms: once both (12 ms), once the faster alone (11 ms). */
    assert_int_equal(load->devices[0].n_groups, 2);
    assert_int_equal(load->devices[0].groups[0].interval_us, 100000);
    assert_share(load->utilisation, 23.0 / 200);
}

static void intervals_that_do_not_divide_each_other_meet_after_their_common_multiple(void **state)
{
    (void)state;
    add_points(0, 1, 200);
    add_points(0, 1, 300);
    predict();

    /* In 600 ms: at 0 both (12 ms), at 200, 300 and 400 one (11 ms). */
    assert_true(load->devices[0].is_exact);
    assert_share(load->utilisation, 45.0 / 600);
}

static void each_meeting_is_planned_once(void **state)
{
    (void)state;
    add_points(0, 1, 1);
    add_points(0, 1, 1000); /* 1000 ticks, but only two different meetings */
    predict();

    assert_true(load->devices[0].is_exact);
    assert_share(load->utilisation, (999 * 11.0 + 12) / 1000);
    assert_int_equal(n_plans, 4); /* two groups, two meetings */
}

static void intervals_that_fit_together_too_rarely_are_added_up(void **state)
{
    (void)state;
    add_points(0, 1, 999);
    add_points(0, 1, 1000);
    predict();

    assert_false(load->devices[0].is_exact);
    assert_share(load->utilisation, 11.0 / 999 + 11.0 / 1000);
}

static void more_intervals_than_bits_are_added_up(void **state)
{
    double want = 0;
    (void)state;

    for (int i = 0; i < 65; i++) {
        add_points(0, 1, 100 + i);
        want += 11.0 / (100 + i);
    }
    predict();

    assert_int_equal(load->devices[0].n_groups, 65);
    assert_false(load->devices[0].is_exact);
    assert_share(load->utilisation, want);
}

static void points_that_are_only_written_cost_nothing(void **state)
{
    (void)state;
    add_points(0, 3, 100);
    points[0][0].access = GW_ACCESS_W;
    points[0][1].access = GW_ACCESS_RW;
    predict();

    assert_int_equal(load->devices[0].n_points, 2);
    assert_share(load->utilisation, 0.12);
}

static void a_device_without_points_to_read_needs_no_time(void **state)
{
    (void)state;
    add_points(0, 1, 100);
    points[0][0].access = GW_ACCESS_W;
    predict();

    assert_int_equal(load->devices[0].n_groups, 0);
    assert_share(load->utilisation, 0);
    assert_null(load->longest);
    assert_int_equal(load->shortest_interval_us, 0);
}

static void the_devices_of_a_bus_add_up_beyond_what_it_can_do(void **state)
{
    (void)state;
    conf.n_devices = 2;
    add_points(0, 4, 20);
    add_points(1, 1, 10);
    predict();

    assert_share(load->devices[0].utilisation, 0.7);
    assert_share(load->devices[1].utilisation, 1.1);
    assert_share(load->utilisation, 1.8);
    assert_int_equal(load->longest_request_us, 14000);
    assert_string_equal(load->longest->name, "meter");
    assert_int_equal(load->shortest_interval_us, 10000);
    assert_string_equal(load->shortest->name, "drive");
}

static void what_plan_says_is_handed_on(void **state)
{
    (void)state;
    add_points(0, 1, 100);
    plan_err = GW_E_RANGE;
    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_OK);
    assert_int_equal(gw_load_predict(&conf, bus, &load), GW_E_RANGE);
    assert_null(load);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(points_of_one_interval_are_one_plan),
        TEST(groups_that_meet_share_a_request),
        TEST(intervals_that_do_not_divide_each_other_meet_after_their_common_multiple),
        TEST(each_meeting_is_planned_once),
        TEST(intervals_that_fit_together_too_rarely_are_added_up),
        TEST(more_intervals_than_bits_are_added_up),
        TEST(points_that_are_only_written_cost_nothing),
        TEST(a_device_without_points_to_read_needs_no_time),
        TEST(the_devices_of_a_bus_add_up_beyond_what_it_can_do),
        TEST(what_plan_says_is_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
