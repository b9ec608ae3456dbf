/* times: registers that hold a date or a time of day to ISO 8601 text and back. Registers are in our order here. What is
 * no moment (month 13, 30 February) is bad, since it would come out as another one. */
#include "drivers/modbus/forms.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct moment {
    unsigned year, month, day, hour, minute, ms; /* ms of the minute */
};

/* Reads numbers of fixed width: a letter of `form` stands for a digit of its number, other characters for themselves. */
static bool scan(const struct gw_value *value, const char *form, const char *letters,
                 unsigned *const *numbers)
{
    if (value->text.len != strlen(form))
        return false;
    for (size_t i = 0; form[i]; i++) {
        char c = value->text.p[i];
        const char *letter = strchr(letters, form[i]);
        if (!letter && c != form[i])
            return false;
        if (letter && (c < '0' || c > '9'))
            return false;
        if (letter)
            *numbers[letter - letters] = *numbers[letter - letters] * 10 + (unsigned)(c - '0');
    }
    return true;
}

static bool is_moment(const struct moment *m)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (m->year < 1 || m->year > 9999 || m->month < 1 || m->month > 12 || m->day < 1)
        return false;
    bool is_leap = m->year % 4 == 0 && (m->year % 100 != 0 || m->year % 400 == 0);
    return m->day <= days[m->month - 1] + (m->month == 2 && is_leap ? 1u : 0u) && m->hour < 24 &&
           m->minute < 60 && m->ms < 60000;
}

static void give_moment(struct gw_result *result, char *text, const struct moment *m, bool has_ms)
{
    if (!is_moment(m)) {
        modbus_fail(result, "bad_time");
        return;
    }
    int len = snprintf(text, MODBUS_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u", m->year, m->month,
                       m->day, m->hour, m->minute, m->ms / 1000);
    if (has_ms)
        len += snprintf(text + len, MODBUS_TEXT_MAX - (size_t)len, ".%03u", m->ms % 1000);
    modbus_give_text(result, text, (size_t)len);
}

static bool take_moment(const struct gw_value *value, bool has_ms, struct moment *ret)
{
    struct moment m = {0};
    unsigned seconds = 0, ms = 0;
    unsigned *const numbers[] = {&m.year, &m.month, &m.day, &m.hour, &m.minute, &seconds, &ms};
    const char *form = has_ms ? "YYYY-MM-DDTHH:NN:SS.FFF" : "YYYY-MM-DDTHH:NN:SS";

    if (!scan(value, form, "YMDHNSF", numbers) || seconds > 59)
        return false;
    m.ms = seconds * 1000 + ms;
    *ret = m;
    return is_moment(&m);
}

/* Source: Schneider's unit table, DATETIME in the layout of IEC 870-5-4: year - 2000 in 7 bits; month, day of the week
 * (1 Monday, 0 unknown), day; summer time, hour, bit 7 "invalid", minute; milliseconds of the minute. */
void modbus_decode_iec870(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                          struct gw_result *result)
{
    struct moment m = {.year = 2000u + (regs[0] & 0x7F),
                       .month = regs[1] >> 8 & 0xF,
                       .day = regs[1] & 0x1F,
                       .hour = regs[2] >> 8 & 0x1F,
                       .minute = regs[2] & 0x3F,
                       .ms = regs[3]};

    (void)spec;
    if (regs[2] & 0x80)
        modbus_fail(result, "bad_time");
    else
        give_moment(result, text, &m, true);
}

enum gw_err modbus_encode_iec870(const struct modbus_type_spec *spec, const struct gw_value *value,
                                 uint16_t *regs)
{
    struct moment m;

    (void)spec;
    if (!take_moment(value, true, &m) || m.year < 2000 || m.year > 2127)
        return GW_E_RANGE;
    regs[0] = (uint16_t)(m.year - 2000);
    regs[1] = (uint16_t)(m.month << 8 | m.day);
    regs[2] = (uint16_t)(m.hour << 8 | m.minute);
    regs[3] = (uint16_t)m.ms;
    return GW_OK;
}

/* Source: PM5xxx registers 1844-1847 (aggsoft's map): year, month and day, hour and minute, milliseconds. */
void modbus_decode_words(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                         struct gw_result *result)
{
    struct moment m = {.year = regs[0],
                       .month = regs[1] >> 8,
                       .day = regs[1] & 0xFF,
                       .hour = regs[2] >> 8,
                       .minute = regs[2] & 0xFF,
                       .ms = regs[3]};

    (void)spec;
    give_moment(result, text, &m, true);
}

enum gw_err modbus_encode_words(const struct modbus_type_spec *spec, const struct gw_value *value,
                                uint16_t *regs)
{
    struct moment m;

    (void)spec;
    if (!take_moment(value, true, &m))
        return GW_E_RANGE;
    regs[0] = (uint16_t)m.year;
    regs[1] = (uint16_t)(m.month << 8 | m.day);
    regs[2] = (uint16_t)(m.hour << 8 | m.minute);
    regs[3] = (uint16_t)m.ms;
    return GW_OK;
}

/* Source: Deye, rule 8 of solarman: year - 2000, month, day, hour, minute, second, a byte each. */
void modbus_decode_bytes(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                         struct gw_result *result)
{
    struct moment m = {.year = 2000u + (regs[0] >> 8),
                       .month = regs[0] & 0xFF,
                       .day = regs[1] >> 8,
                       .hour = regs[1] & 0xFF,
                       .minute = regs[2] >> 8,
                       .ms = (regs[2] & 0xFFu) * 1000};

    (void)spec;
    give_moment(result, text, &m, false);
}

enum gw_err modbus_encode_bytes(const struct modbus_type_spec *spec, const struct gw_value *value,
                                uint16_t *regs)
{
    struct moment m;

    (void)spec;
    if (!take_moment(value, false, &m) || m.year < 2000 || m.year > 2255)
        return GW_E_RANGE;
    regs[0] = (uint16_t)((m.year - 2000) << 8 | m.month);
    regs[1] = (uint16_t)(m.day << 8 | m.hour);
    regs[2] = (uint16_t)(m.minute << 8 | m.ms / 1000);
    return GW_OK;
}

void modbus_decode_unix(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                        struct gw_result *result)
{
    time_t seconds = (time_t)modbus_join(regs, spec->n_regs);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    modbus_give_text(result, text, strftime(text, MODBUS_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm));
}

enum gw_err modbus_encode_unix(const struct modbus_type_spec *spec, const struct gw_value *value,
                               uint16_t *regs)
{
    struct gw_value local = *value;
    struct moment m;

    if (!local.text.len || local.text.p[local.text.len - 1] != 'Z')
        return GW_E_RANGE;
    local.text.len--;
    if (!take_moment(&local, false, &m))
        return GW_E_RANGE;
    struct tm tm = {.tm_year = (int)m.year - 1900,
                    .tm_mon = (int)m.month - 1,
                    .tm_mday = (int)m.day,
                    .tm_hour = (int)m.hour,
                    .tm_min = (int)m.minute,
                    .tm_sec = (int)(m.ms / 1000)};
    int64_t seconds = timegm(&tm);
    if (seconds < 0 || seconds > UINT32_MAX)
        return GW_E_RANGE;
    modbus_part((uint64_t)seconds, regs, spec->n_regs);
    return GW_OK;
}

/* Source: Deye, rule 9 of solarman: 2200 is 22:00, 400 is 04:00. */
void modbus_decode_hhmm(const struct modbus_type_spec *spec, const uint16_t *regs, char *text,
                        struct gw_result *result)
{
    (void)spec;
    if (regs[0] / 100 > 23 || regs[0] % 100 > 59) {
        modbus_fail(result, "bad_time");
        return;
    }
    int len = snprintf(text, MODBUS_TEXT_MAX, "%02d:%02d", regs[0] / 100, regs[0] % 100);
    modbus_give_text(result, text, (size_t)len);
}

enum gw_err modbus_encode_hhmm(const struct modbus_type_spec *spec, const struct gw_value *value,
                               uint16_t *regs)
{
    unsigned hour = 0, minute = 0;
    unsigned *const numbers[] = {&hour, &minute};

    (void)spec;
    if (!scan(value, "HH:NN", "HN", numbers) || hour > 23 || minute > 59)
        return GW_E_RANGE;
    regs[0] = (uint16_t)(hour * 100 + minute);
    return GW_OK;
}
