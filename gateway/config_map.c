/* config_map: scale, limits, enum and invalid values of a point, checked against what its type can hold. */
#include "gateway/config_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One point's map being resolved. */
struct mapping {
    struct gw_loader *loader;
    const struct gw_layer *layer;
    const struct gw_point_traits *traits;
};

static struct gw_mark place_of(const struct gw_layer *layer, const char *key)
{
    const struct gw_yaml_node *value = gw_layer_find(layer, key, GW_LEVEL_POINT);

    return value ? gw_yaml_mark(value) : (struct gw_mark){0};
}

/* ---- raw values ------------------------------------------------------------------------------------ */

static bool is_float_kind(enum gw_kind kind)
{
    return kind == GW_FLOAT32 || kind == GW_FLOAT64;
}

static bool fits_raw(const struct mapping *m, double raw)
{
    const struct gw_point_traits *traits = m->traits;

    return (traits->raw_min == 0 && traits->raw_max == 0) ||
           (raw >= traits->raw_min && raw <= traits->raw_max);
}

/* 0x8000 of a signed 16-bit point is the bit pattern: -32768. */
static int64_t from_pattern(const struct mapping *m, uint64_t pattern)
{
    double span = m->traits->raw_max - m->traits->raw_min + 1;

    if (m->traits->kind != GW_INT || (double)pattern <= m->traits->raw_max ||
        (double)pattern >= span)
        return (int64_t)pattern;
    return span >= 18446744073709551616.0 ? (int64_t)pattern : (int64_t)pattern - (int64_t)span;
}

static void report_raw(const struct mapping *m, const char *key, const char *text,
                       struct gw_mark mark)
{
    gw_diag_add(m->loader->diags, mark,
                "%s value %s can never be read: the type holds %.17g to %.17g", key, text,
                m->traits->raw_min, m->traits->raw_max);
}

/* ---- enum ------------------------------------------------------------------------------------------ */

static bool parse_raw(const struct mapping *m, const struct gw_yaml_node *entry, int64_t *ret_raw)
{
    const char *text = entry->key;
    struct gw_mark mark = gw_yaml_key_mark(entry);
    enum gw_number_kind kind = gw_number_kind(text);
    uint64_t pattern;

    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *ret_raw = text[0] == 't';
    } else if (kind == GW_HEX && gw_parse_uint(text, &pattern)) {
        *ret_raw = from_pattern(m, pattern);
    } else if (kind != GW_WHOLE || !gw_parse_int(text, ret_raw)) {
        gw_diag_add(m->loader->diags, mark,
                    "\"enum\" must map raw whole numbers to names; \"%.60s\" is none", text);
        return false;
    }
    if (fits_raw(m, (double)*ret_raw))
        return true;
    report_raw(m, "enum", text, mark);
    return false;
}

static int compare_enums(const void *a, const void *b)
{
    const struct gw_enum_name *left = a, *right = b;

    return left->raw < right->raw ? -1 : left->raw > right->raw;
}

static bool check_enum_name(const struct mapping *m, const struct gw_yaml_node *entry,
                            struct gw_strmap *names)
{
    if (entry->kind == GW_YAML_WRONG)
        return false;
    if (!gw_yaml_is_scalar(entry) || gw_yaml_is_null(entry) || entry->text[0] == '\0') {
        gw_diag_add(m->loader->diags, gw_yaml_key_mark(entry),
                    "the enum name of %.60s must be a text, not %s", entry->key,
                    gw_describe(m->loader, entry));
        return false;
    }
    void **first = gw_strmap_at(names, entry->text);
    if (*first)
        gw_diag_add(m->loader->diags, gw_yaml_mark(entry),
                    "duplicate enum name \"%.60s\"; first %s", entry->text,
                    gw_print_place(m->loader, *first, entry->file));
    else
        *first = (void *)(uintptr_t)entry;
    return true;
}

static void resolve_enum(const struct mapping *m, const struct gw_yaml_node *map,
                         struct gw_map *ret_map)
{
    struct gw_strmap *names = &m->loader->enum_names;
    struct gw_enum_name *enums;
    size_t n = 0;

    if (map->kind != GW_YAML_MAP || map->n_entries == 0) {
        gw_diag_add(m->loader->diags, gw_yaml_key_mark(map),
                    "\"enum\" must map raw numbers to names, not %s",
                    map->kind == GW_YAML_MAP ? "an empty mapping" : gw_describe(m->loader, map));
        return;
    }
    if (m->traits->kind == GW_TEXT) { /* a float may be a code */
        gw_diag_add(m->loader->diags, gw_yaml_key_mark(map),
                    "\"enum\" needs numbers; the type of this point is a text");
        return;
    }
    gw_strmap_clear(names);
    enums = gw_arena_alloc(&m->loader->memory.nodes, map->n_entries * sizeof *enums);
    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next)
        if (check_enum_name(m, entry, names) && parse_raw(m, entry, &enums[n].raw))
            enums[n++].name = entry->text;
    qsort(enums, n, sizeof *enums, compare_enums);
    for (size_t i = 1; i < n; i++)
        if (enums[i].raw == enums[i - 1].raw)
            gw_diag_add(m->loader->diags, gw_yaml_key_mark(map),
                        "\"enum\" has two names for %lld: \"%.40s\" and \"%.40s\"",
                        (long long)enums[i].raw, enums[i - 1].name, enums[i].name);
    ret_map->enums =
        gw_share(&m->loader->shared, &m->loader->memory.texts, enums, n * sizeof *enums);
    ret_map->n_enums = n;
}

/* ---- invalid --------------------------------------------------------------------------------------- */

static bool parse_invalid(const struct mapping *m, const struct gw_yaml_node *item,
                          struct gw_value *ret_value)
{
    const char *text = item->text;
    enum gw_number_kind kind = gw_number_kind(text);
    uint64_t pattern;
    int64_t whole;

    if (kind == GW_NAN || strcasecmp(text, "nan") == 0) {
        *ret_value = (struct gw_value){.kind = GW_FLOAT64, .f64 = NAN};
        return true;
    }
    if (kind == GW_HEX && gw_parse_uint(text, &pattern)) {
        whole = from_pattern(m, pattern);
        *ret_value = whole < 0 && m->traits->kind == GW_INT
                         ? (struct gw_value){.kind = GW_INT, .i = whole}
                         : (struct gw_value){.kind = GW_UINT, .u = pattern};
    } else if (kind == GW_WHOLE && gw_parse_int(text, &whole)) {
        *ret_value = (struct gw_value){.kind = GW_INT, .i = whole};
    } else if (kind == GW_WHOLE && gw_parse_uint(text, &pattern)) {
        *ret_value = (struct gw_value){.kind = GW_UINT, .u = pattern};
    } else if (kind == GW_REAL && is_float_kind(m->traits->kind) && isfinite(strtod(text, NULL))) {
        *ret_value = (struct gw_value){.kind = GW_FLOAT64, .f64 = strtod(text, NULL)};
    } else {
        return false;
    }
    return true;
}

static double as_double(const struct gw_value *value)
{
    return value->kind == GW_INT    ? (double)value->i
           : value->kind == GW_UINT ? (double)value->u
                                    : value->f64;
}

static bool check_invalid(const struct mapping *m, const struct gw_yaml_node *item,
                          struct gw_value *ret_value)
{
    struct gw_mark mark = gw_yaml_mark(item);

    if (item->kind == GW_YAML_WRONG)
        return false;
    if (!gw_yaml_is_scalar(item) || !parse_invalid(m, item, ret_value)) {
        gw_diag_add(m->loader->diags, mark,
                    "\"invalid\" must list raw values such as -9999, 0x8000 or nan; %s is none",
                    gw_describe(m->loader, item));
        return false;
    }
    bool is_nan = ret_value->kind == GW_FLOAT64 && isnan(ret_value->f64);
    if (is_nan && !is_float_kind(m->traits->kind)) {
        gw_diag_add(m->loader->diags, mark,
                    "invalid value nan can never be read: the type holds whole numbers");
        return false;
    }
    if (is_nan || fits_raw(m, as_double(ret_value)))
        return true;
    report_raw(m, "invalid", item->text, mark);
    return false;
}

static void resolve_invalid(const struct mapping *m, const struct gw_yaml_node *list,
                            struct gw_map *ret_map)
{
    bool is_list = list->kind == GW_YAML_LIST;
    size_t n = 0, n_items = is_list ? list->n_entries : 1;
    struct gw_value *values = gw_arena_alloc(&m->loader->memory.nodes, n_items * sizeof *values);
    struct gw_value value;

    for (const struct gw_yaml_node *item = is_list ? list->first : list; item;
         item = is_list ? item->next : NULL)
        if (check_invalid(m, item, &value)) {
            values[n].kind = value.kind; /* its padding stays zero, see gw_share */
            values[n++].u = value.u;     /* integers and doubles: all of the union that is used */
        }
    ret_map->invalid =
        gw_share(&m->loader->shared, &m->loader->memory.texts, values, n * sizeof *values);
    ret_map->n_invalid = n;
}

/* ---- scale, limits --------------------------------------------------------------------------------- */

/* Says which keys have no meaning for a text or a bit. */
static void check_kind(const struct mapping *m)
{
    static const char *const numeric[] = {"scale", "offset", "offset_first", "decimals",
                                          "min",   "max",    "step",         "invalid"};
    enum gw_kind kind = m->traits->kind;

    if (kind != GW_TEXT && kind != GW_BOOL)
        return;
    for (size_t i = 0; i < sizeof numeric / sizeof numeric[0]; i++) {
        const struct gw_yaml_node *value = gw_layer_find(m->layer, numeric[i], GW_LEVEL_POINT);

        if (value && !(kind == GW_BOOL && strcmp(numeric[i], "invalid") == 0))
            gw_diag_add(m->loader->diags, gw_yaml_key_mark(value),
                        "\"%s\" is for numbers; the type of this point is %s", numeric[i],
                        kind == GW_TEXT ? "a text" : "a bit");
    }
}

void gw_check_map(struct gw_loader *loader, const struct gw_point_draft *draft,
                  const struct gw_layer *layer)
{
    if (draft->scale.digits == 0)
        gw_diag_add(loader->diags, place_of(layer, "scale"), "scale must not be 0");
    if (draft->min > draft->max) /* false with a NaN: no limit */
        gw_diag_add(loader->diags, place_of(layer, "min"), "min %.15g is more than max %.15g",
                    draft->min, draft->max);
}

static void copy_decimal(const struct gw_decimal *from, struct gw_decimal *to)
{
    to->digits = from->digits;
    to->exp10 = from->exp10;
}

/* Over zeroed memory, member by member, so that maps that are alike are so in every byte. */
static void fill_map(const struct gw_point_draft *draft, struct gw_map *map)
{
    memset(map, 0, sizeof *map);
    copy_decimal(&draft->scale, &map->scale);
    copy_decimal(&draft->offset, &map->offset);
    map->offset_first = draft->offset_first;
    map->decimals = (int)draft->decimals;
    map->unit = draft->unit;
    map->has_min = !isnan(draft->min);
    map->has_max = !isnan(draft->max);
    map->min = isnan(draft->min) ? 0 : draft->min;
    map->max = isnan(draft->max) ? 0 : draft->max;
    map->step = draft->step;
}

void gw_resolve_map(struct gw_loader *loader, const struct gw_point_draft *draft,
                    const struct gw_layer *layer, const struct gw_point_traits *traits,
                    struct gw_map *ret_map)
{
    const struct mapping m = {loader, layer, traits};

    fill_map(draft, ret_map);
    check_kind(&m);
    if (draft->enums)
        resolve_enum(&m, draft->enums, ret_map);
    if (draft->invalid && traits->kind != GW_TEXT)
        resolve_invalid(&m, draft->invalid, ret_map);
}
