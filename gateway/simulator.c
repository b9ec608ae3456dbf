/* simulator: one bus of simulated devices.
 *
 * DESIGN: a point shows what sim_value says, until somebody writes it; then it shows that. The driver's simulate may ask
 * from any thread of its own, so the written values are kept under a mutex. A text that is given out points into one of a
 * few buffers per point, so that it does not change under a reader while the next is written. */
#include "gateway/simulator.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/driver_bus.h"
#include "gateway/log.h"
#include "gateway/sim_value.h"

enum { TEXT_MAX = 512, N_TEXTS = 4, DEBUG_TEXT = 256 };

struct texts {
    char buf[N_TEXTS][TEXT_MAX];
    unsigned turn;
};

struct point {
    struct gw_sim_point shape;
    struct gw_value written; /* GW_NONE: nobody has */
    struct texts *texts;     /* NULL until a text is written */
};

struct gw_simulator {
    const struct gw_bus_conf *conf;
    const struct gw_simulation *simulation;
    struct gw_bus *bus;
    struct gw_host host;
    struct gw_sim sim;
    int64_t start_us;

    pthread_mutex_t mutex; /* guards the written values */
    struct point **points; /* per device */

    pthread_t thread;
    enum gw_err err;
    struct gw_driver_diag diag;
};

static int64_t host_now_us(void *ctx)
{
    const struct gw_simulator *self = ctx;

    return gw_now_us(self->simulation->clock);
}

static void host_debug(void *ctx, const char *fmt, ...) GW_PRINTF(2, 3);
static void host_debug(void *ctx, const char *fmt, ...)
{
    const struct gw_simulator *self = ctx;
    char text[DEBUG_TEXT];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gw_log(GW_LOG_DEBUG, self->conf->name, "%s", text);
}

/* ---- what the driver asks and tells ----------------------------------------------------------------- */

static void read_point(void *ctx, const struct gw_device *device, size_t point,
                       struct gw_value *ret_value)
{
    struct gw_simulator *self = ctx;
    const struct point *p = &self->points[device->index][point];
    bool is_written;

    pthread_mutex_lock(&self->mutex);
    is_written = p->written.kind != GW_NONE;
    if (is_written)
        *ret_value = p->written;
    pthread_mutex_unlock(&self->mutex);
    if (!is_written)
        gw_sim_point_value(&p->shape, host_now_us(self) - self->start_us, ret_value);
}

/* Copies a text where it stays until N_TEXTS - 1 others were written. */
static struct gw_value keep_text(struct point *point, struct gw_value value)
{
    char *buf;

    if (!point->texts)
        point->texts = calloc(1, sizeof *point->texts);
    if (!point->texts || value.text.len > TEXT_MAX)
        return point->written; /* as it was */
    buf = point->texts->buf[point->texts->turn++ % N_TEXTS];
    memcpy(buf, value.text.p, value.text.len);
    value.text.p = buf;
    return value;
}

static void written_point(void *ctx, const struct gw_device *device, size_t point,
                          const struct gw_value *value)
{
    struct gw_simulator *self = ctx;
    struct point *p = &self->points[device->index][point];

    pthread_mutex_lock(&self->mutex);
    p->written = value->kind == GW_TEXT ? keep_text(p, *value) : *value;
    pthread_mutex_unlock(&self->mutex);
}

static void tell_ready(void *ctx, const char *where)
{
    const struct gw_simulator *self = ctx;

    self->simulation->ready(self->simulation->ctx, self->conf->name, where);
}

/* ---- life ------------------------------------------------------------------------------------------- */

static void *play(void *arg)
{
    struct gw_simulator *self = arg;

    self->err = self->conf->driver->simulate(&self->sim, &self->diag);
    (void)!write(self->simulation->ended_fd, &(uint64_t){1}, sizeof(uint64_t));
    return NULL;
}

static void free_simulator(struct gw_simulator *self)
{
    for (size_t i = 0; self->points && i < self->conf->n_devices; i++) {
        for (size_t k = 0; self->points[i] && k < self->conf->devices[i].n_points; k++)
            free(self->points[i][k].texts);
        free(self->points[i]);
    }
    free(self->points);
    gw_driver_bus_free(self->bus);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

static enum gw_err make_points(struct gw_simulator *self)
{
    const struct gw_bus_conf *conf = self->conf;

    self->points = calloc(conf->n_devices + 1, sizeof(struct point *));
    if (!self->points)
        return GW_E_NOMEM;
    for (size_t i = 0; i < conf->n_devices; i++) {
        const struct gw_device_conf *device = &conf->devices[i];

        self->points[i] = calloc(device->n_points + 1, sizeof(struct point));
        if (!self->points[i])
            return GW_E_NOMEM;
        for (size_t k = 0; k < device->n_points; k++)
            gw_sim_point_init(&self->points[i][k].shape, &device->points[k], conf->name,
                              device->name, self->simulation->faults.seed);
    }
    return GW_OK;
}

static struct gw_simulator *new_simulator(const struct gw_bus_conf *conf,
                                          const struct gw_simulation *simulation)
{
    struct gw_simulator *self = calloc(1, sizeof *self);

    if (!self)
        return NULL;
    if (pthread_mutex_init(&self->mutex, NULL) != 0) {
        free(self);
        return NULL;
    }
    self->conf = conf;
    self->simulation = simulation;
    self->start_us = gw_now_us(simulation->clock);
    self->host = (struct gw_host){
        .ctx = self, .now_us = host_now_us, .debug = host_debug, .wake_fd = simulation->stop_fd};
    self->sim = (struct gw_sim){
        .faults = simulation->faults,
        .stop_fd = simulation->stop_fd,
        .ctx = self,
        .read = read_point,
        .written = written_point,
        .ready = tell_ready,
    };
    for (const char *c = conf->name; *c; c++) /* no two buses draw the same faults */
        self->sim.faults.seed = self->sim.faults.seed * 31 + (unsigned char)*c;
    return self;
}

enum gw_err gw_simulator_start(const struct gw_bus_conf *conf,
                               const struct gw_simulation *simulation,
                               struct gw_simulator **ret_simulator)
{
    struct gw_simulator *self;
    enum gw_err err;

    if (!conf->driver->simulate)
        return GW_E_CONFIG;
    self = new_simulator(conf, simulation);
    if (!self)
        return GW_E_NOMEM;
    err = make_points(self);
    if (err == GW_OK)
        err = gw_driver_bus_new(conf, &self->host, &self->bus);
    if (err == GW_OK) {
        self->sim.bus = self->bus;
        err = pthread_create(&self->thread, NULL, play, self) == 0 ? GW_OK : GW_E_NOMEM;
    }
    if (err != GW_OK) {
        free_simulator(self);
        return err;
    }
    *ret_simulator = self;
    return GW_OK;
}

enum gw_err gw_simulator_join(struct gw_simulator *simulator, struct gw_driver_diag *ret_diag)
{
    enum gw_err err;

    pthread_join(simulator->thread, NULL);
    err = simulator->err;
    *ret_diag = simulator->diag;
    free_simulator(simulator);
    return err;
}
