/* plan: points to requests, by dynamic programming over their extents. See plan.h for the words. */
#include "drivers/modbus/plan.h"

#include <string.h>

#include "drivers/modbus/wire.h"

enum {
    RTU_REQUEST_CHARS = 8, /* address, function, first, count, CRC */
    RTU_REPLY_CHARS = 5,   /* address, function, byte count, CRC */
    TCP_REQUEST_BYTES = 12,
    TCP_REPLY_BYTES = 9,
    LINE_TURNAROUND_US = 5000,
    TCP_TURNAROUND_US = 2000,
    TCP_HOP_US = 1000, /* through a device server */
    TCP_BYTE_US = 1,   /* network stacks and a small device's copying, far more than the cable */
    UNITS_MAX = 2000,
};

static const struct modbus_point_conf *point_conf(const struct gw_device *device, uint16_t point)
{
    return device->points[point];
}

/* ---- cost ---- */

static unsigned data_bytes(enum modbus_area area, uint32_t units)
{
    return modbus_area_is_bits(area) ? (units + 7) / 8 : units * 2;
}

uint32_t modbus_request_us(const struct modbus_bus_conf *bus,
                           const struct modbus_device_conf *device, enum modbus_area area,
                           uint16_t units)
{
    unsigned bytes = data_bytes(area, units);
    bool has_line = bus->transport != MODBUS_TCP;
    int64_t pause_us = has_line ? modbus_silence_us(bus) : 0;
    int64_t us = device->turnaround_us ? device->turnaround_us
                 : has_line            ? LINE_TURNAROUND_US
                                       : TCP_TURNAROUND_US;

    if (pause_us < bus->request_delay_us)
        pause_us = bus->request_delay_us;
    us += pause_us + device->request_delay_us;
    if (has_line)
        us += modbus_char_us(bus, RTU_REQUEST_CHARS + RTU_REPLY_CHARS + bytes);
    else
        us += (TCP_REQUEST_BYTES + TCP_REPLY_BYTES + bytes) * TCP_BYTE_US;
    if (bus->transport == MODBUS_RTU_OVER_TCP)
        us += TCP_HOP_US;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* ---- extents ---- */

struct modbus_span modbus_hull(struct modbus_span a, struct modbus_span b)
{
    return (struct modbus_span){a.area, a.first < b.first ? a.first : b.first,
                                a.end > b.end ? a.end : b.end};
}

struct modbus_span modbus_value_span(const struct modbus_device_conf *device,
                                     const struct modbus_point_conf *point)
{
    uint32_t units = modbus_point_units(point);
    struct modbus_span span = {point->address.area, point->address.first,
                               point->address.first + units};
    struct modbus_span low = {point->address.area, point->low_part.first,
                              point->low_part.first + units};

    if (modbus_area_is_bits(span.area) && device->coil_block > 1)
        span.first -= span.first % (uint32_t)device->coil_block;
    return point->low_part.is_set ? modbus_hull(span, low) : span;
}

struct modbus_span modbus_scale_span(const struct modbus_point_conf *point)
{
    const struct modbus_address *scale = &point->scale_register;

    return (struct modbus_span){scale->area, scale->first, scale->first + 1u};
}

static bool precedes(const struct modbus_extent *a, const struct modbus_extent *b)
{
    if (a->group != b->group)
        return a->group < b->group;
    if (a->first != b->first)
        return a->first < b->first;
    return a->end != b->end ? a->end < b->end : a->point < b->point;
}

static void sift_down(struct modbus_extent *extents, size_t root, size_t n)
{
    struct modbus_extent moved = extents[root];

    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && precedes(&extents[child], &extents[child + 1]))
            child++;
        if (!precedes(&moved, &extents[child]))
            break;
        extents[root] = extents[child];
    }
    extents[root] = moved;
}

/* A heap sort: qsort may allocate. Points mostly come in order already. */
void modbus_sort_extents(struct modbus_extent *extents, size_t n)
{
    size_t i = 1;

    while (i < n && !precedes(&extents[i], &extents[i - 1]))
        i++;
    if (i >= n)
        return;
    for (i = n / 2; i-- > 0;)
        sift_down(extents, i, n);
    for (i = n - 1; i > 0; i--) {
        struct modbus_extent last = extents[i];
        extents[i] = extents[0];
        extents[0] = last;
        sift_down(extents, 0, i);
    }
}

/* Holding registers come after input registers, so that a setpoint finds its scale already read. */
enum group_bits {
    GROUP_MERGED = 0,
    GROUP_HOLES = 1, /* extents that would take their neighbours down with them */
    GROUP_ALONE = 2, /* one request for each point */
    GROUP_KIND = 3,
    GROUP_AREA_SHIFT = 2,
    GROUP_LATER = 16, /* than scales that are read by themselves */
};

static unsigned area_bits(enum modbus_area area)
{
    static const uint8_t ranks[] = {
        [MODBUS_COIL] = 0, [MODBUS_DISCRETE] = 1, [MODBUS_INPUT] = 2, [MODBUS_HOLDING] = 3};

    return (unsigned)ranks[area] << GROUP_AREA_SHIFT;
}

static enum modbus_area area_of(uint8_t group)
{
    static const enum modbus_area areas[] = {MODBUS_COIL, MODBUS_DISCRETE, MODBUS_INPUT,
                                             MODBUS_HOLDING};

    return areas[group >> GROUP_AREA_SHIFT & 3];
}

static bool is_bad(const struct modbus_device *state, const struct modbus_span *span)
{
    return modbus_bad_end(state, span->area, span->first) <= span->end;
}

static void add_extent(struct modbus_device *state, size_t *n_extents,
                       const struct modbus_span *span, uint16_t point, unsigned group)
{
    if (!(group & GROUP_ALONE) && is_bad(state, span))
        group |= GROUP_HOLES;
    state->extents[(*n_extents)++] = (struct modbus_extent){
        span->first, span->end, point, (uint8_t)(group | area_bits(span->area))};
}

static void add_point(const struct gw_device *device, uint16_t index, size_t *n_extents)
{
    struct modbus_device *state = device->state;
    const struct modbus_device_conf *conf = device->conf;
    const struct modbus_point_conf *point = point_conf(device, index);
    struct modbus_span value = modbus_value_span(conf, point);

    if (point->scale_register.is_set) {
        struct modbus_span scale = modbus_scale_span(point), hull = modbus_hull(value, scale);
        if (scale.area == value.area && hull.end - hull.first <= (uint32_t)conf->max_registers &&
            !is_bad(state, &hull))
            value = hull;
        else /* input registers are read before holding registers anyway */
            add_extent(state, n_extents, &scale, index,
                       scale.area == MODBUS_INPUT && value.area == MODBUS_HOLDING ? GROUP_LATER
                                                                                  : 0);
    }
    add_extent(state, n_extents, &value, index,
               GROUP_LATER | (point->read_alone ? GROUP_ALONE : GROUP_MERGED));
}

/* ---- requests ---- */

struct modbus_read modbus_read_of(const struct gw_request *request)
{
    const uint32_t *priv = request->priv;
    uint32_t first = priv[0] & 0xFFFF;

    return (struct modbus_read){
        .span = {(enum modbus_area)(priv[0] >> 16), first, first + priv[1]},
        .generation = priv[3],
        .trial = priv[2] & 0x7FFFFFFF,
        .half = (uint8_t)(priv[2] >> 31),
    };
}

struct bitmap {
    uint8_t bytes[(UNITS_MAX + 7) / 8];
    uint16_t n_set;
};

static void mark(struct bitmap *map, const struct modbus_span *request, enum modbus_area area,
                 uint32_t first, uint32_t count)
{
    const struct modbus_span span = {area, first, first + count};

    if (!modbus_span_covers(request, &span))
        return;
    for (uint32_t i = first - request->first; i < first - request->first + count; i++) {
        map->n_set = (uint16_t)(map->n_set + !(map->bytes[i / 8] >> i % 8 & 1));
        map->bytes[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

static uint16_t count_wanted(const struct gw_device *device, const struct modbus_span *request,
                             const struct modbus_extent *extents, size_t n_extents)
{
    struct bitmap map = {.n_set = 0};

    for (size_t i = 0; i < n_extents; i++) {
        const struct modbus_point_conf *point = point_conf(device, extents[i].point);
        uint16_t units = modbus_point_units(point);
        mark(&map, request, point->address.area, point->address.first, units);
        if (point->low_part.is_set)
            mark(&map, request, point->low_part.area, point->low_part.first, units);
        if (point->scale_register.is_set)
            mark(&map, request, point->scale_register.area, point->scale_register.first, 1);
    }
    return map.n_set;
}

enum gw_err modbus_emit(const struct gw_device *device, struct gw_plan *plan,
                        const struct modbus_read *read, const struct modbus_extent *extents,
                        size_t n_extents)
{
    const struct modbus_device *state = device->state;
    uint32_t units = read->span.end - read->span.first;

    if (plan->n_requests >= plan->max_requests || plan->n_members + n_extents > plan->max_members)
        return GW_E_FULL;
    plan->requests[plan->n_requests++] = (struct gw_request){
        .wire_us = state->cost_us[data_bytes(read->span.area, units)],
        .first_member = (uint16_t)plan->n_members,
        .n_members = (uint16_t)n_extents,
        .n_units = (uint16_t)units,
        .n_wanted = count_wanted(device, &read->span, extents, n_extents),
        .priv = {read->span.first | (uint32_t)read->span.area << 16, units,
                 read->trial | (uint32_t)read->half << 31, read->generation},
    };
    for (size_t i = 0; i < n_extents; i++)
        plan->members[plan->n_members++] = extents[i].point;
    return GW_OK;
}

static enum gw_err emit_run(const struct gw_device *device, struct gw_plan *plan, size_t begin,
                            size_t end)
{
    const struct modbus_device *state = device->state;
    const struct modbus_extent *extents = state->extents + begin;
    struct modbus_read read = {.span = {area_of(extents->group), extents->first, extents->end}};

    for (size_t i = 1; i < end - begin; i++)
        if (extents[i].end > read.span.end)
            read.span.end = extents[i].end;
    return modbus_emit(device, plan, &read, extents, end - begin);
}

static bool has_same_span(const struct modbus_extent *a, const struct modbus_extent *b)
{
    return a->first == b->first && a->end == b->end;
}

/* One request for each point, or for each span that points share. */
static enum gw_err plan_single(const struct gw_device *device, struct gw_plan *plan, size_t begin,
                               size_t end)
{
    const struct modbus_device *state = device->state;
    bool is_alone = state->extents[begin].group & GROUP_ALONE;
    enum gw_err err = GW_OK;

    for (size_t next; !err && begin < end; begin = next) {
        next = begin + 1;
        while (!is_alone && next < end &&
               has_same_span(&state->extents[begin], &state->extents[next]))
            next++;
        err = emit_run(device, plan, begin, next);
    }
    return err;
}

/* Lets requests that begin with item i compete for the best way to read all up to where they end.
 * Only runs of sorted items need to be looked at: when a request took an item out of the run of another, one of the two
 * would contain the other, or could hand the item over without reading more. */
static void relax(const struct gw_device *device, size_t i, size_t n_items)
{
    struct modbus_device *state = device->state;
    const struct modbus_device_conf *conf = device->conf;
    const struct modbus_extent *begin = &state->extents[state->items[i]];
    enum modbus_area area = area_of(begin->group);
    bool is_bits = modbus_area_is_bits(area);
    uint32_t max_units = (uint32_t)(is_bits ? conf->max_bits : conf->max_registers);
    uint32_t max_gap = (uint32_t)(is_bits ? conf->max_gap_bits : conf->max_gap);
    uint32_t bad_end = modbus_bad_end(state, area, begin->first), end = begin->end;

    for (size_t j = i; j < n_items; j++) {
        const struct modbus_extent *item = &state->extents[state->items[j]];
        if (item->first > end + max_gap)
            break;
        end = item->end > end ? item->end : end;
        if (j > i && (end - begin->first > max_units || end >= bad_end))
            break;
        uint64_t us = state->best_us[i] + state->cost_us[data_bytes(area, end - begin->first)];
        if (us < state->best_us[j + 1]) {
            state->best_us[j + 1] = us;
            state->from[j + 1] = (uint32_t)i;
        }
    }
}

static enum gw_err plan_merged(const struct gw_device *device, struct gw_plan *plan, size_t begin,
                               size_t end)
{
    struct modbus_device *state = device->state;
    size_t n_items = 0;
    enum gw_err err = GW_OK;

    for (size_t i = begin; i < end; i++)
        if (i == begin || !has_same_span(&state->extents[i - 1], &state->extents[i])) {
            state->items[n_items] = (uint32_t)i;
            state->best_us[n_items++] = UINT64_MAX;
        }
    state->items[n_items] = (uint32_t)end;
    state->best_us[n_items] = UINT64_MAX;
    state->best_us[0] = 0;
    for (size_t i = 0; i < n_items; i++)
        relax(device, i, n_items);

    /* `from` leads backwards; turn it round, so that requests go out by address. */
    uint32_t next = UINT32_MAX;
    for (uint32_t at = (uint32_t)n_items; at != UINT32_MAX;) {
        uint32_t before = at ? state->from[at] : UINT32_MAX;
        state->from[at] = next;
        next = at;
        at = before;
    }
    for (uint32_t at = 0; !err && state->from[at] != UINT32_MAX; at = state->from[at])
        err = emit_run(device, plan, state->items[at], state->items[state->from[at]]);
    return err;
}

enum gw_err modbus_plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan)
{
    struct modbus_device *state = device->state;
    size_t n_extents = 0;
    enum gw_err err = GW_OK;

    state->generation++;
    state->n_trials = 0;
    ret_plan->n_requests = ret_plan->n_members = 0;
    for (size_t i = 0; i < n_points; i++)
        add_point(device, points[i], &n_extents);
    modbus_sort_extents(state->extents, n_extents);
    for (size_t begin = 0, end; !err && begin < n_extents; begin = end) {
        uint8_t group = state->extents[begin].group;
        for (end = begin + 1; end < n_extents && state->extents[end].group == group;)
            end++;
        err = group & GROUP_KIND ? plan_single(device, ret_plan, begin, end)
                                 : plan_merged(device, ret_plan, begin, end);
    }
    return err;
}
