/* sim_value: what a simulated point shows: values that move as they would in a plant, within what the field can hold
 * and what the configuration calls possible. Pure: a function of seed, point and time. */
#ifndef GW_SIM_VALUE_H
#define GW_SIM_VALUE_H

#include "gateway/config.h"

enum gw_sim_kind {
    GW_SIM_WAVE,    /* moves up and down, never jumps */
    GW_SIM_COUNTER, /* rises slowly, never falls */
    GW_SIM_HOLD,    /* a setting: stays until somebody writes it */
    GW_SIM_SWITCH,  /* a bool that changes now and then */
    GW_SIM_NAMES,   /* changes now and then between the values of its enum */
    GW_SIM_TEXT,
};

struct gw_sim_point {
    const struct gw_point_conf *conf;
    enum gw_sim_kind kind;
    uint64_t seed;
    double low, high;  /* engineering values */
    double per_second; /* of a counter */
};

/* Chooses how a point moves: by its enum, type, limits and unit, else 0 to 100. conf is borrowed.
 * The same seed and names give the same values at the same time. */
void gw_sim_point_init(struct gw_sim_point *point, const struct gw_point_conf *conf,
                       const char *bus_name, const char *device_name, uint32_t seed);

/* Gives the raw value at a time since the start. Texts are static. */
void gw_sim_point_value(const struct gw_sim_point *point, int64_t since_start_us,
                        struct gw_value *ret_raw);

#endif
