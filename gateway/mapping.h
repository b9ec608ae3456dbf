/* mapping: from a raw value to a reading, and whether that reading is worth a message. Pure: no I/O, no clock.
 * A bad reading never carries a number. */
#ifndef GW_MAPPING_H
#define GW_MAPPING_H

#include "gateway/config.h"

/* What must be remembered of a point between polls. Zeroed at start. Small: there is one for every point. */
struct gw_point_state {
    int64_t published_us; /* monotonic; 0: never */
    double last_number;   /* of the last published reading, for deadbands */
    uint64_t last_hash;   /* of the exact value, quality and reason last published */
    bool has_last;
    bool last_was_good;
};

/* Applies invalid, enum, scale, decimals, min/max to a result of the driver. Always fills *ret_reading:
 * anything that is not certain is bad, with the reason.
 * A raw value that has a name stays raw, and min/max do not apply to it; one without a name is scaled as if there were
 * no enum. Integers and decimals are exact; what has more than 18 digits becomes the nearest double.
 * Reasons of its own: "not_a_number" (NaN or infinite), "invalid" (listed under invalid:), "out_of_range",
 * "overflow" (scaled value does not fit). */
void gw_map_result(const struct gw_map *map, const struct gw_result *result,
                   int64_t acquired_wall_ms, struct gw_reading *ret_reading);

/* Turns an engineering value back into the raw value of a point, of the kind of the traits. A text is the name of an
 * enum, or the text of a text point. Where every raw value is named (enum without a scale) a number has to be named.
 * Floats are rounded to what the field can hold.
 * Errors: GW_E_RANGE when an integer field cannot hold it exactly, it is outside of min/max or off the step (counted
 *         from min, or 0), it is no name, or it is of the wrong kind. */
GW_MUST_CHECK enum gw_err gw_map_unscale(const struct gw_map *map,
                                         const struct gw_point_traits *traits,
                                         const struct gw_value *value, struct gw_value *ret_raw);

/* Gives the map of a point whose raw values are to be multiplied by 10^exp10 first, as the device says. */
struct gw_map gw_map_at_scale(const struct gw_map *map, int32_t exp10);

/* Decides whether a reading is to be published now (when, deadband, min interval, max silence, on_bad).
 * A change of quality or reason goes out at once; min_interval holds for everything else. A value is published when
 * it is more than the deadband away from the one last published; names, texts and bools when they differ.
 * Both intervals count as passed a twentieth early, so that polls at just this interval are not left out for jitter.
 * Does not change *state: call gw_filter_published after the message was made. */
bool gw_filter_wants(const struct gw_publish *publish, const struct gw_point_state *state,
                     const struct gw_reading *reading, int64_t now_us);
void gw_filter_published(struct gw_point_state *state, const struct gw_reading *reading,
                         int64_t now_us);

#endif
