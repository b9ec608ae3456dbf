/* config_text: names, variables, places and paths of a configuration. */
#include "gateway/config_internal.h"

#include <stdio.h>
#include <string.h>

static const char name_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

const char *gw_print_place(struct gw_loader *loader, const struct gw_yaml_node *place,
                           const char *seen_from)
{
    struct gw_mark mark = gw_yaml_key_mark(place);

    if (mark.file == seen_from || strcmp(mark.file, seen_from) == 0)
        return gw_arena_print(&loader->memory.nodes, "at line %u", mark.line);
    return gw_arena_print(&loader->memory.nodes, "at %s:%u", mark.file, mark.line);
}

bool gw_is_off(const struct gw_yaml_node *map)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, "enabled");

    return value && value->kind == GW_YAML_PLAIN && strcasecmp(value->text, "false") == 0;
}

/* ---- paths ----------------------------------------------------------------------------------------- */

const char *gw_folder_of(struct gw_loader *loader, const char *file)
{
    const char *slash = strrchr(file, '/');

    if (!slash)
        return ".";
    return gw_arena_text(&loader->memory.nodes, file, slash == file ? 1 : (size_t)(slash - file));
}

const char *gw_path_beside(struct gw_loader *loader, const char *folder, const char *name)
{
    if (name[0] == '/' || strcmp(folder, ".") == 0)
        return name;
    return gw_arena_print(&loader->memory.texts, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder,
                          name);
}

/* ---- names ----------------------------------------------------------------------------------------- */

bool gw_check_name(struct gw_loader *loader, const struct gw_yaml_node *section,
                   struct gw_strmap *names, const char *noun)
{
    const struct gw_yaml_node *name = gw_yaml_get(section, "name");

    if (!name || !gw_yaml_is_scalar(name) || gw_yaml_is_null(name))
        return true; /* reported as missing or of the wrong type */
    if (name->text[strspn(name->text, name_letters)] != '\0') {
        gw_diag_add(loader->diags, gw_yaml_mark(name),
                    "name %s of a %s may hold only letters, digits, \"_\", \".\" and \"-\"",
                    gw_describe(loader, name), noun);
        return false;
    }
    if (!names)
        return true;
    void **first = gw_strmap_at(names, name->text);
    if (*first) {
        gw_diag_add(loader->diags, gw_yaml_mark(name), "duplicate %s name \"%s\"; first %s", noun,
                    name->text, gw_print_place(loader, *first, name->file));
        return false;
    }
    *first = (void *)(uintptr_t)name;
    return true;
}

/* ---- variables ------------------------------------------------------------------------------------- */

static bool is_taken(const char *name)
{
    static const char *const taken[] = {"gateway", "bus", "device", "point",   "value",  "raw",
                                        "unit",    "ts",  "time",   "quality", "reason", "seq"};

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(taken[i], name) == 0)
            return true;
    return false;
}

static bool check_variable(struct gw_loader *loader, const struct gw_yaml_node *entry)
{
    struct gw_diags *diags = loader->diags;

    if (entry->kind == GW_YAML_WRONG)
        return false;
    if (entry->key[0] == '\0' || entry->key[strspn(entry->key, name_letters)] != '\0')
        gw_diag_add(diags, gw_yaml_key_mark(entry),
                    "variable name \"%s\" may hold only letters, digits, \"_\", \".\" and \"-\"",
                    entry->key);
    else if (strlen(entry->key) > GW_VARIABLE_NAME_MAX)
        gw_diag_add(diags, gw_yaml_key_mark(entry),
                    "variable name is too long (%zu bytes; at most %d)", strlen(entry->key),
                    GW_VARIABLE_NAME_MAX);
    else if (is_taken(entry->key))
        gw_diag_add(diags, gw_yaml_key_mark(entry),
                    "variable name \"%s\" is taken: ${%s} has a meaning of its own", entry->key,
                    entry->key);
    else if (!gw_yaml_is_scalar(entry) || gw_yaml_is_null(entry))
        gw_diag_add(diags, gw_yaml_key_mark(entry), "variable \"%s\" must be a text, not %s",
                    entry->key, gw_describe(loader, entry));
    else if (strstr(entry->text, "${"))
        gw_diag_add(diags, gw_yaml_mark(entry), "variable \"%s\" cannot be made of other variables",
                    entry->key);
    else
        return true;
    return false;
}

const struct gw_variable *gw_decode_variables(struct gw_loader *loader,
                                              const struct gw_yaml_node *map,
                                              const struct gw_variable *outer)
{
    if (!map || map->kind == GW_YAML_WRONG)
        return outer;
    if (map->kind != GW_YAML_MAP) {
        gw_diag_add(loader->diags, gw_yaml_key_mark(map),
                    "\"variables\" must be a mapping of names to texts, not %s",
                    gw_describe(loader, map));
        return outer;
    }
    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next) {
        if (!check_variable(loader, entry))
            continue;
        struct gw_variable *variable = gw_arena_alloc(&loader->memory.nodes, sizeof *variable);
        *variable = (struct gw_variable){entry->key, entry->text, outer};
        outer = variable;
    }
    return outer;
}
