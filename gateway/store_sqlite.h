/* store_sqlite: what the store_sqlite*.c files share. The only header that knows SQLite. */
#ifndef GW_STORE_SQLITE_H
#define GW_STORE_SQLITE_H

#include <sqlite3.h>

#include "gateway/store.h"
#include "gateway/store_reserve.h"

enum { GW_SQLITE_PAGE_BYTES = 4096 };

/* All are prepared when the store is opened. */
enum gw_sqlite_statement {
    GW_SQLITE_BEGIN,
    GW_SQLITE_COMMIT,
    GW_SQLITE_ROLLBACK,
    GW_SQLITE_INSERT,
    GW_SQLITE_DELETE,
    GW_SQLITE_READ,
    GW_SQLITE_READ_BACK,
    GW_SQLITE_SCAN,
    GW_SQLITE_GET_STATE,
    GW_SQLITE_SET_STATE,
    GW_SQLITE_STATEMENTS,
};

struct gw_store {
    sqlite3 *db;
    sqlite3_stmt *statements[GW_SQLITE_STATEMENTS];
    struct gw_reserve reserve;
    char why[GW_STORE_WHY];
};

/* Keeps SQLite's words for what rc tells, and gives what it means. */
enum gw_store_fault gw_sqlite_note(struct gw_store *store, int rc);
/* Runs statements that give no rows. */
enum gw_store_fault gw_sqlite_run(struct gw_store *store, const char *text);
/* Asks for one number, -1 without one. */
enum gw_store_fault gw_sqlite_ask(struct gw_store *store, const char *text, int64_t *ret_number);

#endif
