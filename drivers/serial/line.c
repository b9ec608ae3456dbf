/* line: bytes of the port to inboxes. */
#include "drivers/serial/line.h"

#include <string.h>

enum { CATCH_UP_MAX = 64 };

void serial_line_add(struct serial_line_state *line, struct serial_inbox *inbox)
{
    inbox->next = line->inboxes;
    line->inboxes = inbox;
}

void serial_inbox_drop(struct serial_inbox *inbox, size_t n)
{
    inbox->len -= n;
    memmove(inbox->bytes, inbox->bytes + n, inbox->len);
}

static void put(struct serial_inbox *inbox, const uint8_t *bytes, size_t len, int64_t now_us)
{
    if (len > inbox->size) {
        inbox->n_lost += len - inbox->size;
        bytes += len - inbox->size;
        len = inbox->size;
    }
    if (inbox->len + len > inbox->size) {
        size_t n = inbox->len + len - inbox->size;

        inbox->n_lost += n;
        serial_inbox_drop(inbox, n);
    }
    memcpy(inbox->bytes + inbox->len, bytes, len);
    inbox->len += len;
    inbox->last_us = now_us;
}

static int64_t now_of(const struct serial_line_state *line)
{
    return line->port.host->now_us(line->port.host->ctx);
}

enum gw_err serial_line_hear(struct serial_line_state *line, int64_t until_us, int wake_fd)
{
    size_t len;
    enum gw_err err =
        serial_port_read(&line->port, until_us, wake_fd, line->rx, sizeof line->rx, &len);

    if (err != GW_OK)
        return err;
    line->last_us = now_of(line);
    for (struct serial_inbox *inbox = line->inboxes; inbox; inbox = inbox->next)
        if (inbox->is_on)
            put(inbox, line->rx, len, line->last_us);
    return GW_OK;
}

enum gw_err serial_line_catch_up(struct serial_line_state *line)
{
    enum gw_err err = GW_OK;

    /* Bounded, since a line that is never silent would hold us here. */
    for (int i = 0; i < CATCH_UP_MAX && err == GW_OK; i++)
        err = serial_line_hear(line, INT64_MIN, -1);
    return err == GW_E_TIMEOUT ? GW_OK : err;
}

enum gw_err serial_line_wait_silent(struct serial_line_state *line, int64_t silence_us,
                                    int64_t until_us)
{
    while (true) {
        enum gw_err err = serial_line_catch_up(line);
        int64_t silent_us = line->last_us + silence_us, now_us = now_of(line);

        if (err != GW_OK || silent_us <= now_us)
            return err;
        if (now_us >= until_us)
            return GW_E_TIMEOUT;
        err = serial_line_hear(line, silent_us < until_us ? silent_us : until_us,
                               line->port.host->wake_fd);
        if (err != GW_OK && err != GW_E_TIMEOUT)
            return err;
    }
}
