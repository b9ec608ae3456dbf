/* control_ids: the ids of the latest commands and what became of them, in memory and in a file, so that a command that
 * comes twice is answered twice and written once, also after a restart.
 *
 * DESIGN: the file is a log of lines, each with a checksum: "begun" before the command may reach a device, on disk
 * when gw_ids_sync has returned; "done" with the result, whenever the system writes it. What was begun and not done
 * before a power cut is answered as unknown. A torn or damaged line is passed over. The file is rewritten when it is
 * twice as long as needed; without a file that can be written the memory alone goes on. */
#ifndef GW_CONTROL_IDS_H
#define GW_CONTROL_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/err.h"

enum { GW_IDS_MAX = 256, GW_IDS_RESULT_MAX = 1024 };

struct gw_ids;

struct gw_id {
    uint64_t key;     /* of topic and id; 0: free */
    uint64_t content; /* of the payload */
    bool is_done;
    uint16_t result_len; /* 0: not known */
    char result[GW_IDS_RESULT_MAX];
};

/* Reads the file, if there is one. NULL when memory is out. *ret_why: why it cannot be used, NULL when it can. */
struct gw_ids *gw_ids_new(const char *file, const char **ret_why);
void gw_ids_free(struct gw_ids *ids);

uint64_t gw_ids_key(const char *topic, const char *id);
uint64_t gw_ids_content(const char *payload, size_t len);

/* NULL when it is not among the latest. */
const struct gw_id *gw_ids_find(const struct gw_ids *ids, uint64_t key);
/* Remembers a command that is about to be handed over; the oldest one is forgotten. */
void gw_ids_begin(struct gw_ids *ids, uint64_t key, uint64_t content);
/* Puts what was begun on the disk. False: it is not there. */
bool gw_ids_sync(struct gw_ids *ids);
/* Keeps the result; one that is too long is kept as unknown. */
void gw_ids_end(struct gw_ids *ids, uint64_t key, const char *result, size_t len);

#endif
