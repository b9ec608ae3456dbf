/* bus_conf: what a user may say of the port of a serial bus. */
#ifndef SERIAL_BUS_CONF_H
#define SERIAL_BUS_CONF_H

#include "drivers/serial/port.h"

struct serial_bus_conf {
    const char *port;
    int64_t baud, data_bits, stop_bits;
    int parity; /* enum serial_parity */
    int flow;   /* enum serial_flow */
    int rs485;  /* enum serial_direction */
    int64_t rs485_before_us, rs485_after_us;
    bool echo;
    int64_t request_delay_us; /* silence before a request */
};

extern const struct gw_key serial_bus_keys[];

enum gw_err serial_check_bus(const void *bus_conf, struct gw_driver_diag *diag);

/* The same as the port wants it; borrows the name. */
struct serial_port_conf serial_port_conf_of(const struct serial_bus_conf *conf);

#endif
