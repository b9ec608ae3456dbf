/* contract_world: the driver's surroundings as the core makes them, without bus, mapping or broker. */
#include "tests/contract/contract_world.h"

#include <dirent.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t contract_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void contract_wait_us(int64_t us)
{
    struct pollfd none = {.fd = -1};

    if (us > 0)
        poll(&none, 1, (int)(us / 1000) + 1);
}

static int64_t host_now_us(void *ctx)
{
    (void)ctx;
    return contract_now_us();
}

static GW_PRINTF(2, 3) void host_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* ---- making ---- */

static void complain(void *ctx, const char *sentence)
{
    (void)ctx;
    print_error("%s\n", sentence);
}

static void load_plugins(struct contract_world *world)
{
    const char *build = getenv("FIELD2MQTT_BUILD");
    char dir[200];

    snprintf(dir, sizeof dir, "%s/drivers", build ? build : "build/debug");
    if (gw_plugins_load(dir, complain, NULL, &world->plugins) != GW_OK)
        fail_msg("no plug-ins in %s", dir);
}

static const char *environment(const char *name)
{
    return getenv(name);
}

static void load_config(struct contract_world *world, bool is_reachable)
{
    char path[] = "/tmp/field2mqtt-contract-XXXXXX";
    const struct gw_config_env env = {
        .find_driver = gw_plugins_find,
        .driver_names = gw_plugins_names,
        .ctx = world->plugins,
        .template_dir = "config/devices",
        .getenv = environment,
    };
    struct gw_diags *diags = gw_diags_new();

    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    world->peer->write_config(world->peer_ctx, file, is_reachable);
    assert_int_equal(fclose(file), 0);
    if (gw_config_load(path, &env, diags, &world->config) != GW_OK) {
        gw_diags_print(diags, stderr);
        fail_msg("the configuration of %s is wrong", world->peer->name);
    }
    gw_diags_free(diags);
    unlink(path);
}

static int set_up(void **state, bool is_reachable)
{
    struct contract_world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->peer = *state;
    *state = world;
    load_plugins(world);
    world->n_fds = count_fds();
    world->peer_ctx = world->peer->start();
    load_config(world, is_reachable);
    world->conf = &world->config->buses[0];
    world->driver = world->conf->driver;
    world->host = (struct gw_host){
        .now_us = host_now_us, .debug = host_debug, .wake_fd = -1, .listen_fd = -1};
    assert_int_equal(gw_driver_bus_new(world->conf, &world->host, &world->bus), GW_OK);
    assert_int_equal(gw_plan_init(&world->plan, CONTRACT_MEMBERS), GW_OK);
    return 0;
}

int contract_set_up(void **state)
{
    return set_up(state, true);
}

int contract_set_up_unreachable(void **state)
{
    return set_up(state, false);
}

int contract_tear_down(void **state)
{
    struct contract_world *world = *state;

    world->driver->close(world->bus);
    world->driver->close(world->bus);
    world->peer->stop(world->peer_ctx);
    size_t n_fds = count_fds();
    gw_plan_done(&world->plan);
    gw_driver_bus_free(world->bus);
    gw_config_free(world->config);
    gw_plugins_free(world->plugins);
    bool has_leaked = n_fds != world->n_fds;
    free(world);
    assert_false(has_leaked);
    return 0;
}

/* ---- steps ---- */

void contract_open(struct contract_world *world)
{
    int64_t give_up_us = contract_now_us() + CONTRACT_PATIENCE_US;
    enum gw_err err;

    do {
        err =
            world->driver->open(world->bus, contract_now_us() + CONTRACT_PATIENCE_US, &world->diag);
        if (err) {
            world->driver->close(world->bus);
            contract_wait_us(1000);
        }
    } while (err && contract_now_us() < give_up_us);
    if (err)
        fail_msg("%s", world->diag.text);
}

struct gw_device *contract_device(struct contract_world *world, size_t index)
{
    assert_true(index < world->bus->n_devices);
    return &world->bus->devices[index];
}

bool contract_can(const struct contract_world *world, enum contract_behaviour behaviour)
{
    return world->peer->next && world->peer->abilities & 1u << behaviour;
}

void contract_next(struct contract_world *world, enum contract_behaviour behaviour,
                   int64_t delay_us)
{
    world->peer->next(world->peer_ctx, behaviour, delay_us);
}

static double number_of(const struct gw_result *result)
{
    double number = 0;

    switch (result->value.kind) {
    case GW_BOOL:
        number = result->value.b;
        break;
    case GW_INT:
        number = (double)result->value.i;
        break;
    case GW_UINT:
        number = (double)result->value.u;
        break;
    case GW_FLOAT32:
        number = (double)result->value.f32;
        break;
    case GW_FLOAT64:
        number = result->value.f64;
        break;
    default:
        fail_msg("a good result holds no number");
    }
    return number * pow(10, result->exp10);
}

static void compare(struct contract_world *world, size_t device, uint16_t point,
                    const struct gw_result *result)
{
    const struct gw_device_conf *conf = &world->conf->devices[device];

    if (result->is_partial || result->err)
        return;
    double wanted = world->peer->value(world->peer_ctx, conf->name, conf->points[point].name);
    double got = number_of(result);
    if (got < wanted || got > wanted)
        fail_msg("%s of %s is %g, not %g", conf->points[point].name, conf->name, wanted, got);
}

enum gw_err contract_execute(struct contract_world *world, size_t device,
                             const struct gw_request *request, int64_t timeout_us)
{
    const uint16_t *members = world->plan.members + request->first_member;

    assert_true(request->n_members <= CONTRACT_MEMBERS);
    memset(world->results, 0, sizeof world->results);
    memset(&world->outcome, 0, sizeof world->outcome);
    enum gw_err err =
        world->driver->execute(contract_device(world, device), request, members,
                               contract_now_us() + timeout_us, world->results, &world->outcome);
    assert_true(world->outcome.hold_us >= 0);
    for (size_t i = 0; !err && i < request->n_members; i++)
        compare(world, device, members[i], &world->results[i]);
    return err;
}

enum gw_err contract_read(struct contract_world *world, size_t device, uint16_t point,
                          int64_t timeout_us)
{
    bool is_read = false;
    enum gw_err err = GW_OK;

    assert_int_equal(
        gw_driver_plan(world->driver, contract_device(world, device), &point, 1, &world->plan),
        GW_OK);
    for (size_t r = 0; !err && r < world->plan.n_requests; r++) {
        const struct gw_request *request = &world->plan.requests[r];
        err = contract_execute(world, device, request, timeout_us);
        for (size_t i = 0; i < request->n_members; i++)
            is_read |= world->plan.members[request->first_member + i] == point &&
                       !world->results[i].is_partial && !world->results[i].err;
    }
    assert_true(err || is_read);
    return err;
}

void contract_read_until_good(struct contract_world *world, size_t device, uint16_t point)
{
    int64_t give_up_us = contract_now_us() + 2 * CONTRACT_PATIENCE_US;
    enum gw_err err;

    do {
        err = contract_read(world, device, point, CONTRACT_PATIENCE_US);
        if (err == GW_E_BUSY)
            contract_wait_us(world->outcome.hold_us);
    } while (err == GW_E_BUSY && contract_now_us() < give_up_us);
    assert_int_equal(err, GW_OK);
}

static void heard(void *ctx, struct gw_device *device, uint16_t point,
                  const struct gw_result *result, int64_t acquired_us)
{
    struct contract_world *world = ctx;

    assert_ptr_equal(device, contract_device(world, device->index));
    assert_true(point < device->n_points);
    assert_true(world->conf->devices[device->index].points[point].traits.is_heard);
    assert_in_range(acquired_us, 1, contract_now_us());
    compare(world, device->index, point, result);
    world->n_heard += !result->err && !result->is_partial;
}

enum gw_err contract_listen(struct contract_world *world, int64_t timeout_us)
{
    return world->driver->listen(world->bus, contract_now_us() + timeout_us, heard, world);
}

void contract_listen_until_good(struct contract_world *world)
{
    int64_t give_up_us = contract_now_us() + CONTRACT_PATIENCE_US;
    size_t n_before = world->n_heard;

    while (world->n_heard == n_before && contract_now_us() < give_up_us)
        assert_int_not_equal(contract_listen(world, CONTRACT_PATIENCE_US), GW_E_LINK);
    assert_int_not_equal(world->n_heard, n_before);
}

void contract_tune_in(struct contract_world *world)
{
    int64_t give_up_us = contract_now_us() + CONTRACT_PATIENCE_US;

    world->n_heard = 0;
    while (world->n_heard == 0 && contract_now_us() < give_up_us) {
        world->peer->say(world->peer_ctx, CONTRACT_WHOLE);
        assert_int_not_equal(contract_listen(world, CONTRACT_TIMEOUT_US), GW_E_LINK);
    }
    assert_int_not_equal(world->n_heard, 0);
    while (contract_listen(world, CONTRACT_TIMEOUT_US) != GW_E_TIMEOUT)
        ;
    world->n_heard = 0;
}

static bool is_one_request(struct contract_world *world, uint16_t a, uint16_t b)
{
    const uint16_t points[] = {a, b};

    assert_int_equal(
        gw_driver_plan(world->driver, contract_device(world, 0), points, 2, &world->plan), GW_OK);
    return world->plan.n_requests == 1;
}

void contract_two_apart(struct contract_world *world, uint16_t *ret_a, uint16_t *ret_b)
{
    size_t n = contract_device(world, 0)->n_points;

    for (uint16_t a = 0; a < n; a++)
        for (uint16_t b = (uint16_t)(a + 1); b < n; b++)
            if (!is_one_request(world, a, b)) {
                *ret_a = a;
                *ret_b = b;
                return;
            }
    skip();
}

uint16_t contract_point(struct contract_world *world, const char *name)
{
    const struct gw_device_conf *conf = &world->conf->devices[0];

    for (uint16_t i = 0; i < conf->n_points; i++)
        if (strcmp(conf->points[i].name, name) == 0)
            return i;
    fail_msg("no point %s", name);
    return 0;
}
