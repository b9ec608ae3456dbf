/* pdu: Modbus requests and replies without address, CRC or MBAP header. Pure; every length is checked.
 * Source: MODBUS Application Protocol Specification V1.1b3, section 6. */
#ifndef MODBUS_PDU_H
#define MODBUS_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/err.h"

enum {
    MODBUS_PDU_MAX = 253,
    MODBUS_FC_READ_COILS = 1,
    MODBUS_FC_READ_DISCRETE = 2,
    MODBUS_FC_READ_HOLDING = 3,
    MODBUS_FC_READ_INPUT = 4,
    MODBUS_FC_WRITE_COIL = 5,
    MODBUS_FC_WRITE_REGISTER = 6,
    MODBUS_FC_WRITE_COILS = 15,
    MODBUS_FC_WRITE_REGISTERS = 16,
    MODBUS_FC_SERVER_ID = 17,
    MODBUS_FC_MASK_WRITE = 22,
    MODBUS_FC_READ_WRITE = 23,
    MODBUS_FC_ENCAPSULATED = 43, /* with MEI type 14: device identification */
    MODBUS_MEI_IDENTIFICATION = 14,
};

/* All build functions return the length of the request PDU and give the length of the normal reply PDU in *ret_reply_len. */
size_t modbus_build_read(uint8_t pdu[MODBUS_PDU_MAX], uint8_t function, uint16_t first,
                         uint16_t count, size_t *ret_reply_len);
size_t modbus_build_write_single(uint8_t pdu[MODBUS_PDU_MAX], uint8_t function, uint16_t address,
                                 uint16_t value, size_t *ret_reply_len);
size_t modbus_build_write_registers(uint8_t pdu[MODBUS_PDU_MAX], uint16_t first,
                                    const uint16_t *regs, uint16_t count, size_t *ret_reply_len);
/* Function 23: writes registers, then reads the same ones in the same exchange. Shape: 1 to 121 registers. */
size_t modbus_build_read_write(uint8_t pdu[MODBUS_PDU_MAX], uint16_t first, const uint16_t *regs,
                               uint16_t count, size_t *ret_reply_len);
size_t modbus_build_write_coils(uint8_t pdu[MODBUS_PDU_MAX], uint16_t first, const bool *bits,
                                uint16_t count, size_t *ret_reply_len);
size_t modbus_build_mask_write(uint8_t pdu[MODBUS_PDU_MAX], uint16_t address, uint16_t and_mask,
                               uint16_t or_mask, size_t *ret_reply_len);

/* Checks the reply to a read and unpacks it: registers in host order, or one bit (0/1) per entry.
 * Errors: GW_E_PROTO wrong function, byte count or length; GW_E_REFUSED, GW_E_BUSY (5, 6) or GW_E_TIMEOUT (10, 11: a
 *         gateway speaks for a silent device) with *ret_exception set for an exception reply. */
GW_MUST_CHECK enum gw_err modbus_parse_read(const uint8_t *reply, size_t len, uint8_t function,
                                            uint16_t count, uint16_t *ret_values,
                                            int *ret_exception);
/* Checks that the reply to a write confirms it: the echo of the first 5 bytes of the request (function 22: of all 7). */
GW_MUST_CHECK enum gw_err modbus_parse_write(const uint8_t *reply, size_t len,
                                             const uint8_t *request, int *ret_exception);

/* Checks that the reply to a raw request is the one that confirms it. */
GW_MUST_CHECK enum gw_err modbus_parse_raw(const uint8_t *reply, size_t len,
                                           const uint8_t *expected, size_t expected_len,
                                           int *ret_exception);

/* Device identification: the objects from `object` on, of one category (1 basic, 2 regular, 3 extended).
 * Source: 6.21. */
size_t modbus_build_identification(uint8_t pdu[MODBUS_PDU_MAX], uint8_t category, uint8_t object);

/* Walks over the reply PDU to it.
 * Shape:  told(ctx, object, text, len) for each object, in order.
 * Errors: GW_E_PROTO when lengths do not fit together: nothing was told then; GW_E_REFUSED, GW_E_BUSY, GW_E_TIMEOUT with
 *         *ret_exception, as above. *ret_next is the object to go on with, 0 when that was all; *ret_level what the device
 *         knows at all: 1 basic, 2 regular, 3 extended. */
GW_MUST_CHECK enum gw_err modbus_parse_identification(const uint8_t *reply, size_t len,
                                                      void (*told)(void *ctx, uint8_t object,
                                                                   const uint8_t *text, size_t n),
                                                      void *ctx, uint8_t *ret_next,
                                                      uint8_t *ret_level, int *ret_exception);
/* The length of such a reply PDU by its own words; 0: not all of the words are there yet, or it is none. */
size_t modbus_identification_len(const uint8_t *reply, size_t len);

/* The snake_case code of an exception: 2 "illegal_data_address", ..., unknown ones "exception". Static. */
const char *modbus_exception_reason(int exception);

#endif
