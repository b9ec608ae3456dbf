/* yaml_error: libyaml's errors as sentences and places for people. Part of yaml_tree. */
#ifndef GW_YAML_ERROR_H
#define GW_YAML_ERROR_H

#include <stddef.h>

#include "gateway/diag.h"

struct yaml_parser_s;

/* Adds the error that the parser stopped at. text is what it was reading. */
void gw_yaml_report_error(const struct yaml_parser_s *parser, const char *file, const char *text,
                          size_t len, struct gw_diags *diags);

#endif
