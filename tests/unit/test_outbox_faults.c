/* Outbox on a disk that fails, is full, is damaged, or holds something else: it always starts, goes on in memory, comes
 * back by itself, and never gives out a record that is not what was put. */
#include "tests/unit/durable_rig.h"

#include <fcntl.h>

#include "tests/unit/fault_vfs.h"

enum { ASIDE_MAX = 160 };

static int setup(void **state)
{
    fault_none();
    return rig_setup(state);
}

static int teardown(void **state)
{
    fault_none();
    return rig_teardown(state);
}

/* ---- a disk that fails ----------------------------------------------------------------------------- */

/* Puts 0..59 with steps between, acknowledges up to 19; gives how many went out. */
static void work_through(struct rig *rig)
{
    uint64_t seqs[20];

    rig_link(rig, true);
    for (int i = 0; i < 60; i++) {
        rig_put_number(rig, i);
        if (i % 10 == 9)
            rig_pass_ms(rig, 1100);
    }
    rig_pass_ms(rig, 100000); /* more than it takes to come back */
    for (int i = 0; i < 20; i++)
        seqs[i] = rig_next_number(rig, i);
    for (int i = 0; i < 20; i++)
        rig_ack(rig, seqs[i]);
    rig_pass_ms(rig, 100000);
}

static void one_failure_of_any_call_loses_nothing(void **state)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_IOERR_FSYNC};
    struct rig *rig = *state;

    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        bool has_failed = true;

        for (long n = 1; has_failed; n++) {
            fault_none();
            faults.fail_at = n;
            faults.code = codes[k];
            rig_start(rig);
            work_through(rig);
            has_failed = faults.n_failed > 0;
            faults.fail_at = 0;
            if (rig_stats(rig).is_degraded || rig_stats(rig).n_messages != 40)
                fail_msg("call %ld, code %d: %s, %lu messages", n, codes[k],
                         rig_stats(rig).is_degraded ? "still degraded" : "works",
                         (unsigned long)rig_stats(rig).n_messages);
            rig_kill(rig);
            rig_start(rig);

            for (int i = 20; i < 60; i++)
                rig_next_number(rig, i);
            rig_nothing(rig);
            rig_stop(rig);
            rig_empty_folder(rig->folder);
        }
    }
}

static void a_full_disk_is_gone_on_with_in_memory_and_left_by_itself(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_put_number(rig, 0);
    rig_pass_ms(rig, 1100);
    faults.writes_code = SQLITE_FULL;
    for (int i = 1; i < 100; i++) {
        rig_put_number(rig, i);
        rig_pass_ms(rig, 100);
    }
    assert_true(rig_stats(rig).is_degraded);
    for (int i = 0; i < 50; i++)
        rig_ack(rig, rig_next_number(rig, i)); /* nothing waits for a commit */
    rig_pass_ms(rig, 60000);
    assert_int_equal(rig_stats(rig).n_messages, 50);
    assert_int_equal(rig_stats(rig).n_dropped, 0);

    faults.writes_code = 0;
    rig_pass_ms(rig, 31000);
    assert_false(rig_stats(rig).is_degraded);
    rig_kill(rig);
    rig_start(rig);
    for (int i = 50; i < 100; i++)
        rig_next_number(rig, i);
    rig_nothing(rig);
}

static void history_on_a_full_disk_is_still_sent(void **state)
{
    struct rig *rig = *state;
    enum { N = 60000 };

    rig_start(rig);
    for (int i = 0; i < N; i++) {
        rig_put_number(rig, i);
        if (i % 500 == 0)
            rig_pass_ms(rig, 100);
    }
    rig_pass_ms(rig, 2000);
    assert_true(rig_stats(rig).n_memory_bytes < rig_stats(rig).n_bytes);
    faults.writes_code = SQLITE_FULL;

    for (int i = 0; i < N; i++)
        rig_ack(rig, rig_next_number(rig, i));
    rig_nothing(rig);
}

static void memory_is_bounded_while_the_disk_fails(void **state)
{
    struct rig *rig = *state;
    char *payload = calloc(1, 10001);

    memset(payload, 'x', 10000);
    rig_start(rig);
    rig_pass_ms(rig, 1000);
    faults.writes_code = SQLITE_IOERR_WRITE;
    for (int i = 0; i < 5000; i++) {
        rig_put(rig, payload);
        if (i % 50 == 0)
            rig_pass_ms(rig, 1000);
        assert_true(rig_stats(rig).n_memory_bytes <= GW_RAM_BYTES);
    }

    assert_true(rig_stats(rig).n_dropped_by[GW_DROP_FULL] > 3000);
    assert_int_equal(rig_stats(rig).n_messages + rig_stats(rig).n_dropped, 5000);
    free(payload);
}

static void a_disk_that_is_gone_holds_back_only_what_is_on_it(void **state)
{
    struct rig *rig = *state;
    enum { N = 60000 };

    rig_start(rig);
    for (int i = 0; i < N; i++) {
        rig_put_number(rig, i);
        if (i % 500 == 0)
            rig_pass_ms(rig, 100);
    }
    rig_pass_ms(rig, 2000);
    faults.writes_code = SQLITE_IOERR_WRITE;
    faults.reads_code = SQLITE_IOERR_READ;
    const int n_before = (int)rig_stats(rig).n_messages;
    rig_put_number(rig, N);
    rig_pass_ms(rig, 60000);
    struct gw_message message;
    int n_given = 0, last = -1;
    while (rig->outbox->ops->next(rig->outbox, &message) == GW_OK) {
        char text[16];
        snprintf(text, sizeof text, "%.*s", (int)message.payload_len,
                 (const char *)message.payload);
        last = atoi(text);
        rig_ack(rig, message.seq);
        n_given++;
    }
    assert_int_equal(last, N); /* the present comes through */
    assert_true(n_given < n_before);

    faults.writes_code = faults.reads_code = 0;
    rig_pass_ms(rig, 31000);
    for (int guard = 0; guard < 10000 && rig_stats(rig).n_messages > 0; guard++) {
        while (rig->outbox->ops->next(rig->outbox, &message) == GW_OK) {
            rig_ack(rig, message.seq);
            n_given++;
        }
        rig_pass_ms(rig, 10);
    }
    assert_int_equal(n_given, N + 1);
}

static void a_folder_that_does_not_exist_yet_is_used_as_soon_as_it_does(void **state)
{
    struct rig *rig = *state;
    char path[160], folder[128];

    snprintf(folder, sizeof folder, "%s/later", rig->folder);
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    rig->conf.path = path;
    rig_start(rig);
    rig_put(rig, "1");
    rig_put(rig, "2");
    assert_true(rig_stats(rig).is_degraded);
    rig_ack(rig, rig_next(rig, "1"));
    rig_pass_ms(rig, 5000);
    assert_int_equal(mkdir(folder, 0700), 0);
    rig_pass_ms(rig, 31000);

    assert_false(rig_stats(rig).is_degraded);
    assert_int_equal(access(path, F_OK), 0);
    rig_stop(rig);
    rig_start(rig);
    rig_next(rig, "2");
    rig_stop(rig);
}

/* A day back on the wall clock, so that the numbers of the file are greater than those in memory. */
static void start_without_the_file(struct rig *rig, char aside[ASIDE_MAX])
{
    snprintf(aside, ASIDE_MAX, "%s.away", rig->path);
    assert_int_equal(rename(rig->path, aside), 0);
    assert_int_equal(mkdir(rig->path, 0700), 0);
    rig->wall_ms -= 86400000;
    rig_start(rig);
}

static void give_the_file_back(struct rig *rig, const char *aside)
{
    assert_int_equal(rmdir(rig->path), 0);
    assert_int_equal(rename(aside, rig->path), 0);
    rig_pass_ms(rig, 31000);
    assert_false(rig_stats(rig).is_degraded);
}

/* The wall clock was behind at that start, so that the numbers of the file are greater than those in memory. */
static void a_file_that_comes_late_keeps_what_it_holds(void **state)
{
    struct rig *rig = *state;
    char aside[ASIDE_MAX];
    uint64_t last_seq = 0;

    rig_start(rig);
    rig_put(rig, "1");
    rig_put(rig, "2");
    rig_stop(rig);
    start_without_the_file(rig, aside);
    rig_put(rig, "3");
    rig_put(rig, "4");
    rig_pass_ms(rig, 5000);
    rig_ack(rig, rig_next(rig, "3"));
    give_the_file_back(rig, aside);
    rig_kill(rig);
    rig_start(rig);

    for (int i = 1; i <= 4; i++) {
        if (i == 3)
            continue;
        const uint64_t seq = rig_next_number(rig, i);
        assert_true(seq > last_seq);
        last_seq = seq;
    }
    rig_nothing(rig);
}

static void put_with_number(struct rig *rig)
{
    const uint32_t at = 7;
    const struct gw_message message = {.topic = "t",
                                       .payload = "{\"seq\":               0}",
                                       .payload_len = 24,
                                       .qos = 1,
                                       .seq_at = &at,
                                       .n_seq_at = 1};

    assert_int_equal(rig->outbox->ops->put(rig->outbox, &message), GW_OK);
}

/* Takes the next message, whose payload has to hold its number. */
static uint64_t next_with_number(struct rig *rig)
{
    struct gw_message message;
    char expected[40];

    enum gw_err err = rig->outbox->ops->next(rig->outbox, &message);
    if (err == GW_E_CLOSED) { /* it may have to be read first */
        gw_durable_step(rig->self);
        err = rig->outbox->ops->next(rig->outbox, &message);
    }
    assert_int_equal(err, GW_OK);
    snprintf(expected, sizeof expected, "{\"seq\":%16llu}", (unsigned long long)message.seq);
    assert_int_equal(message.payload_len, strlen(expected));
    assert_memory_equal(message.payload, expected, message.payload_len);
    return message.seq;
}

/* As above. */
static void numbers_in_payloads_are_right_after_a_file_came_late(void **state)
{
    struct rig *rig = *state;
    char aside[ASIDE_MAX];

    rig_start(rig);
    rig_put(rig, "1");
    rig_stop(rig);
    start_without_the_file(rig, aside);
    for (int i = 0; i < 3; i++)
        put_with_number(rig);
    give_the_file_back(rig, aside);

    uint64_t last_seq = rig_next(rig, "1");
    for (int i = 0; i < 3; i++) {
        const uint64_t seq = next_with_number(rig);

        assert_true(seq > last_seq);
        last_seq = seq;
    }
    rig_nothing(rig);
}

/* As above. The number of such a one may be that of another message in the file, so it is not saved there. */
static void what_is_under_way_when_a_file_comes_late_goes_again_after_a_cut(void **state)
{
    struct rig *rig = *state;
    char aside[ASIDE_MAX];

    rig_start(rig);
    rig_put(rig, "1");
    rig_stop(rig);
    start_without_the_file(rig, aside);
    rig_link(rig, true);
    put_with_number(rig);
    put_with_number(rig);
    const uint64_t seq = next_with_number(rig);
    give_the_file_back(rig, aside);
    rig_link(rig, false);
    rig_link(rig, true);

    rig_next(rig, "1");
    assert_int_equal(next_with_number(rig), seq);
    assert_true(next_with_number(rig) > seq);
    rig_nothing(rig);
}

/* A duplicate has the number of the first, and a file that was not there has no numbers that could be used again. */
static void a_new_file_that_comes_late_changes_no_number(void **state)
{
    struct rig *rig = *state;
    uint64_t seqs[3];

    assert_int_equal(mkdir(rig->path, 0700), 0);
    rig_start(rig);
    rig_link(rig, true);
    for (int i = 0; i < 3; i++)
        put_with_number(rig);
    for (int i = 0; i < 3; i++)
        seqs[i] = next_with_number(rig);
    rig_link(rig, false);
    assert_int_equal(rmdir(rig->path), 0);
    rig_pass_ms(rig, 31000);
    assert_false(rig_stats(rig).is_degraded);
    rig_kill(rig);
    rig_start(rig);

    for (int i = 0; i < 3; i++)
        assert_int_equal(next_with_number(rig), seqs[i]);
    rig_nothing(rig);
}

/* ---- what stands there instead of an outbox -------------------------------------------------------- */

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void assert_works(struct rig *rig)
{
    rig_start(rig);
    rig_put(rig, "works");
    rig_pass_ms(rig, 1100);
    assert_false(rig_stats(rig).is_degraded);
    rig_kill(rig);
    rig_start(rig);
    rig_ack(rig, rig_next(rig, "works"));
}

static void an_empty_file_is_used(void **state)
{
    struct rig *rig = *state;

    write_file(rig->path, "", 0);
    assert_works(rig);
    assert_int_equal(rig_count_asides(rig, "damaged"), 0);
}

static void garbage_is_set_aside_untouched(void **state)
{
    struct rig *rig = *state;
    char garbage[5000], found[5000];
    struct dirent **entries;

    memset(garbage, 'g', sizeof garbage);
    write_file(rig->path, garbage, sizeof garbage);
    assert_works(rig);

    assert_int_equal(rig_count_asides(rig, "damaged"), 1);
    const int n = scandir(rig->folder, &entries, NULL, NULL);
    for (int i = 0; i < n; i++) {
        if (strncmp(entries[i]->d_name, "outbox.db.damaged-", 18) == 0) {
            char path[400];
            snprintf(path, sizeof path, "%s/%s", rig->folder, entries[i]->d_name);
            FILE *file = fopen(path, "rb");
            assert_int_equal(fread(found, 1, sizeof found, file), sizeof found);
            fclose(file);
            assert_memory_equal(found, garbage, sizeof garbage);
        }
        free(entries[i]);
    }
    free(entries);
}

static void run_sql(const char *path, const char *text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_newer_format_is_set_aside_and_what_can_be_read_is_kept(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_put(rig, "1");
    rig_put(rig, "2");
    rig_stop(rig);
    run_sql(rig->path, "PRAGMA user_version = 2");
    rig_start(rig);

    assert_int_equal(rig_count_asides(rig, "newer"), 1);
    rig_next(rig, "1");
    rig_next(rig, "2");
    rig_nothing(rig);
}

static void a_newer_format_that_cannot_be_read_is_only_set_aside(void **state)
{
    struct rig *rig = *state;

    run_sql(rig->path, "CREATE TABLE queue (a, b); PRAGMA user_version = 7;"
                       "PRAGMA application_id = 1714580849");
    assert_works(rig);
    assert_int_equal(rig_count_asides(rig, "newer"), 1);
}

static void a_disk_that_damages_file_after_file_is_not_filled_with_them(void **state)
{
    struct rig *rig = *state;
    char path[400];

    snprintf(path, sizeof path, "%s.newer-20200101T000000Z", rig->path);
    write_file(path, "x", 1);
    for (int day = 1; day <= GW_ASIDES_MAX + 1; day++) {
        snprintf(path, sizeof path, "%s.damaged-2020010%dT000000Z", rig->path, day);
        write_file(path, "x", 1);
    }
    snprintf(path, sizeof path, "%s.damaged-20200101T000000Z-wal", rig->path);
    write_file(path, "x", 1);
    write_file(rig->path, "garbage", 7);
    assert_works(rig);

    assert_int_equal(rig_count_asides(rig, "damaged"), GW_ASIDES_MAX);
    assert_int_equal(rig_count_asides(rig, "newer"), 1);
    assert_int_not_equal(access(path, F_OK), 0);
    for (int day = 1; day <= GW_ASIDES_MAX + 1; day++) {
        snprintf(path, sizeof path, "%s.damaged-2020010%dT000000Z", rig->path, day);
        assert_int_equal(access(path, F_OK) == 0, day > 2);
    }
}

static void a_database_of_another_program_is_left_alone(void **state)
{
    struct rig *rig = *state;

    run_sql(rig->path, "CREATE TABLE history (a, b)");
    rig_start(rig);
    rig_put(rig, "1");
    rig_next(rig, "1");
    rig_pass_ms(rig, 60000);

    assert_true(rig_stats(rig).is_degraded);
    rig_stop(rig);
    run_sql(rig->path, "INSERT INTO history VALUES (1, 2)");
    assert_int_equal(rig_count_asides(rig, "damaged") + rig_count_asides(rig, "newer"), 0);
}

static void a_database_of_another_program_with_a_version_is_left_alone(void **state)
{
    static const char *const texts[] = {
        "CREATE TABLE history (a, b); PRAGMA user_version = 1",
        "CREATE TABLE history (a, b); PRAGMA user_version = 23",
        "CREATE TABLE history (a, b); PRAGMA user_version = 23; PRAGMA application_id = 5",
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        run_sql(rig->path, texts[i]);
        rig_start(rig);
        rig_put(rig, "1");
        rig_next(rig, "1");
        rig_pass_ms(rig, 60000);

        assert_true(rig_stats(rig).is_degraded);
        rig_stop(rig);
        assert_int_equal(rig_count_asides(rig, "damaged") + rig_count_asides(rig, "newer"), 0);
        run_sql(rig->path, "INSERT INTO history VALUES (1, 2)");
        rig_empty_folder(rig->folder);
    }
}

/* ---- numbers over failures ------------------------------------------------------------------------- */

static uint64_t put_and_take(struct rig *rig, int n)
{
    uint64_t seq = 0;

    for (int i = 0; i < n; i++) {
        rig_put(rig, "x");
        seq = rig_next(rig, "x");
        rig_ack(rig, seq);
    }
    return seq;
}

static void start_linked(struct rig *rig)
{
    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig_start(rig);
    rig_link(rig, true);
}

/* A card that became read-only: the gateway goes on for days, and then it is repaired. */
static void numbers_do_not_go_back_when_more_went_out_than_a_failing_disk_had_set_aside(
    void **state)
{
    struct rig *rig = *state;

    for (int is_killed = 0; is_killed < 2; is_killed++) {
        start_linked(rig);
        rig_pass_ms(rig, 2000);
        faults.writes_code = SQLITE_IOERR_WRITE;
        rig_put(rig, "x");
        rig_link(rig, false);
        rig_pass_ms(rig, 60000);
        assert_true(rig_stats(rig).is_degraded);
        rig_link(rig, true);
        const uint64_t last_seq = put_and_take(rig, 1200000);
        rig_pass_ms(rig, 86400000);
        if (is_killed)
            rig_kill(rig);
        else
            rig_stop(rig);
        faults.writes_code = 0;
        start_linked(rig);

        assert_true(put_and_take(rig, 1) > last_seq);
        rig_stop(rig);
        rig_empty_folder(rig->folder);
    }
}

/* The disk was not mounted at one start of the machine. */
static void numbers_do_not_go_back_after_a_run_without_the_file(void **state)
{
    struct rig *rig = *state;
    char away[160];

    snprintf(away, sizeof away, "%s-away", rig->folder);
    start_linked(rig);
    put_and_take(rig, 1);
    rig_pass_ms(rig, 2000);
    snprintf(rig->self->boot_id, sizeof rig->self->boot_id, "the boot before");
    rig_stop(rig);
    assert_int_equal(rename(rig->folder, away), 0);
    rig->wall_ms += 60000;
    start_linked(rig);
    const uint64_t last_seq = put_and_take(rig, 10);
    rig_stop(rig);
    assert_int_equal(rename(away, rig->folder), 0);
    rig->wall_ms += 60000;
    start_linked(rig);

    assert_true(put_and_take(rig, 1) > last_seq);
}

/* The first number of a run is set aside on the disk before it can be given. */
static void a_kill_right_after_the_start_uses_no_number_twice(void **state)
{
    struct rig *rig = *state;

    start_linked(rig);
    put_and_take(rig, 1);
    rig_stop(rig);
    start_linked(rig);
    const uint64_t last_seq = put_and_take(rig, 10); /* before the writer had its first turn */
    rig_kill(rig);
    start_linked(rig);

    assert_true(put_and_take(rig, 1) > last_seq);
}

/* The log is a file of its own: a repair tool, or a copy without it, loses what only it held. */
static void a_lost_log_uses_no_number_twice(void **state)
{
    struct rig *rig = *state;
    char log[170];

    snprintf(log, sizeof log, "%s-wal", rig->path);
    start_linked(rig);
    put_and_take(rig, 1);
    rig_stop(rig);
    start_linked(rig);
    const uint64_t last_seq = put_and_take(rig, 10);
    rig_pass_ms(rig, 2000);
    rig_kill(rig);
    unlink(log);
    start_linked(rig);

    assert_true(put_and_take(rig, 1) > last_seq);
}

/* ---- damage ---------------------------------------------------------------------------------------- */

enum { N_KEPT = 300 };

/* What is given out is what was put: in order, and nothing else. Gives how many came. */
static int check_survivors(struct rig *rig)
{
    struct gw_message message;
    int n = 0, last = -1;

    for (int guard = 0; guard < 20; guard++) {
        while (rig->outbox->ops->next(rig->outbox, &message) == GW_OK) {
            char expected[64];
            char text[64];
            snprintf(text, sizeof text, "%.*s", (int)message.payload_len,
                     (const char *)message.payload);
            const int number = atoi(text);

            snprintf(expected, sizeof expected, "%d %0*d", number, number % 40, 7);
            assert_string_equal(message.topic, "plant/tank/level");
            assert_int_equal(message.payload_len, strlen(expected));
            assert_memory_equal(message.payload, expected, message.payload_len);
            assert_in_range(number, last + 1, N_KEPT - 1);
            last = number;
            n++;
        }
        rig_pass_ms(rig, 2000);
    }
    return n;
}

static void fill(struct rig *rig)
{
    for (int i = 0; i < N_KEPT; i++) {
        char text[64];

        snprintf(text, sizeof text, "%d %0*d", i, i % 40, 7);
        rig_put(rig, text);
        if (i % 60 == 59)
            rig_pass_ms(rig, 1100);
    }
    rig_pass_ms(rig, 1100);
}

static void damage(const char *path, struct test_random *random, bool may_be_cut)
{
    struct stat status;

    if (stat(path, &status) != 0 || status.st_size == 0)
        return;
    const off_t at = (off_t)(test_random_next(random) % (uint64_t)status.st_size);
    const int fd = open(path, O_RDWR);
    unsigned char byte;
    assert_true(fd >= 0);
    if (may_be_cut && test_random_next(random) % 4 == 0) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (unsigned char)(1 << test_random_next(random) % 8);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

static void a_thousand_flipped_bits_and_cuts_never_stop_a_start_nor_give_a_wrong_record(
    void **state)
{
    struct rig *rig = *state;
    struct test_random random = test_random_start();
    char clean[160], log[170], path_log[170];
    long n_survivors = 0;

    snprintf(clean, sizeof clean, "%s/clean", rig->folder);
    snprintf(log, sizeof log, "%s-wal", clean);
    snprintf(path_log, sizeof path_log, "%s-wal", rig->path);
    for (int round = 0; round < 1000; round++) {
        if (round % 500 == 0) { /* first all in the log, as after a kill; then all in the file */
            rig_empty_folder(rig->folder);
            rig_start(rig);
            fill(rig);
            if (round == 0)
                rig_snapshot(rig, clean);
            rig_stop(rig);
            if (round > 0)
                rig_snapshot(rig, clean);
        }
        rig_copy_file(clean, rig->path);
        rig_copy_file(log, path_log);
        for (uint64_t n = test_random_next(&random) % 3 + 1; n > 0; n--)
            damage(test_random_next(&random) % 2 ? rig->path
                   : round < 500                 ? path_log
                                                 : rig->path,
                   &random, true);
        rig_start(rig);
        n_survivors += check_survivors(rig);
        rig_put_number(rig, 1); /* it works on */
        rig_pass_ms(rig, 2000);
        rig_stop(rig);
    }
    print_message("%.1f %% of the records survived\n", (double)n_survivors / (1000 * N_KEPT) * 100);
    /* A log is good up to its first damaged frame: about half of it, on the average. */
    assert_true(n_survivors > 1000 * N_KEPT / 4);
}

/* A flipped bit in a payload is seen by nobody but our checksum. */
static void a_record_with_a_flipped_bit_is_dropped_and_counted_and_the_others_come(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_put(rig, "first");
    rig_put(rig, "second");
    rig_put(rig, "third");
    rig_stop(rig);
    run_sql(rig->path,
            "UPDATE message SET payload = x'7365636f6e65' WHERE payload = x'7365636f6e64'");
    rig_start(rig);
    rig_next(rig, "first");
    rig_next(rig, "third");
    rig_nothing(rig);

    assert_int_equal(rig_stats(rig).n_dropped_by[GW_DROP_DAMAGED], 1);
    rig_pass_ms(rig, 2000);
    rig_kill(rig);
    rig_start(rig);
    assert_int_equal(rig_stats(rig).n_messages, 2);
}

static void spoil_page(const char *path, off_t number)
{
    unsigned char page[4096];
    const int fd = open(path, O_RDWR);

    memset(page, 0xA5, sizeof page);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, page, sizeof page, number * (off_t)sizeof page), sizeof page);
    close(fd);
}

/* Whichever it is, also the one that is read first. What is not given at once would come with the next start, late. */
static void a_damaged_page_costs_only_what_is_on_it_and_hides_nothing(void **state)
{
    struct rig *rig = *state;
    struct stat status;
    int n_with_losses = 0;

    for (off_t number = 1; number == 1 || number < status.st_size / 4096; number++) {
        rig_empty_folder(rig->folder);
        rig_start(rig);
        fill(rig);
        rig_stop(rig);
        assert_int_equal(stat(rig->path, &status), 0);
        spoil_page(rig->path, number);
        rig_start(rig);
        const int n = check_survivors(rig);

        n_with_losses += n < N_KEPT;
        if (n < N_KEPT)
            assert_int_equal(rig_count_asides(rig, "damaged"), 1);
        if (n > 0) /* nothing can be reached below the topmost page of the table */
            assert_in_range(n, N_KEPT - 60, N_KEPT);
        rig_kill(rig);
        rig_start(rig);
        assert_int_equal(rig_stats(rig).n_messages, n);
        rig_stop(rig);
    }
    assert_true(n_with_losses >= 5);
}

/* What a power loss leaves is any moment between two steps of the disk. */
static void whatever_moment_the_power_goes_what_was_committed_is_there(void **state)
{
    struct rig *rig = *state;
    struct test_random random = test_random_start();

    for (int round = 0; round < 30; round++) {
        int n_put = 0;
        uint64_t n_saved = 0;

        rig_start(rig);
        rig_link(rig, true);
        for (uint64_t n = test_random_next(&random) % 200 + 1; n > 0; n--) {
            rig_put_number(rig, n_put++);
            if (test_random_next(&random) % 4 == 0)
                rig_pass_ms(rig, (int64_t)(test_random_next(&random) % 1500));
            n_saved = rig_stats(rig).n_rows_written;
        }
        rig_kill(rig);
        rig_start(rig);
        assert_int_equal(rig_stats(rig).n_messages, n_saved);
        for (int i = 0; i < (int)n_saved; i++)
            rig_ack(rig, rig_next_number(rig, i));
        rig_nothing(rig);
        rig_stop(rig);
        rig_empty_folder(rig->folder);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Damage may be found when history has begun to drain, and there are readings of now behind it. */
static void nothing_newer_goes_before_what_is_kept_of_a_damaged_file(void **state)
{
    struct rig *rig = *state;
    struct gw_message message;
    int n_history = 0;
    bool has_come = false;

    rig_start(rig);
    fill(rig);
    rig_stop(rig);
    rig_start(rig);
    rig_put(rig, "live");
    gw_durable_fail(rig->self, GW_STORE_DAMAGED, "database disk image is malformed");

    for (int guard = 0; guard < 20; guard++) {
        while (rig->outbox->ops->next(rig->outbox, &message) == GW_OK) {
            assert_false(has_come);
            has_come = message.payload_len == 4 && memcmp(message.payload, "live", 4) == 0;
            n_history += !has_come;
        }
        rig_pass_ms(rig, 2000);
    }
    assert_true(has_come);
    assert_int_equal(n_history, N_KEPT);
    /* Opening it may find nothing wrong: it would fail in the same way again, without end. */
    assert_int_equal(rig_count_asides(rig, "damaged"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_failure_of_any_call_loses_nothing),
        TEST(a_full_disk_is_gone_on_with_in_memory_and_left_by_itself),
        TEST(history_on_a_full_disk_is_still_sent),
        TEST(memory_is_bounded_while_the_disk_fails),
        TEST(a_disk_that_is_gone_holds_back_only_what_is_on_it),
        TEST(a_folder_that_does_not_exist_yet_is_used_as_soon_as_it_does),
        TEST(a_file_that_comes_late_keeps_what_it_holds),
        TEST(numbers_in_payloads_are_right_after_a_file_came_late),
        TEST(what_is_under_way_when_a_file_comes_late_goes_again_after_a_cut),
        TEST(a_new_file_that_comes_late_changes_no_number),
        TEST(an_empty_file_is_used),
        TEST(garbage_is_set_aside_untouched),
        TEST(a_newer_format_is_set_aside_and_what_can_be_read_is_kept),
        TEST(a_newer_format_that_cannot_be_read_is_only_set_aside),
        TEST(a_disk_that_damages_file_after_file_is_not_filled_with_them),
        TEST(a_database_of_another_program_is_left_alone),
        TEST(a_database_of_another_program_with_a_version_is_left_alone),
        TEST(numbers_do_not_go_back_when_more_went_out_than_a_failing_disk_had_set_aside),
        TEST(numbers_do_not_go_back_after_a_run_without_the_file),
        TEST(a_kill_right_after_the_start_uses_no_number_twice),
        TEST(a_lost_log_uses_no_number_twice),
        TEST(a_thousand_flipped_bits_and_cuts_never_stop_a_start_nor_give_a_wrong_record),
        TEST(a_record_with_a_flipped_bit_is_dropped_and_counted_and_the_others_come),
        TEST(a_damaged_page_costs_only_what_is_on_it_and_hides_nothing),
        TEST(nothing_newer_goes_before_what_is_kept_of_a_damaged_file),
        TEST(whatever_moment_the_power_goes_what_was_committed_is_there),
    };

    return cmocka_run_group_tests(tests, fault_vfs_install, NULL);
}
