/* The drivers that a target is linked with, as a configuration finds them. */
#ifndef FUZZ_DRIVER_H
#define FUZZ_DRIVER_H

#include "gateway/driver.h"
#include "tests/fuzz/fuzz.h"

extern const struct gw_plugin field2mqtt_plugin;

static inline const struct gw_driver *fuzz_find_driver(void *ctx, const char *name)
{
    (void)ctx;
    for (const struct gw_driver *const *driver = field2mqtt_plugin.drivers; *driver; driver++)
        if (strcmp((*driver)->name, name) == 0)
            return *driver;
    return NULL;
}

#endif
