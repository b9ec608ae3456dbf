/* The contract with the example driver, whose instrument is a text file: reading it never waits, nothing can be late,
 * and it cannot be written. What is left are links, plans, values and leaks. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/contract/contract.h"

struct peer {
    char path[64];
};

static const char *const names[] = {"temperature", "pressure", "starts", "burner"};
static const double numbers[] = {71.5, 2.25, 1204, 1};

static void write_file(const struct peer *peer)
{
    FILE *file = fopen(peer->path, "w");

    if (!file)
        abort();
    fputs("[first]\n", file);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        fprintf(file, "%s = %g\n", names[i], numbers[i]);
    fputs("[second]\ntemperature = 20\n", file);
    fclose(file);
}

static void *start(void)
{
    struct peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        abort();
    snprintf(peer->path, sizeof peer->path, "/tmp/field2mqtt-contract-XXXXXX");
    int fd = mkstemp(peer->path);
    if (fd < 0)
        abort();
    close(fd);
    write_file(peer);
    return peer;
}

static void stop(void *ctx)
{
    struct peer *peer = ctx;

    unlink(peer->path);
    free(peer);
}

static void write_config(void *ctx, FILE *file, bool is_reachable)
{
    const struct peer *peer = ctx;

    fprintf(file,
            "gateway: { name: contract }\n"
            "mqtt: { servers: mqtt://127.0.0.1 }\n"
            "buses:\n"
            "  - name: bus\n"
            "    driver: example\n"
            "    path: %s\n"
            "    devices:\n"
            "      - name: first\n"
            "        points:\n"
            "          - { name: temperature, field: temperature }\n"
            "          - { name: pressure, field: pressure }\n"
            "          - { name: starts, field: starts, type: integer }\n"
            "          - { name: burner, field: burner, type: bool }\n"
            "      - name: second\n"
            "        points: [{ name: temperature, field: temperature }]\n",
            is_reachable ? peer->path : "/nonexistent/values");
}

static double value(void *ctx, const char *device, const char *point)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (device[0] == 'f' && strcmp(point, names[i]) == 0)
            return numbers[i];
    return 20;
}

static const struct contract_peer example = {
    .name = "example",
    .start = start,
    .stop = stop,
    .write_config = write_config,
    .value = value,
};

int main(void)
{
    const struct contract_peer *const peers[] = {&example};

    return contract_run(peers, 1);
}
