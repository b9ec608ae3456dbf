/* line: bytes of the port to ears. */
#include "drivers/serial/line.h"

/* After a silence of so many characters, and what adapters gather, the next byte begins a message. */
#define SILENCE_CHARS 3
#define SILENCE_US    20000

enum { CATCH_UP_MAX = 64 };

void serial_line_add(struct serial_line_state *line, struct serial_ear *ear)
{
    ear->next = line->ears;
    line->ears = ear;
}

void serial_line_remove(struct serial_line_state *line, struct serial_ear *ear)
{
    struct serial_ear **at = &line->ears;

    while (*at && *at != ear)
        at = &(*at)->next;
    if (*at)
        *at = ear->next;
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
    int64_t now_us = now_of(line);
    bool is_begin =
        now_us - line->last_us >= SILENCE_US + serial_line_us(&line->port.line, SILENCE_CHARS);
    line->last_us = now_us;
    for (struct serial_ear *ear = line->ears; ear; ear = ear->next) {
        if (!ear->is_on)
            continue;
        if (is_begin && ear->stream->len == 0)
            serial_stream_reset(ear->stream, ear->stream->conf, true);
        serial_stream_put(ear->stream, line->rx, len);
        ear->last_us = line->last_us;
    }
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
