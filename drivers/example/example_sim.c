/* example_sim: the other side of the wire, so that `field2mqtt simulate` can bring the devices of a configuration to life
 * without hardware. Optional: a driver may leave it out. */
#include "example.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum gw_err example_redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                             char *buf, size_t size)
{
    struct example_bus_conf *conf = bus_conf;
    int len = snprintf(buf, size, "%s/%s", place->dir, bus_name);

    if (len < 0 || (size_t)len >= size)
        return GW_E_RANGE;
    conf->path = buf;
    return GW_OK;
}

static void print_value(FILE *file, const struct gw_value *value)
{
    switch (value->kind) {
    case GW_BOOL:
        fputs(value->b ? "on" : "off", file);
        break;
    case GW_INT:
        fprintf(file, "%lld", (long long)value->i);
        break;
    case GW_UINT:
        fprintf(file, "%llu", (unsigned long long)value->u);
        break;
    case GW_FLOAT32:
        fprintf(file, "%.9g", (double)value->f32);
        break;
    case GW_FLOAT64:
        fprintf(file, "%.17g", value->f64);
        break;
    case GW_DECIMAL:
        fprintf(file, "%llde%d", (long long)value->dec.digits, (int)value->dec.exp10);
        break;
    case GW_TEXT:
        fprintf(file, "%.*s", (int)value->text.len, value->text.p);
        break;
    case GW_NONE:
        break;
    }
}

/* A number of 0-100 that is the same in every run with the same seed (a linear congruential generator). */
static double draw_percent(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) * (100.0 / 16777216.0);
}

enum fault { NO_FAULT, DROP, DELAY, EXCEPTION, GARBAGE };

static enum fault draw_fault(const struct gw_sim_faults *faults, uint32_t *seed)
{
    const double shares[] = {faults->drop, faults->delay, faults->exception, faults->garbage};
    double drawn = draw_percent(seed);

    for (size_t i = 0; i < 4; i++) {
        if (drawn < shares[i])
            return (enum fault)(DROP + i);
        drawn -= shares[i];
    }
    return NO_FAULT;
}

static void write_device(FILE *file, const struct gw_sim *sim, const struct gw_device *device,
                         uint32_t *seed)
{
    const struct example_device_conf *conf = device->conf;
    enum fault fault = draw_fault(&sim->faults, seed);

    if (fault == DROP ||
        fault == DELAY) /* a file has no late answers: for a round the device is not there */
        return;
    fprintf(file, "[%s]\n", conf->section ? conf->section : device->name);
    for (size_t i = 0; i < device->n_points && fault != EXCEPTION; i++) {
        const struct example_point_conf *point = device->points[i];
        struct gw_value value;

        sim->read(sim->ctx, device, i, &value);
        fprintf(file, "%s = ", point->field);
        print_value(file, &value);
        fputs(fault == GARBAGE ? "\x15garbage\n" : "\n", file);
    }
}

/* Written beside and renamed, so that a reader never sees half a file. */
static bool write_file(const struct gw_sim *sim, const char *path, uint32_t *seed)
{
    char beside[1100];

    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return false;
    FILE *file = fopen(beside, "we");
    if (!file)
        return false;
    for (size_t i = 0; i < sim->bus->n_devices; i++)
        write_device(file, sim, &sim->bus->devices[i], seed);
    bool is_written = !ferror(file);
    if (fclose(file) != 0 || !is_written || rename(beside, path) != 0) {
        unlink(beside);
        return false;
    }
    return true;
}

enum gw_err example_simulate(const struct gw_sim *sim, struct gw_driver_diag *diag)
{
    const struct example_bus_conf *conf = sim->bus->conf;
    struct pollfd stop = {.fd = sim->stop_fd, .events = POLLIN};
    uint32_t seed = sim->faults.seed;
    bool is_ready = false;

    do {
        if (!write_file(sim, conf->path, &seed)) {
            snprintf(diag->text, sizeof diag->text, "%.150s cannot be written: %.60s", conf->path,
                     strerror(errno));
            return GW_E_LINK;
        }
        if (!is_ready)
            sim->ready(sim->ctx, conf->path);
        is_ready = true;
    } while (poll(&stop, 1, 100) <= 0);
    unlink(conf->path);
    return GW_OK;
}
