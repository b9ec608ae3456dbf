#include "gateway/outbox_list.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/outbox.h"

enum { RUNS_MIN = 16 };

struct gw_node *gw_node_new(const struct gw_record *record, const uint32_t *seq_at, size_t n_seq_at)
{
    struct gw_node *node = malloc(sizeof *node + record->topic_len + 1 + record->payload_len +
                                  record->correlation_len + n_seq_at * sizeof *seq_at);
    char *at;

    if (!node)
        return NULL;
    memset(node, 0, sizeof *node);
    node->record = *record;
    node->record.topic = at = node->text;
    memcpy(at, record->topic, record->topic_len);
    at += record->topic_len;
    *at++ = '\0';
    node->record.payload = at;
    if (record->payload_len > 0)
        memcpy(at, record->payload, record->payload_len);
    at += record->payload_len;
    node->record.correlation = at;
    if (record->correlation_len > 0)
        memcpy(at, record->correlation, record->correlation_len);
    at += record->correlation_len;
    node->n_seq_at = (uint16_t)n_seq_at;
    if (n_seq_at > 0)
        memcpy(at, seq_at, n_seq_at * sizeof *seq_at);
    return node;
}

void gw_node_set_number(struct gw_node *node, uint64_t seq)
{
    char *payload = node->text + node->record.topic_len + 1;
    const char *places = payload + node->record.payload_len + node->record.correlation_len;
    uint32_t seq_at;

    node->record.seq = seq;
    for (size_t i = 0; i < node->n_seq_at; i++) {
        memcpy(&seq_at, places + i * sizeof seq_at, sizeof seq_at);
        gw_outbox_fill_seq(payload, node->record.payload_len, seq_at, seq);
    }
}

/* A few streams of numbers run side by side: those given out in order, those dropped. */
bool gw_runs_add(struct gw_runs *runs, uint64_t first_seq, uint64_t last_seq)
{
    for (size_t i = runs->n; i > 0 && i + 4 > runs->n; i--) {
        struct gw_run *run = &runs->items[i - 1];

        if (first_seq == run->last_seq + 1) {
            run->last_seq = last_seq;
            return true;
        }
    }
    if (runs->n == runs->n_room) {
        const size_t n_room = runs->n_room ? 2 * runs->n_room : RUNS_MIN;
        struct gw_run *items = realloc(runs->items, n_room * sizeof *items);

        if (!items)
            return false; /* stays in the file, and would come twice after a restart */
        runs->items = items;
        runs->n_room = n_room;
    }
    runs->items[runs->n++] = (struct gw_run){first_seq, last_seq};
    return true;
}
