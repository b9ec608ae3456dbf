/* port_impl: what the files of the port share and nobody else sees.
 * port.c waits, reads and writes; port_find.c turns a name into a device file; port_tty.c holds what device files have in
 * common; port_libserialport.c, port_termios.c and port_tcp.c open the link. */
#ifndef SERIAL_PORT_IMPL_H
#define SERIAL_PORT_IMPL_H

#include "drivers/common/link.h"
#include "drivers/serial/port.h"

struct serial_port_ops {
    /* Sets baud rate and character format. *ret_why, static, when the port cannot. */
    enum gw_err (*set_line)(struct serial_port *port, const struct serial_line *line,
                            const char **ret_why);
    void (*close)(struct serial_port *port);
    bool is_socket;
};

enum { SERIAL_PATH_MAX = 512 };

/* Finds the device file of a name: what links point to, or the port with that USB identity.
 * Errors: GW_E_LINK with the sentence in diag. */
GW_MUST_CHECK enum gw_err serial_find_port(const char *name, char ret_path[SERIAL_PATH_MAX],
                                           struct gw_driver_diag *diag);

/* Opens a device file by libserialport. GW_E_REFUSED: it knows no such port, which is no error (a pty, say); else
 * GW_E_LINK with errno. */
GW_MUST_CHECK enum gw_err serial_open_libserialport(struct serial_port *port, const char *path);
/* Opens any device file that is a terminal. GW_E_LINK with errno. */
GW_MUST_CHECK enum gw_err serial_open_termios(struct serial_port *port, const char *path);
GW_MUST_CHECK enum gw_err serial_open_tcp(struct serial_port *port, int64_t deadline_us,
                                          struct gw_driver_diag *diag);
/* Finds, locks and opens a device file and sets it up. */
GW_MUST_CHECK enum gw_err serial_open_tty(struct serial_port *port, struct gw_driver_diag *diag);

/* Makes a terminal raw with the character format of the line: 8 to 5 bits, a character with a parity error becomes NUL. */
bool serial_set_raw(int fd, const struct serial_line *line);

static inline int64_t serial_now_us(const struct serial_port *port)
{
    return port->host->now_us(port->host->ctx);
}

#endif
