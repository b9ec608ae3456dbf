/* share: equal structs and texts kept once, in an arena. What 100,000 points have in common is then there once, whoever said
 * it: a default, a template, or each of them for itself. */
#ifndef GW_SHARE_H
#define GW_SHARE_H

#include "gateway/arena.h"

struct gw_share_slot;

/* Of structs or of texts, not of both. Zeroed is empty. */
struct gw_share {
    struct gw_share_slot *slots;
    size_t n_slots, n_used; /* n_slots is a power of two */
};

/* Gives the copy of these bytes: that of an earlier call where all are equal, else a new one, aligned for any type.
 * Structs that differ in what their padding holds are kept apart: fill them over zeroed memory.
 * Owns: the copy by the arena, which must outlive the share; not to be changed. */
const void *gw_share(struct gw_share *share, struct gw_arena *arena, const void *bytes,
                     size_t size);
/* The same for a text, which gets a NUL. */
const char *gw_share_text(struct gw_share *share, struct gw_arena *arena, const char *text,
                          size_t len);
/* Forgets what there is; the copies stay. */
void gw_share_free(struct gw_share *share);

#endif
