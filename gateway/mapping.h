/* mapping: from a raw value to a reading, and whether that reading is worth a message. Pure: no I/O, no clock.
 * A bad reading never carries a number. */
#ifndef GW_MAPPING_H
#define GW_MAPPING_H

#include "gateway/config.h"

/* What must be remembered of a point between polls. Zeroed at start. Small: there is one for every point. */
struct gw_point_state {
    int64_t published_us;  /* monotonic; 0: never */
    double last_number;    /* of the last published reading, for deadbands */
    uint64_t last_hash;    /* of the exact value, quality and reason last published */
    bool has_last;
    bool last_was_good;
};

/* Applies invalid, enum, scale, decimals, min/max to a result of the driver. Always fills *ret_reading:
 * anything that is not certain is bad, with the reason.
 * Reasons of its own: "not_a_number" (NaN or infinite), "invalid" (listed under invalid:), "out_of_range",
 * "overflow" (scaled value does not fit). */
void gw_map_result(const struct gw_map *map, const struct gw_result *result, int64_t acquired_wall_ms,
                   struct gw_reading *ret_reading);

/* Turns an engineering value back into the raw value of a point, exactly.
 * Errors: GW_E_RANGE when the field cannot hold it exactly, or it is outside of min/max/step. */
GW_MUST_CHECK enum gw_err gw_map_unscale(const struct gw_map *map, const struct gw_point_traits *traits,
                                         const struct gw_value *value, struct gw_value *ret_raw);

/* Decides whether a reading is to be published now (when, deadband, min interval, max silence, on_bad).
 * A change of quality or reason always is; min_interval holds for good ones only.
 * Does not change *state: call gw_filter_published after the message was made. */
bool gw_filter_wants(const struct gw_publish *publish, const struct gw_point_state *state,
                     const struct gw_reading *reading, int64_t now_us);
void gw_filter_published(struct gw_point_state *state, const struct gw_reading *reading, int64_t now_us);

#endif
