/* device: the memory of a device's state, laid out once. */
#include "drivers/modbus/plan.h"

#include <stdalign.h>

#include "drivers/modbus/regs.h"

static const struct modbus_point_conf *point_conf(const struct gw_device *device, size_t point)
{
    return device->points[point];
}

/* Bytes that a text of a point can take; a character of Latin-1 is two bytes of UTF-8. */
static size_t text_size(const struct modbus_point_conf *point)
{
    struct modbus_type_spec type = modbus_point_type(point);

    if (modbus_area_is_bits(point->address.area) || modbus_type_is_number(type.type))
        return 0;
    switch (type.type) {
    case MODBUS_STRING:
    case MODBUS_STRING_LOW:
    case MODBUS_STRING_HIGH:
    case MODBUS_RAW:
        return type.n_regs * 4u;
    default:
        return 48; /* an IPv6 address or a time with its NUL */
    }
}

/* Places one array behind the others; base NULL only counts. */
static void *place(char *base, size_t *size, size_t count, size_t each)
{
    size_t at = (*size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);

    *size = at + count * each;
    return base ? base + at : NULL;
}

/* Gives the size of the state; sets the pointers of *state to the arrays behind base. */
static size_t lay_out(const struct gw_device *device, struct modbus_device *state, char *base)
{
    size_t size = sizeof *state, n_texts = 0, n_extents = device->n_points;

    for (size_t i = 0; i < device->n_points; i++) {
        n_extents += point_conf(device, i)->scale_register.is_set;
        n_texts += text_size(point_conf(device, i));
    }
    const bool has_scales = n_extents > device->n_points;
    state->max_extents = n_extents;
    state->refusals.max = state->cuts.max = n_extents;
    state->extents = place(base, &size, n_extents, sizeof *state->extents);
    state->best_us = place(base, &size, n_extents + 1, sizeof *state->best_us);
    state->from = place(base, &size, n_extents + 1, sizeof *state->from);
    state->items = place(base, &size, n_extents + 1, sizeof *state->items);
    state->refusals.spans = place(base, &size, n_extents, sizeof(struct modbus_span));
    state->cuts.spans = place(base, &size, n_extents, sizeof(struct modbus_span));
    state->trials = place(base, &size, n_extents, sizeof *state->trials);
    state->scales = place(base, &size, has_scales ? device->n_points : 0, sizeof *state->scales);
    state->text_at = place(base, &size, n_texts > 0 ? device->n_points : 0, sizeof *state->text_at);
    state->texts = place(base, &size, n_texts, 1);
    return size;
}

size_t modbus_device_size(const struct gw_device *device)
{
    struct modbus_device state;

    return lay_out(device, &state, NULL);
}

enum gw_err modbus_prepare(struct gw_device *device)
{
    struct modbus_device *state = device->state;
    uint32_t at = 0;

    lay_out(device, state, device->state);
    for (size_t i = 0; i < device->n_points; i++) {
        const size_t n_bytes = text_size(point_conf(device, i));

        if (n_bytes == 0)
            continue;
        state->text_at[i] = at;
        at += (uint32_t)n_bytes;
    }
    for (uint16_t n_bytes = 0; n_bytes <= 250; n_bytes++)
        state->cost_us[n_bytes] = modbus_request_us(device->bus->conf, device->conf, MODBUS_COIL,
                                                    (uint16_t)(n_bytes * 8));
    return GW_OK;
}
