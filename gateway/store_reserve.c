/* store_reserve: one file, PATH-reserve. Its bytes are really taken, not only promised. */
#include "gateway/store_reserve.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum {
    MIN_BYTES = 256 * 1024,
    MAX_BYTES = 4 * 1024 * 1024, /* a log of SQLite's usual 1,000 pages */
    PART = 16,                   /* of what the store may hold */
    COMMITS = 64,                /* between two tries to have it again */
};

int64_t gw_reserve_bytes(uint64_t max_bytes)
{
    const uint64_t part = max_bytes / PART;

    if (part < MIN_BYTES)
        return MIN_BYTES;
    return part > MAX_BYTES ? MAX_BYTES : (int64_t)part;
}

static void take(struct gw_reserve *reserve)
{
    const int fd =
        open(reserve->path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0600);

    reserve->n_commits_without = 0;
    if (fd < 0)
        return;
    reserve->is_held = posix_fallocate(fd, 0, reserve->n_bytes) == 0;
    close(fd);
    if (!reserve->is_held)
        unlink(reserve->path);
}

void gw_reserve_init(struct gw_reserve *reserve, const char *store_path, uint64_t max_bytes)
{
    snprintf(reserve->path, sizeof reserve->path, "%s-reserve", store_path);
    reserve->n_bytes = gw_reserve_bytes(max_bytes);
    take(reserve);
}

void gw_reserve_give(struct gw_reserve *reserve)
{
    if (!reserve->is_held)
        return;
    unlink(reserve->path);
    reserve->is_held = false;
    reserve->n_commits_without = 0;
}

void gw_reserve_take_again(struct gw_reserve *reserve)
{
    if (reserve->path[0] != '\0' && !reserve->is_held)
        take(reserve);
}

void gw_reserve_note_commit(struct gw_reserve *reserve)
{
    if (++reserve->n_commits_without >= COMMITS)
        gw_reserve_take_again(reserve);
}
