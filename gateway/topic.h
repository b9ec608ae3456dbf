/* topic: texts with ${variables}, and what may be a topic. Pure.
 * Source: MQTT 3.1.1, 4.7 (topic names), 1.5.3 (UTF-8 texts). */
#ifndef GW_TOPIC_H
#define GW_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/err.h"

enum { GW_TOPIC_WHY = 400, GW_TOPIC_MAX_BYTES = 256, GW_VARIABLE_NAME_MAX = 64 };

/* Variables as a chain from the innermost level outwards; of one name the first one found holds. */
struct gw_variable {
    const char *name, *value;
    const struct gw_variable *outer;
};

const struct gw_variable *gw_variable_find(const struct gw_variable *variables, const char *name,
                                           size_t len);

/* Replaces ${NAME} by the variable's value.
 * Shape:  kept names (NULL ends; may be NULL) stay as they are, for a later time; buf gets a NUL-terminated text.
 * Errors: GW_E_CONFIG for an unknown variable or a ${ without }, GW_E_RANGE when buf is too small; why tells. */
GW_MUST_CHECK enum gw_err gw_text_expand(const char *text, const struct gw_variable *variables,
                                         const char *const *kept, char *buf, size_t size,
                                         char why[GW_TOPIC_WHY]);

/* Checks a topic that is about to be published to.
 * Shape:  with is_template a text that still has ${...} in it: its length and a leading ${ are not looked at.
 * Errors: GW_E_CONFIG; why tells, to be read after `topic "..."`. */
GW_MUST_CHECK enum gw_err gw_topic_check(const char *topic, bool is_template,
                                         char why[GW_TOPIC_WHY]);

#endif
