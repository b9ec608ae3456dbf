/* wire_serial: opens, locks and sets up a serial port, and sends on it, with libmodbus.
 *
 * DESIGN: libmodbus sets the port and drives RTS around a request. Around it stands what it lacks: the port is
 * locked before its settings are touched, a baud rate that has no termios constant is set as a number (libmodbus
 * falls back to 9600 without a word), and RS-485 mode keeps the flags that the kernel already has. */
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <modbus/modbus-version.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "drivers/modbus/wire_impl.h"

/* After pdu.h, whose constants it shadows by macros of the same values. */
#include <modbus/modbus.h>

static enum gw_err say_errno(struct gw_driver_diag *diag, const char *port, int error)
{
    return error == EBUSY || error == EWOULDBLOCK
               ? link_say(diag, port, "is in use by another program, such as a running gateway")
               : link_say_errno(diag, port, port, error);
}

static bool set_rs485(modbus_t *library, int fd, int mode)
{
    struct serial_rs485 rs485 = {0};
    int lines;

    switch (mode) {
    case MODBUS_RS485_NONE:
        return true;
    case MODBUS_RS485_KERNEL:
        if (ioctl(fd, TIOCGRS485, &rs485) != 0)
            return false;
        if (!(rs485.flags & SER_RS485_ENABLED))
            rs485.flags |= SER_RS485_ENABLED | SER_RS485_RTS_ON_SEND;
        return ioctl(fd, TIOCSRS485, &rs485) == 0;
    default:
        /* libmodbus does not look whether the port has the line at all. */
        return ioctl(fd, TIOCMGET, &lines) == 0 &&
               modbus_rtu_set_rts(library, mode == MODBUS_RS485_RTS_UP ? MODBUS_RTU_RTS_UP
                                                                       : MODBUS_RTU_RTS_DOWN) == 0;
    }
}

static enum gw_err set_up(struct modbus_wire *wire, modbus_t *library, struct gw_driver_diag *diag)
{
    const struct modbus_bus_conf *conf = wire->conf;
    char what[96];

    modbus_set_error_recovery(library, MODBUS_ERROR_RECOVERY_NONE);
    if (modbus_connect(library) != 0)
        return say_errno(diag, conf->port, errno);
    wire->fd = modbus_get_socket(library);
    fcntl(wire->fd, F_SETFD, FD_CLOEXEC);
    if (ioctl(wire->fd, TIOCEXCL) != 0)
        return say_errno(diag, conf->port, errno);
    if (!link_set_exact_baud(wire->fd, conf->baud)) {
        snprintf(what, sizeof what, "cannot do %lld baud", (long long)conf->baud);
        return link_say(diag, conf->port, what);
    }
    if (!set_rs485(library, wire->fd, conf->rs485))
        return link_say(diag, conf->port,
                        conf->rs485 == MODBUS_RS485_KERNEL
                            ? "has no RS-485 mode in its kernel driver"
                            : "has no RTS line");
    ioctl(wire->fd, TCFLSH, TCIOFLUSH);
    return GW_OK;
}

enum gw_err wire_serial_link(struct modbus_wire *wire, struct gw_driver_diag *diag)
{
    const struct modbus_bus_conf *conf = wire->conf;

    wire->lock_fd = link_lock_tty(conf->port);
    if (wire->lock_fd < 0)
        return say_errno(diag, conf->port, errno);

    modbus_t *library = modbus_new_rtu(conf->port, (int)conf->baud, (char)conf->parity,
                                       (int)conf->data_bits, (int)conf->stop_bits);
    enum gw_err err = library ? set_up(wire, library, diag) : GW_E_NOMEM;
    wire->library = library;
    wire->is_linked = true;
    if (err)
        wire_unlink(wire);
    return err;
}

void wire_serial_unlink(struct modbus_wire *wire)
{
    if (wire->library) {
        int fd = modbus_get_socket(wire->library);
        if (fd >= 0) {
            ioctl(fd, TCFLSH, TCIOFLUSH); /* closing would wait for bytes that cannot leave */
            ioctl(fd, TIOCNXCL);
        }
        modbus_close(wire->library); /* puts the former settings back */
        modbus_free(wire->library);
        wire->library = NULL;
    }
    if (wire->lock_fd >= 0)
        close(wire->lock_fd);
    wire->lock_fd = -1;
}

enum gw_err wire_serial_send(struct modbus_wire *wire, uint8_t unit, const uint8_t *pdu,
                             size_t pdu_len)
{
    uint8_t request[1 + MODBUS_PDU_MAX];

    request[0] = unit;
    memcpy(request + 1, pdu, pdu_len);
    return modbus_send_raw_request(wire->library, request, (int)pdu_len + 1) > 0 ? GW_OK
                                                                                 : GW_E_LINK;
}
