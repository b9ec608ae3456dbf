/* link_tty: locks a device file, sets its exact baud rate, and says why it cannot be had. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drivers/common/link.h"

enum gw_err link_say(struct gw_driver_diag *diag, const char *name, const char *what)
{
    diag->key = "port";
    snprintf(diag->text, sizeof diag->text, "port %.120s %s", name, what);
    return GW_E_LINK;
}

static enum gw_err say_no_permission(struct gw_driver_diag *diag, const char *name,
                                     const char *path)
{
    struct stat status;
    struct group group, *found = NULL;
    char names[1024], what[100];

    if (stat(path, &status) != 0 ||
        getgrgid_r(status.st_gid, &group, names, sizeof names, &found) != 0 || !found)
        return link_say(diag, name, "cannot be opened: permission denied");
    snprintf(what, sizeof what, "cannot be opened: permission denied; it belongs to group %.32s",
             found->gr_name);
    return link_say(diag, name, what);
}

enum gw_err link_say_errno(struct gw_driver_diag *diag, const char *name, const char *path,
                           int error)
{
    char what[100];

    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return link_say(diag, name, "does not exist");
    case EACCES:
    case EPERM:
        return say_no_permission(diag, name, path);
    case EBUSY:
    case EWOULDBLOCK:
        return link_say(diag, name, "is in use by another program");
    case ENXIO:
    case ENODEV:
    case EIO:
        return link_say(diag, name, "has no hardware behind it");
    case ENOTTY:
    case EISDIR:
        return link_say(diag, name, "is not a serial port");
    default:
        snprintf(what, sizeof what, "cannot be opened: %.60s", strerror(error));
        return link_say(diag, name, what);
    }
}

int link_lock_tty(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -1;
    int error = !isatty(fd) ? ENOTTY : flock(fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    if (!error)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

bool link_set_exact_baud(int fd, int64_t baud)
{
    struct termios2 settings;

    if (ioctl(fd, TCGETS2, &settings) != 0)
        return false;
    if (settings.c_ospeed == baud && settings.c_ispeed == baud)
        return true;
    settings.c_cflag &= ~(tcflag_t)(CBAUD | CBAUD << IBSHIFT);
    settings.c_cflag |= BOTHER | BOTHER << IBSHIFT;
    settings.c_ospeed = settings.c_ispeed = (speed_t)baud;
    if (ioctl(fd, TCSETS2, &settings) != 0 || ioctl(fd, TCGETS2, &settings) != 0)
        return false;
    /* The divider of the hardware rounds; 2 % is what a receiver stands. */
    int64_t off = (int64_t)settings.c_ospeed - baud;
    return (off < 0 ? -off : off) * 50 <= baud;
}
