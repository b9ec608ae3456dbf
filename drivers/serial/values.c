/* values: what stands at the place of a point, as its type. */
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/charset.h"
#include "drivers/serial/mbus.h"
#include "drivers/serial/reader.h"

_Static_assert((int)SERIAL_MBUS_TEXT <= (int)SERIAL_TEXT_MAX, "a text of M-Bus fits");

/* One point being read. */
struct reading {
    struct serial_reader *reader;
    const struct serial_point_conf *conf;
    const struct serial_frame *frame;
    size_t point;
    struct serial_slice text;
    struct gw_result *result;
};

static void fail(struct reading *r, const char *reason)
{
    *r->result = (struct gw_result){.err = GW_E_PROTO, .reason = reason};
}

bool serial_is_one_of(const struct gw_list *list, struct serial_slice text)
{
    for (size_t i = 0; i < list->n_items; i++)
        if (strlen(list->items[i]) == text.len && memcmp(list->items[i], text.p, text.len) == 0)
            return true;
    return false;
}

/* Finds any place of the point, also its sign's; a group is one of the pattern `match`. */
static bool find(const struct reading *r, const struct serial_place *place, size_t n_bytes,
                 struct serial_slice *ret)
{
    size_t pattern = r->reader->of_points[r->point], at, len;

    if (place->kind != SERIAL_GROUP)
        return serial_place_find(place, r->conf, r->frame, n_bytes, ret);
    if (pattern == SIZE_MAX || !r->reader->patterns->list[pattern].fits ||
        !serial_pattern_group(r->reader->patterns->list[pattern].compiled, place->name, &at, &len))
        return false;
    *ret = (struct serial_slice){r->frame->bytes + r->frame->body + at, len};
    return true;
}

static uint64_t masked(uint64_t value, uint64_t mask)
{
    if (!mask)
        return value;
    return (value & mask) / (mask & (~mask + 1)); /* its lowest bit becomes bit 0 */
}

/* ---- sign and decimals from elsewhere -------------------------------------------------------------- */

/* False: it should be there and is not. */
static bool find_sign(const struct reading *r, bool *ret_is_negative)
{
    const struct serial_place *place = &r->conf->sign;
    struct serial_slice text;

    *ret_is_negative = false;
    if (place->kind == SERIAL_NOWHERE)
        return true;
    if (!find(r, place, 1, &text))
        return false;
    if (place->kind == SERIAL_BYTE && place->mask) {
        *ret_is_negative = serial_join(text.p, text.len, SERIAL_BIG) & place->mask;
        return true;
    }
    struct serial_slice letter = serial_trim(text);
    if (letter.len > 1 || (letter.len == 0 && text.len == 0))
        return false;
    if (letter.len == 1) { /* a blank is plus */
        *ret_is_negative = strchr("-SW", letter.p[0]) != NULL && letter.p[0] != 0;
        return strchr("-+SWNE0", letter.p[0]) != NULL && letter.p[0] != 0;
    }
    return true;
}

static bool find_decimals(const struct reading *r, int32_t *ret_n)
{
    const struct serial_place *place = &r->conf->places;
    const struct gw_list *table = &r->conf->place_table;
    struct serial_slice text;
    int64_t n = 0;
    int32_t exp10 = 0;

    *ret_n = 0;
    if (place->kind == SERIAL_NOWHERE)
        return true;
    if (!find(r, place, 1, &text))
        return false;
    if (place->kind == SERIAL_BYTE && place->mask)
        n = (int64_t)masked(serial_join(text.p, text.len, SERIAL_BIG), place->mask);
    else if (!serial_parse_number(text, false, &n, &exp10) || exp10 != 0)
        return false;
    if (n < 0 || n > 255 || (table->n_items && (size_t)n >= table->n_items))
        return false;
    *ret_n = table->n_items ? (int32_t)strtol(table->items[n], NULL, 10) : (int32_t)n;
    return *ret_n <= 18;
}

/* ---- types ----------------------------------------------------------------------------------------- */

/* Gives an integer with the sign and the decimals that stand elsewhere. */
static void give_scaled(struct reading *r, int64_t digits, int32_t exp10)
{
    bool is_negative;
    int32_t n_decimals;

    if (!find_sign(r, &is_negative) || !find_decimals(r, &n_decimals)) {
        fail(r, "bad_number");
        return;
    }
    r->result->value = (struct gw_value){.kind = GW_INT, .i = is_negative ? -digits : digits};
    r->result->exp10 = exp10 - n_decimals;
}

/* As many as a number may have digits; a longer one is refused anyway. */
enum { REVERSED_MAX = 64 };

static void read_number(struct reading *r)
{
    uint8_t reversed[REVERSED_MAX];
    struct serial_slice text = r->text;
    int64_t digits;
    int32_t exp10;

    if (r->conf->is_reversed && text.len <= REVERSED_MAX) {
        for (size_t i = 0; i < text.len; i++)
            reversed[i] = r->text.p[text.len - 1 - i];
        text.p = reversed;
    }
    if (!serial_parse_number(text, r->conf->decimal_comma, &digits, &exp10))
        fail(r, "bad_number");
    else
        give_scaled(r, digits, exp10);
}

static void read_degrees(struct reading *r)
{
    double degrees;
    bool is_negative;

    if (!serial_parse_degrees(r->text, &degrees) || !find_sign(r, &is_negative))
        fail(r, "bad_number");
    else
        r->result->value =
            (struct gw_value){.kind = GW_FLOAT64, .f64 = is_negative ? -degrees : degrees};
}

static void give_text(struct reading *r, struct serial_slice text)
{
    const struct serial_reader *reader = r->reader;
    char *buf = reader->texts[r->point];
    size_t len = serial_to_utf8(text, (enum serial_charset)reader->conf->charset, reader->converter,
                                buf, SERIAL_TEXT_MAX);

    r->result->value = (struct gw_value){.kind = GW_TEXT, .text = {buf, len}};
}

static void read_text(struct reading *r)
{
    give_text(r, serial_trim(r->text));
    struct serial_slice text = {(const uint8_t *)r->result->value.text.p,
                                r->result->value.text.len};

    for (size_t i = 0; i < r->conf->words.n_items; i++) {
        const char *word = r->conf->words.items[i], *equals = strchr(word, '=');

        if (equals && (size_t)(equals - word) == text.len && memcmp(word, text.p, text.len) == 0) {
            r->result->value =
                (struct gw_value){.kind = GW_TEXT, .text = {equals + 1, strlen(equals + 1)}};
            return;
        }
    }
}

static void read_bool(struct reading *r)
{
    static const char *const yes[] = {"true", "1", "on", "TRUE", "ON", "yes"};
    static const char *const no[] = {"false", "0", "off", "FALSE", "OFF", "no"};
    const struct gw_list is_yes = {yes, sizeof yes / sizeof *yes},
                         is_no = {no, sizeof no / sizeof *no};
    struct serial_slice text = serial_trim(r->text);
    bool value;

    if (r->conf->equals.n_items)
        value = serial_is_one_of(&r->conf->equals, text);
    else if (r->conf->from.kind == SERIAL_BYTE)
        value = masked(serial_join(r->text.p, r->text.len, SERIAL_BIG), r->conf->from.mask) != 0;
    else if (serial_is_one_of(&is_yes, text) || serial_is_one_of(&is_no, text))
        value = serial_is_one_of(&is_yes, text);
    else {
        fail(r, "bad_text");
        return;
    }
    r->result->value = (struct gw_value){.kind = GW_BOOL, .b = value != r->conf->is_inverted};
}

static void read_hex(struct reading *r)
{
    uint64_t value;

    if (!serial_parse_hex(r->text, &value))
        fail(r, "bad_number");
    else
        r->result->value =
            (struct gw_value){.kind = GW_UINT, .u = masked(value, r->conf->from.mask)};
}

static void read_time(struct reading *r)
{
    char buf[40];
    size_t len = serial_parse_time(r->text, r->conf->format, r->conf->zone, buf);

    if (len == 0)
        fail(r, "bad_time");
    else
        give_text(r, (struct serial_slice){(const uint8_t *)buf, len});
}

static void read_integer(struct reading *r, const struct serial_type_spec *spec)
{
    uint64_t value = serial_join(r->text.p, spec->size, (enum serial_order)r->conf->order);
    unsigned unused = 64 - 8u * spec->size;

    if (r->conf->from.mask)
        value = masked(value, r->conf->from.mask);
    else if (spec->type == SERIAL_INT)
        value = (uint64_t)((int64_t)(value << unused) >> unused);
    if (spec->type == SERIAL_UINT &&
        (value > INT64_MAX ||
         (r->conf->sign.kind == SERIAL_NOWHERE && r->conf->places.kind == SERIAL_NOWHERE)))
        r->result->value = (struct gw_value){.kind = GW_UINT, .u = value};
    else
        give_scaled(r, (int64_t)value, 0);
}

static void read_float(struct reading *r, const struct serial_type_spec *spec)
{
    uint64_t bits = serial_join(r->text.p, spec->size, (enum serial_order)r->conf->order);
    uint32_t low = (uint32_t)bits;
    struct gw_value value = {.kind = spec->size == 4 ? GW_FLOAT32 : GW_FLOAT64};

    if (spec->size == 4)
        memcpy(&value.f32, &low, sizeof low);
    else
        memcpy(&value.f64, &bits, sizeof bits);
    r->result->value = value;
}

static void read_bcd(struct reading *r, bool is_signed)
{
    int64_t value;

    if (!serial_parse_bcd(r->text, (enum serial_order)r->conf->order, is_signed, &value))
        fail(r, "bad_bcd");
    else
        give_scaled(r, value, 0);
}

static void read_bytes(struct reading *r)
{
    static const char digits[] = "0123456789ABCDEF";
    char *buf = r->reader->texts[r->point];
    bool is_little = r->conf->order == SERIAL_LITTLE;
    size_t n = r->text.len <= SERIAL_TEXT_MAX / 2 ? r->text.len : SERIAL_TEXT_MAX / 2;

    for (size_t i = 0; i < n; i++) {
        uint8_t byte = r->text.p[is_little ? r->text.len - 1 - i : i];

        buf[2 * i] = digits[byte >> 4];
        buf[2 * i + 1] = digits[byte & 0xF];
    }
    r->result->value = (struct gw_value){.kind = GW_TEXT, .text = {buf, 2 * n}};
}

static void read_by_type(struct reading *r, const struct serial_type_spec *spec)
{
    if (r->text.len < spec->size) {
        fail(r, "no_value");
        return;
    }
    switch (spec->type) {
    case SERIAL_NUMBER:
    case SERIAL_TYPE_DEFAULT:
        read_number(r);
        break;
    case SERIAL_TEXT:
        read_text(r);
        break;
    case SERIAL_BOOL:
        read_bool(r);
        break;
    case SERIAL_HEX_INT:
        read_hex(r);
        break;
    case SERIAL_DEGREES:
        read_degrees(r);
        break;
    case SERIAL_TIME:
        read_time(r);
        break;
    case SERIAL_UINT:
    case SERIAL_INT:
        read_integer(r, spec);
        break;
    case SERIAL_FLOAT:
        read_float(r, spec);
        break;
    case SERIAL_BCD:
    case SERIAL_BCD_SIGNED:
        read_bcd(r, spec->type == SERIAL_BCD_SIGNED);
        break;
    case SERIAL_RAW_BYTES:
        read_bytes(r);
        break;
    }
}

/* A blank says that there is no value; of a bool it may say something: `equals` decides. */
static bool is_blank(const struct serial_point_conf *conf, const struct serial_type_spec *spec,
                     struct serial_slice text)
{
    return conf->from.kind != SERIAL_BYTE && !(spec->type == SERIAL_BOOL && conf->equals.n_items) &&
           serial_trim(text).len == 0;
}

void serial_reader_read(struct serial_reader *reader, const struct serial_frame *frame,
                        size_t point, struct gw_result *ret_result)
{
    const struct serial_point_conf *conf = reader->points[point];
    const struct serial_type_spec spec = serial_point_type(conf);
    struct reading r = {reader, conf, frame, point, {NULL, 0}, ret_result};

    *ret_result = (struct gw_result){.err = GW_OK};
    if (reader->reason && !conf->always)
        fail(&r, reader->reason);
    else if (conf->from.kind == SERIAL_MBUS && serial_reader_brings(reader, point))
        serial_mbus_read(&conf->from.mbus, frame, reader->texts[point], ret_result);
    else if (!serial_reader_brings(reader, point) ||
             !find(&r, &conf->from, spec.size ? spec.size : 1, &r.text) ||
             is_blank(conf, &spec, r.text))
        fail(&r, "no_value");
    else
        read_by_type(&r, &spec);
}
