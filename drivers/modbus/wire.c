/* wire: opening, closing and what all transports share: sending, pauses between requests.
 * The rules of one exchange are in wire_rtu.c and wire_tcp.c. */
#include "drivers/modbus/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "drivers/modbus/wire_impl.h"

size_t modbus_wire_size(void)
{
    return sizeof(struct modbus_wire);
}

enum gw_err wire_send_socket(const struct gw_host *host, int fd, const uint8_t *bytes, size_t len,
                             int64_t until_us)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            enum gw_err err = wire_wait(host, fd, POLLOUT, until_us);
            if (err)
                return err;
        } else if (n == 0 || errno != EINTR) {
            return GW_E_LINK;
        }
    }
    return GW_OK;
}

int64_t wire_earliest_us(const struct modbus_wire *wire, const struct modbus_exchange *exchange)
{
    const struct modbus_bus_conf *conf = wire->conf;
    int64_t pause_us = wire_later(conf->request_delay_us, exchange->extra_delay_us);

    if (wire->last_unit >= 0 && wire->last_unit != exchange->unit)
        pause_us = wire_later(pause_us, conf->unit_change_delay_us);
    pause_us = wire_later(pause_us, modbus_silence_us(conf));
    return wire_later(wire->ready_us, wire->last_us + pause_us);
}

static enum gw_err link_up(struct modbus_wire *wire, int64_t deadline_us,
                           struct gw_driver_diag *diag)
{
    enum gw_err err;

    switch (wire->conf->transport) {
    case MODBUS_TCP:
        return wire_tcp_link(wire, deadline_us, diag);
    case MODBUS_RTU_OVER_TCP:
        err = wire_socket_dial(wire->conf, wire->host, deadline_us, &wire->fd, diag);
        wire->is_linked = !err;
        return err;
    default:
        return wire_serial_link(wire, diag);
    }
}

void wire_unlink(struct modbus_wire *wire)
{
    if (!wire->is_linked)
        return;
    wire->is_linked = false;
    wire->n_rx = 0;
    switch (wire->conf->transport) {
    case MODBUS_TCP:
        wire_tcp_unlink(wire);
        break;
    case MODBUS_RTU_OVER_TCP:
        close(wire->fd);
        break;
    default:
        wire_serial_unlink(wire);
        break;
    }
}

enum gw_err modbus_wire_open(struct modbus_wire *wire, const struct modbus_bus_conf *conf,
                             const struct gw_host *host, int64_t deadline_us,
                             struct gw_driver_diag *diag)
{
    modbus_wire_close(wire);
    wire->conf = conf;
    wire->host = host;
    wire->last_unit = -1;
    wire->has_echo = false;

    enum gw_err err = link_up(wire, deadline_us, diag);
    if (err) {
        wire->conf = NULL;
        return err;
    }
    int64_t now_us = wire_now_us(wire);
    wire->ready_us = now_us + conf->connect_delay_us;
    wire->last_us = now_us; /* what was on the line before is not known */
    return GW_OK;
}

void modbus_wire_close(struct modbus_wire *wire)
{
    if (wire->conf)
        wire_unlink(wire);
    wire->conf = NULL;
}

enum gw_err modbus_wire_exchange(struct modbus_wire *wire, struct modbus_exchange *exchange,
                                 int64_t deadline_us, struct gw_outcome *outcome)
{
    if (!wire->conf)
        return GW_E_CLOSED;
    exchange->ret_reply_len = 0;

    enum gw_err err = wire->conf->transport == MODBUS_TCP
                          ? wire_tcp_exchange(wire, exchange, deadline_us, outcome)
                          : wire_rtu_exchange(wire, exchange, deadline_us, outcome);
    if (err == GW_E_LINK)
        modbus_wire_close(wire);
    return err;
}

enum gw_err modbus_wire_pause(const struct modbus_wire *wire, int64_t pause_us)
{
    if (!wire->conf)
        return GW_E_CLOSED;
    enum gw_err err = wire_wait(wire->host, -1, 0, wire_now_us(wire) + pause_us);
    return err == GW_E_TIMEOUT ? GW_OK : err;
}

int modbus_wire_take_late(struct modbus_wire *wire)
{
    int unit = wire->late_unit;

    wire->late_unit = 0;
    return unit;
}
