/* arena: chunks that double up to a limit, so that a small configuration stays small. */
#include "gateway/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_MIN_BYTES = 4096, CHUNK_MAX_BYTES = 256 * 1024 };

struct gw_arena_chunk {
    struct gw_arena_chunk *next;
    size_t size;
    alignas(max_align_t) char bytes[];
};

_Noreturn void gw_out_of_memory(void)
{
    fputs("field2mqtt: out of memory\n", stderr);
    exit(EXIT_FAILURE);
}

void *gw_alloc(size_t n_items, size_t size)
{
    void *memory = calloc(n_items ? n_items : 1, size ? size : 1);

    if (!memory)
        gw_out_of_memory();
    return memory;
}

void *gw_grow(void *memory, size_t n_items, size_t size)
{
    void *grown = reallocarray(memory, n_items, size);

    if (!grown)
        gw_out_of_memory();
    return grown;
}

static void add_chunk(struct gw_arena *arena, size_t size)
{
    size_t want = arena->chunks ? arena->chunks->size * 2 : CHUNK_MIN_BYTES;
    struct gw_arena_chunk *chunk;

    if (want > CHUNK_MAX_BYTES)
        want = CHUNK_MAX_BYTES;
    if (want < size)
        want = size;
    chunk = gw_alloc(1, sizeof *chunk + want);
    chunk->next = arena->chunks;
    chunk->size = want;
    arena->chunks = chunk;
    arena->at = chunk->bytes;
    arena->n_left = want;
}

static char *take(struct gw_arena *arena, size_t size, size_t align)
{
    size_t pad = (size_t)(-(uintptr_t)arena->at & (align - 1));

    if (!arena->at || arena->n_left < pad || arena->n_left - pad < size) {
        add_chunk(arena, size);
        pad = 0;
    }
    char *memory = arena->at + pad;
    arena->at += pad + size;
    arena->n_left -= pad + size;
    return memory;
}

void *gw_arena_alloc(struct gw_arena *arena, size_t size)
{
    return take(arena, size ? size : 1, alignof(max_align_t));
}

char *gw_arena_text(struct gw_arena *arena, const char *text, size_t len)
{
    char *copy = take(arena, len + 1, 1);

    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *gw_arena_print(struct gw_arena *arena, const char *fmt, ...)
{
    va_list args, again;
    int len;

    va_start(args, fmt);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *text = take(arena, (size_t)(len < 0 ? 0 : len) + 1, 1);
    if (len >= 0)
        vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return text;
}

void gw_arena_free(struct gw_arena *arena)
{
    while (arena->chunks) {
        struct gw_arena_chunk *chunk = arena->chunks;

        arena->chunks = chunk->next;
        free(chunk);
    }
    *arena = (struct gw_arena){0};
}
