/* Requests from points: limits, gaps, holes, scales, and the least time on the wire against brute force. */
#include "tests/unit/modbus_plan.h"

#include "tests/unit/random.h"

/* ---- examples ---- */

static void neighbours_share_a_request(void **state)
{
    (void)state;
    struct rig *rig = rig_new(4);
    rig_add(rig, make_point("holding:10", "float32"));
    rig_add(rig, make_point("holding:12", "uint16"));
    rig_add(rig, make_point("holding:12", "bits[3:1]"));
    rig_add(rig, make_point("input:13", "uint16"));
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "input:13+1 holding:10+3");
    assert_int_equal(rig->plan.requests[1].n_members, 3);
    assert_int_equal(rig->plan.requests[1].n_units, 3);
    assert_int_equal(rig->plan.requests[1].n_wanted, 3);
    rig_free(rig);
}

static void a_gap_is_read_when_that_is_faster(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    rig_add(rig, make_point("holding:0", NULL));
    rig_add(rig, make_point("holding:11", NULL));
    rig_ready(rig);

    /* 9600 8N1: 13 characters more, 4 ms of silence and 5 ms of turnaround are 22.6 ms: 10 registers for nothing are
     * 20.8 ms, 11 are 22.9 ms */
    rig_plan(rig);
    assert_requests(&rig->plan, "holding:0+12");
    assert_int_equal(rig->plan.requests[0].n_wanted, 2);

    rig->points[1].address.first = 12;
    rig_plan(rig);
    assert_requests(&rig->plan, "holding:0+1 holding:12+1");
    rig_free(rig);
}

static void limits_of_the_device_hold(void **state)
{
    (void)state;
    struct rig *rig = rig_new(60);
    rig->conf.max_registers = 10;
    rig->conf.max_bits = 16;
    rig->conf.max_gap = 3;
    for (int i = 0; i < 11; i++) { /* float32 must not be torn at the limit of 10, nor at 5 */
        struct modbus_point_conf point = make_point("input:1", "float32");
        point.address.first = (uint16_t)(1 + 2 * i);
        rig_add(rig, point);
    }
    for (int i = 0; i < 20; i++) {
        struct modbus_point_conf point = make_point("discrete:5", NULL);
        point.address.first = (uint16_t)(5 + i);
        rig_add(rig, point);
    }
    rig_add(rig, make_point("holding:0", NULL));
    rig_add(rig, make_point("holding:4", NULL));
    rig_add(rig, make_point("holding:9", NULL));
    rig_ready(rig);

    rig_plan(rig);

    uint32_t n_discrete = 0, n_input = 0;
    for (size_t i = 0; i < rig->plan.n_requests; i++) {
        struct modbus_read read = modbus_read_of(&rig->plan.requests[i]);
        if (read.span.area == MODBUS_DISCRETE) {
            assert_true(rig->plan.requests[i].n_units <= 16);
            n_discrete++;
        } else if (read.span.area == MODBUS_INPUT) {
            assert_true(rig->plan.requests[i].n_units <= 10);
            assert_int_equal(read.span.first % 2, 1);
            assert_int_equal(read.span.end % 2, 1);
            n_input++;
        }
    }
    assert_int_equal(n_discrete, 2);
    assert_int_equal(n_input, 3);
    assert_int_equal(rig->plan.n_requests,
                     7); /* holding: gaps of 3 and 4, of which 3 is allowed but 0+10 is not */
    rig_free(rig);
}

static void points_that_want_to_be_alone_are(void **state)
{
    (void)state;
    struct rig *rig = rig_new(4);
    rig_add(rig, make_point("input:10", NULL));
    rig_add(rig, make_point("input:11", NULL))->read_alone = true; /* EM24: identification code */
    rig_add(rig, make_point("input:11", NULL))->read_alone = true;
    rig_add(rig, make_point("input:12", NULL));
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "input:10+3 input:11+1 input:11+1");
    assert_int_equal(rig->plan.requests[0].n_wanted, 2);
    rig_free(rig);
}

static void coil_reads_begin_at_a_multiple_of_the_block(void **state)
{
    (void)state;
    struct rig *rig = rig_new(3);
    rig->conf.coil_block = 8;
    rig_add(rig, make_point("coil:13", NULL));
    rig_add(rig, make_point("coil:14", NULL));
    rig_add(rig, make_point("holding:13", NULL));
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "coil:8+7 holding:13+1");
    assert_int_equal(rig->plan.requests[0].n_wanted, 2);
    rig_free(rig);
}

static void overlapping_texts_and_words_share_a_request(void **state)
{
    (void)state;
    struct rig *rig = rig_new(4);
    rig_add(rig, make_point("holding:100", "string[20]"));
    rig_add(rig, make_point("holding:105", "uint16"));
    rig_add(rig, make_point("holding:119", "uint32"));
    rig_add(rig, make_point("holding:100", "raw[4]"));
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "holding:100+21");
    assert_int_equal(rig->plan.requests[0].n_wanted, 21);
    rig_free(rig);
}

static void the_end_of_the_address_space_is_reached(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    rig_add(rig, make_point("holding:65535", NULL));
    rig_add(rig, make_point("holding:65532", "uint32"));
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "holding:65532+4");
    rig_free(rig);
}

static void nothing_due_is_no_request(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    rig_add(rig, make_point("holding:0", NULL));
    rig_ready(rig);

    assert_int_equal(modbus_plan(&rig->device, rig->all, 0, &rig->plan), GW_OK);

    assert_int_equal(rig->plan.n_requests, 0);
    rig_free(rig);
}

static void a_plan_without_room_is_refused(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    rig_add(rig, make_point("holding:0", NULL));
    rig_add(rig, make_point("input:0", NULL));
    rig_ready(rig);

    rig->plan.max_requests = 1;
    assert_int_equal(modbus_plan(&rig->device, rig->all, 2, &rig->plan), GW_E_FULL);
    rig->plan.max_requests = 2;
    rig->plan.max_members = 1;
    assert_int_equal(modbus_plan(&rig->device, rig->all, 2, &rig->plan), GW_E_FULL);
    rig_free(rig);
}

static void the_time_on_the_wire_is_that_of_the_frames(void **state)
{
    (void)state;
    struct modbus_bus_conf bus = make_rtu_bus(9600);
    struct modbus_device_conf device = make_device();

    /* 8 + 5 + 2 characters of 10 bits, 3.5 characters of 11 bits, 5 ms of turnaround */
    assert_in_range(modbus_request_us(&bus, &device, MODBUS_HOLDING, 1),
                    15 * 1041 + 4010 + 5000 - 20, 15 * 1042 + 4011 + 5000 + 20);
    /* 16 bits are 2 bytes too, 17 are 3 */
    assert_int_equal(modbus_request_us(&bus, &device, MODBUS_COIL, 16),
                     modbus_request_us(&bus, &device, MODBUS_INPUT, 1));
    assert_in_range(modbus_request_us(&bus, &device, MODBUS_COIL, 17) -
                        modbus_request_us(&bus, &device, MODBUS_COIL, 16),
                    1041, 1042);

    device.turnaround_us = 20000;
    bus.request_delay_us = 50000; /* longer than the silence */
    device.request_delay_us = 1000;
    assert_in_range(modbus_request_us(&bus, &device, MODBUS_HOLDING, 1), 15 * 1041 + 71000,
                    15 * 1042 + 71000);

    bus = (struct modbus_bus_conf){.transport = MODBUS_TCP};
    device = make_device();
    assert_in_range(modbus_request_us(&bus, &device, MODBUS_HOLDING, 125), 2000, 3000);
}

/* ---- scales ---- */

static void a_value_and_its_scale_come_in_one_read(void **state)
{
    (void)state;
    struct rig *rig = rig_new(2);
    rig->conf.max_gap = 0;
    rig_add(rig, make_point("holding:40071", NULL))->scale_register =
        make_register("holding:40075");
    rig_add(rig, make_point("holding:40090", NULL))->scale_register =
        make_register("holding:40080");
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "holding:40071+5 holding:40080+11");
    assert_int_equal(rig->plan.requests[0].n_wanted, 2);
    rig_free(rig);
}

static void a_far_scale_is_read_before_its_value(void **state)
{
    (void)state;
    struct rig *rig = rig_new(3);
    rig_add(rig, make_point("holding:0", NULL))->scale_register = make_register("holding:1000");
    rig_add(rig, make_point("holding:1", NULL))->scale_register = make_register("input:1001");
    rig_add(rig, make_point("input:1000", NULL))->scale_register = make_register("holding:1001");
    rig_ready(rig);

    rig_plan(rig);

    /* the scales of the first and the third, both far; then input with the scale of the second; then the values */
    assert_requests(&rig->plan, "holding:1000+2 input:1000+2 holding:0+2");
    assert_int_equal(rig->plan.requests[0].n_members, 2);
    rig_free(rig);
}

static void halves_that_stand_apart_come_in_one_read(void **state)
{
    (void)state;
    struct rig *rig = rig_new(1);
    rig->conf.max_gap = 0;
    rig_add(rig, make_point("holding:0x50", "uint32"))->low_part = make_register("holding:0x4E");
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "holding:78+3");
    assert_int_equal(rig->plan.requests[0].n_wanted, 2);
    rig_free(rig);
}

/* ---- register maps of the field (facts/devices) ---- */

static void add_floats(struct rig *rig, enum modbus_area area, const uint16_t *addresses, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct modbus_point_conf point = make_point("input:0", "float32");
        point.address.area = area;
        point.address.first = addresses[i];
        rig_add(rig, point);
    }
}

static struct rig *sdm630(void)
{
    static const uint16_t input[] = {
        0,   2,   4,   6,   8,   10,  12,  14,  16,  18,  20,  22,  24,  26,  28,  30,  32,  34,
        52,  56,  60,  62,  66,  70,  72,  74,  76,  78,  234, 236, 238, 248, 342, 344, 346, 348,
        350, 352, 354, 356, 358, 360, 362, 364, 366, 368, 370, 372, 374, 376, 378, 380,
    };
    static const uint16_t holding[] = {12, 14, 18, 20, 22, 24};
    struct rig *rig = rig_new(58);

    add_floats(rig, MODBUS_INPUT, input, sizeof input / sizeof input[0]);
    add_floats(rig, MODBUS_HOLDING, holding, sizeof holding / sizeof holding[0]);
    return rig;
}

static void sdm630_without_gaps(void **state)
{
    (void)state;
    struct rig *rig = sdm630();
    rig->conf.max_gap = 0;
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan,
                    "input:0+36 input:52+2 input:56+2 input:60+4 input:66+2 input:70+10 "
                    "input:234+6 input:248+2 input:342+40 holding:12+4 holding:18+8");
    rig_free(rig);
}

static void sdm630_over_gaps_at_9600_baud(void **state)
{
    (void)state;
    struct rig *rig = sdm630();
    rig->conf.max_gap = 40;
    rig_ready(rig);

    rig_plan(rig);

    /* the gap of 16 registers at 36 takes 33 ms, a request 23 ms */
    assert_requests(&rig->plan, "input:0+36 input:52+28 input:234+16 input:342+40 holding:12+14");
    rig_free(rig);
}

static void sdm630_over_gaps_over_tcp(void **state)
{
    (void)state;
    struct rig *rig = sdm630();
    rig->conf.max_gap = 40;
    rig->bus_conf = (struct modbus_bus_conf){.transport = MODBUS_TCP};
    rig_ready(rig);

    rig_plan(rig);

    assert_requests(&rig->plan, "input:0+80 input:234+16 input:342+40 holding:12+14");
    rig_free(rig);
}

/* ---- against brute force ---- */

enum { MAX_EXTENTS = 10 };

struct trial {
    struct rig *rig;
    size_t n;
    struct modbus_span spans[MAX_EXTENTS];
    uint64_t best_us;
    uint8_t block_of[MAX_EXTENTS];
};

static bool contains_any(const struct modbus_spans *set, const struct modbus_span *span)
{
    for (size_t i = 0; i < set->n; i++)
        if (modbus_span_covers(span, &set->spans[i]))
            return true;
    return false;
}

static bool contains_bad(const struct modbus_device *state, const struct modbus_span *span)
{
    return contains_any(&state->refusals, span) || contains_any(&state->cuts, span);
}

/* The cost of one block of a partition by the rules alone; UINT64_MAX when it is not allowed. */
static uint64_t block_us(const struct trial *trial, uint8_t block)
{
    const struct modbus_device_conf *conf = &trial->rig->conf;
    bool wanted[4000] = {false}, has_alone = false, is_one_span = true;
    struct modbus_span hull = {0};
    size_t n = 0;

    for (size_t i = 0; i < trial->n; i++) {
        const struct modbus_span *span = &trial->spans[i];
        if (trial->block_of[i] != block)
            continue;
        if (n && span->area != hull.area)
            return UINT64_MAX;
        if (n && (span->first != hull.first || span->end != hull.end))
            is_one_span = false;
        hull = n ? modbus_hull(hull, *span) : *span;
        for (uint32_t at = span->first; at < span->end; at++)
            wanted[at] = true;
        has_alone = has_alone || trial->rig->points[i].read_alone;
        n++;
    }
    bool is_bits = modbus_area_is_bits(hull.area);
    uint32_t gap = 0, max_gap = (uint32_t)(is_bits ? conf->max_gap_bits : conf->max_gap);
    for (uint32_t at = hull.first; at < hull.end; at++) {
        gap = wanted[at] ? 0 : gap + 1;
        if (gap > max_gap)
            return UINT64_MAX;
    }
    if ((has_alone && n > 1) ||
        hull.end - hull.first > (uint32_t)(is_bits ? conf->max_bits : conf->max_registers) ||
        (!is_one_span && contains_bad(trial->rig->device.state, &hull)))
        return UINT64_MAX;
    return modbus_request_us(&trial->rig->bus_conf, conf, hull.area,
                             (uint16_t)(hull.end - hull.first));
}

/* All partitions: point i joins one of the blocks so far or opens the next. */
static void try_partitions(struct trial *trial, size_t i, uint8_t n_blocks)
{
    if (i < trial->n) {
        for (uint8_t block = 0; block <= n_blocks; block++) {
            trial->block_of[i] = block;
            try_partitions(trial, i + 1, block == n_blocks ? (uint8_t)(n_blocks + 1) : n_blocks);
        }
        return;
    }
    uint64_t us = 0;
    for (uint8_t block = 0; block < n_blocks; block++) {
        uint64_t cost = block_us(trial, block);
        if (cost == UINT64_MAX)
            return;
        us += cost;
    }
    if (us < trial->best_us)
        trial->best_us = us;
}

static void add_random_point(struct rig *rig, struct test_random *random, uint32_t range)
{
    static const char *const registers[] = {"uint16", "uint16",    "float32",
                                            "uint64", "string[9]", "raw[3]"};
    static const char *const areas[] = {"holding:0", "holding:0", "input:0", "coil:0"};
    const char *area = areas[test_random_below(random, test_random_below(random, 4) ? 1 : 4)];
    struct modbus_point_conf point = make_point(area, NULL);

    if (!modbus_area_is_bits(point.address.area))
        point.type = make_type(registers[test_random_below(random, 6)]);
    point.address.first = (uint16_t)(test_random_below(random, range));
    point.read_alone = test_random_below(random, 12) == 0;
    rig_add(rig, point);
}

/* Lets the device refuse some single points, and some pairs whose points it answers. */
static void learn_at_random(struct rig *rig, struct test_random *random)
{
    for (size_t k = (size_t)test_random_below(random, 4); k-- > 0;) {
        uint16_t pair[2] = {(uint16_t)test_random_below(random, rig->device.n_points),
                            (uint16_t)test_random_below(random, rig->device.n_points)};
        size_t n = pair[0] == pair[1] ? 1 : 2;
        if (n == 2 && pair[0] > pair[1]) {
            uint16_t other = pair[0];
            pair[0] = pair[1];
            pair[1] = other;
        }
        assert_int_equal(modbus_plan(&rig->device, pair, n, &rig->plan), GW_OK);
        const struct gw_request *request = &rig->plan.requests[0];
        modbus_learn_refusal(&rig->device, request, rig->plan.members, 2);
        assert_int_equal(modbus_split(&rig->device, request, rig->plan.members, &rig->parts),
                         GW_OK);
        for (size_t i = 0; i < rig->parts.n_requests; i++)
            modbus_learn_answer(&rig->device, &rig->parts.requests[i]);
    }
}

static void assert_covers(const struct trial *trial, const struct gw_plan *plan)
{
    size_t n_seen[MAX_EXTENTS] = {0};

    for (size_t i = 0; i < plan->n_requests; i++) {
        const struct gw_request *request = &plan->requests[i];
        struct modbus_read read = modbus_read_of(request);
        assert_int_equal(request->n_units, read.span.end - read.span.first);
        for (size_t k = 0; k < request->n_members; k++) {
            uint16_t member = plan->members[request->first_member + k];
            assert_true(modbus_span_covers(&read.span, &trial->spans[member]));
            n_seen[member]++;
        }
    }
    for (size_t i = 0; i < trial->n; i++)
        assert_int_equal(n_seen[i], 1);
}

static void try_one(struct test_random *random, size_t max_n)
{
    static const int64_t bauds[] = {1200, 9600, 19200, 115200};
    struct trial trial = {.rig = rig_new(MAX_EXTENTS),
                          .n = 1 + (size_t)test_random_below(random, max_n),
                          .best_us = UINT64_MAX};
    struct rig *rig = trial.rig;
    uint32_t range = 10 + (uint32_t)test_random_below(random, 200);

    rig->bus_conf = make_rtu_bus(bauds[test_random_below(random, 4)]);
    if (test_random_below(random, 4) == 0)
        rig->bus_conf.transport = test_random_below(random, 2) ? MODBUS_TCP : MODBUS_RTU_OVER_TCP;
    rig->conf.max_registers = 9 + (int64_t)test_random_below(random, 40);
    rig->conf.max_bits = 16 + (int64_t)test_random_below(random, 100);
    rig->conf.max_gap = (int64_t)test_random_below(random, 20);
    rig->conf.max_gap_bits = (int64_t)test_random_below(random, 40);
    rig->conf.turnaround_us = (int64_t)test_random_below(random, 30000);
    rig->conf.coil_block = test_random_below(random, 3) ? 1 : 8;
    for (size_t i = 0; i < trial.n; i++)
        add_random_point(rig, random, range);
    rig_ready(rig);
    learn_at_random(rig, random);
    for (size_t i = 0; i < trial.n; i++)
        trial.spans[i] = modbus_value_span(&rig->conf, &rig->points[i]);
    try_partitions(&trial, 0, 0);

    rig_plan(rig);

    uint64_t us = 0;
    for (size_t i = 0; i < rig->plan.n_requests; i++)
        us += rig->plan.requests[i].wire_us;
    assert_covers(&trial, &rig->plan);
    assert_true(us == trial.best_us);
    rig_free(rig);
}

static void plans_are_the_best_of_all_partitions(void **state)
{
    (void)state;
    struct test_random random = test_random_start();

    for (int i = 0; i < 20000; i++)
        try_one(&random, 7);
    for (int i = 0; i < 50; i++)
        try_one(&random, MAX_EXTENTS);
}

static void ten_thousand_points_are_planned(void **state)
{
    (void)state;
    struct test_random random = test_random_start();
    struct rig *rig = rig_new(10000);
    for (int i = 0; i < 10000; i++) {
        struct modbus_point_conf point = make_point("holding:0", i % 3 ? "uint16" : "float32");
        point.address.first = (uint16_t)test_random_below(&random, 65534);
        rig_add(rig, point);
    }
    rig_ready(rig);

    rig_plan(rig);

    size_t n_members = 0;
    for (size_t i = 0; i < rig->plan.n_requests; i++) {
        assert_true(rig->plan.requests[i].n_units <= 125);
        n_members += rig->plan.requests[i].n_members;
    }
    assert_int_equal(n_members, 10000);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_share_a_request),
        cmocka_unit_test(a_gap_is_read_when_that_is_faster),
        cmocka_unit_test(limits_of_the_device_hold),
        cmocka_unit_test(points_that_want_to_be_alone_are),
        cmocka_unit_test(coil_reads_begin_at_a_multiple_of_the_block),
        cmocka_unit_test(overlapping_texts_and_words_share_a_request),
        cmocka_unit_test(the_end_of_the_address_space_is_reached),
        cmocka_unit_test(nothing_due_is_no_request),
        cmocka_unit_test(a_plan_without_room_is_refused),
        cmocka_unit_test(the_time_on_the_wire_is_that_of_the_frames),
        cmocka_unit_test(a_value_and_its_scale_come_in_one_read),
        cmocka_unit_test(a_far_scale_is_read_before_its_value),
        cmocka_unit_test(halves_that_stand_apart_come_in_one_read),
        cmocka_unit_test(sdm630_without_gaps),
        cmocka_unit_test(sdm630_over_gaps_at_9600_baud),
        cmocka_unit_test(sdm630_over_gaps_over_tcp),
        cmocka_unit_test(plans_are_the_best_of_all_partitions),
        cmocka_unit_test(ten_thousand_points_are_planned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
