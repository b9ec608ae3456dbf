#include "gateway/store_record.h"

#include <string.h>

#include "gateway/crc32.h"

enum { CRC_AT = GW_STATE_BYTES - 8 };

static void put_number(unsigned char *bytes, uint64_t number)
{
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(number >> 8 * i);
}

static uint64_t get_number(const unsigned char *bytes)
{
    uint64_t number = 0;

    for (int i = 7; i >= 0; i--)
        number = number << 8 | bytes[i];
    return number;
}

int64_t gw_record_flags(const struct gw_record *record)
{
    return record->qos | (record->retain ? 4 : 0) | record->kind << 3;
}

uint32_t gw_record_crc(const struct gw_record *record)
{
    unsigned char head[8 * 8];
    uint32_t crc;

    put_number(head, record->seq);
    put_number(head + 8, (uint64_t)gw_record_flags(record));
    put_number(head + 16, (uint64_t)record->acquired_wall_ms);
    put_number(head + 24, (uint64_t)record->expires_wall_ms);
    put_number(head + 32, (uint64_t)record->put_ms);
    put_number(head + 40, record->topic_len);
    put_number(head + 48, record->correlation_len);
    put_number(head + 56, record->payload_len);
    crc = gw_crc32(0, head, sizeof head);
    crc = gw_crc32(crc, record->topic, record->topic_len);
    crc = gw_crc32(crc, record->correlation, record->correlation_len);
    return gw_crc32(crc, record->payload, record->payload_len);
}

void gw_state_encode(const struct gw_store_state *state, unsigned char bytes[GW_STATE_BYTES])
{
    put_number(bytes, state->seq_mark);
    put_number(bytes + 8, (uint64_t)state->age_ms);
    put_number(bytes + 16, (uint64_t)state->mono_ms);
    memcpy(bytes + 24, state->boot_id, GW_STORE_BOOT_ID);
    put_number(bytes + CRC_AT, gw_crc32(0, bytes, CRC_AT));
}

bool gw_state_decode(const unsigned char *bytes, size_t len, struct gw_store_state *ret_state)
{
    if (len != GW_STATE_BYTES || get_number(bytes + CRC_AT) != gw_crc32(0, bytes, CRC_AT))
        return false;
    ret_state->seq_mark = get_number(bytes);
    ret_state->age_ms = (int64_t)get_number(bytes + 8);
    ret_state->mono_ms = (int64_t)get_number(bytes + 16);
    memcpy(ret_state->boot_id, bytes + 24, GW_STORE_BOOT_ID);
    ret_state->boot_id[GW_STORE_BOOT_ID - 1] = '\0';
    return true;
}
