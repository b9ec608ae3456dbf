/* pattern: the regular expressions of an instrument. The only file that includes pcre2.h; matching is bounded. */
#ifndef SERIAL_PATTERN_H
#define SERIAL_PATTERN_H

#include "drivers/serial/conf.h"

struct serial_pattern;

/* Compiles a pattern. NULL with a sentence (diag may be NULL). Owns: serial_pattern_free. */
struct serial_pattern *serial_pattern_new(const char *text, struct gw_driver_diag *diag);
void serial_pattern_free(struct serial_pattern *pattern);
/* Does it fit bytes[0..len)? Remembers where its groups stand. */
bool serial_pattern_match(struct serial_pattern *pattern, const uint8_t *bytes, size_t len);
/* Gives the place of a named group in the last match. False: no such group, or it took no part. */
bool serial_pattern_group(const struct serial_pattern *pattern, const char *name, size_t *ret_at,
                          size_t *ret_len);
bool serial_pattern_has_group(const struct serial_pattern *pattern, const char *name);
/* Visits the names of its groups. */
void serial_pattern_groups(const struct serial_pattern *pattern,
                           void (*visit)(void *ctx, const char *name), void *ctx);
/* Where all of it stood in the last match. */
void serial_pattern_span(const struct serial_pattern *pattern, size_t *ret_at, size_t *ret_len);

#endif
