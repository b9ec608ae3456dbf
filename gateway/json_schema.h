/* json_schema: a JSON Schema (draft 2020-12) of a configuration or template file, made from the tables of keys, so that
 * editors complete and check the YAML as it is typed. What a schema cannot tell (topics that collide, a name given
 * twice, a duration out of its range) is left to `field2mqtt check`. */
#ifndef GW_JSON_SCHEMA_H
#define GW_JSON_SCHEMA_H

#include "gateway/json.h"
#include "gateway/schema.h"

/* Makes the schema of gw_schema_root or gw_schema_template. NULL when memory is out.
 * Owns: the result by the caller, gw_json_free. */
struct gw_json *gw_json_schema(const struct gw_section *root,
                               const struct gw_driver *const *drivers, size_t n_drivers);

/* The schema of one key's value, without that of its section; the name of the file's keys does not matter here.
 * expands: any text may hold ${VARIABLE} instead. In json_schema_key.c. */
struct gw_json *gw_json_schema_key(const struct gw_key *key, bool expands);

#endif
