#include "gateway/bus_roots.h"

#include <stdlib.h>

enum { OF_LINK, OF_CONF, OF_DEVICES };

static size_t count(const struct gw_bus_conf *conf)
{
    return OF_DEVICES + conf->n_devices;
}

enum gw_err gw_bus_roots_begin(struct gw_generation *generation, const struct gw_bus_conf *conf,
                               struct gw_bus_roots *ret_roots)
{
    struct gw_generation **held = calloc(count(conf), sizeof(struct gw_generation *));

    if (!held)
        return GW_E_NOMEM;
    for (size_t i = 0; i < count(conf); i++)
        held[i] = gw_generation_hold(generation);
    *ret_roots = (struct gw_bus_roots){conf, held};
    return GW_OK;
}

enum gw_err gw_bus_roots_follow(const struct gw_bus_roots *roots, struct gw_generation *generation,
                                const struct gw_bus_conf *conf, const size_t *from,
                                struct gw_bus_roots *ret_roots)
{
    struct gw_generation **held = calloc(count(conf), sizeof(struct gw_generation *));

    if (!held)
        return GW_E_NOMEM;
    held[OF_LINK] = gw_generation_hold(roots->held[OF_LINK]);
    held[OF_CONF] = gw_generation_hold(generation);
    for (size_t i = 0; i < conf->n_devices; i++)
        held[OF_DEVICES + i] = gw_generation_hold(
            from[i] == SIZE_MAX ? generation : roots->held[OF_DEVICES + from[i]]);
    *ret_roots = (struct gw_bus_roots){conf, held};
    return GW_OK;
}

void gw_bus_roots_release(struct gw_bus_roots *roots)
{
    const size_t n = roots->conf ? count(roots->conf) : 0; /* conf may go with the first of them */

    for (size_t i = 0; i < n; i++)
        gw_generation_release(roots->held[i]);
    free(roots->held);
    *roots = (struct gw_bus_roots){0};
}
