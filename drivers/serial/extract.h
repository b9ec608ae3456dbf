/* extract: a frame to the results of the points that stand in it. Pure; patterns are compiled once by prepare. */
#ifndef SERIAL_EXTRACT_H
#define SERIAL_EXTRACT_H

#include "drivers/serial/frame.h"

enum { SERIAL_TEXT_MAX = 256 };

struct serial_patterns; /* compiled, and where their last match stood */

/* What a device needs to read frames; zeroed at first. */
struct serial_reader {
    const struct serial_device_conf *conf;
    const void *const *points; /* struct serial_point_conf */
    size_t n_points;
    struct serial_patterns *patterns;
    size_t *of_points;              /* of points: the pattern `match`, SIZE_MAX: none */
    const char *reason;             /* the condition that holds for the last frame; NULL: none */
    char (*texts)[SERIAL_TEXT_MAX]; /* of points */
    void *converter;                /* see charset.h */
};

/* Compiles the patterns of a device and its points. GW_E_NOMEM; GW_E_CONFIG: its charset is not known here; check says so
 * before. */
GW_MUST_CHECK enum gw_err serial_reader_init(struct serial_reader *reader,
                                             const struct serial_device_conf *conf,
                                             const void *const *points, size_t n_points);
/* Safe on zeroed memory and when called twice. */
void serial_reader_done(struct serial_reader *reader);

/* Looks at a frame and runs all the patterns on it. Returns how many points want it: 0 means that it is none of ours.
 * To be called before the functions below. */
size_t serial_reader_look(struct serial_reader *reader, const struct serial_frame *frame);
/* Does the frame bring the point (its pattern fits; conditions aside)? A heard point that it does not bring stays as it is;
 * of a reply all points are read. */
bool serial_reader_brings(const struct serial_reader *reader, size_t point);
/* Reads one point. result->err is GW_OK, or GW_E_PROTO with reason "no_value" (blank or missing), "bad_number", "bad_text",
 * "bad_time", or what a condition says. Text is valid until the next read of the same point. */
void serial_reader_read(struct serial_reader *reader, const struct serial_frame *frame,
                        size_t point, struct gw_result *ret_result);

/* ---- patterns by themselves: ignore, refused, expect, write_reply ---------------------------------------- */

/* Gives the index of a pattern of the device; SIZE_MAX: none of its (NULL). For polls, steps and points. */
size_t serial_reader_pattern(const struct serial_reader *reader, const char *pattern);
/* Does a text have it? Bounded by PCRE2's match limit: what takes too long does not fit. */
bool serial_reader_fits(struct serial_reader *reader, size_t pattern, const uint8_t *text,
                        size_t len);

/* Names and values that a step's answer brought, and address and value: what stands for ${NAME} in a text to send. */
enum { SERIAL_VARS_MAX = 8, SERIAL_VAR_LEN = 48 };
struct serial_vars {
    size_t n;
    struct {
        char name[SERIAL_VAR_LEN], value[SERIAL_VAR_LEN];
    } vars[SERIAL_VARS_MAX];
};
/* Sets a variable; one that is too long or too many is left out (false). */
bool serial_vars_set(struct serial_vars *vars, const char *name, const char *value, size_t len);
/* Sets the named groups of a pattern that was just found to fit. */
void serial_vars_take(struct serial_vars *vars, const struct serial_reader *reader, size_t pattern,
                      const uint8_t *text);

/* ---- what is sent ---------------------------------------------------------------------------------------- */

/* The variable of samples: where a value that moves is between its ends, as text, 0-1. */
#define SERIAL_MOVING "moving"

/* Makes the bytes of a text to send: escapes, hex:, ${NAME}, ${NAME:bcd} (BCD, low pair first: DL/T 645), ${NAME:byte},
 * ${moving:WIDTH:LOW:HIGH} (with as many decimals as LOW, filled with zeros when WIDTH begins with 0), ${checksum}.
 * Errors: GW_E_CONFIG for a bad escape or unknown variable (with a sentence when diag is not NULL), GW_E_RANGE: too long. */
GW_MUST_CHECK enum gw_err serial_render(const char *text, const struct serial_append_conf *checksum,
                                        const struct serial_vars *vars, uint8_t *buf, size_t size,
                                        size_t *ret_len, struct gw_driver_diag *diag);
/* Gives the speed of a key baud: a number, or iec:CHARACTER with variables. 0: none. */
int64_t serial_baud(const char *text, const struct serial_vars *vars);
/* Gives the static code of a reason. */
const char *serial_reason_text(enum serial_reason reason);

#endif
