/* serial: the table of the driver: instruments that talk lines or frames of their own, by declaration. */
#include "drivers/serial/driver.h"

#define SECONDS INT64_C(1000000)

static const struct gw_driver serial = {
    .name = "serial",
    .summary = "scales, meters, sensors and other instruments on a serial line, by declaration",
    .bus_keys = serial_bus_keys,
    .device_keys = serial_device_keys,
    .point_keys = serial_point_keys,
    .bus_conf_size = sizeof(struct serial_bus_conf),
    .device_conf_size = sizeof(struct serial_device_conf),
    .point_conf_size = sizeof(struct serial_point_conf),
    .bus_state_size = sizeof(struct serial_line_state),
    /* To look for a device file costs nothing: an adapter that is plugged in again is back within a second. */
    .reopen_min_us = SECONDS / 4,
    .reopen_max_us = SECONDS,
    .device_state_size = serial_device_size,
    .check_bus = serial_check_bus,
    .check_device = serial_check_device,
    .check_point = serial_check_point,
    .prepare = serial_prepare,
    .release = serial_release,
    .open = serial_open,
    .close = serial_close,
    .devices_may_change = true,
    .join = serial_join_bus,
    .leave = serial_leave_bus,
    .plan = serial_plan,
    .describe = serial_describe,
    .execute = serial_execute,
    .write = serial_write,
    .listen = serial_listen,
    .redirect = serial_redirect,
    .simulate = serial_simulate,
    .raw = serial_raw,
    .decode = serial_decode,
};

static const struct gw_driver *const drivers[] = {&serial, NULL};

GW_PLUGIN_EXPORT extern const struct gw_plugin field2mqtt_plugin;
const struct gw_plugin field2mqtt_plugin = {
    .abi = GW_DRIVER_ABI,
    .driver_size = sizeof(struct gw_driver),
    .key_size = sizeof(struct gw_key),
    .drivers = drivers,
};
