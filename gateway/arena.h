/* arena: memory that is taken piece by piece and given back all at once.
 * For what is built while a configuration loads; nothing in it is ever freed alone. */
#ifndef GW_ARENA_H
#define GW_ARENA_H

#include <stddef.h>

#include "gateway/err.h"

struct gw_arena_chunk;

/* Zeroed is empty. */
struct gw_arena {
    struct gw_arena_chunk *chunks;
    char *at;
    size_t n_left;
};

/* Gives zeroed memory, aligned for any type. Never NULL: see gw_out_of_memory. */
void *gw_arena_alloc(struct gw_arena *arena, size_t size);
/* Copies len bytes and adds a NUL. */
char *gw_arena_text(struct gw_arena *arena, const char *text, size_t len);
/* Prints into the arena. */
char *gw_arena_print(struct gw_arena *arena, const char *fmt, ...) GW_PRINTF(2, 3);
/* Gives back everything; the arena is empty afterwards and may be used again. */
void gw_arena_free(struct gw_arena *arena);

/* Ends the program with a sentence: without memory for its configuration there is nothing to run. */
_Noreturn void gw_out_of_memory(void);
/* calloc and realloc that never return NULL. */
void *gw_alloc(size_t n_items, size_t size);
void *gw_grow(void *memory, size_t n_items, size_t size);

#endif
