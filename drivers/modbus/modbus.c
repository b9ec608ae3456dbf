/* modbus: the tables of the two drivers, modbus-rtu and modbus-tcp. They differ in the keys of their bus only; below the
 * tables they are the same code, and the wire tells them apart. */
#include "drivers/modbus/driver.h"
#include "drivers/modbus/slave.h"
#include "drivers/modbus/wire_impl.h" /* for the size of the wire alone, which the tables need as a constant */

#define SECONDS INT64_C(1000000)

static enum gw_err open_bus(struct gw_bus *bus, int64_t deadline_us, struct gw_driver_diag *diag)
{
    return modbus_wire_open(bus->state, bus->conf, bus->host, deadline_us, diag);
}

static void close_bus(struct gw_bus *bus)
{
    modbus_wire_close(bus->state);
}

#define COMMON                                                                                     \
    .device_keys = modbus_device_keys, .point_keys = modbus_point_keys,                            \
    .bus_conf_size = sizeof(struct modbus_bus_conf),                                               \
    .device_conf_size = sizeof(struct modbus_device_conf),                                         \
    .point_conf_size = sizeof(struct modbus_point_conf),                                           \
    .bus_state_size = sizeof(struct modbus_wire), .device_state_size = modbus_device_size,         \
    .check_bus = modbus_check_bus, .check_device = modbus_check_device,                            \
    .check_point = modbus_check_point, .prepare = modbus_prepare, .open = open_bus,                \
    .close = close_bus, .devices_may_change = true, .plan = modbus_plan,                           \
    .describe = modbus_describe, .execute = modbus_execute, .split = modbus_split,                 \
    .forget = modbus_forget, .write = modbus_write, .examine = modbus_examine,                     \
    .redirect = modbus_redirect, .simulate = modbus_simulate, .probe_us = modbus_probe_us,         \
    .probe = modbus_probe, .identify = modbus_identify

static const struct gw_driver rtu = {
    .name = "modbus-rtu",
    .summary = "Modbus RTU devices on a serial line (RS-485, RS-232)",
    .bus_keys = modbus_rtu_bus_keys,
    .scan = &modbus_rtu_scan_traits,
    .reopen_min_us =
        SECONDS / 4, /* to look for a device file costs nothing: an adapter is back at once */
    .reopen_max_us = 2 * SECONDS,
    COMMON,
};

static const struct gw_driver tcp = {
    .name = "modbus-tcp",
    .summary = "Modbus TCP devices, and RTU devices behind serial device servers",
    .bus_keys = modbus_tcp_bus_keys,
    .scan = &modbus_tcp_scan_traits,
    .reopen_min_us = 1 * SECONDS,
    .reopen_max_us = 30 * SECONDS,
    COMMON,
};

static const struct gw_driver *const drivers[] = {&rtu, &tcp, NULL};

GW_PLUGIN_EXPORT extern const struct gw_plugin field2mqtt_plugin;
const struct gw_plugin field2mqtt_plugin = {
    .abi = GW_DRIVER_ABI,
    .driver_size = sizeof(struct gw_driver),
    .key_size = sizeof(struct gw_key),
    .drivers = drivers,
};
