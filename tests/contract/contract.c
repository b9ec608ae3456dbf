/* contract: the cases. Each is run against every peer. */
#include "tests/contract/contract.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/contract/contract_world.h"

enum { SLACK_US = 10000000 };

/* ---- the link ---- */

static void the_table_is_complete(void **state)
{
    struct contract_world *world = *state;
    char sentence[200];

    assert_null(gw_driver_fault(world->driver, sentence, sizeof sentence));
    assert_int_equal(world->driver->write != NULL, world->peer->written != NULL);
    assert_int_equal(world->driver->listen != NULL, world->peer->say != NULL);
}

static void closing_what_was_never_opened_does_nothing(void **state)
{
    struct contract_world *world = *state;

    world->driver->close(world->bus);
    world->driver->close(world->bus);
    assert_int_not_equal(contract_read(world, 0, 0, CONTRACT_TIMEOUT_US), GW_OK);
}

static void a_link_is_opened_and_closed_again_and_again(void **state)
{
    struct contract_world *world = *state;

    for (int i = 0; i < 5; i++) {
        contract_open(world);
        contract_read_until_good(world, 0, 0);
        world->driver->close(world->bus);
        world->driver->close(world->bus);
        assert_int_not_equal(contract_read(world, 0, 0, CONTRACT_TIMEOUT_US), GW_OK);
    }
}

static void an_open_that_fails_says_why_and_can_be_closed(void **state)
{
    struct contract_world *world = *state;

    for (int i = 0; i < 5; i++) {
        memset(&world->diag, 0, sizeof world->diag);
        enum gw_err err =
            world->driver->open(world->bus, contract_now_us() + CONTRACT_PATIENCE_US, &world->diag);
        assert_true(err == GW_E_LINK || err == GW_E_TIMEOUT);
        assert_true(strlen(world->diag.text) > 10);
        world->driver->close(world->bus);
    }
}

static void a_link_that_drops_in_an_answer_is_told_and_opened_again(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    contract_next(world, CONTRACT_DROP, 0);
    assert_int_equal(contract_read(world, 0, 0, CONTRACT_PATIENCE_US), GW_E_LINK);
    world->driver->close(world->bus);
    contract_open(world);
    contract_read_until_good(world, 0, 0);
}

static void the_core_gets_its_thread_back_when_it_asks(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    world->host.wake_fd = eventfd(1, EFD_CLOEXEC);
    contract_next(world, CONTRACT_SILENCE, 0);
    int64_t begin_us = contract_now_us();
    enum gw_err err = contract_read(world, 0, 0, 2 * CONTRACT_PATIENCE_US);
    int64_t took_us = contract_now_us() - begin_us;
    close(world->host.wake_fd);
    world->host.wake_fd = -1;
    assert_true(err == GW_E_CLOSED || err == GW_E_TIMEOUT);
    assert_true(took_us < CONTRACT_PATIENCE_US);
}

/* ---- plans ---- */

static size_t choose_points(struct contract_world *world, uint64_t bits, uint16_t *ret_points)
{
    size_t n = 0;

    for (uint16_t i = 0; i < contract_device(world, 0)->n_points; i++)
        if (bits >> i % 64 & 1 && !world->conf->devices[0].points[i].traits.is_heard)
            ret_points[n++] = i;
    return n;
}

static void a_plan_covers_every_point_and_is_the_same_each_time(void **state)
{
    struct contract_world *world = *state;
    uint64_t random = 88172645463325252u;
    struct gw_plan again = {0};
    uint16_t points[CONTRACT_MEMBERS];

    assert_int_equal(gw_plan_init(&again, CONTRACT_MEMBERS), GW_OK);
    for (int i = 0; i < 200; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        size_t n = choose_points(world, i == 0 ? UINT64_MAX : random, points);
        if (n == 0)
            continue;
        /* gw_driver_plan refuses plans that leave a point out or name one that does not exist. */
        struct gw_device *device = contract_device(world, 0);
        assert_int_equal(gw_driver_plan(world->driver, device, points, n, &world->plan), GW_OK);
        assert_int_equal(gw_driver_plan(world->driver, device, points, n, &again), GW_OK);
        assert_int_equal(world->plan.n_requests, again.n_requests);
        assert_int_equal(world->plan.n_members, again.n_members);
        assert_memory_equal(world->plan.members, again.members, again.n_members * sizeof(uint16_t));
        for (size_t r = 0; r < again.n_requests; r++) {
            assert_memory_equal(&world->plan.requests[r], &again.requests[r],
                                sizeof(struct gw_request));
            assert_true(again.requests[r].wire_us > 0);
        }
    }
    gw_plan_done(&again);
}

/* Splits a request down to the last; returns how many there were. */
static size_t split_down(struct contract_world *world, const struct gw_request *request,
                         const uint16_t *members, size_t depth)
{
    struct gw_plan parts = {0};
    size_t n = 1;

    assert_true(depth < CONTRACT_MEMBERS);
    assert_int_equal(gw_plan_init(&parts, CONTRACT_MEMBERS), GW_OK);
    assert_int_equal(
        gw_driver_split(world->driver, contract_device(world, 0), request, members, &parts), GW_OK);
    for (size_t r = 0; r < parts.n_requests; r++)
        n += split_down(world, &parts.requests[r], parts.members + parts.requests[r].first_member,
                        depth + 1);
    gw_plan_done(&parts);
    return n;
}

static void splitting_comes_to_an_end(void **state)
{
    struct contract_world *world = *state;
    uint16_t points[CONTRACT_MEMBERS];
    struct gw_device *device = contract_device(world, 0);
    size_t n = choose_points(world, UINT64_MAX, points), n_parts = 0;
    struct gw_plan plan = {0};

    assert_int_equal(gw_plan_init(&plan, CONTRACT_MEMBERS), GW_OK);
    assert_int_equal(gw_driver_plan(world->driver, device, points, n, &plan), GW_OK);
    for (size_t r = 0; r < plan.n_requests; r++)
        n_parts +=
            split_down(world, &plan.requests[r], plan.members + plan.requests[r].first_member, 0);
    assert_true(n_parts <= 8 * n);
    if (world->driver->forget)
        world->driver->forget(device);
    assert_int_equal(gw_driver_plan(world->driver, device, points, n, &world->plan), GW_OK);
    assert_int_equal(world->plan.n_requests, plan.n_requests);
    gw_plan_done(&plan);
}

/* ---- reading ---- */

static void all_points_are_what_the_instrument_shows(void **state)
{
    struct contract_world *world = *state;
    uint16_t points[CONTRACT_MEMBERS];
    bool is_read[CONTRACT_MEMBERS] = {false};
    size_t n = choose_points(world, UINT64_MAX, points);

    contract_open(world);
    assert_int_equal(
        gw_driver_plan(world->driver, contract_device(world, 0), points, n, &world->plan), GW_OK);
    for (size_t r = 0; r < world->plan.n_requests; r++) {
        const struct gw_request *request = &world->plan.requests[r];
        int64_t before_us = contract_now_us();
        assert_int_equal(contract_execute(world, 0, request, CONTRACT_PATIENCE_US), GW_OK);
        assert_in_range(world->outcome.acquired_us, before_us, contract_now_us());
        for (size_t i = 0; i < request->n_members; i++)
            is_read[world->plan.members[request->first_member + i]] |=
                !world->results[i].err && !world->results[i].is_partial;
    }
    for (size_t i = 0; i < n; i++)
        assert_true(is_read[i]);
    contract_read_until_good(world, 1, 0);
}

static void silence_is_a_timeout_soon_after_the_deadline(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    contract_read_until_good(world, 0, 0);
    contract_next(world, CONTRACT_SILENCE, 0);
    int64_t begin_us = contract_now_us();
    assert_int_equal(contract_read(world, 0, 0, CONTRACT_TIMEOUT_US), GW_E_TIMEOUT);
    assert_true(contract_now_us() - begin_us < CONTRACT_TIMEOUT_US + SLACK_US);
    contract_read_until_good(world, 0, 0);
}

static void an_answer_in_drops_cannot_stretch_the_deadline(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    contract_read_until_good(world, 0, 0);
    contract_next(world, CONTRACT_TRICKLE, CONTRACT_TIMEOUT_US * 2 / 5);
    int64_t begin_us = contract_now_us();
    enum gw_err err = contract_read(world, 0, 0, CONTRACT_TIMEOUT_US);
    assert_true(err == GW_E_TIMEOUT ||
                err == GW_E_PROTO); /* on a busy machine a pause may look like an end */
    assert_true(contract_now_us() - begin_us < CONTRACT_TIMEOUT_US + SLACK_US);
    contract_read_until_good(world, 0, 0);
}

static void a_silent_device_leaves_its_neighbour_alone(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    contract_next(world, CONTRACT_SILENCE, 0);
    assert_int_equal(contract_read(world, 0, 0, CONTRACT_TIMEOUT_US), GW_E_TIMEOUT);
    assert_int_equal(contract_read(world, 1, 0, CONTRACT_PATIENCE_US), GW_OK);
}

static void a_broken_answer_is_an_error_and_the_next_one_is_clean(void **state)
{
    static const enum contract_behaviour broken[] = {CONTRACT_GARBAGE, CONTRACT_TRUNCATED,
                                                     CONTRACT_OVERLONG};
    struct contract_world *world = *state;

    contract_open(world);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (!contract_can(world, broken[i]))
            continue;
        contract_next(world, broken[i], 0);
        enum gw_err err = contract_read(world, 0, 0, CONTRACT_TIMEOUT_US);
        assert_true(err == GW_E_PROTO || err == GW_E_TIMEOUT);
        contract_read_until_good(world, 0, 1);
    }
}

/* Reads with an answer that comes so late. Where the driver gets no processor in time, it is there when the driver
 * looks, and is its answer: then once more. */
static void miss_an_answer(struct contract_world *world, uint16_t point, int64_t late_us)
{
    enum gw_err err = GW_OK;

    for (int i = 0; !err && i < 20; i++) {
        contract_next(world, CONTRACT_LATE, late_us);
        err = contract_read(world, 0, point, CONTRACT_TIMEOUT_US); /* it compares */
    }
    assert_int_equal(err, GW_E_TIMEOUT);
}

static void a_late_answer_is_not_taken_for_the_next(void **state)
{
    struct contract_world *world = *state;
    uint16_t a, b;

    contract_two_apart(world, &a, &b);
    contract_open(world);
    for (int64_t percent = 110; percent <= 290; percent += 60) {
        miss_an_answer(world, a, CONTRACT_TIMEOUT_US * percent / 100);
        contract_read_until_good(world, 0, b);
        contract_read_until_good(world, 0, a);
    }
}

static void a_refusal_is_of_its_request_alone(void **state)
{
    struct contract_world *world = *state;
    uint16_t a, b;

    contract_two_apart(world, &a, &b);
    contract_open(world);
    contract_next(world, CONTRACT_REFUSE, 0);
    assert_int_equal(contract_read(world, 0, a, CONTRACT_PATIENCE_US), GW_E_REFUSED);
    assert_non_null(world->outcome.reason);
    assert_int_equal(contract_read(world, 0, b, CONTRACT_PATIENCE_US), GW_OK);
    assert_int_equal(contract_read(world, 1, 0, CONTRACT_PATIENCE_US), GW_OK);
}

static void whatever_happens_no_value_is_wrong(void **state)
{
    struct contract_world *world = *state;
    const char *seed = getenv("FIELD2MQTT_SEED");
    uint64_t random = seed ? strtoull(seed, NULL, 0) : (uint64_t)contract_now_us() | 1;
    int n_good = 0;

    print_message("seed %llu\n", (unsigned long long)random);
    contract_open(world);
    for (int i = 0; i < 100; i++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        enum contract_behaviour behaviour =
            (enum contract_behaviour)((random >> 20) % CONTRACT_N_BEHAVIOURS);
        if (random >> 40 & 1 && contract_can(world, behaviour) && behaviour != CONTRACT_TRICKLE)
            contract_next(world, behaviour,
                          CONTRACT_TIMEOUT_US / 4 * (int64_t)(1 + (random >> 50) % 11));
        size_t device = random >> 60 & 1;
        uint16_t point = (uint16_t)((random >> 32) % contract_device(world, device)->n_points);
        if (world->conf->devices[device].points[point].traits.is_heard)
            point = 0;
        enum gw_err err = contract_read(world, device, point, CONTRACT_TIMEOUT_US);
        n_good += err == GW_OK;
        if (err == GW_E_BUSY)
            contract_wait_us(world->outcome.hold_us);
        if (err == GW_E_LINK) {
            world->driver->close(world->bus);
            contract_open(world);
        }
    }
    assert_true(n_good > 10);
}

/* ---- listening ---- */

static void what_is_said_unasked_is_heard(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    contract_tune_in(world);
    for (int i = 0; i < 20; i++) {
        world->peer->say(world->peer_ctx, CONTRACT_WHOLE);
        contract_listen_until_good(world);
    }
    assert_int_equal(world->n_heard, 20);
}

static void silence_is_heard_until_the_deadline(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    int64_t begin_us = contract_now_us();
    assert_int_equal(contract_listen(world, CONTRACT_TIMEOUT_US), GW_E_TIMEOUT);
    int64_t took_us = contract_now_us() - begin_us;
    assert_true(took_us >= CONTRACT_TIMEOUT_US && took_us < CONTRACT_TIMEOUT_US + SLACK_US);
    assert_int_equal(contract_listen(world, -CONTRACT_TIMEOUT_US), GW_E_TIMEOUT); /* only looks */
    assert_int_equal(world->n_heard, 0);
}

static void a_broken_message_is_no_reading_and_the_next_one_is_heard(void **state)
{
    static const enum contract_behaviour broken[] = {CONTRACT_GARBAGE, CONTRACT_TRUNCATED,
                                                     CONTRACT_OVERLONG};
    struct contract_world *world = *state;

    contract_open(world);
    contract_tune_in(world);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (!contract_can(world, broken[i]))
            continue;
        size_t n_before = world->n_heard;
        world->peer->say(world->peer_ctx, (int)broken[i]);
        /* What is left of the broken one may take the one behind it away, never more. */
        for (int k = 0; k < 2; k++)
            world->peer->say(world->peer_ctx, CONTRACT_WHOLE);
        contract_listen_until_good(world);
        while (contract_listen(world, CONTRACT_TIMEOUT_US) != GW_E_TIMEOUT)
            ;
        assert_in_range(world->n_heard - n_before, 1, 2);
    }
}

static void what_is_said_between_polls_is_heard_and_no_poll_is_wrong(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    contract_tune_in(world);
    for (int i = 0; i < 10; i++) {
        world->peer->say(world->peer_ctx, CONTRACT_WHOLE);
        contract_read_until_good(world, 0, 0);
        world->peer->say(world->peer_ctx, CONTRACT_WHOLE);
        contract_read_until_good(world, 1, 0);
    }
    while (world->n_heard < 20)
        contract_listen_until_good(world);
}

static void a_link_that_drops_in_a_message_is_told_and_opened_again(void **state)
{
    struct contract_world *world = *state;
    enum gw_err err;

    contract_open(world);
    world->peer->say(world->peer_ctx, CONTRACT_DROP);
    do
        err = contract_listen(world, CONTRACT_PATIENCE_US);
    while (err == GW_OK || err == GW_E_PROTO);
    assert_int_equal(err, GW_E_LINK);
    assert_int_equal(world->n_heard, 0);
    world->driver->close(world->bus);
    contract_open(world);
    contract_tune_in(world);
}

static void listening_ends_when_the_core_wants_its_thread_back(void **state)
{
    struct contract_world *world = *state;

    contract_open(world);
    world->host.listen_fd = eventfd(1, EFD_CLOEXEC);
    int64_t begin_us = contract_now_us();
    enum gw_err err = contract_listen(world, 2 * CONTRACT_PATIENCE_US);
    int64_t took_us = contract_now_us() - begin_us;
    close(world->host.listen_fd);
    world->host.listen_fd = -1;
    assert_int_equal(err, GW_E_CLOSED);
    assert_true(took_us < CONTRACT_PATIENCE_US);
}

/* ---- writing ---- */

static enum gw_err write_point(struct contract_world *world, const char *name, uint64_t value,
                               int64_t timeout_us, size_t *ret_n_written)
{
    const struct gw_write write = {.point = contract_point(world, name),
                                   .value = {.kind = GW_UINT, .u = value}};

    memset(&world->outcome, 0, sizeof world->outcome);
    *ret_n_written = 0;
    return world->driver->write(contract_device(world, 0), &write, 1,
                                contract_now_us() + timeout_us, ret_n_written, &world->outcome);
}

static void a_confirmed_write_has_reached_the_instrument(void **state)
{
    struct contract_world *world = *state;
    size_t n_written;
    double value = 0;

    contract_open(world);
    assert_int_equal(write_point(world, "setpoint", 1234, CONTRACT_PATIENCE_US, &n_written), GW_OK);
    assert_int_equal(n_written, 1);
    assert_int_equal(world->peer->written(world->peer_ctx, &value), 1);
    assert_int_equal((int)value, 1234);
    contract_read_until_good(world, 0, 0);
}

static void a_refused_write_is_told(void **state)
{
    struct contract_world *world = *state;
    size_t n_written;

    contract_open(world);
    assert_int_equal(write_point(world, "locked", 1, CONTRACT_PATIENCE_US, &n_written),
                     GW_E_REFUSED);
    assert_int_equal(n_written, 0);
    assert_non_null(world->outcome.reason);
}

static void a_write_that_nobody_confirms_is_not_repeated(void **state)
{
    struct contract_world *world = *state;
    size_t n_written;
    double value;

    contract_open(world);
    contract_next(world, CONTRACT_SILENCE, 0);
    assert_int_equal(write_point(world, "setpoint", 7, CONTRACT_TIMEOUT_US, &n_written),
                     GW_E_TIMEOUT);
    assert_int_equal(n_written, 0);
    assert_int_equal(world->peer->written(world->peer_ctx, &value), 1);
}

static void a_value_that_does_not_fit_is_never_sent(void **state)
{
    struct contract_world *world = *state;
    size_t n_written;
    double value;

    contract_open(world);
    assert_int_equal(write_point(world, "setpoint", UINT64_MAX, CONTRACT_PATIENCE_US, &n_written),
                     GW_E_RANGE);
    assert_int_equal(n_written, 0);
    assert_int_equal(world->peer->written(world->peer_ctx, &value), 0);
}

enum {
    NEEDS_WRITE = 1u << CONTRACT_N_BEHAVIOURS,
    NEEDS_SAY = 2u << CONTRACT_N_BEHAVIOURS,
    NEEDS_LIMIT = 4u << CONTRACT_N_BEHAVIOURS
};

static const struct {
    const char *name;
    CMUnitTestFunction run;
    CMFixtureFunction set_up;
    unsigned needs; /* abilities of the peer, NEEDS_WRITE, NEEDS_SAY */
} cases[] = {
#define CASE(test, needs)                                                                          \
    {                                                                                              \
#test, test, contract_set_up, needs                                                        \
    }
#define CAN(behaviour) (1u << CONTRACT_##behaviour)
    CASE(the_table_is_complete, 0),
    CASE(closing_what_was_never_opened_does_nothing, 0),
    CASE(a_link_is_opened_and_closed_again_and_again, 0),
    {"an_open_that_fails_says_why_and_can_be_closed", an_open_that_fails_says_why_and_can_be_closed,
     contract_set_up_unreachable, 0},
    CASE(a_link_that_drops_in_an_answer_is_told_and_opened_again, CAN(DROP)),
    CASE(the_core_gets_its_thread_back_when_it_asks, CAN(SILENCE)),
    CASE(a_plan_covers_every_point_and_is_the_same_each_time, 0),
    CASE(splitting_comes_to_an_end, 0),
    CASE(all_points_are_what_the_instrument_shows, 0),
    CASE(silence_is_a_timeout_soon_after_the_deadline, CAN(SILENCE)),
    CASE(an_answer_in_drops_cannot_stretch_the_deadline, CAN(TRICKLE)),
    CASE(a_silent_device_leaves_its_neighbour_alone, CAN(SILENCE)),
    CASE(a_broken_answer_is_an_error_and_the_next_one_is_clean,
         CAN(GARBAGE) | CAN(TRUNCATED) | CAN(OVERLONG)),
    CASE(a_late_answer_is_not_taken_for_the_next, CAN(LATE)),
    CASE(a_refusal_is_of_its_request_alone, CAN(REFUSE)),
    CASE(whatever_happens_no_value_is_wrong, 0),
    CASE(what_is_said_unasked_is_heard, NEEDS_SAY),
    CASE(silence_is_heard_until_the_deadline, NEEDS_SAY),
    CASE(a_broken_message_is_no_reading_and_the_next_one_is_heard, NEEDS_SAY),
    CASE(what_is_said_between_polls_is_heard_and_no_poll_is_wrong, NEEDS_SAY),
    CASE(a_link_that_drops_in_a_message_is_told_and_opened_again, NEEDS_SAY | CAN(DROP)),
    CASE(listening_ends_when_the_core_wants_its_thread_back, NEEDS_SAY),
    CASE(a_confirmed_write_has_reached_the_instrument, NEEDS_WRITE),
    CASE(a_refused_write_is_told, NEEDS_WRITE),
    CASE(a_write_that_nobody_confirms_is_not_repeated, NEEDS_WRITE | CAN(SILENCE)),
    CASE(a_value_that_does_not_fit_is_never_sent, NEEDS_WRITE | NEEDS_LIMIT),
};

static size_t choose_cases(const struct contract_peer *peer, struct CMUnitTest *tests)
{
    unsigned abilities = (peer->next ? peer->abilities : 0) | (peer->written ? NEEDS_WRITE : 0) |
                         (peer->say ? NEEDS_SAY : 0) | (peer->takes_any_number ? 0 : NEEDS_LIMIT);
    size_t n = 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if ((cases[i].needs & ~abilities) == 0)
            tests[n++] = (struct CMUnitTest){cases[i].name, cases[i].run, cases[i].set_up,
                                             contract_tear_down, (void *)(uintptr_t)peer};
    return n;
}

int contract_run(const struct contract_peer *const *peers, size_t n_peers)
{
    struct CMUnitTest tests[sizeof cases / sizeof cases[0]];
    int n_failed = 0;

    signal(SIGPIPE, SIG_DFL); /* no driver may need it ignored */
    for (size_t i = 0; i < n_peers; i++) {
        size_t n = choose_cases(peers[i], tests);
        n_failed += _cmocka_run_group_tests(peers[i]->name, tests, n, NULL, NULL);
    }
    return n_failed;
}
