/* crc32: eight bytes at a time, by tables that are computed before main: four bits at a time cost a quarter of all the
 * time it takes to put a record on the disk. */
#include "gateway/crc32.h"

enum { SLICES = 8 };

#define POLYNOMIAL 0xEDB88320u /* 0x04C11DB7, reflected */

/* tables[k][b]: the checksum of the byte b followed by k zero bytes. */
static uint32_t tables[SLICES][256];

__attribute__((constructor)) static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;

        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        tables[0][byte] = crc;
    }
    for (int k = 1; k < SLICES; k++)
        for (uint32_t byte = 0; byte < 256; byte++)
            tables[k][byte] = tables[k - 1][byte] >> 8 ^ tables[0][tables[k - 1][byte] & 255];
}

static uint32_t take_eight(uint32_t crc, const unsigned char *p)
{
    /* Byte by byte, so that the order of bytes of the machine does not matter; compilers make one load of it. */
    crc ^= p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^ tables[5][crc >> 16 & 255] ^
           tables[4][crc >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
           tables[0][p[7]];
}

uint32_t gw_crc32(uint32_t crc, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8)
        crc = take_eight(crc, p);
    for (; len > 0; len--)
        crc = crc >> 8 ^ tables[0][(crc ^ *p++) & 255];
    return ~crc;
}
