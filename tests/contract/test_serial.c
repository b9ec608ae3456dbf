/* The contract with the serial driver: home-made boards that share a pty, two of them polled and one that talks unasked. */
#include <stdlib.h>
#include <string.h>

#include "tests/contract/contract.h"
#include "tests/fake/fake_serial.h"

static void *start(void)
{
    return fake_serial_start();
}

static void stop(void *ctx)
{
    fake_serial_stop(ctx);
}

static void write_polls(FILE *file, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fprintf(file,
                "          - { name: %s, send: '?${address}:%s\\r', refused: '^${address}:%s!' }\n",
                names[i], names[i], names[i]);
    fputs("        points:\n", file);
    for (size_t i = 0; i < n; i++) {
        fprintf(file,
                "          - { name: %s, request: %s, match: '^${address}:%s=(?<v>[0-9]+)', "
                "from: 'group:v'",
                names[i], names[i], names[i]);
        if (strcmp(names[i], "setpoint") == 0 || strcmp(names[i], "locked") == 0)
            fprintf(file,
                    ", access: rw, write_text: '!${address}:%s=${value}\\r', "
                    "write_reply: '^${address}:%s#ok', write_refused: '^${address}:%s#no'",
                    names[i], names[i], names[i]);
        fputs(" }\n", file);
    }
}

static void write_config(void *ctx, FILE *file, bool is_reachable)
{
    static const char frame[] =
        "        frame: { end: '\\r\\n', max_length: 128 }\n"
        "        checksum: { type: xor, encoding: hex, to: 'before *', at: 'after *' }\n";
    static const char *const first[] = {"flow", "level", "temp", "starts", "setpoint", "locked"};
    static const char *const second[] = {"flow"};

    fprintf(file,
            "gateway: { name: contract }\n"
            "mqtt: { servers: mqtt://127.0.0.1 }\n"
            "commands: { enabled: true }\n"
            "buses:\n"
            "  - name: bus\n"
            "    driver: serial\n"
            "    port: %s\n"
            "    baud: 115200\n"
            "    devices:\n",
            is_reachable ? fake_serial_port(ctx) : "/dev/null");
    fprintf(file, "      - name: first\n        address: '1'\n%s        poll:\n", frame);
    write_polls(file, first, sizeof first / sizeof first[0]);
    fprintf(file, "      - name: second\n        address: '2'\n%s        poll:\n", frame);
    write_polls(file, second, 1);
    fprintf(file,
            "      - name: third\n%s        points:\n"
            "          - { name: heard, match: '^1:heard=(?<v>[0-9]+)', from: 'group:v' }\n",
            frame);
}

static double value(void *ctx, const char *device, const char *point)
{
    (void)ctx;
    return fake_serial_value(device[0] == 's' ? 2 : 1, point);
}

static enum fake_serial_fault fault_of(int behaviour)
{
    static const enum fake_serial_fault faults[CONTRACT_N_BEHAVIOURS] = {
        [CONTRACT_SILENCE] = FAKE_SERIAL_SILENCE,     [CONTRACT_GARBAGE] = FAKE_SERIAL_GARBAGE,
        [CONTRACT_TRUNCATED] = FAKE_SERIAL_TRUNCATED, [CONTRACT_OVERLONG] = FAKE_SERIAL_OVERLONG,
        [CONTRACT_TRICKLE] = FAKE_SERIAL_TRICKLE,     [CONTRACT_LATE] = FAKE_SERIAL_LATE,
        [CONTRACT_REFUSE] = FAKE_SERIAL_REFUSE,       [CONTRACT_DROP] = FAKE_SERIAL_DROP,
    };

    return behaviour == CONTRACT_WHOLE ? FAKE_SERIAL_GOOD : faults[behaviour];
}

static void next(void *ctx, enum contract_behaviour behaviour, int64_t delay_us)
{
    fake_serial_next(ctx, fault_of((int)behaviour), delay_us);
}

static void say(void *ctx, int behaviour)
{
    fake_serial_say(ctx, fault_of(behaviour));
}

static size_t written(void *ctx, double *ret_value)
{
    return fake_serial_written(ctx, ret_value);
}

static const struct contract_peer serial = {
    .name = "serial",
    .abilities = (1u << CONTRACT_N_BEHAVIOURS) - 1,
    .start = start,
    .stop = stop,
    .write_config = write_config,
    .value = value,
    .next = next,
    .say = say,
    .takes_any_number = true,
    .written = written,
};

int main(void)
{
    const struct contract_peer *const peers[] = {&serial};

    return contract_run(peers, 1);
}
