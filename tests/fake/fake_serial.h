/* fake_serial: a home-made board on a pty that misbehaves on demand, in a thread of its own. Several boards share the line.
 *
 *     ?1:flow CR            1:flow=1234*HH CR LF     HH: XOR of all before the *, two hexadecimal digits
 *                           1:flow!no*HH CR LF       it refuses
 *     !1:setpoint=50 CR     1:setpoint#ok*HH CR LF, or #no
 *     (unasked)             1:heard=77*HH CR LF */
#ifndef FAKE_SERIAL_H
#define FAKE_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fake_serial_fault {
    FAKE_SERIAL_GOOD,
    FAKE_SERIAL_SILENCE,
    FAKE_SERIAL_GARBAGE,   /* noise with bytes over 0x7F, and a wrong checksum */
    FAKE_SERIAL_TRUNCATED, /* the last bytes never come */
    FAKE_SERIAL_OVERLONG,  /* 8 KiB without an end, then an end */
    FAKE_SERIAL_TRICKLE,   /* a byte every delay_us */
    FAKE_SERIAL_LATE, /* the right answer, delay_us after the request; later ones may overtake it */
    FAKE_SERIAL_REFUSE,
    FAKE_SERIAL_DROP, /* half of the answer, then the port is gone; a new one is there at once */
};

struct fake_serial;

/* The value that a board shows for a name. */
int fake_serial_value(int address, const char *name);

/* Starts; stops the test when that fails. */
struct fake_serial *fake_serial_start(void);
void fake_serial_stop(struct fake_serial *fake);
const char *fake_serial_port(const struct fake_serial *fake); /* a link, stable over a drop */
/* What is done with the next request, once. */
void fake_serial_next(struct fake_serial *fake, enum fake_serial_fault fault, int64_t delay_us);
/* Says `heard` of board 1 unasked. */
void fake_serial_say(struct fake_serial *fake, enum fake_serial_fault fault);
/* How many writes were confirmed or swallowed, and the last value. `locked` refuses to be written. */
size_t fake_serial_written(struct fake_serial *fake, double *ret_value);
uint64_t fake_serial_n_requests(struct fake_serial *fake);

#endif
