/* store_sqlite: the store in an SQLite file.
 *
 * DESIGN: write-ahead log, synchronous=FULL: a commit is on the disk when it returns, with one flush. Locking is
 * exclusive: one program has the file, and there is no shared memory file that could be damaged from outside. After a
 * power loss SQLite finds the last commit; what it does not see are flipped bits in payloads, so each record carries a
 * CRC-32 over all of it, its number included. The number of pages is bounded, so that the file cannot fill the disk.
 * Every statement is prepared once. Deleted records leave free pages that the next ones use; the file gets smaller only
 * when it is told to, by a VACUUM, which costs as much as what is left in it.
 * On a full disk even a deletion needs room, in the log: for that a reserve is held. */
#include "gateway/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/store_record.h"

/* ---- records --------------------------------------------------------------------------------------- */

/* Steps a statement that gives no rows. */
static enum gw_store_fault finish(struct gw_store *store, enum gw_sqlite_statement which)
{
    sqlite3_stmt *statement = store->statements[which];
    const enum gw_store_fault fault = gw_sqlite_note(store, sqlite3_step(statement));

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return fault;
}

enum gw_store_fault gw_store_begin(struct gw_store *store)
{
    return finish(store, GW_SQLITE_BEGIN);
}

enum gw_store_fault gw_store_commit(struct gw_store *store)
{
    const enum gw_store_fault fault = finish(store, GW_SQLITE_COMMIT);

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
    sqlite3_step(store->statements[GW_SQLITE_ROLLBACK]);
    sqlite3_reset(store->statements[GW_SQLITE_ROLLBACK]);
}

/* Not incremental vacuum: the map of pages that it needs makes every insert write more, and files that were made without
 * it would never shrink. */
enum gw_store_fault gw_store_shrink(struct gw_store *store, uint64_t min_free_bytes,
                                    uint64_t max_left_bytes, uint64_t *ret_n_bytes)
{
    int64_t n_pages, n_free = 0;
    enum gw_store_fault fault = gw_sqlite_ask(store, "PRAGMA page_count", &n_pages);

    *ret_n_bytes = 0;
    if (fault == GW_STORE_OK)
        fault = gw_sqlite_ask(store, "PRAGMA freelist_count", &n_free);
    if (fault != GW_STORE_OK || (uint64_t)n_free * GW_SQLITE_PAGE_BYTES <= min_free_bytes ||
        (uint64_t)(n_pages - n_free) * GW_SQLITE_PAGE_BYTES > max_left_bytes)
        return fault;
    fault = gw_sqlite_run(store, "VACUUM");
    if (fault != GW_STORE_OK)
        return fault;
    gw_store_checkpoint(store); /* this cuts the file itself */
    gw_reserve_take_again(&store->reserve);
    *ret_n_bytes = (uint64_t)n_free * GW_SQLITE_PAGE_BYTES;
    return GW_STORE_OK;
}

static void bind_bytes(sqlite3_stmt *statement, int at, const void *bytes, size_t len)
{
    /* NULL would be bound as NULL, not as no bytes */
    sqlite3_bind_blob64(statement, at, len > 0 ? bytes : "", len, SQLITE_STATIC);
}

enum gw_store_fault gw_store_insert(struct gw_store *store, const struct gw_record *record)
{
    sqlite3_stmt *statement = store->statements[GW_SQLITE_INSERT];

    sqlite3_bind_int64(statement, 1, (int64_t)record->seq);
    sqlite3_bind_int64(statement, 2, gw_record_flags(record));
    sqlite3_bind_int64(statement, 3, record->acquired_wall_ms);
    sqlite3_bind_int64(statement, 4, record->expires_wall_ms);
    sqlite3_bind_int64(statement, 5, record->put_ms);
    sqlite3_bind_int64(statement, 6, gw_record_crc(record));
    bind_bytes(statement, 7, record->topic, record->topic_len);
    bind_bytes(statement, 8, record->correlation, record->correlation_len);
    bind_bytes(statement, 9, record->payload, record->payload_len);
    return finish(store, GW_SQLITE_INSERT);
}

static void bind_range(sqlite3_stmt *statement, uint64_t first_seq, uint64_t last_seq)
{
    sqlite3_bind_int64(statement, 1, first_seq > INT64_MAX ? INT64_MAX : (int64_t)first_seq);
    sqlite3_bind_int64(statement, 2, last_seq > INT64_MAX ? INT64_MAX : (int64_t)last_seq);
}

enum gw_store_fault gw_store_delete(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                    uint64_t *ret_n_deleted)
{
    bind_range(store->statements[GW_SQLITE_DELETE], first_seq, last_seq);
    const enum gw_store_fault fault = finish(store, GW_SQLITE_DELETE);
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

static bool is_as_written(sqlite3_stmt *statement, const struct gw_record *record)
{
    return gw_record_crc(record) == sqlite3_column_int64(statement, 5) &&
           gw_record_flags(record) == sqlite3_column_int64(statement, 1) &&
           !memchr(record->topic, '\0', record->topic_len);
}

/* Hands the rows of a range to `take` until it says that they are enough. */
static enum gw_store_fault walk(struct gw_store *store, enum gw_sqlite_statement which,
                                uint64_t first_seq, uint64_t last_seq,
                                bool (*take)(void *ctx, sqlite3_stmt *statement), void *ctx)
{
    sqlite3_stmt *statement = store->statements[which];
    int rc;

    bind_range(statement, first_seq, last_seq);
    do
        rc = sqlite3_step(statement);
    while (rc == SQLITE_ROW && take(ctx, statement));
    const enum gw_store_fault fault = gw_sqlite_note(store, rc);
    sqlite3_reset(statement);
    return fault;
}

static enum gw_store_fault misplaced(struct gw_store *store)
{
    snprintf(store->why, sizeof store->why, "records are not where their numbers belong");
    return GW_STORE_DAMAGED;
}

static bool note_one(void *ctx, sqlite3_stmt *statement)
{
    (void)statement;
    *(bool *)ctx = true;
    return false;
}

/* Says whether there is nothing in a range that a search from its beginning has found empty. That search goes by keys in
 * inner pages, which nothing checks; a flipped one sends it past records, and they would come out after the next start,
 * behind younger ones. A search from the other end comes upon them. */
static enum gw_store_fault check_gap(struct gw_store *store, uint64_t first_seq, uint64_t last_seq)
{
    bool has_one = false;
    const enum gw_store_fault fault =
        walk(store, GW_SQLITE_READ_BACK, first_seq, last_seq, note_one, &has_one);

    return has_one ? misplaced(store) : fault;
}

struct reading {
    struct gw_store *store;
    uint64_t first_seq, before_seq; /* before_seq: of the last record, 0: none yet */
    bool is_back;
    enum gw_store_fault fault;
    gw_store_visit *visit;
    void *ctx;
};

/* The numbers grow, and none is left out before the first one. */
static enum gw_store_fault check_place(const struct reading *reading, uint64_t seq)
{
    if (seq < reading->first_seq || seq <= reading->before_seq)
        return misplaced(reading->store);
    return seq > reading->first_seq && reading->before_seq == 0
               ? check_gap(reading->store, reading->first_seq, seq - 1)
               : GW_STORE_OK;
}

static bool read_row(void *ctx, sqlite3_stmt *statement)
{
    struct reading *reading = ctx;
    struct gw_record record;

    take_head(statement, &record);
    record.correlation_len = column_bytes(statement, 7, &record.correlation);
    record.payload_len = column_bytes(statement, 8, &record.payload);
    if (!reading->is_back)
        reading->fault = check_place(reading, record.seq);
    if (reading->fault != GW_STORE_OK)
        return false;
    reading->before_seq = record.seq;
    return reading->visit(reading->ctx, record.seq,
                          is_as_written(statement, &record) ? &record : NULL);
}

enum gw_store_fault gw_store_read(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                  gw_store_visit *visit, void *ctx)
{
    const bool is_back = first_seq > last_seq;
    struct reading reading = {store, first_seq, 0, is_back, GW_STORE_OK, visit, ctx};
    const enum gw_store_fault fault =
        is_back ? walk(store, GW_SQLITE_READ_BACK, last_seq, first_seq, read_row, &reading)
                : walk(store, GW_SQLITE_READ, first_seq, last_seq, read_row, &reading);

    if (reading.fault != GW_STORE_OK)
        return reading.fault;
    if (fault == GW_STORE_OK && !is_back && reading.before_seq == 0)
        return check_gap(store, first_seq, last_seq);
    return fault;
}

struct scan {
    bool (*visit)(void *ctx, const struct gw_record *record);
    void *ctx;
};

static bool scan_row(void *ctx, sqlite3_stmt *statement)
{
    const struct scan *scan = ctx;
    struct gw_record record;

    take_head(statement, &record);
    record.correlation_len = (size_t)sqlite3_column_int64(statement, 7);
    record.payload_len = (size_t)sqlite3_column_int64(statement, 8);
    return scan->visit(scan->ctx, &record);
}

enum gw_store_fault gw_store_scan(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                  bool (*visit)(void *ctx, const struct gw_record *record),
                                  void *ctx)
{
    struct scan scan = {visit, ctx};

    return walk(store, GW_SQLITE_SCAN, first_seq, last_seq, scan_row, &scan);
}

/* ---- state ----------------------------------------------------------------------------------------- */

enum gw_store_fault gw_store_set_state(struct gw_store *store, const struct gw_store_state *state)
{
    unsigned char bytes[GW_STATE_BYTES];

    gw_state_encode(state, bytes);
    bind_bytes(store->statements[GW_SQLITE_SET_STATE], 1, bytes, sizeof bytes);
    return finish(store, GW_SQLITE_SET_STATE);
}

enum gw_store_fault gw_store_get_state(struct gw_store *store, struct gw_store_state *ret_state)
{
    sqlite3_stmt *statement = store->statements[GW_SQLITE_GET_STATE];
    const int rc = sqlite3_step(statement);
    enum gw_store_fault fault = gw_sqlite_note(store, rc);
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
