/* slave_impl: what the files of the simulated devices share. slave.c plays, slave_bank.c holds the registers,
 * slave_raw.c answers raw requests, slave_fault.c spoils answers, slave_place.c opens the pty or the port. */
#ifndef MODBUS_SLAVE_IMPL_H
#define MODBUS_SLAVE_IMPL_H

#include "drivers/modbus/conf.h"
#include "drivers/modbus/frame.h"

/* Answers a request PDU from the points of the bus.
 * Shape:  reply holds MODBUS_PDU_MAX bytes. Returns the length of the reply PDU, normal or exception; 0 when no device has
 *         the unit. */
size_t slave_bank_answer(const struct gw_sim *sim, uint8_t unit, const uint8_t *pdu, size_t len,
                         uint8_t *reply);

/* Answers a request PDU that is the raw request of a point. Returns the length of the reply; 0: it is that of none. */
size_t slave_raw_answer(const struct gw_sim *sim, uint8_t unit, const uint8_t *pdu, size_t len,
                        uint8_t *reply);
/* Gives the length of the RTU frame of a raw request that the bytes begin with; 0: there is none. */
size_t slave_raw_frame_len(const struct gw_sim *sim, const uint8_t *bytes, size_t n);

/* ---- Faults ---- */

enum slave_fault { SLAVE_GOOD, SLAVE_DROP, SLAVE_DELAY, SLAVE_EXCEPTION, SLAVE_GARBAGE };

/* Draws what happens to the next answer. The state is not 0. */
enum slave_fault slave_draw_fault(const struct gw_sim_faults *faults, uint64_t *random);
uint64_t slave_draw(uint64_t *random, uint64_t below);
/* Makes an exception of a reply, as a device would in distress. Returns its length. */
size_t slave_make_exception(uint8_t *reply, uint64_t *random);
/* Spoils a frame: other bytes, too few, a wrong check or transaction, another unit. Returns its length. */
size_t slave_make_garbage(uint8_t *frame, size_t len, bool is_tcp, uint64_t *random);

/* ---- Places ---- */

/* Listens at the host and port of a bus. */
GW_MUST_CHECK enum gw_err slave_open_port(const struct modbus_bus_conf *conf, int *ret_fd,
                                          struct gw_driver_diag *diag);

#endif
