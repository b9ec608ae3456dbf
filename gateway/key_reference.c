/* key_reference: walks the tables and writes what it finds, once for a terminal and once as Markdown. */
#include "gateway/key_reference.h"

#include <stdbool.h>
#include <string.h>

#include "gateway/key_text.h"

enum { COLUMNS = 96, INDENT = 6, SECTIONS_MAX = 32, PATH_LEN = 160 };

/* ---- terminal -------------------------------------------------------------------------------------- */

/* Characters, not bytes, of a UTF-8 text. */
static size_t count_characters(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* frame.end, and poll[].send in a list of mappings */
static const char *inner_path(char buf[PATH_LEN], const struct gw_key *outer, const char *path,
                              const struct gw_key *key)
{
    snprintf(buf, PATH_LEN, "%s%s.%s", path, outer->type == GW_KEY_MAPS ? "[]" : "", key->name);
    return buf;
}

/* Prints words with line breaks; the first line begins at column `at`, further ones at `indent`. */
static void print_wrapped(FILE *out, size_t at, size_t indent, const char *text)
{
    size_t column = at;

    while (*text) {
        size_t len = strcspn(text, " "), width = count_characters(text, len);

        if ((column > indent || at > indent) && column + 1 + width > COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > at) {
            fputc(' ', out);
            column++;
        }
        fwrite(text, 1, len, out);
        column += width;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_choices(const struct gw_key *key, FILE *out)
{
    size_t widest = 0;

    for (const struct gw_choice *choice = key->choices; choice->name; choice++)
        if (choice->help && strlen(choice->name) > widest)
            widest = strlen(choice->name);
    for (const struct gw_choice *choice = key->choices; choice->name; choice++)
        if (choice->help) {
            size_t indent = INDENT + 2 + widest + 2;

            fprintf(out, "%*s%-*s  ", INDENT + 2, "", (int)widest, choice->name);
            print_wrapped(out, indent, indent, choice->help);
        }
}

static void print_nested(const struct gw_key *outer, const char *path, FILE *out);

/* `path` is the name with those of the mappings that it stands in: frame.end */
static void print_key(const struct gw_key *key, const char *path, const char *also, FILE *out)
{
    char values[GW_KEY_WORDS], line[GW_KEY_WORDS + 200];

    snprintf(line, sizeof line, "%s%s%s%s%s%s%s", gw_key_values(key, values),
             key->def ? ", default " : "", key->def ? key->def : "",
             key->flags & GW_REQUIRED ? ", required" : "",
             key->flags & GW_INHERIT && *also ? "; may also stand at the " : "",
             key->flags & GW_INHERIT ? also : "", key->flags & GW_SECRET ? "; secret" : "");
    const int printed = fprintf(out, "  %-20s ", path);
    print_wrapped(out, printed > 23 ? (size_t)printed : 23, 23, line);
    fprintf(out, "%*s", INDENT, "");
    print_wrapped(out, INDENT, INDENT, key->help);
    if (key->type == GW_KEY_CHOICE)
        print_choices(key, out);
    if (key->example)
        fprintf(out, "%*sexample: %s: %s\n", INDENT, "", key->name, key->example);
    if (key->keys)
        print_nested(key, path, out);
}

static void print_nested(const struct gw_key *outer, const char *path, FILE *out)
{
    char inner[PATH_LEN];

    for (const struct gw_key *key = outer->keys; key->name; key++)
        print_key(key, inner_path(inner, outer, path, key), "", out);
}

static void print_table(const char *title, const struct gw_key *keys, const char *also, FILE *out)
{
    if (!keys->name)
        return;
    fprintf(out, "\n%s\n", title);
    for (; keys->name; keys++)
        print_key(keys, keys->name, also, out);
}

void gw_print_driver_keys(const struct gw_driver *driver, FILE *out)
{
    const struct {
        const char *what;
        bool is_there;
    } abilities[] = {
        {"writes", driver->write != NULL},        {"listens", driver->listen != NULL},
        {"simulates", driver->simulate != NULL},  {"scans", driver->scan != NULL},
        {"identifies", driver->identify != NULL},
    };

    fprintf(out, "%s: %s\nreads", driver->name, driver->summary);
    for (size_t i = 0; i < sizeof abilities / sizeof abilities[0]; i++)
        if (abilities[i].is_there)
            fprintf(out, ", %s", abilities[i].what);
    fputc('\n', out);
    print_table("Keys of a bus", driver->bus_keys, "", out);
    print_table("Keys of a device", driver->device_keys, "bus", out);
    print_table("Keys of a point", driver->point_keys, "device or the bus", out);
}

/* ---- Markdown -------------------------------------------------------------------------------------- */

/* A cell must not hold a bar or a line feed; angle brackets would be taken for HTML. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++)
        if (*text == '|')
            fputs("\\|", out);
        else if (*text == '<')
            fputs("&lt;", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
}

/* In backquotes nothing but the bar means anything. */
static void print_code(FILE *out, const char *text)
{
    fputc('`', out);
    for (; *text; text++)
        fputs(*text == '|' ? "\\|" : (const char[]){*text, '\0'}, out);
    fputc('`', out);
}

static void print_row(const struct gw_key *key, const char *path, FILE *out)
{
    char words[GW_KEY_WORDS];

    fputs("| ", out);
    print_code(out, path);
    fputs(" | ", out);
    print_cell(out, gw_key_values(key, words));
    fputs(" | ", out);
    if (key->def)
        print_code(out, key->def);
    else
        fputs(key->flags & GW_REQUIRED ? "required" : "", out);
    fputs(" | ", out);
    print_cell(out, key->help);
    for (const struct gw_choice *choice = key->type == GW_KEY_CHOICE ? key->choices : NULL;
         choice && choice->name; choice++)
        if (choice->help) {
            fputs(choice == key->choices ? "<br>" : "; ", out);
            print_code(out, choice->name);
            fputs(" ", out);
            print_cell(out, choice->help);
        }
    if (key->example) {
        fputs("<br>Example: ", out);
        print_code(out, key->example);
    }
    fputs(" |\n", out);
    for (const struct gw_key *inner = key->keys; inner && inner->name; inner++) {
        char inner_name[PATH_LEN];

        print_row(inner, inner_path(inner_name, key, path, inner), out);
    }
}

static void print_rows(const struct gw_key *keys, FILE *out)
{
    if (!keys || !keys->name)
        return;
    fputs("\n| key | value | default | meaning |\n|---|---|---|---|\n", out);
    for (; keys->name; keys++)
        print_row(keys, keys->name, out);
}

static void print_child(const struct gw_child *child, FILE *out)
{
    static const char *const shapes[] = {
        [GW_SHAPE_SECTION] = "section",
        [GW_SHAPE_SWITCH] = "section, or `off`",
        [GW_SHAPE_LIST] = "list of sections",
        [GW_SHAPE_NAMED] = "names and texts",
        [GW_SHAPE_FILES] = "file, folder, or a list",
    };

    fprintf(out, "| `%s` | ", child->name);
    if (child->section)
        fprintf(out, "[%s](#%s)", shapes[child->shape], child->section->name);
    else
        fputs(shapes[child->shape], out);
    fprintf(out, " | %s | ", child->is_required ? "required" : "");
    print_cell(out, child->help);
    fputs(" |\n", out);
}

/* Sections in the order in which they are met, each once. */
struct walk {
    const struct gw_section *seen[SECTIONS_MAX];
    size_t n_seen;
    const struct gw_key
        *tables[SECTIONS_MAX]; /* tables printed so far, and the section that has them */
    const char *homes[SECTIONS_MAX];
    size_t n_tables;
    FILE *out;
};

static bool was_seen(struct walk *walk, const struct gw_section *section)
{
    for (size_t i = 0; i < walk->n_seen; i++)
        if (walk->seen[i] == section)
            return true;
    if (walk->n_seen < SECTIONS_MAX)
        walk->seen[walk->n_seen++] = section;
    return false;
}

/* Says which keys of another section may stand here too; prints them where they are met first. */
static void print_more(struct walk *walk, const struct gw_section *section,
                       const struct gw_key *keys)
{
    for (size_t i = 0; i < walk->n_tables; i++)
        if (walk->tables[i] == keys) {
            fputs("\nAlso", walk->out);
            for (const struct gw_key *key = keys; key->name; key++)
                fprintf(walk->out, "%s `%s`", key == keys ? "" : ",", key->name);
            fprintf(walk->out, ": see [%s](#%s).\n", walk->homes[i], walk->homes[i]);
            return;
        }
    if (walk->n_tables < SECTIONS_MAX) {
        walk->tables[walk->n_tables] = keys;
        walk->homes[walk->n_tables++] = section->name;
    }
    print_rows(keys, walk->out);
}

static void print_section(struct walk *walk, const struct gw_section *section, const char *title)
{
    static const char *const drivers_keys[] = {
        [GW_NO_DRIVER_KEYS] = "",
        [GW_BUS_KEYS] = "\nAnd the bus keys of the driver, and inherited device and point keys.\n",
        [GW_DEVICE_KEYS] = "\nAnd the device keys of the driver, and inherited point keys.\n",
        [GW_POINT_KEYS] = "\nAnd the point keys of the driver.\n",
    };

    fprintf(walk->out, "\n## %s\n\n%s\n", title, section->help);
    if (section->keys && section->keys->name)
        print_more(walk, section, section->keys);
    if (section->children && section->children->name) {
        fputs("\n| key | value | | meaning |\n|---|---|---|---|\n", walk->out);
        for (const struct gw_child *child = section->children; child->name; child++)
            print_child(child, walk->out);
    }
    for (const struct gw_key *const *more = section->more_keys; more && *more; more++)
        print_more(walk, section, *more);
    fputs(drivers_keys[section->driver_keys], walk->out);
}

static void print_sections(struct walk *walk, const struct gw_section *section,
                           const struct gw_section *parent)
{
    char title[128];
    bool is_namesake = false;

    for (size_t i = 0; i < walk->n_seen; i++)
        is_namesake |= walk->seen[i] != section && strcmp(walk->seen[i]->name, section->name) == 0;
    if (was_seen(walk, section))
        return;
    snprintf(title, sizeof title, "%s%s%s", section->name, is_namesake && parent ? " of a " : "",
             is_namesake && parent ? parent->name : "");
    print_section(walk, section, title);
    for (const struct gw_child *child = section->children; child && child->name; child++)
        if (child->section)
            print_sections(walk, child->section, section);
}

enum table { BUS_TABLE, DEVICE_TABLE, POINT_TABLE };

static const char *const table_names[] = {"bus", "device", "point"};

static const struct gw_key *table_of(const struct gw_driver *driver, enum table table)
{
    return table == BUS_TABLE      ? driver->bus_keys
           : table == DEVICE_TABLE ? driver->device_keys
                                   : driver->point_keys;
}

static void print_inherited(const struct gw_key *keys, FILE *out)
{
    bool is_any = false;

    for (; keys->name; keys++) {
        if (!(keys->flags & GW_INHERIT))
            continue;
        fprintf(out, "%s `%s`",
                is_any ? "," : "\nInherited, so they may also stand further out:", keys->name);
        is_any = true;
    }
    if (is_any)
        fputs(".\n", out);
}

/* Drivers of one family share tables: each is printed once. `until` drivers have been printed. */
static void print_driver_table(const struct gw_driver *const *drivers, size_t until,
                               enum table table, FILE *out)
{
    const struct gw_key *keys = table_of(drivers[until], table);
    const char *name = table_names[table];

    if (!keys->name)
        return;
    fprintf(out, "\n### %s keys of %s\n", name, drivers[until]->name);
    for (size_t i = 0; i < until; i++)
        if (table_of(drivers[i], table) == keys) {
            fprintf(out, "\nThe [%s keys of %s](#%s-keys-of-%s).\n", name, drivers[i]->name, name,
                    drivers[i]->name);
            return;
        }
    print_rows(keys, out);
    print_inherited(keys, out);
}

void gw_print_reference(const struct gw_driver *const *drivers, size_t n_drivers, FILE *out)
{
    struct walk walk = {.out = out};

    fputs("# Every key\n\n"
          "This page is made by `field2mqtt schema --markdown` from the tables that also read the "
          "configuration.\n"
          "A duration is a whole number with a unit: `500us`, `20ms`, `10s`, `5m`, `2h`, `7d`; a "
          "size likewise: `512B`,\n"
          "`64KiB`, `10MB`. A range is written `1-247`.\n",
          out);
    print_sections(&walk, &gw_schema_root, NULL);
    print_sections(&walk, &gw_schema_template, NULL);
    for (size_t i = 0; i < n_drivers; i++) {
        fprintf(out, "\n## driver %s\n\n%s\n", drivers[i]->name, drivers[i]->summary);
        for (int table = BUS_TABLE; table <= POINT_TABLE; table++)
            print_driver_table(drivers, i, (enum table)table, out);
    }
}
