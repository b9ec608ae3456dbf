/* The file of the outbox after an outage: it gives its room back, at a bounded cost, and nothing is lost on the way. */
#include "tests/unit/durable_rig.h"

#include "gateway/store.h"
#include "tests/unit/fault_vfs.h"

enum { MIB = 1 << 20, PAYLOAD = 16 * 1024, N_STORED = 12, N_LEFT = 3 };

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

/* ---- the outbox ------------------------------------------------------------------------------------ */

static off_t file_bytes(const struct rig *rig)
{
    struct stat status;

    assert_int_equal(stat(rig->path, &status), 0);
    return status.st_size;
}

/* An outage that leaves so much on the disk. */
static void pile_up(struct rig *rig, int n_mib)
{
    char payload[PAYLOAD];

    memset(payload, 'p', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    for (int i = 0; i < n_mib * (MIB / PAYLOAD); i++) {
        rig_put(rig, payload);
        if (i % 16 == 15)
            rig_pass_ms(rig, 1100);
    }
    rig_pass_ms(rig, 1100);
}

/* The broker takes all but the last few; gives the number of the last that it took. */
static uint64_t drain(struct rig *rig, uint64_t n_left)
{
    struct gw_message message;
    uint64_t last_seq = 0;

    for (int guard = 0; rig_stats(rig).n_messages > n_left; guard++) {
        assert_in_range(guard, 0, 100000);
        if (rig->outbox->ops->next(rig->outbox, &message) == GW_OK)
            rig_ack(rig, last_seq = message.seq);
        else
            rig_pass_ms(rig, 10);
    }
    return last_seq;
}

static void the_file_gets_small_again_when_an_outage_is_drained(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    pile_up(rig, 20);
    assert_true(file_bytes(rig) > 20 * MIB);
    const uint64_t last_seq = drain(rig, 0);
    rig_pass_ms(rig, 60000);

    assert_in_range(file_bytes(rig), 1, MIB);
    rig_put(rig, "after");
    rig_pass_ms(rig, 1100);
    rig_kill(rig);
    rig_start(rig);
    assert_true(rig_next(rig, "after") > last_seq);
}

static void what_still_waits_stays_when_the_file_gets_small(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    pile_up(rig, 20);
    drain(rig, 0);
    for (int i = 0; i < 100; i++)
        rig_put_number(rig, i);
    rig_pass_ms(rig, 60000);

    assert_in_range(file_bytes(rig), 1, MIB);
    rig_kill(rig);
    rig_start(rig);
    for (int i = 0; i < 100; i++)
        rig_next_number(rig, i);
    rig_nothing(rig);
}

/* Left so by a run that was stopped before it could, or by a release that never did. */
static void a_file_that_was_left_large_gets_small_after_the_start(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    pile_up(rig, 20);
    drain(rig, 0);
    rig_stop(rig);
    assert_true(file_bytes(rig) > 20 * MIB);
    rig_start(rig);
    rig_pass_ms(rig, 60000);

    assert_in_range(file_bytes(rig), 1, MIB);
}

/* The next outage needs the room again, and each time it is taken and given back costs writing. */
static void little_room_is_kept(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    pile_up(rig, 10);
    const off_t n_bytes = file_bytes(rig);
    drain(rig, 0);
    rig_pass_ms(rig, 60000);

    assert_int_equal(file_bytes(rig), n_bytes);
}

/* It would have to be written anew. */
static void much_that_waits_is_not_moved(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    pile_up(rig, 30);
    const off_t n_bytes = file_bytes(rig);
    drain(rig, 4 * MIB / PAYLOAD);
    rig_pass_ms(rig, 60000);
    assert_int_equal(file_bytes(rig), n_bytes);

    drain(rig, 0);
    rig_pass_ms(rig, 60000);
    assert_in_range(file_bytes(rig), 1, MIB);
}

static void a_failure_while_the_file_gets_small_is_no_failure_of_the_outbox(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    pile_up(rig, 20);
    drain(rig, 0);
    rig_stop(rig);
    rig_start(rig);
    faults.writes_code = SQLITE_FULL;
    rig_pass_ms(rig, 20000);
    assert_true(faults.n_failed > 0);
    assert_false(rig_stats(rig).is_degraded);
    fault_none();
    rig_pass_ms(rig, 60000);

    assert_in_range(file_bytes(rig), 1, MIB);
}

/* ---- the store ------------------------------------------------------------------------------------- */

static struct gw_store *open_store(const char *path)
{
    char why[GW_STORE_WHY] = "";
    struct gw_store *store = NULL;

    if (gw_store_open(path, false, 64 * MIB, &store, why) != GW_STORE_OK)
        fail_msg("%s: %s", path, why);
    return store;
}

static void insert(struct gw_store *store, uint64_t seq)
{
    char payload[PAYLOAD];

    memset(payload, 'a' + (int)(seq % 26), sizeof payload);
    assert_int_equal(gw_store_insert(store, &(struct gw_record){.seq = seq,
                                                                .topic = "t",
                                                                .topic_len = 1,
                                                                .payload = payload,
                                                                .payload_len = sizeof payload,
                                                                .correlation = ""}),
                     GW_STORE_OK);
}

static bool count_good(void *ctx, uint64_t seq, const struct gw_record *record)
{
    uint64_t *n = ctx;

    assert_non_null(record);
    assert_int_equal(seq, N_STORED - N_LEFT + 1 + *n);
    ++*n;
    return true;
}

static uint64_t n_good(struct gw_store *store)
{
    uint64_t n = 0;

    assert_int_equal(gw_store_read(store, 1, INT64_MAX, count_good, &n), GW_STORE_OK);
    return n;
}

/* A file of which two thirds are free. */
static struct gw_store *make_store(const struct rig *rig)
{
    const struct gw_store_state numbers = {.seq_mark = 1000};
    struct gw_store *store = open_store(rig->path);
    uint64_t n;

    assert_int_equal(gw_store_begin(store), GW_STORE_OK);
    for (uint64_t seq = 1; seq <= N_STORED; seq++)
        insert(store, seq);
    assert_int_equal(gw_store_set_state(store, &numbers), GW_STORE_OK);
    assert_int_equal(gw_store_commit(store), GW_STORE_OK);
    assert_int_equal(gw_store_delete(store, 1, N_STORED - N_LEFT, &n), GW_STORE_OK);
    assert_int_equal(n, N_STORED - N_LEFT);
    return store;
}

static enum gw_store_fault shrink(struct gw_store *store, uint64_t *ret_n_bytes)
{
    return gw_store_shrink(store, 64 * 1024, MIB, ret_n_bytes);
}

struct moment {
    const struct rig *rig;
    char copy[160];
};

static void snapshot(void *ctx)
{
    struct moment *moment = ctx;

    rig_snapshot(moment->rig, moment->copy);
}

static void whatever_moment_it_is_killed_at_the_file_holds_all(void **state)
{
    struct rig *rig = *state;
    struct moment moment = {.rig = rig};
    struct gw_store_state numbers;
    long n_calls = 1;

    snprintf(moment.copy, sizeof moment.copy, "%s/killed", rig->folder);
    for (long at = 1; at <= n_calls; at++) {
        uint64_t n_bytes;
        struct gw_store *store = make_store(rig);

        fault_none();
        faults.fail_at = at;
        faults.before = snapshot;
        faults.before_ctx = &moment;
        assert_int_equal(shrink(store, &n_bytes), GW_STORE_OK);
        assert_true(n_bytes > 0);
        n_calls = faults.n_calls;
        fault_none();
        gw_store_close(store);
        store = open_store(moment.copy);
        assert_int_equal(n_good(store), N_LEFT);
        assert_int_equal(gw_store_get_state(store, &numbers), GW_STORE_OK);
        assert_int_equal(numbers.seq_mark, 1000);
        gw_store_close(store);
        rig_empty_folder(rig->folder);
    }
    assert_in_range(n_calls, 20, 10000); /* else it was not looked into */
}

static void whatever_call_fails_the_store_goes_on_with_all(void **state)
{
    static const int codes[] = {SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_IOERR_FSYNC};
    struct rig *rig = *state;

    for (size_t k = 0; k < sizeof codes / sizeof codes[0]; k++) {
        bool has_failed = true;

        for (long at = 1; has_failed; at++) {
            uint64_t n_bytes;
            struct gw_store *store = make_store(rig);

            fault_none();
            faults.fail_at = at;
            faults.code = codes[k];
            const enum gw_store_fault fault = shrink(store, &n_bytes);
            has_failed = faults.n_failed > 0;
            fault_none();
            assert_true(fault == GW_STORE_OK || n_bytes == 0);
            assert_int_equal(n_good(store), N_LEFT);
            assert_int_equal(shrink(store, &n_bytes), GW_STORE_OK);
            assert_int_equal(n_good(store), N_LEFT);
            gw_store_close(store);
            store = open_store(rig->path);
            assert_int_equal(n_good(store), N_LEFT);
            gw_store_close(store);
            rig_empty_folder(rig->folder);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_file_gets_small_again_when_an_outage_is_drained),
        TEST(what_still_waits_stays_when_the_file_gets_small),
        TEST(a_file_that_was_left_large_gets_small_after_the_start),
        TEST(little_room_is_kept),
        TEST(much_that_waits_is_not_moved),
        TEST(a_failure_while_the_file_gets_small_is_no_failure_of_the_outbox),
        TEST(whatever_moment_it_is_killed_at_the_file_holds_all),
        TEST(whatever_call_fails_the_store_goes_on_with_all),
    };

    return cmocka_run_group_tests(tests, fault_vfs_install, NULL);
}
