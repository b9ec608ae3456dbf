/* request: what is sent to an instrument: texts with escapes, variables and a checksum. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/common/hex.h"
#include "drivers/serial/checksum.h"
#include "drivers/serial/notation.h"
#include "drivers/serial/reader.h"

bool serial_vars_set(struct serial_vars *vars, const char *name, const char *value, size_t len)
{
    size_t i = 0;

    if (len >= SERIAL_VAR_LEN || strlen(name) >= SERIAL_VAR_LEN)
        return false;
    while (i < vars->n && strcmp(vars->vars[i].name, name) != 0)
        i++;
    if (i == SERIAL_VARS_MAX)
        return false;
    vars->n += i == vars->n;
    memcpy(vars->vars[i].name, name, strlen(name) + 1);
    memcpy(vars->vars[i].value, value, len);
    vars->vars[i].value[len] = '\0';
    return true;
}

struct taking {
    struct serial_vars *vars;
    const struct serial_pattern *pattern;
    const uint8_t *text;
};

static void take_group(void *ctx, const char *name)
{
    struct taking *taking = ctx;
    size_t at, len;

    if (serial_pattern_group(taking->pattern, name, &at, &len))
        serial_vars_set(taking->vars, name, (const char *)taking->text + at, len);
}

void serial_vars_take(struct serial_vars *vars, const struct serial_reader *reader, size_t pattern,
                      const uint8_t *text)
{
    struct taking taking = {vars, NULL, text};

    if (pattern >= reader->patterns->n)
        return;
    taking.pattern = reader->patterns->list[pattern].compiled;
    serial_pattern_groups(taking.pattern, take_group, &taking);
}

static const char *find_var(const struct serial_vars *vars, const char *name, size_t len)
{
    for (size_t i = 0; vars && i < vars->n; i++)
        if (strlen(vars->vars[i].name) == len && memcmp(vars->vars[i].name, name, len) == 0)
            return vars->vars[i].value;
    return NULL;
}

/* A text being made into bytes. */
struct rendering {
    const struct serial_append_conf *checksum;
    const struct serial_vars *vars;
    uint8_t *buf;
    size_t size, len;
    struct gw_driver_diag *diag;
};

static enum gw_err put(struct rendering *r, const uint8_t *bytes, size_t n)
{
    if (n > r->size - r->len)
        return GW_E_RANGE;
    memcpy(r->buf + r->len, bytes, n);
    r->len += n;
    return GW_OK;
}

/* Pairs of digits, the last pair first. Source: DL/T 645-2007, 5.2.3: addresses go out low byte first. */
static enum gw_err put_bcd(struct rendering *r, const char *value)
{
    size_t n = strlen(value);

    if (n % 2 != 0)
        return serial_complain(r->diag, "\"%s\" has an odd number of digits", value);
    for (size_t i = n; i >= 2; i -= 2) {
        int high = hex_digit(value[i - 2]), low = hex_digit(value[i - 1]);

        if (high < 0 || low < 0)
            return serial_complain(r->diag, "\"%s\" holds other characters than digits", value);
        const uint8_t byte = (uint8_t)(high << 4 | low);
        if (put(r, &byte, 1) != GW_OK)
            return GW_E_RANGE;
    }
    return GW_OK;
}

/* One byte of a number in decimal digits: an M-Bus or Modbus address. */
static enum gw_err put_byte(struct rendering *r, const char *value)
{
    char *end;
    unsigned long number = strtoul(value, &end, 0);
    uint8_t byte = (uint8_t)number;

    if (end == value || *end || number > 255)
        return serial_complain(r->diag, "\"%s\" is no number of 0-255", value);
    return put(r, &byte, 1);
}

/* WIDTH:LOW:HIGH} behind ${moving: */
static enum gw_err put_moving(struct rendering *r, const char *fraction, const char *form)
{
    enum { NUMBER_MAX = 32 };
    char text[NUMBER_MAX + 1], *end;
    bool has_zeros = *form == '0';
    long width = strtol(form, &end, 10);
    const char *low_text = *end == ':' ? end + 1 : "";
    double low = strtod(low_text, &end), high = *end == ':' ? strtod(end + 1, &end) : NAN;
    const char *point = memchr(low_text, '.', strcspn(low_text, ":"));
    int n_decimals = point ? (int)strcspn(point + 1, ":") : 0;

    if (width < 1 || width > NUMBER_MAX || n_decimals > 9 || *end != '}' ||
        !(low > -1e9 && high >= low && high < 1e9))
        return serial_complain(
            r->diag, "${moving:%.30s: behind the colon stands WIDTH:LOW:HIGH, such as 8:9.50:10.50",
            form);
    double value = low + (high - low) * strtod(fraction, NULL);
    int len =
        snprintf(text, sizeof text, has_zeros ? "%0*.*f" : "%*.*f", (int)width, n_decimals, value);
    return len > 0 && len <= NUMBER_MAX ? put(r, (const uint8_t *)text, (size_t)len) : GW_E_RANGE;
}

static enum gw_err put_checksum(struct rendering *r)
{
    uint8_t bytes[4];

    if (!r->checksum || !r->checksum->sum)
        return serial_complain(r->diag, "${checksum} is not declared: its \"type\" is missing");
    if ((size_t)r->checksum->from > r->len)
        return serial_complain(r->diag, "${checksum} is before the first byte that it covers");
    size_t from = (size_t)r->checksum->from;
    uint16_t value = serial_sum((enum serial_sum)r->checksum->sum, r->buf + from, r->len - from);
    return put(r, bytes,
               serial_sum_write((enum serial_sum)r->checksum->sum,
                                (enum serial_encoding)r->checksum->encoding, value, bytes));
}

/* ${NAME}, ${NAME:bcd}, ${NAME:byte}, ${moving:...}, ${checksum} */
static enum gw_err put_variable(struct rendering *r, const char **at)
{
    const char *name = *at + 2, *close = strchr(name, '}');
    size_t len = close ? (size_t)(close - name) : 0;
    const char *colon = close ? memchr(name, ':', len) : NULL;
    size_t n_name = colon ? (size_t)(colon - name) : len;

    if (!close || n_name == 0)
        return serial_complain(r->diag, "\"%.20s\" is not closed or has no name", *at);
    *at = close + 1;
    if (len == 8 && memcmp(name, "checksum", 8) == 0)
        return put_checksum(r);
    const char *value = find_var(r->vars, name, n_name);
    if (!value)
        return serial_complain(r->diag, "${%.*s} is unknown here", (int)n_name, name);
    if (colon && n_name == strlen(SERIAL_MOVING) && memcmp(name, SERIAL_MOVING, n_name) == 0)
        return put_moving(r, value, colon + 1);
    if (!colon)
        return put(r, (const uint8_t *)value, strlen(value));
    if (strncmp(colon, ":bcd}", 5) == 0)
        return put_bcd(r, value);
    if (strncmp(colon, ":byte}", 6) == 0)
        return put_byte(r, value);
    return serial_complain(r->diag, "${%.*s}: after the colon stands bcd or byte", (int)len, name);
}

enum gw_err serial_render(const char *text, const struct serial_append_conf *checksum,
                          const struct serial_vars *vars, uint8_t *buf, size_t size,
                          size_t *ret_len, struct gw_driver_diag *diag)
{
    struct rendering r = {checksum, vars, buf, size, 0, diag};
    bool is_hex = strncmp(text, "hex:", 4) == 0;
    enum gw_err err = GW_OK;

    if (is_hex)
        text += 4 + strspn(text + 4, " ");
    while (*text && !err) {
        uint8_t byte;

        if (text[0] == '$' && text[1] == '{') {
            err = put_variable(&r, &text);
            text += is_hex ? strspn(text, " ") : 0;
            continue;
        }
        err = is_hex ? serial_take_hex(&text, &byte, diag) : serial_take_byte(&text, &byte, diag);
        err = err ? err : put(&r, &byte, 1);
    }
    if (!err)
        *ret_len = r.len;
    return err;
}

int64_t serial_baud(const char *text, const struct serial_vars *vars)
{
    /* Source: IEC 62056-21, 6.3.2: mode C; A-F and so on are mode B */
    static const int64_t speeds[] = {300, 600, 1200, 2400, 4800, 9600, 19200};
    uint8_t letter;
    size_t len;
    char *end;

    if (strncmp(text, "iec:", 4) == 0) {
        if (serial_render(text + 4, NULL, vars, &letter, 1, &len, NULL) != GW_OK || len != 1 ||
            letter < '0' || letter > '6')
            return 0;
        return speeds[letter - '0'];
    }
    long baud = strtol(text, &end, 10);
    return end != text && *end == '\0' && baud >= 50 && baud <= 4000000 ? baud : 0;
}
