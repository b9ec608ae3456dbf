/* wire_impl: what the files of the wire share and nobody else sees.
 * wire.c opens, closes and dispatches; wire_rtu.c and wire_tcp.c hold the rules of one exchange; wire_serial.c and
 * wire_socket.c open the link. libmodbus is used by wire_serial.c and wire_tcp.c only. */
#ifndef MODBUS_WIRE_IMPL_H
#define MODBUS_WIRE_IMPL_H

#include "drivers/common/link.h"
#include "drivers/modbus/frame.h"
#include "drivers/modbus/wire.h"

struct modbus_wire {
    const struct modbus_bus_conf *conf; /* NULL: not opened, or closed by its owner */
    const struct gw_host *host;
    bool is_linked; /* fd is valid. TCP: false after an error; the next exchange connects again */
    int fd;
    int lock_fd;      /* serial: holds the lock on the port; -1 without one */
    void *library;    /* modbus_t; NULL for RTU over TCP */
    int64_t ready_us; /* nothing is sent before: pause after connecting */
    int64_t last_us;  /* end of the last byte on the line in either direction */
    int last_unit;    /* -1: none yet */
    uint16_t transaction;
    bool has_echo; /* the adapter hears itself: seen at the last exchange that could tell */
    /* RTU: until then a late answer of the unit may come, and no answer of it can be trusted. Survives close and
     * open, since a device server may deliver a late answer to the next connection. */
    int64_t doubt_until_us[256];
    uint8_t n_owed[256];  /* answers of the unit that have not been seen */
    uint8_t late_unit;    /* whose owed answer came last; 0: none */
    uint64_t n_discarded; /* bytes that were no answer */
    size_t n_rx;
    uint8_t rx[2 * MODBUS_RTU_FRAME_MAX];
};

static inline int64_t wire_now_us(const struct modbus_wire *wire)
{
    return wire->host->now_us(wire->host->ctx);
}

static inline int64_t wire_later(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

static inline int64_t wire_sooner(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* link_wait that ends when the core wants the thread back. */
GW_MUST_CHECK static inline enum gw_err wire_wait(const struct gw_host *host, int fd, short events,
                                                  int64_t until_us)
{
    return link_wait(host, fd, events, host->wake_fd, until_us);
}

/* Sends all of it to a socket before until_us. */
GW_MUST_CHECK enum gw_err wire_send_socket(const struct gw_host *host, int fd, const uint8_t *bytes,
                                           size_t len, int64_t until_us);

/* The earliest time for a request to the unit by the pauses that the user asked for. */
int64_t wire_earliest_us(const struct modbus_wire *wire, const struct modbus_exchange *exchange);

/* Closes the link but stays open in the eyes of the owner. */
void wire_unlink(struct modbus_wire *wire);

/* Serial port: opened by libmodbus (termios), locked, set to the exact baud rate. */
GW_MUST_CHECK enum gw_err wire_serial_link(struct modbus_wire *wire, struct gw_driver_diag *diag);
void wire_serial_unlink(struct modbus_wire *wire);
GW_MUST_CHECK enum gw_err wire_serial_send(struct modbus_wire *wire, uint8_t unit,
                                           const uint8_t *pdu, size_t pdu_len);

/* A connected, non-blocking TCP socket with keep-alive. */
GW_MUST_CHECK enum gw_err wire_socket_dial(const struct modbus_bus_conf *conf,
                                           const struct gw_host *host, int64_t deadline_us,
                                           int *ret_fd, struct gw_driver_diag *diag);

/* Acknowledges what came at once. The kernel falls back by itself, so this is said before every wait: a peer that sends
 * an answer in two pieces and waits for the acknowledgement in between would lose 40 ms each time. */
void wire_socket_hurry(int fd);

GW_MUST_CHECK enum gw_err wire_tcp_link(struct modbus_wire *wire, int64_t deadline_us,
                                        struct gw_driver_diag *diag);
void wire_tcp_unlink(struct modbus_wire *wire);

GW_MUST_CHECK enum gw_err wire_rtu_exchange(struct modbus_wire *wire,
                                            struct modbus_exchange *exchange, int64_t deadline_us,
                                            struct gw_outcome *outcome);
GW_MUST_CHECK enum gw_err wire_tcp_exchange(struct modbus_wire *wire,
                                            struct modbus_exchange *exchange, int64_t deadline_us,
                                            struct gw_outcome *outcome);

#endif
