/* keys: the tables of mappings inside of an instrument, which keys.c refers to. */
#ifndef SERIAL_KEYS_H
#define SERIAL_KEYS_H

#include "drivers/serial/conf.h"

extern const struct gw_key serial_frame_keys[], serial_checksum_keys[], serial_transform_keys[],
    serial_condition_keys[], serial_poll_keys[], serial_step_keys[], serial_append_keys[];
extern const struct gw_choice serial_parities[];

/* What serial_parse_place takes. */
#define SERIAL_PLACE_PATTERN                                                                       \
    "^(frame|(group|key):.+|(column|field):[0-9]+(-[0-9]+)?|obis:[0-9A-Fa-f:.*-]+(\\[[0-9]+\\])?|" \
    "json:(/"                                                                                      \
    ".*)?|mbus:[a-z_]+(=[0-9A-Fa-f]+)?(,[a-z]+=[0-9A-Za-z]+)*|byte:-?[0-9]+(-[0-9]+)?(&(0x[0-9A-"  \
    "Fa-f]+|[0-9]+))?)$"

#endif
