/* strmap: texts to pointers, as a hash table. For finding duplicates and names without searching lists. */
#ifndef GW_STRMAP_H
#define GW_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_strmap_slot {
    const char *key; /* borrowed; outlives the map */
    void *value;
    uint32_t hash;
    uint32_t age; /* slots of another age are empty: clearing costs nothing */
};

/* Zeroed is empty. */
struct gw_strmap {
    struct gw_strmap_slot *slots;
    size_t n_slots, n_used; /* n_slots is a power of two */
    uint32_t age;
};

/* Gives the place of the value that belongs to key, adding the key with NULL when it is new.
 * The place is valid until the next call. */
void **gw_strmap_at(struct gw_strmap *map, const char *key);
/* Gives the value of key; NULL without one. */
void *gw_strmap_get(const struct gw_strmap *map, const char *key);
/* Gives the value of the key that is the first len bytes of text. */
void *gw_strmap_get_n(const struct gw_strmap *map, const char *text, size_t len);
void gw_strmap_clear(struct gw_strmap *map); /* forgets all keys, keeps the memory */
void gw_strmap_free(struct gw_strmap *map);

#endif
