/* line: the port of a bus, and an ear for each instrument that wants to hear what comes. Knows no frames.
 *
 * What comes goes to every ear that is on, since nobody can tell from a byte whose it is: instruments that talk unasked are
 * heard while another one is polled. What nobody fetches is bounded by the stream. */
#ifndef SERIAL_LINE_H
#define SERIAL_LINE_H

#include "drivers/serial/frame.h"
#include "drivers/serial/port.h"

struct serial_ear {
    struct serial_stream *stream;
    int64_t last_us; /* when the last byte came */
    bool is_on;
    struct serial_ear *next; /* of the same line */
};

/* The state of a bus. */
struct serial_line_state {
    struct serial_port_conf conf;
    struct serial_port port;
    struct serial_ear *ears;
    int64_t last_us; /* end of the last byte on the line in either direction */
    int64_t
        doubt_until_us; /* until then an answer may come that an instrument owed which has left */
    uint8_t rx[2048];
};

/* Adds an ear to the line. Owns: borrowed until it is removed or the port is opened anew. */
void serial_line_add(struct serial_line_state *line, struct serial_ear *ear);
void serial_line_remove(struct serial_line_state *line, struct serial_ear *ear);

/* Waits until until_us for bytes and gives them to all ears that are on. Errors: those of serial_port_read. */
GW_MUST_CHECK enum gw_err serial_line_hear(struct serial_line_state *line, int64_t until_us,
                                           int wake_fd);
/* Hears what is there already, without waiting. GW_E_LINK: the port is gone. */
GW_MUST_CHECK enum gw_err serial_line_catch_up(struct serial_line_state *line);
/* Waits until the line was silent for silence_us, at most until until_us, hearing what comes meanwhile.
 * Errors: GW_E_TIMEOUT: it was never silent; GW_E_LINK; GW_E_CLOSED. */
GW_MUST_CHECK enum gw_err serial_line_wait_silent(struct serial_line_state *line,
                                                  int64_t silence_us, int64_t until_us);

#endif
