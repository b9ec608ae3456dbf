/* schema: what may be written where in a configuration, as tables. The walker (config.c), the JSON Schema
 * (cmd_schema.c), the printed help (cmd_drivers.c) and the manual's key reference are all made from these. */
#ifndef GW_SCHEMA_H
#define GW_SCHEMA_H

#include <stdbool.h>

#include "gateway/driver.h"

/* Which keys of the bus's driver a section takes besides its own. */
enum gw_driver_keys { GW_NO_DRIVER_KEYS, GW_BUS_KEYS, GW_DEVICE_KEYS, GW_POINT_KEYS };

enum gw_shape {
    GW_SHAPE_SECTION, /* a mapping of keys */
    GW_SHAPE_SWITCH,  /* such a mapping, or off */
    GW_SHAPE_LIST,    /* a list of such mappings */
    GW_SHAPE_NAMED,   /* a mapping of free names to texts (user variables) */
    GW_SHAPE_FILES,   /* a file or folder name, or a list of them (include) */
};

struct gw_section;

struct gw_child {
    const char *name; /* NULL ends the table */
    enum gw_shape shape;
    const struct gw_section *section; /* with GW_SHAPE_SECTION and GW_SHAPE_LIST */
    bool is_required;
    const char *help;
};

struct gw_section {
    const char *name; /* "bus", "device", "point", "mqtt", ...: as sentences call it */
    const char *help;
    const struct gw_key
        *keys; /* of GW_KEY_CUSTOM keys `pattern` is a JSON Schema of the value, as JSON text */
    const struct gw_child *children;
    /* Further tables of keys that may stand here too, as defaults of the sections below (flat publish keys of
     * a point, interval at a bus, ...). NULL ends. */
    const struct gw_key *const *more_keys;
    enum gw_driver_keys driver_keys;
};

extern const struct gw_section gw_schema_root;     /* a configuration file */
extern const struct gw_section gw_schema_template; /* a device template file */

/* Iterates over all the driver keys that may stand in a section: its own, and those of inner sections that are
 * GW_INHERIT. Calls visit for each; stops when visit returns false. */
void gw_schema_driver_keys(const struct gw_driver *driver, enum gw_driver_keys which,
                           bool (*visit)(void *ctx, const struct gw_key *key), void *ctx);

#endif
