/* frame: bytes as they arrive to frames whose checksum is right. Pure: no port, no clock; time is a flag.
 *
 * DESIGN: what has arrived stays in one buffer until it is known to be a frame or to be none. A frame that fails is not
 * thrown away whole: only its first byte is (or what is up to its end, where ends delimit), and a next one is looked for
 * inside of it, since the good frame may have begun there. What is longer than max_length is none. */
#ifndef SERIAL_FRAME_H
#define SERIAL_FRAME_H

#include "drivers/serial/conf.h"

enum { SERIAL_STREAM_MAX = 8192 };

/* For status and `try`: what became of the bytes. */
struct serial_counters {
    uint64_t n_frames;        /* good ones */
    uint64_t n_bad_checksums; /* frames whose checksum was wrong or missing */
    uint64_t n_bad_frames;    /* without the right end, or too long */
    uint64_t n_unmatched;     /* good frames that no point wants */
    uint64_t n_junk;          /* bytes that belong to no frame */
};

enum serial_seen {
    SERIAL_SEEN_NOTHING, /* more bytes are needed */
    SERIAL_SEEN_FRAME,
    SERIAL_SEEN_BAD_CHECKSUM,
    SERIAL_SEEN_BAD_FRAME, /* no right end, too long, or no hexadecimal digits */
};

/* A frame, or what failed. Valid until the next put, next or reset. */
struct serial_frame {
    const uint8_t *bytes; /* after strip_parity, hex and transform */
    size_t len;
    size_t body,
        n_body;      /* without start, end, trailer and a checksum at its end: what patterns see */
    const char *why; /* of a bad one: for people */
};

struct serial_stream {
    const struct serial_device_conf *conf;
    struct serial_counters counters;
    bool is_synced; /* a frame may begin with the next byte */
    bool is_begin;  /* not synced, and nothing was looked at yet */
    size_t at, len; /* bytes[at .. at + len) are held */
    size_t n_last;  /* how many of them the last frame took: they go with the next call */
    uint8_t bytes[SERIAL_STREAM_MAX];
    uint8_t out[SERIAL_STREAM_MAX]; /* the frame after hex and transform */
};

/* Starts over with nothing. is_synced: the next byte begins a frame, as after a request to a line that was silent. */
void serial_stream_reset(struct serial_stream *stream, const struct serial_device_conf *conf,
                         bool is_synced);
/* Takes bytes that arrived. What is too much pushes out the oldest, which count as junk. */
void serial_stream_put(struct serial_stream *stream, const uint8_t *bytes, size_t len);
/* Gives what comes next of what has been put. is_idle: nothing has come for frame.idle (or, for an optional trailer, for
 * two characters), so that what is held is all. Call it until it says SERIAL_SEEN_NOTHING. */
enum serial_seen serial_stream_next(struct serial_stream *stream, bool is_idle,
                                    struct serial_frame *ret_frame);
/* Says that the frame that was just given fits no pattern. It is counted; without a checksum it may not have been one, and the next is
 * looked for inside of it. */
void serial_stream_reject(struct serial_stream *stream);

#endif
