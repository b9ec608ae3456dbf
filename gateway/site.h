/* site: all that runs for a configuration: outbox, publisher and buses. Shared by the supervisor, which starts and stops
 * it, and by reload, which changes it. Main thread only. */
#ifndef GW_SITE_H
#define GW_SITE_H

#include "gateway/board.h"
#include "gateway/control.h"
#include "gateway/http.h"
#include "gateway/outbox.h"
#include "gateway/plant.h"
#include "gateway/publisher.h"
#include "gateway/state_topics.h"

struct gw_site {
    const struct gw_config_source *source;
    struct gw_generation *generation; /* in force */
    struct gw_outbox *outbox;
    struct gw_board board;
    struct gw_state_topics *state_topics;
    struct gw_http *http;                  /* NULL: off, or it cannot listen */
    struct gw_generation *http_generation; /* that it lives from */
    int64_t http_again_us;                 /* when to try to listen again; 0: not wanted */
    bool is_http_told;                     /* that it cannot */
    struct gw_plant plant;
    struct gw_control *control;               /* NULL: commands are not enabled */
    struct gw_generation *control_generation; /* that it lives from */
    bool is_control_running, is_control_late_told;
    struct gw_queue
        *messages; /* from the publisher to control; NULL: commands never were enabled */
    struct gw_publisher *publisher;
    struct gw_mqtt_conf mqtt;                   /* the publisher's */
    struct gw_generation *publisher_generation; /* that its settings live in */
    bool is_publisher_late_told;                /* the watchdog's */
};

/* Makes and starts the control of a generation for the buses that run, in place of one that was paused and finished.
 * GW_E_NOMEM: there are no commands then. */
GW_MUST_CHECK enum gw_err gw_site_start_control(struct gw_site *site,
                                                struct gw_generation *generation);
/* Lets the publisher that runs subscribe to what control wants now. GW_E_NOMEM. */
GW_MUST_CHECK enum gw_err gw_site_subscribe(struct gw_site *site);
/* Starts a publisher with the settings of a generation. Errors: those of gw_publisher_start. */
GW_MUST_CHECK enum gw_err gw_site_start_publisher(struct gw_site *site,
                                                  struct gw_generation *generation);
/* Waits for what is under way and ends the thread. GW_E_TIMEOUT: it hangs. */
GW_MUST_CHECK enum gw_err gw_site_pause_control(struct gw_site *site, int64_t deadline_us);
/* Listens, if the generation wants that; gw_site_keep_http tries again what cannot be had yet. */
void gw_site_start_http(struct gw_site *site, struct gw_generation *generation);
void gw_site_stop_http(struct gw_site *site);
void gw_site_keep_http(struct gw_site *site);
/* Frees what does not run any more. */
void gw_site_done(struct gw_site *site);

#endif
