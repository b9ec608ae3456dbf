/* pace: how the pile of waiting messages changes while there is a connection. */
#include "gateway/pace.h"

#include "gateway/log.h"

void gw_pace_begin(struct gw_pace *pace)
{
    pace->look_us = 0;
    pace->n_growing = 0;
}

static void tell(struct gw_pace *pace, const struct gw_outbox_stats *stats, size_t n_window)
{
    if (!pace->is_slow && pace->n_growing >= GW_PACE_LOOKS) {
        pace->is_slow = true;
        gw_log(
            GW_LOG_WARN, "mqtt",
            "the broker takes messages more slowly than they come: %llu (%llu bytes) wait, and it "
            "gets more; keeping them as buffer: says",
            (unsigned long long)stats->n_messages, (unsigned long long)stats->n_bytes);
    } else if (pace->is_slow && stats->n_messages <= n_window) {
        pace->is_slow = false;
        gw_log(GW_LOG_INFO, "mqtt", "the broker keeps up again, nothing waits any more");
    }
}

void gw_pace_look(struct gw_pace *pace, struct gw_outbox *outbox, size_t n_window, int64_t now_us)
{
    struct gw_outbox_stats stats = {0};

    if (now_us < pace->look_us)
        return;
    outbox->ops->stats(outbox, &stats);
    const bool is_more = stats.n_messages > n_window && stats.n_messages > pace->n_waiting;
    pace->n_growing = pace->look_us > 0 && is_more ? pace->n_growing + 1 : 0;
    pace->n_waiting = stats.n_messages;
    pace->look_us = now_us + GW_PACE_LOOK_US;
    tell(pace, &stats, n_window);
}
