#include "gateway/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

enum { STATUS_MAX = 400 };

void gw_notify_ready(void)
{
    (void)sd_notify(0, "READY=1");
}

/* The time tells which reload is meant (sd_notify(3)). */
void gw_notify_reloading(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                     (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void gw_notify_stopping(void)
{
    (void)sd_notify(0, "STOPPING=1");
}

void gw_notify_status(const char *fmt, ...)
{
    char text[STATUS_MAX];
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (char *c = text; len > 0 && *c; c++) /* a second line would be another message */
        if (*c == '\n')
            *c = ' ';
    if (len > 0)
        (void)sd_notifyf(0, "STATUS=%s", text);
}

int64_t gw_notify_watchdog_us(void)
{
    uint64_t limit_us;

    return sd_watchdog_enabled(0, &limit_us) > 0 && limit_us < INT64_MAX ? (int64_t)limit_us : 0;
}

void gw_notify_alive(void)
{
    (void)sd_notify(0, "WATCHDOG=1");
}
