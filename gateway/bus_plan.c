/* bus_plan: plans of a device remembered per set of groups, and its stack of requests to run.
 * Allocates only at the start, and when a plan is larger than all before it in its place; in steady state never. */
#include "gateway/bus_run.h"

#include <stdlib.h>
#include <string.h>

static size_t list_due(struct gw_bus_loop *loop, const struct gw_bus_device *dev, uint64_t groups)
{
    size_t n = 0;

    for (size_t i = 0; i < dev->conf->n_points; i++) {
        const struct gw_bus_point *point = &dev->points[i];

        if (point->group != GW_SCHEDULE_NO_GROUP && groups >> point->group & 1 &&
            !point->block.is_blocked)
            loop->due[n++] = (uint16_t)i;
    }
    return n;
}

/* Makes room for so many in all. It stays as large as it ever had to be, which is little for most devices. */
static bool reserve(struct gw_plan *plan, size_t n_requests, size_t n_members)
{
    if (plan->max_requests < n_requests) {
        struct gw_request *requests = reallocarray(plan->requests, n_requests, sizeof *requests);

        if (!requests)
            return false;
        plan->requests = requests;
        plan->max_requests = n_requests;
    }
    if (plan->max_members < n_members) {
        uint16_t *members = reallocarray(plan->members, n_members, sizeof *members);

        if (!members)
            return false;
        plan->members = members;
        plan->max_members = n_members;
    }
    return true;
}

static struct gw_bus_plan *least_recently_used(struct gw_bus_device *dev)
{
    struct gw_bus_plan *oldest = &dev->plans[0];

    for (size_t i = 0; i < dev->max_plans; i++) {
        if (dev->plans[i].epoch != dev->epoch)
            return &dev->plans[i];
        if (dev->n_plans_used - dev->plans[i].used > dev->n_plans_used - oldest->used)
            oldest = &dev->plans[i];
    }
    return oldest;
}

static enum gw_err make_plan(struct gw_bus_loop *loop, struct gw_bus_device *dev, uint64_t groups,
                             struct gw_bus_plan *entry)
{
    size_t n = list_due(loop, dev, groups);

    entry->epoch = 0;
    loop->scratch.n_requests = loop->scratch.n_members = 0;
    if (n > 0) {
        enum gw_err err = gw_driver_plan(loop->driver, dev->device, loop->due, n, &loop->scratch);

        if (err != GW_OK)
            return err;
    }
    if (!reserve(&entry->plan, loop->scratch.n_requests, loop->scratch.n_members))
        return GW_E_NOMEM;
    entry->plan.n_requests = loop->scratch.n_requests;
    entry->plan.n_members = loop->scratch.n_members;
    if (n > 0) {
        memcpy(entry->plan.requests, loop->scratch.requests,
               loop->scratch.n_requests * sizeof *entry->plan.requests);
        memcpy(entry->plan.members, loop->scratch.members,
               loop->scratch.n_members * sizeof *entry->plan.members);
    }
    entry->groups = groups;
    entry->epoch = dev->epoch;
    return GW_OK;
}

const struct gw_plan *gw_bus_plan_get(struct gw_bus_loop *loop, struct gw_bus_device *dev,
                                      uint64_t groups, enum gw_err *ret_err)
{
    struct gw_bus_plan *entry = NULL;

    *ret_err = GW_OK;
    for (size_t i = 0; i < dev->max_plans && !entry; i++)
        if (dev->plans[i].epoch == dev->epoch && dev->plans[i].groups == groups)
            entry = &dev->plans[i];
    if (!entry) {
        entry = least_recently_used(dev);
        *ret_err = make_plan(loop, dev, groups, entry);
        if (*ret_err != GW_OK)
            return NULL;
    }
    entry->used = ++dev->n_plans_used;
    return entry->plan.n_requests > 0 ? &entry->plan : NULL;
}

bool gw_bus_plans_init(struct gw_bus_device *dev)
{
    size_t n = 1;

    for (size_t i = 0; i < dev->schedule.n_groups && n < GW_BUS_PLANS_MAX; i++)
        n *= 2; /* with it and without it */
    dev->plans = calloc(n, sizeof *dev->plans);
    dev->max_plans = dev->plans ? n : 0;
    return dev->plans;
}

void gw_bus_plans_done(struct gw_bus_device *dev)
{
    for (size_t i = 0; i < dev->max_plans; i++)
        gw_plan_done(&dev->plans[i].plan);
    free(dev->plans);
}

/* Room for so many more. */
static bool reserve_more(struct gw_plan *work, size_t n_requests, size_t n_members)
{
    n_members += work->n_members;
    return n_members <= UINT16_MAX && /* gw_request.first_member */
           reserve(work, work->n_requests + n_requests, n_members);
}

static void stack(struct gw_plan *work, const struct gw_request *request, const uint16_t *members)
{
    struct gw_request *top = &work->requests[work->n_requests++];

    *top = *request;
    top->first_member = (uint16_t)work->n_members;
    memcpy(&work->members[work->n_members], members, request->n_members * sizeof *members);
    work->n_members += request->n_members;
}

bool gw_bus_work_push(struct gw_plan *work, const struct gw_request *request,
                      const uint16_t *members)
{
    if (!reserve_more(work, 1, request->n_members))
        return false;
    stack(work, request, members);
    return true;
}

static bool reserve_for(struct gw_plan *work, const struct gw_plan *plan)
{
    size_t n_members = 0; /* more than plan->n_members where requests share some */

    for (size_t i = 0; i < plan->n_requests; i++)
        n_members += plan->requests[i].n_members;
    return reserve_more(work, plan->n_requests, n_members);
}

/* The first on top. There is room. */
static void stack_all(struct gw_plan *work, const struct gw_plan *plan)
{
    for (size_t i = plan->n_requests; i > 0; i--)
        stack(work, &plan->requests[i - 1], &plan->members[plan->requests[i - 1].first_member]);
}

bool gw_bus_work_push_all(struct gw_plan *work, const struct gw_plan *plan)
{
    if (!reserve_for(work, plan))
        return false;
    stack_all(work, plan);
    return true;
}

bool gw_bus_work_replace_top(struct gw_plan *work, const struct gw_plan *plan)
{
    if (!reserve_for(work, plan))
        return false;
    gw_bus_work_pop(work);
    stack_all(work, plan);
    return true;
}

const uint16_t *gw_bus_work_members(const struct gw_plan *work)
{
    return &work->members[work->requests[work->n_requests - 1].first_member];
}

void gw_bus_work_pop(struct gw_plan *work)
{
    work->n_requests--;
    work->n_members = work->requests[work->n_requests].first_member;
}

bool gw_bus_work_is_same(const struct gw_request *a, const uint16_t *a_members,
                         const struct gw_request *b, const uint16_t *b_members)
{
    return a->n_members == b->n_members && memcmp(a->priv, b->priv, sizeof a->priv) == 0 &&
           memcmp(a_members, b_members, a->n_members * sizeof *a_members) == 0;
}
