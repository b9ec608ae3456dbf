/* config_secret: what comes from outside of the files: the environment, and passwords in files of their own. */
#include "gateway/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PASSWORD_MAX_BYTES = 4096, EXPANDED_MAX_BYTES = 16384 };

/* Gives the value of ${name}; NULL after a mistake. */
static const char *look_up(struct gw_loader *loader, const char *name, size_t len,
                           const struct gw_variable *variables, struct gw_mark mark)
{
    const struct gw_variable *variable = gw_variable_find(variables, name, len);

    if (variable)
        return variable->value;
    const char *copy = gw_arena_text(&loader->memory.nodes, name, len);
    const char *value = len ? loader->env->getenv(copy) : NULL;
    if (!value && loader->is_off)
        return "";
    if (!value)
        gw_diag_add(loader->diags, mark, "environment variable ${%s} is not set", copy);
    return value;
}

const char *gw_expand_environment(struct gw_loader *loader, const char *text,
                                  const struct gw_variable *variables, struct gw_mark mark)
{
    char buf[EXPANDED_MAX_BYTES];
    size_t len = 0;

    for (const char *p = text; *p;) {
        const char *piece = p, *open = strstr(p, "${"), *close = open ? strchr(open, '}') : NULL;
        size_t n = open == p ? 0 : open ? (size_t)(open - p) : strlen(p);

        if (open && !close) {
            gw_diag_add(loader->diags, mark, "\"${\" has no closing \"}\"");
            return NULL;
        }
        if (open == p) {
            piece = look_up(loader, open + 2, (size_t)(close - open - 2), variables, mark);
            if (!piece)
                return NULL;
            n = strlen(piece);
            p = close + 1;
        } else {
            p += n;
        }
        if (len + n >= sizeof buf) {
            gw_diag_add(loader->diags, mark,
                        "the text is too long with its variables put in (at most %d bytes)",
                        EXPANDED_MAX_BYTES - 1);
            return NULL;
        }
        memcpy(buf + len, piece, n);
        len += n;
    }
    return gw_arena_text(&loader->memory.texts, buf, len);
}

/* ---- password files -------------------------------------------------------------------------------- */

/* The service manager's credentials carry an access list, which shows as group bits: only others count there. */
static mode_t forbidden_mode(struct gw_loader *loader, const char *file)
{
    const char *dir = loader->env->getenv("CREDENTIALS_DIRECTORY");
    size_t len = dir ? strlen(dir) : 0;

    return len && strncmp(file, dir, len) == 0 && file[len] == '/' ? 007 : 077;
}

static bool check_owner(struct gw_loader *loader, const char *file, const struct stat *st,
                        struct gw_mark mark)
{
    mode_t forbidden = forbidden_mode(loader, file);

    if (!S_ISREG(st->st_mode))
        gw_diag_add(loader->diags, mark, "password_file %s is not a regular file", file);
    else if (st->st_uid != 0 && st->st_uid != geteuid())
        gw_diag_add(loader->diags, mark,
                    "password_file %s belongs to user %u; it must be root's or this user's", file,
                    (unsigned)st->st_uid);
    else if (st->st_mode & forbidden)
        gw_diag_add(loader->diags, mark,
                    "password_file %s is open to others (mode %04o); chmod 600 it", file,
                    (unsigned)st->st_mode & 07777);
    else
        return true;
    return false;
}

const char *gw_read_password_file(struct gw_loader *loader, const char *file, struct gw_mark mark)
{
    char buf[PASSWORD_MAX_BYTES +
             3]; /* with its line end, and one more to see that it is too long */
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = -1;

    if (fd >= 0 && fstat(fd, &st) == 0) {
        if (!check_owner(loader, file, &st, mark)) {
            close(fd);
            return NULL;
        }
        n = read(fd, buf, sizeof buf);
    }
    if (n < 0)
        gw_diag_add(loader->diags, mark, "cannot read password_file %s: %s", file, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return NULL;
    if (n > 0 && buf[n - 1] == '\n')
        n--;
    if (n > 0 && buf[n - 1] == '\r')
        n--;
    if (n == 0 || n > PASSWORD_MAX_BYTES || memchr(buf, '\0', (size_t)n)) {
        gw_diag_add(loader->diags, mark, "password_file %s %s", file,
                    n == 0                   ? "is empty"
                    : n > PASSWORD_MAX_BYTES ? "is too long"
                                             : "holds the character NUL");
        return NULL;
    }
    const char *password = gw_arena_text(&loader->memory.texts, buf, (size_t)n);
    explicit_bzero(buf, sizeof buf);
    return password;
}
