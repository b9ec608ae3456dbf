/* health: counts failures and doubles pauses. Knows no device and no clock. */
#include "gateway/health.h"

#include <string.h>

#define SECOND_US ((int64_t)1000000)

enum { PROBE_MIN_S = 1, BLOCK_MIN_S = 10, BLOCK_MAX_S = 600 };

static int64_t doubled(int64_t pause_us, int64_t min_us, int64_t max_us)
{
    int64_t next = pause_us > 0 ? 2 * pause_us : min_us;

    return next < max_us ? next : max_us;
}

enum gw_health_state gw_health_failed(struct gw_health *health,
                                      const struct gw_health_limits *limits, int64_t asked_us,
                                      int64_t now_us)
{
    if (health->n_failures == 0)
        health->failing_since_us = asked_us;
    if (health->n_failures < UINT32_MAX)
        health->n_failures++;
    if (health->state == GW_HEALTH_ONLINE && health->n_failures <= (uint32_t)limits->retries)
        return health->state;

    if (health->state != GW_HEALTH_OFFLINE)
        health->state = now_us - health->failing_since_us >= limits->offline_after_us
                            ? GW_HEALTH_OFFLINE
                            : GW_HEALTH_SUSPECT;
    if (health->state == GW_HEALTH_OFFLINE)
        health->pause_us = doubled(health->pause_us, PROBE_MIN_S * SECOND_US, limits->retry_max_us);
    health->probe_us =
        now_us + (health->state == GW_HEALTH_OFFLINE ? health->pause_us : limits->suspect_pause_us);
    return health->state;
}

enum gw_health_state gw_health_answered(struct gw_health *health)
{
    enum gw_health_state before = health->state;

    memset(health, 0, sizeof *health);
    return before;
}

void gw_block_refused(struct gw_block *block, int64_t now_us)
{
    block->pause_us = doubled(block->pause_us, BLOCK_MIN_S * SECOND_US, BLOCK_MAX_S * SECOND_US);
    block->until_us = now_us + block->pause_us;
    block->is_blocked = true;
}

bool gw_block_try(struct gw_block *block, int64_t now_us)
{
    if (!block->is_blocked || block->until_us > now_us)
        return false;
    block->is_blocked = false;
    return true;
}

void gw_block_answered(struct gw_block *block)
{
    memset(block, 0, sizeof *block);
}
