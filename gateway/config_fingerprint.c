/* config_fingerprint: a number for all that a part of the configuration was made from, so that a reload finds out what
 * has changed. Made from the texts as they are written, not from the structs: nobody can forget a member. Includes and
 * templates are in it; where something stands in a file is not. */
#include "gateway/config_internal.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX_BYTES = 256 * 1024 };

/* FNV-1a, 64 bits: what differs by chance only, not by intent, collides once in 10^19. */
static uint64_t add_bytes(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

static uint64_t add_text(uint64_t h, const char *text)
{
    return text ? add_bytes(h, text, strlen(text) + 1) : add_bytes(h, "\1", 1);
}

/* Which keys of a map count; NULL: all. */
typedef bool key_test(const char *key, const void *ctx);

static uint64_t add_map(uint64_t h, const struct gw_yaml_node *map, key_test *counts,
                        const void *ctx);

/* The tree is not deeper than GW_YAML_MAX_DEPTH. */
static uint64_t add_node(uint64_t h, const struct gw_yaml_node *node)
{
    const unsigned char kind = node->kind;

    h = add_text(h, node->key);
    h = add_bytes(h, &kind, 1);
    if (gw_yaml_is_scalar(node))
        return add_text(h, node->text);
    if (node->kind != GW_YAML_LIST && node->kind != GW_YAML_MAP)
        return h;
    if (node->kind == GW_YAML_MAP)
        return add_map(h, node, NULL, NULL);
    for (const struct gw_yaml_node *entry = node->first; entry; entry = entry->next)
        h = add_node(h, entry);
    return add_bytes(h, "\2", 1);
}

/* The order of its entries does not count. */
static uint64_t add_map(uint64_t h, const struct gw_yaml_node *map, key_test *counts,
                        const void *ctx)
{
    uint64_t sum = 0;

    for (const struct gw_yaml_node *entry = map->first; entry; entry = entry->next)
        if (!counts || counts(entry->key, ctx))
            sum += add_node(GW_FINGERPRINT_START, entry);
    return add_bytes(h, &sum, sizeof sum);
}

/* All but the sections of their own, which say nothing of buses. */
static bool is_for_buses(const char *key, const void *ctx)
{
    static const char *const apart[] = {"mqtt", "buffer", "http", "buses", "include"};

    (void)ctx;
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++)
        if (strcmp(key, apart[i]) == 0)
            return false;
    return true;
}

static bool is_for_devices(const char *key, const void *ctx)
{
    (void)ctx;
    return strcmp(key, "devices") != 0;
}

static bool is_commands(const char *key, const void *ctx)
{
    (void)ctx;
    return strcmp(key, "commands") == 0;
}

static bool is_in(const struct gw_key *keys, const char *name)
{
    for (; keys && keys->name; keys++)
        if (strcmp(keys->name, name) == 0)
            return true;
    return false;
}

static bool is_of_link(const char *key, const void *driver)
{
    return is_in(gw_bus_section.keys, key) ||
           is_in(((const struct gw_driver *)driver)->bus_keys, key);
}

static uint64_t add_template(const struct gw_loader *loader, uint64_t h,
                             const struct gw_yaml_node *device)
{
    const struct gw_yaml_node *name = gw_yaml_get(device, "template");
    const struct gw_template *template =
        name && gw_yaml_is_scalar(name) ? gw_strmap_get(&loader->templates, name->text) : NULL;

    return template && template->map ? add_node(h, template->map) : h;
}

uint64_t gw_fingerprint_around(const struct gw_yaml_node *root, const struct gw_yaml_node *bus)
{
    return add_map(add_map(GW_FINGERPRINT_START, root, is_for_buses, NULL), bus, is_for_devices,
                   NULL);
}

uint64_t gw_fingerprint_link(const struct gw_yaml_node *root, const struct gw_yaml_node *bus,
                             const struct gw_driver *driver)
{
    return add_map(add_map(GW_FINGERPRINT_START, root, is_commands, NULL), bus, is_of_link, driver);
}

uint64_t gw_fingerprint_device(const struct gw_loader *loader, uint64_t around,
                               const struct gw_yaml_node *device)
{
    return add_template(loader, add_node(around, device), device);
}

uint64_t gw_fingerprint_number(uint64_t h, uint64_t number)
{
    return add_bytes(h, &number, sizeof number);
}

uint64_t gw_fingerprint_node(uint64_t h, const struct gw_yaml_node *node)
{
    return node ? add_node(h, node) : add_bytes(h, "\3", 1);
}

uint64_t gw_fingerprint_text(uint64_t h, const char *text)
{
    return add_text(h, text);
}

/* What stands in a file: a certificate that was renewed counts. */
uint64_t gw_fingerprint_file(uint64_t h, const char *file)
{
    char bytes[4096];
    size_t n, left = FILE_MAX_BYTES;
    FILE *in = file ? fopen(file, "re") : NULL;

    if (!in)
        return add_text(h, file);
    while (left > 0 && (n = fread(bytes, 1, sizeof bytes, in)) > 0) {
        h = add_bytes(h, bytes, n);
        left -= n < left ? n : left;
    }
    fclose(in);
    return h;
}
