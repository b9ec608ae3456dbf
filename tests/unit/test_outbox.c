/* Outbox in memory: kept until acknowledged, given out again after a rewind, bounded, safe between threads. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/outbox.h"
#include "tests/unit/random.h"

static enum gw_err put(struct gw_outbox *outbox, const char *topic, const char *payload)
{
    const struct gw_message message = {.topic = topic,
                                       .payload = payload,
                                       .payload_len = strlen(payload),
                                       .acquired_wall_ms = strtoll(payload, NULL, 10),
                                       .qos = 1,
                                       .retain = payload[0] == 'r'};

    return outbox->ops->put(outbox, &message);
}

/* Takes the next message and checks its payload; returns its number. */
static uint64_t assert_next(struct gw_outbox *outbox, const char *payload)
{
    struct gw_message message;

    assert_int_equal(outbox->ops->next(outbox, &message), GW_OK);
    assert_int_equal(message.payload_len, strlen(payload));
    assert_memory_equal(message.payload, payload, message.payload_len);
    return message.seq;
}

static void assert_empty(struct gw_outbox *outbox)
{
    struct gw_message message;

    assert_int_equal(outbox->ops->next(outbox, &message), GW_E_CLOSED);
}

static struct gw_outbox_stats stats_of(struct gw_outbox *outbox)
{
    struct gw_outbox_stats stats;

    outbox->ops->stats(outbox, &stats);
    return stats;
}

static bool is_readable(struct gw_outbox *outbox)
{
    struct pollfd fd = {.fd = outbox->event_fd, .events = POLLIN};

    return poll(&fd, 1, 0) == 1;
}

static void drain_event(struct gw_outbox *outbox)
{
    uint64_t count;

    (void)!read(outbox->event_fd, &count, sizeof count);
}

static void a_message_comes_out_as_it_was_put(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(10000, false, 1);
    const char binary[] = {'a', '\0', '\xFF'};
    const struct gw_message in = {.topic = "plant/pump/flow",
                                  .payload = binary,
                                  .payload_len = sizeof binary,
                                  .qos = 2,
                                  .retain = true,
                                  .acquired_wall_ms = 1764000000123,
                                  .expires_wall_ms = 1764000000456,
                                  .correlation = "c\0d",
                                  .correlation_len = 3};
    struct gw_message out;

    (void)state;
    assert_int_equal(outbox->ops->put(outbox, &in), GW_OK);
    assert_int_equal(outbox->ops->next(outbox, &out), GW_OK);

    assert_string_equal(out.topic, "plant/pump/flow");
    assert_int_equal(out.payload_len, sizeof binary);
    assert_memory_equal(out.payload, binary, sizeof binary);
    assert_int_equal(out.qos, 2);
    assert_true(out.retain);
    assert_int_equal(out.acquired_wall_ms, 1764000000123);
    assert_int_equal(out.expires_wall_ms, 1764000000456);
    assert_int_equal(out.correlation_len, 3);
    assert_memory_equal(out.correlation, "c\0d", 3);
    gw_outbox_free(outbox);
}

static void messages_come_out_in_order_with_growing_numbers(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(100000, false, 1);
    uint64_t first, second;

    (void)state;
    assert_empty(outbox);
    put(outbox, "t", "1");
    put(outbox, "t", "2");
    first = assert_next(outbox, "1");
    second = assert_next(outbox, "2");
    assert_int_equal(second, first + 1);
    assert_empty(outbox);
    put(outbox, "t", "");
    assert_int_equal(assert_next(outbox, ""), second + 1);
    gw_outbox_free(outbox);
}

static void what_is_not_acknowledged_is_given_out_again_after_a_rewind(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(100000, false, 1);
    uint64_t seq[5];

    (void)state;
    for (int i = 0; i < 5; i++) {
        const char payload[] = {(char)('0' + i), '\0'};

        put(outbox, "t", payload);
        seq[i] = assert_next(outbox, payload);
    }
    outbox->ops->ack(outbox, seq[3]); /* in any order */
    outbox->ops->ack(outbox, seq[0]);
    outbox->ops->rewind(outbox);

    assert_int_equal(assert_next(outbox, "1"), seq[1]);
    outbox->ops->ack(outbox, seq[2]); /* late: it is not given out again */
    outbox->ops->ack(outbox, seq[2]);
    outbox->ops->ack(outbox, 4711);
    outbox->ops->ack(outbox, 0);
    assert_int_equal(assert_next(outbox, "4"), seq[4]);
    assert_empty(outbox);
    assert_int_equal(stats_of(outbox).n_messages, 2);
    assert_int_equal(stats_of(outbox).n_acked, 3);
    gw_outbox_free(outbox);
}

static void a_message_that_was_never_given_out_cannot_be_acknowledged(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(100000, false, 1);
    uint64_t seq;

    (void)state;
    put(outbox, "t", "1");
    put(outbox, "t", "2");
    seq = assert_next(outbox, "1");
    outbox->ops->ack(outbox, seq + 1);
    assert_next(outbox, "2");
    gw_outbox_free(outbox);
}

/* Each of these messages counts topic 1 + payload 10 + overhead; the outbox holds a few of them. */
static void drop_oldest_keeps_the_newest(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(300, false, 1);
    struct gw_outbox_stats stats;
    char payload[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(payload, sizeof payload, "%010d", i);
        assert_int_equal(put(outbox, "t", payload), GW_OK);
        assert_true(stats_of(outbox).n_bytes <= 300);
    }
    stats = stats_of(outbox);
    assert_true(stats.n_messages >= 2);
    assert_int_equal(stats.n_put, 100);
    assert_int_equal(stats.n_messages + stats.n_dropped, 100);
    assert_int_equal(stats.oldest_wall_ms, 100 - (int)stats.n_messages);
    for (int i = 100 - (int)stats.n_messages; i < 100; i++) {
        snprintf(payload, sizeof payload, "%010d", i);
        assert_next(outbox, payload);
    }
    assert_empty(outbox);
    gw_outbox_free(outbox);
}

static void drop_newest_keeps_the_oldest(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(300, true, 1);
    uint64_t n_kept, seq;

    (void)state;
    while (put(outbox, "t", "0123456789") == GW_OK)
        ;
    n_kept = stats_of(outbox).n_messages;
    assert_int_equal(stats_of(outbox).n_dropped, 1);
    assert_int_equal(put(outbox, "t", "x123456789"), GW_E_FULL);
    seq = assert_next(outbox, "0123456789");
    outbox->ops->ack(outbox, seq);
    assert_int_equal(put(outbox, "t", "y123456789"), GW_OK);
    for (uint64_t i = 1; i < n_kept; i++)
        assert_next(outbox, "0123456789");
    assert_next(outbox, "y123456789");
    gw_outbox_free(outbox);
}

static void a_message_larger_than_the_whole_is_refused_and_drops_nothing(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(1000, false, 1);
    char large[1000];

    (void)state;
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_int_equal(put(outbox, "t", "1"), GW_OK);
    assert_int_equal(put(outbox, "t", large), GW_E_FULL);
    assert_int_equal(stats_of(outbox).n_messages, 1);
    assert_int_equal(stats_of(outbox).n_dropped, 1);
    assert_next(outbox, "1");
    gw_outbox_free(outbox);
}

/* The consumer still reads the texts of a message while a producer drops it: they stay. */
static void a_message_given_out_stays_readable_until_the_next(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(1000000, false, 1);
    static char large[400000];
    struct gw_message message;

    (void)state;
    memset(large, 'a', sizeof large - 1);
    put(outbox, "first", large);
    assert_int_equal(outbox->ops->next(outbox, &message), GW_OK);
    for (int i = 0; i < 10; i++)
        put(outbox, "later", large);
    assert_true(stats_of(outbox).n_dropped > 0);
    outbox->ops->ack(outbox, message.seq); /* gone already: ignored */
    assert_int_equal(stats_of(outbox).n_acked, 0);

    assert_string_equal(message.topic, "first");
    assert_memory_equal(message.payload, large, message.payload_len);
    assert_int_equal(outbox->ops->next(outbox, &message), GW_OK);
    assert_string_equal(message.topic, "later");
    gw_outbox_free(outbox);
}

static void the_event_tells_of_the_first_message_only(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(100000, false, 1);

    (void)state;
    assert_false(is_readable(outbox));
    put(outbox, "t", "1");
    assert_true(is_readable(outbox));
    drain_event(outbox);
    put(outbox, "t", "2"); /* 1 is still to be given out: the consumer is awake */
    assert_false(is_readable(outbox));
    assert_next(outbox, "1");
    assert_next(outbox, "2");
    put(outbox, "t", "3"); /* given out, but not acknowledged, is nothing left to give out */
    assert_true(is_readable(outbox));
    gw_outbox_free(outbox);
}

static void one_message_that_is_never_acknowledged_does_not_hold_memory_for_ever(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(6400, false, 1);

    (void)state;
    put(outbox, "t", "stuck");
    assert_next(outbox, "stuck");
    for (int i = 0; i < 1000; i++) {
        put(outbox, "t", "x");
        outbox->ops->ack(outbox, assert_next(outbox, "x"));
    }
    assert_int_equal(stats_of(outbox).n_messages, 0);
    assert_int_equal(stats_of(outbox).n_dropped, 1);
    gw_outbox_free(outbox);
}

/* ---- memory and speed --------------------------------------------------------------------------------- */

static long mapped_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long n_pages = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld", &n_pages), 1);
    fclose(file);
    return n_pages * sysconf(_SC_PAGESIZE);
}

static void memory_follows_what_is_held(void **state)
{
    const long mib = 1024 * 1024;
    struct gw_outbox *outbox = gw_outbox_memory_new((uint64_t)(128 * mib), false, 1);
    long before, full, after;
    struct gw_message message;
    char payload[256];

    (void)state;
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    put(outbox, "t", payload);
    before = mapped_bytes();
    for (int i = 0; i < 300000; i++)
        assert_int_equal(put(outbox, "plant/line/meter/voltage", payload), GW_OK);
    full = mapped_bytes();
    while (outbox->ops->next(outbox, &message) == GW_OK)
        outbox->ops->ack(outbox, message.seq);
    after = mapped_bytes();

    assert_true(full - before > 70 * mib);
    assert_true(full - before < (long)(1.2 * 300000 * (24 + 255 + 64)));
    assert_true(after - before < 24 * mib); /* a sanitizer keeps what is freed for a while */
    gw_outbox_free(outbox);
}

static void many_messages_cost_little_each(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(64 * 1024 * 1024, false, 1);
    struct gw_message message;
    struct timespec start, end;
    double seconds;

    (void)state;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
    for (int i = 0; i < 1000000; i++)
        put(outbox, "plant/line/meter/voltage",
            "{\"value\":230.1,\"ts\":1764000000123,\"quality\":\"good\"}");
    while (outbox->ops->next(outbox, &message) == GW_OK)
        outbox->ops->ack(outbox, message.seq);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("1,000,000 messages in %.3f s of CPU\n", seconds);
    /* A bound for the order of growth, far from what it takes: a quadratic step would take hours. */
    assert_true(seconds < 60);
    gw_outbox_free(outbox);
}

/* ---- random operations against a model ---------------------------------------------------------------- */

enum { MODEL_MAX = 4000 };

struct model {
    struct {
        uint64_t seq;
        size_t n_bytes;
        int number;
        bool is_given;
    } held[MODEL_MAX];
    size_t n_held;
    uint64_t n_bytes, n_put, n_acked, n_dropped;
};

static void model_remove(struct model *model, size_t i)
{
    model->n_bytes -= model->held[i].n_bytes;
    memmove(&model->held[i], &model->held[i + 1], (model->n_held - i - 1) * sizeof model->held[0]);
    model->n_held--;
}

static void random_put(struct gw_outbox *outbox, struct model *model, struct test_random *random,
                       int number, uint64_t max_bytes, bool drop_newest, uint64_t *last_seq)
{
    static char payload[3000];
    const size_t most = test_random_below(random, 20) == 0 ? sizeof payload : 40;
    size_t len = (size_t)test_random_below(random, most);
    char topic[16];
    size_t n_bytes;
    struct gw_message message = {
        .topic = topic, .payload = payload, .payload_len = len, .acquired_wall_ms = number};
    bool fits;

    snprintf(topic, sizeof topic, "t/%d", number);
    memset(payload, 'a' + number % 26, len);
    n_bytes = strlen(topic) + len + 64;
    model->n_put++;
    fits = n_bytes <= max_bytes && !(drop_newest && model->n_bytes + n_bytes > max_bytes);
    assert_int_equal(outbox->ops->put(outbox, &message), fits ? GW_OK : GW_E_FULL);
    if (!fits) {
        model->n_dropped++;
        return;
    }
    while (model->n_bytes + n_bytes > max_bytes) {
        model_remove(model, 0);
        model->n_dropped++;
    }
    model->held[model->n_held].seq = ++*last_seq;
    model->held[model->n_held].n_bytes = n_bytes;
    model->held[model->n_held].number = number;
    model->held[model->n_held].is_given = false;
    model->n_held++;
    model->n_bytes += n_bytes;
}

static void random_next(struct gw_outbox *outbox, struct model *model)
{
    struct gw_message message;
    char topic[16];

    for (size_t i = 0; i < model->n_held; i++) {
        if (model->held[i].is_given)
            continue;
        assert_int_equal(outbox->ops->next(outbox, &message), GW_OK);
        snprintf(topic, sizeof topic, "t/%d", model->held[i].number);
        assert_string_equal(message.topic, topic);
        assert_int_equal(message.seq, model->held[i].seq);
        assert_int_equal(message.acquired_wall_ms, model->held[i].number);
        for (size_t k = 0; k < message.payload_len; k++)
            if (((const char *)message.payload)[k] != 'a' + model->held[i].number % 26)
                fail_msg("payload of %s is damaged", topic);
        model->held[i].is_given = true;
        return;
    }
    assert_empty(outbox);
}

static void random_ack(struct gw_outbox *outbox, struct model *model, struct test_random *random)
{
    size_t i = (size_t)test_random_below(random, model->n_held < 10 ? model->n_held + 1 : 10);

    if (i < model->n_held && model->held[i].is_given) {
        outbox->ops->ack(outbox, model->held[i].seq);
        model_remove(model, i);
        model->n_acked++;
    }
}

static void random_operations_agree_with_a_simple_model(void **state)
{
    static struct model model;
    struct test_random random = test_random_start();

    (void)state;
    for (int round = 0; round < 40; round++) {
        uint64_t max_bytes = 100 + test_random_below(&random, round % 2 ? 200000 : 3000),
                 last_seq = 0;
        bool drop_newest = test_random_below(&random, 2);
        struct gw_outbox *outbox = gw_outbox_memory_new(max_bytes, drop_newest, 1);

        memset(&model, 0, sizeof model);
        for (int i = 0; i < 5000; i++) {
            uint64_t dice = test_random_below(&random, 100);
            struct gw_outbox_stats stats;

            if (dice < 40 && model.n_held < MODEL_MAX - 1)
                random_put(outbox, &model, &random, i, max_bytes, drop_newest, &last_seq);
            else if (dice < 68)
                random_next(outbox, &model);
            else if (dice < 99)
                random_ack(outbox, &model, &random);
            else {
                outbox->ops->rewind(outbox);
                for (size_t k = 0; k < model.n_held; k++)
                    model.held[k].is_given = false;
            }
            if (i == 0)
                last_seq = model.n_held ? model.held[0].seq : 0;
            stats = stats_of(outbox);
            assert_int_equal(stats.n_messages, model.n_held);
            assert_int_equal(stats.n_bytes, model.n_bytes);
            assert_int_equal(stats.n_put, model.n_put);
            assert_int_equal(stats.n_acked, model.n_acked);
            assert_int_equal(stats.n_dropped, model.n_dropped);
            assert_int_equal(stats.oldest_wall_ms, model.n_held ? model.held[0].number : 0);
        }
        gw_outbox_free(outbox);
    }
}

/* ---- threads ------------------------------------------------------------------------------------------ */

enum { N_PRODUCERS = 4, N_EACH = 20000 };

struct producer {
    struct gw_outbox *outbox;
    int index;
    pthread_t thread;
};

static void *produce(void *arg)
{
    const struct producer *producer = arg;
    char topic[8], payload[16];

    snprintf(topic, sizeof topic, "%d", producer->index);
    for (int i = 0; i < N_EACH; i++) {
        snprintf(payload, sizeof payload, "%d", i);
        if (put(producer->outbox, topic, payload) != GW_OK)
            abort();
    }
    return NULL;
}

/* Waits for the event as the publisher does; false when nothing came for ten seconds: a wake-up was lost. */
static bool wait_for_event(struct gw_outbox *outbox)
{
    struct pollfd fd = {.fd = outbox->event_fd, .events = POLLIN};

    if (poll(&fd, 1, 10000) != 1)
        return false;
    drain_event(outbox);
    return true;
}

static void no_message_of_many_threads_is_lost_or_overtaken(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(1 << 30, false, 1);
    struct producer producers[N_PRODUCERS];
    int last[N_PRODUCERS], n_received = 0;
    uint64_t last_seq = 0, unacked = 0;
    struct test_random random = test_random_start();

    (void)state;
    for (int i = 0; i < N_PRODUCERS; i++) {
        producers[i] = (struct producer){.outbox = outbox, .index = i};
        last[i] = -1;
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    while (n_received < N_PRODUCERS * N_EACH) {
        struct gw_message message;

        if (!wait_for_event(outbox))
            fail_msg("no event, %d messages received", n_received);
        while (outbox->ops->next(outbox, &message) == GW_OK) {
            char number[16] = "";
            int from = (int)strtol(message.topic, NULL, 10);

            memcpy(number, message.payload, message.payload_len);
            assert_true(message.seq > last_seq);
            assert_int_equal((int)strtol(number, NULL, 10), last[from] + 1);
            last[from]++;
            last_seq = message.seq;
            n_received++;
            if (test_random_below(&random, 10) == 0) {
                unacked = message.seq; /* later, out of order */
                continue;
            }
            outbox->ops->ack(outbox, message.seq);
            outbox->ops->ack(outbox, unacked);
        }
    }
    outbox->ops->ack(outbox, unacked);
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    assert_int_equal(stats_of(outbox).n_put, N_PRODUCERS * N_EACH);
    assert_int_equal(stats_of(outbox).n_acked + stats_of(outbox).n_messages, N_PRODUCERS * N_EACH);
    gw_outbox_free(outbox);
}

static void a_small_outbox_under_load_counts_what_it_drops(void **state)
{
    struct gw_outbox *outbox = gw_outbox_memory_new(2000, false, 1);
    struct producer producers[N_PRODUCERS];
    int last[N_PRODUCERS];
    uint64_t n_received = 0;
    struct gw_outbox_stats stats;
    struct gw_message message;

    (void)state;
    for (int i = 0; i < N_PRODUCERS; i++) {
        producers[i] = (struct producer){.outbox = outbox, .index = i};
        last[i] = -1;
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    }
    do {
        while (outbox->ops->next(outbox, &message) == GW_OK) {
            char number[16] = "";
            int from = (int)strtol(message.topic, NULL, 10);

            memcpy(number, message.payload, message.payload_len);
            assert_true((int)strtol(number, NULL, 10) > last[from]);
            last[from] = (int)strtol(number, NULL, 10);
            outbox->ops->ack(outbox, message.seq);
            n_received++;
        }
        stats = stats_of(outbox);
    } while (stats.n_put < N_PRODUCERS * N_EACH || stats.n_messages > 0);
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(producers[i].thread, NULL);
    /* A message may be dropped after it was given out: then it was received and counted as dropped. */
    assert_int_equal(stats.n_acked + stats.n_dropped, N_PRODUCERS * N_EACH);
    assert_true(n_received >= stats.n_acked);
    gw_outbox_free(outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_out_as_it_was_put),
        cmocka_unit_test(messages_come_out_in_order_with_growing_numbers),
        cmocka_unit_test(what_is_not_acknowledged_is_given_out_again_after_a_rewind),
        cmocka_unit_test(a_message_that_was_never_given_out_cannot_be_acknowledged),
        cmocka_unit_test(drop_oldest_keeps_the_newest),
        cmocka_unit_test(drop_newest_keeps_the_oldest),
        cmocka_unit_test(a_message_larger_than_the_whole_is_refused_and_drops_nothing),
        cmocka_unit_test(a_message_given_out_stays_readable_until_the_next),
        cmocka_unit_test(the_event_tells_of_the_first_message_only),
        cmocka_unit_test(one_message_that_is_never_acknowledged_does_not_hold_memory_for_ever),
        cmocka_unit_test(memory_follows_what_is_held),
        cmocka_unit_test(many_messages_cost_little_each),
        cmocka_unit_test(random_operations_agree_with_a_simple_model),
        cmocka_unit_test(no_message_of_many_threads_is_lost_or_overtaken),
        cmocka_unit_test(a_small_outbox_under_load_counts_what_it_drops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
