/* The simulated devices: registers, faults, and the whole of them on a pty and over TCP. Vectors: device manuals. */
#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/modbus/slave.h"
#include "drivers/modbus/slave_impl.h"
#include "drivers/modbus/wire.h"
#include "tests/unit/free_port.h"

enum { N_POINTS = 16, WAIT_US = 5000000 };

#define AT(area_, first_)                                                                          \
    {                                                                                              \
        .is_set = true, .area = area_, .first = first_                                             \
    }
#define TYPE(type_, n_)                                                                            \
    {                                                                                              \
        .type = type_, .n_regs = n_                                                                \
    }

/* One device with the points of several manuals; the second one has a coil-only relay board. */
static const struct modbus_point_conf points[N_POINTS] = {
    {.address = AT(MODBUS_HOLDING, 0x0BB7), .type = TYPE(MODBUS_FLOAT32, 2)},
    {.address = AT(MODBUS_HOLDING, 3102), .type = TYPE(MODBUS_UINT16, 1)},
    {.address = AT(MODBUS_HOLDING, 3103), .type = TYPE(MODBUS_UINT16, 1)},
    {.address = AT(MODBUS_HOLDING, 3104), .type = TYPE(MODBUS_UINT16, 1)},
    {.address = AT(MODBUS_HOLDING, 1), .type = TYPE(MODBUS_UINT16, 1)},
    {.address = AT(MODBUS_HOLDING, 0x1C), .type = TYPE(MODBUS_FLOAT32, 2)},
    {.address = AT(MODBUS_HOLDING, 4), .type = TYPE(MODBUS_UINT16, 1)},
    {.address = AT(MODBUS_HOLDING, 10), .type = {MODBUS_BITS, 1, .shift = 0, .width = 4}},
    {.address = AT(MODBUS_HOLDING, 10), .type = {MODBUS_BITS, 1, .shift = 8, .width = 8}},
    {.address = AT(MODBUS_INPUT, 0x50),
     .low_part = AT(MODBUS_INPUT, 0x4E),
     .type = TYPE(MODBUS_UINT32, 2)},
    {.address = AT(MODBUS_INPUT, 0x60),
     .type = TYPE(MODBUS_INT32, 2),
     .order = MODBUS_CDAB,
     .scale_register = AT(MODBUS_INPUT, 0x62)},
    {.address = AT(MODBUS_COIL, 2),
     .type = TYPE(MODBUS_BOOL, 1),
     .on_value = MODBUS_COIL_ON,
     .off_value = MODBUS_COIL_OFF},
    {.address = AT(MODBUS_COIL, 5),
     .type = TYPE(MODBUS_BOOL, 1),
     .on_value = 0x5500,
     .off_value = 0x1100},
    {.address = AT(MODBUS_DISCRETE, 7), .type = TYPE(MODBUS_BOOL, 1)},
    {.address = AT(MODBUS_HOLDING, 20),
     .write_address = AT(MODBUS_HOLDING, 40),
     .type = TYPE(MODBUS_UINT16, 1)},
    {.address = AT(MODBUS_HOLDING, 50), .type = TYPE(MODBUS_STRING, 2)},
};

struct plant {
    struct gw_bus bus;
    struct gw_device device;
    struct modbus_bus_conf bus_conf;
    struct modbus_device_conf device_conf;
    struct gw_host host;
    const void *point_list[N_POINTS];
    struct gw_sim sim;
    struct gw_driver_diag diag;
    pthread_mutex_t lock;
    struct gw_value values[N_POINTS];
    char text[16];
    size_t n_written;
    /* the simulation as a thread */
    pthread_t thread;
    pthread_cond_t is_ready;
    char where[128];
    enum gw_err err;
    bool has_ended;
    char dir[64], port[96];
};

static int64_t now_us(void *ctx)
{
    struct timespec now;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static GW_PRINTF(2, 3) void debug(void *ctx, const char *fmt, ...)
{
    (void)ctx;
    (void)fmt;
}

static void read_value(void *ctx, const struct gw_device *device, size_t point,
                       struct gw_value *ret_value)
{
    struct plant *plant = ctx;

    (void)device;
    pthread_mutex_lock(&plant->lock);
    *ret_value = plant->values[point];
    pthread_mutex_unlock(&plant->lock);
}

static void written(void *ctx, const struct gw_device *device, size_t point,
                    const struct gw_value *value)
{
    struct plant *plant = ctx;

    (void)device;
    pthread_mutex_lock(&plant->lock);
    plant->values[point] = *value;
    if (value->kind == GW_TEXT) {
        assert_true(value->text.len < sizeof plant->text);
        memcpy(plant->text, value->text.p, value->text.len);
        plant->values[point].text.p = plant->text;
    }
    plant->n_written++;
    pthread_mutex_unlock(&plant->lock);
}

static void ready(void *ctx, const char *where)
{
    struct plant *plant = ctx;

    pthread_mutex_lock(&plant->lock);
    snprintf(plant->where, sizeof plant->where, "%s", where);
    pthread_cond_signal(&plant->is_ready);
    pthread_mutex_unlock(&plant->lock);
}

static struct gw_value uint_value(uint64_t u)
{
    return (struct gw_value){.kind = GW_UINT, .u = u};
}

static void fill_values(struct plant *plant)
{
    static const uint64_t numbers[N_POINTS] = {
        [1] = 40, [2] = 600, [3] = 500, [4] = 7, [6] = 0x0012, [7] = 0xA, [8] = 0x5C, [14] = 77};

    for (size_t i = 0; i < N_POINTS; i++)
        plant->values[i] = uint_value(numbers[i]);
    plant->values[0] = (struct gw_value){.kind = GW_FLOAT32, .f32 = 230.5f};
    plant->values[5] = (struct gw_value){.kind = GW_FLOAT32, .f32 = 0};
    plant->values[9] = uint_value(0x12345678);
    plant->values[10] = (struct gw_value){.kind = GW_INT, .i = -12345};
    plant->values[11] = plant->values[12] = (struct gw_value){.kind = GW_BOOL, .b = false};
    plant->values[13] = (struct gw_value){.kind = GW_BOOL, .b = true};
    plant->values[15] = (struct gw_value){.kind = GW_TEXT, .text = {"AB", 2}};
}

static int set_up(void **state)
{
    struct plant *plant = calloc(1, sizeof *plant);

    pthread_mutex_init(&plant->lock, NULL);
    pthread_cond_init(&plant->is_ready, NULL);
    for (size_t i = 0; i < N_POINTS; i++)
        plant->point_list[i] = &points[i];
    fill_values(plant);
    plant->bus_conf = (struct modbus_bus_conf){.transport = MODBUS_RTU,
                                               .baud = 115200,
                                               .data_bits = 8,
                                               .stop_bits = 1,
                                               .parity = MODBUS_PARITY_NONE,
                                               .host = "127.0.0.1",
                                               .port = plant->port};
    plant->device_conf = (struct modbus_device_conf){.unit = 1,
                                                     .max_registers = 125,
                                                     .max_bits = 2000,
                                                     .read_function_holding = 3,
                                                     .read_function_input = 4};
    plant->host = (struct gw_host){.now_us = now_us, .debug = debug, .wake_fd = -1};
    plant->device = (struct gw_device){.name = "meter",
                                       .bus = &plant->bus,
                                       .conf = &plant->device_conf,
                                       .points = plant->point_list,
                                       .n_points = N_POINTS};
    plant->bus = (struct gw_bus){.name = "line",
                                 .conf = &plant->bus_conf,
                                 .host = &plant->host,
                                 .devices = &plant->device,
                                 .n_devices = 1};
    plant->sim = (struct gw_sim){.bus = &plant->bus,
                                 .faults = {.seed = 1},
                                 .stop_fd = eventfd(0, EFD_CLOEXEC),
                                 .ctx = plant,
                                 .read = read_value,
                                 .written = written,
                                 .ready = ready};
    snprintf(plant->dir, sizeof plant->dir, "/tmp/field2mqtt-slave-XXXXXX");
    assert_non_null(mkdtemp(plant->dir));
    snprintf(plant->port, sizeof plant->port, "%s/line", plant->dir);
    *state = plant;
    return 0;
}

static int tear_down(void **state)
{
    struct plant *plant = *state;

    close(plant->sim.stop_fd);
    unlink(plant->port);
    rmdir(plant->dir);
    free(plant);
    return 0;
}

/* ---- Registers ---- */

struct exchange {
    const char *name;
    uint8_t request[24];
    size_t request_len;
    uint8_t reply[24];
    size_t reply_len;
};

#define BYTES(...)                                                                                 \
    {__VA_ARGS__}, sizeof(uint8_t[])                                                               \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void check(struct plant *plant, const struct exchange *exchange)
{
    uint8_t reply[MODBUS_PDU_MAX];

    print_message("  %s\n", exchange->name);
    size_t len = slave_bank_answer(&plant->sim, 1, exchange->request, exchange->request_len, reply);
    assert_int_equal(len, exchange->reply_len);
    assert_memory_equal(reply, exchange->reply, len);
}

static void registers_are_those_of_the_points(void **state)
{
    static const struct exchange rows[] = {
        {"float 230.5", BYTES(3, 0x0B, 0xB7, 0, 2), BYTES(3, 4, 0x43, 0x66, 0x80, 0)},
        {"Altivar, 4 registers", BYTES(3, 0x0C, 0x1E, 0, 4),
         BYTES(3, 8, 0, 0x28, 2, 0x58, 1, 0xF4, 0, 0)},
        {"half of the float", BYTES(3, 0x0B, 0xB8, 0, 1), BYTES(3, 2, 0x80, 0)},
        {"two bit fields of one register", BYTES(3, 0, 10, 0, 1), BYTES(3, 2, 0x5C, 0x0A)},
        {"halves that stand apart", BYTES(4, 0, 0x4E, 0, 3),
         BYTES(4, 6, 0x56, 0x78, 0, 0, 0x12, 0x34)},
        {"words reversed, scale 0", BYTES(4, 0, 0x60, 0, 3),
         BYTES(4, 6, 0xCF, 0xC7, 0xFF, 0xFF, 0, 0)},
        {"a gap is 0", BYTES(3, 0, 11, 0, 2), BYTES(3, 4, 0, 0, 0, 0)},
        {"coils", BYTES(1, 0, 0, 0, 10), BYTES(1, 2, 0, 0)},
        {"discrete inputs", BYTES(2, 0, 0, 0, 10), BYTES(2, 2, 0x80, 0)},
        {"text", BYTES(3, 0, 50, 0, 2), BYTES(3, 4, 0x41, 0x42, 0, 0)},
        {"what a write register holds", BYTES(3, 0, 40, 0, 1), BYTES(3, 2, 0, 77)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(*state, &rows[i]);
}

static void what_is_not_there_is_refused(void **state)
{
    static const struct exchange rows[] = {
        {"far from every point", BYTES(3, 0x20, 0, 0, 1), BYTES(0x83, 2)},
        {"running away from a point", BYTES(3, 0x0C, 0x20, 0, 125), BYTES(3, 250)},
        {"126 registers on", BYTES(3, 0x0C, 0x9E, 0, 1), BYTES(0x83, 2)},
        {"beyond the last address", BYTES(3, 0xFF, 0xFF, 0, 2), BYTES(0x83, 2)},
        {"no registers", BYTES(3, 0, 1, 0, 0), BYTES(0x83, 3)},
        {"126 registers", BYTES(3, 0, 1, 0, 126), BYTES(0x83, 3)},
        {"2001 coils", BYTES(1, 0, 1, 0x07, 0xD1), BYTES(0x81, 3)},
        {"too short", BYTES(3, 0, 1, 0), BYTES(0x83, 3)},
        {"too long", BYTES(3, 0, 1, 0, 1, 0), BYTES(0x83, 3)},
        {"unknown function", BYTES(0x42), BYTES(0xC2, 1)},
        {"input registers of holding addresses", BYTES(4, 0x0B, 0xB7, 0, 2), BYTES(0x84, 2)},
        {"a write far from every point", BYTES(6, 0x20, 0, 0, 1), BYTES(0x86, 2)},
        {"16 with too few bytes", BYTES(16, 0, 0x1C, 0, 2, 4, 1, 2, 3), BYTES(0x90, 3)},
        {"16 with a wrong count", BYTES(16, 0, 0x1C, 0, 1, 4, 1, 2, 3, 4), BYTES(0x90, 3)},
        {"15 with a wrong count", BYTES(15, 0, 0, 0, 9, 1, 0xFF), BYTES(0x8F, 3)},
        {"5 with a value of no use", BYTES(5, 0, 2, 0x12, 0x34), BYTES(0x85, 3)},
    };
    struct plant *plant = *state;
    uint8_t reply[MODBUS_PDU_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].reply_len == 2 && rows[i].reply[0] == 3) { /* only the head is compared */
            assert_int_equal(slave_bank_answer(&plant->sim, 1, rows[i].request, 5, reply), 252);
            continue;
        }
        check(plant, &rows[i]);
    }
    assert_int_equal(slave_bank_answer(&plant->sim, 2, rows[0].request, 5, reply), 0);
    assert_int_equal(plant->n_written, 0);
}

static void a_limit_of_the_device_is_kept(void **state)
{
    struct plant *plant = *state;
    static const struct exchange at_limit = {"63", BYTES(3, 0x20, 0, 0, 63), BYTES(0x83, 2)};
    static const struct exchange above = {"64", BYTES(3, 0x20, 0, 0, 64), BYTES(0x83, 3)};

    plant->device_conf.max_registers = 63;
    check(plant, &at_limit);
    check(plant, &above);
}

static void writes_reach_the_points(void **state)
{
    struct plant *plant = *state;
    static const struct exchange rows[] = {
        {"register 1 = 500", BYTES(6, 0, 1, 1, 0xF4), BYTES(6, 0, 1, 1, 0xF4)},
        {"float 9600.0", BYTES(16, 0, 0x1C, 0, 2, 4, 0x46, 0x16, 0, 0), BYTES(16, 0, 0x1C, 0, 2)},
        {"mask 0012 -> 0017", BYTES(22, 0, 4, 0, 0xF2, 0, 0x25), BYTES(22, 0, 4, 0, 0xF2, 0, 0x25)},
        {"coil 2 on", BYTES(5, 0, 2, 0xFF, 0), BYTES(5, 0, 2, 0xFF, 0)},
        {"coil 5 on, its own way", BYTES(5, 0, 5, 0x55, 0), BYTES(5, 0, 5, 0x55, 0)},
        {"a register written elsewhere", BYTES(6, 0, 40, 0, 99), BYTES(6, 0, 40, 0, 99)},
        {"text", BYTES(16, 0, 50, 0, 2, 4, 0x58, 0x59, 0x5A, 0), BYTES(16, 0, 50, 0, 2)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(plant, &rows[i]);
    assert_int_equal(plant->values[4].u, 500);
    assert_true(plant->values[5].f32 == 9600.0f);
    assert_int_equal(plant->values[6].u, 0x17);
    assert_true(plant->values[11].b);
    assert_true(plant->values[12].b);
    assert_int_equal(plant->values[14].u, 99);
    assert_int_equal(plant->values[15].text.len, 3);
    assert_memory_equal(plant->values[15].text.p, "XYZ", 3);
}

static void coils_are_written_together(void **state)
{
    struct plant *plant = *state;
    static const struct exchange set = {"8 coils", BYTES(15, 0, 0, 0, 8, 1, 0xFF),
                                        BYTES(15, 0, 0, 0, 8)};
    static const struct exchange get = {"8 coils back", BYTES(1, 0, 0, 0, 8), BYTES(1, 1, 0x24)};

    check(plant, &set);
    assert_int_equal(plant->n_written, 2);
    check(plant, &get); /* the two that are points */
}

static void bits_beside_a_written_bit_field_stay(void **state)
{
    struct plant *plant = *state;
    static const struct exchange set = {"mask", BYTES(22, 0, 10, 0xFF, 0xF0, 0, 0x03),
                                        BYTES(22, 0, 10, 0xFF, 0xF0, 0, 0x03)};
    static const struct exchange get = {"back", BYTES(3, 0, 10, 0, 1), BYTES(3, 2, 0x5C, 0x03)};

    check(plant, &set);
    check(plant, &get);
}

static void a_float_written_in_two_steps_is_whole_after_the_second(void **state)
{
    struct plant *plant = *state;
    static const struct exchange rows[] = {
        {"high", BYTES(6, 0, 0x1C, 0x46, 0x16), BYTES(6, 0, 0x1C, 0x46, 0x16)},
        {"low", BYTES(6, 0, 0x1D, 0x12, 0x34), BYTES(6, 0, 0x1D, 0x12, 0x34)},
        {"back", BYTES(3, 0, 0x1C, 0, 2), BYTES(3, 4, 0x46, 0x16, 0x12, 0x34)},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(plant, &rows[i]);
}

static void function_23_writes_before_it_reads(void **state)
{
    static const struct exchange row = {"23", BYTES(23, 0, 4, 0, 1, 0, 4, 0, 1, 2, 0x12, 0x34),
                                        BYTES(23, 2, 0x12, 0x34)};

    check(*state, &row);
}

static void a_device_that_is_read_with_the_other_function_is_one(void **state)
{
    struct plant *plant = *state;
    static const struct exchange row = {"4 for holding", BYTES(4, 0, 1, 0, 1), BYTES(4, 2, 0, 7)};

    plant->device_conf.read_function_holding = 4;
    check(plant, &row);
}

/* ---- Faults ---- */

static void faults_come_as_often_as_asked(void **state)
{
    (void)state;
    const struct gw_sim_faults faults = {.drop = 5, .delay = 10, .exception = 20, .garbage = 1};
    uint64_t random = 3;
    int n[5] = {0};

    for (int i = 0; i < 100000; i++)
        n[slave_draw_fault(&faults, &random)]++;
    assert_in_range(n[SLAVE_DROP], 4500, 5500);
    assert_in_range(n[SLAVE_DELAY], 9500, 10500);
    assert_in_range(n[SLAVE_EXCEPTION], 19000, 21000);
    assert_in_range(n[SLAVE_GARBAGE], 800, 1200);
}

static void the_same_seed_gives_the_same_faults(void **state)
{
    (void)state;
    const struct gw_sim_faults faults = {.drop = 30, .garbage = 30};
    uint64_t a = 77, b = 77, c = 78;
    int n_different = 0;

    for (int i = 0; i < 1000; i++) {
        enum slave_fault fault = slave_draw_fault(&faults, &a);
        assert_int_equal(slave_draw_fault(&faults, &b), fault);
        n_different += slave_draw_fault(&faults, &c) != fault;
    }
    assert_true(n_different > 100);
}

static void garbage_is_never_the_awaited_answer(void **state)
{
    (void)state;
    const uint8_t pdu[] = {3, 4, 1, 2, 3, 4};
    const struct modbus_expect expect = {
        .unit = 1, .function = 3, .reply_len = sizeof pdu, .transaction = 0x1234};
    uint64_t random = 5;
    uint8_t frame[MODBUS_TCP_FRAME_MAX];
    const char *reason;

    for (int i = 0; i < 10000; i++) {
        size_t len = modbus_frame_rtu(frame, 1, pdu, sizeof pdu);
        len = slave_make_garbage(frame, len, false, &random);
        assert_in_range(len, 1, sizeof pdu + 3);
        assert_int_not_equal(modbus_rtu_scan(frame, len, &expect).kind, MODBUS_SEEN_REPLY);

        len = modbus_frame_tcp(frame, 0x1234, 1, pdu, sizeof pdu);
        len = slave_make_garbage(frame, len, true, &random);
        assert_in_range(len, 1, sizeof pdu + MODBUS_MBAP_LEN);
        assert_int_equal(modbus_tcp_check(frame, len, &expect, &reason), GW_E_PROTO);
    }
}

/* ---- The whole of it ---- */

static void *play(void *ctx)
{
    struct plant *plant = ctx;
    enum gw_err err = modbus_simulate(&plant->sim, &plant->diag);

    pthread_mutex_lock(&plant->lock);
    plant->err = err;
    plant->has_ended = true;
    pthread_cond_signal(&plant->is_ready);
    pthread_mutex_unlock(&plant->lock);
    return NULL;
}

static void start(struct plant *plant)
{
    assert_int_equal(pthread_create(&plant->thread, NULL, play, plant), 0);
    pthread_mutex_lock(&plant->lock);
    while (!plant->where[0] && !plant->has_ended)
        pthread_cond_wait(&plant->is_ready, &plant->lock);
    pthread_mutex_unlock(&plant->lock);
}

static void stop(struct plant *plant)
{
    uint64_t one = 1;

    assert_int_equal(write(plant->sim.stop_fd, &one, sizeof one), sizeof one);
    pthread_join(plant->thread, NULL);
}

static struct modbus_wire *open_wire(struct plant *plant)
{
    struct modbus_wire *wire = calloc(1, modbus_wire_size());
    enum gw_err err = modbus_wire_open(wire, &plant->bus_conf, &plant->host, now_us(NULL) + WAIT_US,
                                       &plant->diag);

    if (err)
        fail_msg("%s", plant->diag.text);
    return wire;
}

static void close_wire(struct modbus_wire *wire)
{
    modbus_wire_close(wire);
    free(wire);
}

static enum gw_err read_words(struct modbus_wire *wire, uint8_t unit, uint16_t first,
                              uint16_t count, int64_t timeout_us, struct modbus_exchange *ret)
{
    const uint8_t pdu[] = {3, (uint8_t)(first >> 8), (uint8_t)first, 0, (uint8_t)count};
    struct gw_outcome outcome = {0};

    *ret = (struct modbus_exchange){
        .unit = unit, .request = pdu, .request_len = 5, .reply_len = 2u + 2u * count};
    return modbus_wire_exchange(wire, ret, now_us(NULL) + timeout_us, &outcome);
}

static void a_line_is_played_at_its_pace(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;

    plant->bus_conf.baud = 2400;
    start(plant);
    assert_string_equal(plant->where, plant->port);
    struct modbus_wire *wire = open_wire(plant);
    assert_int_equal(read_words(wire, 1, 3102, 4, WAIT_US, &ex), GW_OK);
    int64_t begin_us = now_us(NULL);
    assert_int_equal(read_words(wire, 1, 3102, 4, WAIT_US, &ex), GW_OK);
    /* 8 + 13 characters of 10 bits and the silences before the request and the answer. */
    int64_t least_us = 21 * 10 * 1000000 / 2400 + 2 * 16041;
    assert_true(now_us(NULL) - begin_us >= least_us);
    const uint8_t wanted[] = {3, 8, 0, 0x28, 2, 0x58, 1, 0xF4, 0, 0};
    assert_memory_equal(ex.reply, wanted, sizeof wanted);
    close_wire(wire);
    stop(plant);
    assert_int_equal(plant->err, GW_OK);
}

static void a_unit_that_is_not_there_is_silent_on_a_line(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;

    start(plant);
    struct modbus_wire *wire = open_wire(plant);
    assert_int_equal(read_words(wire, 2, 1, 1, 100000, &ex), GW_E_TIMEOUT);
    assert_int_equal(read_words(wire, 1, 1, 1, WAIT_US, &ex), GW_OK);
    close_wire(wire);
    stop(plant);
}

static void broken_requests_do_not_swallow_the_next(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;
    const uint8_t broken[] = {1, 16, 0, 0, 0, 100, 200, 1};

    start(plant);
    FILE *port = fopen(plant->port, "w");
    assert_int_equal(fwrite(broken, 1, sizeof broken, port), sizeof broken);
    fclose(port);
    struct modbus_wire *wire = open_wire(plant);
    assert_int_equal(read_words(wire, 2, 1, 1, 150000, &ex), GW_E_TIMEOUT);
    assert_int_equal(read_words(wire, 1, 1, 1, WAIT_US, &ex), GW_OK);
    close_wire(wire);
    stop(plant);
}

static void a_port_is_opened_again_and_again(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;

    start(plant);
    for (int i = 0; i < 5; i++) {
        struct modbus_wire *wire = open_wire(plant);
        assert_int_equal(read_words(wire, 1, 1, 1, WAIT_US, &ex), GW_OK);
        close_wire(wire);
    }
    stop(plant);
}

static void the_link_is_ours_alone(void **state)
{
    struct plant *plant = *state;
    struct stat status;

    assert_int_equal(symlink("/dev/pts/999", plant->port), 0); /* left behind by a killed one */
    start(plant);
    assert_string_equal(plant->where, plant->port);
    stop(plant);
    assert_int_not_equal(lstat(plant->port, &status), 0);

    FILE *file = fopen(plant->port, "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(modbus_simulate(&plant->sim, &plant->diag), GW_E_LINK);
    assert_non_null(strstr(plant->diag.text, "is in the way"));
    assert_int_equal(lstat(plant->port, &status), 0);
    assert_true(S_ISREG(status.st_mode));
}

static void a_server_takes_several_clients(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;
    struct modbus_wire *wires[4];

    plant->bus_conf.transport = MODBUS_TCP;
    plant->bus_conf.tcp_port = free_port();
    start(plant);
    for (size_t i = 0; i < 4; i++)
        wires[i] = open_wire(plant);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(read_words(wires[i % 4], 1, 1, 1, WAIT_US, &ex), GW_OK);
    assert_int_equal(read_words(wires[0], 9, 1, 1, WAIT_US, &ex), GW_OK);
    const uint8_t nobody[] = {0x83, 11};
    assert_int_equal(ex.ret_reply_len, 2);
    assert_memory_equal(ex.reply, nobody, 2);
    for (size_t i = 0; i < 4; i++)
        close_wire(wires[i]);
    stop(plant);
}

static void a_port_in_use_is_told(void **state)
{
    struct plant *plant = *state, *other;

    plant->bus_conf.transport = MODBUS_TCP;
    plant->bus_conf.tcp_port = free_port();
    start(plant);
    set_up((void **)&other);
    other->bus_conf = plant->bus_conf;
    assert_int_equal(modbus_simulate(&other->sim, &other->diag), GW_E_LINK);
    assert_non_null(strstr(other->diag.text, "is in use by another program"));
    tear_down((void **)&other);
    stop(plant);
}

static void a_device_server_speaks_rtu(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;

    plant->bus_conf.transport = MODBUS_RTU_OVER_TCP;
    plant->bus_conf.tcp_port = free_port();
    start(plant);
    struct modbus_wire *wire = open_wire(plant);
    assert_int_equal(read_words(wire, 1, 3102, 4, WAIT_US, &ex), GW_OK);
    assert_int_equal(ex.reply[3], 40);
    close_wire(wire);
    stop(plant);
}

static void faults_hurt_only_as_they_should(void **state)
{
    struct plant *plant = *state;
    struct modbus_exchange ex;
    int n_good = 0, n_refused = 0;

    plant->sim.faults = (struct gw_sim_faults){
        .drop = 5, .delay = 5, .exception = 10, .garbage = 10, .delay_us = 150000, .seed = 4};
    plant->bus_conf.transport = MODBUS_TCP;
    plant->bus_conf.tcp_port = free_port();
    start(plant);
    struct modbus_wire *wire = open_wire(plant);
    for (int i = 0; i < 200; i++) {
        enum gw_err err = read_words(wire, 1, 3102, 1, 100000, &ex);
        if (err == GW_OK && ex.reply[0] == 3) {
            assert_int_equal(ex.reply[3], 40);
            n_good++;
        }
        n_refused += err == GW_OK && ex.reply[0] == 0x83;
        assert_int_not_equal(err, GW_E_LINK);
    }
    close_wire(wire);
    stop(plant);
    assert_in_range(n_good, 60, 180);
    assert_in_range(n_refused, 5, 50);
}

/* ---- Redirection ---- */

static void a_serial_port_becomes_a_link_named_as_its_bus(void **state)
{
    (void)state;
    struct modbus_bus_conf conf = {.transport = MODBUS_RTU, .port = "/dev/ttyUSB0"};
    const struct gw_sim_place place = {.dir = "/run/sim", .port_offset = 1000};
    char buf[64], tiny[8];

    assert_int_equal(modbus_redirect(&conf, "rs485-1", &place, buf, sizeof buf), GW_OK);
    assert_string_equal(conf.port, "/run/sim/rs485-1");
    assert_int_equal(modbus_redirect(&conf, "rs485-1", &place, tiny, sizeof tiny), GW_E_RANGE);
}

static void a_host_becomes_a_loopback_address_of_its_own(void **state)
{
    (void)state;
    struct modbus_bus_conf conf = {.transport = MODBUS_TCP, .host = "plc-3.plant", .tcp_port = 502};
    const struct gw_sim_place place = {.dir = "/run/sim", .port_offset = 1000, .bus_index = 2};
    char buf[64];

    assert_int_equal(modbus_redirect(&conf, "plc", &place, buf, sizeof buf), GW_OK);
    assert_string_equal(conf.host, "127.0.0.3");
    assert_int_equal(conf.tcp_port, 1502);

    conf.host = "127.0.0.1";
    assert_int_equal(modbus_redirect(&conf, "plc", &place, buf, sizeof buf), GW_OK);
    assert_string_equal(conf.host, "127.0.0.1");
    conf.tcp_port = 65000;
    assert_int_equal(modbus_redirect(&conf, "plc", &place, buf, sizeof buf), GW_E_RANGE);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registers_are_those_of_the_points),
        TEST(what_is_not_there_is_refused),
        TEST(a_limit_of_the_device_is_kept),
        TEST(writes_reach_the_points),
        TEST(coils_are_written_together),
        TEST(bits_beside_a_written_bit_field_stay),
        TEST(a_float_written_in_two_steps_is_whole_after_the_second),
        TEST(function_23_writes_before_it_reads),
        TEST(a_device_that_is_read_with_the_other_function_is_one),
        TEST(faults_come_as_often_as_asked),
        TEST(the_same_seed_gives_the_same_faults),
        TEST(garbage_is_never_the_awaited_answer),
        TEST(a_line_is_played_at_its_pace),
        TEST(a_unit_that_is_not_there_is_silent_on_a_line),
        TEST(broken_requests_do_not_swallow_the_next),
        TEST(a_port_is_opened_again_and_again),
        TEST(the_link_is_ours_alone),
        TEST(a_server_takes_several_clients),
        TEST(a_port_in_use_is_told),
        TEST(a_device_server_speaks_rtu),
        TEST(faults_hurt_only_as_they_should),
        TEST(a_serial_port_becomes_a_link_named_as_its_bus),
        TEST(a_host_becomes_a_loopback_address_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
