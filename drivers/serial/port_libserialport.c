/* port_libserialport: opens a real serial port and sets it, with libserialport. It is used here and nowhere else, and not
 * for reading: its waits cannot be ended from outside, and it takes an unplugged adapter for silence. */
#include <errno.h>
#include <libserialport.h>

#include "drivers/serial/port_impl.h"

static enum sp_parity parity_of(int parity)
{
    switch (parity) {
    case SERIAL_PARITY_EVEN:
        return SP_PARITY_EVEN;
    case SERIAL_PARITY_ODD:
        return SP_PARITY_ODD;
    case SERIAL_PARITY_MARK:
        return SP_PARITY_MARK;
    case SERIAL_PARITY_SPACE:
        return SP_PARITY_SPACE;
    default:
        return SP_PARITY_NONE;
    }
}

static enum sp_flowcontrol flow_of(int flow)
{
    switch (flow) {
    case SERIAL_FLOW_RTSCTS:
        return SP_FLOWCONTROL_RTSCTS;
    case SERIAL_FLOW_XONXOFF:
        return SP_FLOWCONTROL_XONXOFF;
    default:
        return SP_FLOWCONTROL_NONE;
    }
}

/* All settings at once: setting them one by one would change the format in between, while the other side may speak. */
static enum sp_return configure(struct sp_port *library, const struct serial_line *line)
{
    struct sp_port_config *config;
    enum sp_return rc = sp_new_config(&config);

    if (rc != SP_OK)
        return rc;
    sp_set_config_baudrate(config, (int)line->baud);
    sp_set_config_bits(config, line->data_bits);
    sp_set_config_parity(config, parity_of(line->parity));
    sp_set_config_stopbits(config, line->stop_bits);
    sp_set_config_flowcontrol(config, flow_of(line->flow));
    rc = sp_set_config(library, config);
    sp_free_config(config);
    return rc;
}

static enum gw_err set_line(struct serial_port *port, const struct serial_line *line,
                            const char **ret_why)
{
    *ret_why = "cannot do this baud rate and character format";
    if (configure(port->library, line) != SP_OK || !serial_set_raw(port->fd, line) ||
        !link_set_exact_baud(port->fd, line->baud))
        return GW_E_REFUSED;
    return GW_OK;
}

static void close_port(struct serial_port *port)
{
    sp_flush(port->library, SP_BUF_BOTH); /* closing would wait for bytes that cannot leave */
    sp_close(port->library);
    sp_free_port(port->library);
    port->library = NULL;
}

static const struct serial_port_ops libserialport = {.set_line = set_line, .close = close_port};

enum gw_err serial_open_libserialport(struct serial_port *port, const char *path)
{
    struct sp_port *library;
    enum sp_return rc = sp_get_port_by_name(path, &library);

    if (rc != SP_OK)
        return GW_E_REFUSED;
    rc = sp_open(library, SP_MODE_READ_WRITE);
    if (rc != SP_OK || sp_get_port_handle(library, &port->fd) != SP_OK) {
        int error = rc == SP_ERR_FAIL ? sp_last_error_code() : ENOTTY;

        sp_free_port(library);
        errno = error;
        return GW_E_LINK;
    }
    port->library = library;
    port->ops = &libserialport;
    return GW_OK;
}
