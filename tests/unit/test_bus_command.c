/* Bus: commands between polls. The driver is the fake one, the clock is turned by hand. */
#include "tests/unit/bus_world.h"

#include "gateway/queue.h"
#include "tests/unit/values.h"

enum { WRITES_MAX = 1000 };

struct wrote {
    int64_t at_us;
    size_t device;
    uint16_t point;
    int64_t value;
};

static struct gw_bus_orders orders;
static struct gw_write_conf write_confs[WORLD_DEVICES][WORLD_POINTS];
static struct wrote wrote[WRITES_MAX];
static size_t n_wrote;
static uint64_t last_ticket;

/* How the fake device takes writes. */
static enum gw_err write_errs[8]; /* of the next writes; then GW_OK */
static size_t n_write_errs, at_write_err;
static bool does_it_anyway; /* a write that is not confirmed is carried out all the same */
static int64_t falsifies;   /* added to what is written */
static int write_exception;
static uint16_t one_by_one; /* points that go into one exchange; 0: all */

static enum gw_err fake_write(struct gw_device *device, const struct gw_write *writes,
                              size_t n_writes, int64_t deadline_us, size_t *ret_n_written,
                              struct gw_outcome *outcome)
{
    enum gw_err err = at_write_err < n_write_errs ? write_errs[at_write_err++] : GW_OK;
    size_t n = one_by_one && n_writes > one_by_one ? one_by_one : n_writes;

    assert_true(world.is_open);
    if (err == GW_E_TIMEOUT)
        world.now_us = deadline_us;
    else
        world.now_us += world.cost_us;
    if (err == GW_E_BUSY || err == GW_E_REFUSED)
        outcome->exception = write_exception;
    for (size_t i = 0; i < n && err != GW_E_RANGE; i++) {
        assert_true(n_wrote < WRITES_MAX);
        wrote[n_wrote++] =
            (struct wrote){world.now_us, world_number(device), writes[i].point, writes[i].value.i};
        if (err == GW_OK || does_it_anyway)
            world.devices[world_number(device)].values[writes[i].point] =
                writes[i].value.i + falsifies;
    }
    *ret_n_written = err == GW_OK ? n : 0;
    return err;
}

static int setup(void **state)
{
    n_wrote = n_write_errs = at_write_err = 0;
    does_it_anyway = false;
    falsifies = 0;
    write_exception = 0;
    one_by_one = 0;
    last_ticket = 0;
    memset(write_confs, 0, sizeof write_confs);
    if (world_setup(state) != 0)
        return -1;
    world.driver.write = fake_write;
    orders = (struct gw_bus_orders){gw_queue_new(sizeof(struct gw_bus_order), 64),
                                    gw_queue_new(sizeof(struct gw_bus_answer), 64)};
    return orders.orders && orders.answers ? 0 : -1;
}

static int teardown(void **state)
{
    int failed = world_teardown(state);

    gw_queue_free(orders.orders);
    gw_queue_free(orders.answers);
    return failed;
}

/* A device whose points can all be written and are read back. */
static void add_device(size_t n_points, int64_t interval_us)
{
    size_t d = world_add_device(n_points, interval_us);

    for (size_t i = 0; i < n_points; i++) {
        write_confs[d][i] = (struct gw_write_conf){.verify = true, .read_back = (uint16_t)i};
        world.points[d][i].write = &write_confs[d][i];
        world.points[d][i].access = GW_ACCESS_RW;
        world.points[d][i].traits.can_write = true;
    }
}

static void start(void)
{
    world_start();
    assert_int_equal(gw_bus_commands_init(world.loop, &orders), GW_OK);
}

static struct gw_bus_order order_of(size_t device, uint16_t point, int64_t value)
{
    struct gw_bus_order order = {
        .ticket = ++last_ticket, .device = (uint16_t)device, .begin_by_us = world.now_us + 10 * S};

    assert_true(gw_command_add(&order.values, point, &INT_(value)));
    return order;
}

static uint64_t push(const struct gw_bus_order *order)
{
    assert_int_equal(gw_queue_push(orders.orders, order), GW_OK);
    return order->ticket;
}

static uint64_t command(size_t device, uint16_t point, int64_t value)
{
    struct gw_bus_order order = order_of(device, point, value);

    return push(&order);
}

static struct gw_bus_answer got;

static bool has_answer(void)
{
    return gw_queue_pop(orders.answers, &got, 1) == 1;
}

static void assert_answer(uint64_t ticket, const char *code)
{
    assert_true(has_answer());
    if (strcmp(gw_command_code_str(got.code), code) != 0)
        fail_msg("%s (%s), not %s", gw_command_code_str(got.code), got.why, code);
    assert_int_equal(got.ticket, ticket);
}

static void fail_writes(enum gw_err first, enum gw_err second)
{
    write_errs[0] = first;
    write_errs[1] = second;
    n_write_errs = second == GW_OK ? 1 : 2;
    at_write_err = 0;
}

/* ---- the outcome ----------------------------------------------------------------------------------- */

static void a_command_is_written_read_back_and_published_at_once(void **state)
{
    (void)state;
    add_device(2, 60 * S);
    world.policies[0][1].when = GW_WHEN_CHANGE;
    world.policies[0][1].deadband.amount = 1000;
    start();
    world_run(1 * S);
    int64_t sent_us = world.now_us;
    uint64_t ticket = command(0, 1, 42);
    world_run(1 * S);

    assert_int_equal(n_wrote, 1);
    assert_int_equal(wrote[0].point, 1);
    assert_int_equal(wrote[0].value, 42);
    assert_int_equal(count_messages("d0/p1", "\"value\":42", sent_us), 1);
    assert_int_equal(count_messages("d0/p0", "", sent_us), 0);
    assert_answer(ticket, "ok");
    assert_int_equal(got.n_written, 1);
    assert_true(got.has_begun);
    assert_int_equal(got.read_back.n, 1);
    assert_int_equal(gw_command_value(&got.read_back, 0).i, 42);
    assert_true(got.written_wall_ms > 0 && got.verified_wall_ms >= got.written_wall_ms);
    assert_false(has_answer());
}

static void without_verify_the_confirmation_is_enough(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    write_confs[0][0].verify = false;
    start();
    world_run(1 * S);
    size_t n_before = world.n_exchanges;
    uint64_t ticket = command(0, 0, 42);
    world_run(1 * S);

    assert_answer(ticket, "ok");
    assert_int_equal(got.verified_wall_ms, 0);
    assert_int_equal(world.n_exchanges, n_before);
}

static void a_value_that_the_device_changes_is_a_mismatch(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    falsifies = 3;
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(1 * S);

    assert_answer(ticket, "mismatch");
    assert_int_equal(gw_command_value(&got.read_back, 0).i, 45);
    assert_int_equal(got.n_written, 1);
}

static void what_is_within_the_tolerance_is_as_written(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    falsifies = 3;
    write_confs[0][0].tolerance = 3;
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(1 * S);
    assert_answer(ticket, "ok");

    falsifies = 4;
    ticket = command(0, 0, 42);
    world_run(1 * S);
    assert_answer(ticket, "mismatch");
}

static void another_point_may_show_what_was_written(void **state)
{
    (void)state;
    add_device(2, 60 * S);
    write_confs[0][0].read_back = 1;
    start();
    world_run(1 * S);
    world.devices[0].values[1] = 42;
    uint64_t ticket = command(0, 0, 42);
    world_run(1 * S);

    assert_answer(ticket, "ok");
    assert_int_equal(got.read_back.items[0].point, 0); /* by the name of the point asked for */
}

static void the_settle_time_passes_before_it_is_read_back_and_polls_go_on(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    add_device(1, 100 * MS);
    write_confs[0][0].settle_us = 2 * S;
    start();
    world_run(500 * MS);
    int64_t sent_us = world.now_us;
    uint64_t ticket = command(0, 0, 42);
    world_run(1900 * MS);

    assert_false(has_answer());
    assert_int_equal(n_wrote, 1);
    assert_int_equal(count_exchanges(0, sent_us), 0);
    assert_true(count_exchanges(1, sent_us) >= 18);
    world_run(500 * MS);
    assert_answer(ticket, "ok");
    assert_int_equal(count_exchanges(0, sent_us), 1);
}

static void several_points_are_written_in_order_until_one_is_refused(void **state)
{
    (void)state;
    add_device(4, 60 * S);
    one_by_one = 1;
    write_errs[0] = write_errs[1] = GW_OK;
    write_errs[2] = GW_E_REFUSED;
    n_write_errs = 3;
    start();
    struct gw_bus_order order = order_of(0, 3, 1);
    assert_true(gw_command_add(&order.values, 1, &INT_(2)));
    assert_true(gw_command_add(&order.values, 2, &INT_(3)));
    assert_true(gw_command_add(&order.values, 0, &INT_(4)));
    push(&order);
    world_run(1 * S);

    assert_answer(order.ticket, "refused_by_device");
    assert_int_equal(got.n_written, 2);
    assert_int_equal(n_wrote, 3);
    assert_int_equal(wrote[0].point, 3);
    assert_int_equal(wrote[1].point, 1);
    assert_int_equal(wrote[2].point, 2);
    assert_non_null(strstr(got.why, "p2"));
}

/* ---- doubt ----------------------------------------------------------------------------------------- */

static void a_write_without_an_answer_is_not_repeated(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    write_confs[0][0].verify = false;
    fail_writes(GW_E_TIMEOUT, GW_OK);
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(20 * S);

    assert_answer(ticket, "unknown");
    assert_int_equal(n_wrote, 1);
    assert_true(got.has_begun);
    assert_int_equal(got.n_written, 0);
}

static void reading_back_settles_a_write_without_an_answer(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    fail_writes(GW_E_TIMEOUT, GW_OK);
    does_it_anyway = true;
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(20 * S);
    assert_answer(ticket, "ok");
    assert_non_null(strstr(got.why, "read back"));
    assert_int_equal(got.written_wall_ms, 0); /* nobody knows when */

    fail_writes(GW_E_TIMEOUT, GW_OK);
    does_it_anyway = false;
    ticket = command(0, 0, 43);
    world_run(20 * S);
    assert_answer(ticket, "timeout");
    assert_int_equal(gw_command_value(&got.read_back, 0).i, 42);
    assert_int_equal(n_wrote, 2);
}

static void what_cannot_be_read_back_either_is_unknown(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    start();
    world_run(1 * S);
    fail_writes(GW_E_TIMEOUT, GW_OK);
    world.devices[0].is_silent = true;
    uint64_t ticket = command(0, 0, 42);
    world_run(30 * S);

    assert_answer(ticket, "unknown");
    assert_int_equal(n_wrote, 1);
}

static void an_idempotent_write_is_repeated_once(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    write_confs[0][0].is_idempotent = true;
    fail_writes(GW_E_TIMEOUT, GW_OK);
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(20 * S);
    assert_answer(ticket, "ok");
    assert_int_equal(n_wrote, 2);

    fail_writes(GW_E_TIMEOUT, GW_E_TIMEOUT);
    ticket = command(0, 0, 43);
    world_run(20 * S);
    assert_answer(ticket, "timeout");
    assert_int_equal(n_wrote, 4);
}

static void a_refusal_is_not_repeated_and_not_read_back(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    write_confs[0][0].is_idempotent = true;
    fail_writes(GW_E_REFUSED, GW_OK);
    start();
    world_run(1 * S);
    size_t n_before = world.n_exchanges;
    uint64_t ticket = command(0, 0, 42);
    world_run(1 * S);

    assert_answer(ticket, "refused_by_device");
    assert_int_equal(n_wrote, 1);
    assert_int_equal(world.n_exchanges, n_before);
}

static void what_was_never_sent_is_tried_again_until_its_time_is_over(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    fail_writes(GW_E_BUSY, GW_E_BUSY);
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(1 * S);
    assert_answer(ticket, "ok");

    for (size_t i = 0; i < 8; i++)
        write_errs[i] = GW_E_BUSY;
    n_write_errs = 8;
    at_write_err = 0;
    struct gw_bus_order order = order_of(0, 0, 43);
    order.begin_by_us = world.now_us + 100 * MS;
    push(&order);
    world_run(1 * S);
    assert_answer(order.ticket, "expired");
    assert_false(got.has_begun);
}

static void a_device_that_says_later_is_not_asked_to_write_again(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    write_exception = 5;
    fail_writes(GW_E_BUSY, GW_OK);
    does_it_anyway = true;
    start();
    uint64_t ticket = command(0, 0, 42);
    world_run(5 * S);

    assert_answer(ticket, "ok");
    assert_int_equal(n_wrote, 1);

    fail_writes(GW_E_BUSY, GW_OK);
    does_it_anyway = false;
    ticket = command(0, 0, 43);
    world_run(5 * S);
    assert_answer(ticket, "device_busy");
    assert_int_equal(n_wrote, 2);
}

static void a_link_lost_in_the_write_is_opened_again_and_the_value_read_back(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    start();
    world_run(1 * S);
    fail_writes(GW_E_LINK, GW_OK);
    does_it_anyway = true;
    uint64_t ticket = command(0, 0, 42);
    world_run(5 * S);

    assert_answer(ticket, "ok");
    assert_int_equal(world.n_opens, 2);
    assert_int_equal(n_wrote, 1);
}

/* ---- what is refused by the bus --------------------------------------------------------------------- */

static void a_command_to_a_dead_link_or_device_is_refused_at_once(void **state)
{
    (void)state;
    add_device(1, 1 * S);
    world.is_reachable = false;
    start();
    world_run(1 * S);
    uint64_t ticket = command(0, 0, 42);
    world_run(10 * MS);
    assert_answer(ticket, "link_down");
    assert_false(got.has_begun);

    world.is_reachable = true;
    world.devices[0].is_silent = true;
    world_run(60 * S);
    ticket = command(0, 0, 42);
    world_run(10 * MS);
    assert_answer(ticket, "device_offline");
    assert_int_equal(n_wrote, 0);
}

static void a_command_that_waited_too_long_is_not_written(void **state)
{
    struct gw_bus_order order;

    (void)state;
    add_device(1, 60 * S);
    start();
    world_run(1 * S);
    order = order_of(0, 0, 42);
    order.begin_by_us = world.now_us - 1;
    push(&order);
    order = order_of(0, 0, 43);
    order.expires_wall_ms = world_wall_ms(NULL) - 1;
    push(&order);
    world_run(1 * S);

    assert_answer(order.ticket - 1, "superseded");
    assert_answer(order.ticket, "expired");
    assert_int_equal(n_wrote, 0);
}

static void too_large_a_change_is_refused_and_one_from_nowhere_too(void **state)
{
    (void)state;
    add_device(2, 1 * S);
    write_confs[0][1].max_change = 10;
    world.devices[0].refuses[1] = true;
    start();
    world_run(100 * MS);
    uint64_t ticket = command(0, 1, 105);
    world_run(100 * MS);
    assert_answer(ticket, "present_value_unknown");

    world.devices[0].refuses[1] = false;
    world.devices[0].values[1] = 100;
    world_run(60 * S);
    ticket = command(0, 1, 111);
    world_run(100 * MS);
    assert_answer(ticket, "change_too_large");
    assert_int_equal(n_wrote, 0);
    ticket = command(0, 1, 110);
    world_run(100 * MS);
    assert_answer(ticket, "ok");
}

static void changes_that_are_not_read_back_do_not_add_up(void **state)
{
    (void)state;
    add_device(1, 10 * S);
    write_confs[0][0].max_change = 10;
    write_confs[0][0].verify = false;
    start();
    world_run(100 * MS);
    uint64_t ticket = command(0, 0, 10);
    world_run(100 * MS);
    assert_answer(ticket, "ok");
    ticket = command(0, 0, 10); /* it may be 10 by now, or still 0: nobody has looked */
    world_run(100 * MS);
    assert_answer(ticket, "present_value_unknown");
    world_run(10 * S);
    ticket = command(0, 0, 20);
    world_run(100 * MS);
    assert_answer(ticket, "ok");
    assert_int_equal(n_wrote, 2);
}

static void the_newest_command_for_a_point_wins(void **state)
{
    (void)state;
    add_device(3, 60 * S);
    start();
    world_run(1 * S);
    uint64_t first = command(0, 1, 1), other = command(0, 2, 2), second = command(0, 1, 3);
    world_run(1 * S);

    assert_answer(first, "superseded");
    assert_false(got.has_begun);
    assert_answer(other, "ok");
    assert_answer(second, "ok");
    assert_int_equal(n_wrote, 2);
    assert_int_equal(world.devices[0].values[1], 3);
}

static void a_command_that_has_begun_is_not_overtaken_and_the_next_waits_for_it(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    write_confs[0][0].settle_us = 1 * S;
    start();
    world_run(1 * S);
    uint64_t first = command(0, 0, 1);
    world_run(500 * MS);
    uint64_t second = command(0, 0, 2);
    world_run(5 * S);

    assert_answer(first, "ok");
    assert_answer(second, "ok");
    assert_int_equal(n_wrote, 2);
}

static void a_stop_answers_all_that_is_left(void **state)
{
    (void)state;
    add_device(2, 60 * S);
    write_confs[0][0].settle_us = 10 * S;
    start();
    world_run(1 * S);
    uint64_t begun = command(0, 0, 1);
    world_run(1 * S);
    uint64_t waiting = command(0, 1, 2);
    gw_bus_commands_abort(world.loop);

    assert_answer(begun, "unverified");
    assert_answer(waiting, "stopping");
    assert_int_equal(n_wrote, 1);
}

static void a_point_that_may_not_be_written_never_is(void **state)
{
    struct gw_bus_order order;

    (void)state;
    add_device(2, 60 * S);
    world.points[0][1].write = NULL;
    start();
    world_run(1 * S);
    uint64_t ticket = command(0, 1, 1);
    world_run(1 * S);
    assert_answer(ticket, "read_only");

    order = order_of(0, 0, 1);
    order.device = 7;
    push(&order);
    world_run(1 * S);
    assert_answer(order.ticket, "read_only");
    assert_int_equal(n_wrote, 0);
}

/* ---- latency and fairness -------------------------------------------------------------------------- */

static void a_command_waits_for_one_exchange_at_most(void **state)
{
    (void)state;
    add_device(8, 10 * MS); /* 8 requests of 10 ms, all the time */
    world.devices[0].per_request = 1;
    write_confs[0][3].verify = false;
    start();
    for (int i = 0; i < 50; i++) {
        world_run(997 * MS);
        int64_t sent_us = world.now_us;
        uint64_t ticket = command(0, 3, i);
        world_run(50 * MS);

        assert_answer(ticket, "ok");
        assert_true(wrote[n_wrote - 1].at_us - sent_us <= 2 * world.cost_us);
    }
}

static void a_flood_of_commands_leaves_every_third_exchange_to_polling(void **state)
{
    (void)state;
    add_device(8, 10 * MS);
    world.devices[0].per_request = 1;
    for (size_t i = 0; i < 8; i++)
        write_confs[0][i].verify = false;
    start();
    world_run(1 * S);
    int64_t since_us = world.now_us;
    size_t n_before = n_wrote;
    while (world.now_us < since_us + 3 * S) {
        for (uint16_t i = 0; i < 8; i++)
            command(0, i, i);
        world_run(80 * MS);
        while (has_answer())
            ;
    }

    size_t n_polls = count_exchanges(0, since_us), n_writes = n_wrote - n_before;
    assert_true(n_polls >= 95); /* of 300 exchanges of 10 ms */
    assert_true(n_writes >= 150);
}

/* ---- other devices while it runs ------------------------------------------------------------------- */

static void a_command_follows_its_device_to_another_place(void **state)
{
    (void)state;
    add_device(1, 60 * S);
    add_device(1, 60 * S);
    start();
    world_run(1 * S);
    uint64_t ticket = command(1, 0, 42);
    world_change("1");
    world_run(1 * S);

    assert_int_equal(n_wrote, 1);
    assert_int_equal(wrote[0].device, 1);
    assert_answer(ticket, "ok");
    assert_false(has_answer());
}

static void commands_of_a_device_that_goes_are_answered(void **state)
{
    (void)state;
    add_device(2, 60 * S);
    add_device(1, 60 * S);
    write_confs[0][0].settle_us = 5 * S;
    start();
    world_run(1 * S);
    uint64_t begun = command(0, 0, 42);
    world_run(1 * S);
    uint64_t waiting = command(0, 1, 43);
    world_change("1");

    assert_answer(begun, "unverified");
    assert_answer(waiting, "stopping");
    assert_false(got.has_begun);
    world_run(10 * S);
    assert_int_equal(n_wrote, 1);
    assert_false(has_answer());
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_command_is_written_read_back_and_published_at_once),
        CASE(without_verify_the_confirmation_is_enough),
        CASE(a_value_that_the_device_changes_is_a_mismatch),
        CASE(what_is_within_the_tolerance_is_as_written),
        CASE(another_point_may_show_what_was_written),
        CASE(the_settle_time_passes_before_it_is_read_back_and_polls_go_on),
        CASE(several_points_are_written_in_order_until_one_is_refused),
        CASE(a_write_without_an_answer_is_not_repeated),
        CASE(reading_back_settles_a_write_without_an_answer),
        CASE(what_cannot_be_read_back_either_is_unknown),
        CASE(an_idempotent_write_is_repeated_once),
        CASE(a_refusal_is_not_repeated_and_not_read_back),
        CASE(what_was_never_sent_is_tried_again_until_its_time_is_over),
        CASE(a_device_that_says_later_is_not_asked_to_write_again),
        CASE(a_link_lost_in_the_write_is_opened_again_and_the_value_read_back),
        CASE(a_command_to_a_dead_link_or_device_is_refused_at_once),
        CASE(a_command_that_waited_too_long_is_not_written),
        CASE(too_large_a_change_is_refused_and_one_from_nowhere_too),
        CASE(changes_that_are_not_read_back_do_not_add_up),
        CASE(the_newest_command_for_a_point_wins),
        CASE(a_command_that_has_begun_is_not_overtaken_and_the_next_waits_for_it),
        CASE(a_stop_answers_all_that_is_left),
        CASE(a_point_that_may_not_be_written_never_is),
        CASE(a_command_waits_for_one_exchange_at_most),
        CASE(a_flood_of_commands_leaves_every_third_exchange_to_polling),
        CASE(a_command_follows_its_device_to_another_place),
        CASE(commands_of_a_device_that_goes_are_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
