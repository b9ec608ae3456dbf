/* Outbox on disk: what is kept over a restart and a crash, when it is written, in which order it comes, and how it stays
 * within its bounds. */
#include "tests/unit/durable_rig.h"

#include "gateway/outbox_age.h"

/* ---- kept ------------------------------------------------------------------------------------------ */

static void what_is_not_acknowledged_comes_again_after_a_restart_in_order(void **state)
{
    struct rig *rig = *state;
    uint64_t seqs[10];

    rig_start(rig);
    for (int i = 0; i < 10; i++)
        rig_put_number(rig, i);
    rig_pass_ms(rig, 1000);
    for (int i = 0; i < 10; i++)
        seqs[i] = rig_next_number(rig, i);
    rig_ack(rig, seqs[0]);
    rig_ack(rig, seqs[4]);
    rig_stop(rig);
    rig_start(rig);

    assert_int_equal(rig_stats(rig).n_messages, 8);
    for (int i = 0; i < 10; i++)
        if (i != 0 && i != 4)
            assert_true(rig_next_number(rig, i) == seqs[i]);
    rig_nothing(rig);
}

static void every_field_comes_back_as_it_was(void **state)
{
    struct rig *rig = *state;
    const struct gw_message message = {
        .topic = "plant/püm",
        .payload = "a\0b",
        .payload_len = 3,
        .qos = 2,
        .retain = true,
        .kind = GW_KIND_RESULT,
        .acquired_wall_ms = 1795000000123,
        .expires_wall_ms = 1795000009123,
        .correlation = "\0\xff",
        .correlation_len = 2,
    };
    struct gw_message got;

    rig_start(rig);
    assert_int_equal(rig->outbox->ops->put(rig->outbox, &message), GW_OK);
    rig_stop(rig);
    rig_start(rig);
    rig_nothing(rig);
    gw_durable_step(rig->self);

    assert_int_equal(rig->outbox->ops->next(rig->outbox, &got), GW_OK);
    assert_string_equal(got.topic, message.topic);
    assert_int_equal(got.payload_len, 3);
    assert_memory_equal(got.payload, "a\0b", 3);
    assert_int_equal(got.correlation_len, 2);
    assert_memory_equal(got.correlation, "\0\xff", 2);
    assert_int_equal(got.qos, 2);
    assert_true(got.retain);
    assert_int_equal(got.kind, GW_KIND_RESULT);
    assert_true(got.acquired_wall_ms == message.acquired_wall_ms);
    assert_true(got.expires_wall_ms == message.expires_wall_ms);
}

static void an_empty_payload_is_kept_too(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_put(rig, "");
    rig_stop(rig);
    rig_start(rig);

    rig_next(rig, "");
}

static void with_always_nothing_is_given_out_before_it_is_on_disk(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_nothing(rig);
    rig_is_readable(rig); /* it may be told for nothing at the start */
    rig_put(rig, "1");
    rig_nothing(rig);
    assert_false(rig_is_readable(rig));
    rig_pass_ms(rig, 20);
    assert_true(rig_is_readable(rig));
    rig_next(rig, "1");

    rig_kill(rig);
    rig_start(rig);
    rig_next(rig, "1");
}

static void with_always_messages_under_load_share_a_commit(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    for (int i = 0; i < 400; i++) {
        rig_put_number(rig, i);
        rig_pass_ms(rig, 10); /* 100 a second for 4 seconds */
    }

    /* the first at once, and one in each second; the mark of the numbers goes with the opening of the file */
    assert_in_range(rig_stats(rig).n_commits, 4, 6);
}

static void a_full_batch_does_not_wait_for_the_interval(void **state)
{
    struct rig *rig = *state;

    rig->conf.commit_interval_us = 60000000;
    rig_start(rig);
    for (int i = 0; i < GW_COMMIT_ROWS; i++)
        rig_put_number(rig, i);
    gw_durable_step(rig->self);

    assert_int_equal(rig_stats(rig).n_rows_written, GW_COMMIT_ROWS);
}

static void with_outage_nothing_is_written_while_the_broker_acknowledges(void **state)
{
    struct rig *rig = *state;

    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig_start(rig);
    rig_link(rig, true);
    for (int i = 0; i < 3000; i++) {
        rig_put_number(rig, i);
        rig_ack(rig, rig_next_number(rig, i));
        rig_pass_ms(rig, 10);
    }

    assert_int_equal(rig_stats(rig).n_rows_written, 0);
    assert_int_equal(rig_stats(rig).n_messages, 0);
}

static void with_outage_a_lost_link_saves_all_that_is_not_acknowledged(void **state)
{
    struct rig *rig = *state;

    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig_start(rig);
    rig_link(rig, true);
    rig_put(rig, "1");
    rig_put(rig, "2");
    rig_ack(rig, rig_next(rig, "1"));
    rig_next(rig, "2");
    rig_link(rig, false);
    rig_put(rig, "3");
    rig_pass_ms(rig, 1000);

    assert_int_equal(rig_stats(rig).n_rows_written, 2);
    rig_kill(rig);
    rig_start(rig);
    rig_next(rig, "2");
    rig_next(rig, "3");
    rig_nothing(rig);
}

static void with_outage_a_broker_that_is_silent_for_5_s_saves_too(void **state)
{
    struct rig *rig = *state;

    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig_start(rig);
    rig_link(rig, true);
    rig_put(rig, "1");
    rig_next(rig, "1");
    rig_pass_ms(rig, 4900);
    assert_int_equal(rig_stats(rig).n_rows_written, 0);
    for (int i = 0; i < 3; i++)
        rig_pass_ms(rig, 1000);

    assert_int_equal(rig_stats(rig).n_rows_written, 1);
}

static void a_clean_stop_saves_what_is_in_memory(void **state)
{
    struct rig *rig = *state;

    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig_start(rig);
    rig_link(rig, true);
    for (int i = 0; i < 5000; i++)
        rig_put_number(rig, i);
    rig_stop(rig);
    rig_start(rig);

    for (int i = 0; i < 5000; i++)
        rig_ack(rig, rig_next_number(rig, i));
    rig_nothing(rig);
}

static void acknowledged_messages_leave_the_file(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    for (int i = 0; i < 100; i++)
        rig_put_number(rig, i);
    rig_pass_ms(rig, 1000);
    for (int i = 0; i < 100; i++)
        rig_ack(rig, rig_next_number(rig, i));
    rig_pass_ms(rig, 1000);
    rig_kill(rig);
    rig_start(rig);

    assert_int_equal(rig_stats(rig).n_messages, 0);
}

/* ---- numbers --------------------------------------------------------------------------------------- */

static void numbers_never_go_back_over_stops_kills_and_a_lost_file(void **state)
{
    struct rig *rig = *state;
    uint64_t last_seq = 0;

    for (int run = 0; run < 40; run++) {
        rig_start(rig);
        rig_link(rig, true);
        rig->conf.durability = run % 2 ? GW_DURABLE_OUTAGE : GW_DURABLE_ALWAYS;
        for (int i = 0; i < 20; i++) {
            rig_put(rig, "x");
            rig_pass_ms(rig, 1000);
            const uint64_t seq = rig_next(rig, "x");
            assert_true(seq > last_seq);
            last_seq = seq;
            rig_ack(rig, seq);
        }
        rig_pass_ms(rig, 1100); /* else the last one comes again, under its number */
        if (run % 3 == 0)
            rig_stop(rig);
        else
            rig_kill(rig);
        /* With the file the wall clock does not matter; without it, it has to be right. */
        rig->wall_ms += run % 2 ? -3600000 : 3600000;
        if (run % 8 == 6)
            unlink(rig->path);
    }
}

static void numbers_have_no_gap_over_a_clean_stop(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_put(rig, "1");
    rig_pass_ms(rig, 1000);
    const uint64_t seq = rig_next(rig, "1");
    rig_stop(rig);
    rig_start(rig);
    rig_put(rig, "2");
    rig_pass_ms(rig, 1000);

    assert_true(rig_next(rig, "1") == seq);
    assert_true(rig_next(rig, "2") == seq + 1);
}

static void numbers_are_exact_in_every_json_reader(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_put(rig, "1");
    rig_pass_ms(rig, 100);

    assert_true(rig_next(rig, "1") < (uint64_t)1 << 53);
}

static void the_number_is_written_into_the_payload_where_it_is_wanted(void **state)
{
    struct rig *rig = *state;
    const uint32_t at[] = {7, 24};
    const struct gw_message message = {
        .topic = "t",
        .payload = "{\"seq\":               0,               0}",
        .payload_len = 41,
        .seq_at = at,
        .n_seq_at = 2,
    };
    char expected[64];
    struct gw_message got;

    rig_start(rig);
    assert_int_equal(rig->outbox->ops->put(rig->outbox, &message), GW_OK);
    rig_pass_ms(rig, 100);
    assert_int_equal(rig->outbox->ops->next(rig->outbox, &got), GW_OK);

    snprintf(expected, sizeof expected, "{\"seq\":%16llu,%16llu}", (unsigned long long)got.seq,
             (unsigned long long)got.seq);
    assert_int_equal(got.payload_len, strlen(expected));
    assert_memory_equal(got.payload, expected, got.payload_len);
}

/* ---- order and memory ------------------------------------------------------------------------------ */

static void a_long_outage_keeps_order_and_memory_stays_within_its_window(void **state)
{
    struct rig *rig = *state;
    enum { N = 60000 };

    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig_start(rig);
    rig_link(rig, true);
    for (int i = 0; i < 10; i++)
        rig_put_number(rig, i);
    for (int i = 0; i < 5; i++)
        rig_next_number(rig, i);
    rig_link(rig, false);
    for (int i = 10; i < N; i++) {
        rig_put_number(rig, i);
        if (i % 500 == 0)
            rig_pass_ms(rig, 500);
        assert_true(rig_stats(rig).n_memory_bytes <= GW_WINDOW_BYTES + 2 * GW_COMMIT_BYTES);
    }
    assert_int_equal(rig_stats(rig).n_messages, N);
    rig_link(rig, true);

    for (int i = 0; i < N; i++) {
        rig_ack(rig, rig_next_number(rig, i));
        if (i % 100 == 0 && i < N / 2)
            rig_put_number(rig, N + i / 100);
    }
    for (int i = 0; i < N / 2; i += 100)
        rig_ack(rig, rig_next_number(rig, N + i / 100));
    rig_nothing(rig);
    rig_pass_ms(rig, 1000);
    assert_int_equal(rig_stats(rig).n_messages, 0);
    assert_int_equal(rig_stats(rig).n_bytes, 0);
    assert_int_equal(rig_stats(rig).n_dropped, 0);
}

static void a_rewind_in_the_midst_of_history_gives_the_same_again(void **state)
{
    struct rig *rig = *state;
    enum { N = 50000 };

    rig_start(rig);
    for (int i = 0; i < N; i++) {
        rig_put_number(rig, i);
        if (i % 500 == 0)
            rig_pass_ms(rig, 100);
    }
    rig_pass_ms(rig, 2000);
    for (int i = 0; i < 20000; i++) {
        const uint64_t seq = rig_next_number(rig, i);
        if (i < 19900)
            rig_ack(rig, seq);
    }
    rig_link(rig, false);
    rig_link(rig, true);
    for (int i = 19900; i < N; i++)
        rig_ack(rig, rig_next_number(rig, i));
    rig_nothing(rig);
}

/* ---- live first ------------------------------------------------------------------------------------ */

static void put_reading(struct rig *rig, int topic, int value)
{
    char name[16], text[16];

    snprintf(name, sizeof name, "t%d", topic);
    snprintf(text, sizeof text, "r%d", value); /* retained */
    assert_int_equal(rig_put_on(rig, name, text), GW_OK);
}

static bool take_reading(struct rig *rig, int *ret_topic, int *ret_value, bool *ret_retain)
{
    struct gw_message message;
    char text[16];

    if (rig->outbox->ops->next(rig->outbox, &message) != GW_OK)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)message.payload_len, (const char *)message.payload);
    *ret_topic = atoi(message.topic + 1);
    *ret_value = atoi(text + 1);
    *ret_retain = message.retain;
    rig_ack(rig, message.seq);
    return true;
}

enum { TOPICS = 5 };

/* Of an outage that spans n rounds of readings. Returns how many came; checks that each came once, history in order and
 * without retain, and that the broker would end with the newest retained. */
static void check_live_first(struct rig *rig, int n)
{
    int topic, value, history[TOPICS], retained[TOPICS], n_history = 0;
    bool retain;

    for (int i = 0; i < TOPICS; i++)
        history[i] = retained[i] = -1;
    for (int i = 0; i < TOPICS; i++) { /* the newest of each topic come first */
        assert_true(take_reading(rig, &topic, &value, &retain));
        assert_int_equal(value, n - 1);
        assert_int_equal(retained[topic], -1);
        assert_true(retain);
        retained[topic] = value;
    }
    put_reading(rig, 2, n); /* a live one goes before all history */
    rig_pass_ms(rig, 1200);
    assert_true(take_reading(rig, &topic, &value, &retain));
    assert_int_equal(topic, 2);
    assert_int_equal(value, n);
    assert_true(retain);
    for (int guard = 0; guard < 100000 && n_history < TOPICS * (n - 1); guard++) {
        while (take_reading(rig, &topic, &value, &retain)) {
            assert_int_equal(value, ++history[topic]);
            assert_false(retain);
            n_history++;
        }
        rig_pass_ms(rig, 20);
    }
    assert_int_equal(n_history, TOPICS * (n - 1));
    rig_nothing(rig);
    rig_pass_ms(rig, 2000);
    assert_int_equal(rig_stats(rig).n_messages, 0);
    assert_int_equal(rig_stats(rig).n_dropped, 0);
}

static void outage(struct rig *rig, int n)
{
    for (int i = 0; i < n; i++) {
        for (int topic = 0; topic < TOPICS; topic++)
            put_reading(rig, topic, i);
        if (i % 90 == 0)
            rig_pass_ms(rig, 200);
    }
    rig_pass_ms(rig, 2000);
}

static void live_first_gives_the_newest_of_each_topic_then_live_ones_then_history(void **state)
{
    struct rig *rig = *state;

    for (enum gw_durability durability = GW_DURABLE_OUTAGE; durability <= GW_DURABLE_ALWAYS;
         durability++) {
        rig->conf.is_live_first = true;
        rig->conf.durability = durability;
        rig_start(rig);
        outage(rig, 100);
        rig_link(rig, true);
        check_live_first(rig, 100);
        rig_stop(rig);
    }
}

static void with_always_the_newest_of_an_outage_is_committed_at_once_and_history_waits(void **state)
{
    struct rig *rig = *state;
    int topic, value;
    bool retain;

    rig->conf.is_live_first = true;
    rig_start(rig);
    put_reading(rig, 0, 1);
    put_reading(rig, 0, 2);
    rig_pass_ms(rig, 2000);
    put_reading(rig, 0, 3);
    rig_pass_ms(rig, 100); /* takes the commit that is due by now */
    put_reading(rig, 0, 4);
    rig_link(rig, true);

    rig_nothing(rig);
    gw_durable_step(rig->self); /* no time has passed */
    for (int i = 0; i < 4; i++) {
        static const int expected[] = {4, 1, 2, 3};

        if (!take_reading(rig, &topic, &value, &retain)) {
            rig_pass_ms(rig, 100);
            assert_true(take_reading(rig, &topic, &value, &retain));
        }
        assert_int_equal(value, expected[i]);
        assert_true(retain == (i == 0));
    }
    rig_nothing(rig);
}

static void live_first_holds_over_history_on_disk_and_a_restart(void **state)
{
    struct rig *rig = *state;
    const int n = 15000; /* several times the window in memory */

    rig->conf.is_live_first = true;
    rig_start(rig);
    outage(rig, n);
    assert_true(rig_stats(rig).n_memory_bytes < rig_stats(rig).n_bytes);
    rig_link(rig, true);
    check_live_first(rig, n);

    rig_link(rig, false);
    outage(rig, n);
    rig_kill(rig);
    rig_start(rig);
    rig_link(rig, true);
    check_live_first(rig, n);
}

static void live_first_survives_a_link_that_comes_and_goes_without_loss(void **state)
{
    struct rig *rig = *state;
    struct test_random random = test_random_start();
    enum { ROUNDS = 60 };
    static bool seen[TOPICS][ROUNDS * 400];
    int n = 0, n_seen = 0, newest[TOPICS] = {0}, retained[TOPICS] = {0};

    memset(seen, 0, sizeof seen);
    rig->conf.is_live_first = true;
    rig->conf.durability = GW_DURABLE_OUTAGE;
    rig->conf.max_bytes = 8 << 20; /* a window of 2 MiB */
    rig->conf.drain_rate = (struct gw_rate){1e6, 1e6};
    rig_start(rig);
    for (int round = 0; round < ROUNDS || n_seen < n * TOPICS; round++) {
        struct gw_message message;

        assert_true(round < 10000);
        for (uint64_t k = round < ROUNDS ? test_random_below(&random, 400) : 0; k > 0; k--, n++)
            for (int topic = 0; topic < TOPICS; topic++)
                put_reading(rig, topic, newest[topic] = n);
        rig_pass_ms(rig, (int64_t)test_random_below(&random, 2500));
        rig_link(rig, true);
        rig_pass_ms(rig, 20);
        uint64_t left = test_random_below(&random, 2500);
        while (left-- > 0 && rig->outbox->ops->next(rig->outbox, &message) == GW_OK) {
            char text[16];
            snprintf(text, sizeof text, "%.*s", (int)message.payload_len,
                     (const char *)message.payload);
            const int topic = atoi(message.topic + 1), value = atoi(text + 1);

            if (message.retain)
                retained[topic] = value;
            if (test_random_below(&random, 10) == 0)
                continue; /* acknowledged too late */
            n_seen += !seen[topic][value];
            assert_false(seen[topic][value]);
            seen[topic][value] = true;
            rig_ack(rig, message.seq);
        }
        rig_link(rig, false);
    }
    assert_int_equal(rig_stats(rig).n_messages, 0);
    assert_int_equal(rig_stats(rig).n_dropped, 0);
    for (int topic = 0; topic < TOPICS; topic++)
        assert_int_equal(retained[topic], newest[topic]);
}

static void history_is_paced_by_the_drain_rate(void **state)
{
    struct rig *rig = *state;
    int topic, value, n = 0;
    bool retain;

    rig->conf.is_live_first = true;
    rig->conf.drain_rate = (struct gw_rate){100, 100};
    rig_start(rig);
    outage(rig, 400);
    rig_link(rig, true);
    for (int i = 0; i < 500; i++) { /* 5 seconds */
        while (take_reading(rig, &topic, &value, &retain))
            n++;
        rig_pass_ms(rig, 10);
    }

    assert_in_range(n, TOPICS + 490, TOPICS + 510);
}

/* ---- bounds ---------------------------------------------------------------------------------------- */

static void when_full_the_oldest_go_also_those_on_disk_and_are_counted(void **state)
{
    struct rig *rig = *state;
    struct gw_message message;
    const int n = 40000;

    rig->conf.max_bytes = 1 << 20; /* 1 MiB: about 12,000 of these */
    rig_start(rig);
    for (int i = 0; i < n; i++) {
        rig_put_number(rig, i);
        if (i % 200 == 0)
            rig_pass_ms(rig, 1000);
    }
    rig_pass_ms(rig, 2000);
    const struct gw_outbox_stats stats = rig_stats(rig);
    assert_true(stats.n_bytes <= 1 << 20);
    assert_int_equal(stats.n_messages + stats.n_dropped, n);
    assert_int_equal(stats.n_dropped_by[GW_DROP_FULL], stats.n_dropped);
    assert_true(stats.n_messages > 11000);

    for (int i = n - (int)stats.n_messages; i < n; i++)
        rig_ack(rig, rig_next_number(rig, i));
    assert_int_equal(rig->outbox->ops->next(rig->outbox, &message), GW_E_CLOSED);
}

static void with_drop_newest_what_is_there_stays(void **state)
{
    struct rig *rig = *state;
    int n_taken = 0;

    rig->conf.max_bytes = 1 << 20;
    rig->conf.drop_newest = true;
    rig_start(rig);
    for (int i = 0; i < 20000; i++) {
        char text[16];

        snprintf(text, sizeof text, "%d", i);
        n_taken += rig_put_on(rig, "plant/tank/level", text) == GW_OK;
        if (i % 200 == 0)
            rig_pass_ms(rig, 1000);
    }
    assert_int_equal(rig_stats(rig).n_messages, n_taken);
    assert_int_equal(rig_stats(rig).n_dropped_by[GW_DROP_FULL], 20000 - n_taken);

    for (int i = 0; i < n_taken; i++)
        rig_ack(rig, rig_next_number(rig, i));
    rig_nothing(rig);
}

static void a_message_larger_than_the_whole_is_refused_and_counted(void **state)
{
    struct rig *rig = *state;
    char *payload = calloc(1, 200000);

    memset(payload, 'x', 199999);
    rig->conf.max_bytes = 100000;
    rig_start(rig);

    assert_int_equal(rig_put_on(rig, "t", payload), GW_E_FULL);
    assert_int_equal(rig_stats(rig).n_dropped_by[GW_DROP_TOO_LARGE], 1);
    free(payload);
}

/* ---- age ------------------------------------------------------------------------------------------- */

static void what_is_over_max_age_is_dropped_and_counted_in_memory_and_on_disk(void **state)
{
    struct rig *rig = *state;

    rig->conf.max_age_us = 60000000;
    rig_start(rig);
    rig_put(rig, "disk");
    rig_pass_ms(rig, 1000);
    rig_stop(rig);
    rig_start(rig);
    rig_pass_ms(rig, 30000);
    rig_put(rig, "young");
    rig_pass_ms(rig, 1000);
    assert_int_equal(rig_stats(rig).n_messages, 2);
    for (int i = 0; i < 35; i++)
        rig_pass_ms(rig, 1000);

    assert_int_equal(rig_stats(rig).n_dropped_by[GW_DROP_EXPIRED], 1);
    rig_next(rig, "young");
    rig_nothing(rig);
}

static void what_is_left_of_max_age_is_given_along(void **state)
{
    struct rig *rig = *state;
    struct gw_message message;

    rig->conf.max_age_us = 60000000;
    rig_start(rig);
    rig_put(rig, "1");
    rig_pass_ms(rig, 20000);

    assert_int_equal(rig->outbox->ops->next(rig->outbox, &message), GW_OK);
    assert_int_equal(message.left_ms, 40000);
}

static void a_wall_clock_that_jumps_never_wipes(void **state)
{
    static const int64_t hour_ms = 3600000, year_ms = 366 * (int64_t)86400000;
    const int64_t jumps_ms[] = {
        hour_ms,      -hour_ms, 10 * year_ms, -10 * year_ms, 12 * year_ms /* beyond 2038 */,
        -57 * year_ms};
    struct rig *rig = *state;

    rig->conf.max_age_us = 7200000000;
    for (size_t i = 0; i < sizeof jumps_ms / sizeof jumps_ms[0]; i++) {
        rig->wall_ms = rig_wall_ms;
        rig_start(rig);
        rig_put(rig, "before");
        rig_pass_ms(rig, 2000);
        rig->wall_ms += jumps_ms[i]; /* while it runs */
        rig_pass_ms(rig, 2000);
        assert_int_equal(rig_stats(rig).n_messages, 1);
        rig_stop(rig);
        rig->wall_ms -= 2 * jumps_ms[i]; /* over a restart of the gateway */
        rig_start(rig);
        rig_pass_ms(rig, 2000);
        rig_put(rig, "after");
        rig_pass_ms(rig, 2000);

        assert_int_equal(rig_stats(rig).n_dropped, 0);
        rig_ack(rig, rig_next(rig, "before"));
        rig_ack(rig, rig_next(rig, "after"));
        rig_stop(rig);
        rig_empty_folder(rig->folder);
    }
}

static void age_over_a_restart_of_the_machine_counts_as_far_as_it_is_plausible(void **state)
{
    (void)state;
    const int64_t day_ms = 86400000, wall_ms = rig_wall_ms;
    const struct gw_store_state saved = {.age_ms = 5000, .mono_ms = 100000, .boot_id = "boot-1"};
    const struct gw_last_record last = {.put_ms = 4000, .acquired_wall_ms = wall_ms};

    /* the same start of the machine: the monotonic clock, whatever the wall clock says */
    assert_int_equal(gw_age_resume(&saved, &last, "boot-1", 160000, wall_ms - 999 * day_ms), 65000);
    /* another one: the wall clock ... */
    assert_int_equal(gw_age_resume(&saved, &last, "boot-2", 50, wall_ms + day_ms), 4000 + day_ms);
    /* ... unless it went back, was never set, or leaps by years */
    assert_int_equal(gw_age_resume(&saved, &last, "boot-2", 50, wall_ms - day_ms), 5000);
    assert_int_equal(gw_age_resume(&saved, &last, "boot-2", 50, day_ms), 5000);
    assert_int_equal(gw_age_resume(&saved, &last, "boot-2", 50, wall_ms + 3660 * day_ms), 5000);
    const struct gw_last_record unset = {.put_ms = 4000, .acquired_wall_ms = day_ms};
    assert_int_equal(gw_age_resume(&saved, &unset, "boot-2", 50, wall_ms), 5000);
    assert_int_equal(gw_age_resume(NULL, &last, "boot-2", 50, wall_ms), 4000);
}

/* ---- two programs, threads ------------------------------------------------------------------------- */

static void a_second_gateway_on_the_same_file_is_refused_and_harms_nothing(void **state)
{
    struct rig *rig = *state;
    struct gw_durable *second = NULL;

    rig_start(rig);
    rig_put(rig, "1");
    rig_pass_ms(rig, 1000);

    assert_int_equal(gw_durable_new(&rig->conf, &rig->clock, &second), GW_E_BUSY);
    rig_put(rig, "2");
    rig_pass_ms(rig, 2000);
    assert_int_equal(rig_stats(rig).n_rows_written, 2);
    assert_int_equal(rig_count_asides(rig, "damaged"), 0);
    rig_next(rig, "1");
    rig_next(rig, "2");
}

static bool wait_readable(struct gw_outbox *outbox)
{
    struct pollfd fd = {.fd = outbox->event_fd, .events = POLLIN};
    uint64_t n;

    return poll(&fd, 1, 30000) == 1 && read(outbox->event_fd, &n, sizeof n) == sizeof n;
}

struct producer {
    pthread_t thread;
    struct gw_outbox *outbox;
    int id;
};

enum { PRODUCERS = 3, EACH = 4000 };

static void *produce(void *arg)
{
    struct producer *producer = arg;
    char topic[16], text[16];

    snprintf(topic, sizeof topic, "t%d", producer->id);
    for (int i = 0; i < EACH; i++) {
        const int len = snprintf(text, sizeof text, "%d", i);

        assert_int_equal(producer->outbox->ops->put(producer->outbox,
                                                    &(struct gw_message){.topic = topic,
                                                                         .payload = text,
                                                                         .payload_len = (size_t)len,
                                                                         .qos = 1}),
                         GW_OK);
    }
    return NULL;
}

/* With the real writer and clock, links that come and go, and acknowledgements that lag behind. */
static void threads_put_and_take_without_loss_or_disorder(void **state)
{
    struct rig *rig = *state;
    struct producer producers[PRODUCERS];
    uint64_t given[64];
    int next_of[PRODUCERS] = {0}, n_given = 0, n_acked = 0;
    struct gw_outbox *outbox;

    rig->conf.commit_interval_us = 10000;
    rig->conf.max_bytes = 1 << 20;
    for (enum gw_durability durability = GW_DURABLE_OUTAGE; durability <= GW_DURABLE_ALWAYS;
         durability++) {
        rig->conf.durability = durability;
        memset(next_of, 0, sizeof next_of);
        n_given = n_acked = 0;
        assert_int_equal(gw_outbox_open(&rig->conf, &gw_system_clock, &outbox), GW_OK);
        for (int i = 0; i < PRODUCERS; i++) {
            producers[i] = (struct producer){.outbox = outbox, .id = i};
            pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
        }
        outbox->ops->link(outbox, true);
        while (n_acked < PRODUCERS * EACH) {
            struct gw_message message;

            if (n_given == 64 || outbox->ops->next(outbox, &message) != GW_OK) {
                for (int i = 0; i < n_given; i++)
                    outbox->ops->ack(outbox, given[i]);
                n_acked += n_given;
                if (n_given == 0)
                    assert_true(wait_readable(outbox));
                n_given = 0;
                continue;
            }
            const int id = message.topic[1] - '0';
            char text[16];
            snprintf(text, sizeof text, "%.*s", (int)message.payload_len,
                     (const char *)message.payload);
            assert_int_equal(atoi(text), next_of[id]++);
            given[n_given++] = message.seq;
        }
        for (int i = 0; i < PRODUCERS; i++)
            pthread_join(producers[i].thread, NULL);
        gw_outbox_free(outbox);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_acknowledged_comes_again_after_a_restart_in_order),
        TEST(every_field_comes_back_as_it_was),
        TEST(an_empty_payload_is_kept_too),
        TEST(with_always_nothing_is_given_out_before_it_is_on_disk),
        TEST(with_always_messages_under_load_share_a_commit),
        TEST(a_full_batch_does_not_wait_for_the_interval),
        TEST(with_outage_nothing_is_written_while_the_broker_acknowledges),
        TEST(with_outage_a_lost_link_saves_all_that_is_not_acknowledged),
        TEST(with_outage_a_broker_that_is_silent_for_5_s_saves_too),
        TEST(a_clean_stop_saves_what_is_in_memory),
        TEST(acknowledged_messages_leave_the_file),
        TEST(numbers_never_go_back_over_stops_kills_and_a_lost_file),
        TEST(numbers_have_no_gap_over_a_clean_stop),
        TEST(numbers_are_exact_in_every_json_reader),
        TEST(the_number_is_written_into_the_payload_where_it_is_wanted),
        TEST(a_long_outage_keeps_order_and_memory_stays_within_its_window),
        TEST(a_rewind_in_the_midst_of_history_gives_the_same_again),
        TEST(live_first_gives_the_newest_of_each_topic_then_live_ones_then_history),
        TEST(with_always_the_newest_of_an_outage_is_committed_at_once_and_history_waits),
        TEST(live_first_holds_over_history_on_disk_and_a_restart),
        TEST(live_first_survives_a_link_that_comes_and_goes_without_loss),
        TEST(history_is_paced_by_the_drain_rate),
        TEST(when_full_the_oldest_go_also_those_on_disk_and_are_counted),
        TEST(with_drop_newest_what_is_there_stays),
        TEST(a_message_larger_than_the_whole_is_refused_and_counted),
        TEST(what_is_over_max_age_is_dropped_and_counted_in_memory_and_on_disk),
        TEST(what_is_left_of_max_age_is_given_along),
        TEST(a_wall_clock_that_jumps_never_wipes),
        TEST(age_over_a_restart_of_the_machine_counts_as_far_as_it_is_plausible),
        TEST(a_second_gateway_on_the_same_file_is_refused_and_harms_nothing),
        TEST(threads_put_and_take_without_loss_or_disorder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
