/* key_text: the words for key types, ranges and choices. */
#include "gateway/key_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "gateway/quantity.h"

/* Appends to a text of GW_KEY_WORDS bytes; what does not fit is cut. */
static void append(char buf[GW_KEY_WORDS], const char *fmt, ...) GW_PRINTF(2, 3);

static void append(char buf[GW_KEY_WORDS], const char *fmt, ...)
{
    size_t len = strlen(buf);
    va_list args;

    va_start(args, fmt);
    vsnprintf(buf + len, GW_KEY_WORDS - len, fmt, args);
    va_end(args);
}

static void append_limit(char buf[GW_KEY_WORDS], const struct gw_key *key, double limit)
{
    char text[GW_QUANTITY_TEXT];

    if (key->type == GW_KEY_DURATION) {
        gw_duration_text((int64_t)limit, text);
        append(buf, "%s", text);
    } else if (key->type == GW_KEY_SIZE) {
        gw_size_text((int64_t)limit, text);
        append(buf, "%s", text);
    } else if (limit == floor(limit) && fabs(limit) < 1e15) {
        append(buf, "%.0f", limit);
    } else {
        append(buf, "%g", limit);
    }
}

/* " up to 10s", " 1ms-10m"; "-40 to 85" where a dash would look like a sign. */
static void append_range(char buf[GW_KEY_WORDS], const struct gw_key *key)
{
    bool is_quantity = key->type == GW_KEY_DURATION || key->type == GW_KEY_SIZE;

    if (key->min == 0 && key->max == 0)
        return;
    if (*buf)
        append(buf, " ");
    if (key->min == 0 && is_quantity)
        append(buf, "up to ");
    else
        append_limit(buf, key, key->min);
    if (key->min != 0 || !is_quantity)
        append(buf, key->min < 0 ? " to " : "-");
    append_limit(buf, key, key->max);
}

static void append_length(char buf[GW_KEY_WORDS], const struct gw_key *key)
{
    if (key->min == 0 && key->max == 0)
        return;
    if (key->min <= 1)
        append(buf, " of up to %.0f bytes", key->max);
    else
        append(buf, " of %.0f-%.0f bytes", key->min, key->max);
}

static void append_choices(char buf[GW_KEY_WORDS], const struct gw_key *key)
{
    for (const struct gw_choice *choice = key->choices; choice->name; choice++)
        append(buf, "%s%s", choice == key->choices ? "" : " | ", choice->name);
}

const char *gw_key_unit(const struct gw_key *key)
{
    return key->unit && key->type != GW_KEY_DURATION && key->type != GW_KEY_SIZE ? key->unit : "";
}

const char *gw_key_values(const struct gw_key *key, char buf[GW_KEY_WORDS])
{
    static const char *const names[] = {
        [GW_KEY_BOOL] = "true or false",
        [GW_KEY_INT] = "",
        [GW_KEY_FLOAT] = "number",
        [GW_KEY_DECIMAL] = "number",
        [GW_KEY_TEXT] = "text",
        [GW_KEY_CHOICE] = "",
        [GW_KEY_DURATION] = "duration",
        [GW_KEY_SIZE] = "size",
        [GW_KEY_PARSED] = "text",
        [GW_KEY_LIST] = "text, or a list of texts",
        [GW_KEY_MAP] = "mapping",
        [GW_KEY_MAPS] = "mapping, or a list of mappings",
        [GW_KEY_CUSTOM] = "as in the example",
    };

    snprintf(buf, GW_KEY_WORDS, "%s", names[key->type]);
    if (key->type == GW_KEY_CHOICE)
        append_choices(buf, key);
    else if (key->type == GW_KEY_TEXT)
        append_length(buf, key);
    else if (key->type == GW_KEY_INT && key->min == 0 && key->max == 0)
        append(buf, "whole number");
    else if (key->type != GW_KEY_LIST && key->type != GW_KEY_MAPS && key->type != GW_KEY_PARSED)
        append_range(buf, key);
    if (*gw_key_unit(key))
        append(buf, " %s", gw_key_unit(key));
    return buf;
}

const char *gw_key_description(const struct gw_key *key, char buf[GW_KEY_WORDS])
{
    char values[GW_KEY_WORDS];

    snprintf(buf, GW_KEY_WORDS, "%s", key->help ? key->help : "");
    if (key->type == GW_KEY_CHOICE) {
        for (const struct gw_choice *choice = key->choices; choice->name; choice++)
            if (choice->help)
                append(buf, "%s %s: %s", choice == key->choices ? "" : ";", choice->name,
                       choice->help);
    } else if (key->min != 0 || key->max != 0) {
        gw_key_values(key, values);
        append(buf, " (%s)", values);
    }
    return buf;
}
