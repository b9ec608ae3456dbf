/* modbus_conf: configurations of Modbus points and devices for tests, with the defaults of the key tables. */
#ifndef TEST_MODBUS_CONF_H
#define TEST_MODBUS_CONF_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/modbus/regs.h"

static inline struct modbus_type_spec make_type(const char *text)
{
    struct modbus_type_spec spec = {0};
    struct gw_driver_diag diag = {0};

    if (modbus_parse_type(text, &spec, &diag) != GW_OK)
        fail_msg("type %s: %s", text, diag.text);
    return spec;
}

static inline struct modbus_address make_register(const char *text)
{
    struct modbus_address address = {0};
    struct gw_driver_diag diag = {0};

    if (modbus_parse_register(text, &address, &diag) != GW_OK)
        fail_msg("register %s: %s", text, diag.text);
    return address;
}

static inline struct modbus_point_conf make_point(const char *reg, const char *type)
{
    struct modbus_point_conf point = {.address = make_register(reg), .on_value = MODBUS_COIL_ON};

    if (type)
        point.type = make_type(type);
    return point;
}

static inline struct modbus_bus_conf make_rtu_bus(int64_t baud)
{
    return (struct modbus_bus_conf){.transport = MODBUS_RTU,
                                    .port = "/dev/null",
                                    .baud = baud,
                                    .data_bits = 8,
                                    .parity = MODBUS_PARITY_NONE,
                                    .stop_bits = 1};
}

static inline struct modbus_device_conf make_device(void)
{
    return (struct modbus_device_conf){.unit = 1,
                                       .max_registers = 125,
                                       .max_bits = 2000,
                                       .max_gap = 32,
                                       .max_gap_bits = 128,
                                       .read_function_holding = 3,
                                       .read_function_input = 4,
                                       .coil_block = 1};
}

/* One cmocka test per row of a table, under the row's own name. */
#define TABLE_TESTS(tests, n, rows, run)                                                           \
    for (size_t row_ = 0; row_ < sizeof(rows) / sizeof((rows)[0]); row_++)                         \
        (tests)[(n)++] = (struct CMUnitTest)                                                       \
        {                                                                                          \
            (rows)[row_].name, run, NULL, NULL, (void *)(uintptr_t) & (rows)[row_]                 \
        }

#endif
