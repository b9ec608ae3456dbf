/* bus_keys: the table of the keys of a serial bus. */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/bus_conf.h"

#define MS 1000.0

#define BUS(member) offsetof(struct serial_bus_conf, member)

static const struct gw_choice parities[] = {
    {"none", SERIAL_PARITY_NONE, "no parity bit"},
    {"even", SERIAL_PARITY_EVEN, "even parity; a damaged character is read as NUL"},
    {"odd", SERIAL_PARITY_ODD, "odd parity; a damaged character is read as NUL"},
    {"mark", SERIAL_PARITY_MARK, "a parity bit that is always 1"},
    {"space", SERIAL_PARITY_SPACE, "a parity bit that is always 0"},
    {NULL, 0, NULL},
};

static const struct gw_choice flows[] = {
    {"none", SERIAL_FLOW_NONE, "none"},
    {"rts-cts", SERIAL_FLOW_RTSCTS, "by the lines RTS and CTS"},
    {"xon-xoff", SERIAL_FLOW_XONXOFF, "by the characters XON and XOFF"},
    {NULL, 0, NULL},
};

static const struct gw_choice directions[] = {
    {"none", SERIAL_RS485_NONE, "RS-232, or an RS-485 adapter that switches by itself"},
    {"rts-on", SERIAL_RS485_RTS_ON, "the kernel's driver switches: RTS is on while sending"},
    {"rts-off", SERIAL_RS485_RTS_OFF, "the kernel's driver switches: RTS is off while sending"},
    {NULL, 0, NULL},
};

const struct gw_key serial_bus_keys[] = {
    {.name = "port",
     .type = GW_KEY_TEXT,
     .flags = GW_REQUIRED | GW_ADDRESS,
     .offset = BUS(port),
     .min = 1,
     .max = 255,
     .help = "Serial port: a device file or a link to it, usb:VENDOR:PRODUCT:SERIAL for an adapter "
             "that is found wherever it is plugged in, or tcp://HOST:PORT for a serial device "
             "server.",
     .example = "usb:0403:6001:FT4XYZ"},
    {.name = "baud",
     .type = GW_KEY_INT,
     .offset = BUS(baud),
     .min = 50,
     .max = 4000000,
     .def = "9600",
     .unit = "baud",
     .help = "Baud rate; any that the hardware can do.",
     .example = "19200"},
    {.name = "data_bits",
     .type = GW_KEY_INT,
     .offset = BUS(data_bits),
     .min = 5,
     .max = 8,
     .def = "8",
     .help = "Data bits.",
     .example = "7"},
    {.name = "parity",
     .type = GW_KEY_CHOICE,
     .offset = BUS(parity),
     .def = "none",
     .help = "Parity.",
     .choices = parities,
     .example = "even"},
    {.name = "stop_bits",
     .type = GW_KEY_INT,
     .offset = BUS(stop_bits),
     .min = 1,
     .max = 2,
     .def = "1",
     .help = "Stop bits.",
     .example = "2"},
    {.name = "flow",
     .type = GW_KEY_CHOICE,
     .offset = BUS(flow),
     .def = "none",
     .help = "Flow control.",
     .choices = flows,
     .example = "rts-cts"},
    {.name = "rs485",
     .type = GW_KEY_CHOICE,
     .offset = BUS(rs485),
     .def = "none",
     .help = "Who switches the direction of an RS-485 line.",
     .choices = directions,
     .example = "rts-on"},
    {.name = "rs485_before",
     .type = GW_KEY_DURATION,
     .offset = BUS(rs485_before_us),
     .max = 100 * MS,
     .def = "0ms",
     .help = "How long before the first character the direction is switched.",
     .example = "1ms"},
    {.name = "rs485_after",
     .type = GW_KEY_DURATION,
     .offset = BUS(rs485_after_us),
     .max = 100 * MS,
     .def = "0ms",
     .help = "How long after the last character the direction is switched back.",
     .example = "1ms"},
    {.name = "echo",
     .type = GW_KEY_BOOL,
     .offset = BUS(echo),
     .def = "false",
     .help =
         "The adapter hears what it sends (a two-wire line, a current loop): it is taken out of "
         "what is read.",
     .example = "true"},
    {.name = "request_delay",
     .type = GW_KEY_DURATION,
     .offset = BUS(request_delay_us),
     .max = 10000 * MS,
     .def = "0ms",
     .help = "How long the line is silent before a request.",
     .example = "20ms"},
    {.name = NULL},
};

enum gw_err serial_check_bus(const void *bus_conf, struct gw_driver_diag *diag)
{
    const struct serial_bus_conf *conf = bus_conf;

    diag->key = "port";
    if (strncmp(conf->port, "usb:", 4) == 0 && !serial_check_usb_name(conf->port)) {
        snprintf(diag->text, sizeof diag->text,
                 "port \"%.60s\" must be usb:VENDOR:PRODUCT, with :SERIAL and :INTERFACE behind it "
                 "if need be, such as usb:0403:6001:FT4XYZ",
                 conf->port);
        return GW_E_CONFIG;
    }
    if (strncmp(conf->port, "tcp:", 4) == 0 && !serial_check_tcp_name(conf->port)) {
        snprintf(diag->text, sizeof diag->text,
                 "port \"%.60s\" must be tcp://HOST:PORT, such as tcp://moxa-1:4001", conf->port);
        return GW_E_CONFIG;
    }
    if (strncmp(conf->port, "tcp:", 4) == 0 && conf->rs485 != SERIAL_RS485_NONE) {
        diag->key = "rs485";
        snprintf(diag->text, sizeof diag->text,
                 "rs485 is for a port of this machine; a device server switches by itself");
        return GW_E_CONFIG;
    }
    return GW_OK;
}

struct serial_port_conf serial_port_conf_of(const struct serial_bus_conf *conf)
{
    return (struct serial_port_conf){
        .name = conf->port,
        .line = {.baud = conf->baud,
                 .data_bits = (int)conf->data_bits,
                 .parity = conf->parity,
                 .stop_bits = (int)conf->stop_bits,
                 .flow = conf->flow},
        .rs485 = conf->rs485,
        .rs485_before_us = conf->rs485_before_us,
        .rs485_after_us = conf->rs485_after_us,
        .has_echo = conf->echo,
    };
}
