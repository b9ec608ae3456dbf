/* outbox_list: messages in memory, in doubly linked lists that know their size. */
#ifndef GW_OUTBOX_LIST_H
#define GW_OUTBOX_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/store.h"

/* One message. Its record points into the text behind it. */
struct gw_node {
    struct gw_node *prev, *next; /* of the list it is in */
    struct gw_node *prev_unsaved, *next_unsaved;
    struct gw_record record;
    bool is_unsaved; /* in the list of those that are not on disk and not on their way there */
    bool is_saved;   /* on disk */
    bool is_busy;    /* the writer is reading it: not to be freed */
    bool is_dead;    /* in no list any more; to be freed by who still uses it */
    bool was_given;  /* to the publisher, at least once */
    uint16_t n_seq_at;
    char
        text[]; /* topic, NUL, payload, correlation, and n_seq_at places of the number, unaligned */
};

struct gw_node_list {
    struct gw_node *first, *last;
    uint64_t n, n_bytes;
};

enum { GW_NODE_OVERHEAD = 64 }; /* bytes counted for each message besides its texts */

static inline uint64_t gw_record_bytes(const struct gw_record *record)
{
    return record->topic_len + record->payload_len + record->correlation_len + GW_NODE_OVERHEAD;
}

static inline void gw_list_insert(struct gw_node_list *list, struct gw_node *before,
                                  struct gw_node *node)
{
    node->next = before;
    node->prev = before ? before->prev : list->last;
    *(node->prev ? &node->prev->next : &list->first) = node;
    *(before ? &before->prev : &list->last) = node;
    list->n++;
    list->n_bytes += gw_record_bytes(&node->record);
}

static inline void gw_list_append(struct gw_node_list *list, struct gw_node *node)
{
    gw_list_insert(list, NULL, node);
}

static inline void gw_list_remove(struct gw_node_list *list, struct gw_node *node)
{
    *(node->prev ? &node->prev->next : &list->first) = node->next;
    *(node->next ? &node->next->prev : &list->last) = node->prev;
    node->prev = node->next = NULL;
    list->n--;
    list->n_bytes -= gw_record_bytes(&node->record);
}

static inline struct gw_node *gw_list_pop(struct gw_node_list *list)
{
    struct gw_node *node = list->first;

    if (!node)
        return NULL;
    list->first = node->next;
    *(node->next ? &node->next->prev : &list->last) = NULL;
    node->next = NULL;
    list->n--;
    list->n_bytes -= gw_record_bytes(&node->record);
    return node;
}

/* A copy; NULL when memory is out. seq_at[0..n_seq_at): see struct gw_message. Owns: the caller, free(). */
struct gw_node *gw_node_new(const struct gw_record *record, const uint32_t *seq_at,
                            size_t n_seq_at);
/* Gives it this number, in its payload too. */
void gw_node_set_number(struct gw_node *node, uint64_t seq);

/* Numbers to be deleted. */
struct gw_run {
    uint64_t first_seq, last_seq;
};

struct gw_runs {
    struct gw_run *items;
    size_t n, n_room;
};

/* False when memory is out. */
bool gw_runs_add(struct gw_runs *runs, uint64_t first_seq, uint64_t last_seq);

#endif
