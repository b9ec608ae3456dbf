/* stage: see the header. */
#include "drivers/serial/stage.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { TICK_US = 1000 };

enum gw_err serial_stage_open(struct serial_stage *stage, const char *path,
                              const struct serial_line *line, const struct gw_host *host,
                              struct gw_driver_diag *diag)
{
    stage->host = host;
    stage->line = *line;
    stage->n_queued = stage->n_handed = 0;
    return link_open_pty(&stage->pty, path, diag);
}

void serial_stage_close(struct serial_stage *stage)
{
    link_close_pty(&stage->pty);
}

static int64_t now_of(const struct serial_stage *stage)
{
    return stage->host->now_us(stage->host->ctx);
}

bool serial_stage_say(struct serial_stage *stage, const uint8_t *bytes, size_t len)
{
    if (len > sizeof stage->queue - stage->n_queued)
        return false;
    if (stage->n_queued == 0) {
        stage->start_us = now_of(stage);
        stage->n_handed = 0;
    }
    memcpy(stage->queue + stage->n_queued, bytes, len);
    stage->n_queued += len;
    return true;
}

/* When byte n since start_us has passed. */
static int64_t due_us(const struct serial_stage *stage, size_t n)
{
    return stage->start_us + serial_line_us(&stage->line, n);
}

/* Hands out what is due; gives when the next byte is, INT64_MAX without one. */
static int64_t hand_out(struct serial_stage *stage)
{
    int64_t now_us = now_of(stage);
    size_t n = 0;

    while (n < stage->n_queued && due_us(stage, stage->n_handed + n + 1) <= now_us)
        n++;
    if (n > 0)
        (void)!write(stage->pty.fd, stage->queue,
                     n); /* what nobody fetches is lost, as on a line */
    stage->n_handed += n;
    stage->n_queued -= n;
    memmove(stage->queue, stage->queue + n, stage->n_queued);
    return stage->n_queued > 0 ? due_us(stage, stage->n_handed + 1) : INT64_MAX;
}

enum gw_err serial_stage_step(struct serial_stage *stage, int64_t until_us, int stop_fd,
                              uint8_t *buf, size_t size, size_t *ret_len)
{
    int64_t next_us = hand_out(stage);

    *ret_len = 0;
    if (next_us < until_us)
        until_us = next_us + TICK_US; /* bytes due within one tick are handed out together */
    enum gw_err err = link_wait(stage->host, stage->pty.fd, POLLIN, stop_fd, until_us);
    if (err == GW_E_TIMEOUT)
        return GW_OK;
    if (err != GW_OK)
        return err;
    ssize_t n = read(stage->pty.fd, buf, size);
    if (n > 0)
        *ret_len = (size_t)n;
    return GW_OK;
}
