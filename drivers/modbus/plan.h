/* plan: points to requests, with the least time on the wire: the exact optimum by dynamic programming over sorted points.
 * Pure. Also remembers what the device refused: cuts that no request may bridge, and how refused requests are split. */
#ifndef MODBUS_PLAN_H
#define MODBUS_PLAN_H

#include "drivers/modbus/conf.h"

struct modbus_device; /* the device state: sorted extents, cuts, values of far scale registers (plan.c, modbus.c) */

/* Predicted time on the wire of reading `units` registers or bits in one request, silence and turnaround included. */
uint32_t modbus_request_us(const struct modbus_bus_conf *bus, const struct modbus_device_conf *device, enum modbus_area area,
                           uint16_t units);

#endif
