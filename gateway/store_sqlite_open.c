/* store_sqlite_open: what SQLite's errors mean, and opening and closing its file. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/store_sqlite.h"

enum {
    APPLICATION_ID = 0x66326d71, /* "f2mq" */
    FORMAT = 1,
    SPARE_PAGES = 512,
    LOCK_WAIT_MS = 500,
    LENGTH_MAX = 300 * 1024 * 1024, /* more than any message may have */
};

#define READ_COLUMNS                                                                               \
    "SELECT seq, flags, acquired_ms, expires_ms, put_ms, crc, topic, correlation, payload "        \
    "FROM message WHERE seq BETWEEN ?1 AND ?2 "

#define SCAN_TEXT                                                                                  \
    "SELECT seq, flags, acquired_ms, expires_ms, put_ms, crc, topic, length(correlation), "        \
    "length(payload) FROM message WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq"

static const char *const sql[GW_SQLITE_STATEMENTS] = {
    [GW_SQLITE_BEGIN] = "BEGIN IMMEDIATE",
    [GW_SQLITE_COMMIT] = "COMMIT",
    [GW_SQLITE_ROLLBACK] = "ROLLBACK",
    [GW_SQLITE_INSERT] =
        "INSERT OR REPLACE INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [GW_SQLITE_DELETE] = "DELETE FROM message WHERE seq BETWEEN ?1 AND ?2",
    [GW_SQLITE_READ] = READ_COLUMNS "ORDER BY seq",
    [GW_SQLITE_READ_BACK] = READ_COLUMNS "ORDER BY seq DESC",
    [GW_SQLITE_SCAN] = SCAN_TEXT,
    [GW_SQLITE_GET_STATE] = "SELECT value FROM meta WHERE name = 'state'",
    [GW_SQLITE_SET_STATE] = "INSERT OR REPLACE INTO meta VALUES ('state', ?1)",
};

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE message (seq INTEGER PRIMARY KEY, flags INTEGER NOT NULL,"
    " acquired_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, put_ms INTEGER NOT NULL,"
    " crc INTEGER NOT NULL, topic BLOB NOT NULL, correlation BLOB NOT NULL, payload BLOB NOT NULL);"
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1714580849;"
    "PRAGMA user_version = 1;"
    "COMMIT";

/* ---- faults ---------------------------------------------------------------------------------------- */

static enum gw_store_fault fault_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return GW_STORE_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return GW_STORE_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a schema that is not ours: no such table or column */
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
        return GW_STORE_DAMAGED;
    case SQLITE_FULL:
        return GW_STORE_FULL;
    default:
        return GW_STORE_UNUSABLE;
    }
}

enum gw_store_fault gw_sqlite_note(struct gw_store *store, int rc)
{
    const enum gw_store_fault fault = fault_of(rc);

    if (fault == GW_STORE_OK)
        return fault;
    if (fault == GW_STORE_FULL)
        gw_reserve_give(&store->reserve);
    const int error = sqlite3_system_errno(store->db);
    const bool has_error = fault == GW_STORE_UNUSABLE && error != 0;
    snprintf(store->why, sizeof store->why, "%s%s%s", sqlite3_errmsg(store->db),
             has_error ? ": " : "", has_error ? strerror(error) : "");
    return fault;
}

const char *gw_store_why(const struct gw_store *store)
{
    return store->why;
}

/* ---- opening --------------------------------------------------------------------------------------- */

enum gw_store_fault gw_sqlite_run(struct gw_store *store, const char *text)
{
    return gw_sqlite_note(store, sqlite3_exec(store->db, text, NULL, NULL, NULL));
}

enum gw_store_fault gw_sqlite_ask(struct gw_store *store, const char *text, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, text, -1, &statement, NULL);

    *ret_number = -1;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    const enum gw_store_fault fault = gw_sqlite_note(store, rc);
    sqlite3_finalize(statement);
    return fault;
}

static enum gw_store_fault configure(struct gw_store *store, bool is_reader)
{
    sqlite3_busy_timeout(store->db, LOCK_WAIT_MS);
    sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, LENGTH_MAX);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* What a reader writes would be the log, taken over when it is closed. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_reader, NULL);
    /* Locking before anything that looks into the file: else a shared memory file is made. */
    return gw_sqlite_run(store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
                                "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2000;"
                                "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON");
}

enum gw_store_fault gw_store_resize(struct gw_store *store, uint64_t max_bytes)
{
    const uint64_t n_pages = max_bytes / GW_SQLITE_PAGE_BYTES * 5 / 4 + SPARE_PAGES;
    char text[60];

    snprintf(text, sizeof text, "PRAGMA max_page_count = %llu", (unsigned long long)n_pages);
    return gw_sqlite_run(store, text);
}

static enum gw_store_fault configure_writing(struct gw_store *store, uint64_t max_bytes)
{
    char text[300];

    snprintf(text, sizeof text,
             "PRAGMA page_size = %d; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
             "PRAGMA journal_size_limit = 4194304; PRAGMA wal_autocheckpoint = %lld",
             GW_SQLITE_PAGE_BYTES,
             (long long)(gw_reserve_bytes(max_bytes) / GW_SQLITE_PAGE_BYTES / 2));
    const enum gw_store_fault fault = gw_sqlite_run(store, text);

    return fault == GW_STORE_OK ? gw_store_resize(store, max_bytes) : fault;
}

/* Is it ours? An empty file is. */
static enum gw_store_fault check_format(struct gw_store *store, bool is_reader, bool *ret_is_empty)
{
    int64_t format, n_tables, n_own, id;
    enum gw_store_fault fault = gw_sqlite_ask(store, "PRAGMA user_version", &format);

    if (fault == GW_STORE_OK)
        fault = gw_sqlite_ask(store, "PRAGMA application_id", &id);
    if (fault == GW_STORE_OK)
        fault = gw_sqlite_ask(store, "SELECT count(*) FROM sqlite_schema", &n_tables);
    if (fault == GW_STORE_OK)
        fault = gw_sqlite_ask(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'message'",
                              &n_own);
    if (fault != GW_STORE_OK)
        return fault;
    *ret_is_empty = n_tables == 0 && format == 0;
    /* Ours with damage in its head still has its table. */
    if (n_tables > 0 && id != APPLICATION_ID && (format == 0 || n_own == 0)) {
        snprintf(store->why, sizeof store->why, "it is a database of another program");
        return GW_STORE_UNUSABLE;
    }
    /* Read with the same statements, or not at all; the checksums tell whether it was right to. */
    if (format > FORMAT && !is_reader) {
        snprintf(store->why, sizeof store->why, "it has format %lld, this program writes %d",
                 (long long)format, FORMAT);
        return GW_STORE_NEWER;
    }
    return GW_STORE_OK;
}

static enum gw_store_fault prepare(struct gw_store *store)
{
    for (size_t i = 0; i < GW_SQLITE_STATEMENTS; i++) {
        const int rc = sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                          &store->statements[i], NULL);
        if (rc != SQLITE_OK)
            return gw_sqlite_note(store, rc);
    }
    return GW_STORE_OK;
}

/* SQLite says "unable to open" of all of these, and would make a file that all may read. */
static enum gw_store_fault look_at(const char *path, bool is_reader, char *why)
{
    struct stat status;
    const int fd = open(path, (is_reader ? 0 : O_CREAT) | O_RDWR | O_CLOEXEC | O_NOCTTY, 0600);

    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(why, GW_STORE_WHY, "%s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return GW_STORE_UNUSABLE;
    }
    close(fd);
    if (S_ISREG(status.st_mode))
        return GW_STORE_OK;
    snprintf(why, GW_STORE_WHY, "it is not a file");
    return GW_STORE_UNUSABLE;
}

enum gw_store_fault gw_store_open(const char *path, bool is_reader, uint64_t max_bytes,
                                  struct gw_store **ret_store, char *why)
{
    struct gw_store *store;
    enum gw_store_fault fault = look_at(path, is_reader, why);
    bool is_empty = false;

    if (fault != GW_STORE_OK)
        return fault;
    store = calloc(1, sizeof *store);
    if (!store) {
        snprintf(why, GW_STORE_WHY, "out of memory");
        return GW_STORE_UNUSABLE;
    }
    fault = gw_sqlite_note(
        store,
        sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL));
    if (fault == GW_STORE_OK)
        fault = configure(store, is_reader);
    if (fault == GW_STORE_OK)
        fault = check_format(store, is_reader, &is_empty);
    if (fault == GW_STORE_OK && is_reader)
        fault = gw_sqlite_run(store, "PRAGMA query_only = ON");
    if (fault == GW_STORE_OK && !is_reader)
        fault = configure_writing(store, max_bytes);
    if (fault == GW_STORE_OK && !is_reader && is_empty)
        fault = gw_sqlite_run(store, schema);
    if (fault == GW_STORE_OK)
        fault = prepare(store);
    if (fault == GW_STORE_OK && !is_reader && max_bytes > 0)
        gw_reserve_init(&store->reserve, path, max_bytes);
    if (fault != GW_STORE_OK) {
        snprintf(why, GW_STORE_WHY, "%s", store->why);
        gw_store_close(store);
        return fault;
    }
    *ret_store = store;
    return GW_STORE_OK;
}

void gw_store_close(struct gw_store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < GW_SQLITE_STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    free(store);
}
