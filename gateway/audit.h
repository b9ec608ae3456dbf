/* audit: a file to which lines are only ever added. At its full size it becomes FILE.1, FILE.1 becomes FILE.2, up to
 * FILE.4; so it is bounded by five times that size. */
#ifndef GW_AUDIT_H
#define GW_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/err.h"

struct gw_audit;

/* NULL when memory is out. The file is opened with the first line. */
struct gw_audit *gw_audit_new(const char *file, int64_t max_bytes);
void gw_audit_free(struct gw_audit *audit);

/* Adds one line (without its line feed), in one write. GW_E_LINK: it could not be written; errno says why. */
GW_MUST_CHECK enum gw_err gw_audit_add(struct gw_audit *audit, const char *line, size_t len);

#endif
