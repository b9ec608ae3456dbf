/* pace: notices, and says once, that the broker takes messages more slowly than they come. A pile that an outage has
 * left and that is getting smaller is no such thing. */
#ifndef GW_PACE_H
#define GW_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/outbox.h"

enum { GW_PACE_LOOK_US = 10000000, GW_PACE_LOOKS = 3 };

struct gw_pace {
    int64_t look_us;    /* the next look; 0: none yet on this connection */
    uint64_t n_waiting; /* at the last look */
    unsigned n_growing; /* looks in a row at which it was more than before */
    bool is_slow;
};

/* A new connection: what is waiting now came from before it. */
void gw_pace_begin(struct gw_pace *pace);
/* Shape: n_window messages may be under way and do not count. */
void gw_pace_look(struct gw_pace *pace, struct gw_outbox *outbox, size_t n_window, int64_t now_us);

#endif
