/* The objects made for a driver, and what happens when a driver breaks the promises of plan and split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "gateway/driver_bus.h"

enum { N_POINTS = 5 };

/* What the fake driver answers to plan and split; set by each test. */
static struct {
    struct gw_request requests[8];
    size_t n_requests;
    uint16_t members[16];
    size_t n_members;
    enum gw_err err;
} answer;
static size_t n_prepared;

static size_t state_size(const struct gw_device *device)
{
    return device->n_points * sizeof(int);
}

static enum gw_err prepare(struct gw_device *device)
{
    int *state = device->state;

    for (size_t i = 0; i < device->n_points; i++) {
        assert_int_equal(state[i], 0);
        state[i] = *(const int *)device->points[i];
    }
    /* Every neighbour has its points and its state by now. */
    for (size_t i = 0; i < device->bus->n_devices; i++)
        assert_non_null(device->bus->devices[i].state);
    n_prepared++;
    return strcmp(device->name, "refuses") == 0 ? GW_E_CONFIG : GW_OK;
}

static enum gw_err give_answer(struct gw_plan *plan)
{
    memcpy(plan->requests, answer.requests, sizeof answer.requests);
    memcpy(plan->members, answer.members, plan->max_members * sizeof *answer.members);
    plan->n_requests = answer.n_requests;
    plan->n_members = answer.n_members;
    return answer.err;
}

static enum gw_err plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan)
{
    (void)device, (void)points, (void)n_points;
    return give_answer(ret_plan);
}

static enum gw_err split(struct gw_device *device, const struct gw_request *request,
                         const uint16_t *members, struct gw_plan *ret_plan)
{
    (void)device, (void)request, (void)members;
    return give_answer(ret_plan);
}

static const struct gw_driver driver = {
    .name = "fake",
    .bus_state_size = 24,
    .device_state_size = state_size,
    .prepare = prepare,
    .plan = plan,
    .split = split,
};

static int numbers[N_POINTS] = {11, 12, 13, 14, 15};
static struct gw_point_conf points[N_POINTS];
static struct gw_device_conf devices[2];
static int bus_conf = 7;
static struct gw_bus_conf conf;

static int set_up(void **state)
{
    (void)state;
    memset(&answer, 0, sizeof answer);
    n_prepared = 0;
    for (size_t i = 0; i < N_POINTS; i++)
        points[i] = (struct gw_point_conf){.name = "p", .driver_conf = &numbers[i]};
    devices[0] = (struct gw_device_conf){.name = "first", .points = points, .n_points = 2};
    devices[1] = (struct gw_device_conf){.name = "second", .points = points, .n_points = N_POINTS};
    conf = (struct gw_bus_conf){.name = "line",
                                .driver = &driver,
                                .driver_conf = &bus_conf,
                                .devices = devices,
                                .n_devices = 2};
    return 0;
}

static void a_bus_has_its_devices_points_and_prepared_states(void **state)
{
    struct gw_host host = {.wake_fd = -1};
    struct gw_bus *bus = NULL;
    (void)state;

    assert_int_equal(gw_driver_bus_new(&conf, &host, &bus), GW_OK);

    assert_string_equal(bus->name, "line");
    assert_ptr_equal(bus->conf, &bus_conf);
    assert_ptr_equal(bus->host, &host);
    assert_int_equal(bus->n_devices, 2);
    assert_int_equal(n_prepared, 2);
    assert_string_equal(bus->devices[1].name, "second");
    assert_int_equal(bus->devices[1].index, 1);
    assert_ptr_equal(bus->devices[1].bus, bus);
    assert_ptr_equal(bus->devices[1].points[4], &numbers[4]);
    assert_int_equal(((int *)bus->devices[1].state)[4], 15);
    gw_driver_bus_free(bus);
}

static void a_refused_prepare_leaves_nothing_behind(void **state)
{
    struct gw_bus *bus = NULL;
    (void)state;

    devices[1].name = "refuses";
    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_E_CONFIG);
    assert_null(bus);
}

static void a_device_with_more_points_than_indexes_is_refused(void **state)
{
    struct gw_bus *bus = NULL;
    (void)state;

    devices[1].n_points = GW_DEVICE_POINTS_MAX + 1;
    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_E_RANGE);
    assert_null(bus);
}

static void a_bus_without_devices_can_be_made(void **state)
{
    struct gw_bus *bus = NULL;
    (void)state;

    conf.n_devices = 0;
    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_OK);
    gw_driver_bus_free(bus);
    gw_driver_bus_free(NULL);
}

/* Plans points 0, 2 and 4 of the second device with the answer that the test has set. */
static enum gw_err plan_even_points(struct gw_plan *ret_plan)
{
    static const uint16_t even[] = {0, 2, 4};
    struct gw_bus *bus = NULL;

    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_OK);
    assert_int_equal(gw_plan_init(ret_plan, N_POINTS), GW_OK);
    ret_plan->n_requests = 3; /* left over from before */
    ret_plan->n_members = 9;
    enum gw_err err = gw_driver_plan(&driver, &bus->devices[1], even, 3, ret_plan);
    gw_driver_bus_free(bus);
    return err;
}

static void answer_members(size_t n, const uint16_t *members)
{
    memcpy(answer.members, members, n * sizeof *members);
    answer.n_members = n;
    answer.n_requests = 1;
    answer.requests[0] = (struct gw_request){.first_member = 0, .n_members = (uint16_t)n};
}

static void check_plan(enum gw_err want)
{
    struct gw_plan plan = {0};

    assert_int_equal(plan_even_points(&plan), want);
    gw_plan_done(&plan);
}

static void a_plan_of_all_points_in_any_order_is_taken(void **state)
{
    (void)state;
    answer_members(3, (const uint16_t[]){4, 0, 2});
    check_plan(GW_OK);
}

static void a_point_may_be_a_member_of_two_requests(void **state)
{
    (void)state;
    answer_members(4, (const uint16_t[]){0, 2, 2, 4});
    answer.n_requests = 2;
    answer.requests[0].n_members = 2;
    answer.requests[1] = (struct gw_request){.first_member = 2, .n_members = 2};
    check_plan(GW_OK);
}

static void a_plan_that_forgets_a_point_is_a_broken_promise(void **state)
{
    (void)state;
    answer_members(2, (const uint16_t[]){0, 4});
    check_plan(GW_E_PROTO);
}

static void a_member_that_no_request_owns_does_not_serve_its_point(void **state)
{
    (void)state;
    answer_members(3, (const uint16_t[]){0, 2, 4});
    answer.requests[0].n_members = 2;
    check_plan(GW_E_PROTO);
}

static void a_plan_with_a_point_that_was_not_asked_for_is_a_broken_promise(void **state)
{
    (void)state;
    answer_members(4, (const uint16_t[]){0, 2, 3, 4});
    check_plan(GW_E_PROTO);
}

static void a_plan_with_a_point_that_does_not_exist_is_a_broken_promise(void **state)
{
    (void)state;
    answer_members(4, (const uint16_t[]){0, 2, 4, 60000});
    check_plan(GW_E_PROTO);
}

static void a_request_past_the_members_is_a_broken_promise(void **state)
{
    (void)state;
    answer_members(3, (const uint16_t[]){0, 2, 4});
    answer.requests[0].first_member = 1;
    check_plan(GW_E_PROTO);
}

static void a_request_without_members_is_a_broken_promise(void **state)
{
    (void)state;
    answer_members(3, (const uint16_t[]){0, 2, 4});
    answer.n_requests = 2;
    check_plan(GW_E_PROTO);
}

static void more_requests_than_there_is_room_for_are_a_broken_promise(void **state)
{
    (void)state;
    answer_members(3, (const uint16_t[]){0, 2, 4});
    answer.n_requests = 2 * N_POINTS + 3;
    check_plan(GW_E_PROTO);
}

static void the_error_of_plan_is_handed_on(void **state)
{
    (void)state;
    answer.err = GW_E_NOMEM;
    check_plan(GW_E_NOMEM);
}

static void check_split(const struct gw_driver *of, enum gw_err want, size_t want_requests)
{
    static const uint16_t members[] = {1, 3};
    const struct gw_request request = {.n_members = 2};
    struct gw_plan plan = {0};
    struct gw_bus *bus = NULL;

    assert_int_equal(gw_driver_bus_new(&conf, NULL, &bus), GW_OK);
    assert_int_equal(gw_plan_init(&plan, N_POINTS), GW_OK);
    assert_int_equal(gw_driver_split(of, &bus->devices[1], &request, members, &plan), want);
    if (want == GW_OK)
        assert_int_equal(plan.n_requests, want_requests);
    gw_plan_done(&plan);
    gw_driver_bus_free(bus);
}

static void a_split_into_the_same_members_is_taken(void **state)
{
    (void)state;
    answer_members(2, (const uint16_t[]){1, 3});
    answer.n_requests = 2;
    answer.requests[0].n_members = 1;
    answer.requests[1] = (struct gw_request){.first_member = 1, .n_members = 1};
    check_split(&driver, GW_OK, 2);
}

static void a_split_may_find_nothing_smaller(void **state)
{
    (void)state;
    check_split(&driver, GW_OK, 0);
}

static void a_split_that_brings_other_points_is_a_broken_promise(void **state)
{
    (void)state;
    answer_members(2, (const uint16_t[]){1, 2});
    check_split(&driver, GW_E_PROTO, 0);
}

static void a_driver_without_split_finds_nothing_smaller(void **state)
{
    struct gw_driver plain = driver;
    (void)state;

    plain.split = NULL;
    check_split(&plain, GW_OK, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(a_bus_has_its_devices_points_and_prepared_states),
        TEST(a_refused_prepare_leaves_nothing_behind),
        TEST(a_device_with_more_points_than_indexes_is_refused),
        TEST(a_bus_without_devices_can_be_made),
        TEST(a_plan_of_all_points_in_any_order_is_taken),
        TEST(a_point_may_be_a_member_of_two_requests),
        TEST(a_plan_that_forgets_a_point_is_a_broken_promise),
        TEST(a_member_that_no_request_owns_does_not_serve_its_point),
        TEST(a_plan_with_a_point_that_was_not_asked_for_is_a_broken_promise),
        TEST(a_plan_with_a_point_that_does_not_exist_is_a_broken_promise),
        TEST(a_request_past_the_members_is_a_broken_promise),
        TEST(a_request_without_members_is_a_broken_promise),
        TEST(more_requests_than_there_is_room_for_are_a_broken_promise),
        TEST(the_error_of_plan_is_handed_on),
        TEST(a_split_into_the_same_members_is_taken),
        TEST(a_split_may_find_nothing_smaller),
        TEST(a_split_that_brings_other_points_is_a_broken_promise),
        TEST(a_driver_without_split_finds_nothing_smaller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
