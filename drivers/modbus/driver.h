/* driver: what the functions of the driver tables share: one exchange with a device, reading and writing. */
#ifndef MODBUS_DRIVER_H
#define MODBUS_DRIVER_H

#include "drivers/modbus/plan.h"
#include "drivers/modbus/wire.h"

/* A request PDU and where it goes. */
struct modbus_call {
    uint8_t pdu[MODBUS_PDU_MAX];
    size_t len, reply_len;
    const uint8_t *raw_reply; /* what confirms a raw request; else NULL */
};

/* Sends a request to the device and checks that the reply is one to it.
 * Shape:  ret_values[0..count) for a read; NULL: a write, which the reply has to echo.
 * Errors: those of the wire; GW_E_REFUSED, GW_E_BUSY and GW_E_TIMEOUT for an exception, with outcome->exception and
 *         reason; GW_E_PROTO with "bad_reply". */
GW_MUST_CHECK enum gw_err modbus_call(struct gw_device *device, const struct modbus_call *call,
                                      uint16_t count, uint16_t *ret_values, int64_t deadline_us,
                                      struct gw_outcome *outcome);

/* The function that reads an area of the device. */
uint8_t modbus_read_function(const struct modbus_device_conf *device, enum modbus_area area);

/* Turns what a request read into the result of one of its members; `values` are of the request's span,
 * which arrived at now_us. */
void modbus_take(struct gw_device *device, const struct modbus_read *read, const uint16_t *values,
                 uint16_t member, int64_t now_us, struct gw_result *ret_result);

void modbus_describe(const struct gw_device *device, const struct gw_request *request, char *buf,
                     size_t size);
enum gw_err modbus_execute(struct gw_device *device, const struct gw_request *request,
                           const uint16_t *members, int64_t deadline_us, struct gw_result *results,
                           struct gw_outcome *outcome);
enum gw_err modbus_write(struct gw_device *device, const struct gw_write *writes, size_t n_writes,
                         int64_t deadline_us, size_t *ret_n_written, struct gw_outcome *outcome);
enum gw_err modbus_examine(struct gw_device *device, const char *place, int64_t deadline_us,
                           void (*found)(void *ctx, const char *yaml, const struct gw_value *value),
                           void *ctx, struct gw_driver_diag *diag);

/* Who is there, and what it says of itself (scan.c, identify.c). */
extern const struct gw_scan_traits modbus_rtu_scan_traits, modbus_tcp_scan_traits;
int64_t modbus_probe_us(const void *bus_conf, const struct gw_probe *probe);
enum gw_err modbus_probe(struct gw_bus *bus, const struct gw_probe *probe,
                         struct gw_probed *ret_probed);
enum gw_err modbus_identify(struct gw_bus *bus, const struct gw_probe *probe,
                            const struct gw_identity *identity);

#endif
