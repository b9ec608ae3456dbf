/* store: records of messages in one file, for ever until they are deleted. Behind it is SQLite, which nobody else sees.
 * Has no thread and no policy: the outbox decides what is written and when. All functions of one store belong to one
 * thread at a time, and may wait for the disk. */
#ifndef GW_STORE_H
#define GW_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/err.h"

enum { GW_STORE_WHY = 240, GW_STORE_BOOT_ID = 40, GW_STORE_PATH = 4096 };

/* What went wrong, by what the caller does next. */
enum gw_store_fault {
    GW_STORE_OK,
    GW_STORE_BUSY,    /* another program has the file: leave it alone */
    GW_STORE_DAMAGED, /* set the file aside, keep what can be read */
    GW_STORE_NEWER,   /* written by a newer program: the same */
    GW_STORE_FULL,    /* no room: try again later; reading still works */
    GW_STORE_UNUSABLE, /* no such folder, no permission, read-only, input/output error: try again later */
};

/* A message as it is stored. Pointers are borrowed for the call. */
struct gw_record {
    uint64_t seq;
    int64_t acquired_wall_ms, expires_wall_ms;
    int64_t put_ms; /* when it was put, on the outbox's own clock of age */
    const char *topic;
    const void *payload, *correlation;
    size_t topic_len, payload_len, correlation_len;
    uint8_t qos, kind;
    bool retain;
};

/* What outlives a run besides the records. */
struct gw_store_state {
    uint64_t seq_mark;       /* no number above this was ever given to a message */
    int64_t age_ms, mono_ms; /* the clock of age, and the monotonic clock at the same moment, ... */
    char boot_id[GW_STORE_BOOT_ID]; /* ... of this start of the machine */
};

struct gw_store;

/* Opens the file, makes it when there is none, and holds it alone. max_bytes bounds the file, 0: it does not grow.
 * With is_reader nothing is ever written to it, and there must be one.
 * Errors: why[GW_STORE_WHY] gets the reason in words. */
enum gw_store_fault gw_store_open(const char *path, bool is_reader, uint64_t max_bytes,
                                  struct gw_store **ret_store, char *why);
void gw_store_close(struct gw_store *store); /* NULL is fine */
/* Bounds the file anew; one that is larger stays as it is. What is reserved of the disk changes with the next start. */
enum gw_store_fault gw_store_resize(struct gw_store *store, uint64_t max_bytes);

/* The reason of the last failure in words. */
const char *gw_store_why(const struct gw_store *store);

/* One transaction: begin, any of the three, commit. After a failure of any: rollback, and nothing of it is stored. */
enum gw_store_fault gw_store_begin(struct gw_store *store);
enum gw_store_fault gw_store_insert(struct gw_store *store, const struct gw_record *record);
enum gw_store_fault gw_store_delete(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                    uint64_t *ret_n_deleted);
enum gw_store_fault gw_store_set_state(struct gw_store *store, const struct gw_store_state *state);
enum gw_store_fault gw_store_commit(struct gw_store *store);
/* Moves what is committed from the log into the file itself, which a damaged log does not take along. What fails here
 * stays in the log. */
void gw_store_checkpoint(struct gw_store *store);
void gw_store_rollback(struct gw_store *store);

/* Gives the room of deleted records back to the disk when it is more than min_free_bytes. What is left in the file is
 * written anew for that, in one commit, so it is not done when that is more than max_left_bytes. *ret_n_bytes: how much
 * was given back. After a failure the file is as it was, and it can be tried again. Not within a transaction. */
enum gw_store_fault gw_store_shrink(struct gw_store *store, uint64_t min_free_bytes,
                                    uint64_t max_left_bytes, uint64_t *ret_n_bytes);

/* Takes a record; NULL: there is one whose checksum is wrong. Says whether to go on. */
typedef bool gw_store_visit(void *ctx, uint64_t seq, const struct gw_record *record);

/* Gives the records from first_seq to last_seq in this order, backwards when last_seq is the smaller.
 * Errors: GW_STORE_DAMAGED forwards also when the file has records of the range that are not found in their order. */
enum gw_store_fault gw_store_read(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                  gw_store_visit *visit, void *ctx);
/* The same without payloads (NULL, with their length) and unchecked: for counting. */
enum gw_store_fault gw_store_scan(struct gw_store *store, uint64_t first_seq, uint64_t last_seq,
                                  bool (*visit)(void *ctx, const struct gw_record *record),
                                  void *ctx);
/* GW_STORE_DAMAGED when there is none that can be trusted. */
enum gw_store_fault gw_store_get_state(struct gw_store *store, struct gw_store_state *ret_state);

/* Renames a file, with what belongs to it, to PATH.WORD-TIME; ret_aside[GW_STORE_PATH] gets the name.
 * Errors: GW_E_CLOSED when it cannot be renamed. */
GW_MUST_CHECK enum gw_err gw_store_set_aside(const char *path, const char *word, int64_t wall_ms,
                                             char *ret_aside);
/* Deletes the oldest files that got that word, until n_kept of them are left. Gives how many it deleted. */
int gw_store_forget_asides(const char *path, const char *word, int n_kept);

struct gw_salvage {
    uint64_t n_kept, n_damaged; /* records; what cannot be seen any more is not counted */
    bool has_state;             /* the state came over too */
};

/* Copies every record with a right checksum that can still be reached in the file `aside` into the store. */
enum gw_store_fault gw_store_salvage(const char *aside, struct gw_store *store,
                                     struct gw_salvage *ret_salvage);

#endif
