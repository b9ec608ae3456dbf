/* filter: whether a reading is worth a message. Everything is measured against what was last published, so that a
 * slow drift is published as soon as it has left the deadband. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "gateway/mapping.h"
#include "gateway/number.h"

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001B3u; /* FNV-1a */
    return hash;
}

static uint64_t hash_u64(uint64_t hash, uint64_t n)
{
    hash = (hash ^ n) * 0xBF58476D1CE4E5B9u; /* the finalizer of splitmix64 */
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBu;
    return hash ^ (hash >> 31);
}

static uint64_t hash_double(uint64_t hash, double x)
{
    uint64_t bits;

    x += 0.0; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return hash_u64(hash, bits);
}

/* 2300e-1 and 230 are one value. */
static uint64_t hash_decimal(uint64_t hash, struct gw_decimal decimal)
{
    while (decimal.digits != 0 && decimal.digits % 10 == 0) {
        decimal.digits /= 10;
        decimal.exp10++;
    }
    if (decimal.digits == 0)
        decimal.exp10 = 0;
    return hash_u64(hash_u64(hash, (uint64_t)decimal.digits), (uint64_t)(int64_t)decimal.exp10);
}

static uint64_t hash_value(uint64_t hash, const struct gw_value *value)
{
    hash = hash_u64(hash, value->kind);
    switch (value->kind) {
    case GW_NONE:
        return hash;
    case GW_BOOL:
        return hash_u64(hash, value->b);
    case GW_INT:
        return hash_u64(hash, (uint64_t)value->i);
    case GW_UINT:
        return hash_u64(hash, value->u);
    case GW_FLOAT32:
        return hash_double(hash, (double)value->f32);
    case GW_FLOAT64:
        return hash_double(hash, value->f64);
    case GW_DECIMAL:
        return hash_decimal(hash, value->dec);
    case GW_TEXT:
        return hash_bytes(hash, value->text.p, value->text.len);
    }
    return hash;
}

/* Of all that a change of has to be published. */
static uint64_t hash_reading(const struct gw_reading *reading)
{
    uint64_t hash = hash_u64(0xCBF29CE484222325u, reading->quality);

    if (reading->quality == GW_GOOD)
        return hash_value(hash, &reading->value);
    return reading->reason ? hash_bytes(hash, reading->reason, strlen(reading->reason)) : hash;
}

/* A number to which a deadband applies: neither a state nor a name. */
static bool is_measured(const struct gw_reading *reading)
{
    return reading->value.kind != GW_TEXT && reading->value.kind != GW_BOOL && !reading->enum_name;
}

static bool is_beyond_deadband(const struct gw_deadband *deadband, double last,
                               const struct gw_reading *reading)
{
    double now = gw_value_to_double(&reading->value);
    double limit = deadband->is_percent ? fabs(last) * deadband->amount / 100 : deadband->amount;
    double epsilon = reading->value.kind == GW_FLOAT32 ? (double)FLT_EPSILON : DBL_EPSILON;

    if (isnan(last))
        return true; /* a text or name was published last */
    /* A step of exactly the deadband is not beyond it, whatever binary fractions make of 0.8 - 0.7. */
    return fabs(now - last) > limit + 2 * epsilon * fmax(fabs(now), fabs(last));
}

/* Polls come with jitter: one that is due after just this time may be a little early, and has to count, or the next
 * would be a whole poll late. */
static bool has_passed(int64_t silence_us, int64_t interval_us)
{
    return silence_us >= interval_us - interval_us / 20;
}

bool gw_filter_wants(const struct gw_publish *publish, const struct gw_point_state *state,
                     const struct gw_reading *reading, int64_t now_us)
{
    bool is_good = reading->quality == GW_GOOD;
    int64_t silence_us = now_us - state->published_us;
    bool is_changed;

    if (!is_good && publish->on_bad == GW_ON_BAD_SKIP)
        return false;
    if (!state->has_last || is_good != state->last_was_good)
        return true;
    is_changed = hash_reading(reading) != state->last_hash;
    if (!is_good && is_changed)
        return true; /* another reason */
    if (!has_passed(silence_us, publish->min_interval_us))
        return false;
    if (publish->when == GW_WHEN_EVERY)
        return true;
    if (publish->max_silence_us > 0 && has_passed(silence_us, publish->max_silence_us))
        return true;
    if (!is_changed || !is_good)
        return false;
    return !(publish->deadband.amount > 0) || !is_measured(reading) ||
           is_beyond_deadband(&publish->deadband, state->last_number, reading);
}

void gw_filter_published(struct gw_point_state *state, const struct gw_reading *reading,
                         int64_t now_us)
{
    bool is_good = reading->quality == GW_GOOD;

    state->published_us = now_us;
    state->last_hash = hash_reading(reading);
    state->last_number =
        is_good && is_measured(reading) ? gw_value_to_double(&reading->value) : (double)NAN;
    state->has_last = true;
    state->last_was_good = is_good;
}
