#include "gateway/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/number.h"

enum { RECENT_MAX = 1000 };
static const int FIRST_US = 100, PER_DECADE = 10; /* no enum: they meet doubles */

static size_t count_points(const struct gw_bus_conf *conf)
{
    size_t n = 0;

    for (size_t i = 0; i < conf->n_devices; i++)
        n += conf->devices[i].n_points;
    return n;
}

struct gw_view *gw_view_new(const struct gw_bus_conf *conf, const struct gw_clock *clock)
{
    struct gw_view *view = calloc(1, sizeof *view);
    size_t at = 0;

    if (!view)
        return NULL;
    view->conf = conf;
    view->since_wall_ms = gw_wall_ms(clock);
    pthread_mutex_init(&view->lock, NULL);
    view->devices = calloc(conf->n_devices + 1, sizeof *view->devices);
    view->points = calloc(count_points(conf) + 1, sizeof *view->points);
    if (!view->devices || !view->points) {
        gw_view_free(view);
        return NULL;
    }
    for (size_t i = 0; i < conf->n_devices; i++) {
        view->devices[i].points = &view->points[at];
        view->devices[i].since_wall_ms = view->since_wall_ms;
        at += conf->devices[i].n_points;
    }
    for (size_t i = 0; i < at; i++)
        view->points[i].reason = "not_read_yet";
    return view;
}

void gw_view_free(struct gw_view *view)
{
    if (!view)
        return;
    pthread_mutex_destroy(&view->lock);
    free(view->devices);
    free(view->points);
    free(view);
}

void gw_view_take_over(struct gw_view *view, const struct gw_view *before, const size_t *from)
{
    view->version = before->version;
    view->stats = before->stats;
    view->since_wall_ms = before->since_wall_ms;
    memcpy(view->reasons, before->reasons, sizeof view->reasons);
    view->n_other_reasons = before->n_other_reasons;
    view->n_exchanges = before->n_exchanges;
    view->exchange_us = before->exchange_us;
    memcpy(view->recent, before->recent, sizeof view->recent);
    view->n_recent = before->n_recent;
    for (size_t i = 0; i < view->conf->n_devices; i++) {
        struct gw_device_view *to = &view->devices[i];
        struct gw_point_view *points = to->points;

        if (from[i] == SIZE_MAX)
            continue;
        *to = before->devices[from[i]];
        memcpy(points, to->points, view->conf->devices[i].n_points * sizeof *points);
        to->points = points;
    }
}

/* ---- readings -------------------------------------------------------------------------------------- */

/* Cuts between characters: a continuation byte begins with the bits 10. */
static void copy_text(char to[GW_VIEW_VALUE], const char *text, size_t len)
{
    if (len >= GW_VIEW_VALUE)
        for (len = GW_VIEW_VALUE - 1; len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80; len--)
            ;
    memcpy(to, text, len);
    to[len] = '\0';
}

static void print_value(struct gw_point_view *point, const struct gw_reading *reading)
{
    char number[GW_NUMBER_TEXT] = "";

    point->is_text = reading->enum_name || reading->value.kind == GW_TEXT;
    if (reading->enum_name)
        copy_text(point->value, reading->enum_name, strlen(reading->enum_name));
    else if (reading->value.kind == GW_TEXT)
        copy_text(point->value, reading->value.text.p, reading->value.text.len);
    else
        copy_text(point->value, number, gw_number_print(&reading->value, number));
}

void gw_view_reading(struct gw_view *view, size_t device, size_t point,
                     const struct gw_reading *reading)
{
    if (!view)
        return;
    struct gw_point_view *to = &view->devices[device].points[point];
    pthread_mutex_lock(&view->lock);
    to->is_good = reading->quality == GW_GOOD;
    to->reason = to->is_good ? NULL : reading->reason;
    to->acquired_wall_ms = reading->acquired_wall_ms;
    to->version = ++view->version;
    if (to->is_good)
        view->devices[device].has_answered = true;
    if (to->is_good)
        print_value(to, reading);
    else
        to->value[0] = '\0';
    pthread_mutex_unlock(&view->lock);
}

/* ---- exchanges ------------------------------------------------------------------------------------- */

static size_t bucket_of(int64_t us)
{
    if (us <= FIRST_US)
        return 0;
    const double at = ceil(log10((double)us / FIRST_US) * PER_DECADE - 1e-9);
    return at < GW_VIEW_BUCKETS - 1 ? (size_t)at : GW_VIEW_BUCKETS - 1;
}

static void count_reason(struct gw_view *view, const char *reason)
{
    for (size_t i = 0; i < GW_VIEW_REASONS; i++) {
        struct gw_reason_count *count = &view->reasons[i];

        if (!count->reason)
            count->reason = reason;
        if (strcmp(count->reason, reason) == 0) {
            count->n++;
            return;
        }
    }
    view->n_other_reasons++;
}

void gw_view_exchange(struct gw_view *view, const char *reason, int64_t spent_us)
{
    if (!view)
        return;
    pthread_mutex_lock(&view->lock);
    if (reason)
        count_reason(view, reason);
    view->n_exchanges++;
    view->exchange_us += spent_us > 0 ? (uint64_t)spent_us : 0;
    if (view->n_recent >= RECENT_MAX) { /* what is long ago fades */
        view->n_recent = 0;
        for (size_t i = 0; i < GW_VIEW_BUCKETS; i++)
            view->n_recent += view->recent[i] /= 2;
    }
    view->recent[bucket_of(spent_us)]++;
    view->n_recent++;
    pthread_mutex_unlock(&view->lock);
}

int64_t gw_view_quantile_us(const struct gw_view *view, double q)
{
    double want = q * view->n_recent;
    uint32_t seen = 0;

    for (size_t i = 0; i < GW_VIEW_BUCKETS && view->n_recent > 0; i++) {
        seen += view->recent[i];
        if (view->recent[i] > 0 && seen >= want)
            return (int64_t)lround(FIRST_US * pow(10, (double)i / PER_DECADE));
    }
    return 0;
}

/* ---- states ---------------------------------------------------------------------------------------- */

void gw_view_device(struct gw_view *view, size_t device, enum gw_health_state state,
                    const char *reason, int64_t now_wall_ms)
{
    if (!view)
        return;
    struct gw_device_view *to = &view->devices[device];
    pthread_mutex_lock(&view->lock);
    if (to->state != state)
        to->since_wall_ms = now_wall_ms;
    to->state = state;
    to->reason = reason;
    pthread_mutex_unlock(&view->lock);
}

void gw_view_stats(struct gw_view *view, const struct gw_bus_stats *stats, int64_t now_wall_ms)
{
    if (!view)
        return;
    pthread_mutex_lock(&view->lock);
    if (view->stats.is_open != stats->is_open)
        view->since_wall_ms = now_wall_ms;
    view->stats = *stats;
    pthread_mutex_unlock(&view->lock);
}
