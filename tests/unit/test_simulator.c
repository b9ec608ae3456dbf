/* Simulator: a thread per bus that shows moving values until somebody writes them. The driver is a fake. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/simulator.h"
#include "tests/unit/values.h"

/* What the fake driver saw; looked at after the thread has been joined. */
static struct {
    struct gw_value before, again, after, text, other;
    char text_copy[16];
    bool was_stopped;
} seen;
static int ready_fd;

static enum gw_err play_and_wait(const struct gw_sim *sim, struct gw_driver_diag *diag)
{
    const struct gw_device *device = &sim->bus->devices[1];
    struct pollfd stop = {.fd = sim->stop_fd, .events = POLLIN};
    char name[] = "pump 3";

    (void)diag;
    sim->read(sim->ctx, device, 0, &seen.before);
    sim->read(sim->ctx, device, 0, &seen.again);
    sim->written(sim->ctx, device, 0, &UINT_(4711));
    sim->read(sim->ctx, device, 0, &seen.after);
    sim->read(sim->ctx, &sim->bus->devices[0], 0, &seen.other);
    sim->written(sim->ctx, device, 1, &TEXT_(name));
    name[0] = 'X'; /* it has been copied */
    sim->read(sim->ctx, device, 1, &seen.text);
    snprintf(seen.text_copy, sizeof seen.text_copy, "%.*s", (int)seen.text.text.len,
             seen.text.text.p);
    sim->ready(sim->ctx, "here");
    seen.was_stopped = poll(&stop, 1, 10000) == 1;
    return GW_OK;
}

static enum gw_err fail_at_once(const struct gw_sim *sim, struct gw_driver_diag *diag)
{
    (void)sim;
    snprintf(diag->text, sizeof diag->text, "port 502 is in use");
    return GW_E_LINK;
}

static void tell_ready(void *ctx, const char *bus_name, const char *where)
{
    (void)ctx;
    if (strcmp(bus_name, "bus") == 0 && strcmp(where, "here") == 0)
        (void)!write(ready_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static bool is_readable_soon(int fd)
{
    struct pollfd event = {.fd = fd, .events = POLLIN};

    return poll(&event, 1, 10000) == 1;
}

static struct gw_point_conf points[] = {
    {.name = "count",
     .access = GW_ACCESS_RW,
     .traits = {.kind = GW_UINT, .raw_max = 65535},
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
    {.name = "tag",
     .traits = {.kind = GW_TEXT},
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
};
static struct gw_device_conf devices[] = {
    {.name = "a", .points = points, .n_points = 2},
    {.name = "b", .points = points, .n_points = 2},
};

static struct gw_simulation start_simulation(void)
{
    ready_fd = eventfd(0, EFD_NONBLOCK);
    return (struct gw_simulation){.clock = &gw_system_clock,
                                  .stop_fd = eventfd(0, EFD_NONBLOCK),
                                  .ended_fd = eventfd(0, EFD_NONBLOCK),
                                  .ready = tell_ready};
}

static void end_simulation(struct gw_simulation *simulation)
{
    close(simulation->stop_fd);
    close(simulation->ended_fd);
    close(ready_fd);
}

static void a_written_value_sticks_and_the_others_go_on(void **state)
{
    const struct gw_driver driver = {.name = "fake", .simulate = play_and_wait};
    const struct gw_bus_conf conf = {
        .name = "bus", .driver = &driver, .devices = devices, .n_devices = 2};
    struct gw_simulation simulation = start_simulation();
    struct gw_simulator *simulator;
    struct gw_driver_diag diag;

    (void)state;
    assert_int_equal(gw_simulator_start(&conf, &simulation, &simulator), GW_OK);
    assert_true(is_readable_soon(ready_fd));
    (void)!write(simulation.stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    assert_int_equal(gw_simulator_join(simulator, &diag), GW_OK);

    assert_true(seen.was_stopped);
    assert_true(is_readable_soon(simulation.ended_fd));
    assert_int_equal(seen.before.kind, GW_UINT);
    assert_true(seen.before.u <= 100);
    assert_int_equal(seen.again.u, seen.before.u);
    assert_int_equal(seen.after.u, 4711);
    assert_true(seen.other.u <= 100); /* the same point of another device */
    assert_string_equal(seen.text_copy, "pump 3");
    end_simulation(&simulation);
}

static void a_driver_that_fails_is_told(void **state)
{
    const struct gw_driver driver = {.name = "fake", .simulate = fail_at_once};
    const struct gw_bus_conf conf = {
        .name = "bus", .driver = &driver, .devices = devices, .n_devices = 2};
    struct gw_simulation simulation = start_simulation();
    struct gw_simulator *simulator;
    struct gw_driver_diag diag;

    (void)state;
    assert_int_equal(gw_simulator_start(&conf, &simulation, &simulator), GW_OK);
    assert_true(is_readable_soon(simulation.ended_fd));
    assert_int_equal(gw_simulator_join(simulator, &diag), GW_E_LINK);
    assert_string_equal(diag.text, "port 502 is in use");
    end_simulation(&simulation);
}

static void a_driver_without_simulate_is_refused(void **state)
{
    const struct gw_driver driver = {.name = "fake"};
    const struct gw_bus_conf conf = {
        .name = "bus", .driver = &driver, .devices = devices, .n_devices = 2};
    struct gw_simulation simulation = start_simulation();
    struct gw_simulator *simulator = NULL;

    (void)state;
    assert_int_equal(gw_simulator_start(&conf, &simulation, &simulator), GW_E_CONFIG);
    assert_null(simulator);
    end_simulation(&simulation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_written_value_sticks_and_the_others_go_on),
        cmocka_unit_test(a_driver_that_fails_is_told),
        cmocka_unit_test(a_driver_without_simulate_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
