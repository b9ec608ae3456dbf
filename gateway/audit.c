#include "gateway/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OLD_FILES = 4, NAME_MAX_BYTES = 4200 };

struct gw_audit {
    char *file;
    int64_t max_bytes, n_bytes;
    int fd;
};

struct gw_audit *gw_audit_new(const char *file, int64_t max_bytes)
{
    struct gw_audit *audit = calloc(1, sizeof *audit);

    if (!audit)
        return NULL;
    audit->fd = -1;
    audit->max_bytes = max_bytes;
    audit->file = strdup(file);
    if (!audit->file) {
        free(audit);
        return NULL;
    }
    return audit;
}

void gw_audit_free(struct gw_audit *audit)
{
    if (!audit)
        return;
    if (audit->fd >= 0)
        close(audit->fd);
    free(audit->file);
    free(audit);
}

static enum gw_err open_file(struct gw_audit *audit)
{
    struct stat st;

    audit->fd = open(audit->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (audit->fd < 0)
        return GW_E_LINK;
    audit->n_bytes = fstat(audit->fd, &st) == 0 ? (int64_t)st.st_size : 0;
    return GW_OK;
}

static void rotate(struct gw_audit *audit)
{
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];

    close(audit->fd);
    audit->fd = -1;
    for (int i = OLD_FILES; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%d", audit->file, i);
        if (i > 1)
            snprintf(from, sizeof from, "%s.%d", audit->file, i - 1);
        else
            snprintf(from, sizeof from, "%s", audit->file);
        (void)rename(from, to); /* what is not there is not moved */
    }
}

enum gw_err gw_audit_add(struct gw_audit *audit, const char *line, size_t len)
{
    struct iovec parts[] = {{(void *)(uintptr_t)line, len}, {(void *)(uintptr_t) "\n", 1}};

    if (audit->fd >= 0 && audit->n_bytes > 0 &&
        audit->n_bytes + (int64_t)len + 1 > audit->max_bytes)
        rotate(audit);
    if (audit->fd < 0 && open_file(audit) != GW_OK)
        return GW_E_LINK;
    const ssize_t n = writev(audit->fd, parts, 2);
    if (n > 0)
        audit->n_bytes += n;
    if (n == (ssize_t)len + 1)
        return GW_OK;
    if (n >= 0)
        errno = ENOSPC;
    return GW_E_LINK;
}
