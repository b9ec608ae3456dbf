/* bus_tell: the sentences that a bus says in the log. Transitions only: what goes on being so is not repeated. */
#include "gateway/bus_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/duration.h"
#include "gateway/log.h"

enum { NAMES_TEXT = 240 };

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

void gw_bus_tell_offline(const struct gw_bus_device *dev, int64_t now_us)
{
    char span[GW_DURATION_TEXT], pause[GW_DURATION_TEXT], longest[GW_DURATION_TEXT];
    bool is_silent = strcmp(dev->down_reason, gw_err_str(GW_E_TIMEOUT)) == 0;

    gw_duration_print(now_us - dev->health.failing_since_us, span);
    gw_duration_print(dev->health.pause_us, pause);
    gw_duration_print(dev->limits.retry_max_us, longest);
    gw_log(GW_LOG_WARN, dev->label,
           "offline: no %sanswer for %s (%s), trying again after %s, later every %s",
           is_silent ? "" : "usable ", span, dev->down_reason, pause, longest);
}

void gw_bus_tell_online(const struct gw_bus_device *dev, int64_t failing_since_us, int64_t now_us)
{
    char span[GW_DURATION_TEXT];

    gw_log(GW_LOG_INFO, dev->label, "answering again after %s, %" PRIu64 " poll%s lost",
           gw_duration_print(now_us - failing_since_us, span), dev->n_lost, plural(dev->n_lost));
}

void gw_bus_tell_silent(const struct gw_bus_device *dev, int64_t stale_after_us)
{
    char span[GW_DURATION_TEXT];

    gw_log(GW_LOG_WARN, dev->label, "silent: nothing heard for %s, going on listening",
           gw_duration_print(stale_after_us, span));
}

void gw_bus_tell_heard(const struct gw_bus_device *dev, int64_t now_us)
{
    char span[GW_DURATION_TEXT];

    gw_log(GW_LOG_INFO, dev->label, "heard again after %s",
           gw_duration_print(now_us - dev->silent_since_us, span));
}

void gw_bus_tell_bad_plan(const struct gw_bus_device *dev, enum gw_err err)
{
    gw_log(GW_LOG_ERROR, dev->label, "the driver cannot plan its points (%s), leaving them out",
           gw_err_str(err));
}

/* Lists the points with news of one kind; gives their number. */
static size_t list_news(const struct gw_bus_device *dev, bool is_refused, char names[NAMES_TEXT],
                        const char **ret_reason)
{
    size_t n = 0, at = 0;
    bool is_cut = false;

    names[0] = '\0';
    for (size_t i = 0; i < dev->conf->n_points; i++) {
        const struct gw_bus_point *point = &dev->points[i];
        const char *name = dev->conf->points[i].name;

        if (!point->is_new || point->is_refused != is_refused)
            continue;
        if (n++ == 0)
            *ret_reason = dev->readings[i].reason;
        if (is_cut || at + strlen(name) + sizeof ", , ..." > NAMES_TEXT) {
            is_cut = true;
            continue;
        }
        at += (size_t)snprintf(names + at, NAMES_TEXT - at, "%s%s", at ? ", " : "", name);
    }
    if (is_cut)
        snprintf(names + at, NAMES_TEXT - at, ", ...");
    return n;
}

void gw_bus_tell_points(struct gw_bus_device *dev)
{
    char names[NAMES_TEXT];
    const char *reason = NULL;
    size_t n = list_news(dev, true, names, &reason);

    if (n > 0)
        gw_log(GW_LOG_WARN, dev->label,
               "%zu point%s cannot be read (%s): %s; asking again after 10 s, later every 10 min",
               n, plural(n), reason ? reason : gw_err_str(GW_E_REFUSED), names);
    n = list_news(dev, false, names, &reason);
    if (n > 0)
        gw_log(GW_LOG_INFO, dev->label, "%zu point%s can be read again: %s", n, plural(n), names);
    for (size_t i = 0; i < dev->conf->n_points; i++)
        dev->points[i].is_new = false;
    dev->has_news = false;
}

/* FNV-1a; a collision costs one line of the log. */
static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

void gw_bus_tell_link_down(struct gw_bus_loop *loop, const char *cause)
{
    struct gw_bus_link *link = &loop->link;
    char first[GW_DURATION_TEXT], longest[GW_DURATION_TEXT];
    uint32_t h = hash(cause);

    for (size_t i = 0; i < link->n_told; i++)
        if (link->told[i] == h)
            return;
    if (link->n_told == sizeof link->told / sizeof link->told[0])
        return;
    link->told[link->n_told++] = h;
    gw_duration_print(link->pause_us, first);
    gw_duration_print(loop->reopen_max_us, longest);
    if (link->pause_us == loop->reopen_max_us)
        gw_log(GW_LOG_WARN, loop->conf->name, "%s, trying again every %s", cause, longest);
    else
        gw_log(GW_LOG_WARN, loop->conf->name, "%s, trying again after %s, later every %s", cause,
               first, longest);
}

void gw_bus_tell_link_up(const struct gw_bus_loop *loop, int64_t now_us)
{
    const struct gw_bus_link *link = &loop->link;
    char span[GW_DURATION_TEXT];

    gw_log(GW_LOG_INFO, loop->conf->name, "open again after %s, %" PRIu64 " poll%s lost",
           gw_duration_print(now_us - link->down_since_us, span), link->n_lost,
           plural(link->n_lost));
}
