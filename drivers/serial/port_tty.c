/* port_tty: what all device files have in common: found, locked, opened by whom it suits, set up; and the sentences when it
 * fails. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/serial.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

static enum gw_err say(struct gw_driver_diag *diag, const char *name, const char *what)
{
    snprintf(diag->text, sizeof diag->text, "port %.120s %s", name, what);
    return GW_E_LINK;
}

static enum gw_err say_no_permission(struct gw_driver_diag *diag, const char *name,
                                     const char *path)
{
    struct stat status;
    struct group group, *found = NULL;
    char names[1024], what[100];

    if (stat(path, &status) != 0 ||
        getgrgid_r(status.st_gid, &group, names, sizeof names, &found) != 0 || !found)
        return say(diag, name, "cannot be opened: permission denied");
    snprintf(what, sizeof what, "cannot be opened: permission denied; it belongs to group %.32s",
             found->gr_name);
    return say(diag, name, what);
}

static enum gw_err say_errno(struct gw_driver_diag *diag, const char *name, const char *path,
                             int error)
{
    char what[100];

    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return say(diag, name, "does not exist");
    case EACCES:
    case EPERM:
        return say_no_permission(diag, name, path);
    case EBUSY:
    case EWOULDBLOCK:
        return say(diag, name, "is in use by another program");
    case ENXIO:
    case ENODEV:
    case EIO:
        return say(diag, name, "has no hardware behind it");
    case ENOTTY:
    case EISDIR:
        return say(diag, name, "is not a serial port");
    default:
        snprintf(what, sizeof what, "cannot be opened: %.60s", strerror(error));
        return say(diag, name, what);
    }
}

/* A second descriptor, since libserialport opens the port by itself and changes its settings while it does. */
static int open_locked(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -1;
    int error = !isatty(fd) ? ENOTTY : flock(fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    if (!error)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

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
        return say_errno(diag, name, path, errno);
    if (port->ops->set_line(port, &port->line, &why) != GW_OK) {
        snprintf(what, sizeof what, "cannot do %lld baud, %d%c%d", (long long)port->line.baud,
                 port->line.data_bits, port->line.parity, port->line.stop_bits);
        return say(diag, name, what);
    }
    if (!set_rs485(port))
        return say(diag, name, "has no RS-485 mode in its kernel driver");
    return GW_OK;
}

enum gw_err serial_open_tty(struct serial_port *port, struct gw_driver_diag *diag)
{
    const char *name = port->conf->name;
    char path[SERIAL_PATH_MAX];
    enum gw_err err = serial_find_port(name, path, diag);

    if (err != GW_OK)
        return err;
    port->lock_fd = open_locked(path);
    if (port->lock_fd < 0)
        return say_errno(diag, name, path, errno);
    err = serial_open_libserialport(port, path);
    if (err == GW_E_REFUSED)
        err = serial_open_termios(port, path);
    return err == GW_OK ? set_up(port, path, diag) : say_errno(diag, name, path, errno);
}
