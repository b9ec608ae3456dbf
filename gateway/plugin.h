/* plugin: finds, loads and checks the driver plug-ins of one folder.
 * Only NAME.so of the compiled-in folder (or the one given on the command line); files that others may write are refused. */
#ifndef GW_PLUGIN_H
#define GW_PLUGIN_H

#include "gateway/diag.h"
#include "gateway/driver.h"

struct gw_plugins;

/* Loads every *.so of dir. A plug-in that does not fit is left out, with one sentence in `problems` (may be NULL)
 * that names the file and what is wrong (ABI 2, table of 96 bytes, driver "x" has no execute, ...).
 * Errors: GW_E_CONFIG when dir cannot be read. */
GW_MUST_CHECK enum gw_err gw_plugins_load(const char *dir,
                                          void (*problem)(void *ctx, const char *sentence),
                                          void *ctx, struct gw_plugins **ret_plugins);
void gw_plugins_free(struct gw_plugins *plugins); /* forgets the tables; the objects stay mapped */

const struct gw_driver *gw_plugins_find(void *plugins, const char *name);
size_t gw_plugins_names(void *plugins, const char **names, size_t max); /* sorted */

/* Says what is wrong with a table; NULL when it is complete. Pure. `buf` holds the sentence. */
const char *gw_driver_fault(const struct gw_driver *driver, char *buf, size_t size);

#endif
