/* yaml_tree: from libyaml's events to a tree.
 *
 * The event interface, since the document one loses places, resolves aliases (a few lines may then mean millions of
 * nodes) and takes quadratic time for anchors. Depth is checked as events arrive: libyaml itself is quadratic in it. */
#include "gateway/yaml_tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "gateway/strmap.h"
#include "gateway/yaml_error.h"

#define YAML_PREFIX "tag:yaml.org,2002:" /* what !! stands for. Source: YAML 1.2, 6.8.2.2 */

/* A key text as it stands once for all maps of the file. */
struct key_text {
    const struct gw_yaml_node *map,
        *first; /* the map that used it last, and its entry there: finds duplicates */
    char text[];
};

struct open_node {
    struct gw_yaml_node *node;
    struct gw_yaml_node *last; /* entry */
    const char *key;           /* waits for its value; NULL: a key comes next */
    yaml_mark_t key_mark;
    bool drops_value; /* of a key that was refused */
};

struct loader {
    const char *file;
    struct gw_yaml_memory *memory;
    struct gw_diags *diags;
    struct gw_strmap keys;
    struct open_node open[GW_YAML_MAX_DEPTH];
    size_t depth;
    struct gw_yaml_node *root;
    size_t n_events;
};

const char *gw_intern_file_name(const char *name)
{
    static struct gw_strmap names;
    void **place = gw_strmap_at(&names, name);

    if (!*place) {
        char *copy = strdup(name);

        if (!copy)
            gw_out_of_memory();
        *place = copy;
        for (size_t i = 0; i < names.n_slots; i++)
            if (names.slots[i].value == copy)
                names.slots[i].key = copy;
    }
    return *place;
}

bool gw_yaml_is_null(const struct gw_yaml_node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (node->kind != GW_YAML_PLAIN)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}

const struct gw_yaml_node *gw_yaml_get(const struct gw_yaml_node *map, const char *key)
{
    if (!map || map->kind != GW_YAML_MAP)
        return NULL;
    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next)
        if (strcmp(entry->key, key) == 0)
            return entry;
    return NULL;
}

static struct gw_mark place(const struct loader *loader, yaml_mark_t mark)
{
    return (struct gw_mark){loader->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* ---- building -------------------------------------------------------------------------------------- */

static const char *intern_key(struct loader *loader, const char *text, size_t len)
{
    struct key_text *key = gw_strmap_get_n(&loader->keys, text, len);

    if (!key) {
        key = gw_arena_alloc(&loader->memory->nodes, sizeof *key + len + 1);
        memcpy(key->text, text, len);
        *gw_strmap_at(&loader->keys, key->text) = key;
    }
    return key->text;
}

static struct key_text *key_of(const struct gw_yaml_node *entry)
{
    return (struct key_text *)(uintptr_t)(entry->key - offsetof(struct key_text, text));
}

/* Makes a node at the event's place and hangs it below the open list or map. */
static struct gw_yaml_node *add_node(struct loader *loader, const yaml_event_t *event,
                                     enum gw_yaml_kind kind)
{
    struct gw_yaml_node *node = gw_arena_alloc(&loader->memory->nodes, sizeof *node);
    struct open_node *parent = loader->depth ? &loader->open[loader->depth - 1] : NULL;

    node->kind = kind;
    node->file = loader->file;
    node->line = (uint32_t)event->start_mark.line + 1;
    node->column = (uint32_t)event->start_mark.column + 1;
    if (!parent) {
        loader->root = node;
        return node;
    }
    if (parent->node->kind == GW_YAML_MAP) {
        node->key = parent->key;
        node->key_line = (uint32_t)parent->key_mark.line + 1;
        node->key_column = (uint32_t)parent->key_mark.column + 1;
        parent->key = NULL;
        if (parent->drops_value) {
            parent->drops_value = false;
            return node;
        }
    }
    *(parent->last ? &parent->last->next : &parent->node->first) = node;
    parent->last = node;
    parent->node->n_entries++;
    return node;
}

static bool wants_key(const struct loader *loader)
{
    const struct open_node *parent = loader->depth ? &loader->open[loader->depth - 1] : NULL;

    return parent && parent->node->kind == GW_YAML_MAP && !parent->key;
}

static void check_properties(struct loader *loader, const yaml_event_t *event,
                             const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        gw_diag_add(
            loader->diags, place(loader, event->start_mark),
            "anchors (&%s) are not supported; use a template, or a default at an outer level",
            anchor);
    if (tag) {
        size_t n = strlen(YAML_PREFIX);
        bool is_short = strncmp((const char *)tag, YAML_PREFIX, n) == 0;

        gw_diag_add(loader->diags, place(loader, event->start_mark),
                    "tags (%s%s) are not supported; quotes make a value a text",
                    is_short ? "!!" : "", (const char *)tag + (is_short ? n : 0));
    }
}

static void take_key(struct loader *loader, const yaml_event_t *event)
{
    struct open_node *parent = &loader->open[loader->depth - 1];
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (strlen(text) != len) {
        gw_diag_add(loader->diags, place(loader, event->start_mark),
                    "a key cannot hold the character NUL");
        parent->drops_value = true;
    } else if (strcmp(text, "<<") == 0 && event->data.scalar.plain_implicit) {
        gw_diag_add(
            loader->diags, place(loader, event->start_mark),
            "merge keys (<<) are not supported; use a template, or a default at an outer level");
        parent->drops_value = true;
    }
    parent->key = intern_key(loader, text, strlen(text));
    parent->key_mark = event->start_mark;
}

static void take_scalar(struct loader *loader, const yaml_event_t *event)
{
    bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    check_properties(loader, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (wants_key(loader)) {
        take_key(loader, event);
        return;
    }
    struct gw_yaml_node *node = add_node(loader, event, is_plain ? GW_YAML_PLAIN : GW_YAML_QUOTED);
    if (strlen(text) != len)
        gw_diag_add(loader->diags, place(loader, event->start_mark),
                    "a text cannot hold the character NUL");
    if (strlen(text) != len || event->data.scalar.tag)
        node->kind = GW_YAML_WRONG;
    else
        node->text = gw_share_text(&loader->memory->scalars, &loader->memory->texts, text, len);
}

static enum gw_err open_branch(struct loader *loader, const yaml_event_t *event,
                               enum gw_yaml_kind kind)
{
    if (wants_key(loader)) {
        gw_diag_add(loader->diags, place(loader, event->start_mark),
                    "a key must be a plain word, not a %s",
                    kind == GW_YAML_MAP ? "mapping" : "list");
        return GW_E_CONFIG;
    }
    if (loader->depth == GW_YAML_MAX_DEPTH) {
        gw_diag_add(loader->diags, place(loader, event->start_mark), "nested deeper than %d levels",
                    GW_YAML_MAX_DEPTH);
        return GW_E_CONFIG;
    }
    struct gw_yaml_node *node = add_node(loader, event, kind);
    loader->open[loader->depth++] = (struct open_node){.node = node};
    return GW_OK;
}

/* Reports keys that a map has twice and keeps the first of them. */
static void drop_duplicates(struct loader *loader, struct gw_yaml_node *map)
{
    struct gw_yaml_node **link = &map->first;

    while (*link) {
        struct gw_yaml_node *entry = *link;
        struct key_text *key = key_of(entry);

        if (key->map == map) {
            gw_diag_add(loader->diags, gw_yaml_key_mark(entry),
                        "duplicate key \"%s\"; first at line %u", entry->key, key->first->key_line);
            *link = entry->next;
            map->n_entries--;
        } else {
            key->map = map;
            key->first = entry;
            link = &entry->next;
        }
    }
}

static void close_branch(struct loader *loader)
{
    struct gw_yaml_node *node = loader->open[--loader->depth].node;

    assert(node);
    if (node->kind == GW_YAML_MAP)
        drop_duplicates(loader, node);
}

static enum gw_err take_alias(struct loader *loader, const yaml_event_t *event)
{
    gw_diag_add(loader->diags, place(loader, event->start_mark),
                "aliases (*%s) are not supported; use a template, or a default at an outer level",
                event->data.alias.anchor);
    if (wants_key(loader))
        return GW_E_CONFIG;
    add_node(loader, event, GW_YAML_WRONG);
    return GW_OK;
}

static enum gw_err take_event(struct loader *loader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (!loader->root)
            return GW_OK;
        gw_diag_add(loader->diags, place(loader, event->start_mark),
                    "a second document begins here; a file holds one");
        return GW_E_CONFIG;
    case YAML_ALIAS_EVENT:
        return take_alias(loader, event);
    case YAML_SCALAR_EVENT:
        take_scalar(loader, event);
        return GW_OK;
    case YAML_SEQUENCE_START_EVENT:
        check_properties(loader, event, event->data.sequence_start.anchor,
                         event->data.sequence_start.tag);
        return open_branch(loader, event, GW_YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        check_properties(loader, event, event->data.mapping_start.anchor,
                         event->data.mapping_start.tag);
        return open_branch(loader, event, GW_YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_branch(loader);
        return GW_OK;
    default:
        return GW_OK;
    }
}

static enum gw_err parse_events(struct loader *loader, yaml_parser_t *parser, const char *text,
                                size_t len)
{
    bool is_end = false;

    while (!is_end) {
        yaml_event_t event;

        if (!yaml_parser_parse(parser, &event)) {
            gw_yaml_report_error(parser, loader->file, text, len, loader->diags);
            return GW_E_CONFIG;
        }
        enum gw_err err = take_event(loader, &event);
        if (err == GW_OK && ++loader->n_events > GW_YAML_MAX_EVENTS) {
            gw_diag_add(
                loader->diags, place(loader, event.start_mark),
                "the file holds more than %d values, keys and brackets; split it up with include",
                GW_YAML_MAX_EVENTS);
            err = GW_E_CONFIG;
        }
        is_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (err != GW_OK)
            return err;
    }
    return GW_OK;
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* Opens a regular file. Gives -1 with a reason. O_NONBLOCK: a FIFO must not hold us up. */
static int open_regular(const char *file, struct stat *st, const char **ret_reason)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        *ret_reason = strerror(errno);
        return -1;
    }
    if (fstat(fd, st) != 0)
        *ret_reason = strerror(errno);
    else if (S_ISDIR(st->st_mode))
        *ret_reason = "it is a folder";
    else if (!S_ISREG(st->st_mode))
        *ret_reason = "it is not a regular file";
    else
        return fd;
    close(fd);
    return -1;
}

static char *read_all(int fd, size_t room, size_t *ret_len)
{
    char *text = gw_alloc(room + 1, 1);
    size_t len = 0;

    while (len < room) {
        ssize_t n = read(fd, text + len, room - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            free(text);
            return NULL;
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return text;
}

static enum gw_err read_file(const char *file, struct gw_mark asker, struct gw_diags *diags,
                             char **ret_text, size_t *ret_len)
{
    struct stat st;
    const char *reason = NULL;
    char *text = NULL;
    int fd = open_regular(file, &st, &reason);

    if (fd >= 0 && st.st_size > GW_YAML_MAX_BYTES) {
        gw_diag_add(diags, (struct gw_mark){.file = file},
                    "the file is too large (%lld bytes; at most %d MiB)", (long long)st.st_size,
                    GW_YAML_MAX_BYTES / 1024 / 1024);
        close(fd);
        return GW_E_CONFIG;
    }
    if (fd >= 0) {
        text = read_all(fd, (size_t)st.st_size, ret_len);
        if (!text)
            reason = strerror(errno);
        close(fd);
    }
    if (!text) {
        if (asker.file)
            gw_diag_add(diags, asker, "cannot read %s: %s", file, reason);
        else
            gw_diag_add(diags, (struct gw_mark){.file = file}, "cannot be read: %s", reason);
        return GW_E_CONFIG;
    }
    *ret_text = text;
    return GW_OK;
}

/* UTF-16 is refused by name: read as UTF-8 it would only be strange characters. */
static enum gw_err check_encoding(const char *file, const char *text, size_t len,
                                  struct gw_diags *diags)
{
    if (len >= 2 && (memcmp(text, "\xFF\xFE", 2) == 0 || memcmp(text, "\xFE\xFF", 2) == 0)) {
        gw_diag_add(diags, (struct gw_mark){.file = file}, "the file is UTF-16; save it as UTF-8");
        return GW_E_CONFIG;
    }
    return GW_OK;
}

static enum gw_err parse_text(struct loader *loader, const char *text, size_t len)
{
    yaml_parser_t parser;
    size_t bom = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

    if (!yaml_parser_initialize(&parser))
        gw_out_of_memory();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text + bom, len - bom);
    enum gw_err err = parse_events(loader, &parser, text + bom, len - bom);
    yaml_parser_delete(&parser);
    return err;
}

enum gw_err gw_yaml_load(const char *file, struct gw_mark asker, struct gw_yaml_memory *memory,
                         struct gw_diags *diags, struct gw_yaml_node **ret_root)
{
    struct loader loader = {.file = gw_intern_file_name(file), .memory = memory, .diags = diags};
    char *text;
    size_t len;
    enum gw_err err = read_file(loader.file, asker, diags, &text, &len);

    if (err != GW_OK)
        return err;
    err = check_encoding(loader.file, text, len, diags);
    if (err == GW_OK)
        err = parse_text(&loader, text, len);
    if (err == GW_OK && (!loader.root || gw_yaml_is_null(loader.root))) {
        gw_diag_add(diags, (struct gw_mark){.file = loader.file}, "the file is empty");
        err = GW_E_CONFIG;
    }
    gw_strmap_free(&loader.keys);
    free(text);
    if (err == GW_OK)
        *ret_root = loader.root;
    return err;
}
