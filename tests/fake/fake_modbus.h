/* fake_modbus: a Modbus slave that misbehaves on demand, on a pty or a loopback port, in a thread of its own.
 * Knows frames by heart, not by the driver's code: a mistake in both would cancel out. */
#ifndef FAKE_MODBUS_H
#define FAKE_MODBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_transport { FAKE_RTU, FAKE_TCP, FAKE_RTU_OVER_TCP };

enum fake_fault {
    FAKE_GOOD,
    FAKE_SILENCE,
    FAKE_LATE, /* the right answer, action.delay_us after the request; later requests may overtake it */
    FAKE_EXCEPTION, /* action.exception */
    FAKE_BAD_CRC,   /* RTU; as FAKE_WRONG_TRANSACTION on TCP */
    FAKE_WRONG_UNIT,
    FAKE_WRONG_FUNCTION,
    FAKE_WRONG_LENGTH,    /* a sound frame with two bytes more than asked for */
    FAKE_TRUNCATED,       /* the last bytes never come */
    FAKE_TRAILING,        /* the answer and noise behind it */
    FAKE_GARBAGE_PREFIX,  /* noise and the answer behind it */
    FAKE_GARBAGE,         /* noise only */
    FAKE_ECHO,            /* the request comes back, nothing else */
    FAKE_ECHO_AND_ANSWER, /* the adapter hears itself: request, then answer */
    FAKE_SPLIT,           /* two parts, action.delay_us apart */
    FAKE_TRICKLE,         /* a byte every action.delay_us */
    FAKE_DROP_IN_FRAME, /* half of the answer, then the link is gone; the slave can be reached again at once */
    FAKE_OVERLONG,          /* 600 bytes that begin as the answer does */
    FAKE_WRONG_TRANSACTION, /* TCP: the id of the request before */
    FAKE_OUT_OF_ORDER,      /* TCP: an old answer, then the right one */
    FAKE_N_FAULTS,
};

struct fake_request {
    uint8_t unit;
    const uint8_t *pdu;
    size_t pdu_len;
};

struct fake_action {
    enum fake_fault fault;
    int64_t delay_us;
    uint8_t exception;
};

struct fake_script {
    void *ctx;
    /* Both are called in the slave's thread. */
    struct fake_action (*choose)(void *ctx,
                                 const struct fake_request *request); /* NULL: FAKE_GOOD */
    uint16_t (*value)(void *ctx, uint8_t unit, uint8_t function,
                      uint16_t address); /* register, or bit 0/1 */
    /* Told before it is confirmed. false: refused with exception 2. NULL: all are accepted. */
    bool (*write)(void *ctx, uint8_t unit, uint8_t function, uint16_t address, uint16_t value);
    /* What a busy machine keeps back for longer than this after its time is not sent at all, so that nothing is
     * later than the script says. 0: it is sent. */
    int64_t stall_us;
};

struct fake_modbus;

/* Starts; stops the test when that fails. `script` is copied. */
struct fake_modbus *fake_modbus_start(enum fake_transport transport,
                                      const struct fake_script *script);
void fake_modbus_stop(struct fake_modbus *fake);

const char *fake_modbus_port(
    const struct fake_modbus *fake); /* RTU: a link to the pty, stable over a drop */
uint16_t fake_modbus_tcp_port(const struct fake_modbus *fake);
uint64_t fake_modbus_n_requests(const struct fake_modbus *fake);
uint64_t fake_modbus_n_connections(const struct fake_modbus *fake);

#endif
