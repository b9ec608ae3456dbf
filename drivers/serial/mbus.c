/* mbus: see the header. Here: the bytes of a telegram to records, and what a VIF means. */
#include "drivers/serial/mbus.h"

#include <string.h>

enum { DIFE_MAX = 10, LONG_HEADER = 12, SHORT_HEADER = 4, USER_DATA = 7, TAIL = 2 };

bool serial_mbus_records(const struct serial_frame *frame, struct serial_slice *ret_records)
{
    size_t from = USER_DATA;

    if (frame->len < USER_DATA + TAIL || frame->bytes[0] != 0x68)
        return false;
    switch (frame->bytes[USER_DATA - 1]) {
    case 0x72:
        from += LONG_HEADER;
        break;
    case 0x7A:
        from += SHORT_HEADER;
        break;
    case 0x78:
        break;
    default: /* a fixed structure, an alarm, high byte first, encrypted by a layer of its own */
        return false;
    }
    if (from + TAIL > frame->len)
        return false;
    *ret_records = (struct serial_slice){frame->bytes + from, frame->len - TAIL - from};
    return true;
}

/* ---- DIF, VIF, data -------------------------------------------------------------------------------- */

static bool take(struct serial_slice *from, uint8_t *ret_byte)
{
    if (from->len == 0)
        return false;
    *ret_byte = *from->p++;
    from->len--;
    return true;
}

static bool skip(struct serial_slice *from, size_t n, struct serial_slice *ret)
{
    if (n > from->len)
        return false;
    *ret = (struct serial_slice){from->p, n};
    from->p += n;
    from->len -= n;
    return true;
}

static bool take_dif(struct serial_slice *from, uint8_t dif, struct serial_mbus_record *record)
{
    record->data_field = dif & 0x0F;
    record->function = dif >> 4 & 3;
    record->storage = dif >> 6 & 1;
    for (unsigned i = 0; dif & 0x80; i++) {
        if (i == DIFE_MAX || !take(from, &dif))
            return false;
        record->storage |= (uint64_t)(dif & 0x0F) << (1 + 4 * i);
        record->tariff |= (uint32_t)(dif >> 4 & 3) << 2 * i;
        record->subunit |= (uint32_t)(dif >> 6 & 1) << i;
    }
    return true;
}

static bool take_vif(struct serial_slice *from, struct serial_mbus_record *record)
{
    struct serial_slice text;
    uint8_t vif, len;

    if (!take(from, &vif))
        return false;
    if (vif == SERIAL_MBUS_FB || vif == SERIAL_MBUS_FD) {
        record->table = vif;
        if (!take(from, &vif))
            return false;
    }
    record->vif = vif & 0x7F;
    if (record->table == SERIAL_MBUS_PRIMARY && record->vif == 0x7C &&
        (!take(from, &len) || !skip(from, len, &text))) /* a unit in plain text */
        return false;
    record->vife = (struct serial_slice){from->p, 0};
    for (; vif & 0x80; record->vife.len++)
        if (!take(from, &vif))
            return false;
    return true;
}

static bool take_data(struct serial_slice *from, struct serial_mbus_record *record)
{
    static const uint8_t sizes[16] = {0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, 0, 6, 0};
    size_t n = sizes[record->data_field];

    if (record->data_field == 0x0D) {
        if (!take(from, &record->lvar) || record->lvar >= 0xF0)
            return false;
        n = record->lvar < 0xC0 ? record->lvar : record->lvar & 0x0Fu;
    }
    return skip(from, n, &record->data);
}

bool serial_mbus_next(struct serial_slice *records, struct serial_mbus_record *ret_record)
{
    uint8_t dif;

    memset(ret_record, 0, sizeof *ret_record);
    do
        if (!take(records, &dif))
            return false;
    while (dif == 0x2F); /* idle filler */
    if ((dif & 0x0F) ==
        0x0F) { /* the rest is the maker's own, or there is more in a next telegram */
        records->len = 0;
        return false;
    }
    return take_dif(records, dif, ret_record) && take_vif(records, ret_record) &&
           take_data(records, ret_record);
}

/* ---- what a VIF means ------------------------------------------------------------------------------ */

/* n VIFs from `first` on, one power of ten apart; or seconds, minutes, hours, days. */
struct vif_row {
    uint8_t table, first, n;
    uint8_t quantity;
    int8_t exp10;
    int16_t factor;
    bool is_time;
};

/* Source: EN 13757-3:2018, tables 10 (primary), 12 (FD), 14 (FB). */
static const struct vif_row rows[] = {
    {0, 0x00, 8, SERIAL_MBUS_ENERGY, -3, 1, false},
    {0, 0x08, 8, SERIAL_MBUS_ENERGY_J, 0, 1, false},
    {0, 0x10, 8, SERIAL_MBUS_VOLUME, -6, 1, false},
    {0, 0x18, 8, SERIAL_MBUS_MASS, -3, 1, false},
    {0, 0x20, 4, SERIAL_MBUS_ON_TIME, 0, 1, true},
    {0, 0x24, 4, SERIAL_MBUS_OPERATING_TIME, 0, 1, true},
    {0, 0x28, 8, SERIAL_MBUS_POWER, -3, 1, false},
    {0, 0x30, 8, SERIAL_MBUS_POWER_J, 0, 1, false},
    {0, 0x38, 8, SERIAL_MBUS_FLOW, -6, 1, false},
    {0, 0x40, 8, SERIAL_MBUS_FLOW, -7, 60, false},   /* m3/min */
    {0, 0x48, 8, SERIAL_MBUS_FLOW, -9, 3600, false}, /* m3/s */
    {0, 0x50, 8, SERIAL_MBUS_MASS_FLOW, -3, 1, false},
    {0, 0x58, 4, SERIAL_MBUS_FLOW_TEMPERATURE, -3, 1, false},
    {0, 0x5C, 4, SERIAL_MBUS_RETURN_TEMPERATURE, -3, 1, false},
    {0, 0x60, 4, SERIAL_MBUS_TEMPERATURE_DIFFERENCE, -3, 1, false},
    {0, 0x64, 4, SERIAL_MBUS_EXTERNAL_TEMPERATURE, -3, 1, false},
    {0, 0x68, 4, SERIAL_MBUS_PRESSURE, -3, 1, false},
    {0, 0x6C, 1, SERIAL_MBUS_DATE, 0, 1, false},
    {0, 0x6D, 1, SERIAL_MBUS_DATETIME, 0, 1, false},
    {0, 0x6E, 1, SERIAL_MBUS_HCA, 0, 1, false},
    {0, 0x78, 1, SERIAL_MBUS_FABRICATION_NUMBER, 0, 1, false},
    {SERIAL_MBUS_FD, 0x17, 1, SERIAL_MBUS_ERROR_FLAGS, 0, 1, false},
    {SERIAL_MBUS_FD, 0x40, 16, SERIAL_MBUS_VOLTAGE, -9, 1, false},
    {SERIAL_MBUS_FD, 0x50, 16, SERIAL_MBUS_CURRENT, -12, 1, false},
    {SERIAL_MBUS_FB, 0x00, 2, SERIAL_MBUS_ENERGY, 5, 1, false},   /* 0.1 MWh */
    {SERIAL_MBUS_FB, 0x08, 2, SERIAL_MBUS_ENERGY_J, 8, 1, false}, /* 0.1 GJ */
    {SERIAL_MBUS_FB, 0x10, 2, SERIAL_MBUS_VOLUME, 2, 1, false},   /* 100 m3 */
    {SERIAL_MBUS_FB, 0x18, 2, SERIAL_MBUS_MASS, 5, 1, false},     /* 100 t */
    {SERIAL_MBUS_FB, 0x28, 2, SERIAL_MBUS_POWER, 5, 1, false},    /* 0.1 MW */
    {SERIAL_MBUS_FB, 0x30, 2, SERIAL_MBUS_POWER_J, 8, 1, false},  /* 0.1 GJ/h */
};

bool serial_mbus_unit(const struct serial_mbus_record *record, struct serial_mbus_unit *ret_unit)
{
    static const int32_t seconds[] = {1, 60, 3600, 86400};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct vif_row *row = &rows[i];

        if (row->table != record->table || record->vif < row->first ||
            record->vif >= row->first + row->n)
            continue;
        int32_t step = record->vif - row->first;
        ret_unit->quantity = (enum serial_mbus_quantity)row->quantity;
        ret_unit->exp10 = row->is_time ? 0 : row->exp10 + step;
        ret_unit->factor = row->is_time ? seconds[step] : row->factor;
        return true;
    }
    return false;
}
