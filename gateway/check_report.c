/* check_report: predicted loads as text and as JSON. Knows the structs of config and load, no hardware and no files. */
#include "gateway/check_report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gateway/quantity.h"

enum { SPEED_TEXT = 40 };

/* Gives " at 9600 baud" for a bus that is a line of its own, else nothing. */
static const char *speed_text(const struct gw_bus_conf *bus, char ret_text[SPEED_TEXT])
{
    ret_text[0] = '\0';
    for (const struct gw_key *key = bus->driver->bus_keys; key && key->name; key++)
        if (key->type == GW_KEY_INT && key->flags & GW_BAUD) {
            int64_t baud;

            memcpy(&baud, (const char *)bus->driver_conf + key->offset, sizeof baud);
            snprintf(ret_text, SPEED_TEXT, " at %" PRId64 " baud", baud);
            break;
        }
    return ret_text;
}

/* ---- warnings -------------------------------------------------------------------------------------- */

size_t gw_load_warnings(const struct gw_bus_conf *bus, const struct gw_load *load,
                        char ret_warnings[GW_WARNINGS_MAX][GW_WARNING_TEXT])
{
    char interval[GW_QUANTITY_TEXT], speed[SPEED_TEXT];
    size_t n = 0;

    if (load->utilisation > 1) {
        /* 1.001 must not read as "1.00 s of every 1.00 s". */
        int decimals = load->utilisation < 1.01 ? 4 : 2;
        snprintf(ret_warnings[n++], GW_WARNING_TEXT, "%s needs %.*f s of every 1.00 s%s (%.*f %%)",
                 bus->name, decimals, load->utilisation, speed_text(bus, speed), decimals - 2,
                 load->utilisation * 100);
    }
    if (load->longest_request_us > load->shortest_interval_us) {
        gw_duration_text(load->shortest_interval_us, interval);
        snprintf(ret_warnings[n++], GW_WARNING_TEXT,
                 "%s cannot read %s every %s: a single request to %s takes %.1f ms", bus->name,
                 load->shortest->name, interval, load->longest->name,
                 (double)load->longest_request_us / 1000);
    }
    return n;
}

/* ---- text ------------------------------------------------------------------------------------------ */

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void print_group(const struct gw_load_group *group, FILE *out)
{
    char interval[GW_QUANTITY_TEXT];

    gw_duration_text(group->interval_us, interval);
    fprintf(out, "    every %s: %zu point%s in %zu request%s, %.1f ms\n", interval, group->n_points,
            plural(group->n_points), group->n_requests, plural(group->n_requests),
            (double)group->wire_us / 1000);
    for (size_t i = 0; i < group->n_requests; i++) {
        const struct gw_load_request *request = &group->requests[i];

        fprintf(out, "      %s: %zu point%s", request->text, request->n_points,
                plural(request->n_points));
        if (request->n_wanted != request->n_units)
            fprintf(out, ", %zu of %zu wanted", request->n_wanted, request->n_units);
        fprintf(out, ", %.1f ms\n", (double)request->wire_us / 1000);
    }
}

static void print_device(const struct gw_load_device *device, FILE *out)
{
    size_t n_written = device->conf->n_points - device->n_points;

    fprintf(out, "  %s", device->conf->name);
    if (device->conf->template_name)
        fprintf(out, " (%s)", device->conf->template_name);
    fprintf(out, ": %zu point%s", device->n_points, plural(device->n_points));
    if (n_written)
        fprintf(out, " and %zu only written", n_written);
    fprintf(out, ", %.1f %% of the time%s\n", device->utilisation * 100,
            device->is_exact ? "" : " at most");
    for (size_t g = 0; g < device->n_groups; g++)
        print_group(&device->groups[g], out);
}

static void print_bus(const struct gw_bus_conf *bus, const struct gw_load *load, FILE *out)
{
    char warnings[GW_WARNINGS_MAX][GW_WARNING_TEXT];
    char speed[SPEED_TEXT];
    size_t n_warnings = gw_load_warnings(bus, load, warnings);

    fprintf(out, "bus %s (%s): %zu device%s, needs %.3f s of every 1.00 s%s (%.1f %%)\n", bus->name,
            bus->driver->name, bus->n_devices, plural(bus->n_devices), load->utilisation,
            speed_text(bus, speed), load->utilisation * 100);
    for (size_t i = 0; i < load->n_devices; i++)
        print_device(&load->devices[i], out);
    for (size_t i = 0; i < n_warnings; i++)
        fprintf(out, "warning: %s\n", warnings[i]);
}

/* Who may change the plant is worth a line of its own. */
static void print_commands(const struct gw_config *config, FILE *out)
{
    size_t n = 0;

    for (size_t b = 0; b < config->n_buses; b++)
        for (size_t d = 0; d < config->buses[b].n_devices; d++)
            for (size_t i = 0; i < config->buses[b].devices[d].n_points; i++)
                n += config->buses[b].devices[d].points[i].write != NULL;
    if (config->commands.is_enabled)
        fprintf(out, "commands: enabled, %zu point%s can be written from MQTT\n\n", n, plural(n));
    else if (n > 0)
        fprintf(out, "commands: off, %zu point%s could be written if they were enabled\n\n", n,
                plural(n));
}

void gw_check_print(const struct gw_config *config, struct gw_load *const *loads, FILE *out)
{
    size_t n_devices = 0, n_points = 0;

    for (size_t i = 0; i < config->n_buses; i++) {
        n_devices += config->buses[i].n_devices;
        for (size_t k = 0; k < config->buses[i].n_devices; k++)
            n_points += config->buses[i].devices[k].n_points;
        print_bus(&config->buses[i], loads[i], out);
        fputc('\n', out);
    }
    print_commands(config, out);
    fprintf(out, "%s: no mistake; gateway %s, %zu bus%s, %zu device%s, %zu point%s\n", config->file,
            config->gateway_name, config->n_buses, config->n_buses == 1 ? "" : "es", n_devices,
            plural(n_devices), n_points, plural(n_points));
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

static void set_size(struct gw_json *object, const char *key, size_t value)
{
    gw_json_set(object, key, gw_json_int((int64_t)value));
}

/* Six decimals: as good as the prediction is, and the same text on every machine. */
static void set_share(struct gw_json *object, const char *key, double share)
{
    gw_json_set(object, key, gw_json_number(round(share * 1e6) / 1e6));
}

static struct gw_json *group_json(const struct gw_load_group *group)
{
    struct gw_json *object = gw_json_object(), *requests = gw_json_array();

    gw_json_set(object, "interval_us", gw_json_int(group->interval_us));
    set_size(object, "points", group->n_points);
    set_size(object, "units", group->n_units);
    set_size(object, "wanted", group->n_wanted);
    gw_json_set(object, "wire_us", gw_json_int(group->wire_us));
    for (size_t i = 0; i < group->n_requests; i++) {
        struct gw_json *request = gw_json_object();

        gw_json_set(request, "reads", gw_json_text(group->requests[i].text));
        set_size(request, "points", group->requests[i].n_points);
        set_size(request, "units", group->requests[i].n_units);
        set_size(request, "wanted", group->requests[i].n_wanted);
        gw_json_set(request, "wire_us", gw_json_int(group->requests[i].wire_us));
        gw_json_add(requests, request);
    }
    gw_json_set(object, "requests", requests);
    return object;
}

static struct gw_json *device_json(const struct gw_load_device *device)
{
    struct gw_json *object = gw_json_object(), *groups = gw_json_array();

    gw_json_set(object, "name", gw_json_text(device->conf->name));
    if (device->conf->template_name)
        gw_json_set(object, "template", gw_json_text(device->conf->template_name));
    set_size(object, "points", device->conf->n_points);
    set_size(object, "points_read", device->n_points);
    set_share(object, "utilisation", device->utilisation);
    gw_json_set(object, "exact", gw_json_bool(device->is_exact || device->n_groups == 0));
    for (size_t g = 0; g < device->n_groups; g++)
        gw_json_add(groups, group_json(&device->groups[g]));
    gw_json_set(object, "groups", groups);
    return object;
}

static struct gw_json *bus_json(const struct gw_bus_conf *bus, const struct gw_load *load,
                                struct gw_json *all_warnings)
{
    struct gw_json *object = gw_json_object(), *devices = gw_json_array();
    char warnings[GW_WARNINGS_MAX][GW_WARNING_TEXT];
    size_t n_warnings = gw_load_warnings(bus, load, warnings);

    gw_json_set(object, "name", gw_json_text(bus->name));
    gw_json_set(object, "driver", gw_json_text(bus->driver->name));
    set_share(object, "utilisation", load->utilisation);
    for (size_t i = 0; i < load->n_devices; i++)
        gw_json_add(devices, device_json(&load->devices[i]));
    gw_json_set(object, "devices", devices);
    for (size_t i = 0; i < n_warnings; i++) {
        struct gw_json *warning = gw_json_object();

        gw_json_set(warning, "bus", gw_json_text(bus->name));
        gw_json_set(warning, "text", gw_json_text(warnings[i]));
        gw_json_add(all_warnings, warning);
    }
    return object;
}

/* What is told of mistakes and warnings. */
struct told {
    struct gw_json *mistakes, *warnings;
};

static void add_diag(void *ctx, bool is_warning, struct gw_mark mark, const char *sentence)
{
    const struct told *told = ctx;
    struct gw_json *object = gw_json_object();

    if (mark.file)
        gw_json_set(object, "file", gw_json_text(mark.file));
    if (mark.file && mark.line) {
        gw_json_set(object, "line", gw_json_int(mark.line));
        gw_json_set(object, "column", gw_json_int(mark.column));
    }
    gw_json_set(object, "text", gw_json_text(sentence));
    gw_json_add(is_warning ? told->warnings : told->mistakes, object);
}

struct gw_json *gw_check_json(const char *file, const struct gw_config *config,
                              struct gw_load *const *loads, const struct gw_diags *diags)
{
    struct gw_json *object = gw_json_object(), *buses = gw_json_array();
    struct told told = {gw_json_array(), gw_json_array()};

    gw_diags_each(diags, add_diag, &told);
    gw_json_set(object, "file", gw_json_text(file));
    gw_json_set(object, "good", gw_json_bool(config != NULL));
    gw_json_set(object, "mistakes", told.mistakes);
    if (config)
        gw_json_set(object, "gateway", gw_json_text(config->gateway_name));
    for (size_t i = 0; config && i < config->n_buses; i++)
        gw_json_add(buses, bus_json(&config->buses[i], loads[i], told.warnings));
    gw_json_set(object, "warnings", told.warnings);
    gw_json_set(object, "buses", buses);
    return object;
}
