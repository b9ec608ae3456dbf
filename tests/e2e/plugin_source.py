"""A driver as strangers build it, with nothing but the one installed header; tests replace lines of it."""
import os
import subprocess

from conftest import BUILD, PROGRAM

HEADER = BUILD / "include"

# A complete driver.
GOOD = """
#include <field2mqtt/driver.h>

struct conf { const char *path; int64_t number; };

static const struct gw_key bus_keys[] = {
    {.name = "path", .type = GW_KEY_TEXT, .flags = GW_REQUIRED, .offset = offsetof(struct conf, path), .help = "Where."},
    {0},
};
static const struct gw_key device_keys[] = {
    {.name = "number", .type = GW_KEY_INT, .min = 1, .max = 9, .def = "3", .offset = offsetof(struct conf, number),
     .help = "Which."},
    {0},
};
static const struct gw_key point_keys[] = {{0}};

static enum gw_err check_point(const void *bus, const void *device, const void *point, struct gw_point_traits *traits,
                               struct gw_driver_diag *diag)
{
    traits->kind = GW_INT;
    traits->can_read = true;
    return GW_OK;
}
static enum gw_err open_bus(struct gw_bus *bus, int64_t deadline_us, struct gw_driver_diag *diag) { return GW_OK; }
static void close_bus(struct gw_bus *bus) {}
static enum gw_err plan(struct gw_device *device, const uint16_t *points, size_t n, struct gw_plan *plan)
{
    for (size_t i = 0; i < n; i++)
        plan->members[i] = points[i];
    plan->n_members = n;
    plan->requests[0] = (struct gw_request){.wire_us = 10, .n_members = (uint16_t)n};
    plan->n_requests = 1;
    return GW_OK;
}
static enum gw_err execute(struct gw_device *device, const struct gw_request *request, const uint16_t *members,
                           int64_t deadline_us, struct gw_result *results, struct gw_outcome *outcome)
{
    return GW_E_TIMEOUT;
}

static const struct gw_driver driver = {
    .name = "tiny",
    .summary = "does next to nothing",
    .bus_keys = bus_keys, .device_keys = device_keys, .point_keys = point_keys,
    .bus_conf_size = sizeof(struct conf), .device_conf_size = sizeof(struct conf), .point_conf_size = 0,
    .reopen_min_us = 1000000, .reopen_max_us = 2000000,
    .check_point = check_point,
    .open = open_bus,
    .close = close_bus,
    .plan = plan,
    .execute = execute,
};
static const struct gw_driver *const drivers[] = {&driver, NULL};
GW_PLUGIN_EXPORT const struct gw_plugin field2mqtt_plugin = {
    .abi = GW_DRIVER_ABI,
    .driver_size = sizeof(struct gw_driver),
    .key_size = sizeof(struct gw_key),
    .drivers = drivers,
};
"""


class Folder:
    def __init__(self, path):
        self.path = path
        path.mkdir(mode=0o755)

    def build(self, name, source, replace=(), flags=()):
        for old, new in replace:
            assert source.count(old) == 1, old
            source = source.replace(old, new)
        file = self.path / f"{name}.c"
        file.write_text(source)
        target = self.path / f"{name}.so"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-I", HEADER, *flags, "-o", target, file], check=True)
        target.chmod(0o644)
        return target

    def drivers(self, *names):
        """What `field2mqtt drivers` prints: names of drivers, sentences without the folder."""
        done = subprocess.run([PROGRAM, "drivers", "--plugin-dir", self.path, *names], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        sentences = [line.removeprefix(f"{self.path}/") for line in done.stderr.splitlines()]
        return [line.split()[0] for line in done.stdout.splitlines()], sentences
