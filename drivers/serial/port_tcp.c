/* port_tcp: a TCP connection to a serial device server, as a port: tcp://host:port. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

struct address {
    char host[256], service[8];
};

/* tcp://host:port, tcp://[::1]:port */
static bool parse(const char *name, struct address *ret_address)
{
    const char *host = name + strlen("tcp://"), *colon = strrchr(host, ':');
    char *end;

    if (!colon || colon == host)
        return false;
    size_t len = (size_t)(colon - host);
    long service = strtol(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end || service < 1 || service > 65535)
        return false;
    if (host[0] == '[' && colon[-1] == ']') {
        host++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof ret_address->host)
        return false;
    memcpy(ret_address->host, host, len);
    ret_address->host[len] = '\0';
    snprintf(ret_address->service, sizeof ret_address->service, "%ld", service);
    return true;
}

bool serial_check_tcp_name(const char *name)
{
    struct address address;

    return strncmp(name, "tcp://", 6) == 0 && parse(name, &address);
}

static enum gw_err say_failure(const char *name, enum gw_err err, int error,
                               struct gw_driver_diag *diag)
{
    if (err == GW_E_TIMEOUT || error == ETIMEDOUT)
        snprintf(diag->text, sizeof diag->text, "port %.120s does not answer", name);
    else if (error == ECONNREFUSED)
        snprintf(diag->text, sizeof diag->text, "port %.120s refuses connections", name);
    else
        snprintf(diag->text, sizeof diag->text, "port %.120s is unreachable: %.60s", name,
                 strerror(error));
    return err;
}

/* The line is the device server's. */
static enum gw_err set_line(struct serial_port *port, const struct serial_line *line,
                            const char **ret_why)
{
    (void)port, (void)line;
    *ret_why = "is a TCP connection, which cannot change the baud rate of its device server";
    return GW_E_REFUSED;
}

static void close_port(struct serial_port *port)
{
    close(port->fd);
}

static const struct serial_port_ops tcp = {
    .set_line = set_line, .close = close_port, .is_socket = true};

enum gw_err serial_open_tcp(struct serial_port *port, int64_t deadline_us,
                            struct gw_driver_diag *diag)
{
    const char *name = port->conf->name;
    struct address address;
    struct addrinfo *list;

    if (!parse(name, &address)) {
        snprintf(diag->text, sizeof diag->text, "port %.120s is not tcp://HOST:PORT", name);
        return GW_E_LINK;
    }
    enum gw_err err = link_look_up(address.host, address.service, &list, diag);
    if (err != GW_OK)
        return err;
    err = link_dial(list, port->host, deadline_us, &port->fd);
    if (err != GW_OK)
        return err == GW_E_CLOSED ? err : say_failure(name, err, errno, diag);
    port->ops = &tcp;
    return GW_OK;
}
