/* port_tty: what all device files have in common: found, locked, opened by whom it suits, set up. */
#include <errno.h>
#include <linux/serial.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "drivers/serial/port_impl.h"

static bool set_rs485(const struct serial_port *port)
{
    const struct serial_port_conf *conf = port->conf;
    struct serial_rs485 rs485 = {0};

    if (conf->rs485 == SERIAL_RS485_NONE)
        return true;
    if (ioctl(port->fd, TIOCGRS485, &rs485) != 0)
        return false;
    rs485.flags &= ~(__u32)(SER_RS485_RTS_ON_SEND | SER_RS485_RTS_AFTER_SEND);
    rs485.flags |=
        SER_RS485_ENABLED |
        (conf->rs485 == SERIAL_RS485_RTS_ON ? SER_RS485_RTS_ON_SEND : SER_RS485_RTS_AFTER_SEND);
    rs485.delay_rts_before_send = (__u32)((conf->rs485_before_us + 999) / 1000);
    rs485.delay_rts_after_send = (__u32)((conf->rs485_after_us + 999) / 1000);
    return ioctl(port->fd, TIOCSRS485, &rs485) == 0;
}

static enum gw_err set_up(struct serial_port *port, const char *path, struct gw_driver_diag *diag)
{
    const char *name = port->conf->name, *why;
    char what[100];

    if (ioctl(port->fd, TIOCEXCL) != 0)
        return link_say_errno(diag, name, path, errno);
    if (port->ops->set_line(port, &port->line, &why) != GW_OK) {
        snprintf(what, sizeof what, "cannot do %lld baud, %d%c%d", (long long)port->line.baud,
                 port->line.data_bits, port->line.parity, port->line.stop_bits);
        return link_say(diag, name, what);
    }
    if (!set_rs485(port))
        return link_say(diag, name, "has no RS-485 mode in its kernel driver");
    return GW_OK;
}

enum gw_err serial_open_tty(struct serial_port *port, struct gw_driver_diag *diag)
{
    const char *name = port->conf->name;
    char path[SERIAL_PATH_MAX];
    enum gw_err err = serial_find_port(name, path, diag);

    if (err != GW_OK)
        return err;
    port->lock_fd = link_lock_tty(path);
    if (port->lock_fd < 0)
        return link_say_errno(diag, name, path, errno);
    err = serial_open_libserialport(port, path);
    if (err == GW_E_REFUSED)
        err = serial_open_termios(port, path);
    return err == GW_OK ? set_up(port, path, diag) : link_say_errno(diag, name, path, errno);
}
