/* crc32: the checksum of Ethernet, gzip and PNG. Source: ISO/IEC 3309, polynomial 0x04C11DB7 reflected. */
#ifndef GW_CRC32_H
#define GW_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Gives the checksum of what `crc` already covers, followed by these bytes. Begin with 0. Pure. */
uint32_t gw_crc32(uint32_t crc, const void *bytes, size_t len);

#endif
