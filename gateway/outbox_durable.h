/* outbox_durable: the inside of the outbox on disk, for its own files and its tests.
 *
 * DESIGN. In the order of their numbers the messages held are:
 *     given     out to the publisher and not yet acknowledged, in memory
 *     front     next to be given out, in memory
 *     middle    only on disk: n_middle of them, from gap_seq + 1 on; empty unless memory got short
 *     tail      the newest, in memory
 * put appends to tail. next takes from front; when that is empty the writer fills it from the middle; when there is no
 * middle either, next takes from tail. Messages in memory are on disk or not (is_saved); those that are not are in the
 * list `unsaved` too, in order. Acknowledged and dropped ones that are on disk become runs of numbers to be deleted.
 * One thread, the writer, does all work on the disk, in steps, and takes the mutex only to take work and to enter the
 * result: put and next never wait for a disk. A step: open the file if there is none, drop what is too old or too much,
 * commit (new records, deletions and the mark of the numbers in one transaction), refill front, give room in the file
 * that an outage has left back to the disk.
 * Power loss: SQLite gives the last commit back. What was acknowledged since is given out again, under its number.
 * A failing disk: everything goes on in memory, up to a bound; each retry is a real write. */
#ifndef GW_OUTBOX_DURABLE_H
#define GW_OUTBOX_DURABLE_H

#include <pthread.h>

#include "gateway/outbox.h"
#include "gateway/outbox_list.h"
#include "gateway/strmap.h"

enum {
    GW_ASIDES_MAX = 5,               /* damaged files that are kept */
    GW_SEQ_BLOCK = 1 << 20,          /* numbers are set aside on the disk in blocks of so many */
    GW_COMMIT_ROWS = 500,            /* a commit takes at most so many records, ... */
    GW_COMMIT_BYTES = 256 * 1024,    /* ... and about so many bytes */
    GW_WINDOW_BYTES = 4096 * 1024,   /* beyond this, what is on disk leaves memory */
    GW_FRONT_BYTES = 512 * 1024,     /* read from the disk at a time */
    GW_RAM_BYTES = 16 * 1024 * 1024, /* held in memory at most while the disk does not take it */
};

struct gw_durable {
    struct gw_outbox base;
    struct gw_buffer_conf conf;
    char *path; /* conf.path */
    const struct gw_clock *clock;
    uint64_t max_bytes, window_bytes;
    _Atomic uint64_t max_ram_bytes; /* put looks at it before it has the mutex */

    /* Of the writer alone. */
    struct gw_store *store; /* NULL: there is none that works */
    char boot_id[GW_STORE_BOOT_ID];
    int64_t next_look_us; /* at what is too old */
    int64_t next_shrink_us;
    unsigned n_failures; /* in a row */
    int64_t failed_since_us;
    bool has_begun; /* with a file or without one */
    bool has_told_damage, was_open, is_damaged;
    bool may_shrink; /* records were deleted since the last look at the file's size */
    struct gw_node *batch[GW_COMMIT_ROWS];
    size_t n_batch;
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t mutex;   /* of all below */
    pthread_cond_t work;     /* for the writer */
    pthread_cond_t finished; /* a commit, or the writer */
    struct gw_node_list given, front, tail, live;
    struct gw_node *lent; /* given out last; its texts are in use */
    struct gw_node *first_unsaved, *last_unsaved;
    uint64_t n_unsaved, unsaved_bytes;
    uint64_t n_middle, middle_bytes, gap_seq, middle_last_seq;
    int64_t middle_wall_ms; /* about when its first was acquired */
    uint64_t n_evicted;     /* ever */
    struct gw_runs deletes;
    uint64_t next_seq, seq_mark;
    int64_t age_base_ms, age_mono_ms;
    int64_t save_since_us;  /* since when there is something that must be saved; 0: nothing */
    int64_t last_commit_us; /* of records; its end */
    int64_t delete_since_us;
    int64_t retry_us; /* after a failure: when to try again */
    /* With live-first. */
    struct gw_strmap topics;
    struct gw_live_topic *first_topic;
    size_t n_topics;
    uint64_t *passed; /* rows of the middle that memory holds, sorted */
    size_t n_passed, n_passed_room;
    uint64_t live_from_seq;
    double tokens;
    int64_t tokens_us, drain_due_us; /* when history may go on; 0: it need not wait */
    bool has_finished;               /* the writer, for good */
    bool is_committing;
    bool is_up, is_stopping, is_ended, is_woken, is_dry, is_degraded, is_full, has_to_trim,
        has_to_refill;
    struct gw_buffer_conf next_conf; /* wanted, until the writer takes it */
    bool has_next_conf;
    bool is_unreachable; /* the file is not open: the middle cannot be read for now */
    struct gw_outbox_stats stats;
};

/* Makes the outbox without its thread: the caller steps it. Errors: as gw_outbox_open. */
GW_MUST_CHECK enum gw_err gw_durable_new(const struct gw_buffer_conf *conf,
                                         const struct gw_clock *clock,
                                         struct gw_durable **ret_self);
/* One round of the writer. Gives the time at which to come again, though nobody asks. */
int64_t gw_durable_step(struct gw_durable *self);
/* Saves all that is to be saved as far as the disk takes it, and closes the file. */
void gw_durable_finish(struct gw_durable *self);

extern const struct gw_outbox_ops gw_durable_ops;
void gw_durable_free(struct gw_outbox *outbox);
void gw_durable_save(struct gw_outbox *outbox);
void gw_durable_configure(struct gw_outbox *outbox, const struct gw_buffer_conf *conf);
/* Takes what was wanted. Without the mutex; by the writer, who alone changes the settings. */
GW_MUST_CHECK enum gw_store_fault gw_durable_take_conf(struct gw_durable *self);
void gw_durable_size(struct gw_durable *self); /* by conf.max_bytes */

/* ---- between the files; with the mutex held unless said ------------------------------------------------ */

int64_t gw_durable_age_ms(const struct gw_durable *self);
bool gw_durable_must_save(const struct gw_durable *self);
const struct gw_node *gw_durable_oldest(const struct gw_durable *self); /* in memory; NULL: none */
void gw_durable_wake_consumer(struct gw_durable *self);
void gw_durable_wake_writer(struct gw_durable *self);
void gw_durable_add_unsaved(struct gw_durable *self, struct gw_node *before, struct gw_node *node);
/* Lets go of a node that is in none of the lists any more: deletes its row, frees it when nobody uses it. */
void gw_durable_release(struct gw_durable *self, struct gw_node *node);
void gw_durable_end_loan(struct gw_durable *self); /* of what next gave out last */
void gw_durable_remove_unsaved(struct gw_durable *self, struct gw_node *node);
void gw_durable_drop_expired(struct gw_durable *self); /* of what is in memory */
void gw_durable_count_drop(struct gw_durable *self, enum gw_drop reason, uint64_t n);
/* Takes what is on disk out of memory until the window holds. */
void gw_durable_evict(struct gw_durable *self);
void gw_durable_forget_middle(struct gw_durable *self, uint64_t n, uint64_t n_bytes);
/* The last number that can be in the middle. */
uint64_t gw_durable_middle_end(const struct gw_durable *self);
/* Live-first; the others do nothing with fifo. */
void gw_live_put(struct gw_durable *self, struct gw_node *node); /* both orders */
void gw_live_begin(struct gw_durable *self);                     /* a connection is there */
void gw_live_end(struct gw_durable *self); /* all that was given out goes back */
void gw_live_note(struct gw_durable *self, const struct gw_record *record); /* is the newest */
bool gw_live_keep(struct gw_durable *self, struct gw_node *node); /* of a row: owns it if true */
bool gw_live_may_retain(struct gw_durable *self, const struct gw_record *record);
bool gw_live_may_drain(struct gw_durable *self);
/* Whether a newest message of an outage waits for its commit: that is made at once, and history waits for it. */
bool gw_live_is_held_back(const struct gw_durable *self);
bool gw_live_is_passed(const struct gw_durable *self, uint64_t seq);
uint64_t gw_live_count_passed(const struct gw_durable *self, uint64_t first_seq, uint64_t last_seq);
void gw_live_load(
    struct gw_durable *self); /* what is newest from the disk; by the writer, at the start */
bool gw_live_take_node(void *ctx, uint64_t seq, const struct gw_record *record);
void gw_live_free(struct gw_durable *self);

/* The first number of an outbox that begins now. */
uint64_t gw_durable_seq_of_time(int64_t wall_ms);
/* Opens the store, setting a damaged one aside, and enters what it holds. Without the mutex; by the writer. */
enum gw_store_fault gw_durable_open_store(struct gw_durable *self);
void gw_durable_close_store(struct gw_durable *self); /* the same */
/* The last number that the next commit sets aside. It ends a block, which the mark of a clean end does not. */
uint64_t gw_durable_next_mark(const struct gw_durable *self);
/* What is to be remembered with this mark. */
struct gw_store_state gw_durable_state(const struct gw_durable *self, uint64_t seq_mark);
/* After a failure of the store: says so, plans the next try, closes or replaces the file. Without the mutex. */
void gw_durable_fail(struct gw_durable *self, enum gw_store_fault fault, const char *why);
/* After a commit that worked. Without the mutex. */
void gw_durable_recovered(struct gw_durable *self);

#endif
