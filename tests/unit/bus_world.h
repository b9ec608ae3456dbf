/* bus_world: a bus with a fake driver, a fake outbox and a clock turned by hand.
 * The devices of the world answer, refuse, stay silent or lose the link as a test sets them; all that was asked and
 * all that was published is recorded. One world at a time. */
#ifndef TEST_BUS_WORLD_H
#define TEST_BUS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/bus_run.h"

#define MS INT64_C(1000)
#define S  (1000 * MS)

enum { WORLD_DEVICES = 4, WORLD_POINTS = 64, WORLD_EVENTS = 200000, WORLD_CHANGES = 4 };

/* How one device behaves now. */
struct world_device {
    bool is_silent;    /* until the deadline of the request */
    bool is_garbled;   /* answers with GW_E_PROTO */
    unsigned n_busy;   /* says so many times "busy" */
    unsigned n_silent; /* is silent so many times */
    int64_t hold_us;   /* asked for after every exchange */
    int64_t cost_us;   /* of an exchange; 0: the world's */
    bool refuses[WORLD_POINTS];
    bool ignores[WORLD_POINTS]; /* keeps silent to requests with this point */
    int64_t values[WORLD_POINTS];
    const char *text; /* of text points */
    size_t text_len;
    size_t per_request; /* points that fit into one request; 0: all */
    /* state of the fake driver */
    bool holes[WORLD_POINTS];
    unsigned n_forgets;
};

struct world_exchange {
    int64_t at_us, deadline_us;
    size_t device;
    uint16_t first, n_members;
    enum gw_err err;
};

struct world_message {
    int64_t at_us;
    char topic[32];
    char payload[224];
};

static struct world {
    int64_t now_us;
    int64_t cost_us;
    struct world_device devices[WORLD_DEVICES];
    bool is_reachable;      /* open succeeds */
    bool link_breaks;       /* every exchange loses the link */
    unsigned n_link_breaks; /* so many exchanges lose the link */
    bool is_open;
    unsigned n_opens, n_open_tries;
    bool is_full; /* the outbox drops everything */
    bool has_no_split;
    bool hangs; /* execute never returns (thread tests) */
    enum gw_err (*answer)(size_t device, const uint16_t *members, size_t n,
                          struct gw_result *results);
    struct world_exchange *exchanges;
    size_t n_exchanges;
    struct world_message *messages;
    size_t n_messages;

    struct gw_driver driver;
    struct gw_bus_conf conf;
    struct gw_device_conf device_confs[WORLD_DEVICES];
    struct gw_point_conf points[WORLD_DEVICES][WORLD_POINTS];
    struct gw_publish policies[WORLD_DEVICES][WORLD_POINTS]; /* of the points */
    char names[WORLD_DEVICES][WORLD_POINTS][8], topics[WORLD_DEVICES][WORLD_POINTS][16];
    /* What the bus is changed to, one after the other. */
    struct gw_bus_conf next_confs[WORLD_CHANGES];
    struct gw_device_conf next_device_confs[WORLD_CHANGES][WORLD_DEVICES];
    size_t n_changes;

    struct gw_outbox outbox;
    struct gw_bus_loop *loop;
} world;

static inline int64_t world_now_us(void *ctx)
{
    (void)ctx;
    return world.now_us;
}

static inline int64_t world_wall_ms(void *ctx)
{
    (void)ctx;
    return 1764000000000 + world.now_us / 1000;
}

static const struct gw_clock world_clock = {.now_us = world_now_us, .wall_ms = world_wall_ms};

/* Which device of the world it is, wherever on the bus it stands: "d0" is the first. */
static inline size_t world_number(const struct gw_device *device)
{
    return (size_t)(device->name[1] - '0');
}

/* ---- the driver ------------------------------------------------------------------------------------ */

static inline enum gw_err world_open(struct gw_bus *bus, int64_t deadline_us,
                                     struct gw_driver_diag *diag)
{
    (void)bus, (void)deadline_us;
    world.n_open_tries++;
    if (!world.is_reachable) {
        snprintf(diag->text, sizeof diag->text, "/dev/ttyUSB0: no such file");
        return GW_E_LINK;
    }
    assert_false(world.is_open);
    world.is_open = true;
    world.n_opens++;
    return GW_OK;
}

static inline void world_close(struct gw_bus *bus)
{
    (void)bus;
    world.is_open = false;
}

static inline void add_request(struct gw_plan *plan, const uint16_t *members, size_t n)
{
    assert_true(plan->n_requests < plan->max_requests && plan->n_members + n <= plan->max_members);
    plan->requests[plan->n_requests++] = (struct gw_request){
        .wire_us = 5000,
        .first_member = (uint16_t)plan->n_members,
        .n_members = (uint16_t)n,
        .priv = {members[0], (uint32_t)n},
    };
    memcpy(&plan->members[plan->n_members], members, n * sizeof *members);
    plan->n_members += n;
}

/* Runs of points; a hole stands alone. */
static inline enum gw_err world_plan(struct gw_device *device, const uint16_t *points,
                                     size_t n_points, struct gw_plan *plan)
{
    const struct world_device *dev = &world.devices[world_number(device)];
    size_t most = dev->per_request ? dev->per_request : WORLD_POINTS;

    for (size_t i = 0; i < n_points;) {
        size_t n = 1;

        while (!dev->holes[points[i]] && i + n < n_points && n < most && !dev->holes[points[i + n]])
            n++;
        add_request(plan, &points[i], n);
        i += n;
    }
    return GW_OK;
}

static inline enum gw_err world_split(struct gw_device *device, const struct gw_request *request,
                                      const uint16_t *members, struct gw_plan *plan)
{
    size_t half = request->n_members / 2;

    if (half == 0) {
        world.devices[world_number(device)].holes[members[0]] = true;
        return GW_OK;
    }
    add_request(plan, members, half);
    add_request(plan, members + half, request->n_members - half);
    return GW_OK;
}

static inline void world_forget(struct gw_device *device)
{
    struct world_device *dev = &world.devices[world_number(device)];

    memset(dev->holes, 0, sizeof dev->holes);
    dev->n_forgets++;
}

static inline enum gw_err answer(struct world_device *dev, const struct gw_device *device,
                                 const uint16_t *members, size_t n, struct gw_result *results)
{
    for (size_t i = 0; i < n; i++)
        if (dev->refuses[members[i]])
            return GW_E_REFUSED;
    if (world.answer)
        return world.answer(world_number(device), members, n, results);
    for (size_t i = 0; i < n; i++) {
        bool is_text = world.points[world_number(device)][members[i]].traits.kind == GW_TEXT;

        results[i].value = (struct gw_value){.kind = GW_INT, .i = dev->values[members[i]]};
        if (is_text) {
            results[i].value.kind = GW_TEXT;
            results[i].value.text.p = dev->text;
            results[i].value.text.len = dev->text_len;
        }
    }
    return GW_OK;
}

static inline enum gw_err behave(struct world_device *dev, const struct gw_device *device,
                                 const uint16_t *members, size_t n, int64_t deadline_us,
                                 struct gw_result *results, struct gw_outcome *outcome)
{
    if (world.link_breaks || world.n_link_breaks > 0) {
        world.n_link_breaks -= world.n_link_breaks > 0;
        outcome->reason = "reset";
        return GW_E_LINK;
    }
    bool is_ignored = false;
    for (size_t i = 0; i < n; i++)
        is_ignored |= dev->ignores[members[i]];
    if (dev->is_silent || dev->n_silent > 0 || is_ignored) {
        dev->n_silent -= dev->n_silent > 0;
        world.now_us = deadline_us;
        return GW_E_TIMEOUT;
    }
    world.now_us += dev->cost_us ? dev->cost_us : world.cost_us;
    outcome->acquired_us = world.now_us;
    if (dev->n_busy > 0) {
        dev->n_busy--;
        return GW_E_BUSY;
    }
    if (dev->is_garbled) {
        outcome->reason = "bad_crc";
        return GW_E_PROTO;
    }
    enum gw_err err = answer(dev, device, members, n, results);
    if (err == GW_E_REFUSED)
        outcome->reason = "illegal_data_address";
    return err;
}

static inline enum gw_err world_execute(struct gw_device *device, const struct gw_request *request,
                                        const uint16_t *members, int64_t deadline_us,
                                        struct gw_result *results, struct gw_outcome *outcome)
{
    struct world_device *dev = &world.devices[world_number(device)];
    int64_t at_us = world.now_us;

    assert_true(world.is_open);
    enum gw_err err =
        behave(dev, device, members, request->n_members, deadline_us, results, outcome);
    outcome->hold_us = dev->hold_us;
    assert_true(world.n_exchanges < WORLD_EVENTS);
    world.exchanges[world.n_exchanges++] = (struct world_exchange){
        .at_us = at_us,
        .deadline_us = deadline_us,
        .device = world_number(device),
        .first = members[0],
        .n_members = request->n_members,
        .err = err,
    };
    return err;
}

/* ---- the outbox ------------------------------------------------------------------------------------ */

static inline enum gw_err world_put(struct gw_outbox *outbox, const struct gw_message *message)
{
    struct world_message *m = &world.messages[world.n_messages];

    (void)outbox;
    if (world.is_full)
        return GW_E_FULL;
    assert_true(world.n_messages < WORLD_EVENTS);
    world.n_messages++;
    m->at_us = world.now_us;
    snprintf(m->topic, sizeof m->topic, "%s", message->topic);
    snprintf(m->payload, sizeof m->payload, "%.*s", (int)message->payload_len,
             (const char *)message->payload);
    return GW_OK;
}

static const struct gw_outbox_ops world_outbox_ops = {.put = world_put};

/* ---- setting up ------------------------------------------------------------------------------------ */

static inline int world_setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.now_us = 1000 * S;
    world.cost_us = 10 * MS;
    world.is_reachable = true;
    world.exchanges = calloc(WORLD_EVENTS, sizeof *world.exchanges);
    world.messages = calloc(WORLD_EVENTS, sizeof *world.messages);
    world.outbox.ops = &world_outbox_ops;
    world.driver = (struct gw_driver){
        .name = "fake",
        .open = world_open,
        .close = world_close,
        .plan = world_plan,
        .execute = world_execute,
        .split = world_split,
        .forget = world_forget,
    };
    world.conf = (struct gw_bus_conf){
        .name = "bus",
        .driver = &world.driver,
        .devices = world.device_confs,
        .reopen_min_us = 1 * S,
        .reopen_max_us = 8 * S,
    };
    return world.exchanges && world.messages ? 0 : -1;
}

static inline int world_teardown(void **state)
{
    (void)state;
    gw_bus_loop_free(world.loop);
    assert_false(world.is_open);
    free(world.exchanges);
    free(world.messages);
    return 0;
}

static const struct gw_map as_it_is = {.scale = {.digits = 1}, .decimals = -1};

/* Adds a device "dN" with points "p0".. at topics "dN/p0"..; gives its index. */
static inline size_t world_add_device(size_t n_points, int64_t interval_us)
{
    size_t d = world.conf.n_devices++;
    static const char *const names[] = {"d0", "d1", "d2", "d3"};

    for (size_t i = 0; i < n_points; i++) {
        snprintf(world.names[d][i], sizeof world.names[d][i], "p%u", (unsigned)i % 1000);
        snprintf(world.topics[d][i], sizeof world.topics[d][i], "%s/p%u", names[d],
                 (unsigned)i % 1000);
        world.points[d][i] = (struct gw_point_conf){
            .name = world.names[d][i],
            .interval_us = interval_us,
            .traits = {.kind = GW_INT, .can_read = true},
            .topic = world.topics[d][i],
            .map = &as_it_is,
            .publish = &world.policies[d][i],
        };
        world.devices[d].values[i] = (int64_t)(100 * d + i);
    }
    world.device_confs[d] = (struct gw_device_conf){
        .name = names[d],
        .timeout_us = 1 * S,
        .offline_after_us = 3 * S,
        .retries = 1,
        .retry_max_us = 30 * S,
        .topic = names[d],
        .publish = {.per = GW_PER_DEVICE},
        .points = world.points[d],
        .n_points = n_points,
    };
    return d;
}

static inline void world_start(void)
{
    assert_int_equal(
        gw_bus_loop_new(&world.conf, &world.outbox, &world_clock, 200, -1, &world.loop), GW_OK);
}

/* Where a device of the running bus stands; SIZE_MAX: nowhere. */
static inline size_t world_place(const char *name)
{
    for (size_t i = 0; i < world.loop->n_devices; i++)
        if (strcmp(world.loop->devices[i].conf->name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* Gives the running bus other devices of the world: "2!0" are d2, and d0 which begins anew. */
static inline void world_change(const char *devices)
{
    struct gw_bus_conf *conf = &world.next_confs[world.n_changes];
    struct gw_device_conf *device = world.next_device_confs[world.n_changes];
    struct gw_bus_change *change;
    size_t from[WORLD_DEVICES];
    bool is_fresh = false;

    assert_true(world.n_changes++ < WORLD_CHANGES);
    *conf = world.conf;
    conf->devices = device;
    conf->n_devices = 0;
    for (const char *c = devices; *c; c++) {
        if (*c != '!') {
            device[conf->n_devices] = world.device_confs[*c - '0'];
            from[conf->n_devices] = is_fresh ? SIZE_MAX : world_place(device[conf->n_devices].name);
            conf->n_devices++;
        }
        is_fresh = *c == '!';
    }
    assert_int_equal(gw_bus_change_new(world.loop, conf, 200, from, world.loop->n_devices, &change),
                     GW_OK);
    gw_bus_loop_change(world.loop, change);
    gw_bus_change_free(change);
}

/* Steps until the time has come; between steps the clock jumps to where the bus wants to be woken. */
static inline void world_run_until(int64_t until_us)
{
    unsigned n_idle_steps = 0;

    while (world.now_us < until_us) {
        int64_t before_us = world.now_us;
        int64_t wake_us = gw_bus_loop_step(world.loop);

        if (wake_us > world.now_us)
            world.now_us = wake_us < until_us ? wake_us : until_us;
        /* Time passes only in exchanges and waits: steps that do neither must come to an end, else the bus spins. */
        n_idle_steps = world.now_us == before_us ? n_idle_steps + 1 : 0;
        assert_true(n_idle_steps < 10);
    }
}

static inline void world_run(int64_t us)
{
    world_run_until(world.now_us + us);
}

/* ---- looking at what happened ----------------------------------------------------------------------- */

static inline size_t count_exchanges(size_t device, int64_t since_us)
{
    size_t n = 0;

    for (size_t i = 0; i < world.n_exchanges; i++)
        n += world.exchanges[i].device == device && world.exchanges[i].at_us >= since_us;
    return n;
}

/* Messages on a topic since then whose payload contains the text. */
static inline size_t count_messages(const char *topic, const char *text, int64_t since_us)
{
    size_t n = 0;

    for (size_t i = 0; i < world.n_messages; i++)
        n += world.messages[i].at_us >= since_us && strcmp(world.messages[i].topic, topic) == 0 &&
             strstr(world.messages[i].payload, text);
    return n;
}

static inline const struct world_message *last_message(const char *topic)
{
    for (size_t i = world.n_messages; i > 0; i--)
        if (strcmp(world.messages[i - 1].topic, topic) == 0)
            return &world.messages[i - 1];
    fail_msg("no message on %s", topic);
    abort();
}

static inline void assert_last(const char *topic, const char *text)
{
    const struct world_message *m = last_message(topic);

    if (!strstr(m->payload, text))
        fail_msg("%s: %s has no %s", topic, m->payload, text);
}

#endif
