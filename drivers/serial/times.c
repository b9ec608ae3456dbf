/* times: dates and times as instruments write them, to ISO 8601. What is no moment (month 13) is none. */
#include <stdio.h>
#include <string.h>

#include "drivers/serial/number.h"

struct moment {
    int year, month, day, hour, minute, second;
    bool has_date, has_time, is_summer, is_short_year;
};

static int *member(struct moment *m, char letter)
{
    switch (letter) {
    case 'Y':
        return &m->year;
    case 'M':
        return &m->month;
    case 'D':
        return &m->day;
    case 'h':
        return &m->hour;
    case 'm':
        return &m->minute;
    case 's':
        return &m->second;
    default:
        return NULL;
    }
}

static bool scan(struct serial_slice text, const char *format, struct moment *m)
{
    size_t n_year = 0;

    if (text.len != strlen(format))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int *number = member(m, format[i]);
        uint8_t c = text.p[i];

        if (format[i] == '~') {
            m->is_summer = c == 'S';
            if (c != 'S' && c != 'W')
                return false;
        } else if (!number) {
            if (format[i] != '?' && (uint8_t)format[i] != c)
                return false;
        } else {
            if (c < '0' || c > '9')
                return false;
            *number = *number * 10 + (c - '0');
            n_year += format[i] == 'Y';
            m->has_date |= strchr("YMD", format[i]) != NULL;
            m->has_time |= strchr("hms", format[i]) != NULL;
        }
    }
    m->is_short_year = n_year == 2;
    return true;
}

static bool is_moment(const struct moment *m)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = m->year % 4 == 0 && (m->year % 100 != 0 || m->year % 400 == 0);

    if (m->hour > 23 || m->minute > 59 || m->second > 59)
        return false;
    return !m->has_date || (m->year > 0 && m->month >= 1 && m->month <= 12 && m->day >= 1 &&
                            m->day <= days[m->month - 1] + (m->month == 2 && is_leap));
}

/* The zone, an hour further east in summer. */
static void print_zone(const char *zone, bool is_summer, char buf[8])
{
    snprintf(buf, 8, "%.6s", zone ? zone : "");
    if (!is_summer || strlen(buf) != 6 || buf[3] != ':')
        return;
    int minutes = (buf[1] - '0') * 600 + (buf[2] - '0') * 60 + (buf[4] - '0') * 10 + (buf[5] - '0');
    int total = (buf[0] == '-' ? -minutes : minutes) + 60, size = total < 0 ? -total : total;
    snprintf(buf, 8, "%c%02d:%02d", total < 0 ? '-' : '+', size / 60 % 24, size % 60);
}

size_t serial_parse_time(struct serial_slice text, const char *format, const char *zone,
                         char buf[40])
{
    struct moment m = {0};
    char zone_text[8];
    int len = 0;

    if (!scan(serial_trim(text), format, &m))
        return 0;
    if (m.is_short_year)
        m.year += m.year < 80 ? 2000 : 1900; /* as GPS has it, which began in 1980 */
    if (!is_moment(&m))
        return 0;
    print_zone(zone, m.is_summer, zone_text);
    if (m.has_date)
        len = snprintf(buf, 40, "%04d-%02d-%02d", m.year % 10000, m.month, m.day);
    if (m.has_time)
        len += snprintf(buf + len, 40 - (size_t)len, "%s%02d:%02d:%02d%s", m.has_date ? "T" : "",
                        m.hour, m.minute, m.second, zone_text);
    return (size_t)len;
}
