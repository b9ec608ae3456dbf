/* value: one typed value of the field, as wide as the field has it.
 * Integers stay integers and decimals stay decimal, so that 2301 x 0.1 is 230.1 and a 64-bit counter
 * does not lose its last digits in a double. */
#ifndef GW_VALUE_H
#define GW_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_kind {
    GW_NONE = 0, /* no value: the reading is bad */
    GW_BOOL,
    GW_INT,     /* int64_t */
    GW_UINT,    /* uint64_t */
    GW_FLOAT32, /* printed as the shortest text that reads back as the same float */
    GW_FLOAT64, /* printed as the shortest text that reads back as the same double */
    GW_DECIMAL, /* exact: digits x 10^exp10 */
    GW_TEXT,    /* UTF-8, not NUL-terminated, borrowed: valid as long as whoever made it says */
};

struct gw_decimal {
    int64_t digits;
    int32_t exp10; /* -18..18 */
};

struct gw_value {
    enum gw_kind kind;
    union {
        bool b;
        int64_t i;
        uint64_t u;
        float f32;
        double f64;
        struct gw_decimal dec;
        struct {
            const char *p;
            size_t len;
        } text;
    };
};

enum gw_quality {
    GW_BAD = 0, /* zero, so that what nobody filled in is bad */
    GW_GOOD,
};

/* A reading: what a point was, how far it can be trusted, and when it was acquired. */
struct gw_reading {
    enum gw_quality quality;
    const char
        *reason; /* why it is bad: a stable code such as "timeout"; NULL when good. Static. */
    struct gw_value value; /* GW_NONE when bad */
    const char
        *enum_name; /* the name that stands for value, NULL without one; borrowed from the config */
    int64_t acquired_wall_ms; /* when the answer arrived; for a bad reading, when that was found */
};

#endif
