/* mbus_value: the record that a point picks, as a value. A record that is more than the quantity it names (one with an extension
 * that changes its meaning, say only what flowed backwards) is picked by its very extension only. */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/mbus.h"
#include "drivers/serial/number.h"

static void fail(struct gw_result *result, const char *reason)
{
    *result = (struct gw_result){.err = GW_E_PROTO, .reason = reason};
}

static void give_text(struct gw_result *result, const char *text, size_t len)
{
    result->value = (struct gw_value){.kind = GW_TEXT, .text = {text, len}};
}

/* ---- extensions of the VIF ------------------------------------------------------------------------- */

/* What they do to a number. False: they change what it means.
 * Source: EN 13757-3:2018, table 15, and 6.4.8 for errors of a record. */
static bool read_extensions(const struct serial_mbus_record *record, int32_t *exp10,
                            const char **ret_error)
{
    for (size_t i = 0; i < record->vife.len; i++) {
        uint8_t vife = record->vife.p[i] & 0x7F;

        if (vife >= 0x70 && vife <= 0x77)
            *exp10 += (vife & 7) - 6;
        else if (vife == 0x7D)
            *exp10 += 3;
        else if (vife > 0 && vife < 0x20)
            *ret_error = vife == 0x15 ? "not_available" : "instrument_error";
        else if (vife != 0)
            return false;
    }
    return true;
}

static bool has_extensions(const struct serial_mbus_record *record,
                           const struct serial_mbus_pick *pick)
{
    return record->vife.len == pick->n_vife &&
           memcmp(record->vife.p, pick->vife, pick->n_vife) == 0;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

/* Low pair of digits first; an F on top is a minus (type A). */
static bool read_bcd(struct serial_slice data, bool is_negative, int64_t *ret_value)
{
    uint8_t top = data.len ? data.p[data.len - 1] : 0;
    int64_t value = 0;

    if (data.len == 0 || data.len > 9)
        return false;
    for (size_t i = 2 * data.len; i-- > 0;) {
        uint8_t digit = i % 2 ? data.p[i / 2] >> 4 : data.p[i / 2] & 0x0F;

        if (i == 2 * data.len - 1 && top >> 4 == 0xF) {
            is_negative = !is_negative;
            digit = 0;
        }
        if (digit > 9)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = is_negative ? -value : value;
    return true;
}

/* An integer with the top bit alone is none (type B); flags are not signed (type D). */
static void read_integer(const struct serial_mbus_record *record, bool is_signed,
                         struct gw_result *result)
{
    size_t n = record->data.len;
    uint64_t value = n && n <= 8 ? serial_join(record->data.p, n, SERIAL_LITTLE) : 0;

    if (n == 0 || n > 8)
        fail(result, "no_value");
    else if (!is_signed)
        result->value = (struct gw_value){.kind = GW_UINT, .u = value};
    else if (value == 1ULL << (8 * n - 1))
        fail(result, "not_available");
    else
        result->value = (struct gw_value){.kind = GW_INT,
                                          .i = (int64_t)(value << (64 - 8 * n)) >> (64 - 8 * n)};
}

static void read_number(const struct serial_mbus_record *record, bool is_signed,
                        struct gw_result *result)
{
    bool is_long_bcd = record->data_field == 0x0D && record->lvar >= 0xC0 && record->lvar < 0xE0;
    int64_t digits;

    if (record->data_field == 0x05) {
        uint32_t bits = (uint32_t)serial_join(record->data.p, 4, SERIAL_LITTLE);
        float number;

        memcpy(&number, &bits, sizeof number);
        result->value = (struct gw_value){.kind = GW_FLOAT32, .f32 = number};
    } else if (is_long_bcd || (record->data_field > 0x08 && record->data_field != 0x0D)) {
        if (read_bcd(record->data, is_long_bcd && record->lvar >= 0xD0, &digits))
            result->value = (struct gw_value){.kind = GW_INT, .i = digits};
        else
            fail(result, "bad_bcd");
    } else if (record->data_field == 0x0D && record->lvar < 0xC0) {
        fail(result, "bad_number");
    } else {
        read_integer(record, is_signed, result);
    }
}

static void scale(const struct serial_mbus_unit *unit, struct gw_result *result)
{
    result->exp10 = unit->exp10;
    if (unit->factor == 1)
        return;
    if (result->value.kind == GW_FLOAT32)
        result->value = (struct gw_value){.kind = GW_FLOAT64,
                                          .f64 = (double)result->value.f32 * (double)unit->factor};
    else if (result->value.kind != GW_INT ||
             __builtin_mul_overflow(result->value.i, unit->factor, &result->value.i))
        fail(result, "bad_number");
}

/* ---- times and texts ------------------------------------------------------------------------------- */

/* Source: EN 13757-3:2018, annex A: types G (2 bytes), F (4), I (6). */
static void read_time(const struct serial_mbus_record *record, char buf[SERIAL_MBUS_TEXT],
                      struct gw_result *result)
{
    size_t n = record->data_field == 0x0D ? 0 : record->data.len;
    const uint8_t *p = record->data.p, *date = n == 2 ? p : n == 4 ? p + 2 : p + 3;
    const uint8_t *time = n == 4 ? p : p + 1;

    if ((n != 2 && n != 4 && n != 6) || (n == 4 && p[0] & 0x80)) {
        fail(result, "bad_time");
        return;
    }
    int day = date[0] & 0x1F, month = date[1] & 0x0F, year = date[0] >> 5 | (date[1] & 0xF0) >> 1;
    int hour = n > 2 ? time[1] & 0x1F : 0, minute = n > 2 ? time[0] & 0x3F : 0;
    int second = n == 6 ? p[0] & 0x3F : 0, century = n == 4 ? time[1] >> 5 & 3 : 0;
    if (day < 1 || month < 1 || month > 12 || year > 99 || hour > 23 || minute > 59 ||
        second > 59) {
        fail(result, "bad_time");
        return;
    }
    year += century ? 1900 + 100 * century : year > 80 ? 1900 : 2000;
    int len = snprintf(buf, SERIAL_MBUS_TEXT, "%04d-%02d-%02d", year, month, day);
    if (n > 2)
        len += snprintf(buf + len, (size_t)(SERIAL_MBUS_TEXT - len), "T%02d:%02d:%02d", hour,
                        minute, second);
    give_text(result, buf, (size_t)len);
}

/* The last character goes out first; digits of BCD keep their zeros. */
static void read_text(const struct serial_mbus_record *record, char buf[SERIAL_MBUS_TEXT],
                      struct gw_result *result)
{
    size_t n = record->data.len;
    bool is_text = record->data_field == 0x0D && record->lvar < 0xC0;
    int64_t digits;

    if (is_text) {
        for (size_t i = 0; i < n; i++) {
            uint8_t c = record->data.p[n - 1 - i];
            buf[i] = c >= 0x20 && c < 0x7F ? (char)c : '?';
        }
        give_text(result, buf, n);
    } else if (record->data_field > 0x08 && read_bcd(record->data, false, &digits)) {
        give_text(
            result, buf,
            (size_t)snprintf(buf, SERIAL_MBUS_TEXT, "%0*lld", (int)(2 * n), (long long)digits));
    } else {
        read_number(record, false, result);
        if (!result->err && result->value.kind == GW_UINT)
            give_text(result, buf,
                      (size_t)snprintf(buf, SERIAL_MBUS_TEXT, "%llu",
                                       (unsigned long long)result->value.u));
        else if (!result->err)
            fail(result, "bad_text");
    }
}

bool serial_mbus_is_text(const struct serial_mbus_pick *pick)
{
    return pick->quantity == SERIAL_MBUS_ID || pick->quantity == SERIAL_MBUS_MANUFACTURER ||
           pick->quantity == SERIAL_MBUS_DATE || pick->quantity == SERIAL_MBUS_DATETIME ||
           pick->quantity == SERIAL_MBUS_FABRICATION_NUMBER;
}

/* ---- header ---------------------------------------------------------------------------------------- */

/* Source: EN 13757-3:2018, 5.3 and 5.6 (the three letters of the maker, 5 bits each). */
static void read_header(const struct serial_mbus_pick *pick, const struct serial_frame *frame,
                        char buf[SERIAL_MBUS_TEXT], struct gw_result *result)
{
    enum { HEADER = 7, LONG_HEADER = 12 };
    const uint8_t *p = frame->bytes + HEADER;
    int64_t digits;

    if (frame->len < HEADER + LONG_HEADER || frame->bytes[HEADER - 1] != 0x72) {
        fail(result, "no_value");
        return;
    }
    int maker = p[4] | p[5] << 8;
    if (pick->quantity == SERIAL_MBUS_ID && !read_bcd((struct serial_slice){p, 4}, false, &digits))
        fail(result, "bad_bcd");
    else if (pick->quantity == SERIAL_MBUS_ID)
        give_text(result, buf,
                  (size_t)snprintf(buf, SERIAL_MBUS_TEXT, "%08lld", (long long)digits));
    else if (pick->quantity == SERIAL_MBUS_MANUFACTURER)
        give_text(result, buf,
                  (size_t)snprintf(buf, SERIAL_MBUS_TEXT, "%c%c%c", 64 + (maker >> 10 & 31),
                                   64 + (maker >> 5 & 31), 64 + (maker & 31)));
    else
        result->value =
            (struct gw_value){.kind = GW_UINT, .u = p[6 + (pick->quantity - SERIAL_MBUS_VERSION)]};
}

/* ---- the record ------------------------------------------------------------------------------------ */

static bool is_picked(const struct serial_mbus_pick *pick, const struct serial_mbus_record *record,
                      struct serial_mbus_unit *ret_unit, const char **ret_error)
{
    bool is_plain;

    *ret_unit = (struct serial_mbus_unit){SERIAL_MBUS_VIF, 0, 1};
    *ret_error = NULL;
    if (record->storage != pick->storage || record->tariff != pick->tariff ||
        record->subunit != pick->subunit || record->function != pick->function)
        return false;
    if (pick->quantity == SERIAL_MBUS_VIF) {
        if (record->table != pick->table || record->vif != pick->vif)
            return false;
    } else if (!serial_mbus_unit(record, ret_unit) || ret_unit->quantity != pick->quantity) {
        return false;
    }
    is_plain = read_extensions(record, &ret_unit->exp10, ret_error);
    return pick->n_vife ? has_extensions(record, pick) : is_plain;
}

static void read_record(const struct serial_mbus_pick *pick,
                        const struct serial_mbus_record *record,
                        const struct serial_mbus_unit *unit, char buf[SERIAL_MBUS_TEXT],
                        struct gw_result *result)
{
    bool is_flags = pick->quantity == SERIAL_MBUS_VIF || pick->quantity == SERIAL_MBUS_ERROR_FLAGS;

    if (pick->quantity == SERIAL_MBUS_DATE || pick->quantity == SERIAL_MBUS_DATETIME) {
        read_time(record, buf, result);
    } else if (pick->quantity == SERIAL_MBUS_FABRICATION_NUMBER) {
        read_text(record, buf, result);
    } else {
        read_number(record, !is_flags, result);
        if (!result->err)
            scale(unit, result);
    }
}

void serial_mbus_read(const struct serial_mbus_pick *pick, const struct serial_frame *frame,
                      char buf[SERIAL_MBUS_TEXT], struct gw_result *ret_result)
{
    struct serial_mbus_record record;
    struct serial_mbus_unit unit;
    struct serial_slice records;
    const char *error;
    unsigned n = 0;

    *ret_result = (struct gw_result){.err = GW_OK};
    if (pick->quantity >= SERIAL_MBUS_ID) {
        read_header(pick, frame, buf, ret_result);
        return;
    }
    if (serial_mbus_records(frame, &records))
        while (serial_mbus_next(&records, &record)) {
            if (!is_picked(pick, &record, &unit, &error) || ++n < pick->nth)
                continue;
            if (error)
                fail(ret_result, error);
            else
                read_record(pick, &record, &unit, buf, ret_result);
            return;
        }
    fail(ret_result, "no_value");
}
