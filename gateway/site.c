#include "gateway/site.h"

#include <stdlib.h>

enum gw_err gw_site_start_control(struct gw_site *site, struct gw_generation *generation)
{
    const struct gw_config *config = generation->config;
    const struct gw_bus_orders **buses = calloc(config->n_buses + 1, sizeof *buses);
    const struct gw_control_lines lines = {buses, site->plant.answers, site->control};
    struct gw_control *control = NULL;
    enum gw_err err = buses ? GW_OK : GW_E_NOMEM;

    for (size_t i = 0; err == GW_OK && i < config->n_buses; i++)
        buses[i] = gw_plant_orders(&site->plant, config->buses[i].name);
    if (err == GW_OK)
        err = gw_control_new_on(config, site->outbox, &gw_system_clock, &lines, &control);
    free(buses);
    gw_control_free(site->control);
    gw_generation_release(site->control_generation);
    site->control = control;
    site->control_generation = control ? gw_generation_hold(generation) : NULL;
    if (control)
        err = gw_control_start(control);
    site->is_control_running = control && err == GW_OK;
    site->is_control_late_told = false;
    return err;
}

enum gw_err gw_site_pause_control(struct gw_site *site, int64_t deadline_us)
{
    if (!site->is_control_running)
        return GW_OK;
    enum gw_err err = gw_control_pause(site->control, deadline_us);

    site->is_control_running = err != GW_OK;
    return err;
}

enum gw_err gw_site_start_publisher(struct gw_site *site, struct gw_generation *generation)
{
    struct gw_generation *before = site->publisher_generation;

    site->mqtt = generation->config->mqtt;
    site->mqtt.subscription = gw_control_subscription(site->control);
    enum gw_err err =
        gw_publisher_start(&site->mqtt, site->outbox, &gw_system_clock, &site->publisher);
    if (err != GW_OK)
        return err;
    site->publisher_generation = gw_generation_hold(generation);
    gw_generation_release(before);
    site->is_publisher_late_told = false;
    return GW_OK;
}

void gw_site_done(struct gw_site *site)
{
    gw_control_free(site->control);
    gw_outbox_free(site->outbox);
    gw_plant_done(&site->plant);
    gw_generation_release(site->control_generation);
    gw_generation_release(site->publisher_generation);
    gw_generation_release(site->generation);
}
