/* contract: what gateway/driver.h asks of every driver, as tests. A driver takes part with one struct contract_peer:
 * the other side of its wire, which can be told to misbehave. Nothing here knows a protocol. */
#ifndef CONTRACT_H
#define CONTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What a peer can be told to do with the next request, once. */
enum contract_behaviour {
    CONTRACT_SILENCE,
    CONTRACT_GARBAGE,
    CONTRACT_TRUNCATED,
    CONTRACT_OVERLONG,
    CONTRACT_TRICKLE, /* the answer, so slowly that it is not whole at the deadline: a byte every delay_us */
    CONTRACT_LATE, /* the right answer, delay_us after the request */
    CONTRACT_REFUSE,
    CONTRACT_DROP, /* the link is gone in the middle of the answer; it can be opened again soon after */
    CONTRACT_N_BEHAVIOURS,
    CONTRACT_WHOLE = -1, /* for say: nothing is wrong */
};

struct contract_peer {
    const char *name;
    unsigned abilities; /* bits 1 << behaviour; what a peer cannot do is left out */
    void *(*start)(void);
    void (*stop)(void *ctx);
    /* Writes a configuration of one bus and two devices. The first has at least four points of numbers or bools, of
     * which two cannot share a request; when the driver writes, also rw points `setpoint` and `locked`, which the peer
     * refuses to write. The second device has one point. With say(), one of them or a third one has a point `heard` that
     * is said unasked. With is_reachable false, the bus is at a place that cannot be opened. */
    void (*write_config)(void *ctx, FILE *file, bool is_reachable);
    /* The raw value that the peer shows for a point. */
    double (*value)(void *ctx, const char *device, const char *point);
    /* NULL for a peer that can do nothing. */
    void (*next)(void *ctx, enum contract_behaviour behaviour, int64_t delay_us);
    /* Sends a message unasked that shows value() of the point `heard` of one of the devices and of nothing else that the
     * contract looks at; with a behaviour, as broken as that: GARBAGE, TRUNCATED, OVERLONG or DROP. NULL: the driver does
     * not listen. */
    void (*say)(void *ctx, int behaviour);
    bool takes_any_number; /* `setpoint` has no largest value that the driver could know */
    /* How many writes reached the peer, and the last value. NULL for a read-only driver. */
    size_t (*written)(void *ctx, double *ret_value);
};

/* Runs the suite against each peer; returns the number of failed tests. */
int contract_run(const struct contract_peer *const *peers, size_t n_peers);

#endif
