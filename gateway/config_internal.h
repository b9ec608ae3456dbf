/* config_internal: what the config_*.c files share while one configuration loads. Part of config. */
#ifndef GW_CONFIG_INTERNAL_H
#define GW_CONFIG_INTERNAL_H

#include "gateway/config_draft.h"
#include "gateway/schema_tables.h"
#include "gateway/strmap.h"
#include "gateway/topic.h"
#include "gateway/yaml_tree.h"

/* ---- a load ---------------------------------------------------------------------------------------- */

struct gw_loader {
    const struct gw_config_env *env;
    struct gw_diags *diags;
    struct gw_yaml_memory memory; /* texts: becomes the config's own; nodes: freed after the load */
    struct gw_share shared;       /* structs that many points have alike, in memory.texts */
    const char *file, *dir; /* the main file, and its folder without a final slash ("." for none) */
    struct gw_config *config;    /* in memory.texts */
    struct gw_strmap templates;  /* by name: struct gw_template */
    struct gw_strmap topics;     /* by topic: const struct gw_topic_owner */
    struct gw_strmap enum_names; /* of one point: nodes */
    struct gw_strmap changes;    /* points of a device that change the template's, by name: nodes */
    struct gw_strmap bus_names, device_names, point_names; /* of one parent at a time: nodes */
    const struct gw_variable *variables; /* ${gateway} and the user's at the gateway */
    struct gw_point_draft point_defaults;
    struct gw_write_draft write_defaults;
    const struct gw_yaml_node *
        *deadbands; /* where every reading is published: useless unless used elsewhere */
    size_t n_deadbands, n_deadbands_room;
    const char *good_topic; /* the last template that was found well-formed */
    bool lacks_files;       /* one could not be read: what is missing may be in there */
    bool is_off; /* inside of something with enabled: false: what it lacks is no mistake */
};

/* Hands the memory of a configuration over to it; gw_config_free frees it. */
void gw_config_own(struct gw_config *config, const struct gw_arena *memory);

/* ---- layers: where a key may have been written ------------------------------------------------------ */

enum gw_level { GW_LEVEL_POINT, GW_LEVEL_DEVICE, GW_LEVEL_BUS, GW_LEVEL_ROOT };

/* From the innermost map outwards; a template's map comes after the device's (or point's) that uses it. */
struct gw_layer {
    const struct gw_yaml_node *map; /* NULL: an empty layer */
    enum gw_level level;
    const struct gw_layer *outer;
};

/* Finds the innermost entry of key up to a level, also below publish:. NULL without one. */
const struct gw_yaml_node *gw_layer_find(const struct gw_layer *layer, const char *key,
                                         enum gw_level up_to);

/* ---- walking by tables (config_walk.c, config_decode.c) -------------------------------------------- */

enum { GW_BINDINGS_MAX = 8, GW_CHILDREN_MAX = 12 };

/* A table of keys and the struct that it fills. */
struct gw_binding {
    const struct gw_key *keys;
    void *base;
    unsigned flags; /* only keys that have all of these */
};

struct gw_walk {
    const struct gw_section *section;
    struct gw_binding bindings[GW_BINDINGS_MAX];
    size_t n_bindings;
    const struct gw_driver *driver; /* to say where a key belongs; NULL without one */
    bool expands;                   /* ${...} in every text, not only in addresses */
    const struct gw_yaml_node *children[GW_CHILDREN_MAX]; /* found; as in section->children */
};

void gw_walk_bind(struct gw_walk *walk, const struct gw_key *keys, void *base, unsigned flags);
/* Decodes every entry of map by the tables; says what cannot stand here. False when map is no mapping. */
bool gw_walk_section(struct gw_loader *loader, struct gw_walk *walk,
                     const struct gw_yaml_node *map);
/* The child section of this name that the last walk found. */
const struct gw_yaml_node *gw_walk_child(const struct gw_walk *walk, const char *name);
/* Reports the required keys of a table that no layer up to `up_to` has. `of` names the section: `device "x"`. */
void gw_check_required(struct gw_loader *loader, const struct gw_key *keys,
                       const struct gw_layer *layer, enum gw_level up_to, struct gw_mark mark,
                       const char *of);

/* Decodes one value into the member of base. False when it was a mistake (reported). */
bool gw_decode(struct gw_loader *loader, const struct gw_key *key, const struct gw_yaml_node *value,
               void *base, bool expands);
/* Decode GW_KEY_MAP over the struct at field, and GW_KEY_MAPS into the struct gw_items there. */
bool gw_decode_map(struct gw_loader *loader, const struct gw_key *key,
                   const struct gw_yaml_node *value, void *field);
bool gw_decode_maps(struct gw_loader *loader, const struct gw_key *key,
                    const struct gw_yaml_node *value, void *field);
/* Fills in the defaults of a table. */
void gw_decode_defaults(struct gw_loader *loader, const struct gw_key *keys, void *base,
                        bool expands);
/* What a value is, for sentences: `"fast"`, `a list`, `nothing`. */
const char *gw_describe(struct gw_loader *loader, const struct gw_yaml_node *value);
/* Whether nothing was said against a value or its key, so that it may be compared with another; NULL is sound. */
bool gw_is_sound(const struct gw_loader *loader, const struct gw_yaml_node *value);

enum gw_number_kind { GW_NOT_A_NUMBER, GW_WHOLE, GW_HEX, GW_REAL, GW_NAN, GW_INFINITE };
/* Tells what number a plain scalar is. Source: YAML 1.2, 10.3.2 (core schema), without octal. */
enum gw_number_kind gw_number_kind(const char *text);
/* Parses GW_WHOLE and GW_HEX. False when it does not fit. */
bool gw_parse_int(const char *text, int64_t *ret_value);
bool gw_parse_uint(const char *text, uint64_t *ret_value);

/* ---- texts, secrets, names ------------------------------------------------------------------------- */

/* Puts in variables and the environment. NULL after a mistake (reported). */
const char *gw_expand_environment(struct gw_loader *loader, const char *text,
                                  const struct gw_variable *variables, struct gw_mark mark);
const char *gw_read_password_file(struct gw_loader *loader, const char *file, struct gw_mark mark);
/* Gives the path of a file named in a configuration file: relative to the folder of that file. */
const char *gw_path_beside(struct gw_loader *loader, const char *folder, const char *name);
const char *gw_folder_of(struct gw_loader *loader, const char *file);
/* Checks the characters of a name, and that it is the first of its kind in *names. False: leave it out. */
bool gw_check_name(struct gw_loader *loader, const struct gw_yaml_node *section,
                   struct gw_strmap *names, const char *noun);
const struct gw_variable *gw_decode_variables(struct gw_loader *loader,
                                              const struct gw_yaml_node *map,
                                              const struct gw_variable *outer);
/* Tells whether a section says enabled: false. */
bool gw_is_off(const struct gw_yaml_node *map);
/* ` at line 12`, or ` at FILE:12` when it is another file than that of `seen_from`. */
const char *gw_print_place(struct gw_loader *loader, const struct gw_yaml_node *place,
                           const char *seen_from);

/* ---- sections -------------------------------------------------------------------------------------- */

/* The whole of a configuration: all files in one map, `buses` joined. NULL after mistakes. */
struct gw_yaml_node *gw_load_files(struct gw_loader *loader);
/* Gives the *.yaml files of a folder, sorted by name. Errors: GW_E_CONFIG when it cannot be read. */
GW_MUST_CHECK enum gw_err gw_list_folder(struct gw_arena *arena, const char *folder,
                                         struct gw_list *ret_files);

void gw_load_gateway(struct gw_loader *loader, const struct gw_yaml_node *map, struct gw_mark root);
void gw_load_mqtt(struct gw_loader *loader, const struct gw_yaml_node *map,
                  struct gw_mqtt_conf *ret_mqtt);
void gw_load_buffer(struct gw_loader *loader, const struct gw_yaml_node *map,
                    struct gw_buffer_conf *ret_buffer);

/* A template file. */
struct gw_template {
    const char *name;
    const struct gw_yaml_node
        *map; /* NULL: not found or not readable, which was reported or is to be */
    struct gw_list drivers;
    struct gw_strmap points; /* by name: const struct gw_yaml_node */
    size_t n_points;
    bool is_found;
};

/* NULL when there is no usable one (reported at mark). */
struct gw_template *gw_find_template(struct gw_loader *loader, const char *name,
                                     struct gw_mark mark);
/* Says that a template lacks a point of this name, if there is one that was meant (or it is certain). */
void gw_report_template_point(struct gw_loader *loader, const struct gw_template *template,
                              const struct gw_yaml_node *name, bool is_certain);
void gw_free_templates(struct gw_loader *loader);

/* What a bus gives to its devices. */
struct gw_bus_context {
    struct gw_bus_conf *bus;
    const struct gw_driver *driver;
    struct gw_settings settings;
    void *device_proto, *point_proto; /* defaults and what the bus says of the driver's keys */
    const struct gw_variable *variables;
    const struct gw_layer *layer;
};

/* What a device gives to its points. */
struct gw_device_context {
    const struct gw_bus_context *bus;
    struct gw_device_conf *device;
    const struct gw_template *template;
    bool lacks_template; /* it names one that cannot be used: what is missing may be in there */
    struct gw_settings settings;
    const void *point_proto;
    void *point_draft; /* room for what the driver's keys say of one point */
    const struct gw_variable *variables;
    const struct gw_layer *layer;
};

/* Warns of devices of a bus that read the same of one instrument (config_twins.c). */
void gw_warn_of_twins(struct gw_loader *loader, const struct gw_bus_conf *bus);

/* ---- what has changed (config_fingerprint.c) -------------------------------------------------------- */

#define GW_FINGERPRINT_START UINT64_C(14695981039346656037)

/* The bus's own keys, and what says how commands come to it. */
uint64_t gw_fingerprint_link(const struct gw_yaml_node *root, const struct gw_yaml_node *bus,
                             const struct gw_driver *driver);
/* What the file and the bus say for all devices of the bus. */
uint64_t gw_fingerprint_around(const struct gw_yaml_node *root, const struct gw_yaml_node *bus);
/* That, the device, and its template. */
uint64_t gw_fingerprint_device(const struct gw_loader *loader, uint64_t around,
                               const struct gw_yaml_node *device);
uint64_t gw_fingerprint_number(uint64_t h, uint64_t number);
/* Each adds one thing, which may be NULL, to a fingerprint. */
uint64_t gw_fingerprint_node(uint64_t h, const struct gw_yaml_node *node);
uint64_t gw_fingerprint_text(uint64_t h, const char *text);
uint64_t gw_fingerprint_file(uint64_t h, const char *file);

void gw_load_buses(struct gw_loader *loader, const struct gw_yaml_node *list,
                   const struct gw_settings *settings, const struct gw_layer *root);
/* False when the device is left out. */
bool gw_load_device(struct gw_loader *loader, const struct gw_bus_context *bus,
                    const struct gw_yaml_node *node, struct gw_device_conf *ret_device);
void gw_load_points(struct gw_loader *loader, struct gw_device_context *context,
                    const struct gw_yaml_node *own, const struct gw_yaml_node *of_template);
/* Loads one point from its map and the template's (either may be NULL). False when it is left out. */
bool gw_load_point(struct gw_loader *loader, const struct gw_device_context *context,
                   const struct gw_yaml_node *own, const struct gw_yaml_node *of_template,
                   struct gw_point_conf *ret_point);

void gw_load_http(struct gw_loader *loader, const struct gw_yaml_node *map,
                  struct gw_http_conf *ret_http);
void gw_load_commands(struct gw_loader *loader, const struct gw_yaml_node *map,
                      struct gw_commands_conf *ret_commands);
/* Resolves how a point is written; its map, traits, access and topic are there already. */
void gw_resolve_write(struct gw_loader *loader, const struct gw_device_context *context,
                      const struct gw_settings *settings, const struct gw_write_draft *draft,
                      const struct gw_variable *variables, const struct gw_layer *layer,
                      struct gw_point_conf *point);
/* What needs all points of a device: read_back, and the topics of the device. */
void gw_resolve_device_writes(struct gw_loader *loader, const struct gw_device_context *context);

/* Decodes the settings keys of publish: (and finds what stands both there and flat). */
void gw_load_publish(struct gw_loader *loader, const struct gw_section *section,
                     const struct gw_yaml_node *map, const struct gw_yaml_node *flat,
                     struct gw_settings *settings);
/* What is said of one message, and where from. */
struct gw_publish_source {
    const struct gw_settings *settings;
    const struct gw_variable *variables;
    const struct gw_layer *layer;
    struct gw_mark mark;
    bool is_device;
};
/* Resolves it into what the runtime wants, with topic and payload expanded. False after a mistake. */
bool gw_resolve_publish(struct gw_loader *loader, const struct gw_publish_source *source,
                        const char **ret_topic, struct gw_publish *ret_publish);
/* The same for a point of a device's message: what the device says holds for the payload. */
void gw_join_publish(const struct gw_settings *settings, const struct gw_publish *device,
                     struct gw_publish *ret_publish);
/* Checks what can be told without the driver. */
void gw_check_map(struct gw_loader *loader, const struct gw_point_draft *draft,
                  const struct gw_layer *layer);
/* Resolves how raw values become engineering values; needs to know what the driver delivers. */
void gw_resolve_map(struct gw_loader *loader, const struct gw_point_draft *draft,
                    const struct gw_layer *layer, const struct gw_point_traits *traits,
                    struct gw_map *ret_map);
void gw_check_settings(struct gw_loader *loader, const struct gw_settings *settings,
                       const struct gw_layer *layer);
/* Warns of deadbands that no point makes use of. */
void gw_check_deadbands(struct gw_loader *loader);

/* Takes a topic for a point, a device's message (no point) or the gateway's state (no device either); reports the other
 * one that has it already. */
void gw_claim_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                    const char *device, const char *point);
/* The topics of the gateway's own state; those of a bus, or of a device of it. */
void gw_claim_gateway_topics(struct gw_loader *loader, struct gw_mark mark);
void gw_claim_bus_topics(struct gw_loader *loader, const char *bus, const char *device,
                         struct gw_mark mark);
/* The same for the topic where commands arrive (none of device and point: of arming), and for that of results, which
 * several may share. */
void gw_claim_command_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                            const char *device, const char *point);
void gw_claim_result_topic(struct gw_loader *loader, const char *topic, struct gw_mark mark,
                           const char *device, const char *point);
/* Reports topics that are the /set or /result of a point. */
void gw_check_command_topics(struct gw_loader *loader);

#endif
