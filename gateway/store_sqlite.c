/* store_sqlite: the store in an SQLite file.
 *
 * DESIGN: write-ahead log, synchronous=FULL: a commit is on the disk when it returns, with one flush. Locking is
 * exclusive: one program has the file, and there is no shared memory file that could be damaged from outside. After a
 * power loss SQLite finds the last commit; what it does not see are flipped bits in payloads, so each record carries a
 * CRC-32 over all of it, its number included. The number of pages is bounded, so that the file cannot fill the disk.
 * Every statement is prepared once. Deleted records leave free pages that the next ones use; the file gets smaller only
 * when it is told to, by a VACUUM, which costs as much as what is left in it.
 * On a full disk even a deletion needs room, in the log: for that a reserve is held. */
#include "gateway/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/store_record.h"
#include "gateway/store_reserve.h"

enum {
    APPLICATION_ID = 0x66326d71, /* "f2mq" */
    FORMAT = 1,
    PAGE_BYTES = 4096,
    SPARE_PAGES = 512,
    LOCK_WAIT_MS = 500,
    LENGTH_MAX = 300 * 1024 * 1024, /* more than any message may have */
};

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    INSERT,
    DELETE,
    READ,
    READ_BACK,
    SCAN,
    GET_STATE,
    SET_STATE,
    N_STATEMENTS,
};

#define READ_COLUMNS                                                                               \
    "SELECT seq, flags, acquired_ms, expires_ms, put_ms, crc, topic, correlation, payload "        \
    "FROM message WHERE seq BETWEEN ?1 AND ?2 "

#define SCAN_TEXT                                                                                  \
    "SELECT seq, flags, acquired_ms, expires_ms, put_ms, crc, topic, length(correlation), "        \
    "length(payload) FROM message WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq"

static const char *const sql[N_STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [INSERT] = "INSERT OR REPLACE INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [DELETE] = "DELETE FROM message WHERE seq BETWEEN ?1 AND ?2",
    [READ] = READ_COLUMNS "ORDER BY seq",
    [READ_BACK] = READ_COLUMNS "ORDER BY seq DESC",
    [SCAN] = SCAN_TEXT,
    [GET_STATE] = "SELECT value FROM meta WHERE name = 'state'",
    [SET_STATE] = "INSERT OR REPLACE INTO meta VALUES ('state', ?1)",
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

struct gw_store {
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    struct gw_reserve reserve;
    char why[GW_STORE_WHY];
};

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

static enum gw_store_fault note(struct gw_store *store, int rc)
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

static enum gw_store_fault run(struct gw_store *store, const char *text)
{
    return note(store, sqlite3_exec(store->db, text, NULL, NULL, NULL));
}

/* Asks for one number, -1 without one. */
static enum gw_store_fault ask(struct gw_store *store, const char *text, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, text, -1, &statement, NULL);

    *ret_number = -1;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    const enum gw_store_fault fault = note(store, rc);
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
    return run(store, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;"
                      "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -2000;"
                      "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON");
}

enum gw_store_fault gw_store_resize(struct gw_store *store, uint64_t max_bytes)
{
    const uint64_t n_pages = max_bytes / PAGE_BYTES * 5 / 4 + SPARE_PAGES;
    char text[60];

    snprintf(text, sizeof text, "PRAGMA max_page_count = %llu", (unsigned long long)n_pages);
    return run(store, text);
}

static enum gw_store_fault configure_writing(struct gw_store *store, uint64_t max_bytes)
{
    char text[300];

    snprintf(text, sizeof text,
             "PRAGMA page_size = %d; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
             "PRAGMA journal_size_limit = 4194304; PRAGMA wal_autocheckpoint = %lld",
             PAGE_BYTES, (long long)(gw_reserve_bytes(max_bytes) / PAGE_BYTES / 2));
    const enum gw_store_fault fault = run(store, text);

    return fault == GW_STORE_OK ? gw_store_resize(store, max_bytes) : fault;
}

/* Is it ours? An empty file is. */
static enum gw_store_fault check_format(struct gw_store *store, bool is_reader, bool *ret_is_empty)
{
    int64_t format, n_tables, n_own, id;
    enum gw_store_fault fault = ask(store, "PRAGMA user_version", &format);

    if (fault == GW_STORE_OK)
        fault = ask(store, "PRAGMA application_id", &id);
    if (fault == GW_STORE_OK)
        fault = ask(store, "SELECT count(*) FROM sqlite_schema", &n_tables);
    if (fault == GW_STORE_OK)
        fault = ask(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'message'", &n_own);
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
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        const int rc = sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                          &store->statements[i], NULL);
        if (rc != SQLITE_OK)
            return note(store, rc);
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
    fault = note(
        store,
        sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL));
    if (fault == GW_STORE_OK)
        fault = configure(store, is_reader);
    if (fault == GW_STORE_OK)
        fault = check_format(store, is_reader, &is_empty);
    if (fault == GW_STORE_OK && is_reader)
        fault = run(store, "PRAGMA query_only = ON");
    if (fault == GW_STORE_OK && !is_reader)
        fault = configure_writing(store, max_bytes);
    if (fault == GW_STORE_OK && !is_reader && is_empty)
        fault = run(store, schema);
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
    for (size_t i = 0; i < N_STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    free(store);
}

/* ---- records --------------------------------------------------------------------------------------- */

/* Steps a statement that gives no rows. */
static enum gw_store_fault finish(struct gw_store *store, enum statement which)
{
    sqlite3_stmt *statement = store->statements[which];
    const enum gw_store_fault fault = note(store, sqlite3_step(statement));

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return fault;
}

enum gw_store_fault gw_store_begin(struct gw_store *store)
{
    return finish(store, BEGIN);
}

enum gw_store_fault gw_store_commit(struct gw_store *store)
{
    const enum gw_store_fault fault = finish(store, COMMIT);

    if (fault == GW_STORE_OK)
        gw_reserve_note_commit(&store->reserve);
    return fault;
}

void gw_store_checkpoint(struct gw_store *store)
{
    sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* After some failures SQLite has rolled back by itself. */
void gw_store_rollback(struct gw_store *store)
{
    if (sqlite3_get_autocommit(store->db))
        return;
    sqlite3_step(store->statements[ROLLBACK]);
    sqlite3_reset(store->statements[ROLLBACK]);
}

/* Not incremental vacuum: the map of pages that it needs makes every insert write more, and files that were made without
 * it would never shrink. */
enum gw_store_fault gw_store_shrink(struct gw_store *store, uint64_t min_free_bytes,
                                    uint64_t max_left_bytes, uint64_t *ret_n_bytes)
{
    int64_t n_pages, n_free = 0;
    enum gw_store_fault fault = ask(store, "PRAGMA page_count", &n_pages);

    *ret_n_bytes = 0;
    if (fault == GW_STORE_OK)
        fault = ask(store, "PRAGMA freelist_count", &n_free);
    if (fault != GW_STORE_OK || (uint64_t)n_free * PAGE_BYTES <= min_free_bytes ||
        (uint64_t)(n_pages - n_free) * PAGE_BYTES > max_left_bytes)
        return fault;
    fault = run(store, "VACUUM");
    if (fault != GW_STORE_OK)
        return fault;
    gw_store_checkpoint(store); /* this cuts the file itself */
    gw_reserve_take_again(&store->reserve);
    *ret_n_bytes = (uint64_t)n_free * PAGE_BYTES;
    return GW_STORE_OK;
}

static void bind_bytes(sqlite3_stmt *statement, int at, const void *bytes, size_t len)
{
    /* NULL would be bound as NULL, not as no bytes */
    sqlite3_bind_blob64(statement, at, len > 0 ? bytes : "", len, SQLITE_STATIC);
}

enum gw_store_fault gw_store_insert(struct gw_store *store, const struct gw_record *record)
{
    sqlite3_stmt *statement = store->statements[INSERT];

    sqlite3_bind_int64(statement, 1, (int64_t)record->seq);
    sqlite3_bind_int64(statement, 2, gw_record_flags(record));
    sqlite3_bind_int64(statement, 3, record->acquired_wall_ms);
    sqlite3_bind_int64(statement, 4, record->expires_wall_ms);
    sqlite3_bind_int64(statement, 5, record->put_ms);
    sqlite3_bind_int64(statement, 6, gw_record_crc(record));
    bind_bytes(statement, 7, record->topic, record->topic_len);
    bind_bytes(statement, 8, record->correlation, record->correlation_len);
    bind_bytes(statement, 9, record->payload, record->payload_len);
    return finish(store, INSERT);
}

static void bind_range(sqlite3_stmt *statement, uint64_t first_seq, uint64_t last_seq)
{
    sqlite3_bind_int64(statement, 1, first_seq > INT64_MAX ? INT64_MAX : (int64_t)first_seq);
    sqlite3_bind_int64(statement, 2, last_seq > INT64_MAX ? INT64_MAX : (int64_t)last_seq);
}

enum gw_store_fault gw_store_delete(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                    uint64_t *ret_n_deleted)
{
    bind_range(store->statements[DELETE], first_seq, last_seq);
    const enum gw_store_fault fault = finish(store, DELETE);
    if (fault == GW_STORE_OK)
        *ret_n_deleted = (uint64_t)sqlite3_changes64(store->db);
    return fault;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static size_t column_bytes(sqlite3_stmt *statement, int at, const void **ret_bytes)
{
    const int len = sqlite3_column_bytes(statement, at);

    *ret_bytes = sqlite3_column_blob(statement, at);
    if (!*ret_bytes)
        *ret_bytes = "";
    return len > 0 ? (size_t)len : 0;
}

static void take_head(sqlite3_stmt *statement, struct gw_record *record)
{
    const int64_t flags = sqlite3_column_int64(statement, 1);
    const void *topic;

    *record = (struct gw_record){
        .seq = (uint64_t)sqlite3_column_int64(statement, 0),
        .qos = flags & 3,
        .retain = (flags & 4) != 0,
        .kind = (uint8_t)(flags >> 3),
        .acquired_wall_ms = sqlite3_column_int64(statement, 2),
        .expires_wall_ms = sqlite3_column_int64(statement, 3),
        .put_ms = sqlite3_column_int64(statement, 4),
    };
    record->topic_len = column_bytes(statement, 6, &topic);
    record->topic = topic;
}

enum gw_store_fault gw_store_read(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                  gw_store_visit *visit, void *ctx)
{
    const bool is_back = first_seq > last_seq;
    sqlite3_stmt *statement = store->statements[is_back ? READ_BACK : READ];
    bool goes_on = true;
    int rc = SQLITE_DONE;

    bind_range(statement, is_back ? last_seq : first_seq, is_back ? first_seq : last_seq);
    while (goes_on && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct gw_record record;

        take_head(statement, &record);
        record.correlation_len = column_bytes(statement, 7, &record.correlation);
        record.payload_len = column_bytes(statement, 8, &record.payload);
        const bool is_good = gw_record_crc(&record) == sqlite3_column_int64(statement, 5) &&
                             gw_record_flags(&record) == sqlite3_column_int64(statement, 1) &&
                             !memchr(record.topic, '\0', record.topic_len);
        goes_on = visit(ctx, record.seq, is_good ? &record : NULL);
    }
    const enum gw_store_fault fault = note(store, rc);
    sqlite3_reset(statement);
    return fault;
}

enum gw_store_fault gw_store_scan(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                  bool (*visit)(void *ctx, const struct gw_record *record),
                                  void *ctx)
{
    sqlite3_stmt *statement = store->statements[SCAN];
    bool goes_on = true;
    int rc = SQLITE_DONE;

    bind_range(statement, first_seq, last_seq);
    while (goes_on && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct gw_record record;

        take_head(statement, &record);
        record.correlation_len = (size_t)sqlite3_column_int64(statement, 7);
        record.payload_len = (size_t)sqlite3_column_int64(statement, 8);
        goes_on = visit(ctx, &record);
    }
    const enum gw_store_fault fault = note(store, rc);
    sqlite3_reset(statement);
    return fault;
}

/* ---- state ----------------------------------------------------------------------------------------- */

enum gw_store_fault gw_store_set_state(struct gw_store *store, const struct gw_store_state *state)
{
    unsigned char bytes[GW_STATE_BYTES];

    gw_state_encode(state, bytes);
    bind_bytes(store->statements[SET_STATE], 1, bytes, sizeof bytes);
    return finish(store, SET_STATE);
}

enum gw_store_fault gw_store_get_state(struct gw_store *store, struct gw_store_state *ret_state)
{
    sqlite3_stmt *statement = store->statements[GET_STATE];
    const int rc = sqlite3_step(statement);
    enum gw_store_fault fault = note(store, rc);
    const void *bytes;

    if (rc == SQLITE_ROW) {
        const size_t len = column_bytes(statement, 0, &bytes);
        if (!gw_state_decode(bytes, len, ret_state))
            fault = GW_STORE_DAMAGED;
    } else if (fault == GW_STORE_OK) {
        fault = GW_STORE_DAMAGED;
    }
    sqlite3_reset(statement);
    return fault;
}
