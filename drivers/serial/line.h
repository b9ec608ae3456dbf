/* line: the port of a bus, and an inbox for each device that wants to hear what comes. Knows no frames.
 *
 * What comes goes to every inbox that is on, since nobody can tell from a byte whose it is: instruments that talk unasked are
 * heard while another one is polled. An inbox is bounded; what nobody fetches makes room from the front. */
#ifndef SERIAL_LINE_H
#define SERIAL_LINE_H

#include "drivers/serial/port.h"

struct serial_inbox {
    uint8_t *bytes; /* room for size bytes */
    size_t size, len;
    int64_t last_us; /* when the last byte came */
    uint64_t n_lost; /* bytes that nobody fetched */
    bool is_on;
    struct serial_inbox *next; /* of the same line */
};

struct serial_line_state {
    struct serial_port_conf conf;
    struct serial_port port;
    struct serial_inbox *inboxes;
    int64_t last_us; /* end of the last byte on the line in either direction */
    uint8_t rx[2048];
};

/* Adds an inbox to the line. Owns: borrowed for the life of the bus. */
void serial_line_add(struct serial_line_state *line, struct serial_inbox *inbox);

/* Waits until until_us for bytes and puts them into all inboxes that are on. Errors: those of serial_port_read. */
GW_MUST_CHECK enum gw_err serial_line_hear(struct serial_line_state *line, int64_t until_us,
                                           int wake_fd);
/* Hears what is there already, without waiting. GW_E_LINK: the port is gone. */
GW_MUST_CHECK enum gw_err serial_line_catch_up(struct serial_line_state *line);
/* Waits until the line was silent for silence_us, at most until until_us, hearing what comes meanwhile.
 * Errors: GW_E_TIMEOUT: it was never silent; GW_E_LINK; GW_E_CLOSED. */
GW_MUST_CHECK enum gw_err serial_line_wait_silent(struct serial_line_state *line,
                                                  int64_t silence_us, int64_t until_us);

/* Takes n bytes off the front. */
void serial_inbox_drop(struct serial_inbox *inbox, size_t n);

#endif
