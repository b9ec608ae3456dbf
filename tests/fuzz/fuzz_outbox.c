/* The file of an outbox with any bytes changed in it, or cut anywhere: it opens or is refused, each record that comes out
 * of it is one that was put in, and what can still be reached is saved into a new file. Any bytes as a state: the state that
 * was encoded, or none. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "gateway/store.h"
#include "gateway/store_record.h"

enum { N_RECORDS = 12, BASE_MAX = 256 * 1024 };

static char folder[] = "/dev/shm/field2mqtt-fuzz-XXXXXX", path[64], fresh[64];
static uint8_t base[BASE_MAX];
static size_t base_len;
static char payloads[N_RECORDS][600];

static struct gw_record record_of(size_t i)
{
    return (struct gw_record){.seq = 100 + i,
                              .acquired_wall_ms = 1700000000000 + (int64_t)i,
                              .expires_wall_ms = i % 3 == 0 ? 1700000100000 : 0,
                              .put_ms = 1000 * (int64_t)i,
                              .topic = "plant/boiler/flow",
                              .topic_len = 17,
                              .payload = payloads[i],
                              .payload_len = 50 * i,
                              .correlation = "id",
                              .correlation_len = i % 4 == 0 ? 2 : 0,
                              .qos = i % 3,
                              .kind = i % 2,
                              .retain = i % 5 == 0};
}

static void remove_file(const char *file)
{
    static const char *const behind[] = {"", "-wal", "-shm", "-journal", "-reserve"};
    char name[80];

    for (size_t i = 0; i < sizeof behind / sizeof behind[0]; i++) {
        snprintf(name, sizeof name, "%s%s", file, behind[i]);
        unlink(name);
    }
}

static void clean_up(void)
{
    remove_file(path);
    remove_file(fresh);
    rmdir(folder);
}

static void make_base(void)
{
    const struct gw_store_state state = {.seq_mark = 1000, .age_ms = 5000, .boot_id = "boot"};
    struct gw_store *store;
    char why[GW_STORE_WHY];

    assert(mkdtemp(folder));
    atexit(clean_up);
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    snprintf(fresh, sizeof fresh, "%s/fresh.db", folder);
    assert(gw_store_open(path, false, 0, &store, why) == GW_STORE_OK);
    assert(gw_store_begin(store) == GW_STORE_OK);
    for (size_t i = 0; i < N_RECORDS; i++) {
        memset(payloads[i], 'a' + (int)i, sizeof payloads[i]);
        const struct gw_record record = record_of(i);
        assert(gw_store_insert(store, &record) == GW_STORE_OK);
    }
    assert(gw_store_set_state(store, &state) == GW_STORE_OK);
    assert(gw_store_commit(store) == GW_STORE_OK);
    gw_store_close(store);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, base, sizeof base);
    assert(n > 0 && (size_t)n < sizeof base);
    base_len = (size_t)n;
    close(fd);
}

static size_t number(const uint8_t *data)
{
    return (size_t)(data[0] | data[1] << 8);
}

static void write_damaged(const uint8_t *data, size_t size)
{
    static uint8_t bytes[BASE_MAX];
    size_t len = base_len;

    memcpy(bytes, base, base_len);
    for (; size >= 3; data += 3, size -= 3) /* where, and what; no page is the likelier one */
        bytes[number(data) % base_len] = data[2];
    if (size == 2)
        len = number(data) % base_len;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
    close(fd);
}

static bool check(void *ctx, uint64_t seq, const struct gw_record *record)
{
    size_t *n = ctx;

    if (!record)
        return ++*n < 1000;
    assert(seq == record->seq && seq >= 100 && seq < 100 + N_RECORDS);
    const struct gw_record put = record_of(seq - 100);
    assert(record->topic_len == put.topic_len && record->payload_len == put.payload_len &&
           memcmp(record->topic, put.topic, put.topic_len) == 0 &&
           memcmp(record->payload, put.payload, put.payload_len) == 0 &&
           record->acquired_wall_ms == put.acquired_wall_ms && record->qos == put.qos &&
           record->retain == put.retain && record->kind == put.kind);
    return ++*n < 1000;
}

static bool count(void *ctx, const struct gw_record *record)
{
    size_t *n = ctx;

    assert(record->topic || record->topic_len == 0);
    return ++*n < 1000;
}

static void look_into(const char *file, bool is_reader)
{
    struct gw_store *store;
    struct gw_store_state state;
    char why[GW_STORE_WHY] = "";
    size_t n = 0;

    if (gw_store_open(file, is_reader, 0, &store, why) != GW_STORE_OK) {
        assert(why[0] != '\0');
        return;
    }
    if (gw_store_read(store, 0, UINT64_MAX, check, &n) != GW_STORE_OK)
        assert(gw_store_why(store)[0] != '\0');
    n = 0;
    (void)!gw_store_read(store, UINT64_MAX, 0, check, &n);
    n = 0;
    (void)!gw_store_scan(store, 0, UINT64_MAX, count, &n);
    if (gw_store_get_state(store, &state) == GW_STORE_OK)
        assert(memchr(state.boot_id, '\0', sizeof state.boot_id));
    gw_store_close(store);
}

static void salvage(void)
{
    static struct gw_store *store; /* one for all: to make it takes the most time */
    struct gw_salvage result;
    char why[GW_STORE_WHY];
    uint64_t n_deleted;
    size_t n = 0;

    if (!store)
        assert(gw_store_open(fresh, false, 0, &store, why) == GW_STORE_OK);
    if (gw_store_salvage(path, store, &result) == GW_STORE_OK)
        assert(result.n_kept <= N_RECORDS);
    assert(gw_store_read(store, 0, UINT64_MAX, check, &n) == GW_STORE_OK && n <= N_RECORDS);
    assert(gw_store_delete(store, 0, UINT64_MAX, &n_deleted) == GW_STORE_OK && n_deleted == n);
}

static void check_state(const uint8_t *data, size_t size)
{
    unsigned char again[GW_STATE_BYTES];
    struct gw_store_state state;
    uint8_t *bytes = fuzz_copy(data, size, 0);

    if (gw_state_decode(bytes, size, &state)) {
        assert(memchr(state.boot_id, '\0', sizeof state.boot_id));
        gw_state_encode(&state, again);
        assert(size == sizeof again);
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (base_len == 0)
        make_base();
    check_state(data, size);
    remove_file(path);
    write_damaged(data, size);
    look_into(path, true);
    salvage();
    look_into(path, false);
    return 0;
}
