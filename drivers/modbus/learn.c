/* learn: what the device refused and what follows from it for later requests; how a refused request is split. */
#include "drivers/modbus/plan.h"

#include <stdlib.h>
#include <string.h>

enum { EXCEPTION_ILLEGAL_FUNCTION = 1 };

/* ---- sets of intervals ---- */

/* The first interval of the area that begins at `first` or later; it also ends first. */
static size_t find_span(const struct modbus_spans *set, enum modbus_area area, uint32_t first)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct modbus_span *span = &set->spans[middle];
        if (span->area < area || (span->area == area && span->first < first))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t first_end(const struct modbus_spans *set, enum modbus_area area, uint32_t first)
{
    size_t at = find_span(set, area, first);

    return at < set->n && set->spans[at].area == area ? set->spans[at].end : UINT32_MAX;
}

static void remove_spans(struct modbus_spans *set, size_t begin, size_t end)
{
    memmove(set->spans + begin, set->spans + end, (set->n - end) * sizeof *set->spans);
    set->n -= end - begin;
}

static void add_span(struct modbus_spans *set, const struct modbus_span *span)
{
    if (first_end(set, span->area, span->first) <= span->end)
        return; /* something narrower is known */
    size_t end = find_span(set, span->area, span->first);
    size_t begin = end;
    while (end < set->n && modbus_span_covers(&set->spans[end], span))
        end++;
    while (begin > 0 && modbus_span_covers(&set->spans[begin - 1], span))
        begin--;
    remove_spans(set, begin, end);
    if (set->n >= set->max)
        return; /* full: what is not learnt is asked again */
    memmove(set->spans + begin + 1, set->spans + begin, (set->n - begin) * sizeof *set->spans);
    set->spans[begin] = *span;
    set->n++;
}

static void remove_within(struct modbus_spans *set, const struct modbus_span *outer)
{
    size_t begin = find_span(set, outer->area, outer->first), end = begin;

    while (end < set->n && modbus_span_covers(outer, &set->spans[end]))
        end++;
    remove_spans(set, begin, end);
}

uint32_t modbus_bad_end(const struct modbus_device *state, enum modbus_area area, uint32_t first)
{
    uint32_t refused = first_end(&state->refusals, area, first);
    uint32_t cut = first_end(&state->cuts, area, first);

    return refused < cut ? refused : cut;
}

void modbus_forget(struct gw_device *device)
{
    struct modbus_device *state = device->state;

    state->refusals.n = state->cuts.n = state->n_trials = 0;
    state->generation++;
}

/* ---- what a member wants of a request ---- */

static const struct modbus_point_conf *point_conf(const struct gw_device *device, uint16_t point)
{
    return device->points[point];
}

/* True when the request brings the value of the point together with its scale. */
static bool has_both(const struct gw_device *device, const struct modbus_point_conf *point,
                     const struct modbus_span *request)
{
    struct modbus_span value = modbus_value_span(device->conf, point);
    struct modbus_span scale = modbus_scale_span(point);

    return point->scale_register.is_set && modbus_span_covers(request, &value) &&
           modbus_span_covers(request, &scale);
}

static struct modbus_extent extent_of(const struct gw_device *device, uint16_t index,
                                      const struct modbus_span *request)
{
    const struct modbus_point_conf *point = point_conf(device, index);
    struct modbus_span value = modbus_value_span(device->conf, point);

    if (has_both(device, point, request))
        value = modbus_hull(value, modbus_scale_span(point));
    else if (!modbus_span_covers(request, &value))
        value = modbus_scale_span(point);
    return (struct modbus_extent){value.first, value.end, index, 0};
}

static bool is_whole(const struct modbus_extent *extent, const struct modbus_span *span)
{
    return extent->first == span->first && extent->end == span->end;
}

/* ---- answers and refusals ---- */

void modbus_learn_answer(struct gw_device *device, const struct gw_request *request)
{
    struct modbus_device *state = device->state;
    struct modbus_read read = modbus_read_of(request);

    remove_within(&state->refusals, &read.span);
    remove_within(&state->cuts, &read.span);
    if (!read.trial || read.generation != state->generation)
        return;
    struct modbus_trial *trial = &state->trials[read.trial - 1];
    trial->answered |= (uint8_t)(1u << read.half);
    if (trial->answered == 3) {
        add_span(&state->refusals, &trial->refused);
        add_span(&state->cuts, &trial->cut);
    }
}

void modbus_learn_refusal(struct gw_device *device, const struct gw_request *request,
                          const uint16_t *members, int exception)
{
    struct modbus_device *state = device->state;
    struct modbus_read read = modbus_read_of(request);

    state->refused.priv[0] = request->priv[0];
    state->refused.priv[1] = request->priv[1];
    state->refused.exception = exception;
    if (exception == EXCEPTION_ILLEGAL_FUNCTION)
        return; /* says nothing of the registers */
    for (size_t i = 0; i < request->n_members; i++) {
        struct modbus_extent extent = extent_of(device, members[i], &read.span);
        if (!is_whole(&extent, &read.span))
            return;
    }
    add_span(&state->refusals, &read.span);
}

/* ---- splitting ---- */

struct halves {
    struct modbus_span spans[2];
    size_t begin[3]; /* of the extents of each half, and the end */
};

static struct modbus_span span_of(enum modbus_area area, const struct modbus_extent *extents,
                                  size_t n)
{
    struct modbus_span span = {area, extents[0].first, extents[0].end};

    for (size_t i = 1; i < n; i++) {
        span.first = extents[i].first < span.first ? extents[i].first : span.first;
        span.end = extents[i].end > span.end ? extents[i].end : span.end;
    }
    return span;
}

static bool equal_spans(const struct modbus_span *a, const struct modbus_span *b)
{
    return a->first == b->first && a->end == b->end;
}

/* Two smaller requests whose answers tell where the trouble is. The interval that would be to blame if both are answered:
 * what lies between them; when nothing does, since they overlap, all of it. */
static enum gw_err emit_halves(const struct gw_device *device, struct gw_plan *plan,
                               const struct modbus_read *refused, const struct halves *halves)
{
    struct modbus_device *state = device->state;
    const struct modbus_span *spans = halves->spans;
    uint32_t trial = 0;
    enum gw_err err = GW_OK;

    if (state->n_trials < state->max_extents && !equal_spans(&spans[0], &refused->span) &&
        !equal_spans(&spans[1], &refused->span)) {
        const struct modbus_span *left = &spans[spans[1].first < spans[0].first];
        const struct modbus_span *right = &spans[spans[1].first >= spans[0].first];
        struct modbus_span cut = {left->area, left->end - 1, right->first + 1};
        if (left->end > right->first)
            cut = refused->span;
        state->trials[state->n_trials++] = (struct modbus_trial){cut, refused->span, 0};
        trial = (uint32_t)state->n_trials;
    }
    for (uint8_t half = 0; !err && half < 2; half++) {
        struct modbus_read read = {spans[half], state->generation, trial, half};
        err = modbus_emit(device, plan, &read, state->extents + halves->begin[half],
                          halves->begin[half + 1] - halves->begin[half]);
    }
    return err;
}

/* Chooses where to split sorted extents: if possible so that both halves read less than the whole, and nearest the middle.
 * Extents of one span stay together. 0: they are all of one span. */
static size_t choose_boundary(const struct modbus_extent *extents, size_t n,
                              const struct modbus_span *whole)
{
    uint32_t middle = whole->first + (whole->end - whole->first) / 2, left_end = 0;
    size_t best = 0, n_whole_end = 0;
    uint64_t best_rank = UINT64_MAX;

    for (size_t i = 0; i < n; i++)
        n_whole_end += extents[i].end == whole->end;
    for (size_t i = 1; i < n; i++) {
        left_end = extents[i - 1].end > left_end ? extents[i - 1].end : left_end;
        n_whole_end -= extents[i - 1].end == whole->end;
        if (extents[i].first == extents[i - 1].first && extents[i].end == extents[i - 1].end)
            continue;
        bool is_left_whole = left_end == whole->end;
        bool is_right_whole = extents[i].first == whole->first && n_whole_end > 0;
        uint32_t distance =
            extents[i].first > middle ? extents[i].first - middle : middle - extents[i].first;
        uint64_t rank = (uint64_t)(is_left_whole + is_right_whole) << 32 | distance;
        if (rank < best_rank) {
            best_rank = rank;
            best = i;
        }
    }
    return best;
}

/* A value and its scale were refused together: ask for them one by one, the scale first. */
static enum gw_err split_scale(const struct gw_device *device, struct gw_plan *plan,
                               const struct modbus_read *refused, uint16_t index)
{
    struct modbus_device *state = device->state;
    const struct modbus_point_conf *point = point_conf(device, index);
    struct halves halves = {
        {modbus_scale_span(point), modbus_value_span(device->conf, point)},
        {0, 1, 2},
    };

    if (state->max_extents < 2 || modbus_span_covers(&halves.spans[1], &halves.spans[0]))
        return GW_OK;
    state->extents[0].point = state->extents[1].point = index;
    return emit_halves(device, plan, refused, &halves);
}

enum gw_err modbus_split(struct gw_device *device, const struct gw_request *request,
                         const uint16_t *members, struct gw_plan *ret_plan)
{
    struct modbus_device *state = device->state;
    struct modbus_read read = modbus_read_of(request);
    size_t n = request->n_members;
    bool has_scale = false;

    ret_plan->n_requests = ret_plan->n_members = 0;
    if (state->refused.exception == EXCEPTION_ILLEGAL_FUNCTION &&
        state->refused.priv[0] == request->priv[0] && state->refused.priv[1] == request->priv[1])
        return GW_OK;
    for (size_t i = 0; i < n; i++) {
        state->extents[i] = extent_of(device, members[i], &read.span);
        has_scale = has_scale || has_both(device, point_conf(device, members[i]), &read.span);
    }
    modbus_sort_extents(state->extents, n);
    size_t boundary = choose_boundary(state->extents, n, &read.span);
    if (!boundary && n == 1 && has_scale)
        return split_scale(device, ret_plan, &read, members[0]);
    if (!boundary && has_scale)
        boundary = n / 2;
    if (!boundary) {
        /* Also a request that is met with silence while others are answered is split, and no exception told of it. */
        modbus_learn_refusal(device, request, members, 0);
        return GW_OK;
    }
    struct halves halves = {{span_of(read.span.area, state->extents, boundary),
                             span_of(read.span.area, state->extents + boundary, n - boundary)},
                            {0, boundary, n}};
    return emit_halves(device, ret_plan, &read, &halves);
}
