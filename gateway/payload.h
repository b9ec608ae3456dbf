/* payload: a reading as the bytes of a message. Pure.
 * value:    230.1, true, "running" without quotes; null when bad.
 * json:     {"value":230.1,"ts":1764000000123,"quality":"good","unit":"V"}; bad: "value":null, and "reason":"timeout".
 *           With an enum: "value":"running","raw":1.
 * device:   {"ts":...,"quality":"good","voltage":230.1,"frequency":null,"bad":{"frequency":"timeout"}}. */
#ifndef GW_PAYLOAD_H
#define GW_PAYLOAD_H

#include "gateway/config.h"

/* Writes the payload of one point. Errors: GW_E_RANGE when it does not fit into size.
 * *ret_len is its length; no NUL is counted (one is written when there is room). */
GW_MUST_CHECK enum gw_err gw_payload_point(const struct gw_publish *publish, const struct gw_map *map,
                                           const struct gw_reading *reading, char *buf, size_t size, size_t *ret_len);

/* Writes the payload of a device: one object with all points that publish per device.
 * readings[i] belongs to device->points[i]; those of other points are not looked at. ts is the newest of them. */
GW_MUST_CHECK enum gw_err gw_payload_device(const struct gw_device_conf *device, const struct gw_reading *readings,
                                            char *buf, size_t size, size_t *ret_len);

#endif
