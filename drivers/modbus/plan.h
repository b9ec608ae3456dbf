/* plan: points to requests, with the least time on the wire; what the device refused, and what follows from it.
 * Pure: no I/O. All memory is in the device state, sized by modbus_device_size; nothing is allocated later.
 *
 * DESIGN: an extent is what has to be read in one piece: a value with its low half and, when both fit in a request, its
 * scale register. Extents never split. No request for more than one extent may contain an interval that is known
 * to be bad. Those are: a single extent that was refused (a hole); a request that was refused while both its halves
 * were answered; and then also what lies between the halves, with the unit on either side (a cut). An answer over an
 * interval disproves it; a cut is a guess, which is wrong for a device that reads fewer registers at once than it says,
 * so that refusals are kept for themselves. Only minimal intervals are kept: there are no more than extents. */
#ifndef MODBUS_PLAN_H
#define MODBUS_PLAN_H

#include "drivers/modbus/conf.h"

struct modbus_span {
    enum modbus_area area;
    uint32_t first, end; /* end is the first one behind */
};

/* The registers or bits of a value with its low half; for bits from a multiple of coil_block on. */
struct modbus_span modbus_value_span(const struct modbus_device_conf *device,
                                     const struct modbus_point_conf *point);
static inline bool modbus_span_covers(const struct modbus_span *outer,
                                      const struct modbus_span *inner)
{
    return outer->area == inner->area && outer->first <= inner->first && outer->end >= inner->end;
}

/* Predicted time on the wire of reading `units` registers or bits in one request, silence and turnaround included. */
uint32_t modbus_request_us(const struct modbus_bus_conf *bus,
                           const struct modbus_device_conf *device, enum modbus_area area,
                           uint16_t units);

struct modbus_extent {
    uint32_t first, end;
    uint16_t point;
    uint8_t
        group; /* extents of different groups are not merged; requests go out in the order of groups */
};

/* Intervals sorted by area and first; none contains another, so that their ends are in order too. */
struct modbus_spans {
    struct modbus_span *spans;
    size_t n, max;
};

/* Two halves of a refused request: when both are answered as they stand, the cut is believed. */
struct modbus_trial {
    struct modbus_span cut, refused;
    uint8_t answered; /* bit 0: first half, bit 1: second */
};

/* The scale of a point whose scale register is read in a request of its own, before the value's. It serves one value. */
struct modbus_scale {
    int64_t read_us;
    int32_t exp10;
    bool is_read, is_good;
};

/* The state of a device. */
struct modbus_device {
    struct {
        uint32_t priv[2];
        int exception;
    } refused; /* the last refused request */
    struct modbus_extent *extents;
    size_t max_extents;
    uint64_t *best_us;            /* of the extents up to here */
    uint32_t *from;               /* where the last request of the best begins */
    uint32_t *items;              /* extents of the same span are one item: where it begins */
    struct modbus_spans refusals; /* holes, and requests whose halves were answered */
    struct modbus_spans cuts; /* what must be to blame for them, as long as nothing disproves it */
    struct modbus_trial *trials;
    size_t n_trials;
    uint32_t generation;         /* of the trials: they begin anew with each plan */
    struct modbus_scale *scales; /* by point; none where no point has a scale register */
    uint32_t *text_at; /* by point: where its text is in texts; none where there are no texts */
    char *texts;
    uint32_t cost_us[251]; /* of a request, by bytes of data in its answer */
};

size_t modbus_device_size(const struct gw_device *device);
enum gw_err modbus_prepare(struct gw_device *device);

enum gw_err modbus_plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan);
enum gw_err modbus_split(struct gw_device *device, const struct gw_request *request,
                         const uint16_t *members, struct gw_plan *ret_plan);
void modbus_forget(struct gw_device *device);

/* What execute has to tell: a request was answered, or refused with an exception. */
void modbus_learn_answer(struct gw_device *device, const struct gw_request *request);
void modbus_learn_refusal(struct gw_device *device, const struct gw_request *request,
                          const uint16_t *members, int exception);

/* ---- between plan.c and learn.c ---- */

/* What a request reads, out of its private words. */
struct modbus_read {
    struct modbus_span span;
    uint32_t generation;
    uint32_t trial; /* index + 1 in trials; 0: none */
    uint8_t half;
};
struct modbus_read modbus_read_of(const struct gw_request *request);

/* Appends a request for extents that the caller has put in order. GW_E_FULL when the plan has no room. */
GW_MUST_CHECK enum gw_err modbus_emit(const struct gw_device *device, struct gw_plan *plan,
                                      const struct modbus_read *read,
                                      const struct modbus_extent *extents, size_t n_extents);
/* Sorts by group, first, end. In place. */
void modbus_sort_extents(struct modbus_extent *extents, size_t n);

/* The end of the bad interval that a growing request from `first` on contains first; UINT32_MAX without one. */
uint32_t modbus_bad_end(const struct modbus_device *state, enum modbus_area area, uint32_t first);
/* The registers of a scale. Only for points that have one. */
struct modbus_span modbus_scale_span(const struct modbus_point_conf *point);
/* Least span of both, which are in one area. */
struct modbus_span modbus_hull(struct modbus_span a, struct modbus_span b);

#endif
