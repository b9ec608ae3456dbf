/* config_template: finds device templates by name and reads each of them once. */
#include "gateway/config_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLACES = 3 };

/* Where templates are looked for, in this order. */
static void list_places(struct gw_loader *loader, const char *places[PLACES])
{
    places[0] = gw_path_beside(loader, loader->dir, "devices");
    places[1] = loader->dir;
    places[2] = loader->env->template_dir;
}

/* Adds the names of the templates in a folder to the candidates; gives how many there are then. */
static size_t add_templates(struct gw_arena *arena, const char *folder, const char ***candidates,
                            size_t n)
{
    struct gw_list files;

    if (gw_list_folder(arena, folder, &files) != GW_OK)
        return n;
    *candidates = gw_grow(*candidates, n + files.n_items + 1, sizeof **candidates);
    for (size_t i = 0; i < files.n_items; i++)
        (*candidates)[n++] =
            gw_arena_text(arena, files.items[i], strlen(files.items[i]) - strlen(".yaml"));
    return n;
}

const char *gw_config_nearest_template(struct gw_arena *arena, const char *folder, const char *name)
{
    const char **candidates = NULL;
    const size_t n = add_templates(arena, folder, &candidates, 0);
    const char *near = gw_suggest(name, candidates, n);

    free(candidates);
    return near;
}

static void report_missing(struct gw_loader *loader, const char *name,
                           const char *const places[PLACES], struct gw_mark mark)
{
    const char **candidates = NULL, *near;
    size_t n = 0;

    for (size_t i = 0; i < PLACES; i++)
        if (i != 1 && places[i]) /* beside the configuration stand other files than templates */
            n = add_templates(&loader->memory.nodes, places[i], &candidates, n);
    near = gw_suggest(name, candidates, n);
    gw_diag_add(loader->diags, mark,
                "unknown template \"%s\"%s%s%s looked for %s.yaml in %s, %s%s%s", name,
                near ? "; did you mean \"" : ";", near ? near : "", near ? "\"?" : "", name,
                places[0], places[1], places[2] ? " and " : "", places[2] ? places[2] : "");
    free(candidates);
}

static void index_points(struct gw_loader *loader, struct gw_template *template)
{
    const struct gw_yaml_node *points = gw_yaml_get(template->map, "points");

    if (!points || points->kind != GW_YAML_LIST)
        return;
    template->n_points = points->n_entries;
    for (const struct gw_yaml_node *point = points->first; point; point = point->next) {
        const struct gw_yaml_node *name = gw_yaml_get(point, "name");

        if (!name || !gw_yaml_is_scalar(name) || !gw_check_name(loader, point, NULL, "point"))
            continue;
        void **first = gw_strmap_at(&template->points, name->text);
        if (*first)
            gw_diag_add(loader->diags, gw_yaml_mark(name), "duplicate point name \"%s\"; first %s",
                        name->text, gw_print_place(loader, *first, name->file));
        else
            *first = (void *)(uintptr_t)point;
    }
}

/* Decodes the keys that only a template has; its device keys are decoded with each device. */
static void read_head(struct gw_loader *loader, struct gw_template *template)
{
    struct gw_template_draft draft = {0};
    const struct gw_layer layer = {template->map, GW_LEVEL_DEVICE, NULL};

    for (const struct gw_key *key = gw_schema_template.keys; key->name; key++) {
        const struct gw_yaml_node *value = gw_yaml_get(template->map, key->name);

        if (value)
            gw_decode(loader, key, value, &draft, false);
    }
    gw_check_required(loader, gw_schema_template.keys, &layer, GW_LEVEL_DEVICE,
                      gw_yaml_mark(template->map), "the template");
    if (!gw_yaml_get(template->map, "points"))
        gw_diag_add(loader->diags, gw_yaml_mark(template->map), "the template has no \"points\"");
    template->drivers = draft.drivers;
    index_points(loader, template);
}

static void load_template(struct gw_loader *loader, struct gw_template *template,
                          struct gw_mark mark)
{
    const char *places[PLACES];
    struct gw_yaml_node *root;

    list_places(loader, places);
    for (size_t i = 0; i < PLACES && !template->is_found; i++) {
        const char *file =
            places[i]
                ? gw_path_beside(loader, places[i],
                                 gw_arena_print(&loader->memory.nodes, "%s.yaml", template->name))
                : NULL;

        if (!file || access(file, F_OK) != 0)
            continue;
        template->is_found = true;
        if (gw_yaml_load(file, mark, &loader->memory, loader->diags, &root) != GW_OK)
            return;
        if (root->kind == GW_YAML_MAP) {
            template->map = root;
            read_head(loader, template);
        } else if (root->kind != GW_YAML_WRONG) {
            gw_diag_add(loader->diags, gw_yaml_mark(root),
                        "a template must be a mapping of keys, not %s", gw_describe(loader, root));
        }
    }
}

struct gw_template *gw_find_template(struct gw_loader *loader, const char *name,
                                     struct gw_mark mark)
{
    void **slot = gw_strmap_at(&loader->templates, name);
    struct gw_template *template = *slot;

    if (!template) {
        template = gw_arena_alloc(&loader->memory.nodes, sizeof *template);
        template->name = name;
        *slot = template;
        load_template(loader, template, mark);
    }
    if (!template->is_found) {
        const char *places[PLACES];

        list_places(loader, places);
        report_missing(loader, name, places, mark);
    }
    return template->map ? template : NULL;
}

void gw_report_template_point(struct gw_loader *loader, const struct gw_template *template,
                              const struct gw_yaml_node *name, bool is_certain)
{
    const struct gw_strmap *points = &template->points;
    const char **candidates, *near;
    size_t n = 0;

    if (!name || !gw_yaml_is_scalar(name))
        return;
    candidates = gw_arena_alloc(&loader->memory.nodes, points->n_used * sizeof *candidates);
    for (size_t i = 0; i < points->n_slots; i++)
        if (points->slots[i].key)
            candidates[n++] = points->slots[i].key;
    near = gw_suggest(name->text, candidates, n);
    if (near || is_certain)
        gw_diag_add(loader->diags, gw_yaml_mark(name), "template \"%s\" has no point \"%s\"%s%s%s",
                    template->name, name->text, near ? "; did you mean \"" : "", near ? near : "",
                    near ? "\"?" : "");
}

void gw_free_templates(struct gw_loader *loader)
{
    for (size_t i = 0; i < loader->templates.n_slots; i++) {
        struct gw_template *template = loader->templates.slots[i].value;

        if (template)
            gw_strmap_free(&template->points);
    }
    gw_strmap_free(&loader->templates);
}
