/* wire: one exchange of PDUs with one unit over RTU, TCP or RTU over TCP. libmodbus is used behind it and nowhere else.
 * Knows silence, flushing, late answers, transaction and unit ids; knows nothing of points or registers.
 *
 * DESIGN: a reply is given out only when it is certain to belong to its request. TCP has a transaction id, and every error
 * except an exception closes the connection; the next exchange connects again. RTU has none: after a timeout the unit
 * owes an answer and is not asked again before that can no longer come, while other units are (wire_rtu.c). */
#ifndef MODBUS_WIRE_H
#define MODBUS_WIRE_H

#include "drivers/modbus/conf.h"
#include "drivers/modbus/pdu.h"

struct modbus_wire; /* lives in the bus state */

size_t modbus_wire_size(void);
GW_MUST_CHECK enum gw_err modbus_wire_open(struct modbus_wire *wire,
                                           const struct modbus_bus_conf *conf,
                                           const struct gw_host *host, int64_t deadline_us,
                                           struct gw_driver_diag *diag);
void modbus_wire_close(struct modbus_wire *wire); /* safe on zeroed memory and when called twice */

struct modbus_exchange {
    uint8_t unit;
    const uint8_t *request;
    size_t request_len;
    size_t reply_len;         /* of a normal reply PDU; 0: the reply says itself how long it is */
    const uint8_t *raw_reply; /* of a request whose function may be unknown: its reply; else NULL */
    int64_t extra_delay_us;   /* pause before the request, besides the silence */
    uint8_t reply[MODBUS_PDU_MAX];
    size_t ret_reply_len; /* of the reply PDU that came: normal or exception */
};

/* Sends the request and waits for its reply until deadline_us, which bounds pauses, request and the whole reply.
 * outcome gets acquired_us, hold_us and reason.
 * Errors: GW_E_TIMEOUT: silence, an answer that was still coming in at the deadline ("short_frame"), or a line that was
 *         never silent ("line_busy"); GW_E_LINK: the wire is closed then; GW_E_PROTO ("bad_crc", "short_frame",
 *         "wrong_unit", "wrong_function", "wrong_length", "wrong_transaction", "wrong_protocol"); GW_E_BUSY
 *         ("unconfirmed", "late_answer"): nothing was sent, since a late answer of the unit may be under way: hold_us
 *         says when to ask again; GW_E_REFUSED ("broadcast") for unit 0 over RTU; GW_E_CLOSED when not open or when the
 *         core wants its thread back. An exception reply is GW_OK here. */
GW_MUST_CHECK enum gw_err modbus_wire_exchange(struct modbus_wire *wire,
                                               struct modbus_exchange *exchange,
                                               int64_t deadline_us, struct gw_outcome *outcome);

/* Waits. GW_OK when the time is over, GW_E_CLOSED. */
GW_MUST_CHECK enum gw_err modbus_wire_pause(const struct modbus_wire *wire, int64_t pause_us);

/* Takes the unit whose answer came only after its time, since the last call; 0: none. */
int modbus_wire_take_late(struct modbus_wire *wire);

/* CRC-16/MODBUS (poly 0xA001 reflected, initial 0xFFFF); low byte goes first on the wire. Pure. */
uint16_t modbus_crc16(const uint8_t *bytes, size_t len);

/* Time of n characters and the silence between frames, from baud and character format. Pure.
 * Source: MODBUS over Serial Line V1.02, 2.5.1.1: above 19200 baud fixed 1.750 ms. */
int64_t modbus_char_us(const struct modbus_bus_conf *conf, size_t n_chars);
int64_t modbus_silence_us(const struct modbus_bus_conf *conf);

#endif
