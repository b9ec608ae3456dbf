/* decode: bytes that somebody gives instead of a port, message by message, with the reason for what is none: how a template is
 * written. Not of the running gateway: it may take its time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/checksum.h"
#include "drivers/serial/driver.h"
#include "drivers/serial/reader.h"

enum { WHY_MAX = 400, PIECE = 1024, PATTERN_MAX = 1024 };

struct decoding {
    struct gw_device *device;
    struct serial_device *state;
    const struct gw_decoded *decoded;
    size_t n_put, n_told; /* bytes given to the stream, bytes told of */
};

static void tell(struct decoding *d, size_t at, size_t len, const char *why)
{
    if (at > d->n_told)
        d->decoded->part(d->decoded->ctx, d->n_told, at - d->n_told, "belongs to no message");
    if (len > 0)
        d->decoded->part(d->decoded->ctx, at, len, why);
    d->n_told = at + len > d->n_told ? at + len : d->n_told;
}

/* ---- why not --------------------------------------------------------------------------------------- */

static void explain_checksum(const struct serial_device_conf *conf,
                             const struct serial_frame *frame, char why[WHY_MAX])
{
    const struct serial_checksum_conf *sum = &conf->checksum;
    size_t n_end = conf->frame.trailer_end.len;
    struct serial_sum_place place;
    uint8_t wanted[4];
    int len;

    for (size_t i = 0; i < conf->frame.end.n && !n_end && !conf->frame.n_trailer; i++)
        n_end = conf->frame.end.any[i].len;
    if (!serial_sum_locate(sum, frame->bytes, frame->len, n_end, &place) || !place.is_ranged) {
        snprintf(why, WHY_MAX, "%s", frame->why);
        return;
    }
    uint16_t value =
        serial_sum((enum serial_sum)sum->sum, frame->bytes + place.from, place.to - place.from);
    size_t n = serial_sum_write((enum serial_sum)sum->sum, (enum serial_encoding)sum->encoding,
                                value, wanted);
    len = snprintf(why, WHY_MAX, "%s: over bytes %zu-%zu it would be", frame->why, place.from,
                   place.to - 1);
    for (size_t i = 0; i < n && len < WHY_MAX; i++)
        len += snprintf(why + len, (size_t)(WHY_MAX - len), " %02X", wanted[i]);
    if (len < WHY_MAX)
        len += snprintf(why + len, (size_t)(WHY_MAX - len), ", at byte %zu stands", place.at);
    for (size_t i = place.at; i < frame->len && i < place.at + n && len < WHY_MAX; i++)
        len += snprintf(why + len, (size_t)(WHY_MAX - len), " %02X", frame->bytes[i]);
}

/* The first n characters of a pattern, with its open groups closed. NULL: that is no pattern. */
static struct serial_pattern *prefix_of(const struct serial_device_conf *conf, const char *text,
                                        size_t n)
{
    char buf[PATTERN_MAX + 32];
    size_t n_open = 0;

    memcpy(buf, text, n);
    for (size_t i = 0; i < n; i++) {
        i += text[i] == '\\';
        if (i < n)
            n_open += text[i] == '(' ? 1 : text[i] == ')' && n_open ? (size_t)-1 : 0;
    }
    if (n_open > 30)
        return NULL;
    memset(buf + n, ')', n_open);
    buf[n + n_open] = '\0';
    return serial_device_pattern(conf, buf, NULL);
}

/* Finds how much of a message a pattern follows, and the shortest part of the pattern that gets so far. */
static void explain_pattern(const struct serial_device_conf *conf, const char *text,
                            const struct serial_frame *frame, char why[WHY_MAX])
{
    size_t n = strlen(text), best = 0, n_best = 0;

    for (size_t i = n < PATTERN_MAX ? n - 1 : 0; i > 0; i--) {
        struct serial_pattern *pattern =
            strchr("|(\\", text[i - 1]) ? NULL : prefix_of(conf, text, i);
        size_t at, len;

        if (pattern && serial_pattern_match(pattern, frame->bytes + frame->body, frame->n_body)) {
            serial_pattern_span(pattern, &at, &len);
            if (at + len >= best) {
                best = at + len;
                n_best = i;
            }
        }
        serial_pattern_free(pattern);
    }
    int len =
        snprintf(why, WHY_MAX,
                 "is a message, but no point's pattern fits it: %.*s gets as far as byte %zu of it",
                 (int)(n_best < 200 ? n_best : 200), text, frame->body + best);
    if (best < frame->n_body && len < WHY_MAX)
        snprintf(why + len, (size_t)(WHY_MAX - len), ", where %02X stands",
                 frame->bytes[frame->body + best]);
}

/* The pattern that most points have is the one that was meant. */
static void explain_unmatched(const struct decoding *d, const struct serial_frame *frame,
                              char why[WHY_MAX])
{
    const char *best = NULL;
    size_t n_best = 0;

    for (size_t i = 0; i < d->device->n_points; i++) {
        const struct serial_point_conf *point = d->device->points[i];
        size_t n = 0;

        for (size_t k = 0; k < d->device->n_points; k++) {
            const struct serial_point_conf *other = d->device->points[k];

            n += point->match && other->match && strcmp(point->match, other->match) == 0;
        }
        if (n > n_best) {
            n_best = n;
            best = point->match;
        }
    }
    if (best)
        explain_pattern(d->device->conf, best, frame, why);
    else
        snprintf(why, WHY_MAX, "is a message, but no point is read from it");
}

/* ---- messages -------------------------------------------------------------------------------------- */

static void take_frame(struct decoding *d, const struct serial_frame *frame, size_t at)
{
    char why[WHY_MAX];

    if (serial_reader_look(&d->state->reader, frame) == 0) {
        explain_unmatched(d, frame, why);
        tell(d, at, frame->len, why);
        serial_stream_reject(&d->state->stream);
        return;
    }
    tell(d, at, d->state->stream.n_last, NULL);
    for (size_t i = 0; i < d->device->n_points; i++) {
        struct gw_result result = {0};

        if (!serial_reader_brings(&d->state->reader, i))
            continue;
        serial_reader_read(&d->state->reader, frame, i, &result);
        d->decoded->result(d->decoded->ctx, (uint16_t)i, &result);
    }
}

static void take_all(struct decoding *d, bool is_end)
{
    struct serial_stream *stream = &d->state->stream;
    struct serial_frame frame;
    enum serial_seen seen;
    char why[WHY_MAX];

    while ((seen = serial_stream_next(stream, is_end, &frame)) != SERIAL_SEEN_NOTHING) {
        size_t at = d->n_put - stream->len;

        if (seen == SERIAL_SEEN_FRAME) {
            take_frame(d, &frame, at);
            continue;
        }
        if (seen == SERIAL_SEEN_BAD_CHECKSUM)
            explain_checksum(d->device->conf, &frame, why);
        else
            snprintf(why, sizeof why, "%s", frame.why);
        tell(d, at, at + frame.len > d->n_put ? d->n_put - at : frame.len, why);
    }
}

enum gw_err serial_decode(struct gw_device *device, const uint8_t *bytes, size_t len,
                          const struct gw_decoded *decoded)
{
    struct decoding d = {.device = device, .state = device->state, .decoded = decoded};
    struct serial_stream *stream = &d.state->stream;

    serial_stream_reset(stream, device->conf, true);
    for (size_t i = 0; i < len; i += PIECE) {
        size_t n = len - i < PIECE ? len - i : PIECE;

        serial_stream_put(stream, bytes + i, n);
        d.n_put += n;
        take_all(&d, false);
    }
    take_all(&d, true);
    if (stream->len > 0)
        tell(&d, d.n_put - stream->len, stream->len,
             "is not complete: the end of a message is missing");
    tell(&d, d.n_put, 0, NULL);
    return GW_OK;
}
