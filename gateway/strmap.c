/* strmap: open addressing with linear probing, at most half full. */
#include "gateway/strmap.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/arena.h"

enum { MIN_SLOTS = 64 };

/* FNV-1a. Source: draft-eastlake-fnv, 32-bit parameters. */
static uint32_t hash_text(const char *text, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static struct gw_strmap_slot *find_slot(const struct gw_strmap *map, const char *text, size_t len,
                                        uint32_t hash)
{
    size_t i = hash & (map->n_slots - 1);

    for (;; i = (i + 1) & (map->n_slots - 1)) {
        struct gw_strmap_slot *slot = &map->slots[i];

        if (!slot->key || slot->age != map->age)
            return slot;
        if (slot->hash == hash && strncmp(slot->key, text, len) == 0 && slot->key[len] == '\0')
            return slot;
    }
}

static void grow(struct gw_strmap *map)
{
    struct gw_strmap old = *map;

    map->n_slots = old.n_slots ? old.n_slots * 2 : MIN_SLOTS;
    map->slots = gw_alloc(map->n_slots, sizeof *map->slots);
    for (size_t i = 0; i < old.n_slots; i++) {
        const struct gw_strmap_slot *slot = &old.slots[i];

        if (slot->key && slot->age == old.age)
            *find_slot(map, slot->key, strlen(slot->key), slot->hash) = *slot;
    }
    free(old.slots);
}

void **gw_strmap_at(struct gw_strmap *map, const char *key)
{
    size_t len = strlen(key);
    uint32_t hash = hash_text(key, len);

    if ((map->n_used + 1) * 2 > map->n_slots)
        grow(map);
    struct gw_strmap_slot *slot = find_slot(map, key, len, hash);
    if (!slot->key || slot->age != map->age) {
        *slot = (struct gw_strmap_slot){.key = key, .hash = hash, .age = map->age};
        map->n_used++;
    }
    return &slot->value;
}

void *gw_strmap_get_n(const struct gw_strmap *map, const char *text, size_t len)
{
    if (map->n_slots == 0)
        return NULL;
    const struct gw_strmap_slot *slot = find_slot(map, text, len, hash_text(text, len));
    return slot->key && slot->age == map->age ? slot->value : NULL;
}

void *gw_strmap_get(const struct gw_strmap *map, const char *key)
{
    return gw_strmap_get_n(map, key, strlen(key));
}

void gw_strmap_clear(struct gw_strmap *map)
{
    map->n_used = 0;
    if (++map->age == 0 && map->slots) /* wrapped: ages of old slots would come to life again */
        memset(map->slots, 0, map->n_slots * sizeof *map->slots);
}

void gw_strmap_free(struct gw_strmap *map)
{
    free(map->slots);
    *map = (struct gw_strmap){0};
}
