/* What follows from refusals: bisecting, holes and cuts, against a device whose register map has holes. */
#include "tests/unit/modbus_plan.h"

#include "tests/unit/random.h"

enum { RANGE = 400, MAX_POINTS = 60, MAX_CYCLES = 100 };

/* The device: registers that cannot be read, and how many it reads at once. Value of a register: its address. */
struct map {
    bool is_bad[2][RANGE]; /* holding, input */
    uint32_t limit;
};

struct field {
    struct rig *rig;
    struct map map;
    bool is_blocked[MAX_POINTS]; /* as the core does: refused points are not asked for */
    int n_delivered[MAX_POINTS];
    int n_refused; /* requests of the last cycle */
    int n_answered;
};

static bool is_answered(const struct map *map, const struct modbus_span *span)
{
    for (uint32_t i = span->first; i < span->end; i++)
        if (map->is_bad[span->area == MODBUS_INPUT][i])
            return false;
    return span->end - span->first <= map->limit;
}

static void deliver(struct field *field, const struct gw_request *request, const uint16_t *members)
{
    struct modbus_read read = modbus_read_of(request);
    uint16_t values[RANGE];

    for (uint32_t i = 0; i < request->n_units; i++)
        values[i] = (uint16_t)(read.span.first + i);
    modbus_learn_answer(&field->rig->device, request);
    for (size_t i = 0; i < request->n_members; i++) {
        struct gw_result result = {0};
        modbus_take(&field->rig->device, &read, values, members[i], 0, &result);
        if (result.is_partial || field->is_blocked[members[i]])
            continue;
        const struct modbus_point_conf *point = &field->rig->points[members[i]];
        assert_int_equal(result.err, GW_OK);
        uint64_t first = point->address.first;
        assert_true(result.value.u ==
                    (point->type.n_regs == 2 ? first << 16 | (first + 1) : first));
        if (point->scale_register.is_set)
            assert_int_equal(result.exp10, point->scale_register.first);
        field->n_delivered[members[i]]++;
    }
}

/* One request with all that comes of it, depth first. */
static void run(struct field *field, const struct gw_request *request, const uint16_t *members)
{
    struct gw_device *device = &field->rig->device;
    struct modbus_read read = modbus_read_of(request);
    struct gw_plan parts = plan_for(request->n_members);

    if (is_answered(&field->map, &read.span)) {
        field->n_answered++;
        deliver(field, request, members);
    } else {
        field->n_refused++;
        modbus_learn_refusal(device, request, members, 2);
        assert_int_equal(modbus_split(device, request, members, &parts), GW_OK);
        for (size_t i = 0; i < parts.n_requests; i++)
            run(field, &parts.requests[i], parts.members + parts.requests[i].first_member);
        if (parts.n_requests == 0)
            for (size_t i = 0; i < request->n_members; i++)
                field->is_blocked[members[i]] = true;
    }
    free(parts.requests);
    free(parts.members);
}

static void run_cycle(struct field *field)
{
    struct rig *rig = field->rig;
    uint16_t due[MAX_POINTS];
    size_t n = 0;

    field->n_refused = field->n_answered = 0;
    memset(field->n_delivered, 0, sizeof field->n_delivered);
    for (size_t i = 0; i < rig->device.n_points; i++)
        if (!field->is_blocked[i])
            due[n++] = (uint16_t)i;
    assert_int_equal(modbus_plan(&rig->device, due, n, &rig->plan), GW_OK);
    for (size_t i = 0; i < rig->plan.n_requests; i++)
        run(field, &rig->plan.requests[i], rig->plan.members + rig->plan.requests[i].first_member);
}

static struct field *field_new(void)
{
    struct field *field = calloc(1, sizeof *field);

    field->rig = rig_new(MAX_POINTS);
    field->map.limit = 125;
    return field;
}

static void field_free(struct field *field)
{
    rig_free(field->rig);
    free(field);
}

static void add_registers(struct field *field, uint16_t first, size_t n, uint16_t step)
{
    for (size_t i = 0; i < n; i++) {
        struct modbus_point_conf point = make_point("holding:0", "uint16");
        point.address.first = (uint16_t)(first + i * step);
        rig_add(field->rig, point);
    }
}

/* ---- examples ---- */

static void a_hole_is_found_and_its_neighbours_are_read(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 0, 8, 1);
    rig_ready(field->rig);
    field->map.is_bad[0][5] = true;

    run_cycle(field);

    /* 0-7, 4-7, 4-5, 5 are refused; 0-3, 6-7, 4 answered */
    assert_int_equal(field->n_refused, 4);
    assert_int_equal(field->n_answered, 3);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(field->n_delivered[i], i != 5);
        assert_int_equal(field->is_blocked[i], i == 5);
    }
    run_cycle(field);
    assert_requests(&field->rig->plan, "holding:0+5 holding:6+2");
    assert_int_equal(field->n_refused, 0);
    field_free(field);
}

static void a_gap_that_is_refused_is_not_bridged_again(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 0, 4, 1);
    add_registers(field, 6, 4, 1);
    rig_ready(field->rig);
    field->map.is_bad[0][4] = true;

    run_cycle(field);
    assert_requests(&field->rig->plan, "holding:0+10");
    assert_int_equal(field->n_refused, 1);
    run_cycle(field);

    assert_requests(&field->rig->plan, "holding:0+4 holding:6+4");
    assert_int_equal(field->n_refused, 0);
    field_free(field);
}

static void no_cut_is_learnt_while_a_half_is_unknown(void **state)
{
    (void)state;
    struct field *field = field_new();
    struct gw_device *device = &field->rig->device;
    struct rig *rig = field->rig;
    add_registers(field, 0, 2, 1);
    rig_ready(rig);

    rig_plan(rig);
    modbus_learn_refusal(device, &rig->plan.requests[0], rig->plan.members, 4);
    assert_int_equal(modbus_split(device, &rig->plan.requests[0], rig->plan.members, &rig->parts),
                     GW_OK);
    assert_int_equal(rig->parts.n_requests, 2);
    modbus_learn_answer(device, &rig->parts.requests[0]); /* and the other one times out */
    rig_plan(rig);
    assert_requests(&rig->plan, "holding:0+2");

    modbus_learn_answer(device,
                        &rig->parts.requests[1]); /* of an earlier plan: does not count any more */
    rig_plan(rig);
    assert_requests(&rig->plan, "holding:0+2");
    field_free(field);
}

static void what_was_refused_is_forgotten(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 0, 8, 2);
    rig_ready(field->rig);
    field->map.is_bad[0][4] = field->map.is_bad[0][9] = true;
    run_cycle(field);
    run_cycle(field);
    assert_requests(&field->rig->plan, "holding:0+3 holding:6+3 holding:10+5");

    modbus_forget(&field->rig->device);
    rig_plan(field->rig);

    assert_requests(&field->rig->plan, "holding:0+15");
    field_free(field);
}

static void a_hole_that_answers_later_is_bridged_again(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 0, 8, 1);
    rig_ready(field->rig);
    field->map.is_bad[0][5] = true;
    run_cycle(field);

    field->map.is_bad[0][5] = field->is_blocked[5] = false;
    run_cycle(field); /* the core's probe: still by itself */
    assert_requests(&field->rig->plan, "holding:0+5 holding:6+2 holding:5+1");
    run_cycle(field);

    assert_requests(&field->rig->plan, "holding:0+8");
    field_free(field);
}

static void an_illegal_function_is_not_split(void **state)
{
    (void)state;
    struct field *field = field_new();
    struct rig *rig = field->rig;
    add_registers(field, 0, 8, 1);
    rig_ready(rig);
    rig_plan(rig);

    modbus_learn_refusal(&rig->device, &rig->plan.requests[0], rig->plan.members, 1);
    assert_int_equal(
        modbus_split(&rig->device, &rig->plan.requests[0], rig->plan.members, &rig->parts), GW_OK);
    assert_int_equal(rig->parts.n_requests, 0);

    modbus_learn_refusal(&rig->device, &rig->plan.requests[0], rig->plan.members,
                         23); /* Omron's own */
    assert_int_equal(
        modbus_split(&rig->device, &rig->plan.requests[0], rig->plan.members, &rig->parts), GW_OK);
    assert_int_equal(rig->parts.n_requests, 2);
    field_free(field);
}

static void bits_of_a_hole_are_refused_in_one_request(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 5, 3, 0);
    rig_ready(field->rig);
    field->map.is_bad[0][5] = true;

    run_cycle(field);
    assert_int_equal(field->n_refused, 1);
    memset(field->is_blocked, 0, sizeof field->is_blocked);
    run_cycle(field);

    assert_requests(&field->rig->plan, "holding:5+1");
    assert_int_equal(field->n_refused, 1);
    field_free(field);
}

static void a_value_and_its_scale_with_a_hole_between_are_read_one_by_one(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 7, 1, 1);
    field->rig->points[0].scale_register = make_register("holding:3");
    rig_ready(field->rig);
    field->map.is_bad[0][5] = true;

    run_cycle(field);
    assert_int_equal(field->n_refused, 1);
    assert_int_equal(field->n_delivered[0], 1);
    run_cycle(field);

    assert_requests(&field->rig->plan, "holding:3+1 holding:7+1");
    assert_int_equal(field->n_refused, 0);
    assert_int_equal(field->n_delivered[0], 1);
    field_free(field);
}

static void a_point_whose_scale_is_a_hole_is_refused(void **state)
{
    (void)state;
    struct field *field = field_new();
    add_registers(field, 0, 5, 1);
    field->rig->points[4].scale_register = make_register("holding:2");
    field->rig->points[2].address = make_register("holding:9");
    rig_ready(field->rig);
    field->map.is_bad[0][2] = true;

    for (int i = 0; i < 5; i++)
        run_cycle(field);

    assert_int_equal(field->n_refused, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(field->is_blocked[i], i == 4);
        assert_int_equal(field->n_delivered[i], i != 4);
    }
    field_free(field);
}

/* ---- at random ---- */

static struct modbus_point_conf random_point(struct test_random *random)
{
    struct modbus_point_conf point =
        make_point(test_random_below(random, 4) ? "holding:0" : "input:0",
                   test_random_below(random, 3) ? "uint16" : "uint32");

    point.address.first = (uint16_t)test_random_below(random, RANGE - 1);
    point.read_alone = test_random_below(random, 20) == 0;
    if (test_random_below(random, 5) == 0) {
        /* a register holds its address: a scale is 0-10 */
        point.scale_register =
            make_register(test_random_below(random, 3) ? "holding:0" : "input:0");
        point.scale_register.first = (uint16_t)test_random_below(random, 11);
    }
    return point;
}

static bool is_readable(const struct map *map, const struct modbus_point_conf *point)
{
    struct modbus_span value = {point->address.area, point->address.first,
                                point->address.first + modbus_point_units(point)};
    struct modbus_span scale = modbus_scale_span(point);

    return is_answered(map, &value) && (!point->scale_register.is_set || is_answered(map, &scale));
}

static int converge_once(struct test_random *random)
{
    struct field *field = field_new();
    size_t n_points = 1 + (size_t)test_random_below(random, MAX_POINTS),
           n_bad = (size_t)test_random_below(random, 40);
    int cycles = 0;

    field->rig->conf.max_gap = (int64_t)test_random_below(random, 60);
    field->rig->conf.max_registers = 20 + (int64_t)test_random_below(random, 106);
    if (test_random_below(random, 4) == 0)
        field->map.limit = 1 + (uint32_t)test_random_below(random, 60);
    for (size_t i = 0; i < n_points; i++)
        rig_add(field->rig, random_point(random));
    for (size_t i = 0; i < n_bad; i++)
        field->map.is_bad[test_random_below(random, 2)][test_random_below(random, RANGE)] = true;
    rig_ready(field->rig);

    do {
        run_cycle(field);
        assert_true(++cycles < MAX_CYCLES);
    } while (field->n_refused > 0);

    for (size_t i = 0; i < n_points; i++) {
        bool is_good = is_readable(&field->map, &field->rig->points[i]);
        assert_int_equal(field->n_delivered[i], is_good);
        assert_int_equal(field->is_blocked[i], !is_good);
    }
    field_free(field);
    return cycles;
}

static void all_that_can_be_read_is_read_in_the_end(void **state)
{
    (void)state;
    struct test_random random = test_random_start();
    int worst = 0;

    for (int i = 0; i < 2000; i++) {
        int cycles = converge_once(&random);
        worst = cycles > worst ? cycles : worst;
    }
    print_message("at most %d cycles\n", worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_is_found_and_its_neighbours_are_read),
        cmocka_unit_test(a_gap_that_is_refused_is_not_bridged_again),
        cmocka_unit_test(no_cut_is_learnt_while_a_half_is_unknown),
        cmocka_unit_test(what_was_refused_is_forgotten),
        cmocka_unit_test(a_hole_that_answers_later_is_bridged_again),
        cmocka_unit_test(an_illegal_function_is_not_split),
        cmocka_unit_test(bits_of_a_hole_are_refused_in_one_request),
        cmocka_unit_test(a_value_and_its_scale_with_a_hole_between_are_read_one_by_one),
        cmocka_unit_test(a_point_whose_scale_is_a_hole_is_refused),
        cmocka_unit_test(all_that_can_be_read_is_read_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
