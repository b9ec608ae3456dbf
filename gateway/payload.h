/* payload: a reading as the bytes of a message. Pure.
 * value:    230.1, true, running (texts and names without quotes); null when bad.
 * json:     {"value":230.1,"ts":1764000000123,"quality":"good","unit":"V"}; bad: "value":null, and "reason":"timeout".
 *           With an enum: "value":"running","raw":1; a value without a name is its number as text: "value":"3","raw":3.
 * template: as written, with ${value} ${raw} ${unit} ${ts} (ms) ${time} (ISO 8601) ${quality} ${reason}
 *           ${seq}. When it begins
 *           with { or [ it is JSON: a variable between quotes is escaped, one on its own becomes a JSON value, quotes
 *           and null included.
 * device:   {"ts":...,"quality":"good","voltage":230.1,"frequency":null,"bad":{"frequency":"timeout"}}; the quality is
 *           bad when no point is good. Points that are only written are left out.
 * "ts" is Unix time in ms, or with time: iso8601 a text such as "2026-11-24T10:05:12.345Z". */
#ifndef GW_PAYLOAD_H
#define GW_PAYLOAD_H

#include "gateway/config.h"

/* The number of a message is known only when the outbox takes it: these are the places that it fills. */
enum { GW_SEQ_PLACES_MAX = 8, GW_SEQ_DIGITS = 16 };
struct gw_seq_places {
    uint32_t at[GW_SEQ_PLACES_MAX]; /* GW_SEQ_DIGITS bytes from there on, now blanks and a 0 */
    size_t n;
};

/* Writes the payload of one point. Errors: GW_E_RANGE when it does not fit into size.
 * *ret_len is its length; no NUL is counted (one is written when there is room).
 * ret_places may be NULL: the number is 0 then. */
GW_MUST_CHECK enum gw_err gw_payload_point(const struct gw_publish *publish,
                                           const struct gw_map *map,
                                           const struct gw_reading *reading, char *buf, size_t size,
                                           size_t *ret_len, struct gw_seq_places *ret_places);

/* Writes the payload of a device: one object with all points that publish per device.
 * readings[i] belongs to device->points[i]; those of other points are not looked at. ts is the newest of them. */
GW_MUST_CHECK enum gw_err gw_payload_device(const struct gw_device_conf *device,
                                            const struct gw_reading *readings, char *buf,
                                            size_t size, size_t *ret_len,
                                            struct gw_seq_places *ret_places);

#endif
