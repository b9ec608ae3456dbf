/* Values whose power of ten stands in another register of the device. Register maps: facts/devices. */
#include "tests/unit/modbus_plan.h"

enum { SECOND_US = 1000000 };

/* The register map of a device that answers everything. */
struct map {
    uint16_t holding[65536], input[65536];
};

/* Runs the requests of the plan that `skip` does not name, at the time now_us; results by point. */
static void poll(struct rig *rig, const struct map *map, int64_t now_us, size_t skip,
                 struct gw_result *results)
{
    for (size_t i = 0; i < rig->plan.n_requests; i++) {
        const struct gw_request *request = &rig->plan.requests[i];
        struct modbus_read read = modbus_read_of(request);
        const uint16_t *values =
            (read.span.area == MODBUS_INPUT ? map->input : map->holding) + read.span.first;

        if (i == skip)
            continue;
        for (size_t k = 0; k < request->n_members; k++) {
            uint16_t member = rig->plan.members[request->first_member + k];
            struct gw_result result = {0};
            modbus_take(&rig->device, &read, values, member, now_us, &result);
            if (!result.is_partial)
                results[member] = result;
        }
    }
}

enum { SKIP_NONE = 1000 };

/* SunSpec model 103 as SolarEdge has it: A at 40071 with A_SF at 40075, PF at 40091 with PF_SF at 40092. */
static struct rig *solaredge(void)
{
    struct rig *rig = rig_new(2);
    struct modbus_point_conf *a = rig_add(rig, make_point("holding:40071", "uint16"));
    struct modbus_point_conf *pf = rig_add(rig, make_point("holding:40091", "int16"));

    a->scale_register = make_register("holding:40075");
    pf->scale_register = make_register("holding:40092");
    a->sentinels = pf->sentinels = MODBUS_SENTINELS_SUNSPEC;
    rig_ready(rig);
    rig_plan(rig);
    return rig;
}

static void a_current_is_scaled_by_its_factor(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = solaredge();
    struct gw_result results[2];
    map.holding[40071] = 1234;
    map.holding[40075] = 0xFFFE; /* -2: 12.34 A */
    map.holding[40091] = 0xD8F1; /* -9999 */
    map.holding[40092] = 0xFFFE; /* -99.99 % */

    poll(rig, &map, 0, SKIP_NONE, results);

    assert_int_equal(results[0].err, GW_OK);
    assert_int_equal(results[0].value.kind, GW_UINT);
    assert_true(results[0].value.u == 1234);
    assert_int_equal(results[0].exp10, -2);
    assert_int_equal(results[1].value.kind, GW_INT);
    assert_true(results[1].value.i == -9999);
    assert_int_equal(results[1].exp10, -2);
    rig_free(rig);
}

static void a_current_that_is_not_implemented_is_no_value(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = solaredge();
    struct gw_result results[2];
    map.holding[40071] = 0xFFFF;
    map.holding[40075] = 0xFFFE;
    map.holding[40091] = 0x8000;

    poll(rig, &map, 0, SKIP_NONE, results);

    assert_string_equal(results[0].reason, "not_available");
    assert_string_equal(results[1].reason, "not_available");
    rig_free(rig);
}

static void without_a_factor_there_is_no_value(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = solaredge();
    struct gw_result results[2];
    map.holding[40071] = 1234;
    map.holding[40075] = 0x8000;
    map.holding[40091] = 100;
    map.holding[40092] = 11;

    poll(rig, &map, 0, SKIP_NONE, results);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(results[i].err, GW_E_PROTO);
        assert_string_equal(results[i].reason, "scale_not_available");
        assert_int_equal(results[i].value.kind, GW_NONE);
    }
    rig_free(rig);
}

/* Autonics TK: PV in input 1000 and the setpoint in holding 0, both with the decimals of input 1001. */
static struct rig *autonics(void)
{
    struct rig *rig = rig_new(3);
    struct modbus_point_conf *pv = rig_add(rig, make_point("input:1000", "int16"));
    struct modbus_point_conf *sv = rig_add(rig, make_point("holding:0", "int16"));

    rig_add(rig, make_point("input:1001", "enum16"));
    pv->scale_register = sv->scale_register = make_register("input:1001");
    pv->scale_kind = sv->scale_kind = MODBUS_SCALE_DECIMALS;
    rig_ready(rig);
    rig_plan(rig);
    assert_requests(&rig->plan, "input:1000+2 holding:0+1");
    return rig;
}

static void decimals_may_change_at_run_time(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = autonics();
    struct gw_result results[3];
    map.input[1000] = 235;
    map.input[1001] = 1;
    map.holding[0] = 0xFF9C; /* -100 */

    poll(rig, &map, 0, SKIP_NONE, results);
    assert_true(results[0].value.i == 235);
    assert_int_equal(results[0].exp10, -1);
    assert_true(results[1].value.i == -100);
    assert_int_equal(results[1].exp10, -1);
    assert_true(results[2].value.u == 1);
    assert_int_equal(results[2].exp10, 0);

    map.input[1001] = 2;
    poll(rig, &map, SECOND_US, SKIP_NONE, results);
    assert_int_equal(results[0].exp10, -2);
    assert_int_equal(results[1].exp10, -2);
    rig_free(rig);
}

static void a_scale_serves_one_value_only(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = autonics();
    struct gw_result results[3];
    map.input[1001] = 1;

    poll(rig, &map, 0, SKIP_NONE, results);
    assert_int_equal(results[1].err, GW_OK);
    poll(rig, &map, SECOND_US, 0, results); /* the decimals are not read this time */

    assert_int_equal(results[1].err, GW_E_PROTO);
    assert_string_equal(results[1].reason, "scale_not_read");
    assert_int_equal(results[1].value.kind, GW_NONE);
    rig_free(rig);
}

static void a_scale_does_not_keep(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = autonics();
    struct gw_result results[3];
    map.input[1001] = 1;

    poll(rig, &map, 0, 1, results);              /* the setpoint is not answered */
    poll(rig, &map, 30 * SECOND_US, 0, results); /* it comes first when the device is back */
    assert_string_equal(results[1].reason, "scale_not_read");
    rig_free(rig);
}

/* Deye: total energy bought, the low word in 0x4E, the high one in 0x50, another point between. */
static void halves_around_another_point_make_one_value(void **state)
{
    (void)state;
    static struct map map;
    struct rig *rig = rig_new(2);
    struct gw_result results[2];
    rig_add(rig, make_point("holding:0x50", "uint32"))->low_part = make_register("holding:0x4E");
    rig_add(rig, make_point("holding:0x4F", "uint16"));
    rig_ready(rig);
    rig_plan(rig);
    map.holding[0x4E] = 0x86A0;
    map.holding[0x4F] = 5000;
    map.holding[0x50] = 0x0001;

    assert_requests(&rig->plan, "holding:78+3");
    poll(rig, &map, 0, SKIP_NONE, results);

    assert_true(results[0].value.u == 100000);
    assert_true(results[1].value.u == 5000);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_current_is_scaled_by_its_factor),
        cmocka_unit_test(a_current_that_is_not_implemented_is_no_value),
        cmocka_unit_test(without_a_factor_there_is_no_value),
        cmocka_unit_test(decimals_may_change_at_run_time),
        cmocka_unit_test(a_scale_serves_one_value_only),
        cmocka_unit_test(a_scale_does_not_keep),
        cmocka_unit_test(halves_around_another_point_make_one_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
