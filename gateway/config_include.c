/* config_include: the files of a configuration, joined into one map.
 * The buses of a file come before those of the files that it includes; those in the order in which they are named. */
#include "gateway/config_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INCLUDE_DEPTH_MAX = 8, FILES_MAX = 10000 };

/* A file on the way from the main file to the one being read. */
struct open_file {
    const char *name;
    const struct open_file *includer;
};

struct joining {
    struct gw_loader *loader;
    struct gw_yaml_node *root; /* the joined map */
    struct gw_yaml_node *last; /* its last entry */
    struct gw_yaml_node *buses, *last_bus;
    struct gw_strmap sections; /* by name: nodes */
    struct gw_strmap files;    /* by identity: struct known_file */
    size_t n_files;
    bool is_good; /* every file could be read */
};

struct known_file {
    const char *name;
    struct gw_mark asker;
};

static void load_file(struct joining *joining, const char *file, struct gw_mark asker,
                      const struct open_file *includer);

/* ---- folders --------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

enum gw_err gw_list_folder(struct gw_arena *arena, const char *folder, struct gw_list *ret_files)
{
    static const char suffix[] = ".yaml";
    DIR *dir = opendir(folder);
    const char **names = NULL;
    size_t n = 0, room = 0;

    if (!dir)
        return GW_E_CONFIG;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t len = strlen(entry->d_name);

        if (entry->d_name[0] == '.' || len < sizeof suffix ||
            strcmp(entry->d_name + len - sizeof suffix + 1, suffix) != 0)
            continue;
        if (n == room)
            names = gw_grow(names, room = room ? room * 2 : 16, sizeof *names);
        names[n++] = gw_arena_text(arena, entry->d_name, len);
    }
    closedir(dir);
    const char **kept = gw_arena_alloc(arena, n * sizeof *kept);
    if (n) {
        qsort(names, n, sizeof *names, compare_names);
        memcpy(kept, names, n * sizeof *names);
    }
    free(names);
    *ret_files = (struct gw_list){kept, n};
    return GW_OK;
}

/* ---- joining --------------------------------------------------------------------------------------- */

static struct gw_yaml_node *append(struct joining *joining, const struct gw_yaml_node *entry)
{
    struct gw_yaml_node *copy = gw_arena_alloc(&joining->loader->memory.nodes, sizeof *copy);

    *copy = *entry;
    copy->next = NULL;
    *(joining->last ? &joining->last->next : &joining->root->first) = copy;
    joining->last = copy;
    joining->root->n_entries++;
    return copy;
}

/* The one list that the buses of all files go into. */
static void append_buses_key(struct joining *joining, const struct gw_yaml_node *entry)
{
    struct gw_yaml_node *list = append(joining, entry);

    list->kind = GW_YAML_LIST;
    list->first = NULL;
    list->n_entries = 0;
    joining->buses = list;
}

static void append_buses(struct joining *joining, const struct gw_yaml_node *list)
{
    struct gw_loader *loader = joining->loader;

    if (list->kind == GW_YAML_WRONG)
        return;
    if (list->kind != GW_YAML_LIST) {
        gw_diag_add(loader->diags, gw_yaml_key_mark(list),
                    "\"buses\" must be a list of buses, not %s", gw_describe(loader, list));
        if (!joining->buses)
            append_buses_key(joining, list);
        joining->buses->kind = GW_YAML_WRONG; /* what is missing may be in there */
        return;
    }
    if (!joining->buses)
        append_buses_key(joining, list);
    for (struct gw_yaml_node *bus = list->first, *next; bus; bus = next) {
        next = bus->next;
        bus->next = NULL;
        *(joining->last_bus ? &joining->last_bus->next : &joining->buses->first) = bus;
        joining->last_bus = bus;
        joining->buses->n_entries++;
    }
}

static void append_section(struct joining *joining, const struct gw_yaml_node *entry)
{
    void **first = gw_strmap_at(&joining->sections, entry->key);

    if (*first) {
        gw_diag_add(joining->loader->diags, gw_yaml_key_mark(entry),
                    "\"%s\" may stand once in all files; first %s", entry->key,
                    gw_print_place(joining->loader, *first, entry->file));
        return;
    }
    *first = (void *)(uintptr_t)entry;
    append(joining, entry);
}

/* ---- includes -------------------------------------------------------------------------------------- */

static void include_path(struct joining *joining, const struct gw_yaml_node *item,
                         const struct open_file *file)
{
    struct gw_loader *loader = joining->loader;
    struct gw_mark mark = gw_yaml_mark(item);
    struct gw_list names;
    struct stat st;

    if (item->kind == GW_YAML_WRONG)
        return;
    if (!gw_yaml_is_scalar(item) || gw_yaml_is_null(item) || item->text[0] == '\0') {
        gw_diag_add(loader->diags, mark,
                    "\"include\" must be a file, a folder or a list of them; this is %s",
                    gw_describe(loader, item));
        return;
    }
    const char *path = gw_path_beside(loader, gw_folder_of(loader, file->name), item->text);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        load_file(joining, path, mark, file);
        return;
    }
    if (gw_list_folder(&loader->memory.nodes, path, &names) != GW_OK)
        gw_diag_add(loader->diags, mark, "cannot read the folder %s: %s", path, strerror(errno));
    else if (names.n_items == 0)
        gw_diag_warn(loader->diags, mark, "the folder %s holds no *.yaml", path);
    else
        for (size_t i = 0; i < names.n_items; i++)
            load_file(joining, gw_path_beside(loader, path, names.items[i]), mark, file);
}

static void include_all(struct joining *joining, const struct gw_yaml_node *include,
                        const struct open_file *file)
{
    if (include->kind != GW_YAML_LIST) {
        include_path(joining, include, file);
        return;
    }
    for (const struct gw_yaml_node *item = include->first; item; item = item->next)
        include_path(joining, item, file);
}

/* Says `a.yaml includes b.yaml includes a.yaml`. */
static void report_cycle(struct joining *joining, const char *again, const struct open_file *file,
                         struct gw_mark asker)
{
    struct gw_loader *loader = joining->loader;
    const char *chain = again;

    for (const struct open_file *f = file; f; f = f->includer) {
        chain = gw_arena_print(&loader->memory.nodes, "%s includes %s", f->name, chain);
        if (strcmp(f->name, again) == 0)
            break;
    }
    gw_diag_add(loader->diags, asker, "include goes round in a circle: %s", chain);
}

/* False when the file must not be read: it was read before, or it is too deep. */
static bool enter_file(struct joining *joining, const char *name, struct gw_mark asker,
                       const struct open_file *includer)
{
    struct gw_loader *loader = joining->loader;
    size_t depth = 0;
    struct stat st;

    for (const struct open_file *f = includer; f; f = f->includer)
        depth++;
    if (depth > INCLUDE_DEPTH_MAX || ++joining->n_files > FILES_MAX) {
        gw_diag_add(loader->diags, asker,
                    depth > INCLUDE_DEPTH_MAX ? "included deeper than %d levels"
                                              : "more than %d files are included",
                    depth > INCLUDE_DEPTH_MAX ? INCLUDE_DEPTH_MAX : FILES_MAX);
        return false;
    }
    if (stat(name, &st) != 0)
        return true; /* reading it will tell why */
    void **known =
        gw_strmap_at(&joining->files, gw_arena_print(&loader->memory.nodes, "%ju:%ju",
                                                     (uintmax_t)st.st_dev, (uintmax_t)st.st_ino));
    if (!*known) {
        struct known_file *file = gw_arena_alloc(&loader->memory.nodes, sizeof *file);

        *file = (struct known_file){name, asker};
        *known = file;
        return true;
    }
    const struct known_file *first = *known;
    for (const struct open_file *f = includer; f; f = f->includer)
        if (strcmp(f->name, first->name) == 0) {
            report_cycle(joining, first->name, includer, asker);
            return false;
        }
    gw_diag_add(loader->diags, asker, "%s is included twice; first at %s:%u", name,
                first->asker.file, first->asker.line);
    return false;
}

static void load_file(struct joining *joining, const char *file, struct gw_mark asker,
                      const struct open_file *includer)
{
    struct gw_loader *loader = joining->loader;
    const struct open_file here = {gw_intern_file_name(file), includer};
    const struct gw_yaml_node *include = NULL;
    struct gw_yaml_node *root;

    if (!enter_file(joining, here.name, asker, includer))
        return;
    if (gw_yaml_load(here.name, asker, &loader->memory, loader->diags, &root) != GW_OK) {
        joining->is_good = false;
        return;
    }
    if (root->kind != GW_YAML_MAP) {
        joining->is_good = false;
        if (root->kind == GW_YAML_WRONG)
            return;
        gw_diag_add(loader->diags, gw_yaml_mark(root),
                    "a configuration must be a mapping of keys, not %s", gw_describe(loader, root));
        return;
    }
    for (const struct gw_yaml_node *entry = root->first; entry; entry = entry->next) {
        if (strcmp(entry->key, "include") == 0)
            include = entry;
        else if (strcmp(entry->key, "buses") == 0)
            append_buses(joining, entry);
        else
            append_section(joining, entry);
    }
    if (include)
        include_all(joining, include, &here);
}

struct gw_yaml_node *gw_load_files(struct gw_loader *loader)
{
    struct joining joining = {.loader = loader, .is_good = true};

    joining.root = gw_arena_alloc(&loader->memory.nodes, sizeof *joining.root);
    *joining.root =
        (struct gw_yaml_node){.kind = GW_YAML_MAP, .file = loader->file, .line = 1, .column = 1};
    load_file(&joining, loader->file, (struct gw_mark){0}, NULL);
    gw_strmap_free(&joining.sections);
    gw_strmap_free(&joining.files);
    loader->lacks_files = !joining.is_good;
    return joining.is_good || joining.root->n_entries ? joining.root : NULL;
}
