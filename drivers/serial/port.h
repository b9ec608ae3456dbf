/* port: a line of bytes to instruments, whatever is behind it: a serial port, a pty, or a TCP connection to a serial device
 * server. Knows no frames and no instruments.
 *
 * DESIGN: one descriptor, never blocking; every wait has a deadline and ends when the core wants its thread back. A port is
 * locked before its settings are touched. When it is gone (hang-up, end of file, I/O error) every call says GW_E_LINK; it is
 * closed then by its owner, at once, since an open descriptor keeps the name of an unplugged adapter taken. */
#ifndef SERIAL_PORT_H
#define SERIAL_PORT_H

#include "gateway/driver.h"

enum serial_parity {
    SERIAL_PARITY_NONE = 'N',
    SERIAL_PARITY_EVEN = 'E',
    SERIAL_PARITY_ODD = 'O',
    SERIAL_PARITY_MARK = 'M',
    SERIAL_PARITY_SPACE = 'S',
};

enum serial_flow { SERIAL_FLOW_NONE, SERIAL_FLOW_RTSCTS, SERIAL_FLOW_XONXOFF };

/* How characters look on the line. */
struct serial_line {
    int64_t baud;
    int data_bits; /* 5-8 */
    int parity;    /* enum serial_parity */
    int stop_bits; /* 1-2 */
    int flow;      /* enum serial_flow */
};

/* RS-485 direction by the kernel's driver (TIOCSRS485). */
enum serial_direction {
    SERIAL_RS485_NONE,    /* RS-232, or an adapter that switches by itself */
    SERIAL_RS485_RTS_ON,  /* RTS is on while sending */
    SERIAL_RS485_RTS_OFF, /* RTS is off while sending */
};

struct serial_port_conf {
    const char *name; /* "/dev/ttyUSB0", a link to it, "usb:0403:6001:SERIAL", "tcp://host:port" */
    struct serial_line line;
    int rs485;                               /* enum serial_direction */
    int64_t rs485_before_us, rs485_after_us; /* RTS is switched so much earlier and later */
    bool has_echo;                           /* what is sent comes back and is removed */
};

enum { SERIAL_ECHO_MAX = 1024 };

struct serial_port_ops;

/* Zeroed before the first open. */
struct serial_port {
    const struct serial_port_ops *ops;   /* NULL: closed */
    const struct serial_port_conf *conf; /* NULL: nothing to close */
    const struct gw_host *host;
    struct serial_line line; /* as it is now */
    int fd;
    int lock_fd;     /* holds the lock of a device file; -1 without one */
    void *library;   /* of port_libserialport.c */
    int64_t sent_us; /* when the last byte written will have left, by the baud rate */
    size_t n_echo, n_echo_seen;
    uint8_t echo[SERIAL_ECHO_MAX]; /* what was sent and has not come back yet */
    uint64_t n_echo_lost;          /* bytes that did not come back as they were sent */
};

/* Opens and locks the port and sets its line. Blocks until deadline_us at most.
 * Errors: GW_E_LINK, GW_E_TIMEOUT, GW_E_CLOSED, with a sentence in diag->text; the port is closed then. */
GW_MUST_CHECK enum gw_err serial_port_open(struct serial_port *port,
                                           const struct serial_port_conf *conf,
                                           const struct gw_host *host, int64_t deadline_us,
                                           struct gw_driver_diag *diag);
/* Safe on zeroed memory and when called twice. */
void serial_port_close(struct serial_port *port);

/* Waits until until_us for bytes and gives those that are there, without echo. With until_us in the past it only looks.
 * Errors: GW_E_TIMEOUT: none; GW_E_LINK; GW_E_CLOSED: wake_fd is readable (-1: without one) or the port is not open. */
GW_MUST_CHECK enum gw_err serial_port_read(struct serial_port *port, int64_t until_us, int wake_fd,
                                           uint8_t *buf, size_t size, size_t *ret_len);

/* Hands all bytes to the line before until_us; does not wait until they have left (sent_us says when).
 * Errors: GW_E_TIMEOUT: flow control or a full buffer holds them up; GW_E_LINK; GW_E_CLOSED. */
GW_MUST_CHECK enum gw_err serial_port_write(struct serial_port *port, const uint8_t *bytes,
                                            size_t len, int64_t until_us);

/* Changes baud rate and character format after what was written has left, before until_us.
 * Errors: GW_E_REFUSED: a TCP connection cannot, or the port cannot do it; GW_E_LINK; GW_E_TIMEOUT; GW_E_CLOSED. */
GW_MUST_CHECK enum gw_err serial_port_set_line(struct serial_port *port,
                                               const struct serial_line *line, int64_t until_us);

/* Waits, without reading. GW_OK at until_us; GW_E_CLOSED when the core wants its thread back. */
GW_MUST_CHECK enum gw_err serial_port_pause(struct serial_port *port, int64_t until_us);

/* Waits until what was written has left, before the port is closed; also when the core wants its thread back. */
void serial_port_finish(struct serial_port *port, int64_t until_us);

/* Forgets what came and was not read, and echo that is owed. Gives the number of bytes. */
size_t serial_port_flush(struct serial_port *port);

/* Can this be the name of a port? Pure; for names that begin with usb: or tcp://, all others are paths. */
bool serial_check_usb_name(const char *name);
bool serial_check_tcp_name(const char *name);

/* Time that n characters take on a line. Pure. */
int64_t serial_line_us(const struct serial_line *line, size_t n_chars);

#endif
