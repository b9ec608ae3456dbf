#include "gateway/site.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"
#include "gateway/queue.h"

#define HTTP_AGAIN_US (10 * INT64_C(1000000))

/* The queue outlives a control: what comes while a configuration is loaded again waits for the next one. What came while
 * there was none is of no use any more. */
static enum gw_err prepare_messages(struct gw_site *site)
{
    struct gw_mqtt_message message;

    if (!site->messages)
        site->messages = gw_queue_new(sizeof message, GW_MQTT_MESSAGES_MAX);
    while (site->messages && !site->control && gw_queue_pop(site->messages, &message, 1) == 1)
        ;
    return site->messages ? GW_OK : GW_E_NOMEM;
}

enum gw_err gw_site_start_control(struct gw_site *site, struct gw_generation *generation)
{
    const struct gw_config *config = generation->config;
    const struct gw_bus_orders **buses = calloc(config->n_buses + 1, sizeof *buses);
    struct gw_control *control = NULL;
    enum gw_err err = buses ? GW_OK : GW_E_NOMEM;

    if (err == GW_OK && config->commands.is_enabled)
        err = prepare_messages(site);
    const struct gw_control_lines lines = {
        .buses = buses,
        .answers = site->plant.answers,
        .messages = site->messages,
        .before = site->control,
    };
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

static struct gw_mqtt_subscription subscription_of(const struct gw_site *site)
{
    struct gw_mqtt_subscription subscription = {.messages = site->messages};

    if (site->control)
        subscription = *gw_control_subscription(site->control);
    return subscription;
}

enum gw_err gw_site_subscribe(struct gw_site *site)
{
    const struct gw_mqtt_subscription subscription = subscription_of(site);

    return gw_publisher_subscribe(site->publisher, subscription.topics, subscription.n_topics);
}

enum gw_err gw_site_start_publisher(struct gw_site *site, struct gw_generation *generation)
{
    struct gw_generation *before = site->publisher_generation;
    const struct gw_mqtt_subscription subscription = subscription_of(site);

    site->mqtt = generation->config->mqtt;
    enum gw_err err = gw_publisher_start(&site->mqtt, &subscription, site->outbox, &gw_system_clock,
                                         &site->publisher);
    if (err != GW_OK)
        return err;
    site->publisher_generation = gw_generation_hold(generation);
    gw_generation_release(before);
    site->is_publisher_late_told = false;
    return GW_OK;
}

/* The gateway does its work without the page: what is wrong is told once, and tried again quietly. */
static void try_http(struct gw_site *site)
{
    const struct gw_http_conf *conf = &site->http_generation->config->http;
    char why[GW_HTTP_WHY] = "out of memory";

    site->http_again_us = 0;
    if (gw_http_start(conf, &site->board, &site->http, why) == GW_OK) {
        gw_log(GW_LOG_INFO, "http", "status page at %s://%s%s%s:%" PRId64 "/",
               conf->cert_file ? "https" : "http", strchr(conf->address, ':') ? "[" : "",
               conf->address, strchr(conf->address, ':') ? "]" : "", conf->port);
        site->is_http_told = false;
        return;
    }
    if (!site->is_http_told)
        gw_log(GW_LOG_WARN, "http",
               "cannot listen on %s port %" PRId64 ": %s; going on without the status page, trying "
               "again every 10 s",
               conf->address, conf->port, why);
    site->is_http_told = true;
    site->http_again_us = gw_now_us(&gw_system_clock) + HTTP_AGAIN_US;
}

void gw_site_start_http(struct gw_site *site, struct gw_generation *generation)
{
    if (!generation->config->http.is_enabled)
        return;
    site->http_generation = gw_generation_hold(generation);
    site->is_http_told = false;
    try_http(site);
}

void gw_site_stop_http(struct gw_site *site)
{
    gw_http_stop(site->http);
    gw_generation_release(site->http_generation);
    site->http = NULL;
    site->http_generation = NULL;
    site->http_again_us = 0;
}

void gw_site_keep_http(struct gw_site *site)
{
    if (site->http_again_us > 0 && gw_now_us(&gw_system_clock) >= site->http_again_us)
        try_http(site);
}

void gw_site_done(struct gw_site *site)
{
    gw_state_topics_free(site->state_topics);
    gw_board_done(&site->board);
    gw_control_free(site->control);
    gw_queue_free(site->messages);
    gw_outbox_free(site->outbox);
    gw_plant_done(&site->plant);
    gw_generation_release(site->control_generation);
    gw_generation_release(site->publisher_generation);
    gw_generation_release(site->generation);
}
