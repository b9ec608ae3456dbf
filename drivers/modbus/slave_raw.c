/* slave_raw: the raw requests of simulated devices: each is answered as its point says. */
#include <string.h>

#include "drivers/modbus/slave_impl.h"
#include "drivers/modbus/wire.h"

size_t slave_raw_frame_len(const struct gw_sim *sim, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < sim->bus->n_devices; i++)
        for (size_t k = 0; k < sim->bus->devices[i].n_points; k++) {
            const struct modbus_point_conf *point = sim->bus->devices[i].points[k];
            size_t len = point->request.n;
            if (modbus_is_raw(point) && n >= len + 3 &&
                memcmp(bytes + 1, point->request.bytes, len) == 0 &&
                modbus_crc16(bytes, len + 1) == (bytes[len + 1] | bytes[len + 2] << 8))
                return len + 3;
        }
    return 0;
}

static bool is_asked_for(const struct modbus_point_conf *point, const uint8_t *pdu, size_t len)
{
    return modbus_is_raw(point) && point->request.n == len &&
           memcmp(point->request.bytes, pdu, len) == 0;
}

/* Looks for the point of the unit that has this request. */
static const struct modbus_point_conf *find(const struct gw_sim *sim, uint8_t unit,
                                            const uint8_t *pdu, size_t len)
{
    const struct gw_value done = {.kind = GW_BOOL, .b = true};

    for (size_t i = 0; i < sim->bus->n_devices; i++) {
        const struct gw_device *device = &sim->bus->devices[i];
        const struct modbus_device_conf *conf = device->conf;
        for (size_t k = 0; conf->unit == unit && k < device->n_points; k++)
            if (is_asked_for(device->points[k], pdu, len)) {
                sim->written(sim->ctx, device, k, &done);
                return device->points[k];
            }
    }
    return NULL;
}

size_t slave_raw_answer(const struct gw_sim *sim, uint8_t unit, const uint8_t *pdu, size_t len,
                        uint8_t *reply)
{
    const struct modbus_point_conf *point = find(sim, unit, pdu, len);

    if (!point)
        return 0;
    memcpy(reply, modbus_raw_reply(point)->bytes, modbus_raw_reply(point)->n);
    return modbus_raw_reply(point)->n;
}
