/* store_reserve: a file of zeros that holds room on the disk, given away when there is no other, taken again when there is. */
#ifndef GW_STORE_RESERVE_H
#define GW_STORE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/store.h"

/* Zeroed: none is wanted. */
struct gw_reserve {
    char path[GW_STORE_PATH + 16]; /* empty: none is wanted */
    int64_t n_bytes;
    bool is_held;
    unsigned n_commits_without;
};

/* How large it is beside a store of so many bytes. */
int64_t gw_reserve_bytes(uint64_t max_bytes);

/* Takes the room beside the file of a store. Where there is none, the store does without. */
void gw_reserve_init(struct gw_reserve *reserve, const char *store_path, uint64_t max_bytes);
/* There is no other room: gives it away. */
void gw_reserve_give(struct gw_reserve *reserve);
/* Something could be written: now and then it is tried to have the reserve again. */
void gw_reserve_note_commit(struct gw_reserve *reserve);
/* There is room for certain. */
void gw_reserve_take_again(struct gw_reserve *reserve);

#endif
