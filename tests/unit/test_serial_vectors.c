/* Every device template against what its instrument is documented to say, and the same bytes as a line really brings
 * them: in pieces, from the middle on, with noise, with wrong bits. */
#include <ctype.h>

#include "tests/unit/random.h"
#include "tests/unit/serial_rig.h"

enum { VECTORS_MAX = 100, BYTES_MAX = 1200, IDS_MAX = 100 };

struct vector {
    char id[8], template[64], address[32], want[600];
    uint8_t bytes[BYTES_MAX];
    size_t len;
};

static struct vector vectors[VECTORS_MAX];
static size_t n_vectors;
static char all_ids[IDS_MAX][8]; /* of the public collection */
static size_t n_ids;

static void read_ids(char *line)
{
    char *rest = line, *id;

    while ((id = strsep(&rest, " "))) {
        assert_true(n_ids < IDS_MAX && strlen(id) < sizeof all_ids[0]);
        snprintf(all_ids[n_ids++], sizeof all_ids[0], "%s", id);
    }
}

static void read_vectors(void)
{
    FILE *in = fopen("tests/transcripts/serial-vectors.txt", "r");
    char line[4096];
    struct vector *v = NULL;

    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "vector ", 7) == 0) {
            assert_true(n_vectors < VECTORS_MAX);
            v = &vectors[n_vectors++];
            assert_int_equal(sscanf(line, "vector %7s %63s %31s", v->id, v->template, v->address),
                             3);
        } else if (strncmp(line, "all ", 4) == 0) {
            read_ids(line + 4);
        } else if (v && strncmp(line, "hex ", 4) == 0) {
            for (char *p = line + 4, *end; *p && v->len < BYTES_MAX; p = end + (*end == ' '))
                v->bytes[v->len++] = (uint8_t)strtoul(p, &end, 16);
        } else if (v && strncmp(line, "want ", 5) == 0) {
            snprintf(v->want, sizeof v->want, "%.599s", line + 5);
        }
    }
    fclose(in);
    assert_true(n_vectors > 50);
}

static bool is_bad_one(const struct vector *v)
{
    return strcmp(v->want, "bad checksum") == 0;
}

static void assert_wanted(const struct rig *rig, const struct vector *v)
{
    char want[600], *rest = want, *item;

    snprintf(want, sizeof want, "%s", v->want);
    while ((item = strsep(&rest, ";"))) {
        char *equals = strchr(item, '=');

        assert_non_null(equals);
        *equals = '\0';
        rig_assert(rig, v->id, item + strspn(item, " "), equals + 1);
    }
}

static const struct vector *look_for_vector(const char *id)
{
    for (size_t i = 0; i < n_vectors; i++)
        if (strcmp(vectors[i].id, id) == 0)
            return &vectors[i];
    return NULL;
}

static const struct vector *find_vector(const char *id)
{
    const struct vector *v = look_for_vector(id);

    if (!v)
        fail_msg("no vector %s", id);
    return v;
}

static void set_up_rig(struct rig *rig, const struct vector *v)
{
    rig_template(rig, v->template, v->address);
}

/* ---- whole and in pieces --------------------------------------------------------------------------- */

static void feed_all(size_t step)
{
    for (size_t i = 0; i < n_vectors; i++) {
        const struct vector *v = &vectors[i];
        struct rig rig;

        set_up_rig(&rig, v);
        rig_feed(&rig, v->bytes, v->len, step);
        rig_idle(&rig);
        if (is_bad_one(v)) {
            assert_int_equal(rig.n_frames, 0);
            assert_int_equal(rig.stream->counters.n_bad_checksums, 1);
        } else {
            assert_wanted(&rig, v);
        }
        rig_done(&rig);
    }
}

static void every_vector_gives_what_its_source_says(void **state)
{
    (void)state;
    feed_all(BYTES_MAX);
}

static void the_same_byte_by_byte(void **state)
{
    (void)state;
    feed_all(1);
}

static void the_same_in_pieces_of_seven(void **state)
{
    (void)state;
    feed_all(7);
}

static void a_truncated_frame_costs_its_bytes_and_no_more(void **state)
{
    (void)state;
    struct rig rig;
    const struct vector *v = find_vector("B02");

    set_up_rig(&rig, v);
    rig_feed(&rig, v->bytes, v->len, 9);

    assert_int_equal(rig.n_frames, 1);
    assert_int_equal(rig.stream->counters.n_junk, 30);
    assert_wanted(&rig, v);
    rig_done(&rig);
}

/* ---- from the middle on ---------------------------------------------------------------------------- */

static void a_stream_joined_in_mid_frame_gives_the_second_frame_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_vectors; i++) {
        const struct vector *v = &vectors[i];

        if (is_bad_one(v) || strcmp(v->id, "B02") == 0 ||
            strncmp(v->template, "yaohua-xk3190-f", 15) == 0)
            continue; /* B02 and the formats that delimit by the next frame have their own */
        for (size_t k = 1; k < v->len; k++) {
            struct rig rig;

            set_up_rig(&rig, v);
            serial_stream_reset(rig.stream, rig.conf, false);
            rig_feed(&rig, v->bytes + k, v->len - k, 64);
            rig_feed(&rig, v->bytes, v->len, 64);
            rig_idle(&rig);
            if (rig.n_frames != 1)
                fail_msg("%s without its first %zu bytes: %zu readings", v->id, k, rig.n_frames);
            assert_wanted(&rig, v);
            rig_done(&rig);
        }
    }
}

static void groups_without_an_end_give_the_complete_ones_only(void **state)
{
    (void)state;
    static const char *const ids[] = {"W72", "W74", "W75"};

    for (size_t i = 0; i < 3; i++)
        for (size_t k = 1; k < 9; k++) {
            const struct vector *v = find_vector(ids[i]);
            struct rig rig;

            set_up_rig(&rig, v);
            serial_stream_reset(rig.stream, rig.conf, false);
            rig_feed(&rig, v->bytes + k, 18 - k, 5); /* the rest of one, and a whole one */
            rig_feed(&rig, v->bytes, 18, 5);
            assert_int_equal(rig.n_frames, 3);
            assert_wanted(&rig, v);
            rig_done(&rig);
        }
}

/* ---- noise and wrong bits -------------------------------------------------------------------------- */

static bool has_checksum(const struct rig *rig)
{
    return rig->conf->checksum.sum != SERIAL_SUM_NONE;
}

static void noise_between_frames_is_no_reading(void **state)
{
    (void)state;
    struct test_random random = test_random_start();

    for (size_t i = 0; i < n_vectors; i++) {
        const struct vector *v = &vectors[i];
        struct rig rig;

        if (is_bad_one(v))
            continue;
        set_up_rig(&rig, v);
        for (int round = 0; has_checksum(&rig) && round < 50; round++) {
            uint8_t noise[5];
            size_t n = 1 + (size_t)test_random_below(&random, 5), before = rig.n_frames;

            for (size_t k = 0; k < n; k++)
                noise[k] = (uint8_t)test_random_below(&random, 256);
            rig_feed(&rig, noise, n, 5);
            rig_feed(&rig, v->bytes, v->len, 64);
            rig_idle(&rig);
            if (rig.n_frames > (size_t)round + 1) /* one may come late, with the next */
                fail_msg("%s: a reading made of noise", v->id);
            if (rig.n_frames > before)
                assert_wanted(&rig, v);
        }
        rig_done(&rig);
    }
}

static uint64_t count_bad(const struct serial_counters *counters)
{
    return counters->n_bad_checksums + counters->n_bad_frames + counters->n_junk +
           counters->n_unmatched;
}

/* A hexadecimal digit of the checksum in the other case is the same digit. */
static bool is_case_of_hex(const struct vector *v, size_t bit)
{
    return bit % 8 == 5 && strchr("ABCDEFabcdef", v->bytes[bit / 8]) && v->bytes[bit / 8];
}

static void a_wrong_bit_is_never_a_reading_and_is_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_vectors; i++) {
        const struct vector *v = &vectors[i];
        struct rig rig;

        if (is_bad_one(v) || strcmp(v->id, "B02") == 0)
            continue;
        set_up_rig(&rig, v);
        for (size_t k = 0; has_checksum(&rig) && k < v->len * 8; k++) {
            uint8_t bytes[BYTES_MAX];
            const struct serial_counters *counters = &rig.stream->counters;
            uint64_t before = count_bad(counters);

            memcpy(bytes, v->bytes, v->len);
            bytes[k / 8] ^= (uint8_t)(1 << k % 8);
            rig.n_frames = 0;
            serial_stream_reset(rig.stream, rig.conf, true);
            rig_feed(&rig, bytes, v->len, BYTES_MAX);
            rig_idle(&rig);
            /* Sums of 7 and of 6 bits do not see those above. */
            bool is_top = (k % 8 == 7 && rig.conf->checksum.sum == SERIAL_NEG_SUM7) ||
                          (k % 8 >= 6 && rig.conf->checksum.sum == SERIAL_TELEINFO);
            if (rig.n_frames > 0 && is_case_of_hex(v, k))
                assert_wanted(&rig, v);
            else if (rig.n_frames > 0 && !is_top)
                fail_msg("%s with bit %zu of byte %zu wrong is a reading", v->id, k % 8, k / 8);
            if (rig.n_frames == 0 && rig.stream->len == 0 && count_bad(counters) == before)
                fail_msg("%s with bit %zu of byte %zu wrong is not counted", v->id, k % 8, k / 8);
        }
        rig_done(&rig);
    }
}

static void an_endless_line_is_one_overrun_and_the_next_good_frame_is_read(void **state)
{
    (void)state;
    static const char *const ids[] = {"W01", "W20", "W70", "N01", "M10", "B01", "A14"};
    uint8_t garbage[1024];

    memset(garbage, 'x', sizeof garbage);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        const struct vector *v = find_vector(ids[i]);
        struct rig rig;

        set_up_rig(&rig, v);
        for (int k = 0; k < 64; k++)
            rig_feed(&rig, garbage, sizeof garbage, sizeof garbage);
        assert_int_equal(rig.n_frames, 0);
        assert_true(rig.stream->counters.n_bad_frames <= 1);
        assert_true(rig.stream->counters.n_junk > 60000);
        rig_feed(&rig, v->bytes, v->len, 64); /* its beginning may have joined the garbage */
        rig_feed(&rig, v->bytes, v->len, 64);
        rig_idle(&rig);
        assert_true(rig.n_frames >= 1);
        assert_wanted(&rig, v);
        rig_done(&rig);
    }
}

static void interleaved_sentences_bring_their_own_points_only(void **state)
{
    (void)state;
    const struct vector *gga = find_vector("N01"), *rmc = find_vector("N02"),
                        *mwv = find_vector("N06");
    struct rig rig;

    set_up_rig(&rig, gga);
    rig_feed(&rig, mwv->bytes, mwv->len, 64);
    assert_int_equal(rig.n_frames, 0);
    rig_feed(&rig, rmc->bytes, rmc->len, 64);
    assert_int_equal(rig.last[rig_point(&rig, "alt")].quality, GW_BAD);
    rig_feed(&rig, gga->bytes, gga->len, 64);

    assert_wanted(&rig, gga);
    assert_wanted(&rig, rmc); /* still there */
    rig_done(&rig);
}

static void parity_bits_are_stripped_where_asked_for(void **state)
{
    (void)state;
    const struct vector *v = find_vector("E05");
    uint8_t bytes[BYTES_MAX];
    struct rig rig;

    for (size_t i = 0; i < v->len; i++) /* even parity in the top bit */
        bytes[i] = (uint8_t)(v->bytes[i] | __builtin_parity(v->bytes[i]) << 7);
    rig_load(&rig, "      - { name: d, template: iec62056-21-c, strip_parity: true }\n", NULL);
    rig_feed(&rig, bytes, v->len, 7);
    assert_wanted(&rig, v);
    rig_done(&rig);
}

/* ---- the collection is complete -------------------------------------------------------------------- */

/* A request of a template; of its first poll, or of the poll's first step. */
static void assert_sent(const char *id, const char *hex, const char *template, const char *address,
                        bool is_step)
{
    struct serial_vars vars = {0};
    struct rig rig;
    uint8_t wanted[64], sent[64];
    size_t n_wanted = rig_read_hex(hex, wanted), n_sent;

    rig_template(&rig, template, address);
    const struct serial_poll_conf *poll = rig.conf->polls.items;
    const struct serial_step_conf *step = poll->steps.items;

    if (*address != '-')
        serial_vars_set(&vars, "address", address, strlen(address));
    serial_vars_set(&vars, "speed", "5", 1);
    assert_int_equal(serial_render(is_step ? step->send : poll->send,
                                   is_step ? &step->checksum : &poll->checksum, &vars, sent,
                                   sizeof sent, &n_sent, NULL),
                     GW_OK);
    if (n_sent != n_wanted || memcmp(sent, wanted, n_sent) != 0)
        fail_msg("%s: %s sends something else", id, template);
    rig_done(&rig);
}

/* What the first step of a template's poll waits for. */
static void assert_expected(const char *id, const char *hex, const char *template)
{
    struct rig rig;
    uint8_t said[64];
    size_t n_said = rig_read_hex(hex, said);

    rig_template(&rig, template, "1");
    const struct serial_poll_conf *poll = rig.conf->polls.items;
    const struct serial_step_conf *step = poll->steps.items;
    size_t pattern = serial_reader_pattern(&rig.reader, step->expect);

    if (!serial_reader_fits(&rig.reader, pattern, said, n_said))
        fail_msg("%s: %s does not understand it", id, template);
    said[0] ^= 0x01;
    if (serial_reader_fits(&rig.reader, pattern, said, n_said))
        fail_msg("%s: %s takes another byte for it", id, template);
    rig_done(&rig);
}

/* A message whose checksum is all that is told of it: it passes, and with any wrong bit it does not. */
static void assert_guarded(const char *id, const char *hex, const char *keys)
{
    char device[400];
    uint8_t bytes[64];
    size_t len = rig_read_hex(hex, bytes);

    snprintf(device, sizeof device,
             "      - { name: d, %s, points: [{ name: v, from: frame, type: text }] }\n", keys);
    for (size_t bit = 0; bit <= 8 * len; bit++) {
        struct rig rig;
        uint8_t said[64];

        if (bit % 8 == 5 && strstr(keys, "hex: true") && isalpha(bytes[bit / 8]))
            continue; /* the same digit in the other case */
        memcpy(said, bytes, len);
        if (bit < 8 * len)
            said[bit / 8] ^= (uint8_t)(1 << bit % 8);
        rig_load(&rig, device, NULL);
        rig_feed(&rig, said, len, 64);
        if (rig.n_frames != (bit == 8 * len))
            fail_msg("%s: %zu readings with bit %zu wrong", id, rig.n_frames, bit);
        rig_done(&rig);
    }
}

/* How the vectors that are no messages of values are asserted. */
static const struct other {
    const char *id, *hex, *template, *address;
    enum { SENT, SENT_FIRST, EXPECTED, GUARDED } as;
} others[] = {
    {"M02", "2F 4C 47 5A 35 32 5A 4D 44 31 32 30 41 50 74 2E 47 30 33 0D 0A", "iec62056-21-c", "-",
     EXPECTED},
    {"M03", "06 30 35 30 0D 0A", "iec62056-21-c", "-", SENT},
    {"M05", "01 50 30 02 28 31 32 33 34 35 36 37 29 03 50",
     "frame: { start: '\\x01', end: '\\x03', trailer: 1 }, checksum: { type: bcc, from: 1, at: -1 "
     "}",
     "-", GUARDED},
    {"M20", "FE FE FE FE 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16", "dlt645-2007",
     "000000000161", SENT},
    {"M25", "68 AA AA AA AA AA AA 68 13 00 DF 16",
     "frame: { start: h, length_at: 9, length_add: 12, end: '\\x16' }, checksum: { type: sum8, "
     "from: 0, at: -2 }",
     "-", GUARDED},
    {"M30", "10 5B 01 5C 16", "mbus-calec", "1", SENT},
    {"M33", "E5", "mbus-calec", "1", EXPECTED},
    {"B04", "FF 01 86 00 00 00 00 00 79", "winsen-mh-z19", "-", SENT},
    {"A20", "3A 30 31 30 33 30 30 30 30 30 30 30 32 46 41 0D 0A",
     "frame: { start: ':', end: '\\r\\n' }, hex: true, checksum: { type: lrc, from: 1 }", "-",
     GUARDED},
    {"A22", "FF FF FF FF FF 02 80 00 00 82",
     "frame: { start: 'hex:FF FF FF FF FF', length: 10 }, checksum: { type: xor, from: 5, at: -1 }",
     "-", GUARDED},
    /* not of the collection: SND_NKE, as the note of M30 has it */
    {"M30", "10 40 01 41 16", "mbus-calec", "1", SENT_FIRST},
};

static bool is_other(const char *id)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(others[i].id, id) == 0)
            return true;
    return false;
}

static void every_vector_of_the_collection_is_asserted(void **state)
{
    (void)state;

    assert_int_equal(n_ids, 59);
    for (size_t i = 0; i < n_ids; i++) {
        const struct vector *v = look_for_vector(all_ids[i]);

        if (v ? v->len == 0 || v->want[0] == '\0' : !is_other(all_ids[i]))
            fail_msg("nothing is asserted of %s", all_ids[i]);
    }
}

static void requests_and_what_has_no_values_are_as_published(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const struct other *o = &others[i];

        if (o->as == EXPECTED)
            assert_expected(o->id, o->hex, o->template);
        else if (o->as == GUARDED)
            assert_guarded(o->id, o->hex, o->template);
        else
            assert_sent(o->id, o->hex, o->template, o->address, o->as == SENT_FIRST);
    }
}

/* Overload, underload and errors between two good messages: no number, its reason, and the next good one is read. What the bad one
 * does not speak of stays. */
static void no_value_is_told_with_its_reason_and_leaves_the_rest_alone(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"W05", "W01"}, {"W06", "W01"}, {"E07", "W01"}, {"W22", "W20"}, {"E06", "W30"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct vector *bad = find_vector(rows[i][0]), *good = find_vector(rows[i][1]);
        struct rig rig;

        set_up_rig(&rig, good);
        rig_feed(&rig, good->bytes, good->len, 64);
        rig_idle(&rig);
        assert_wanted(&rig, good);
        rig_feed(&rig, bad->bytes, bad->len, 64);
        rig_idle(&rig);
        assert_int_equal(rig.last[rig_point(&rig, "weight")].value.kind, GW_NONE);
        assert_wanted(&rig, bad);
        rig_feed(&rig, good->bytes, good->len, 64);
        rig_idle(&rig);
        assert_wanted(&rig, good);
        rig_done(&rig);
    }
}

static void an_overload_leaves_the_tare_alone(void **state)
{
    (void)state;
    const struct vector *tare = find_vector("W08"), *overload = find_vector("E07");
    struct rig rig;

    set_up_rig(&rig, tare);
    rig_feed(&rig, tare->bytes, tare->len, 64);
    rig_feed(&rig, overload->bytes, overload->len, 64);

    assert_wanted(&rig, overload);
    assert_wanted(&rig, tare);
    rig_done(&rig);
}

static int set_up(void **state)
{
    (void)state;
    read_vectors();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_gives_what_its_source_says),
        cmocka_unit_test(the_same_byte_by_byte),
        cmocka_unit_test(the_same_in_pieces_of_seven),
        cmocka_unit_test(a_truncated_frame_costs_its_bytes_and_no_more),
        cmocka_unit_test(a_stream_joined_in_mid_frame_gives_the_second_frame_only),
        cmocka_unit_test(groups_without_an_end_give_the_complete_ones_only),
        cmocka_unit_test(noise_between_frames_is_no_reading),
        cmocka_unit_test(a_wrong_bit_is_never_a_reading_and_is_counted),
        cmocka_unit_test(an_endless_line_is_one_overrun_and_the_next_good_frame_is_read),
        cmocka_unit_test(interleaved_sentences_bring_their_own_points_only),
        cmocka_unit_test(parity_bits_are_stripped_where_asked_for),
        cmocka_unit_test(every_vector_of_the_collection_is_asserted),
        cmocka_unit_test(requests_and_what_has_no_values_are_as_published),
        cmocka_unit_test(no_value_is_told_with_its_reason_and_leaves_the_rest_alone),
        cmocka_unit_test(an_overload_leaves_the_tare_alone),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
