/* yaml_tree: a YAML file as a tree of texts that remember where they stood. The only file that includes yaml.h.
 * Knows YAML and its limits, nothing of what the keys mean. Anchors, aliases, tags and merge keys are refused. */
#ifndef GW_YAML_TREE_H
#define GW_YAML_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/share.h"
#include "gateway/diag.h"

enum { GW_YAML_MAX_BYTES = 16 * 1024 * 1024, GW_YAML_MAX_DEPTH = 16, GW_YAML_MAX_EVENTS = 2000000 };

enum gw_yaml_kind {
    GW_YAML_WRONG,  /* a mistake was already reported here: say no more */
    GW_YAML_PLAIN,  /* a scalar without quotes: may be a number, true, nothing */
    GW_YAML_QUOTED, /* a scalar in quotes or a block scalar: a text */
    GW_YAML_LIST,
    GW_YAML_MAP,
};

struct gw_yaml_node {
    const char *key; /* of an entry of a map; NULL in lists and at the root */
    union {
        const char *text;           /* of a scalar; holds no NUL */
        struct gw_yaml_node *first; /* entry of a list or map; its keys are unique */
    };
    struct gw_yaml_node *next;
    const char *file;
    uint32_t line, column; /* of the value */
    uint32_t key_line, key_column;
    uint32_t n_entries;
    enum gw_yaml_kind kind : 8;
    unsigned notes : 8; /* for whoever walks the tree; 0 at first */
};

/* Where the texts and nodes of trees go. One serves many files. */
struct gw_yaml_memory {
    struct gw_arena texts; /* scalars: kept as long as the configuration */
    struct gw_share
        scalars;           /* those there are already: the same word of many points is kept once */
    struct gw_arena nodes; /* all else */
};

/* Reads a file whole. Adds all its mistakes to diags.
 * Shape:  asker is the place that names the file (an include); without one its .file is NULL.
 * Errors: GW_E_CONFIG when there is no tree to look at; duplicate keys, anchors and so on are mistakes in diags only.
 * Owns:   the tree lives in *memory.
 * Thread: file names are interned for the life of the process; main thread only. */
GW_MUST_CHECK enum gw_err gw_yaml_load(const char *file, struct gw_mark asker,
                                       struct gw_yaml_memory *memory, struct gw_diags *diags,
                                       struct gw_yaml_node **ret_root);

/* Gives a copy of name that lives as long as the process. */
const char *gw_intern_file_name(const char *name);

static inline struct gw_mark gw_yaml_mark(const struct gw_yaml_node *node)
{
    return (struct gw_mark){node->file, node->line, node->column};
}

/* The place of the key; of the value where there is no key. */
static inline struct gw_mark gw_yaml_key_mark(const struct gw_yaml_node *node)
{
    return node->key ? (struct gw_mark){node->file, node->key_line, node->key_column}
                     : gw_yaml_mark(node);
}

static inline bool gw_yaml_is_scalar(const struct gw_yaml_node *node)
{
    return node->kind == GW_YAML_PLAIN || node->kind == GW_YAML_QUOTED;
}

/* Tells whether the value is nothing: empty, ~ or null. Source: YAML 1.2, 10.3.2 (core schema). */
bool gw_yaml_is_null(const struct gw_yaml_node *node);
/* Gives the entry of a map; NULL without one (also when map is NULL or no map). */
const struct gw_yaml_node *gw_yaml_get(const struct gw_yaml_node *map, const char *key);

#endif
