/* duration: picks the unit by a table. */
#include "gateway/duration.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

const char *gw_duration_print(int64_t duration_us, char buf[GW_DURATION_TEXT])
{
    /* Each unit is used from twice its size on, so that 90 s do not become "2 min"; below that, the smaller one. */
    static const struct {
        int64_t us;
        const char *name;
    } units[] = {
        {INT64_C(86400000000), "d"},
        {INT64_C(3600000000), "h"},
        {60000000, "min"},
        {1000000, "s"},
    };

    if (duration_us < 0)
        duration_us = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        bool is_exact = duration_us > 0 && duration_us % units[i].us == 0;

        if (is_exact || duration_us >= 2 * units[i].us) {
            int64_t n = (duration_us + units[i].us / 2) / units[i].us;

            snprintf(buf, GW_DURATION_TEXT, "%" PRId64 " %s", n, units[i].name);
            return buf;
        }
    }
    snprintf(buf, GW_DURATION_TEXT, "%" PRId64 " ms", (duration_us + 500) / 1000);
    return buf;
}
