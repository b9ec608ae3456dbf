/* config_decode: one value of the tree into one member of a struct, as its key says. */
#include "gateway/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/number.h"

enum { SHOWN_MAX = 60 }; /* bytes of a value in a sentence */

/* ---- numbers --------------------------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(*words, text) == 0)
            return true;
    return false;
}

enum gw_number_kind gw_number_kind(const char *text)
{
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    static const char *const infs[] = {".inf",  ".Inf",  ".INF",  "+.inf", "+.Inf",
                                       "+.INF", "-.inf", "-.Inf", "-.INF", NULL};
    static const char digits[] = "0123456789";
    const char *p = text;
    size_t n_whole, n_fraction = 0;

    if (is_one_of(text, nans))
        return GW_NAN;
    if (is_one_of(text, infs))
        return GW_INFINITE;
    if (text[0] == '0' && text[1] == 'x')
        return text[2] && text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] == '\0'
                   ? GW_HEX
                   : GW_NOT_A_NUMBER;
    p += *p == '+' || *p == '-';
    p += n_whole = strspn(p, digits);
    if (*p == '\0')
        return n_whole ? GW_WHOLE : GW_NOT_A_NUMBER;
    if (*p == '.')
        p += 1 + (n_fraction = strspn(p + 1, digits));
    if (n_whole + n_fraction == 0)
        return GW_NOT_A_NUMBER;
    if (*p == 'e' || *p == 'E') {
        p += p[1] == '+' || p[1] == '-' ? 2 : 1;
        if (!isdigit((unsigned char)*p))
            return GW_NOT_A_NUMBER;
        p += strspn(p, digits);
    }
    return *p == '\0' ? GW_REAL : GW_NOT_A_NUMBER;
}

bool gw_parse_uint(const char *text, uint64_t *ret_value)
{
    errno = 0;
    *ret_value = strtoull(text, NULL, gw_number_kind(text) == GW_HEX ? 16 : 10);
    return errno == 0 && text[0] != '-';
}

bool gw_parse_int(const char *text, int64_t *ret_value)
{
    errno = 0;
    *ret_value = strtoll(text, NULL, gw_number_kind(text) == GW_HEX ? 16 : 10);
    return errno == 0;
}

/* ---- sentences ------------------------------------------------------------------------------------- */

const char *gw_describe(struct gw_loader *loader, const struct gw_yaml_node *value)
{
    if (value->kind == GW_YAML_WRONG)
        return "what it is";
    if (value->kind == GW_YAML_LIST)
        return "a list";
    if (value->kind == GW_YAML_MAP)
        return "a mapping";
    if (gw_yaml_is_null(value))
        return "nothing";
    size_t len = strlen(value->text);
    if (len <= SHOWN_MAX)
        return gw_arena_print(&loader->memory.nodes, "\"%s\"", value->text);
    for (len = SHOWN_MAX; len && ((unsigned char)value->text[len] & 0xC0) == 0x80; len--)
        ;
    return gw_arena_print(&loader->memory.nodes, "\"%.*s...\"", (int)len, value->text);
}

bool gw_is_sound(const struct gw_loader *loader, const struct gw_yaml_node *value)
{
    return !value || (!gw_diags_any_at(loader->diags, gw_yaml_mark(value)) &&
                      !gw_diags_any_at(loader->diags, gw_yaml_key_mark(value)));
}

/* One value being decoded. */
struct decoding {
    struct gw_loader *loader;
    const struct gw_key *key;
    const struct gw_yaml_node *value;
    const char *text; /* of a scalar, expanded */
    void *field;
};

static bool must_be(const struct decoding *d, const char *what)
{
    const char *shown = d->key->flags & GW_SECRET ? "this" : gw_describe(d->loader, d->value);

    gw_diag_add(d->loader->diags,
                gw_yaml_is_null(d->value) ? gw_yaml_key_mark(d->value) : gw_yaml_mark(d->value),
                "\"%s\" must be %s, not %s", d->key->name, what, shown);
    return false;
}

static void print_limit(const struct gw_key *key, double limit, char buf[GW_QUANTITY_TEXT])
{
    if (key->type == GW_KEY_DURATION)
        gw_duration_text((int64_t)limit, buf);
    else if (key->type == GW_KEY_SIZE)
        gw_size_text((int64_t)limit, buf);
    else if (fabs(limit) < 1e15 && limit == floor(limit))
        snprintf(buf, GW_QUANTITY_TEXT, "%.0f", limit);
    else
        snprintf(buf, GW_QUANTITY_TEXT, "%g", limit);
}

static bool check_range(const struct decoding *d, double number)
{
    const struct gw_key *key = d->key;
    char min[GW_QUANTITY_TEXT], max[GW_QUANTITY_TEXT];

    if ((key->min == 0 && key->max == 0) || (number >= key->min && number <= key->max))
        return true;
    print_limit(key, key->min, min);
    print_limit(key, key->max, max);
    gw_diag_add(d->loader->diags, gw_yaml_mark(d->value), "%s %s is out of range (%s%s%s)",
                key->name, d->text, min, key->min < 0 ? " to " : "-", max);
    return false;
}

/* ---- types ----------------------------------------------------------------------------------------- */

static bool decode_bool(const struct decoding *d)
{
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    static const char *const like_yes[] = {"yes", "Yes", "YES", "on", "On", "ON", "1", "y", NULL};
    static const char *const like_no[] = {"no", "No", "NO", "off", "Off", "OFF", "0", "n", NULL};
    bool is_plain = d->value->kind == GW_YAML_PLAIN, is_yes = is_one_of(d->text, yes);

    if (is_plain && (is_yes || is_one_of(d->text, no))) {
        *(bool *)d->field = is_yes;
        return true;
    }
    if (is_yes || is_one_of(d->text, like_yes) || is_one_of(d->text, no) ||
        is_one_of(d->text, like_no)) {
        is_yes = is_yes || is_one_of(d->text, like_yes);
        gw_diag_add(d->loader->diags, gw_yaml_mark(d->value),
                    "\"%s\" must be true or false, not %s\"%s\"; write %s", d->key->name,
                    is_plain ? "" : "the text ", d->text, is_yes ? "true" : "false");
        return false;
    }
    return must_be(d, "true or false");
}

/* Quotes make a text of a number: said so, since the value alone looks right. */
static bool is_quoted_number(const struct decoding *d)
{
    if (d->value->kind != GW_YAML_QUOTED || gw_number_kind(d->text) == GW_NOT_A_NUMBER)
        return false;
    gw_diag_add(d->loader->diags, gw_yaml_mark(d->value),
                "\"%s\" must be a number, not the text \"%s\"; leave out the quotes", d->key->name,
                d->text);
    return true;
}

/* 010 is eight to some programs and ten to others. */
static bool has_leading_zero(const struct decoding *d)
{
    const char *p = d->text + (*d->text == '-' || *d->text == '+');

    if (p[0] != '0' || !isdigit((unsigned char)p[1]))
        return false;
    gw_diag_add(d->loader->diags, gw_yaml_mark(d->value),
                "\"%s\" has a leading zero (%s); leave it out", d->key->name, d->text);
    return true;
}

/* Whole numbers and those of the other kind will do. */
static bool check_number(const struct decoding *d, enum gw_number_kind other, const char *wanted)
{
    enum gw_number_kind kind = gw_number_kind(d->text);

    if (is_quoted_number(d))
        return false;
    if (d->value->kind == GW_YAML_QUOTED || (kind != GW_WHOLE && kind != other))
        return must_be(d, wanted);
    return kind != GW_WHOLE || !has_leading_zero(d);
}

static bool decode_int(const struct decoding *d)
{
    int64_t number;

    if (!check_number(d, GW_HEX, "a whole number"))
        return false;
    if (!gw_parse_int(d->text, &number)) {
        if (check_range(d, d->text[0] == '-' ? -INFINITY : INFINITY))
            must_be(d, "a number of 64 bits");
        return false;
    }
    if (!check_range(d, (double)number))
        return false;
    *(int64_t *)d->field = number;
    return true;
}

static bool decode_float(const struct decoding *d)
{
    double number;

    if (!check_number(d, GW_REAL, "a number"))
        return false;
    number = strtod(d->text, NULL);
    if (!isfinite(number))
        return must_be(d, "a number that fits a double");
    if (!check_range(d, number))
        return false;
    *(double *)d->field = number;
    return true;
}

static bool decode_decimal(const struct decoding *d)
{
    struct gw_decimal decimal;

    if (!check_number(d, GW_REAL, "a number"))
        return false;
    enum gw_err err = gw_decimal_parse(d->text, &decimal);
    if (err != GW_OK)
        return must_be(d, err == GW_E_RANGE
                              ? "a number of at most 18 digits, without a large exponent"
                              : "a number");
    if (!check_range(d, gw_decimal_to_double(decimal)))
        return false;
    *(struct gw_decimal *)d->field = decimal;
    return true;
}

static bool is_bool_word(const char *text)
{
    static const char *const words[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};

    return is_one_of(text, words);
}

static bool check_text(const struct decoding *d, const struct gw_yaml_node *value, const char *text)
{
    const struct gw_key *key = d->key;
    size_t len = strlen(text);

    if (value->kind == GW_YAML_PLAIN && is_bool_word(text)) {
        gw_diag_add(d->loader->diags, gw_yaml_mark(value),
                    "\"%s\" must be a text; put \"%s\" in quotes", key->name, text);
        return false;
    }
    if (key->type == GW_KEY_LIST || (key->min == 0 && key->max == 0))
        return true;
    if ((double)len < key->min)
        gw_diag_add(d->loader->diags, gw_yaml_mark(value), "\"%s\" is %s", key->name,
                    len ? "too short" : "empty");
    else if ((double)len > key->max)
        gw_diag_add(d->loader->diags, gw_yaml_mark(value),
                    "\"%s\" is too long (%zu bytes; at most %.0f)", key->name, len, key->max);
    else
        return true;
    return false;
}

static bool decode_text(const struct decoding *d)
{
    if (!check_text(d, d->value, d->text))
        return false;
    *(const char **)d->field = d->text;
    return true;
}

static bool decode_choice(const struct decoding *d)
{
    const char *names[32], *near;
    char list[200] = "";
    size_t n = 0, at = 0;

    for (const struct gw_choice *choice = d->key->choices; choice && choice->name; choice++) {
        if (strcmp(choice->name, d->text) == 0) {
            *(int *)d->field = choice->value;
            return true;
        }
        if (n < sizeof names / sizeof names[0])
            names[n++] = choice->name;
    }
    for (size_t i = 0; i < n && at < sizeof list; i++)
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s",
                               i == 0       ? ""
                               : i + 1 == n ? " or "
                                            : ", ",
                               names[i]);
    near = gw_suggest(d->text, names, n);
    gw_diag_add(d->loader->diags, gw_yaml_mark(d->value), "\"%s\" must be %s, not %s%s%s%s",
                d->key->name, list, gw_describe(d->loader, d->value),
                near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    return false;
}

static bool decode_quantity(const struct decoding *d)
{
    char why[GW_QUANTITY_WHY];
    int64_t amount;
    enum gw_err err = d->key->type == GW_KEY_SIZE ? gw_size_parse(d->text, &amount, why)
                                                  : gw_duration_parse(d->text, &amount, why);

    if (err != GW_OK) {
        gw_diag_add(d->loader->diags, gw_yaml_mark(d->value), "%s %s %s", d->key->name,
                    gw_describe(d->loader, d->value), why);
        return false;
    }
    if (!check_range(d, (double)amount))
        return false;
    *(int64_t *)d->field = amount;
    return true;
}

static bool decode_parsed(const struct decoding *d)
{
    struct gw_driver_diag diag = {0};

    if (d->key->parse(d->text, d->field, &diag) == GW_OK)
        return true;
    if (diag.text[0])
        gw_diag_add(d->loader->diags, gw_yaml_mark(d->value), "%s", diag.text);
    else
        gw_diag_add(d->loader->diags, gw_yaml_mark(d->value), "\"%s\" is not understood: %s",
                    d->key->name, gw_describe(d->loader, d->value));
    return false;
}

/* ---- lists, dispatch ------------------------------------------------------------------------------- */

static const char *expand(struct gw_loader *loader, const struct gw_key *key,
                          const struct gw_yaml_node *value, bool expands)
{
    if (!(expands || (key->flags & GW_ADDRESS)) || !strstr(value->text, "${"))
        return value->text;
    return gw_expand_environment(loader, value->text, expands ? loader->variables : NULL,
                                 gw_yaml_mark(value));
}

static bool decode_item(const struct decoding *d, const struct gw_yaml_node *item, bool expands,
                        const char **ret_text)
{
    if (item->kind == GW_YAML_WRONG)
        return false;
    if (!gw_yaml_is_scalar(item) || gw_yaml_is_null(item)) {
        gw_diag_add(d->loader->diags, gw_yaml_mark(item),
                    "\"%s\" must be a list of texts; this is %s", d->key->name,
                    gw_describe(d->loader, item));
        return false;
    }
    *ret_text = expand(d->loader, d->key, item, expands);
    return *ret_text && check_text(d, item, *ret_text);
}

static bool decode_list(const struct decoding *d, bool expands)
{
    const struct gw_yaml_node *value = d->value,
                              *item = value->kind == GW_YAML_LIST ? value->first : value;
    size_t n = value->kind == GW_YAML_LIST ? value->n_entries : 1, i = 0;
    const char **items = gw_arena_alloc(&d->loader->memory.texts, n * sizeof *items);
    bool is_good = true;

    if (value->kind == GW_YAML_MAP || gw_yaml_is_null(value))
        return must_be(d, "a text or a list of texts");
    for (; i < n; item = item->next)
        is_good &= decode_item(d, item, expands, &items[i++]);
    if (d->key->max > 0 && ((double)n < d->key->min || (double)n > d->key->max)) {
        gw_diag_add(d->loader->diags, gw_yaml_mark(value), "\"%s\" has %zu items (%.0f-%.0f)",
                    d->key->name, n, d->key->min, d->key->max);
        return false;
    }
    if (is_good)
        *(struct gw_list *)d->field = (struct gw_list){items, n};
    return is_good;
}

static const char *type_name(const struct gw_key *key)
{
    switch (key->type) {
    case GW_KEY_BOOL:
        return "true or false";
    case GW_KEY_INT:
        return "a whole number";
    case GW_KEY_FLOAT:
    case GW_KEY_DECIMAL:
        return "a number";
    case GW_KEY_DURATION:
        return "a duration such as 500ms or 10s";
    case GW_KEY_SIZE:
        return "a size such as 64KiB or 10MB";
    case GW_KEY_CHOICE:
        return "one word";
    default:
        return "a text";
    }
}

static bool decode_scalar(const struct decoding *d)
{
    switch (d->key->type) {
    case GW_KEY_BOOL:
        return decode_bool(d);
    case GW_KEY_INT:
        return decode_int(d);
    case GW_KEY_FLOAT:
        return decode_float(d);
    case GW_KEY_DECIMAL:
        return decode_decimal(d);
    case GW_KEY_TEXT:
        return decode_text(d);
    case GW_KEY_CHOICE:
        return decode_choice(d);
    case GW_KEY_DURATION:
    case GW_KEY_SIZE:
        return decode_quantity(d);
    case GW_KEY_PARSED:
        return decode_parsed(d);
    default:
        return false;
    }
}

bool gw_decode(struct gw_loader *loader, const struct gw_key *key, const struct gw_yaml_node *value,
               void *base, bool expands)
{
    struct decoding d = {loader, key, value, NULL, (char *)base + key->offset};

    if (key->flags & GW_SECRET && value->file) {
        gw_diag_hide_line(loader->diags, gw_yaml_mark(value));
        gw_diag_hide_line(loader->diags, gw_yaml_key_mark(value));
    }
    if (value->kind == GW_YAML_WRONG)
        return false;
    if (key->type == GW_KEY_CUSTOM) {
        *(const void **)d.field = value;
        return true;
    }
    if (key->type == GW_KEY_LIST)
        return decode_list(&d, expands);
    if (key->type == GW_KEY_MAP)
        return gw_decode_map(loader, key, value, d.field);
    if (key->type == GW_KEY_MAPS)
        return gw_decode_maps(loader, key, value, d.field);
    if (!gw_yaml_is_scalar(value) || gw_yaml_is_null(value))
        return must_be(&d, type_name(key));
    d.text = expand(loader, key, value, expands);
    return d.text && decode_scalar(&d);
}

void gw_decode_defaults(struct gw_loader *loader, const struct gw_key *keys, void *base,
                        bool expands)
{
    for (; keys && keys->name; keys++) {
        struct gw_yaml_node value = {.key = keys->name, .kind = GW_YAML_PLAIN, .text = keys->def};

        if (keys->type == GW_KEY_MAP)
            gw_decode_defaults(loader, keys->keys, (char *)base + keys->offset, expands);
        else if (keys->def && keys->type != GW_KEY_CUSTOM && keys->type != GW_KEY_MAPS)
            gw_decode(loader, keys, &value, base, expands);
    }
}
