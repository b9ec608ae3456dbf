/* command_check: is one value what its point allows, and can the field hold it exactly? */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/command.h"
#include "gateway/mapping.h"
#include "gateway/number.h"
#include "gateway/wide.h"

enum { NAMES_TEXT = 120 };

static GW_PRINTF(3, 4) enum gw_command_code
    refuse(char why[GW_COMMAND_WHY], enum gw_command_code code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, GW_COMMAND_WHY, fmt, args);
    va_end(args);
    return code;
}

static bool is_text(const struct gw_value *value, const char *text)
{
    return value->kind == GW_TEXT && value->text.len == strlen(text) &&
           memcmp(value->text.p, text, value->text.len) == 0;
}

static const char *list_names(const struct gw_map *map, char names[NAMES_TEXT])
{
    size_t at = 0;

    names[0] = '\0';
    for (size_t i = 0; i < map->n_enums; i++) {
        if (at + strlen(map->enums[i].name) + sizeof ", ..." + 2 > NAMES_TEXT) {
            snprintf(names + at, NAMES_TEXT - at, ", ...");
            break;
        }
        at += (size_t)snprintf(names + at, NAMES_TEXT - at, "%s%s", at ? ", " : "",
                               map->enums[i].name);
    }
    return names;
}

/* Compares numbers as numbers: 5, 5.0 and 5e0 are one value. */
static bool is_equal(const struct gw_value *a, const struct gw_value *b)
{
    struct gw_wide x, y;

    if (a->kind == GW_TEXT || b->kind == GW_TEXT)
        return a->kind == b->kind && a->text.len == b->text.len &&
               memcmp(a->text.p, b->text.p, a->text.len) == 0;
    if (a->kind == GW_BOOL && b->kind == GW_BOOL)
        return a->b == b->b;
    return gw_wide_of(a, &x) && gw_wide_of(b, &y) && gw_wide_is_equal(x, y);
}

static const char *unit_of(const struct gw_map *map)
{
    return map->unit ? map->unit : "";
}

static const char *space_of(const struct gw_map *map)
{
    return map->unit ? " " : "";
}

static enum gw_command_code check_name(const struct gw_point_conf *point,
                                       const struct gw_value *value, char why[GW_COMMAND_WHY])
{
    char names[NAMES_TEXT];

    for (size_t i = 0; i < point->map->n_enums; i++)
        if (is_text(value, point->map->enums[i].name))
            return GW_COMMAND_OK;
    if (point->map->n_enums == 0)
        return point->traits.kind == GW_TEXT
                   ? GW_COMMAND_OK
                   : refuse(why, GW_COMMAND_WRONG_TYPE, "%s takes %s, not a text", point->name,
                            point->traits.kind == GW_BOOL ? "true or false" : "a number");
    return refuse(why, GW_COMMAND_UNKNOWN_NAME, "%s takes %s", point->name,
                  list_names(point->map, names));
}

static enum gw_command_code check_limits(const struct gw_point_conf *point,
                                         const struct gw_value *value, char why[GW_COMMAND_WHY])
{
    const struct gw_map *map = point->map;
    char text[GW_NUMBER_TEXT];
    double x = gw_value_to_double(value);

    gw_number_print(value, text);
    if (map->has_min && x < map->min)
        return refuse(why, GW_COMMAND_OUT_OF_RANGE, "%s is below the minimum %.15g%s%s of %s", text,
                      map->min, space_of(map), unit_of(map), point->name);
    if (map->has_max && x > map->max)
        return refuse(why, GW_COMMAND_OUT_OF_RANGE, "%s is above the maximum %.15g%s%s of %s", text,
                      map->max, space_of(map), unit_of(map), point->name);
    return GW_COMMAND_OK;
}

static enum gw_command_code check_step(const struct gw_point_conf *point,
                                       const struct gw_value *value, char why[GW_COMMAND_WHY])
{
    const struct gw_map *map = point->map;
    const struct gw_value step = {.kind = GW_FLOAT64, .f64 = map->step},
                          from = {.kind = GW_FLOAT64, .f64 = map->has_min ? map->min : 0};
    struct gw_wide wide, wide_step, wide_from;
    char text[GW_NUMBER_TEXT];

    if (!(map->step > 0))
        return GW_COMMAND_OK;
    if (gw_wide_of(value, &wide) && gw_wide_of(&step, &wide_step) &&
        gw_wide_of(&from, &wide_from) && gw_wide_add(wide, gw_wide_negate(wide_from), &wide) &&
        gw_wide_is_multiple(wide, wide_step))
        return GW_COMMAND_OK;
    gw_number_print(value, text);
    return refuse(why, GW_COMMAND_OFF_STEP,
                  "%s is not %.15g plus a multiple of the step %.15g of %s", text,
                  map->has_min ? map->min : 0.0, map->step, point->name);
}

static enum gw_command_code check_allowed(const struct gw_point_conf *point,
                                          const struct gw_value *value, char why[GW_COMMAND_WHY])
{
    const struct gw_write_conf *write = point->write;

    if (!write || write->n_allowed == 0)
        return GW_COMMAND_OK;
    for (size_t i = 0; i < write->n_allowed; i++)
        if (is_equal(&write->allowed[i], value))
            return GW_COMMAND_OK;
    return refuse(why, GW_COMMAND_NOT_ALLOWED, "this is not one of the %zu allowed values of %s",
                  write->n_allowed, point->name);
}

/* Says why the field cannot hold the value: too large, or not a whole number of its units. */
static enum gw_command_code explain(const struct gw_point_conf *point, const struct gw_value *value,
                                    char why[GW_COMMAND_WHY])
{
    const struct gw_map *map = point->map;
    const struct gw_point_traits *traits = &point->traits;
    char text[GW_NUMBER_TEXT], scale[GW_NUMBER_TEXT], names[NAMES_TEXT];
    const struct gw_value unit = {.kind = GW_DECIMAL, .dec = map->scale};
    double offset = gw_decimal_to_double(map->offset), factor = gw_decimal_to_double(map->scale);
    double x = gw_value_to_double(value);
    double raw = map->offset_first ? x / factor - offset : (x - offset) / factor;

    bool is_plain = offset == 0 && factor == 1;

    gw_number_print(value, text);
    if (map->n_enums > 0 && is_plain && raw >= traits->raw_min && raw <= traits->raw_max)
        return refuse(why, GW_COMMAND_UNKNOWN_NAME, "%s has no name for %s; it takes %s",
                      point->name, text, list_names(map, names));
    if (traits->kind == GW_BOOL)
        return refuse(why, GW_COMMAND_OUT_OF_RANGE, "%s takes %s", point->name,
                      traits->raw_min > 0 ? "nothing but true" : "true, false, 1 or 0");
    if (traits->kind == GW_FLOAT32 || traits->kind == GW_FLOAT64)
        return refuse(why, GW_COMMAND_OUT_OF_RANGE, "%s does not fit into %s", text, point->name);
    if (!(raw >= traits->raw_min && raw <= traits->raw_max) &&
        (traits->raw_min != 0 || traits->raw_max != 0))
        return refuse(why, GW_COMMAND_OUT_OF_RANGE, "%s does not fit into the register of %s", text,
                      point->name);
    gw_number_print(&unit, scale);
    return refuse(why, GW_COMMAND_NOT_EXACT, "%s cannot hold %s exactly: its steps are %s",
                  point->name, text, scale);
}

static enum gw_command_code check_number(const struct gw_point_conf *point,
                                         const struct gw_value *value, char why[GW_COMMAND_WHY])
{
    enum gw_command_code code;

    if (point->traits.kind == GW_TEXT)
        return refuse(why, GW_COMMAND_WRONG_TYPE, "%s takes a text", point->name);
    code = check_limits(point, value, why);
    return code == GW_COMMAND_OK ? check_step(point, value, why) : code;
}

enum gw_command_code gw_command_check(const struct gw_point_conf *point,
                                      const struct gw_value *value, char why[GW_COMMAND_WHY])
{
    enum gw_command_code code = GW_COMMAND_OK;
    struct gw_value raw;

    if (value->kind == GW_TEXT)
        code = check_name(point, value, why);
    else if (value->kind == GW_BOOL)
        code =
            point->traits.kind == GW_BOOL
                ? GW_COMMAND_OK
                : refuse(why, GW_COMMAND_WRONG_TYPE, "%s does not take true or false", point->name);
    else
        code = check_number(point, value, why);
    if (code == GW_COMMAND_OK)
        code = check_allowed(point, value, why);
    /* With a scale of the device what fits is known only when that was read. */
    if (code == GW_COMMAND_OK && !point->traits.is_scaled &&
        gw_map_unscale(point->map, &point->traits, value, &raw) != GW_OK)
        code = value->kind == GW_TEXT
                   ? refuse(why, GW_COMMAND_OUT_OF_RANGE, "this does not fit into %s", point->name)
                   : explain(point, value, why);
    return code;
}
