#include "gateway/watchdog.h"

#include "gateway/duration.h"
#include "gateway/log.h"
#include "gateway/notify.h"

void gw_watchdog_init(struct gw_watchdog *watchdog)
{
    *watchdog = (struct gw_watchdog){.limit_us = gw_notify_watchdog_us()};
}

/* Three times within the limit, so that one late round is no reason to be killed. */
int gw_watchdog_every_ms(const struct gw_watchdog *watchdog, int max_ms)
{
    int64_t every_ms = watchdog->limit_us / 3000;

    if (watchdog->limit_us == 0 || every_ms > max_ms)
        return max_ms;
    return every_ms > 1 ? (int)every_ms : 1;
}

void gw_watchdog_begin(struct gw_watchdog *watchdog)
{
    watchdog->n_late = 0;
}

void gw_watchdog_thread(struct gw_watchdog *watchdog, const char *name, int64_t late_us,
                        bool *is_told)
{
    char limit[GW_DURATION_TEXT];

    if (late_us > 0)
        watchdog->n_late++;
    if (late_us > 0 && !*is_told) {
        if (watchdog->limit_us > 0)
            gw_log(GW_LOG_ERROR, name, "hangs; the gateway is restarted if that lasts %s",
                   gw_duration_print(watchdog->limit_us, limit));
        else
            gw_log(GW_LOG_ERROR, name, "hangs; the others go on");
    } else if (late_us == 0 && *is_told) {
        gw_log(GW_LOG_INFO, name, "goes on");
    }
    *is_told = late_us > 0;
}

void gw_watchdog_end(struct gw_watchdog *watchdog)
{
    if (watchdog->n_late == 0 && watchdog->limit_us > 0)
        gw_notify_alive();
}
