/* contract_world: a driver from its plug-in, with a bus made from the peer's configuration, and the steps that the
 * tests of the contract have in common. */
#ifndef CONTRACT_WORLD_H
#define CONTRACT_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/config.h"
#include "gateway/driver_bus.h"
#include "gateway/plugin.h"
#include "tests/contract/contract.h"

enum {
    CONTRACT_TIMEOUT_US = 100000,    /* of requests that are to fail */
    CONTRACT_PATIENCE_US = 20000000, /* of those that are not: a busy machine is no failure */
    CONTRACT_MEMBERS = 64,
};

struct contract_world {
    const struct contract_peer *peer;
    void *peer_ctx;
    struct gw_plugins *plugins;
    struct gw_config *config;
    const struct gw_driver *driver;
    const struct gw_bus_conf *conf;
    struct gw_host host;
    struct gw_bus *bus;
    struct gw_plan plan;
    struct gw_driver_diag diag;
    struct gw_outcome outcome;
    struct gw_result results[CONTRACT_MEMBERS];
    size_t n_fds;
    size_t n_heard; /* results that listen has brought */
};

/* cmocka fixtures; *state is the peer at first, the world then. */
int contract_set_up(void **state);
int contract_set_up_unreachable(void **state);
int contract_tear_down(void **state); /* fails when a descriptor has leaked */

int64_t contract_now_us(void);
void contract_wait_us(int64_t us);

void contract_open(struct contract_world *world); /* tries until it works, with patience */
struct gw_device *contract_device(struct contract_world *world, size_t index);
bool contract_can(const struct contract_world *world, enum contract_behaviour behaviour);
void contract_next(struct contract_world *world, enum contract_behaviour behaviour,
                   int64_t delay_us);

/* Plans one point alone and runs its requests. Fails the test when an answer that is called good is not what the peer
 * shows. Returns the first error of a request. */
enum gw_err contract_read(struct contract_world *world, size_t device, uint16_t point,
                          int64_t timeout_us);
/* The same until it works, keeping the pauses that the driver asks for. */
void contract_read_until_good(struct contract_world *world, size_t device, uint16_t point);

/* Runs one request of world->plan and compares its results. */
enum gw_err contract_execute(struct contract_world *world, size_t device,
                             const struct gw_request *request, int64_t timeout_us);

/* Listens once; fails the test when what is heard and called good is not what the peer shows. */
enum gw_err contract_listen(struct contract_world *world, int64_t timeout_us);
/* The same until something good is heard, with patience. */
void contract_listen_until_good(struct contract_world *world);
/* Lets the peer speak until it is heard: an instrument may be in the middle of a message when its port is opened, so that the
 * first one may be lost. Sets n_heard to 0. */
void contract_tune_in(struct contract_world *world);

/* Two points of the first device that a plan never puts into one request. */
void contract_two_apart(struct contract_world *world, uint16_t *ret_a, uint16_t *ret_b);

/* Index of a point by its name; fails without it. */
uint16_t contract_point(struct contract_world *world, const char *name);

#endif
