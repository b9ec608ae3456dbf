/* link_pty: makes and removes the pty of a simulated line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "drivers/common/link.h"

enum { PTS_NAME = 64 };

static enum gw_err say(struct gw_driver_diag *diag, const char *path, const char *what)
{
    diag->key = "port";
    snprintf(diag->text, sizeof diag->text, "%.120s %s", path, what);
    return GW_E_LINK;
}

/* Where a link leads; "" for what is none. */
static const char *target_of(const char *path, char target[PTS_NAME])
{
    ssize_t len = readlink(path, target, PTS_NAME - 1);

    target[len < 0 ? 0 : len] = '\0';
    return target;
}

/* A link that we made leads to a pty. Anything else at that place belongs to somebody. */
static bool is_our_link(const char *path)
{
    char target[PTS_NAME];

    return strncmp(target_of(path, target), "/dev/pts/", 9) == 0;
}

static bool open_pair(struct link_pty *pty, char name[PTS_NAME])
{
    struct termios raw;

    pty->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->fd < 0 || grantpt(pty->fd) != 0 || unlockpt(pty->fd) != 0 ||
        ptsname_r(pty->fd, name, PTS_NAME) != 0)
        return false;
    pty->other_fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->other_fd < 0 || tcgetattr(pty->other_fd, &raw) != 0)
        return false;
    cfmakeraw(&raw); /* else what is sent before a gateway has come echoes for ever */
    return tcsetattr(pty->other_fd, TCSANOW, &raw) == 0;
}

static enum gw_err make_link(const char *name, const char *path, struct gw_driver_diag *diag)
{
    struct stat status;

    if (lstat(path, &status) == 0 && !is_our_link(path))
        return say(diag, path, "is in the way: it is no link to a simulated port");
    (void)unlink(path);
    return symlink(name, path) == 0 ? GW_OK : say(diag, path, strerror(errno));
}

enum gw_err link_open_pty(struct link_pty *pty, const char *path, struct gw_driver_diag *diag)
{
    char name[PTS_NAME];

    *pty = (struct link_pty){.path = path, .fd = -1, .other_fd = -1};
    enum gw_err err =
        open_pair(pty, name) ? make_link(name, path, diag) : say(diag, "pty:", strerror(errno));
    if (err)
        link_close_pty(pty);
    return err;
}

static void remove_link(const struct link_pty *pty)
{
    char name[PTS_NAME], target[PTS_NAME];

    if (ptsname_r(pty->fd, name, sizeof name) == 0 &&
        strcmp(target_of(pty->path, target), name) == 0)
        (void)unlink(pty->path);
}

void link_close_pty(struct link_pty *pty)
{
    if (pty->fd >= 0) {
        remove_link(pty);
        close(pty->fd);
    }
    if (pty->other_fd >= 0)
        close(pty->other_fd);
    pty->fd = pty->other_fd = -1;
}
