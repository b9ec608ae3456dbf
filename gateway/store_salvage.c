/* store_salvage: what is done with a file that cannot be used any more: it gets another name, and what can still be read
 * of it goes into a new one. */
#include "gateway/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    N_PROBES = 64, /* places from which a gap is tried again */
    NAMES_MAX = 100,
};

/* ---- setting aside --------------------------------------------------------------------------------- */

static bool rename_part(const char *path, const char *aside, const char *ending)
{
    char from[GW_STORE_PATH + 8], to[GW_STORE_PATH + 8];

    snprintf(from, sizeof from, "%s%s", path, ending);
    snprintf(to, sizeof to, "%s%s", aside, ending);
    return rename(from, to) == 0 || errno == ENOENT;
}

enum gw_err gw_store_set_aside(const char *path, const char *word, int64_t wall_ms, char *ret_aside)
{
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    char time[32], ending[16] = "";
    int i = 1;

    gmtime_r(&seconds, &tm);
    strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &tm);
    do {
        const int len = snprintf(ret_aside, GW_STORE_PATH, "%s.%s-%s%s", path, word, time, ending);
        if (len >= GW_STORE_PATH || i > NAMES_MAX)
            return GW_E_CLOSED;
        snprintf(ending, sizeof ending, "-%d", ++i);
    } while (access(ret_aside, F_OK) == 0);
    /* The log first: without its file it is nothing, but a new file must not find it. */
    if (!rename_part(path, ret_aside, "-wal") || !rename_part(path, ret_aside, "-journal") ||
        !rename_part(path, ret_aside, ""))
        return GW_E_CLOSED;
    return GW_OK;
}

/* Gives how many files of that kind there are, and the name of the oldest. */
static int count_asides(const char *folder, const char *start, char *ret_oldest, size_t size)
{
    const size_t len = strlen(start);
    const struct dirent *entry;
    int n = 0;
    DIR *dir = opendir(folder);

    while (dir && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        const char *ending = strrchr(name, 'Z');

        if (strncmp(name, start, len) != 0 || !ending || strstr(ending, "-wal") ||
            strstr(ending, "-journal"))
            continue;
        if (n++ == 0 || strcmp(name, ret_oldest) < 0)
            snprintf(ret_oldest, size, "%s", name);
    }
    if (dir)
        closedir(dir);
    return n;
}

int gw_store_forget_asides(const char *path, const char *word, int n_kept)
{
    static const char *const endings[] = {"-wal", "-journal", ""};
    const char *slash = strrchr(path, '/');
    const int folder_len = slash ? (int)(slash - path) + 1 : 0;
    char folder[GW_STORE_PATH], start[GW_STORE_PATH], oldest[256], full[GW_STORE_PATH + 300];
    int n_forgotten = 0;

    snprintf(folder, sizeof folder, "%.*s", folder_len, path);
    snprintf(start, sizeof start, "%s.%s-", path + folder_len, word);
    while (count_asides(folder_len > 0 ? folder : ".", start, oldest, sizeof oldest) > n_kept) {
        for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
            snprintf(full, sizeof full, "%s%s%s", folder, oldest, endings[i]);
            if (unlink(full) != 0 && errno != ENOENT)
                return n_forgotten;
        }
        n_forgotten++;
    }
    return n_forgotten;
}

/* ---- salvage --------------------------------------------------------------------------------------- */

struct salvage {
    struct gw_store *from, *to;
    struct gw_salvage *result;
    uint64_t first_seq, last_seq; /* not yet looked at */
    enum gw_store_fault fault;    /* of the new store */
};

static bool keep(struct salvage *salvage, const struct gw_record *record)
{
    if (!record) {
        salvage->result->n_damaged++;
        return true;
    }
    salvage->fault = gw_store_insert(salvage->to, record);
    if (salvage->fault != GW_STORE_OK)
        return false;
    salvage->result->n_kept++;
    return true;
}

/* A damaged file may give numbers in any order, and for ever. */
static bool keep_forward(void *ctx, uint64_t seq, const struct gw_record *record)
{
    struct salvage *salvage = ctx;

    if (seq < salvage->first_seq || seq > salvage->last_seq)
        return false;
    salvage->first_seq = seq + 1;
    return keep(salvage, record);
}

static bool keep_backward(void *ctx, uint64_t seq, const struct gw_record *record)
{
    struct salvage *salvage = ctx;

    if (seq < salvage->first_seq || seq > salvage->last_seq)
        return false;
    salvage->last_seq = seq - 1;
    return keep(salvage, record);
}

/* From the beginning to where it cannot be read, from the end back to there, and then from places in between. */
static void read_all(struct salvage *salvage)
{
    if (gw_store_read(salvage->from, salvage->first_seq, salvage->last_seq, keep_forward,
                      salvage) == GW_STORE_OK ||
        salvage->fault != GW_STORE_OK)
        return;
    (void)gw_store_read(salvage->from, salvage->last_seq, salvage->first_seq, keep_backward,
                        salvage);
    const uint64_t start = salvage->first_seq;
    for (uint64_t i = 1; i < N_PROBES && salvage->fault == GW_STORE_OK; i++) {
        const uint64_t probe = start + (salvage->last_seq - start) / N_PROBES * i;

        if (salvage->first_seq < probe)
            salvage->first_seq = probe;
        if (salvage->first_seq >= salvage->last_seq)
            return;
        (void)gw_store_read(salvage->from, salvage->first_seq, salvage->last_seq, keep_forward,
                            salvage);
    }
}

static void copy_state(struct salvage *salvage)
{
    struct gw_store_state state;

    if (gw_store_get_state(salvage->from, &state) != GW_STORE_OK)
        return;
    salvage->fault = gw_store_set_state(salvage->to, &state);
    salvage->result->has_state = salvage->fault == GW_STORE_OK;
}

enum gw_store_fault gw_store_salvage(const char *aside, struct gw_store *store,
                                     struct gw_salvage *ret_salvage)
{
    struct salvage salvage = {
        .to = store, .result = ret_salvage, .first_seq = 1, .last_seq = INT64_MAX - 1};
    char why[GW_STORE_WHY];

    *ret_salvage = (struct gw_salvage){0};
    if (gw_store_open(aside, true, 0, &salvage.from, why) != GW_STORE_OK)
        return GW_STORE_OK; /* nothing in it can be reached */
    salvage.fault = gw_store_begin(store);
    if (salvage.fault == GW_STORE_OK)
        copy_state(&salvage);
    if (salvage.fault == GW_STORE_OK)
        read_all(&salvage);
    if (salvage.fault == GW_STORE_OK)
        salvage.fault = gw_store_commit(store);
    if (salvage.fault != GW_STORE_OK) {
        gw_store_rollback(store);
        *ret_salvage = (struct gw_salvage){0};
    }
    gw_store_close(salvage.from);
    return salvage.fault;
}
