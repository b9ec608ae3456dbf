/* Reading and writing a device through the driver's functions, against a slave over TCP that logs what it is asked. */
#include "tests/unit/modbus_plan.h"

#include "tests/fake/fake_modbus.c" /* unit tests are linked with the driver only */
#include "tests/unit/values.h"

struct world {
    struct rig *rig;
    struct gw_host host;
    struct fake_modbus *fake;
    pthread_mutex_t lock;
    char asked[1000]; /* PDUs in hexadecimal, with spaces between */
    size_t asked_len;
    uint16_t registers[65536];
    uint8_t refuse_function, exception;
    struct gw_outcome outcome;
    size_t n_written;
};

static int64_t host_now_us(void *ctx)
{
    (void)ctx;
    return now_us();
}

static GW_PRINTF(2, 3) void host_debug(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

/* ---- the slave ---- */

static struct fake_action choose(void *ctx, const struct fake_request *request)
{
    struct world *world = ctx;
    struct fake_action action = {.fault = FAKE_GOOD};

    pthread_mutex_lock(&world->lock);
    if (world->asked_len)
        world->asked[world->asked_len++] = ' ';
    for (size_t i = 0; i < request->pdu_len; i++)
        world->asked_len +=
            (size_t)snprintf(world->asked + world->asked_len,
                             sizeof world->asked - world->asked_len, "%02X", request->pdu[i]);
    if (request->pdu[0] == world->refuse_function)
        action = (struct fake_action){.fault = FAKE_EXCEPTION, .exception = world->exception};
    pthread_mutex_unlock(&world->lock);
    return action;
}

static uint16_t value(void *ctx, uint8_t unit, uint8_t function, uint16_t address)
{
    struct world *world = ctx;

    (void)unit;
    (void)function;
    pthread_mutex_lock(&world->lock);
    uint16_t word = world->registers[address];
    pthread_mutex_unlock(&world->lock);
    return word;
}

static bool store(void *ctx, uint8_t unit, uint8_t function, uint16_t address, uint16_t word)
{
    struct world *world = ctx;

    (void)unit;
    (void)function;
    pthread_mutex_lock(&world->lock);
    world->registers[address] = word;
    pthread_mutex_unlock(&world->lock);
    return true;
}

static void set_register(struct world *world, uint16_t address, uint16_t word)
{
    store(world, 1, 0, address, word);
}

static void refuse(struct world *world, uint8_t function, uint8_t exception)
{
    pthread_mutex_lock(&world->lock);
    world->refuse_function = function;
    world->exception = exception;
    pthread_mutex_unlock(&world->lock);
}

static void assert_asked(struct world *world, const char *expected)
{
    char asked[sizeof world->asked];

    pthread_mutex_lock(&world->lock);
    memcpy(asked, world->asked, sizeof asked);
    pthread_mutex_unlock(&world->lock);
    assert_string_equal(asked, expected);
}

static struct world *world_new(void)
{
    struct world *world = calloc(1, sizeof *world);

    pthread_mutex_init(&world->lock, NULL);
    world->rig = rig_new(16);
    world->host = (struct gw_host){.now_us = host_now_us, .debug = host_debug, .wake_fd = -1};
    return world;
}

static void world_open(struct world *world)
{
    const struct fake_script script = {
        .ctx = world, .choose = choose, .value = value, .write = store};
    struct gw_driver_diag diag = {0};
    struct rig *rig = world->rig;

    world->fake = fake_modbus_start(FAKE_TCP, &script);
    rig->bus_conf = (struct modbus_bus_conf){.transport = MODBUS_TCP,
                                             .host = "127.0.0.1",
                                             .tcp_port = fake_modbus_tcp_port(world->fake)};
    rig->bus.host = &world->host;
    rig->bus.state = calloc(1, modbus_wire_size());
    rig_ready(rig);
    if (modbus_wire_open(rig->bus.state, &rig->bus_conf, &world->host, now_us() + 5000000, &diag) !=
        GW_OK)
        fail_msg("%s", diag.text);
}

static void world_free(struct world *world)
{
    modbus_wire_close(world->rig->bus.state);
    fake_modbus_stop(world->fake);
    free(world->rig->bus.state);
    rig_free(world->rig);
    pthread_mutex_destroy(&world->lock);
    free(world);
}

static enum gw_err write_points(struct world *world, const struct gw_write *writes, size_t n)
{
    world->outcome = (struct gw_outcome){0};
    pthread_mutex_lock(&world->lock);
    world->asked_len = 0;
    world->asked[0] = '\0';
    pthread_mutex_unlock(&world->lock);
    world->n_written = 0;
    while (world->n_written < n) { /* as the core does */
        size_t n_now = 0;
        enum gw_err err =
            modbus_write(&world->rig->device, writes + world->n_written, n - world->n_written,
                         now_us() + 5000000, &n_now, &world->outcome);

        world->n_written += n_now;
        if (err)
            return err;
    }
    return GW_OK;
}

static enum gw_err write_point(struct world *world, uint16_t point, struct gw_value written)
{
    return write_points(world, &(struct gw_write){point, written}, 1);
}

/* ---- coils ---- */

static void a_relay_is_switched_with_function_5(void **state)
{
    (void)state;
    struct world *world = world_new();
    rig_add(world->rig, make_point("coil:2", NULL)); /* Waveshare relay 3 */
    world_open(world);

    assert_int_equal(write_point(world, 0, BOOL_(true)), GW_OK);
    assert_asked(world, "050002FF00");
    assert_int_equal(world->n_written, 1);
    assert_int_equal(write_point(world, 0, BOOL_(false)), GW_OK);
    assert_asked(world, "0500020000");
    world_free(world);
}

static void a_relay_board_takes_other_values(void **state)
{
    (void)state;
    struct world *world = world_new();
    rig_add(world->rig, make_point("coil:2", NULL))->on_value = 0x5500; /* toggle */
    rig_add(world->rig, make_point("coil:512", "uint16"));              /* flash on: 0.1 s */
    world_open(world);

    assert_int_equal(write_point(world, 0, BOOL_(true)), GW_OK);
    assert_asked(world, "0500025500");
    assert_int_equal(write_point(world, 1, UINT_(7)), GW_OK);
    assert_asked(world, "0502000007");
    world_free(world);
}

static void coils_in_a_row_are_written_at_once(void **state)
{
    (void)state;
    const struct gw_write writes[] = {
        {0, BOOL_(true)}, {1, BOOL_(false)}, {2, BOOL_(true)}, {3, BOOL_(true)}};
    struct world *world = world_new();
    rig_add(world->rig, make_point("coil:10", NULL));
    rig_add(world->rig, make_point("coil:11", NULL));
    rig_add(world->rig, make_point("coil:12", NULL));
    rig_add(world->rig, make_point("coil:14", NULL));
    world_open(world);

    assert_int_equal(write_points(world, writes, 4), GW_OK);
    assert_asked(world, "0F000A00030105 05000EFF00");
    assert_int_equal(world->n_written, 4);

    world->rig->conf.write_coils = 5;
    assert_int_equal(write_points(world, writes, 2), GW_OK);
    assert_asked(world, "05000AFF00 05000B0000");

    world->rig->conf.write_coils = 15;
    assert_int_equal(write_points(world, writes, 1), GW_OK);
    assert_asked(world, "0F000A00010101");
    world_free(world);
}

/* ---- registers ---- */

static void one_register_goes_with_6_and_more_with_16(void **state)
{
    (void)state;
    struct world *world = world_new();
    rig_add(world->rig, make_point("holding:1", "uint16"));
    rig_add(world->rig, make_point("holding:0x1C", "float32"));
    world_open(world);

    assert_int_equal(write_point(world, 0, UINT_(500)), GW_OK);
    assert_asked(world, "06000101F4");
    assert_int_equal(write_point(world, 1, F64_(9600)), GW_OK);
    assert_asked(world, "10001C00020446160000");

    world->rig->conf.write_registers = 16;
    assert_int_equal(write_point(world, 0, UINT_(500)), GW_OK);
    assert_asked(world, "10000100010201F4");

    world->rig->conf.write_registers = 6;
    assert_int_equal(write_point(world, 1, F64_(9600)), GW_OK);
    assert_asked(world, "06001C4616 06001D0000");
    world_free(world);
}

static void registers_in_a_row_are_written_at_once(void **state)
{
    (void)state;
    const struct gw_write writes[] = {{0, INT_(20)}, {1, INT_(30)}, {2, INT_(-1)}, {3, INT_(5)}};
    struct world *world = world_new();
    rig_add(world->rig, make_point("holding:9001", "int16")); /* Altivar ramps */
    rig_add(world->rig, make_point("holding:9002", "int16"));
    rig_add(world->rig, make_point("holding:9003", "int32"));
    rig_add(world->rig, make_point("holding:9005", "int16"))->read_alone = true;
    world_open(world);

    assert_int_equal(write_points(world, writes, 2), GW_OK);
    assert_asked(world, "102329000204"
                        "0014001E");
    assert_int_equal(write_points(world, writes, 4), GW_OK);
    assert_asked(world, "102329000408"
                        "0014001EFFFFFFFF"
                        " 06232D0005");
    assert_int_equal(world->n_written, 4);
    world_free(world);
}

static void a_value_is_written_where_it_is_to_be(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct modbus_point_conf *point = rig_add(world->rig, make_point("input:7", "uint32"));
    point->write_address = make_register("holding:100");
    point->order = MODBUS_CDAB;
    world_open(world);

    assert_int_equal(write_point(world, 0, UINT_(0x12345678)), GW_OK);

    assert_asked(world, "1000640002045678"
                        "1234");
    world_free(world);
}

/* ---- bits of registers ---- */

static void bits_of_a_register_keep_the_others(void **state)
{
    (void)state;
    const struct gw_write both[] = {{0, BOOL_(true)}, {1, BOOL_(false)}};
    struct world *world = world_new();
    rig_add(world->rig, make_point("holding:49999", "bits[6:1]"));  /* Danfoss: start */
    rig_add(world->rig, make_point("holding:49999", "bits[15:1]")); /* reversing */
    world_open(world);
    set_register(world, 49999, 0x843C); /* 1084 and reversing */

    assert_int_equal(write_point(world, 0, BOOL_(true)), GW_OK);
    assert_asked(world, "03C34F0001 06C34F847C");
    assert_int_equal(write_point(world, 1, BOOL_(false)), GW_OK);
    assert_asked(world, "03C34F0001 06C34F047C");

    set_register(world, 49999, 0x843C);
    assert_int_equal(write_points(world, both, 2), GW_OK);
    assert_asked(world, "03C34F0001 06C34F047C");
    assert_int_equal(world->n_written, 2);
    world_free(world);
}

static void bits_are_masked_where_the_device_knows_how(void **state)
{
    (void)state;
    struct world *world = world_new();
    world->rig->conf.mask_write = true;
    world->rig->conf.read_function_holding = 4;
    rig_add(world->rig, make_point("holding:4", "bits[4:3]"));
    rig_add(world->rig, make_point("holding:5", "uint8h"));
    rig_add(world->rig, make_point("holding:6", "bits32[12:8]"));
    world_open(world);
    set_register(world, 6, 0x1234);
    set_register(world, 7, 0x5678);

    assert_int_equal(write_point(world, 0, UINT_(5)), GW_OK);
    assert_asked(world, "160004FF8F0050");
    assert_int_equal(write_point(world, 1, UINT_(0xAB)), GW_OK);
    assert_asked(world, "16000500FFAB00");
    /* two registers are not masked at once: read, changed and written as one */
    assert_int_equal(write_point(world, 2, UINT_(0xAB)), GW_OK);
    assert_asked(world, "0400060002 100006000204123AB678");
    world_free(world);
}

/* ---- what goes wrong ---- */

static void what_cannot_be_held_is_not_sent(void **state)
{
    (void)state;
    const struct gw_write writes[] = {{0, UINT_(1)}, {2, UINT_(2)}, {1, UINT_(65536)}};
    struct world *world = world_new();
    rig_add(world->rig, make_point("holding:1", "uint16"));
    rig_add(world->rig, make_point("holding:2", "uint16"));
    rig_add(world->rig, make_point("holding:9", "uint16"));
    world_open(world);

    assert_int_equal(write_points(world, writes, 3), GW_E_RANGE);

    assert_asked(world, "0600010001 0600090002");
    assert_int_equal(world->n_written, 2);
    assert_int_equal(write_point(world, 0, TEXT_("1")), GW_E_RANGE);
    assert_asked(world, "");
    world_free(world);
}

static void a_refused_write_says_why(void **state)
{
    (void)state;
    struct world *world = world_new();
    rig_add(world->rig, make_point("holding:1", "uint16"));
    rig_add(world->rig, make_point("holding:1", "bits[3:1]"));
    world_open(world);
    refuse(world, 6, 3);

    assert_int_equal(write_point(world, 0, UINT_(1)), GW_E_REFUSED);
    assert_string_equal(world->outcome.reason, "illegal_data_value");
    assert_int_equal(world->outcome.exception, 3);
    assert_int_equal(world->n_written, 0);

    refuse(world, 6, 6);
    assert_int_equal(write_point(world, 1, BOOL_(true)), GW_E_BUSY);
    assert_string_equal(world->outcome.reason, "server_device_busy");

    refuse(world, 3, 11); /* the read before */
    assert_int_equal(write_point(world, 1, BOOL_(true)), GW_E_TIMEOUT);
    assert_string_equal(world->outcome.reason, "gateway_target_no_response");
    assert_asked(world, "0300010001");
    world_free(world);
}

/* ---- reading ---- */

static void points_are_read_in_one_request(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct gw_result results[4] = {0};
    rig_add(world->rig, make_point("holding:10", "int16"))->scale_register =
        make_register("holding:13");
    rig_add(world->rig, make_point("holding:11", "string[2]"));
    rig_add(world->rig, make_point("holding:11", "raw[1]"));
    rig_add(world->rig, make_point("holding:13", "sunssf"));
    world_open(world);
    set_register(world, 10, 0xFF33);
    set_register(world, 11, 0x4142);
    set_register(world, 12, 0x4300);
    set_register(world, 13, 0xFFFF);

    rig_plan(world->rig);
    assert_int_equal(world->rig->plan.n_requests, 1);
    assert_int_equal(modbus_execute(&world->rig->device, world->rig->plan.requests,
                                    world->rig->plan.members, now_us() + 5000000, results,
                                    &world->outcome),
                     GW_OK);

    assert_asked(world, "03000A0004");
    assert_true(world->outcome.acquired_us > 0);
    for (int i = 0; i < 4; i++) {
        const struct gw_result *result = &results[i];
        assert_int_equal(result->err, GW_OK);
        switch (world->rig->plan.members[i]) {
        case 0:
            assert_true(result->value.i == -205);
            assert_int_equal(result->exp10, -1);
            break;
        case 1:
            assert_int_equal(result->value.text.len, 3);
            assert_memory_equal(result->value.text.p, "ABC", 3);
            break;
        case 2:
            assert_int_equal(result->value.text.len, 4);
            assert_memory_equal(result->value.text.p, "4142", 4);
            break;
        default:
            assert_true(result->value.i == -1);
        }
    }
    world_free(world);
}

static void a_refused_read_is_split(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct gw_result results[2] = {0};
    rig_add(world->rig, make_point("input:10", NULL));
    rig_add(world->rig, make_point("input:11", NULL));
    world_open(world);
    refuse(world, 4, 2);
    struct rig *rig = world->rig;

    rig_plan(rig);
    assert_int_equal(modbus_execute(&rig->device, rig->plan.requests, rig->plan.members,
                                    now_us() + 5000000, results, &world->outcome),
                     GW_E_REFUSED);
    assert_string_equal(world->outcome.reason, "illegal_data_address");
    assert_int_equal(modbus_split(&rig->device, rig->plan.requests, rig->plan.members, &rig->parts),
                     GW_OK);
    assert_requests(&rig->parts, "input:10+1 input:11+1");

    refuse(world, 4, 1);
    assert_int_equal(modbus_execute(&rig->device, rig->plan.requests, rig->plan.members,
                                    now_us() + 5000000, results, &world->outcome),
                     GW_E_REFUSED);
    assert_string_equal(world->outcome.reason, "illegal_function");
    assert_int_equal(modbus_split(&rig->device, rig->plan.requests, rig->plan.members, &rig->parts),
                     GW_OK);
    assert_int_equal(rig->parts.n_requests, 0);
    world_free(world);
}

static void functions_to_read_with_are_those_of_the_device(void **state)
{
    (void)state;
    struct world *world = world_new();
    struct gw_result results[1] = {0};
    world->rig->conf.read_function_holding = 4;
    world->rig->conf.read_function_input = 3;
    rig_add(world->rig, make_point("coil:1", NULL));
    rig_add(world->rig, make_point("discrete:2", NULL));
    rig_add(world->rig, make_point("input:3", NULL));
    rig_add(world->rig, make_point("holding:4", NULL));
    world_open(world);
    struct rig *rig = world->rig;

    rig_plan(rig);
    for (size_t i = 0; i < rig->plan.n_requests; i++)
        assert_int_equal(modbus_execute(&rig->device, &rig->plan.requests[i],
                                        rig->plan.members + rig->plan.requests[i].first_member,
                                        now_us() + 5000000, results, &world->outcome),
                         GW_OK);

    assert_asked(world, "0100010001 0200020001 0300030001 0400040001");
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relay_is_switched_with_function_5),
        cmocka_unit_test(a_relay_board_takes_other_values),
        cmocka_unit_test(coils_in_a_row_are_written_at_once),
        cmocka_unit_test(one_register_goes_with_6_and_more_with_16),
        cmocka_unit_test(registers_in_a_row_are_written_at_once),
        cmocka_unit_test(a_value_is_written_where_it_is_to_be),
        cmocka_unit_test(bits_of_a_register_keep_the_others),
        cmocka_unit_test(bits_are_masked_where_the_device_knows_how),
        cmocka_unit_test(what_cannot_be_held_is_not_sent),
        cmocka_unit_test(a_refused_write_says_why),
        cmocka_unit_test(points_are_read_in_one_request),
        cmocka_unit_test(a_refused_read_is_split),
        cmocka_unit_test(functions_to_read_with_are_those_of_the_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
