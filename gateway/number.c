/* number: digits by hand for integers and decimals; for floats the C library's correctly rounded digits, as few as
 * read back. Only %e and texts without a decimal point are exchanged with the C library, since its decimal point is
 * the locale's and a plug-in may have set one. */
#include "gateway/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLOAT32_DIGITS = 6,  /* so many always survive the way into a float32 and back (FLT_DIG) */
    FLOAT32_MAX = 9,     /* so many always tell two of them apart */
    FLOAT64_DIGITS = 15, /* DBL_DIG */
    FLOAT64_MAX = 17,    /* DBL_DECIMAL_DIG */
    EXPONENT_FROM = 17,  /* a float of 1e17 and more gets an exponent: its zeros are made up */
    EXPONENT_BELOW = -7, /* ... and any number less than 1e-7 */
    DECIMAL_EXPONENT_FROM = 19, /* a decimal only where int64_t ends, to look like an integer */
    EXP10_MAX = 18,             /* of a gw_decimal */
    PARSED_EXP_MAX = 9999,      /* beyond, a parsed exponent cannot become valid again */
};

/* Writes the digits of n, most significant first, without NUL; returns how many. */
static size_t print_digits(uint64_t n, char *out)
{
    char reversed[20];
    size_t len = 0;

    do {
        reversed[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    for (size_t i = 0; i < len; i++)
        out[i] = reversed[len - 1 - i];
    return len;
}

static size_t print_int(int64_t n, char *out)
{
    char *p = out;

    if (n < 0)
        *p++ = '-';
    return (size_t)(p - out) + print_digits(n < 0 ? 0 - (uint64_t)n : (uint64_t)n, p);
}

/* d.ddde-9 */
static size_t print_scientific(const char *digits, size_t n_digits, int leading_exp10, char *out)
{
    char *p = out;

    *p++ = digits[0];
    if (n_digits > 1) {
        *p++ = '.';
        memcpy(p, digits + 1, n_digits - 1);
        p += n_digits - 1;
    }
    *p++ = 'e';
    return (size_t)(p - out) + print_int(leading_exp10, p);
}

/* Writes digits x 10^exp10 without trailing zeros after the point. */
static size_t print_scaled(bool is_negative, uint64_t digits, int exp10, int exponent_from,
                           char *out)
{
    char text[20], *p = out;
    size_t n;

    if (digits == 0) {
        *p = '0';
        return 1;
    }
    while (digits % 10 == 0) { /* one text for one value, however it is written */
        digits /= 10;
        exp10++;
    }
    n = print_digits(digits, text);
    if (is_negative)
        *p++ = '-';
    int leading_exp10 = (int)n - 1 + exp10;
    if (leading_exp10 < EXPONENT_BELOW || (exp10 > 0 && leading_exp10 >= exponent_from))
        return (size_t)(p - out) + print_scientific(text, n, leading_exp10, p);
    if (leading_exp10 < 0) {
        *p++ = '0';
        *p++ = '.';
        memset(p, '0', (size_t)(-leading_exp10 - 1));
        p += -leading_exp10 - 1;
    }
    for (size_t i = 0; i < n; i++) {
        if (leading_exp10 >= 0 && (int)i == leading_exp10 + 1)
            *p++ = '.';
        *p++ = text[i];
    }
    if (exp10 > 0) {
        memset(p, '0', (size_t)exp10);
        p += exp10;
    }
    return (size_t)(p - out);
}

/* Gives x > 0 rounded to n significant digits: digits x 10^exp10. */
static void round_to_digits(double x, int n, uint64_t *ret_digits, int *ret_exp10)
{
    char text[GW_NUMBER_TEXT];
    uint64_t digits = 0;
    int n_digits = 0;
    const char *p = text;

    snprintf(text, sizeof text, "%.*e", n - 1, x);
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') { /* all but the decimal point, whatever that is here */
            digits = digits * 10 + (uint64_t)(*p - '0');
            n_digits++;
        }
    *ret_digits = digits;
    *ret_exp10 = (int)strtol(*p ? p + 1 : "0", NULL, 10) - (n_digits - 1);
}

static double scaled_to_double(uint64_t digits, int exp10)
{
    char text[GW_NUMBER_TEXT];

    snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exp10);
    return strtod(text, NULL);
}

static bool reads_back(double x, bool is_float32, uint64_t digits, int exp10)
{
    char text[GW_NUMBER_TEXT];

    if (!is_float32)
        return scaled_to_double(digits, exp10) == x;
    /* Not through double: rounding twice may end at the neighbour. */
    snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exp10);
    return strtof(text, NULL) == (float)x;
}

/* Finds the fewest digits that read back as x > 0. */
static void shortest_digits(double x, bool is_float32, uint64_t *ret_digits, int *ret_exp10)
{
    int most = is_float32 ? FLOAT32_MAX : FLOAT64_MAX;
    int n = is_float32 ? FLOAT32_DIGITS : FLOAT64_DIGITS;
    int binary_exp;
    bool is_power_of_2 = frexp(x, &binary_exp) == 0.5;

    if (x < (is_float32 ? (double)FLT_MIN : DBL_MIN))
        n = 1; /* subnormals have fewer digits than the rule above promises */
    for (;; n++) {
        round_to_digits(x, n, ret_digits, ret_exp10);
        if (n >= most || reads_back(x, is_float32, *ret_digits, *ret_exp10))
            break;
        /* The values above a power of 2 lie twice as far apart as those below, so the next number above may do
         * where the nearest one, just below, does not. */
        if (is_power_of_2 && reads_back(x, is_float32, *ret_digits + 1, *ret_exp10)) {
            ++*ret_digits;
            break;
        }
    }
    while (*ret_digits % 10 == 0 && *ret_digits != 0) {
        *ret_digits /= 10;
        ++*ret_exp10;
    }
}

static size_t print_float(double x, bool is_float32, char *out)
{
    uint64_t digits;
    int exp10;

    if (!isfinite(x)) {
        memcpy(out, "null", 4); /* no number; JSON has no word for it */
        return 4;
    }
    if (x == 0) {
        *out = '0';
        return 1;
    }
    if (fabs(x) < 1e9 && x == (double)(int64_t)x && (!is_float32 || fabs(x) < 1e6))
        return print_int((int64_t)x,
                         out); /* short enough that no shorter text reads back the same */
    shortest_digits(fabs(x), is_float32, &digits, &exp10);
    return print_scaled(x < 0, digits, exp10, EXPONENT_FROM, out);
}

size_t gw_number_print(const struct gw_value *value, char buf[GW_NUMBER_TEXT])
{
    size_t len = 0;

    switch (value->kind) {
    case GW_BOOL:
        len = value->b ? 4 : 5;
        memcpy(buf, value->b ? "true" : "false", len);
        break;
    case GW_INT:
        len = print_int(value->i, buf);
        break;
    case GW_UINT:
        len = print_digits(value->u, buf);
        break;
    case GW_FLOAT32:
        len = print_float((double)value->f32, true, buf);
        break;
    case GW_FLOAT64:
        len = print_float(value->f64, false, buf);
        break;
    case GW_DECIMAL: {
        int64_t d = value->dec.digits;

        len = print_scaled(d < 0, d < 0 ? 0 - (uint64_t)d : (uint64_t)d, value->dec.exp10,
                           DECIMAL_EXPONENT_FROM, buf);
        break;
    }
    case GW_NONE:
    case GW_TEXT:
        memcpy(buf, "null", 4);
        len = 4;
        break;
    }
    buf[len] = '\0';
    return len;
}

void gw_number_digits(double x, bool is_float32, int64_t *ret_digits, int32_t *ret_exp10)
{
    uint64_t digits = 0;
    int exp10 = 0;

    if (x != 0)
        shortest_digits(fabs(x), is_float32, &digits, &exp10);
    *ret_digits = x < 0 ? -(int64_t)digits : (int64_t)digits;
    *ret_exp10 = exp10;
}

/* Brings exp10 into -18..18 by moving zeros between it and the digits. */
static enum gw_err fit_exponent(uint64_t *digits, int64_t *exp10)
{
    if (*digits == 0)
        *exp10 = 0;
    while (*exp10 < -EXP10_MAX) {
        if (*digits % 10 != 0)
            return GW_E_RANGE;
        *digits /= 10;
        ++*exp10;
    }
    while (*exp10 > EXP10_MAX) {
        if (*digits > INT64_MAX / 10)
            return GW_E_RANGE;
        *digits *= 10;
        --*exp10;
    }
    return GW_OK;
}

/* Reads digits and their point from *p on. Zeros are held back until a digit follows, so that any number of
 * them at the end costs no room. */
static enum gw_err parse_mantissa(const char **p, uint64_t *ret_digits, int64_t *ret_exp10)
{
    uint64_t digits = 0;
    int64_t exp10 = 0, held_zeros = 0;
    bool has_point = false, has_digit = false;

    for (;; ++*p) {
        char c = **p;

        if (c == '.' && has_digit && !has_point) {
            has_point = true;
            has_digit = false; /* one has to follow */
            continue;
        }
        if (c < '0' || c > '9')
            break;
        has_digit = true;
        exp10 -= has_point;
        if (c == '0') {
            held_zeros += digits != 0;
            continue;
        }
        for (; held_zeros > 0; held_zeros--) {
            if (digits > (uint64_t)INT64_MAX / 10)
                return GW_E_RANGE;
            digits *= 10;
        }
        if (digits > ((uint64_t)INT64_MAX - (uint64_t)(c - '0')) / 10)
            return GW_E_RANGE;
        digits = digits * 10 + (uint64_t)(c - '0');
    }
    *ret_digits = digits;
    *ret_exp10 = exp10 + held_zeros;
    return has_digit ? GW_OK : GW_E_CONFIG;
}

static enum gw_err parse_exponent(const char **p, int64_t *exp10)
{
    int64_t n = 0;
    bool is_negative;

    if (**p != 'e' && **p != 'E')
        return GW_OK;
    ++*p;
    is_negative = **p == '-';
    if (**p == '-' || **p == '+')
        ++*p;
    if (**p < '0' || **p > '9')
        return GW_E_CONFIG;
    for (; **p >= '0' && **p <= '9'; ++*p)
        n = n > PARSED_EXP_MAX ? n : n * 10 + (**p - '0');
    *exp10 += is_negative ? -n : n;
    return GW_OK;
}

enum gw_err gw_decimal_parse(const char *text, struct gw_decimal *ret_decimal)
{
    const char *p = text;
    bool is_negative = *p == '-';
    uint64_t digits;
    int64_t exp10;
    enum gw_err err;

    if (*p == '-' || *p == '+')
        p++;
    err = parse_mantissa(&p, &digits, &exp10);
    if (err == GW_OK)
        err = parse_exponent(&p, &exp10);
    if (err == GW_OK && *p != '\0')
        err = GW_E_CONFIG;
    if (err == GW_OK)
        err = fit_exponent(&digits, &exp10);
    if (err != GW_OK)
        return err;
    ret_decimal->digits = is_negative ? -(int64_t)digits : (int64_t)digits;
    ret_decimal->exp10 = (int32_t)exp10;
    return GW_OK;
}

double gw_decimal_to_double(struct gw_decimal decimal)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9, 1e10,
                                    1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20};
    enum { N_POWERS = sizeof powers / sizeof powers[0] };
    int64_t d = decimal.digits;

    /* Both operands are exact, so the one operation rounds correctly. */
    if (d > -(1LL << 53) && d < (1LL << 53) && abs(decimal.exp10) < N_POWERS)
        return decimal.exp10 < 0 ? (double)d / powers[-decimal.exp10]
                                 : (double)d * powers[decimal.exp10];
    double x = scaled_to_double(d < 0 ? 0 - (uint64_t)d : (uint64_t)d, decimal.exp10);
    return d < 0 ? -x : x;
}

double gw_value_to_double(const struct gw_value *value)
{
    switch (value->kind) {
    case GW_BOOL:
        return value->b ? 1 : 0;
    case GW_INT:
        return (double)value->i;
    case GW_UINT:
        return (double)value->u;
    case GW_FLOAT32:
        return (double)value->f32;
    case GW_FLOAT64:
        return value->f64;
    case GW_DECIMAL:
        return gw_decimal_to_double(value->dec);
    case GW_NONE:
    case GW_TEXT:
        break;
    }
    return (double)NAN;
}
