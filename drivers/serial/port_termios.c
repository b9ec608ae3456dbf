/* port_termios: opens any terminal: ptys, and whatever libserialport does not know. Sets raw mode and character format of
 * all device files, also for libserialport, which falls short of both, as of exact baud rates. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

static tcflag_t format_of(const struct serial_line *line)
{
    static const tcflag_t sizes[] = {CS5, CS6, CS7, CS8};
    tcflag_t flags = sizes[(line->data_bits - 5) & 3];

    if (line->stop_bits == 2)
        flags |= CSTOPB;
    if (line->parity != SERIAL_PARITY_NONE)
        flags |= PARENB;
    if (line->parity == SERIAL_PARITY_ODD || line->parity == SERIAL_PARITY_MARK)
        flags |= PARODD;
    if (line->parity == SERIAL_PARITY_MARK || line->parity == SERIAL_PARITY_SPACE)
        flags |= CMSPAR;
    if (line->flow == SERIAL_FLOW_RTSCTS)
        flags |= CRTSCTS;
    return flags;
}

bool serial_set_raw(int fd, const struct serial_line *line)
{
    struct termios2 settings;

    if (ioctl(fd, TCGETS2, &settings) != 0)
        return false;
    settings.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CMSPAR | CRTSCTS | HUPCL);
    settings.c_cflag |= format_of(line) | CREAD | CLOCAL;
    settings.c_lflag = 0;
    settings.c_oflag = 0;
    settings.c_iflag = line->flow == SERIAL_FLOW_XONXOFF ? IXON | IXOFF : 0;
    if (line->parity != SERIAL_PARITY_NONE)
        settings.c_iflag |= INPCK; /* a damaged character becomes NUL, which is in no number */
    settings.c_cc[VMIN] = 1;       /* "nothing" is EAGAIN then, and 0 bytes a hang-up */
    settings.c_cc[VTIME] = 0;
    return ioctl(fd, TCSETS2, &settings) == 0;
}

static enum gw_err set_line(struct serial_port *port, const struct serial_line *line,
                            const char **ret_why)
{
    *ret_why = "cannot do this baud rate and character format";
    return serial_set_raw(port->fd, line) && link_set_exact_baud(port->fd, line->baud)
               ? GW_OK
               : GW_E_REFUSED;
}

static void close_port(struct serial_port *port)
{
    ioctl(port->fd, TCFLSH, TCIOFLUSH); /* closing would wait for bytes that cannot leave */
    close(port->fd);
}

static const struct serial_port_ops any_terminal = {.set_line = set_line, .close = close_port};

enum gw_err serial_open_termios(struct serial_port *port, const char *path)
{
    port->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->fd < 0)
        return GW_E_LINK;
    port->ops = &any_terminal;
    return GW_OK;
}
