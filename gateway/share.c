/* share: open addressing with linear probing, at most half full. */
#include "gateway/share.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_SLOTS = 64 };

struct gw_share_slot {
    const void *bytes; /* NULL: empty */
    uint32_t size, hash;
};

/* FNV-1a over words of eight bytes, since structs are long. Source: draft-eastlake-fnv, 64-bit parameters. */
static uint32_t hash_bytes(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(14695981039346656037), word;

    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(1099511628211);
        hash ^= hash >> 32; /* the product carries upwards only */
    }
    for (; size > 0; at++, size--)
        hash = (hash ^ *at) * UINT64_C(1099511628211);
    return (uint32_t)(hash ^ hash >> 32);
}

static struct gw_share_slot *find_slot(const struct gw_share *share, const void *bytes, size_t size,
                                       uint32_t hash)
{
    size_t i = hash & (share->n_slots - 1);

    for (;; i = (i + 1) & (share->n_slots - 1)) {
        struct gw_share_slot *slot = &share->slots[i];

        if (!slot->bytes ||
            (slot->hash == hash && slot->size == size && memcmp(slot->bytes, bytes, size) == 0))
            return slot;
    }
}

static void grow(struct gw_share *share)
{
    struct gw_share old = *share;

    share->n_slots = old.n_slots ? old.n_slots * 2 : MIN_SLOTS;
    share->slots = gw_alloc(share->n_slots, sizeof *share->slots);
    for (size_t i = 0; i < old.n_slots; i++) {
        const struct gw_share_slot *slot = &old.slots[i];

        if (slot->bytes)
            *find_slot(share, slot->bytes, slot->size, slot->hash) = *slot;
    }
    free(old.slots);
}

/* Gives the slot of these bytes, empty but for size and hash when they are new. */
static struct gw_share_slot *slot_of(struct gw_share *share, const void *bytes, size_t size)
{
    uint32_t hash = hash_bytes(bytes, size);

    if ((share->n_used + 1) * 2 > share->n_slots)
        grow(share);
    struct gw_share_slot *slot = find_slot(share, bytes, size, hash);
    if (!slot->bytes) {
        slot->size = (uint32_t)size;
        slot->hash = hash;
        share->n_used++;
    }
    return slot;
}

const void *gw_share(struct gw_share *share, struct gw_arena *arena, const void *bytes, size_t size)
{
    struct gw_share_slot *slot = slot_of(share, bytes, size);

    if (!slot->bytes) {
        void *copy = gw_arena_alloc(arena, size);

        memcpy(copy, bytes, size);
        slot->bytes = copy;
    }
    return slot->bytes;
}

const char *gw_share_text(struct gw_share *share, struct gw_arena *arena, const char *text,
                          size_t len)
{
    struct gw_share_slot *slot = slot_of(share, text, len);

    if (!slot->bytes)
        slot->bytes = gw_arena_text(arena, text, len);
    return slot->bytes;
}

void gw_share_free(struct gw_share *share)
{
    free(share->slots);
    *share = (struct gw_share){0};
}
