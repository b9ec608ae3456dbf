/* pdu: Modbus requests and replies as bytes. */
#include "drivers/modbus/pdu.h"

#include <string.h>

static size_t put16(uint8_t *pdu, size_t at, uint16_t word)
{
    pdu[at] = (uint8_t)(word >> 8);
    pdu[at + 1] = (uint8_t)word;
    return at + 2;
}

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static size_t start(uint8_t *pdu, uint8_t function, uint16_t address, uint16_t word)
{
    pdu[0] = function;
    return put16(pdu, put16(pdu, 1, address), word);
}

static bool is_bit_read(uint8_t function)
{
    return function == MODBUS_FC_READ_COILS || function == MODBUS_FC_READ_DISCRETE;
}

static size_t read_bytes(uint8_t function, uint16_t count)
{
    return is_bit_read(function) ? (count + 7u) / 8 : count * 2u;
}

size_t modbus_build_read(uint8_t pdu[MODBUS_PDU_MAX], uint8_t function, uint16_t first,
                         uint16_t count, size_t *ret_reply_len)
{
    *ret_reply_len = 2 + read_bytes(function, count);
    return start(pdu, function, first, count);
}

size_t modbus_build_write_single(uint8_t pdu[MODBUS_PDU_MAX], uint8_t function, uint16_t address,
                                 uint16_t value, size_t *ret_reply_len)
{
    *ret_reply_len = 5;
    return start(pdu, function, address, value);
}

size_t modbus_build_write_registers(uint8_t pdu[MODBUS_PDU_MAX], uint16_t first,
                                    const uint16_t *regs, uint16_t count, size_t *ret_reply_len)
{
    size_t len = start(pdu, MODBUS_FC_WRITE_REGISTERS, first, count);

    pdu[len++] = (uint8_t)(count * 2);
    for (uint16_t i = 0; i < count; i++)
        len = put16(pdu, len, regs[i]);
    *ret_reply_len = 5;
    return len;
}

size_t modbus_build_read_write(uint8_t pdu[MODBUS_PDU_MAX], uint16_t first, const uint16_t *regs,
                               uint16_t count, size_t *ret_reply_len)
{
    size_t len = start(pdu, MODBUS_FC_READ_WRITE, first, count);

    len = put16(pdu, len, first);
    len = put16(pdu, len, count);
    pdu[len++] = (uint8_t)(count * 2);
    for (uint16_t i = 0; i < count; i++)
        len = put16(pdu, len, regs[i]);
    *ret_reply_len = 2 + count * 2u;
    return len;
}

size_t modbus_build_write_coils(uint8_t pdu[MODBUS_PDU_MAX], uint16_t first, const bool *bits,
                                uint16_t count, size_t *ret_reply_len)
{
    size_t len = start(pdu, MODBUS_FC_WRITE_COILS, first, count), n_bytes = (count + 7u) / 8;

    pdu[len++] = (uint8_t)n_bytes;
    memset(pdu + len, 0, n_bytes);
    for (size_t i = 0; i < count; i++)
        pdu[len + i / 8] |= (uint8_t)(bits[i] << i % 8);
    *ret_reply_len = 5;
    return len + n_bytes;
}

size_t modbus_build_mask_write(uint8_t pdu[MODBUS_PDU_MAX], uint16_t address, uint16_t and_mask,
                               uint16_t or_mask, size_t *ret_reply_len)
{
    *ret_reply_len = 7;
    return put16(pdu, start(pdu, MODBUS_FC_MASK_WRITE, address, and_mask), or_mask);
}

/* Source: MODBUS Application Protocol V1.1b3, 7; 10 and 11 are a gateway's word for a device that is silent. */
static const struct {
    int exception;
    enum gw_err err;
    const char *reason;
} exceptions[] = {
    {1, GW_E_REFUSED, "illegal_function"},
    {2, GW_E_REFUSED, "illegal_data_address"},
    {3, GW_E_REFUSED, "illegal_data_value"},
    {4, GW_E_REFUSED, "server_device_failure"},
    {5, GW_E_BUSY, "acknowledge"},
    {6, GW_E_BUSY, "server_device_busy"},
    {7, GW_E_REFUSED, "negative_acknowledge"},
    {8, GW_E_REFUSED, "memory_parity_error"},
    {10, GW_E_TIMEOUT, "gateway_path_unavailable"},
    {11, GW_E_TIMEOUT, "gateway_target_no_response"},
};

const char *modbus_exception_reason(int exception)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (exceptions[i].exception == exception)
            return exceptions[i].reason;
    return "exception";
}

static enum gw_err exception_err(int exception)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (exceptions[i].exception == exception)
            return exceptions[i].err;
    return GW_E_REFUSED;
}

/* GW_OK for what is no exception to `function`. */
static enum gw_err check_exception(const uint8_t *reply, size_t len, uint8_t function,
                                   int *ret_exception)
{
    if (len != 2 || reply[0] != (function | 0x80))
        return GW_OK;
    *ret_exception = reply[1];
    return exception_err(reply[1]);
}

/* GW_OK for the start of a normal reply to `function`. */
static enum gw_err check_function(const uint8_t *reply, size_t len, uint8_t function,
                                  int *ret_exception)
{
    enum gw_err err = check_exception(reply, len, function, ret_exception);

    if (err)
        return err;
    return len >= 2 && reply[0] == function ? GW_OK : GW_E_PROTO;
}

enum gw_err modbus_parse_read(const uint8_t *reply, size_t len, uint8_t function, uint16_t count,
                              uint16_t *ret_values, int *ret_exception)
{
    size_t n_bytes = read_bytes(function, count);
    enum gw_err err = check_function(reply, len, function, ret_exception);

    if (err)
        return err;
    if (len != 2 + n_bytes || reply[1] != n_bytes)
        return GW_E_PROTO;
    for (size_t i = 0; i < count; i++)
        ret_values[i] = (uint16_t)(is_bit_read(function) ? reply[2 + i / 8] >> i % 8 & 1
                                                         : get16(reply + 2 + 2 * i));
    return GW_OK;
}

enum gw_err modbus_parse_write(const uint8_t *reply, size_t len, const uint8_t *request,
                               int *ret_exception)
{
    size_t echo = request[0] == MODBUS_FC_MASK_WRITE ? 7 : 5;
    enum gw_err err = check_function(reply, len, request[0], ret_exception);

    if (err)
        return err;
    return len == echo && memcmp(reply, request, echo) == 0 ? GW_OK : GW_E_PROTO;
}

enum gw_err modbus_parse_raw(const uint8_t *reply, size_t len, const uint8_t *expected,
                             size_t expected_len, int *ret_exception)
{
    enum gw_err err = check_exception(reply, len, expected[0], ret_exception);

    if (err)
        return err;
    return len == expected_len && memcmp(reply, expected, len) == 0 ? GW_OK : GW_E_PROTO;
}

/* ---- device identification: 2B 0E category level more next n {object len bytes}... ----------------- */

enum { IDENTIFICATION_HEAD = 7 };

size_t modbus_build_identification(uint8_t pdu[MODBUS_PDU_MAX], uint8_t category, uint8_t object)
{
    pdu[0] = MODBUS_FC_ENCAPSULATED;
    pdu[1] = MODBUS_MEI_IDENTIFICATION;
    pdu[2] = category;
    pdu[3] = object;
    return 4;
}

size_t modbus_identification_len(const uint8_t *reply, size_t len)
{
    size_t at = IDENTIFICATION_HEAD;

    if (len < at || reply[0] != MODBUS_FC_ENCAPSULATED || reply[1] != MODBUS_MEI_IDENTIFICATION)
        return 0;
    for (unsigned i = 0; i < reply[6]; i++) {
        if (at + 2 > len)
            return 0;
        at += 2u + reply[at + 1];
    }
    return at;
}

enum gw_err modbus_parse_identification(const uint8_t *reply, size_t len,
                                        void (*told)(void *ctx, uint8_t object, const uint8_t *text,
                                                     size_t n),
                                        void *ctx, uint8_t *ret_next, uint8_t *ret_level,
                                        int *ret_exception)
{
    enum gw_err err = check_function(reply, len, MODBUS_FC_ENCAPSULATED, ret_exception);

    if (err)
        return err;
    if (modbus_identification_len(reply, len) != len)
        return GW_E_PROTO;
    *ret_level = reply[3] & 0x7F; /* the highest bit: single objects can be asked for, too */
    *ret_next = reply[4] == 0xFF ? reply[5] : 0;
    for (size_t at = IDENTIFICATION_HEAD; at < len; at += 2u + reply[at + 1])
        told(ctx, reply[at], reply + at + 2, reply[at + 1]);
    return GW_OK;
}
