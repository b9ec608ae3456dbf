#include "gateway/cmd_talk.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"

static enum gw_err keep_nothing(struct gw_outbox *outbox, const struct gw_message *message)
{
    (void)outbox, (void)message;
    return GW_OK;
}

static const struct gw_outbox_ops nothing_ops = {.put = keep_nothing};

int gw_talk_take(struct gw_talk *talk, int argc, char **argv, int *i)
{
    if (argv[*i][0] != '-')
        return 0;
    if (strcmp(argv[*i], "--simulated") != 0)
        return gw_cmd_paths_take(&talk->paths, argc, argv, i);
    if (*i + 1 >= argc)
        return -1;
    talk->simulated_dir = argv[++*i];
    char *comma = strrchr(talk->simulated_dir, ',');
    if (comma) {
        *comma = '\0';
        talk->port_offset = (int)strtol(comma + 1, NULL, 10);
    }
    return 1;
}

enum { CANDIDATES_MAX = 256 };

static void tell_unknown(const struct gw_talk *talk, const char *name)
{
    const char *slash = strchr(name, '/'), *candidates[CANDIDATES_MAX], *near;
    size_t n = 0;

    for (size_t b = 0; b < talk->config->n_buses; b++)
        for (size_t d = 0; d < talk->config->buses[b].n_devices && n < CANDIDATES_MAX; d++)
            candidates[n++] = talk->config->buses[b].devices[d].name;
    near = gw_suggest(slash ? slash + 1 : name, candidates, n);
    fprintf(stderr, "field2mqtt %s: %s has no device \"%s\"%s%s%s\n", talk->verb->name,
            talk->paths.config_file, name, near ? "; did you mean \"" : "", near ? near : "",
            near ? "\"?" : "");
}

/* NULL after a sentence. */
static const struct gw_bus_conf *find_device(const struct gw_talk *talk, const char *name,
                                             size_t *ret_device)
{
    const char *slash = strchr(name, '/');
    const struct gw_bus_conf *found = NULL;
    size_t n = 0;

    for (size_t b = 0; b < talk->config->n_buses; b++)
        for (size_t d = 0; d < talk->config->buses[b].n_devices; d++) {
            const struct gw_bus_conf *bus = &talk->config->buses[b];
            bool is_bus = !slash || (strlen(bus->name) == (size_t)(slash - name) &&
                                     strncmp(bus->name, name, (size_t)(slash - name)) == 0);

            if (!is_bus || strcmp(bus->devices[d].name, slash ? slash + 1 : name) != 0)
                continue;
            found = bus;
            *ret_device = d;
            n++;
        }
    if (n == 1)
        return found;
    if (n == 0)
        tell_unknown(talk, name);
    else
        fprintf(stderr, "field2mqtt %s: there are %zu devices \"%s\"; say BUS/%s\n",
                talk->verb->name, n, name, name);
    return NULL;
}

int gw_talk_begin(struct gw_talk *talk, const struct gw_verb *verb, const char *device)
{
    size_t index = 0;
    int code;

    talk->verb = verb;
    code = gw_cmd_load(&talk->paths, &talk->plugins, &talk->config);
    if (code != GW_EXIT_OK)
        return code;
    gw_log_init(GW_LOG_ERROR);
    if (talk->simulated_dir)
        code = gw_cmd_redirect(verb, talk->config, talk->simulated_dir, talk->port_offset,
                               &talk->texts);
    if (code != GW_EXIT_OK)
        return code;
    const struct gw_bus_conf *bus = find_device(talk, device, &index);
    if (!bus)
        return GW_EXIT_USAGE;
    talk->bus_conf = *bus;
    talk->bus_conf.devices += index;
    talk->bus_conf.n_devices = 1;
    talk->device = talk->bus_conf.devices;
    talk->outbox.ops = &nothing_ops;
    if (gw_bus_loop_new(&talk->bus_conf, &talk->outbox, &gw_system_clock,
                        (size_t)talk->config->mqtt.max_payload, -1, &talk->loop) == GW_OK)
        return GW_EXIT_OK;
    fprintf(stderr, "field2mqtt %s: out of memory\n", verb->name);
    return GW_EXIT_FAILED;
}

void gw_talk_end(struct gw_talk *talk)
{
    gw_bus_loop_free(talk->loop);
    gw_config_free(talk->config);
    gw_plugins_free(talk->plugins);
    free(talk->texts);
}

bool gw_talk_until(struct gw_talk *talk, bool (*is_done)(const struct gw_talk *talk, void *ctx),
                   void *ctx, int64_t timeout_us)
{
    int64_t until_us = gw_now_us(&gw_system_clock) + timeout_us;

    while (!is_done(talk, ctx)) {
        int64_t wake_us = gw_bus_loop_step(talk->loop), now_us = gw_now_us(&gw_system_clock);

        if (now_us >= until_us)
            return is_done(talk, ctx);
        if (wake_us > now_us + 20000)
            wake_us = now_us + 20000;
        if (wake_us > now_us)
            (void)poll(NULL, 0, (int)((wake_us - now_us + 999) / 1000));
    }
    return true;
}

bool gw_talk_has_read(const struct gw_talk *talk, void *ctx)
{
    const struct gw_bus_device *dev = &talk->loop->devices[0];

    (void)ctx;
    if (talk->loop->link.is_down || dev->health.state != GW_HEALTH_ONLINE)
        return true; /* there is nothing to wait for */
    for (size_t i = 0; i < talk->device->n_points; i++)
        if (dev->points[i].group != GW_SCHEDULE_NO_GROUP && dev->readings[i].acquired_wall_ms == 0)
            return false;
    return true;
}
