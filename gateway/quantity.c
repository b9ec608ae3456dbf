/* quantity: one table of units for each kind of quantity, and the words people use instead of them. */
#include "gateway/quantity.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gateway/number.h"

struct unit {
    const char *name; /* NULL ends */
    int64_t factor;
};

struct alias {
    const char *word; /* compared without case; NULL ends */
    const char *unit;
};

struct kind {
    const char *name;
    const char *examples;     /* of the whole notation */
    const char *likely[3];    /* units to propose for a number alone */
    const struct unit *units; /* ascending */
    const struct alias *aliases;
};

static const struct unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"m", 60 * INT64_C(1000000)},
    {"h", 3600 * INT64_C(1000000)},
    {"d", 86400 * INT64_C(1000000)},
    {NULL, 0},
};

static const struct alias duration_aliases[] = {
    {"usec", "us"},
    {"microseconds", "us"},
    {"\xC2\xB5s", "us"},
    {"\xCE\xBCs", "us"},
    {"us", "us"},
    {"msec", "ms"},
    {"millis", "ms"},
    {"millisecond", "ms"},
    {"milliseconds", "ms"},
    {"ms", "ms"},
    {"sec", "s"},
    {"secs", "s"},
    {"second", "s"},
    {"seconds", "s"},
    {"s", "s"},
    {"min", "m"},
    {"mins", "m"},
    {"minute", "m"},
    {"minutes", "m"},
    {"m", "m"},
    {"hr", "h"},
    {"hrs", "h"},
    {"hour", "h"},
    {"hours", "h"},
    {"h", "h"},
    {"day", "d"},
    {"days", "d"},
    {"d", "d"},
    {NULL, NULL},
};

static const struct unit size_units[] = {
    {"B", 1},
    {"kB", 1000},
    {"KiB", 1024},
    {"MB", 1000000},
    {"MiB", 1024 * 1024},
    {"GB", 1000000000},
    {"GiB", 1024 * 1024 * 1024},
    {NULL, 0},
};

static const struct alias size_aliases[] = {
    {"byte", "B"},  {"bytes", "B"}, {"b", "B"},   {"k", "KiB"},   {"kb", "kB"},
    {"kib", "KiB"}, {"m", "MiB"},   {"mb", "MB"}, {"mib", "MiB"}, {"g", "GiB"},
    {"gb", "GB"},   {"gib", "GiB"}, {NULL, NULL},
};

static const struct kind durations = {
    "a duration",     "500us, 20ms, 10s, 5m, 2h or 7d", {"ms", "s", "m"}, duration_units,
    duration_aliases,
};
static const struct kind sizes = {
    "a size", "512B, 64KiB or 10MB", {"B", "KiB", "MiB"}, size_units, size_aliases,
};

static const struct unit *find_unit(const struct kind *kind, const char *name)
{
    for (const struct unit *unit = kind->units; unit->name; unit++)
        if (strcmp(unit->name, name) == 0)
            return unit;
    return NULL;
}

static const struct unit *guess_unit(const struct kind *kind, const char *word)
{
    for (const struct alias *alias = kind->aliases; alias->word; alias++)
        if (strcasecmp(alias->word, word) == 0)
            return find_unit(kind, alias->unit);
    return NULL;
}

static void print_quantity(const struct kind *kind, int64_t amount, char buf[GW_QUANTITY_TEXT])
{
    const struct unit *best = kind->units;

    if (amount == 0 && kind == &durations)
        best = find_unit(kind, "s");
    for (const struct unit *unit = kind->units; unit->name && amount; unit++)
        if (amount % unit->factor == 0)
            best = unit;
    snprintf(buf, GW_QUANTITY_TEXT, "%" PRId64 "%s", amount / best->factor, best->name);
}

/* Says what was probably meant by a text that is not quite a quantity. */
static void explain(const struct kind *kind, const char *text, char why[GW_QUANTITY_WHY])
{
    size_t n = strspn(text, "0123456789.");
    const char *word = text + n + strspn(text + n, " \t");
    const struct unit *unit = find_unit(kind, word);
    struct gw_decimal number;
    char digits[24], meant[GW_QUANTITY_TEXT];

    snprintf(why, GW_QUANTITY_WHY, "is not %s; write it like %s", kind->name, kind->examples);
    if (n == 0 || n >= sizeof digits)
        return;
    snprintf(digits, sizeof digits, "%.*s", (int)n, text);
    if (gw_decimal_parse(digits, &number) != GW_OK)
        return;
    if (*word == '\0') {
        snprintf(why, GW_QUANTITY_WHY, "has no unit; write %s%s, %s%s or %s%s", digits,
                 kind->likely[0], digits, kind->likely[1], digits, kind->likely[2]);
        return;
    }
    if (!unit)
        unit = guess_unit(kind, word);
    double amount = unit ? gw_decimal_to_double(number) * (double)unit->factor : 0;
    if (!unit || fabs(amount - round(amount)) > 1e-6 || amount > 1e15)
        return;
    print_quantity(kind, (int64_t)llround(amount), meant);
    if (strchr(digits, '.') == NULL)
        snprintf(meant, sizeof meant, "%s%s", digits, unit->name);
    snprintf(why, GW_QUANTITY_WHY, "is not %s; did you mean \"%s\"?", kind->name, meant);
}

static enum gw_err parse_quantity(const struct kind *kind, const char *text, int64_t *ret_amount,
                                  char why[GW_QUANTITY_WHY])
{
    int64_t number = 0;
    const char *p = text;
    bool is_too_large = false;

    for (; isdigit((unsigned char)*p); p++)
        is_too_large |= __builtin_mul_overflow(number, 10, &number) ||
                        __builtin_add_overflow(number, *p - '0', &number);
    const struct unit *unit = find_unit(kind, p);
    if (p == text || !unit) {
        explain(kind, text, why);
        return GW_E_CONFIG;
    }
    if (is_too_large || __builtin_mul_overflow(number, unit->factor, &number)) {
        snprintf(why, GW_QUANTITY_WHY, "is too large");
        return GW_E_CONFIG;
    }
    *ret_amount = number;
    return GW_OK;
}

enum gw_err gw_duration_parse(const char *text, int64_t *ret_us, char why[GW_QUANTITY_WHY])
{
    return parse_quantity(&durations, text, ret_us, why);
}

enum gw_err gw_size_parse(const char *text, int64_t *ret_bytes, char why[GW_QUANTITY_WHY])
{
    return parse_quantity(&sizes, text, ret_bytes, why);
}

void gw_duration_text(int64_t us, char buf[GW_QUANTITY_TEXT])
{
    print_quantity(&durations, us, buf);
}

void gw_size_text(int64_t bytes, char buf[GW_QUANTITY_TEXT])
{
    print_quantity(&sizes, bytes, buf);
}

enum gw_err gw_deadband_parse(const char *text, double *ret_amount, bool *ret_is_percent,
                              char unit[GW_UNIT_MAX], char why[GW_QUANTITY_WHY])
{
    size_t n = strspn(text, "0123456789.+-");
    const char *word = text + n + strspn(text + n, " ");
    struct gw_decimal number;
    char digits[24];

    if (n == 0 || n >= sizeof digits || snprintf(digits, sizeof digits, "%.*s", (int)n, text) < 0 ||
        gw_decimal_parse(digits, &number) != GW_OK || strlen(word) >= GW_UNIT_MAX) {
        snprintf(why, GW_QUANTITY_WHY, "is not a deadband; write it like 0.5%%, 0.1 or 1 V");
        return GW_E_CONFIG;
    }
    if (number.digits < 0) {
        snprintf(why, GW_QUANTITY_WHY, "must not be negative");
        return GW_E_CONFIG;
    }
    *ret_amount = gw_decimal_to_double(number);
    *ret_is_percent = strcmp(word, "%") == 0;
    snprintf(unit, GW_UNIT_MAX, "%s", *ret_is_percent ? "" : word);
    return GW_OK;
}
