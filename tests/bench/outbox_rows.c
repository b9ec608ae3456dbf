/* How fast the outbox puts rows on the disk with durability: always, against plain SQLite inserts with the same group
 * commit in the same run, on the same disk; the bytes written per row; and how fast it gives them out again.
 * Usage: outbox_rows FOLDER N_ROWS; prints name=value lines. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gateway/clock.h"
#include "gateway/config.h"
#include "gateway/outbox.h"

enum { ROWS_PER_COMMIT = 500, TOPIC_BYTES = 45, PAYLOAD_BYTES = 200, AHEAD = 4 * ROWS_PER_COMMIT };

static char topic[TOPIC_BYTES + 1], payload[PAYLOAD_BYTES + 1];

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static double now_s(void)
{
    return (double)gw_now_us(&gw_system_clock) / 1e6;
}

/* What this process has caused to be written to the disk. Source: proc(5), /proc/pid/io. */
static uint64_t written_bytes(void)
{
    FILE *file = fopen("/proc/self/io", "r");
    char line[128];
    uint64_t n = 0;

    while (file && fgets(line, sizeof line, file))
        (void)sscanf(line, "write_bytes: %" SCNu64, &n);
    if (file)
        fclose(file);
    return n;
}

static long memory_kb(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long n_pages = 0;

    if (!file || fscanf(file, "%*d %ld", &n_pages) != 1)
        die("cannot read /proc/self/statm");
    fclose(file);
    return n_pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
}

/* The least that any program would do for the same promise: a transaction of 500 inserts, on the disk at its end. */
static double plain_rows_per_s(const char *folder, long n_rows, double *ret_bytes)
{
    char path[512];
    sqlite3 *db;
    sqlite3_stmt *insert;

    snprintf(path, sizeof path, "%s/plain.db", folder);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        die("cannot open");
    run(db, "PRAGMA page_size=4096; PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA "
            "synchronous=FULL;"
            "CREATE TABLE m (seq INTEGER PRIMARY KEY, ts INTEGER, topic BLOB, payload BLOB)");
    sqlite3_prepare_v2(db, "INSERT INTO m VALUES (?1, ?2, ?3, ?4)", -1, &insert, NULL);
    const uint64_t bytes = written_bytes();
    const double begin_s = now_s();
    for (long i = 0; i < n_rows; i++) {
        if (i % ROWS_PER_COMMIT == 0)
            run(db, "BEGIN");
        sqlite3_bind_int64(insert, 1, i + 1);
        sqlite3_bind_int64(insert, 2, gw_wall_ms(&gw_system_clock));
        sqlite3_bind_blob(insert, 3, topic, TOPIC_BYTES, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 4, payload, PAYLOAD_BYTES, SQLITE_STATIC);
        if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK)
            die(sqlite3_errmsg(db));
        if ((i + 1) % ROWS_PER_COMMIT == 0)
            run(db, "COMMIT");
    }
    const double rate = (double)n_rows / (now_s() - begin_s);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    *ret_bytes = (double)(written_bytes() - bytes) / (double)n_rows;
    return rate;
}

static uint64_t n_on_disk(struct gw_outbox *outbox)
{
    struct gw_outbox_stats stats = {0};

    outbox->ops->stats(outbox, &stats);
    if (stats.is_degraded || stats.n_dropped > 0)
        die("the outbox drops or is degraded");
    return stats.n_rows_written;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static struct gw_outbox *open_outbox(const char *folder)
{
    static char path[512];
    static struct gw_buffer_conf conf;
    struct gw_outbox *outbox;

    snprintf(path, sizeof path, "%s/outbox.db", folder);
    conf = (struct gw_buffer_conf){.durability = GW_DURABLE_ALWAYS,
                                   .path = path,
                                   .max_bytes = (int64_t)4 << 30,
                                   .max_age_us = (int64_t)7 * 86400 * 1000000,
                                   .commit_interval_us = 1000000};
    if (gw_outbox_open(&conf, &gw_system_clock, &outbox) != GW_OK)
        die("cannot open the outbox");
    return outbox;
}

/* Puts rows as fast as they get to the disk, never more than AHEAD in front of it. */
static double put_rows_per_s(struct gw_outbox *outbox, long n_rows, double *ret_bytes)
{
    const struct gw_message message = {.topic = topic,
                                       .payload = payload,
                                       .payload_len = PAYLOAD_BYTES,
                                       .qos = 1,
                                       .acquired_wall_ms = gw_wall_ms(&gw_system_clock)};
    const uint64_t bytes = written_bytes();
    const double begin_s = now_s();

    for (long i = 0; i < n_rows; i++) {
        while (i % 100 == 0 && (uint64_t)i > n_on_disk(outbox) + AHEAD)
            pause_a_little();
        if (outbox->ops->put(outbox, &message) != GW_OK)
            die("put failed");
    }
    while (n_on_disk(outbox) < (uint64_t)n_rows)
        pause_a_little();
    *ret_bytes = (double)(written_bytes() - bytes) / (double)n_rows;
    return (double)n_rows / (now_s() - begin_s);
}

/* Gives out and acknowledges all, as a broker would that answers at once. */
static double drain_rows_per_s(struct gw_outbox *outbox, long n_rows)
{
    struct gw_message message;
    const double begin_s = now_s();

    for (long n = 0; n < n_rows;) {
        if (outbox->ops->next(outbox, &message) != GW_OK) {
            pause_a_little();
            continue;
        }
        outbox->ops->ack(outbox, message.seq);
        n++;
    }
    return (double)n_rows / (now_s() - begin_s);
}

int main(int argc, char **argv)
{
    double plain_bytes, outbox_bytes;

    if (argc != 3)
        die("usage: outbox_rows FOLDER N_ROWS");
    const long n_rows = atol(argv[2]) / ROWS_PER_COMMIT * ROWS_PER_COMMIT;
    memset(topic, 't', TOPIC_BYTES);
    memset(payload, 'p', PAYLOAD_BYTES);
    const double plain = plain_rows_per_s(argv[1], n_rows, &plain_bytes);
    struct gw_outbox *outbox = open_outbox(argv[1]);
    const long before_kb = memory_kb();
    const double put = put_rows_per_s(outbox, n_rows, &outbox_bytes);
    const long after_kb = memory_kb();
    const double drain = drain_rows_per_s(outbox, n_rows);
    gw_outbox_free(outbox);
    printf("plain=%.0f\nput=%.0f\nplain_bytes=%.0f\noutbox_bytes=%.0f\ndrain=%.0f\ngrown_kb=%ld\n",
           plain, put, plain_bytes, outbox_bytes, drain, after_kb - before_kb);
    return 0;
}
