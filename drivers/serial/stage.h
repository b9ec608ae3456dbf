/* stage: where simulated instruments play: a pty with a link to it, paced as a line. Knows no instruments.
 *
 * DESIGN: one thread, one poll loop. A pty delivers at once what takes its time on a line, so bytes are handed out no faster
 * than the line carries them. A reader that does not come to fetch them loses them, as on a line. */
#ifndef SERIAL_STAGE_H
#define SERIAL_STAGE_H

#include "drivers/common/link.h"
#include "drivers/serial/port.h"

enum { SERIAL_STAGE_MAX = 16384 }; /* bytes under way; more are dropped */

struct serial_stage {
    const struct gw_host *host;
    struct serial_line line;
    struct link_pty pty;
    int64_t start_us; /* when the first byte of the queue began */
    size_t n_handed;  /* since then */
    size_t n_queued;
    uint8_t queue[SERIAL_STAGE_MAX];
};

/* Makes the pty and the link at path. After an error nothing is left to close.
 * Errors: GW_E_LINK with the sentence in diag. */
GW_MUST_CHECK enum gw_err serial_stage_open(struct serial_stage *stage, const char *path,
                                            const struct serial_line *line,
                                            const struct gw_host *host,
                                            struct gw_driver_diag *diag);
/* Removes the link, if it is still ours. */
void serial_stage_close(struct serial_stage *stage);

/* Puts bytes behind those that are under way. False: no room, nothing was taken. */
bool serial_stage_say(struct serial_stage *stage, const uint8_t *bytes, size_t len);

/* Hands out what is due and waits until something is heard, until_us, or stop_fd.
 * Errors: GW_OK with *ret_len heard bytes, of which there may be none; GW_E_CLOSED: stop_fd is readable. */
GW_MUST_CHECK enum gw_err serial_stage_step(struct serial_stage *stage, int64_t until_us,
                                            int stop_fd, uint8_t *buf, size_t size,
                                            size_t *ret_len);

#endif
