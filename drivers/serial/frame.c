/* frame: see the header. */
#include "drivers/serial/frame.h"

#include <string.h>

#include "drivers/common/hex.h"
#include "drivers/serial/checksum.h"

enum { TRAILER_MAX = 16 };

void serial_stream_reset(struct serial_stream *stream, const struct serial_device_conf *conf,
                         bool is_synced)
{
    stream->conf = conf;
    stream->is_synced = is_synced;
    stream->is_begin = !is_synced;
    stream->at = stream->len = stream->n_last = 0;
}

/* Takes bytes off the front. */
static void drop(struct serial_stream *stream, size_t n, bool is_junk)
{
    stream->at += n;
    stream->len -= n;
    if (is_junk)
        stream->counters.n_junk += n;
}

static void drop_last(struct serial_stream *stream)
{
    drop(stream, stream->n_last, false);
    stream->n_last = 0;
}

void serial_stream_put(struct serial_stream *stream, const uint8_t *bytes, size_t len)
{
    drop_last(stream);
    if (len > SERIAL_STREAM_MAX) {
        stream->counters.n_junk += len - SERIAL_STREAM_MAX;
        bytes += len - SERIAL_STREAM_MAX;
        len = SERIAL_STREAM_MAX;
    }
    if (stream->len + len > SERIAL_STREAM_MAX) {
        drop(stream, stream->len + len - SERIAL_STREAM_MAX, true);
        stream->is_synced = false;
    }
    if (stream->at + stream->len + len > SERIAL_STREAM_MAX) {
        memmove(stream->bytes, stream->bytes + stream->at, stream->len);
        stream->at = 0;
    }
    uint8_t *to = stream->bytes + stream->at + stream->len,
            mask = stream->conf->strips_parity ? 0x7F : 0xFF;
    for (size_t i = 0; i < len; i++)
        to[i] = bytes[i] & mask;
    stream->len += len;
}

/* ---- where a frame ends ---------------------------------------------------------------------------- */

enum looked { LOOK_MORE, LOOK_FAILED, LOOK_FOUND };

/* A frame that begins with the first byte held. */
struct candidate {
    const struct serial_frame_conf *conf;
    const uint8_t *data;
    size_t n; /* bytes at hand */
    bool is_idle;
    size_t len, n_end; /* found: its length without trailer, and how much of it is the end */
    const char *why;
};

static enum looked fail(struct candidate *c, const char *why)
{
    c->why = why;
    return LOOK_FAILED;
}

static bool begins_with(const uint8_t *data, size_t n, const struct serial_bytes *bytes)
{
    return n >= bytes->len && memcmp(data, bytes->bytes, bytes->len) == 0;
}

/* The length of the longest end that stands at a place; 0: none. */
static size_t end_at(const struct serial_ends *ends, const uint8_t *data, size_t n)
{
    size_t longest = 0;

    for (size_t i = 0; i < ends->n; i++)
        if (ends->any[i].len > longest && begins_with(data, n, &ends->any[i]))
            longest = ends->any[i].len;
    return longest;
}

static enum looked look_delimited(struct candidate *c)
{
    for (size_t i = c->conf->start.len; i < c->n; i++)
        if ((c->n_end = end_at(&c->conf->end, c->data + i, c->n - i)) > 0) {
            c->len = i + c->n_end;
            return LOOK_FOUND;
        }
    return LOOK_MORE;
}

static enum looked look_fixed(struct candidate *c, size_t len)
{
    c->len = len;
    if (c->n < len)
        return LOOK_MORE;
    if (c->conf->end.n == 0)
        return LOOK_FOUND;
    for (size_t i = 0; i < c->conf->end.n; i++) {
        const struct serial_bytes *end = &c->conf->end.any[i];

        if (len >= end->len && begins_with(c->data + len - end->len, end->len, end)) {
            c->n_end = end->len;
            return LOOK_FOUND;
        }
    }
    return fail(c, "it does not end as it should at its length");
}

static enum looked look_length_field(struct candidate *c)
{
    size_t at = (size_t)c->conf->length_at.index, size = (size_t)c->conf->length_size;

    if (c->n < at + size)
        return LOOK_MORE;
    int64_t len = c->data[at];
    if (size == 2)
        len = c->conf->length_order == SERIAL_BIG ? c->data[at] << 8 | c->data[at + 1]
                                                  : c->data[at + 1] << 8 | c->data[at];
    len += c->conf->length_add;
    if (len < (int64_t)(at + size) || len < c->conf->start.len)
        return fail(c, "its length field is too small");
    if (len > c->conf->max_length)
        return fail(c, "its length field says more than max_length");
    return look_fixed(c, (size_t)len);
}

static enum looked look(struct candidate *c)
{
    enum looked looked;

    if (c->conf->length_at.is_set)
        looked = look_length_field(c);
    else if (c->conf->length > 0)
        looked = look_fixed(c, (size_t)c->conf->length);
    else if (c->conf->end.n > 0)
        looked = look_delimited(c);
    else
        looked = c->is_idle ? LOOK_FOUND : LOOK_MORE, c->len = c->n;
    size_t len = looked == LOOK_FOUND ? c->len : c->n;
    if (len > (size_t)c->conf->max_length && looked != LOOK_FAILED)
        return fail(c, "it is longer than max_length");
    return looked;
}

/* ---- what is in it --------------------------------------------------------------------------------- */

static bool decode_hex(struct serial_stream *stream, const struct candidate *c, size_t *ret_len)
{
    size_t start = c->conf->start.len, n = c->len - start - c->n_end;
    const uint8_t *digits = c->data + start;

    if (c->len < start + c->n_end || n % 2 != 0)
        return false;
    memcpy(stream->out, c->data, start);
    for (size_t i = 0; i < n / 2; i++) {
        int high = hex_digit(digits[2 * i]), low = hex_digit(digits[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        stream->out[start + i] = (uint8_t)(high << 4 | low);
    }
    memcpy(stream->out + start + n / 2, c->data + c->len - c->n_end, c->n_end);
    *ret_len = start + n / 2 + c->n_end;
    return true;
}

static void subtract(struct serial_stream *stream, struct serial_frame *frame)
{
    const struct serial_transform_conf *conf = &stream->conf->transform;
    size_t from = 0, to = frame->len;

    if ((conf->subtract_from.is_set &&
         !serial_find_position(&conf->subtract_from, frame->bytes, frame->len, &from)) ||
        (conf->subtract_to.is_set &&
         !serial_find_position(&conf->subtract_to, frame->bytes, frame->len, &to)))
        return;
    if (frame->bytes != stream->out)
        memcpy(stream->out, frame->bytes, frame->len);
    for (size_t i = from; i < to; i++)
        stream->out[i] = (uint8_t)(stream->out[i] - conf->subtract);
    frame->bytes = stream->out;
}

/* What patterns see: neither start nor end, nor the checksum and what leads to it. */
static void find_body(const struct serial_device_conf *conf, const struct candidate *c,
                      size_t end_index, bool has_sum, struct serial_frame *frame)
{
    const struct serial_checksum_conf *sum = &conf->checksum;
    size_t to = end_index, at = to;
    uint8_t unused[4];

    if (has_sum && !sum->at.is_set && to >= c->conf->start.len)
        at = to - serial_sum_write((enum serial_sum)sum->sum, (enum serial_encoding)sum->encoding,
                                   0, unused);
    else if (has_sum && serial_find_position(&sum->at, frame->bytes, frame->len, &at) &&
             sum->at.kind == SERIAL_AFTER)
        at -= sum->at.mark.len;
    frame->body = c->conf->start.len;
    to = at < to ? at : to;
    frame->n_body = to > frame->body ? to - frame->body : 0;
}

/* Fills in the frame of c->len bytes, of which n_trailer follow the end. */
static enum serial_seen examine(struct serial_stream *stream, const struct candidate *c,
                                size_t n_trailer, struct serial_frame *frame)
{
    const struct serial_device_conf *conf = stream->conf;
    enum serial_verdict verdict = SERIAL_SUM_ABSENT;
    size_t n_end = n_trailer ? conf->frame.trailer_end.len : c->n_end;

    *frame = (struct serial_frame){.bytes = c->data, .len = c->len + n_trailer};
    if (conf->is_hex) {
        frame->why = "it holds other characters than hexadecimal digits, or an odd number of them";
        if (!decode_hex(stream, c, &frame->len))
            return SERIAL_SEEN_BAD_FRAME;
        frame->bytes = stream->out;
    }
    if (conf->checksum.sum) {
        verdict = serial_sum_check(&conf->checksum, frame->bytes, frame->len, n_end);
        frame->why = verdict == SERIAL_SUM_BAD ? "its checksum is wrong" : "it has no checksum";
        if (verdict == SERIAL_SUM_BAD ||
            (verdict == SERIAL_SUM_ABSENT && conf->checksum.is_required))
            return SERIAL_SEEN_BAD_CHECKSUM;
    }
    frame->why = NULL;
    find_body(conf, c, frame->len - n_trailer - c->n_end, verdict == SERIAL_SUM_GOOD, frame);
    if (conf->transform.subtract)
        subtract(stream, frame);
    return SERIAL_SEEN_FRAME;
}

/* ---- trailers -------------------------------------------------------------------------------------- */

/* The frame goes up to the end of its trailer, whose length varies. */
static enum serial_seen with_trailer_end(struct serial_stream *stream, const struct candidate *c,
                                         struct serial_frame *frame)
{
    const struct serial_bytes *end = &c->conf->trailer_end;

    for (size_t n = 0; n <= TRAILER_MAX; n++) {
        if (c->len + n + end->len > c->n)
            return SERIAL_SEEN_NOTHING;
        if (begins_with(c->data + c->len + n, end->len, end))
            return examine(stream, c, n + end->len, frame);
    }
    *frame =
        (struct serial_frame){.bytes = c->data, .len = c->len, .why = "its trailer does not end"};
    return SERIAL_SEEN_BAD_FRAME;
}

static enum serial_seen with_trailer(struct serial_stream *stream, const struct candidate *c,
                                     struct serial_frame *frame)
{
    size_t n_trailer = (size_t)c->conf->n_trailer;
    bool has_trailer = c->n >= c->len + n_trailer;
    enum serial_seen seen = SERIAL_SEEN_NOTHING;

    if (c->conf->trailer_end.len)
        return with_trailer_end(stream, c, frame);
    if (n_trailer == 0)
        return examine(stream, c, 0, frame);
    if (has_trailer)
        seen = examine(stream, c, n_trailer, frame);
    if (!c->conf->is_trailer_optional || seen == SERIAL_SEEN_FRAME)
        return seen;
    /* What follows is not its checksum: the next frame then, or nothing. */
    bool is_next =
        c->conf->start.len && begins_with(c->data + c->len, c->n - c->len, &c->conf->start);
    if (is_next || (c->n == c->len && c->is_idle))
        return examine(stream, c, 0, frame);
    return seen;
}

/* ---- looking for frames ---------------------------------------------------------------------------- */

/* Drops what comes before a start. False: there is none yet. */
static bool find_start(struct serial_stream *stream)
{
    const struct serial_bytes *start = &stream->conf->frame.start;
    const uint8_t *data = stream->bytes + stream->at;
    size_t i = 0;

    for (; i < stream->len; i++) {
        size_t left = stream->len - i, n = left < start->len ? left : start->len;

        if (memcmp(data + i, start->bytes, n) == 0)
            break; /* all of it, or what may become it */
    }
    drop(stream, i, true);
    return stream->len >= start->len;
}

/* A stream that was joined in the middle of an end: its rest is the first that comes. */
static size_t rest_of_end(const struct serial_ends *ends, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < ends->n; i++)
        for (size_t skip = 1; skip < ends->any[i].len; skip++) {
            size_t rest = ends->any[i].len - skip;

            if (n >= rest && memcmp(data, ends->any[i].bytes + skip, rest) == 0)
                return rest;
        }
    return 0;
}

/* Without a start mark the first frame is whole only after an end (or a pause). */
static bool find_sync(struct serial_stream *stream, bool is_idle)
{
    const struct serial_frame_conf *conf = &stream->conf->frame;
    const uint8_t *data = stream->bytes + stream->at;
    size_t n_end = stream->is_begin ? rest_of_end(&conf->end, data, stream->len) : 0;

    stream->is_begin = false;
    if (n_end > 0) {
        drop(stream, n_end, true);
        stream->is_synced = true;
        return stream->len > 0;
    }
    for (size_t i = 0; conf->end.n && i < stream->len; i++)
        if ((n_end = end_at(&conf->end, data + i, stream->len - i)) > 0) {
            drop(stream, i + n_end, true);
            stream->is_synced = true;
            return true;
        }
    if (is_idle || stream->len > SERIAL_BYTES_MAX) {
        size_t n_kept = conf->end.n && !is_idle ? SERIAL_BYTES_MAX - 1 : 0;

        drop(stream, stream->len - n_kept, true);
    }
    stream->is_synced = is_idle && conf->end.n == 0;
    return false;
}

/* Without a checksum a start inside of a delimited frame is taken for the beginning: what is before it lost its end. */
static void prefer_last_start(struct serial_stream *stream, struct candidate *c)
{
    const struct serial_bytes *start = &c->conf->start;

    if (!start->len || stream->conf->checksum.sum || c->conf->length || c->conf->length_at.is_set)
        return;
    for (size_t i = c->len - c->n_end; i-- > start->len;)
        if (begins_with(c->data + i, c->len - c->n_end - i, start)) {
            drop(stream, i, true);
            c->data += i;
            c->n -= i;
            c->len -= i;
            return;
        }
}

/* Takes a failed frame off: only its first byte where a start mark tells where the next one begins. */
static enum serial_seen give_up(struct serial_stream *stream, enum serial_seen seen, size_t len)
{
    bool has_start = stream->conf->frame.start.len > 0;

    if (seen == SERIAL_SEEN_BAD_CHECKSUM)
        stream->counters.n_bad_checksums++;
    else
        stream->counters.n_bad_frames++;
    if (!has_start && seen == SERIAL_SEEN_BAD_FRAME)
        stream->is_synced = false;
    stream->n_last = has_start ? 1 : len;
    stream->counters.n_junk += stream->n_last;
    return seen;
}

/* A pause in a frame whose length field may be none: is there a good frame behind? Then what is before it is dropped. */
static bool skip_false_start(struct serial_stream *stream)
{
    const struct serial_device_conf *conf = stream->conf;
    const uint8_t *data = stream->bytes + stream->at;
    struct serial_frame frame;

    if (!conf->frame.start.len || !conf->frame.length_at.is_set || !conf->checksum.sum)
        return false;
    for (size_t i = 1; i < stream->len; i++) {
        struct candidate c = {&conf->frame, data + i, stream->len - i, true, 0, 0, NULL};

        if (begins_with(c.data, c.n, &conf->frame.start) && look(&c) == LOOK_FOUND &&
            examine(stream, &c, 0, &frame) == SERIAL_SEEN_FRAME) {
            drop(stream, i, true);
            stream->counters.n_bad_frames++;
            return true;
        }
    }
    return false;
}

enum serial_seen serial_stream_next(struct serial_stream *stream, bool is_idle,
                                    struct serial_frame *ret_frame)
{
    const struct serial_frame_conf *conf = &stream->conf->frame;

    drop_last(stream);
    while (stream->len > 0) {
        if (conf->start.len ? !find_start(stream)
                            : !stream->is_synced && !find_sync(stream, is_idle))
            return SERIAL_SEEN_NOTHING;
        struct candidate c = {conf, stream->bytes + stream->at, stream->len, is_idle, 0, 0, NULL};
        enum looked looked = look(&c);
        if (looked == LOOK_MORE && is_idle && skip_false_start(stream))
            continue;
        if (looked == LOOK_MORE)
            return SERIAL_SEEN_NOTHING;
        if (looked == LOOK_FAILED) {
            *ret_frame = (struct serial_frame){.bytes = c.data, .len = stream->len, .why = c.why};
            return give_up(stream, SERIAL_SEEN_BAD_FRAME, stream->len);
        }
        if (c.len == c.n_end && !conf->start.len) { /* an empty line */
            drop(stream, c.len, true);
            continue;
        }
        prefer_last_start(stream, &c);
        enum serial_seen seen = with_trailer(stream, &c, ret_frame);
        if (seen == SERIAL_SEEN_BAD_FRAME || seen == SERIAL_SEEN_BAD_CHECKSUM)
            return give_up(stream, seen, c.len);
        if (seen == SERIAL_SEEN_FRAME) {
            stream->counters.n_frames++;
            stream->n_last = stream->conf->is_hex ? c.len : ret_frame->len;
        }
        return seen;
    }
    return SERIAL_SEEN_NOTHING;
}

void serial_stream_reject(struct serial_stream *stream)
{
    const struct serial_frame_conf *conf = &stream->conf->frame;

    stream->counters.n_unmatched++;
    if (stream->conf->checksum.sum || !conf->start.len || stream->n_last <= 1)
        return;
    stream->counters.n_frames--;
    stream->counters.n_bad_frames++;
    stream->counters.n_junk++;
    stream->n_last = 1;
}
