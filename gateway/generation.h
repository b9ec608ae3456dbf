/* generation: a configuration that runs, kept as long as somebody lives from it. A reload makes a new one; what did not
 * change goes on with the old one. Main thread only. */
#ifndef GW_GENERATION_H
#define GW_GENERATION_H

#include "gateway/config.h"

/* Where configurations come from, and how they go. */
struct gw_config_source {
    void *ctx;
    /* Loads the file as it is now. GW_E_CONFIG: there are mistakes, in diags. */
    enum gw_err (*load)(void *ctx, struct gw_diags *diags, struct gw_config **ret_config);
    void (*free)(void *ctx, struct gw_config *config);
};

struct gw_generation {
    const struct gw_config_source *source;
    struct gw_config *config;
    size_t n_users;
};

/* Makes a generation with one user; takes the config over, also when memory is out (NULL). */
struct gw_generation *gw_generation_new(const struct gw_config_source *source,
                                        struct gw_config *config);
struct gw_generation *gw_generation_hold(struct gw_generation *generation);
/* One user less; frees after the last. Takes NULL. */
void gw_generation_release(struct gw_generation *generation);

#endif
