/* frame: what stands around a PDU on the line: RTU address and CRC, or the MBAP header of TCP.
 * Pure: bytes in, verdict out; every byte is hostile. When to send and how long to wait is the wire's business.
 * Source: MODBUS over Serial Line V1.02, 2.3 and 2.5.1; MODBUS Messaging on TCP/IP V1.0b, 3.1. */
#ifndef MODBUS_FRAME_H
#define MODBUS_FRAME_H

#include "drivers/modbus/pdu.h"

enum {
    MODBUS_RTU_FRAME_MAX = 256, /* address, PDU, CRC */
    MODBUS_TCP_FRAME_MAX = 260, /* MBAP header with the unit, PDU */
    MODBUS_MBAP_LEN = 7,
};

/* Frames a PDU (1-253 bytes) and returns the length of the frame. */
size_t modbus_frame_rtu(uint8_t frame[MODBUS_RTU_FRAME_MAX], uint8_t unit, const uint8_t *pdu,
                        size_t pdu_len);
size_t modbus_frame_tcp(uint8_t frame[MODBUS_TCP_FRAME_MAX], uint16_t transaction, uint8_t unit,
                        const uint8_t *pdu, size_t pdu_len);

/* What is being waited for. */
struct modbus_expect {
    uint8_t unit;
    uint8_t function;
    size_t reply_len;     /* of the normal reply PDU; 0: the reply says itself how long it is */
    uint16_t transaction; /* TCP */
    const uint8_t *sent;  /* RTU: the request frame as sent, to know its echo (some RS-485 adapters
                             hear themselves); NULL: none is expected */
    size_t sent_len;
    const uint8_t *raw_reply; /* of a raw request, reply_len bytes: its function may be unknown */
    bool
        must_skip_echo; /* RTU: the line echoes: the first copy of a write is not its confirmation */
};

enum modbus_seen_kind {
    MODBUS_SEEN_NOTHING, /* no whole frame yet */
    MODBUS_SEEN_REPLY,   /* the awaited reply, normal or exception */
    MODBUS_SEEN_ECHO,    /* our own request */
    MODBUS_SEEN_FOREIGN, /* a sound frame, but of another unit, function or length */
};

struct modbus_seen {
    enum modbus_seen_kind kind;
    size_t at, len; /* where the frame stands; what is before it is noise */
    bool has_begun; /* NOTHING: a frame of the unit with the function begins somewhere */
    bool
        is_reply_size; /* NOTHING: and all the bytes together are exactly the awaited frame, but for the CRC */
};

/* Looks for the first sound frame among bytes from an RTU line. It need not stand at the start: a driver that is
 * switched on or off often adds a byte. A frame inside of a sound frame is not seen. */
struct modbus_seen modbus_rtu_scan(const uint8_t *bytes, size_t len,
                                   const struct modbus_expect *expect);

/* Judges a whole frame from a TCP connection.
 * Errors: GW_E_PROTO with *ret_reason: "wrong_transaction", "wrong_protocol", "wrong_length", "wrong_unit",
 *         "wrong_function". */
GW_MUST_CHECK enum gw_err modbus_tcp_check(const uint8_t *frame, size_t len,
                                           const struct modbus_expect *expect,
                                           const char **ret_reason);

#endif
