/* port: waiting, reading, writing and echo, over a descriptor that one of the other files has opened. */
#include "drivers/serial/port.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

/* What adapters keep back after the kernel's buffer is empty: a USB packet and a FIFO. */
#define ADAPTER_US 5000

int64_t serial_line_us(const struct serial_line *line, size_t n_chars)
{
    int64_t bits = 1 + line->data_bits + (line->parity != SERIAL_PARITY_NONE) + line->stop_bits;

    return ((int64_t)n_chars * bits * 1000000 + line->baud - 1) / line->baud;
}

/* ---- opening and closing --------------------------------------------------------------------------- */

enum gw_err serial_port_open(struct serial_port *port, const struct serial_port_conf *conf,
                             const struct gw_host *host, int64_t deadline_us,
                             struct gw_driver_diag *diag)
{
    serial_port_close(port);
    *port = (struct serial_port){.conf = conf, .host = host, .fd = -1, .lock_fd = -1};
    port->line = conf->line;
    diag->key = "port";
    enum gw_err err = strncmp(conf->name, "tcp://", 6) == 0
                          ? serial_open_tcp(port, deadline_us, diag)
                          : serial_open_tty(port, diag);
    if (err != GW_OK)
        serial_port_close(port);
    else
        port->sent_us = serial_now_us(port);
    return err;
}

void serial_port_close(struct serial_port *port)
{
    if (!port->conf)
        return;
    if (port->ops && !port->ops->is_socket)
        ioctl(port->fd, TIOCNXCL);
    if (port->ops)
        port->ops->close(port);
    if (port->lock_fd >= 0)
        close(port->lock_fd);
    port->ops = NULL;
    port->conf = NULL;
}

/* ---- echo ------------------------------------------------------------------------------------------ */

/* Takes from the bytes what was sent. The first byte that is another ends it: then two spoke at once, or the adapter does
 * not hear itself, and what came is given out as it is. */
static size_t remove_echo(struct serial_port *port, uint8_t *bytes, size_t len)
{
    size_t n = 0;

    while (n < len && port->n_echo_seen < port->n_echo &&
           bytes[n] == port->echo[port->n_echo_seen]) {
        n++;
        port->n_echo_seen++;
    }
    if (n < len && port->n_echo_seen < port->n_echo) {
        port->n_echo_lost += port->n_echo - port->n_echo_seen;
        port->n_echo_seen = port->n_echo;
    }
    if (port->n_echo_seen == port->n_echo)
        port->n_echo = port->n_echo_seen = 0;
    memmove(bytes, bytes + n, len - n);
    return len - n;
}

static void expect_echo(struct serial_port *port, const uint8_t *bytes, size_t len)
{
    size_t room = sizeof port->echo - port->n_echo;

    if (!port->conf->has_echo)
        return;
    if (len > room) /* more than an instrument takes at once: what has no room is not removed */
        len = room;
    memcpy(port->echo + port->n_echo, bytes, len);
    port->n_echo += len;
}

/* ---- reading --------------------------------------------------------------------------------------- */

enum gw_err serial_port_read(struct serial_port *port, int64_t until_us, int wake_fd, uint8_t *buf,
                             size_t size, size_t *ret_len)
{
    if (!port->ops)
        return GW_E_CLOSED;
    while (true) {
        size_t len = 0;
        enum gw_err err = link_wait(port->host, port->fd, POLLIN, wake_fd, until_us);

        if (err == GW_OK)
            err = link_read(port->fd, buf, size, &len);
        if (err != GW_OK)
            return err;
        len = remove_echo(port, buf, len);
        if (len > 0) {
            *ret_len = len;
            return GW_OK;
        }
    }
}

size_t serial_port_flush(struct serial_port *port)
{
    uint8_t bytes[256];
    size_t n = 0, len;

    if (!port->ops)
        return 0;
    port->n_echo = port->n_echo_seen = 0;
    /* Bounded, since a line that is never silent would hold us here. */
    for (int i = 0; i < 64 && link_read(port->fd, bytes, sizeof bytes, &len) == GW_OK; i++)
        n += len;
    return n;
}

/* ---- writing --------------------------------------------------------------------------------------- */

static ssize_t write_now(const struct serial_port *port, const uint8_t *bytes, size_t len)
{
    return port->ops->is_socket ? send(port->fd, bytes, len, MSG_NOSIGNAL)
                                : write(port->fd, bytes, len);
}

enum gw_err serial_port_write(struct serial_port *port, const uint8_t *bytes, size_t len,
                              int64_t until_us)
{
    if (!port->ops)
        return GW_E_CLOSED;
    expect_echo(port, bytes, len);
    while (len > 0) {
        ssize_t n = write_now(port, bytes, len);

        if (n > 0) {
            int64_t now_us = serial_now_us(port);

            port->sent_us = (port->sent_us > now_us ? port->sent_us : now_us) +
                            serial_line_us(&port->line, (size_t)n);
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            enum gw_err err =
                link_wait(port->host, port->fd, POLLOUT, port->host->wake_fd, until_us);
            if (err != GW_OK)
                return err;
        } else if (n == 0 || errno != EINTR) {
            return GW_E_LINK;
        }
    }
    return GW_OK;
}

/* ---- the line -------------------------------------------------------------------------------------- */

static enum gw_err pause_until(const struct serial_port *port, int wake_fd, int64_t until_us)
{
    enum gw_err err = link_wait(port->host, -1, 0, wake_fd, until_us);

    return err == GW_E_TIMEOUT ? GW_OK : err;
}

enum gw_err serial_port_pause(struct serial_port *port, int64_t until_us)
{
    return port->ops ? pause_until(port, port->host->wake_fd, until_us) : GW_E_CLOSED;
}

/* tcdrain has no deadline: with flow control held by the other side it waits for ever. */
static enum gw_err wait_sent(struct serial_port *port, int wake_fd, int64_t until_us)
{
    int n_queued = 0;

    if (until_us < port->sent_us)
        return GW_E_TIMEOUT;
    enum gw_err err = pause_until(port, wake_fd, port->sent_us);
    while (err == GW_OK && ioctl(port->fd, TIOCOUTQ, &n_queued) == 0 && n_queued > 0) {
        if (serial_now_us(port) >= until_us)
            return GW_E_TIMEOUT;
        err = pause_until(port, wake_fd, serial_now_us(port) + 1000);
    }
    return err == GW_OK ? pause_until(port, wake_fd, port->sent_us + ADAPTER_US) : err;
}

void serial_port_finish(struct serial_port *port, int64_t until_us)
{
    if (port->ops && wait_sent(port, -1, until_us) != GW_OK)
        return; /* what has not left is lost with the closing */
}

static bool is_same_line(const struct serial_line *a, const struct serial_line *b)
{
    return a->baud == b->baud && a->data_bits == b->data_bits && a->parity == b->parity &&
           a->stop_bits == b->stop_bits && a->flow == b->flow;
}

enum gw_err serial_port_set_line(struct serial_port *port, const struct serial_line *line,
                                 int64_t until_us)
{
    const char *why;

    if (!port->ops)
        return GW_E_CLOSED;
    if (is_same_line(&port->line, line))
        return GW_OK;
    enum gw_err err = wait_sent(port, port->host->wake_fd, until_us);
    if (err != GW_OK)
        return err;
    err = port->ops->set_line(port, line, &why);
    if (err != GW_OK)
        return err;
    port->line = *line;
    return GW_OK;
}
