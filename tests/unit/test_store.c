/* The store when its file is damaged where SQLite does not see it. Expected: layout of pages by sqlite.org/fileformat2.html, 1.6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/store.h"
#include "gateway/store_sqlite.h"

enum {
    N_RECORDS = 2000, /* some 75 pages of them below one interior page */
    PAGE_BYTES = GW_SQLITE_PAGE_BYTES,
    INTERIOR_PAGE = 5, /* of a table: the kind in the first byte */
    INTERIOR_HEAD = 12,
    CHILD_BYTES = 4,
    MIB = 1024 * 1024,
};

struct file {
    char path[64];
    unsigned char *bytes;
    size_t n_bytes;
};

static void write_records(const char *path)
{
    char why[GW_STORE_WHY], payload[100];
    struct gw_store *store;

    memset(payload, 'x', sizeof payload);
    assert_int_equal(gw_store_open(path, false, 64 * MIB, &store, why), GW_STORE_OK);
    assert_int_equal(gw_store_begin(store), GW_STORE_OK);
    for (uint64_t seq = 1; seq <= N_RECORDS; seq++) {
        const struct gw_record record = {.seq = seq,
                                         .topic = "a",
                                         .topic_len = 1,
                                         .payload = payload,
                                         .payload_len = sizeof payload};
        assert_int_equal(gw_store_insert(store, &record), GW_STORE_OK);
    }
    assert_int_equal(gw_store_commit(store), GW_STORE_OK);
    gw_store_close(store);
}

static int set_up(void **state)
{
    struct file *file = calloc(1, sizeof *file);
    FILE *in;
    int fd;

    snprintf(file->path, sizeof file->path, "/tmp/field2mqtt-store-XXXXXX");
    fd = mkstemp(file->path);
    assert_true(fd >= 0);
    close(fd);
    write_records(file->path);
    in = fopen(file->path, "rb");
    assert_non_null(in);
    fseek(in, 0, SEEK_END);
    file->n_bytes = (size_t)ftell(in);
    rewind(in);
    file->bytes = malloc(file->n_bytes);
    assert_int_equal(fread(file->bytes, 1, file->n_bytes, in), file->n_bytes);
    fclose(in);
    *state = file;
    return 0;
}

static int tear_down(void **state)
{
    struct file *file = *state;

    unlink(file->path);
    free(file->bytes);
    free(file);
    return 0;
}

static void write_back(const struct file *file)
{
    FILE *out = fopen(file->path, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(file->bytes, 1, file->n_bytes, out), file->n_bytes);
    fclose(out);
}

static bool take_first(void *ctx, uint64_t seq, const struct gw_record *record)
{
    (void)record;
    *(uint64_t *)ctx = seq;
    return false;
}

/* Whether reading from there begins there, or says that it cannot. */
static void assert_nothing_is_passed_over(const char *path, uint64_t first_seq)
{
    char why[GW_STORE_WHY];
    struct gw_store *store;
    uint64_t first = 0;

    if (gw_store_open(path, true, 0, &store, why) != GW_STORE_OK)
        return;
    if (gw_store_read(store, first_seq, INT64_MAX, take_first, &first) == GW_STORE_OK)
        assert_int_equal(first, first_seq);
    gw_store_close(store);
}

/* A key in an interior page is not checked by anything while records are read. A flipped one sends the search past
 * records, which would be given much later, after younger ones. */
static void a_damaged_key_of_an_interior_page_passes_nothing_over(void **state)
{
    struct file *file = *state;
    unsigned char *page = file->bytes + PAGE_BYTES;
    size_t n_cells, n_tried = 0;

    while (*page != INTERIOR_PAGE && page + PAGE_BYTES < file->bytes + file->n_bytes)
        page += PAGE_BYTES;
    assert_int_equal(*page, INTERIOR_PAGE);
    n_cells = (size_t)page[3] << 8 | page[4];
    assert_true(n_cells > 20);
    for (size_t cell = 3; cell < n_cells; cell += 10) {
        const unsigned char *place = page + INTERIOR_HEAD + 2 * cell;
        unsigned char *key = page + ((size_t)place[0] << 8 | place[1]) + CHILD_BYTES;
        const uint64_t last = (uint64_t)(key[0] & 0x7F) << 7 | key[1]; /* a varint of two bytes */

        assert_true(key[0] & 0x80 && !(key[1] & 0x80));
        for (int bit = 0; bit < 16; bit++) {
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
            write_back(file);
            key[bit / 8] ^= (unsigned char)(1 << bit % 8);
            for (uint64_t seq = last - 25; seq <= last + 2; seq += 9, n_tried++)
                assert_nothing_is_passed_over(file->path, seq);
        }
    }
    assert_true(n_tried > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_key_of_an_interior_page_passes_nothing_over,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
