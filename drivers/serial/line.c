/* line: bytes of the port to inboxes. */
#include "drivers/serial/line.h"

#include <string.h>

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

enum gw_err serial_line_hear(struct serial_line_state *line, struct serial_inbox *const *inboxes,
                             size_t n_inboxes, int64_t until_us, int wake_fd)
{
    const struct gw_host *host = line->port.host;
    size_t len;
    enum gw_err err =
        serial_port_read(&line->port, until_us, wake_fd, line->rx, sizeof line->rx, &len);

    if (err != GW_OK)
        return err;
    line->last_us = host->now_us(host->ctx);
    for (size_t i = 0; i < n_inboxes; i++)
        if (inboxes[i]->is_on)
            put(inboxes[i], line->rx, len, line->last_us);
    return GW_OK;
}
