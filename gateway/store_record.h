/* store_record: records and state as numbers and bytes, with their checksums. Pure. */
#ifndef GW_STORE_RECORD_H
#define GW_STORE_RECORD_H

#include "gateway/store.h"

enum { GW_STATE_BYTES = 4 * 8 + GW_STORE_BOOT_ID };

/* QoS, retain and kind as one number. */
int64_t gw_record_flags(const struct gw_record *record);
/* Covers every member, the number included. */
uint32_t gw_record_crc(const struct gw_record *record);

void gw_state_encode(const struct gw_store_state *state, unsigned char bytes[GW_STATE_BYTES]);
/* False when these bytes are not what was encoded. */
bool gw_state_decode(const unsigned char *bytes, size_t len, struct gw_store_state *ret_state);

#endif
