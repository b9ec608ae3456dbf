/* slave_fault: draws the faults of a simulated bus and spoils answers. Pure but for the state of the dice. */
#include <string.h>

#include "drivers/modbus/slave_impl.h"

uint64_t slave_draw(uint64_t *random, uint64_t below)
{
    /* xorshift64: the same seed gives the same faults on every machine. */
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (*random >> 11) % below;
}

enum slave_fault slave_draw_fault(const struct gw_sim_faults *faults, uint64_t *random)
{
    const double percents[] = {faults->drop, faults->delay, faults->exception, faults->garbage};
    double drawn = (double)slave_draw(random, 1000000) / 10000;

    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        if (drawn < percents[i])
            return (enum slave_fault)(SLAVE_DROP + i);
        drawn -= percents[i];
    }
    return SLAVE_GOOD;
}

size_t slave_make_exception(uint8_t *reply, uint64_t *random)
{
    static const uint8_t codes[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 11};

    reply[0] |= 0x80;
    reply[1] = codes[slave_draw(random, sizeof codes)];
    return 2;
}

size_t slave_make_garbage(uint8_t *frame, size_t len, bool is_tcp, uint64_t *random)
{
    size_t unit_at = is_tcp ? MODBUS_MBAP_LEN - 1 : 0;

    switch (slave_draw(random, 4)) {
    case 0: /* noise */
        for (size_t i = 0; i < len; i++)
            frame[i] = (uint8_t)slave_draw(random, 256);
        return len;
    case 1: /* too short */
        return 1 + (size_t)slave_draw(random, len - 1);
    case 2: /* wrong check, or wrong transaction */
        frame[is_tcp ? 0 : len - 1] ^= 0x5A;
        return len;
    default: /* wrong unit, in a sound frame */
        frame[unit_at] ^= 0x40;
        if (!is_tcp) {
            uint8_t pdu[MODBUS_PDU_MAX];
            memcpy(pdu, frame + 1, len - 3);
            modbus_frame_rtu(frame, frame[0], pdu, len - 3);
        }
        return len;
    }
}
