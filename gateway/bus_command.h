/* bus_command: commands as they go to a bus, and the answers that come back. Plain values without pointers to free.
 * Every order that was pushed gets exactly one answer; only a bus that ends before it has looked at it leaves it without. */
#ifndef GW_BUS_COMMAND_H
#define GW_BUS_COMMAND_H

#include "gateway/command.h"

enum { GW_BUS_JOBS_MAX = 64 }; /* orders that one bus holds; whoever pushes keeps within it */

struct gw_bus_order {
    uint64_t ticket;         /* the sender's; comes back with the answer */
    uint16_t device;         /* index in the bus */
    int64_t begin_by_us;     /* monotonic: not begun after this */
    int64_t expires_wall_ms; /* nor after this; 0: none */
    struct gw_command_values values;
};

struct gw_bus_answer {
    uint64_t ticket;
    enum gw_command_code code;
    uint16_t n_written; /* values, from the first on, that the device has confirmed */
    bool has_begun;     /* something was, or may have been, sent to the device */
    const char *reason; /* of the device or link, static; NULL without */
    int64_t written_wall_ms, verified_wall_ms;
    struct gw_command_values read_back; /* of the points asked for; empty: not read back */
    char why[GW_COMMAND_WHY];
};

struct gw_queue;

/* Where a bus takes its orders from, and leaves its answers; shared with whoever decides. */
struct gw_bus_orders {
    struct gw_queue *orders; /* of struct gw_bus_order */
    struct gw_queue *
        answers; /* of struct gw_bus_answer, from several buses; has room for all orders under way */
};

#endif
