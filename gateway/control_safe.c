/* control_safe: values that are written without being asked for: on_disconnect, when the broker has been away for the
 * time that the point says (a dead man's switch), and on_stop. Once for each outage; what fails is tried again until it
 * is written or the broker is back. The lock file holds for them too: a locked gateway writes nothing. */
#include "gateway/control_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/duration.h"
#include "gateway/log.h"

enum { AGAIN_US = 5000000, LOOK_US = 500000 };

static void add_safe(struct gw_control *control, size_t bus, size_t device, size_t point,
                     bool is_on_stop)
{
    const struct gw_write_conf *write =
        control->config->buses[bus].devices[device].points[point].write;
    const struct gw_value *value = is_on_stop ? &write->on_stop : &write->on_disconnect;

    if (value->kind == GW_NONE)
        return;
    control->safes[control->n_safes++] = (struct gw_safe){
        .bus = bus,
        .device = device,
        .point = (uint16_t)point,
        .is_on_stop = is_on_stop,
        .after_us = write->on_disconnect_after_us,
    };
}

enum gw_err gw_control_safes_init(struct gw_control *control)
{
    const struct gw_config *config = control->config;

    control->safes = calloc(2 * control->n_targets + 1, sizeof *control->safes);
    if (!control->safes)
        return GW_E_NOMEM;
    for (size_t b = 0; b < config->n_buses; b++)
        for (size_t d = 0; d < config->buses[b].n_devices; d++)
            for (size_t i = 0; i < config->buses[b].devices[d].n_points; i++)
                if (config->buses[b].devices[d].points[i].write) {
                    add_safe(control, b, d, i, false);
                    add_safe(control, b, d, i, true);
                }
    return GW_OK;
}

static const struct gw_value *value_of(const struct gw_control *control, const struct gw_safe *safe)
{
    const struct gw_write_conf *write =
        control->config->buses[safe->bus].devices[safe->device].points[safe->point].write;

    return safe->is_on_stop ? &write->on_stop : &write->on_disconnect;
}

static void order(struct gw_control *control, struct gw_safe *safe, int64_t now_us)
{
    struct gw_control_job *job = gw_control_new_job(control, safe->bus);

    if (!job) { /* as soon as there is room */
        safe->not_before_us = now_us + LOOK_US;
        return;
    }
    job->device = safe->device;
    job->point = (int)safe->point;
    job->safe = safe;
    memset(&job->message, 0, sizeof job->message);
    memset(&job->command, 0, sizeof job->command);
    job->message.received_us = now_us;
    job->message.received_wall_ms = gw_wall_ms(control->clock);
    job->message.expiry_s = UINT32_MAX;
    safe->is_under_way = gw_command_add(&job->command.values, safe->point, value_of(control, safe));
}

static bool is_due(const struct gw_control *control, const struct gw_safe *safe, int64_t now_us)
{
    if (safe->is_written || safe->is_under_way || now_us < safe->not_before_us)
        return false;
    if (safe->is_on_stop)
        return control->is_stopping && !atomic_load(&control->keeps_still);
    return !control->is_stopping && control->offline_since_us > 0 &&
           now_us - control->offline_since_us >= safe->after_us;
}

/* The next outage begins anew. */
static void rearm(struct gw_control *control)
{
    for (size_t i = 0; i < control->n_safes; i++)
        if (!control->safes[i].is_on_stop) {
            control->safes[i].is_written = false;
            control->safes[i].not_before_us = 0;
        }
}

int64_t gw_control_safes_look(struct gw_control *control, int64_t now_us)
{
    bool is_online = atomic_load(&control->is_online);

    if (control->n_safes == 0)
        return INT64_MAX;
    if (is_online && control->offline_since_us > 0)
        rearm(control);
    if (is_online)
        control->offline_since_us = 0;
    else if (control->offline_since_us == 0)
        control->offline_since_us = now_us;
    if (control->conf->lock_file && access(control->conf->lock_file, F_OK) == 0)
        return now_us + LOOK_US;
    for (size_t i = 0; i < control->n_safes; i++)
        if (is_due(control, &control->safes[i], now_us))
            order(control, &control->safes[i], now_us);
    return now_us + LOOK_US;
}

void gw_control_safe_done(struct gw_control *control, struct gw_safe *safe, bool is_good)
{
    safe->is_under_way = false;
    safe->is_written = is_good;
    safe->not_before_us = gw_now_us(control->clock) + AGAIN_US;
    if (control->is_stopping) /* there is time for one try only */
        safe->is_written = true;
}

bool gw_control_safes_left(const struct gw_control *control)
{
    if (atomic_load(&control->keeps_still))
        return false;
    for (size_t i = 0; i < control->n_safes; i++)
        if (control->safes[i].is_on_stop && !control->safes[i].is_written)
            return true;
    return false;
}
