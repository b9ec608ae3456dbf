/* The contract with the Modbus drivers: RTU on a pty, TCP, and RTU over TCP. */
#include <pthread.h>
#include <stdlib.h>

#include "tests/contract/contract.h"
#include "tests/fake/fake_modbus.h"

struct peer {
    enum fake_transport transport;
    struct fake_modbus *fake;
    pthread_mutex_t lock;
    bool has_action;
    struct fake_action action;
    size_t n_written;
    uint16_t last_written;
};

enum { LOCKED = 9 }; /* the register that cannot be written */

static struct fake_action choose(void *ctx, const struct fake_request *request)
{
    struct peer *peer = ctx;
    struct fake_action action = {.fault = FAKE_GOOD};

    (void)request;
    pthread_mutex_lock(&peer->lock);
    if (peer->has_action)
        action = peer->action;
    peer->has_action = false;
    pthread_mutex_unlock(&peer->lock);
    return action;
}

/* Registers tell their unit and address; every third bit is set. */
static uint16_t show(void *ctx, uint8_t unit, uint8_t function, uint16_t address)
{
    (void)ctx;
    return function <= 2 ? address % 3 == 0 : (uint16_t)(unit * 1000 + address);
}

static bool take(void *ctx, uint8_t unit, uint8_t function, uint16_t address, uint16_t value)
{
    struct peer *peer = ctx;

    (void)unit;
    (void)function;
    if (address == LOCKED)
        return false;
    pthread_mutex_lock(&peer->lock);
    peer->n_written++;
    peer->last_written = value;
    pthread_mutex_unlock(&peer->lock);
    return true;
}

static void *start(enum fake_transport transport)
{
    struct peer *peer = calloc(1, sizeof *peer);
    const struct fake_script script = {.ctx = peer, .choose = choose, .value = show, .write = take};

    if (!peer)
        abort();
    pthread_mutex_init(&peer->lock, NULL);
    peer->transport = transport;
    peer->fake = fake_modbus_start(transport, &script);
    return peer;
}

static void *start_rtu(void)
{
    return start(FAKE_RTU);
}

static void *start_tcp(void)
{
    return start(FAKE_TCP);
}

static void *start_rtu_over_tcp(void)
{
    return start(FAKE_RTU_OVER_TCP);
}

static void stop(void *ctx)
{
    struct peer *peer = ctx;

    fake_modbus_stop(peer->fake);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
}

static void write_config(void *ctx, FILE *file, bool is_reachable)
{
    const struct peer *peer = ctx;

    fputs("gateway: { name: contract }\n"
          "mqtt: { servers: mqtt://127.0.0.1 }\n"
          "buses:\n"
          "  - name: bus\n",
          file);
    if (peer->transport == FAKE_RTU)
        fprintf(file, "    driver: modbus-rtu\n    port: %s\n    baud: 115200\n",
                is_reachable ? fake_modbus_port(peer->fake) : "/dev/null");
    else
        fprintf(file,
                "    driver: modbus-tcp\n    host: 127.0.0.1\n    port: %u\n    framing: %s\n",
                is_reachable ? fake_modbus_tcp_port(peer->fake) : 1u,
                peer->transport == FAKE_TCP ? "tcp" : "rtu\n    baud: 115200");
    fputs("    devices:\n"
          "      - name: first\n"
          "        unit: 1\n"
          "        points:\n"
          "          - { name: h0, register: holding:0, type: uint16 }\n"
          "          - { name: h1, register: holding:1, type: int16 }\n"
          "          - { name: h200, register: holding:200, type: uint16 }\n"
          "          - { name: h201, register: holding:201, type: uint16 }\n"
          "          - { name: i5, register: input:5, type: uint16 }\n"
          "          - { name: c3, register: coil:3 }\n"
          "          - { name: c4, register: coil:4 }\n"
          "          - { name: d9, register: discrete:9 }\n"
          "          - { name: setpoint, register: holding:8, type: uint16, access: rw }\n"
          "          - { name: locked, register: holding:9, type: uint16, access: rw }\n"
          "      - name: second\n"
          "        unit: 2\n"
          "        points:\n"
          "          - { name: h0, register: holding:0, type: uint16 }\n",
          file);
}

static double value(void *ctx, const char *device, const char *point)
{
    static const struct {
        const char *name;
        uint16_t address;
    } named[] = {{"setpoint", 8}, {"locked", LOCKED}};
    uint8_t unit = device[0] == 'f' ? 1 : 2;

    for (size_t i = 0; i < 2; i++)
        if (point[0] == named[i].name[0])
            return show(ctx, unit, 3, named[i].address);
    return show(ctx, unit, point[0] == 'c' || point[0] == 'd' ? 1 : 3,
                (uint16_t)strtoul(point + 1, NULL, 10));
}

static void next(void *ctx, enum contract_behaviour behaviour, int64_t delay_us)
{
    static const enum fake_fault faults[CONTRACT_N_BEHAVIOURS] = {
        [CONTRACT_SILENCE] = FAKE_SILENCE,     [CONTRACT_GARBAGE] = FAKE_GARBAGE,
        [CONTRACT_TRUNCATED] = FAKE_TRUNCATED, [CONTRACT_OVERLONG] = FAKE_OVERLONG,
        [CONTRACT_TRICKLE] = FAKE_TRICKLE,     [CONTRACT_LATE] = FAKE_LATE,
        [CONTRACT_REFUSE] = FAKE_EXCEPTION,    [CONTRACT_DROP] = FAKE_DROP_IN_FRAME,
    };
    struct peer *peer = ctx;

    pthread_mutex_lock(&peer->lock);
    peer->has_action = true;
    peer->action =
        (struct fake_action){.fault = faults[behaviour], .delay_us = delay_us, .exception = 2};
    pthread_mutex_unlock(&peer->lock);
}

static size_t written(void *ctx, double *ret_value)
{
    struct peer *peer = ctx;

    pthread_mutex_lock(&peer->lock);
    size_t n = peer->n_written;
    *ret_value = peer->last_written;
    pthread_mutex_unlock(&peer->lock);
    return n;
}

#define COMMON                                                                                     \
    .abilities = (1u << CONTRACT_N_BEHAVIOURS) - 1, .stop = stop, .write_config = write_config,    \
    .value = value, .next = next, .written = written

static const struct contract_peer rtu = {.name = "modbus-rtu", .start = start_rtu, COMMON};
static const struct contract_peer tcp = {.name = "modbus-tcp", .start = start_tcp, COMMON};
static const struct contract_peer rtu_over_tcp = {
    .name = "modbus-tcp, framing rtu", .start = start_rtu_over_tcp, COMMON};

int main(void)
{
    const struct contract_peer *const peers[] = {&rtu, &tcp, &rtu_over_tcp};

    return contract_run(peers, sizeof peers / sizeof peers[0]);
}
