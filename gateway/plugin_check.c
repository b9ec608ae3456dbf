/* plugin_check: is a driver's table complete and sane? Looked at once when a plug-in is loaded, so that the rest of the
 * core may trust the table without asking again. Pure; knows nothing of files and dlopen. */
#include "gateway/plugin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/schema.h"

enum { NAME_MAX_LEN = 32, FIELD_MAX = 4096, MAPPINGS_MAX = 3 };

#define ALL_FLAGS (unsigned)(GW_REQUIRED | GW_INHERIT | GW_SECRET | GW_ADDRESS | GW_BAUD)
#define LOWER     "abcdefghijklmnopqrstuvwxyz"
#define DIGITS    "0123456789"

/* One of the three key tables of a driver, as sentences call it. */
struct table {
    const char *name; /* "bus" */
    const struct gw_key *keys;
    size_t conf_size;
};

/* Where a sentence goes. Every check below returns false after it has said what is wrong. */
struct fault {
    char *buf;
    size_t size;
    const struct gw_driver *driver;
    struct table table; /* which is looked at */
    const struct gw_key *key;
    int depth; /* of mappings around the key */
};

static bool say(const struct fault *fault, const char *fmt, ...) GW_PRINTF(2, 3);

/* driver "x": bus key "y": the sentence */
static bool say(const struct fault *fault, const char *fmt, ...)
{
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (fault->key)
        snprintf(fault->buf, fault->size, "driver \"%.32s\": %s key \"%.32s\" %s",
                 fault->driver->name, fault->table.name, fault->key->name, text);
    else
        snprintf(fault->buf, fault->size, "driver \"%.32s\" %s", fault->driver->name, text);
    return false;
}

static bool is_word(const char *text, const char *letters)
{
    size_t len = strlen(text);

    return len > 0 && len <= NAME_MAX_LEN && strspn(text, letters) == len;
}

/* ---- members --------------------------------------------------------------------------------------- */

/* What a key type writes into the configuration struct. 0: the size is the driver's own business. */
static const struct {
    size_t size, align;
} fields[] = {
    [GW_KEY_BOOL] = {sizeof(bool), _Alignof(bool)},
    [GW_KEY_INT] = {sizeof(int64_t), _Alignof(int64_t)},
    [GW_KEY_FLOAT] = {sizeof(double), _Alignof(double)},
    [GW_KEY_DECIMAL] = {sizeof(struct gw_decimal), _Alignof(struct gw_decimal)},
    [GW_KEY_TEXT] = {sizeof(char *), _Alignof(char *)},
    [GW_KEY_CHOICE] = {sizeof(int), _Alignof(int)},
    [GW_KEY_DURATION] = {sizeof(int64_t), _Alignof(int64_t)},
    [GW_KEY_SIZE] = {sizeof(int64_t), _Alignof(int64_t)},
    [GW_KEY_PARSED] = {1, 1},
    [GW_KEY_LIST] = {sizeof(struct gw_list), _Alignof(struct gw_list)},
    [GW_KEY_MAP] = {1, 1}, /* item_size is looked at instead */
    [GW_KEY_MAPS] = {sizeof(struct gw_items), _Alignof(struct gw_items)},
};

static bool check_field(const struct fault *fault, const struct gw_key *key)
{
    size_t size = key->type == GW_KEY_MAP ? key->item_size : fields[key->type].size,
           end = fault->table.conf_size;

    if (key->offset > end || size > end - key->offset)
        return say(fault, "lies outside its struct: offset %zu, %zu bytes, of %zu", key->offset,
                   size, end);
    if (key->offset % fields[key->type].align != 0)
        return say(fault, "is misaligned: offset %zu", key->offset);
    return true;
}

/* ---- defaults -------------------------------------------------------------------------------------- */

struct unit {
    const char *name;
    double factor;
};

static const struct unit durations[] = {
    {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}, {"d", 86400e6}, {NULL, 0},
};
static const struct unit sizes[] = {
    {"B", 1},     {"KiB", 1024}, {"MiB", 1048576.0}, {"GiB", 1073741824.0},
    {"kB", 1000}, {"KB", 1000},  {"MB", 1e6},        {"GB", 1e9},
    {NULL, 0},
};
static const struct unit plain[] = {{"", 1}, {NULL, 0}};

/* A number with one of these units behind it; a bare 0 needs none. */
static bool parse_with_unit(const char *text, const struct unit *units, double *ret_number)
{
    char *end;

    errno = 0;
    double number = strtod(text, &end);
    if (end == text || errno != 0)
        return false;
    for (; units->name; units++)
        if (strcmp(end, units->name) == 0 || (number == 0 && *end == '\0')) {
            *ret_number = number * units->factor;
            return true;
        }
    return false;
}

static bool parse_integer(const char *text, double *ret_number)
{
    char *end;

    errno = 0;
    long long number = strtoll(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    *ret_number = (double)number;
    return end != text && *end == '\0' && errno == 0;
}

static bool parse_default(const struct gw_key *key, double *ret_number)
{
    switch (key->type) {
    case GW_KEY_INT:
        return parse_integer(key->def, ret_number);
    case GW_KEY_FLOAT:
    case GW_KEY_DECIMAL:
        return parse_with_unit(key->def, plain, ret_number);
    case GW_KEY_DURATION:
        return parse_with_unit(key->def, durations, ret_number);
    case GW_KEY_SIZE:
        return parse_with_unit(key->def, sizes, ret_number);
    default:
        *ret_number = (double)strlen(key->def); /* GW_KEY_TEXT */
        return true;
    }
}

static bool check_parsed_default(const struct fault *fault, const struct gw_key *key)
{
    struct gw_driver_diag diag = {.text = ""};
    /* As large and as aligned as any member may be; the struct of the driver is not at hand here. */
    union {
        char bytes[FIELD_MAX];
        max_align_t align;
    } field;

    if (fault->table.conf_size > sizeof field)
        return true;
    memset(&field, 0, sizeof field);
    if (key->parse(key->def, field.bytes + key->offset, &diag) == GW_OK)
        return true;
    diag.text[sizeof diag.text - 1] = '\0';
    return say(fault, "has a default \"%.60s\" that it refuses: %.120s", key->def, diag.text);
}

static bool check_choice_default(const struct fault *fault, const struct gw_key *key)
{
    for (const struct gw_choice *choice = key->choices; choice->name; choice++)
        if (strcmp(choice->name, key->def) == 0)
            return true;
    return say(fault, "has a default \"%.60s\" that is none of its choices", key->def);
}

static bool check_default(const struct fault *fault, const struct gw_key *key)
{
    double number;

    if (!key->def)
        return true;
    if (key->flags & GW_REQUIRED)
        return say(fault, "is required and has a default");
    switch (key->type) {
    case GW_KEY_BOOL:
        if (strcmp(key->def, "true") == 0 || strcmp(key->def, "false") == 0)
            return true;
        return say(fault, "has a default \"%.60s\" that is neither true nor false", key->def);
    case GW_KEY_CHOICE:
        return check_choice_default(fault, key);
    case GW_KEY_PARSED:
        return check_parsed_default(fault, key);
    case GW_KEY_LIST:
        return true;
    case GW_KEY_MAP:
    case GW_KEY_MAPS:
        return say(fault, "has a default, which only its inner keys may have");
    default:
        break;
    }
    if (!parse_default(key, &number))
        return say(fault, "has a default \"%.60s\" that cannot be read", key->def);
    if ((key->min != 0 || key->max != 0) && (number < key->min || number > key->max))
        return say(fault, "has a default \"%.60s\" out of its range", key->def);
    return true;
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static bool check_choices(const struct fault *fault, const struct gw_key *key)
{
    if (!key->choices || !key->choices[0].name)
        return say(fault, "has no choices");
    for (const struct gw_choice *a = key->choices; a->name; a++)
        for (const struct gw_choice *b = key->choices; b < a; b++)
            if (strcmp(a->name, b->name) == 0)
                return say(fault, "has the choice \"%.32s\" twice", a->name);
    return true;
}

static bool check_nested(struct fault *fault, const struct gw_key *key);

static bool check_key(struct fault *fault, const struct gw_key *key)
{
    fault->key = key;
    if (!is_word(key->name, LOWER DIGITS "_"))
        return say(fault, "has a name of other letters than a-z 0-9 _, or too long");
    if ((unsigned)key->type >= sizeof fields / sizeof fields[0])
        return say(fault, "has the type %d, which a driver cannot have", (int)key->type);
    if (key->flags & ~ALL_FLAGS)
        return say(fault, "has unknown flags 0x%x", key->flags & ~ALL_FLAGS);
    if (!key->help || !*key->help)
        return say(fault, "has no help");
    if (!(key->min <= key->max)) /* NaN too */
        return say(fault, "has an empty range: %g to %g", key->min, key->max);
    if (key->type == GW_KEY_CHOICE && !check_choices(fault, key))
        return false;
    if (key->type == GW_KEY_PARSED && !key->parse)
        return say(fault, "has no parse");
    if (key->type == GW_KEY_PARSED && !key->pattern)
        return say(fault, "has no pattern");
    if (key->type == GW_KEY_MAP || key->type == GW_KEY_MAPS) {
        if (!key->keys || !key->keys[0].name)
            return say(fault, "has no keys");
        if (!check_nested(fault, key))
            return false;
        fault->key = key;
    }
    return check_field(fault, key) && check_default(fault, key);
}

static const struct gw_key *find_key(const struct gw_key *keys, const char *name,
                                     const struct gw_key *until)
{
    for (; keys->name && keys != until; keys++)
        if (strcmp(keys->name, name) == 0)
            return keys;
    return NULL;
}

/* The keys of a mapping: a table of its own, as deep as MAPPINGS_MAX. */
static bool check_nested(struct fault *fault, const struct gw_key *key)
{
    const struct table outer = fault->table, inner = {outer.name, key->keys, key->item_size};
    bool is_list = key->type == GW_KEY_MAPS;

    if (fault->depth == MAPPINGS_MAX)
        return say(fault, "stands in too many mappings (at most %d)", MAPPINGS_MAX);
    fault->depth++;
    fault->table = inner;
    for (const struct gw_key *at = key->keys; at->name; at++) {
        if (!check_key(fault, at))
            return false;
        if (find_key(key->keys, at->name, at))
            return say(fault, "stands in the mapping twice");
        if (at->flags & ~(unsigned)(is_list ? GW_REQUIRED : 0))
            return say(fault, "has a flag that it cannot have inside of \"%.32s\"", key->name);
    }
    fault->table = outer;
    fault->depth--;
    return true;
}

static bool check_table(struct fault *fault, const struct table *table)
{
    fault->table = *table;
    fault->key = NULL;
    if (!table->keys)
        return say(fault, "has no %s_keys", table->name);
    for (const struct gw_key *key = table->keys; key->name; key++) {
        if (!check_key(fault, key))
            return false;
        if (find_key(table->keys, key->name, key))
            return say(fault, "stands in the table twice");
    }
    fault->key = NULL;
    return true;
}

/* A key that may also stand in an outer section must not mean something else there. */
static bool check_inherited(struct fault *fault, const struct table *inner,
                            const struct table *outer)
{
    fault->table = *inner;
    for (const struct gw_key *key = inner->keys; key->name; key++) {
        fault->key = key;
        if (key->flags & GW_INHERIT && find_key(outer->keys, key->name, NULL))
            return say(fault, "is inherited, but is also a key of the %s", outer->name);
    }
    fault->key = NULL;
    return true;
}

/* ---- the gateway's own keys ------------------------------------------------------------------------ */

/* Finds the section that takes these keys of a driver; sections do not contain themselves. */
static const struct gw_section *find_section(const struct gw_section *section,
                                             enum gw_driver_keys which)
{
    const struct gw_section *found = section->driver_keys == which ? section : NULL;

    for (const struct gw_child *child = section->children; child && child->name && !found; child++)
        if (child->section)
            found = find_section(child->section, which);
    return found;
}

static bool is_of_section(const struct gw_section *section, const char *name)
{
    for (const struct gw_child *child = section->children; child && child->name; child++)
        if (strcmp(child->name, name) == 0)
            return true;
    for (const struct gw_key *const *more = section->more_keys; more && *more; more++)
        if (find_key(*more, name, NULL))
            return true;
    return section->keys && find_key(section->keys, name, NULL);
}

/* The gateway reads its own keys first: a driver's of the same name would never be seen. */
static bool check_namesakes(struct fault *fault, const struct table *table,
                            enum gw_driver_keys which)
{
    fault->table = *table;
    for (const struct gw_key *key = table->keys; key->name; key++) {
        int outermost = key->flags & GW_INHERIT ? GW_BUS_KEYS : (int)which;

        fault->key = key;
        for (int level = (int)which; level >= outermost; level--) {
            const struct gw_section *section =
                find_section(&gw_schema_root, (enum gw_driver_keys)level);

            if (section && is_of_section(section, key->name))
                return say(fault, "has the name of a key that the gateway itself has for a %s",
                           section->name);
        }
    }
    fault->key = NULL;
    return true;
}

static bool check_keys(struct fault *fault, const struct gw_driver *driver)
{
    const struct table bus = {"bus", driver->bus_keys, driver->bus_conf_size};
    const struct table device = {"device", driver->device_keys, driver->device_conf_size};
    const struct table point = {"point", driver->point_keys, driver->point_conf_size};

    return check_table(fault, &bus) && check_table(fault, &device) && check_table(fault, &point) &&
           check_inherited(fault, &device, &bus) && check_inherited(fault, &point, &device) &&
           check_inherited(fault, &point, &bus) && check_namesakes(fault, &bus, GW_BUS_KEYS) &&
           check_namesakes(fault, &device, GW_DEVICE_KEYS) &&
           check_namesakes(fault, &point, GW_POINT_KEYS);
}

/* ---- functions ------------------------------------------------------------------------------------- */

static bool check_functions(const struct fault *fault, const struct gw_driver *driver)
{
    const struct {
        const char *name;
        bool is_there;
    } needed[] = {
        {"check_point", driver->check_point != NULL},
        {"open", driver->open != NULL},
        {"close", driver->close != NULL},
        {"plan", driver->plan != NULL},
        {"execute", driver->execute != NULL},
    };

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!needed[i].is_there)
            return say(fault, "has no %s", needed[i].name);
    if (driver->redirect && !driver->simulate)
        return say(fault, "has redirect but no simulate");
    if (driver->simulate && !driver->redirect)
        return say(fault, "has simulate but no redirect");
    int n_scan = (driver->scan != NULL) + (driver->probe_us != NULL) + (driver->probe != NULL) +
                 (driver->identify != NULL);
    if (n_scan != 0 && n_scan != 4)
        return say(fault, "has some of scan, probe_us, probe and identify, but not all");
    if (driver->reopen_min_us <= 0 || driver->reopen_max_us < driver->reopen_min_us)
        return say(fault, "has no pause between reopens: reopen_min_us %lld, reopen_max_us %lld",
                   (long long)driver->reopen_min_us, (long long)driver->reopen_max_us);
    return true;
}

const char *gw_driver_fault(const struct gw_driver *driver, char *buf, size_t size)
{
    struct fault fault = {.buf = buf, .size = size, .driver = driver};

    if (!driver->name || !is_word(driver->name, LOWER DIGITS "-")) {
        snprintf(buf, size, "a driver has no name of a-z 0-9 -");
        return buf;
    }
    if (!driver->summary || !*driver->summary) {
        say(&fault, "has no summary");
        return buf;
    }
    return check_functions(&fault, driver) && check_keys(&fault, driver) ? NULL : buf;
}
