/* store_sqlite: what the store_sqlite*.c files share. The only header that knows SQLite. */
#ifndef GW_STORE_SQLITE_H
#define GW_STORE_SQLITE_H

#include <sqlite3.h>

#include "gateway/store.h"
#include "gateway/store_reserve.h"

enum { GW_SQLITE_PAGE_BYTES = 4096 };

/* All are prepared when the store is opened. */
enum gw_sqlite_statement {
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

struct gw_store {
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
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
