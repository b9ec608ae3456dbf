#include "gateway/generation.h"

#include <stdlib.h>

struct gw_generation *gw_generation_new(const struct gw_config_source *source,
                                        struct gw_config *config)
{
    struct gw_generation *generation = calloc(1, sizeof *generation);

    if (!generation) {
        source->free(source->ctx, config);
        return NULL;
    }
    generation->source = source;
    generation->config = config;
    generation->n_users = 1;
    return generation;
}

struct gw_generation *gw_generation_hold(struct gw_generation *generation)
{
    generation->n_users++;
    return generation;
}

void gw_generation_release(struct gw_generation *generation)
{
    if (!generation || --generation->n_users > 0)
        return;
    generation->source->free(generation->source->ctx, generation->config);
    free(generation);
}
