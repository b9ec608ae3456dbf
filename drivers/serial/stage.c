/* stage: a pty for simulated instruments. */
#include "drivers/serial/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

enum { PTS_NAME = 64, TICK_US = 1000 };

/* ---- the pty --------------------------------------------------------------------------------------- */

static enum gw_err say(struct gw_driver_diag *diag, const char *path, const char *what)
{
    diag->key = "port";
    snprintf(diag->text, sizeof diag->text, "%.120s %s", path, what);
    return GW_E_LINK;
}

/* A link that we made leads to a pty. Anything else at that place belongs to somebody. */
static bool is_our_link(const char *path)
{
    char target[PTS_NAME];
    ssize_t len = readlink(path, target, sizeof target - 1);

    if (len < 0)
        return false;
    target[len] = '\0';
    return strncmp(target, "/dev/pts/", 9) == 0;
}

static bool open_pair(struct serial_stage *stage, char name[PTS_NAME])
{
    struct termios raw;

    stage->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (stage->fd < 0 || grantpt(stage->fd) != 0 || unlockpt(stage->fd) != 0 ||
        ptsname_r(stage->fd, name, PTS_NAME) != 0)
        return false;
    stage->other_fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (stage->other_fd < 0 || tcgetattr(stage->other_fd, &raw) != 0)
        return false;
    cfmakeraw(&raw); /* else what is sent before a gateway has come echoes for ever */
    return tcsetattr(stage->other_fd, TCSANOW, &raw) == 0;
}

static enum gw_err make_link(const char *name, const char *path, struct gw_driver_diag *diag)
{
    struct stat status;

    if (lstat(path, &status) == 0 && !is_our_link(path))
        return say(diag, path, "is in the way: it is no link to a simulated port");
    (void)unlink(path);
    return symlink(name, path) == 0 ? GW_OK : say(diag, path, strerror(errno));
}

enum gw_err serial_stage_open(struct serial_stage *stage, const char *path,
                              const struct serial_line *line, const struct gw_host *host,
                              struct gw_driver_diag *diag)
{
    char name[PTS_NAME];

    stage->host = host;
    stage->path = path;
    stage->line = *line;
    stage->fd = stage->other_fd = -1;
    stage->n_queued = stage->n_handed = 0;
    enum gw_err err =
        open_pair(stage, name) ? make_link(name, path, diag) : say(diag, "pty:", strerror(errno));
    if (err != GW_OK)
        serial_stage_close(stage);
    return err;
}

static void remove_link(const struct serial_stage *stage)
{
    char name[PTS_NAME], target[PTS_NAME];
    ssize_t len = readlink(stage->path, target, sizeof target - 1);

    if (len < 0 || ptsname_r(stage->fd, name, sizeof name) != 0)
        return;
    target[len] = '\0';
    if (strcmp(target, name) == 0)
        (void)unlink(stage->path);
}

void serial_stage_close(struct serial_stage *stage)
{
    if (stage->fd >= 0) {
        remove_link(stage);
        close(stage->fd);
    }
    if (stage->other_fd >= 0)
        close(stage->other_fd);
    stage->fd = stage->other_fd = -1;
}

/* ---- the line -------------------------------------------------------------------------------------- */

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
        (void)!write(stage->fd, stage->queue, n); /* what nobody fetches is lost, as on a line */
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
    enum gw_err err = link_wait(stage->host, stage->fd, POLLIN, stop_fd, until_us);
    if (err == GW_E_TIMEOUT)
        return GW_OK;
    if (err != GW_OK)
        return err;
    ssize_t n = read(stage->fd, buf, size);
    if (n > 0)
        *ret_len = (size_t)n;
    return GW_OK;
}
