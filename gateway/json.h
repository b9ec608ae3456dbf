/* json: a JSON document while it is built, and as text. Keys stay in the order in which they were set.
 * Memory that runs out is remembered: the calls below take NULL and do nothing, and gw_json_print reports it. */
#ifndef GW_JSON_H
#define GW_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/err.h"

struct gw_json; /* an object, an array, a text, a number, true or false */

struct gw_json *gw_json_object(void);
struct gw_json *gw_json_array(void);
struct gw_json *gw_json_text(const char *text);
struct gw_json *gw_json_bool(bool value);
struct gw_json *gw_json_int(int64_t value);
/* A whole number below 1e15 is written without a point. NaN and infinity: NULL. */
struct gw_json *gw_json_number(double value);
/* Parses one JSON value; NULL when it is none. */
struct gw_json *gw_json_parse(const char *text);
void gw_json_free(struct gw_json *json);

/* Puts a value into an object, or at the end of an array. Owns: takes the value, in any case. */
void gw_json_set(struct gw_json *object, const char *key, struct gw_json *value);
void gw_json_add(struct gw_json *array, struct gw_json *value);
/* Copies the members of another object into this one. */
void gw_json_merge(struct gw_json *object, const struct gw_json *other);

/* A member that stays the object's; NULL without it. */
struct gw_json *gw_json_get(const struct gw_json *object, const char *key);
size_t gw_json_size(const struct gw_json *json); /* of an object or array */

/* Writes the document, indented, with a line feed at its end. GW_E_NOMEM when memory ran out while it was built or
 * printed; GW_E_LINK when `out` could not be written. */
GW_MUST_CHECK enum gw_err gw_json_print(const struct gw_json *json, FILE *out);

#endif
