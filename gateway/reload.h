/* reload: brings what runs to what the file says now. */
#ifndef GW_RELOAD_H
#define GW_RELOAD_H

#include "gateway/site.h"

/* Reads the file again and applies the difference. Buses of which nothing changed are not touched at all. What it did,
 * or why it did nothing, is in the log. May take up to 30 s while a driver or the broker's connection ends.
 * Errors: GW_E_CONFIG: the file is wrong and nothing has changed; any other: the publisher is lost, end the process. */
GW_MUST_CHECK enum gw_err gw_reload(struct gw_site *site);

/* To be called now and then: starts what had to wait for a predecessor that hung. */
void gw_reload_catch_up(struct gw_site *site);

#endif
