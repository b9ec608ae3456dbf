/* check_report: what `field2mqtt check` says of a good configuration: per bus the read plan, and what it costs. */
#ifndef GW_CHECK_REPORT_H
#define GW_CHECK_REPORT_H

#include <stdio.h>

#include "gateway/config.h"
#include "gateway/json.h"
#include "gateway/load.h"

enum { GW_WARNING_TEXT = 400, GW_WARNINGS_MAX = 2 };

/* Says what of the plan cannot be met: "rs485-1 needs 1.31 s of every 1.00 s at 9600 baud
 * (131 %)". Gives how many sentences. Pure. */
size_t gw_load_warnings(const struct gw_bus_conf *bus, const struct gw_load *load,
                        char ret_warnings[GW_WARNINGS_MAX][GW_WARNING_TEXT]);

/* loads[i] is of config->buses[i]. */
void gw_check_print(const struct gw_config *config, struct gw_load *const *loads, FILE *out);
/* The same as JSON, and what diags holds; field names are stable. config is NULL when there are mistakes.
 * NULL when memory is out. Owns: the caller, gw_json_free. */
struct gw_json *gw_check_json(const char *file, const struct gw_config *config,
                              struct gw_load *const *loads, const struct gw_diags *diags);

#endif
