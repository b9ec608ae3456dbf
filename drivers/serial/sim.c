/* sim: plays the instruments of a bus on a pty: they answer what they are asked and told, and say what they say unasked, as
 * their samples have it. Values change where a sample says ${moving:...}; else a sample is what the maker's manual shows.
 *
 * A request is known by its bytes, wherever it begins, so that noise before it does no harm; of several that end alike the
 * longest is meant. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/serial/driver.h"
#include "drivers/serial/stage.h"

#define SAY_US 1000000

enum { HEARD_MAX = 2048, TEXT_MAX_BYTES = 4096 };

struct play {
    const struct gw_sim *sim;
    struct serial_stage stage;
    uint64_t random;
    double moving;  /* where values that move are between their ends, 0-1 */
    int64_t say_us; /* when the talkers speak next */
    size_t turn;    /* which sample it is */
    size_t n_heard;
    uint8_t heard[HEARD_MAX];
    uint8_t text[TEXT_MAX_BYTES];
};

enum gw_err serial_redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                            char *buf, size_t size)
{
    struct serial_bus_conf *conf = bus_conf;
    int len = snprintf(buf, size, "%s/%s", place->dir, bus_name);

    if (len < 0 || (size_t)len >= size || strchr(bus_name, '/'))
        return GW_E_RANGE;
    conf->port = buf;
    return GW_OK;
}

/* ---- saying ---------------------------------------------------------------------------------------- */

/* A number of 0-100, the same in every run with the same seed (xorshift64). */
static double draw_percent(struct play *play)
{
    play->random ^= play->random << 13;
    play->random ^= play->random >> 7;
    play->random ^= play->random << 17;
    return (double)(play->random >> 11) * (100.0 / 9007199254740992.0);
}

/* A step of a random walk between the ends. */
static void move(struct play *play, struct serial_vars *vars)
{
    char text[16];

    play->moving += (draw_percent(play) - 50) / 500;
    if (play->moving < 0 || play->moving > 1)
        play->moving = play->moving < 0 ? 0 : 1;
    int len = snprintf(text, sizeof text, "%.6f", play->moving);
    serial_vars_set(vars, SERIAL_MOVING, text, (size_t)len);
}

/* Says a sample, or what the faults make of it. A delay and an exception are silence: an instrument has neither. */
static void say(struct play *play, const struct gw_device *device, const char *sample)
{
    const struct gw_sim_faults *faults = &play->sim->faults;
    const struct serial_device_conf *conf = device->conf;
    struct serial_device *state = device->state;
    double drawn = draw_percent(play), silent = faults->drop + faults->delay + faults->exception;
    size_t len;

    if (!sample || drawn < silent)
        return;
    move(play, &state->vars);
    if (serial_render(sample, &conf->sample_checksum, &state->vars, play->text, sizeof play->text,
                      &len, NULL) != GW_OK)
        return;
    if (drawn < silent + faults->garbage && len > 0)
        play->text[play->random % len] ^= 0x5A;
    (void)serial_stage_say(&play->stage, play->text, len);
}

static void say_unasked(struct play *play)
{
    const struct gw_bus *bus = play->sim->bus;

    for (size_t i = 0; i < bus->n_devices; i++) {
        const struct serial_device_conf *conf = bus->devices[i].conf;

        if (conf->samples.n_items > 0)
            say(play, &bus->devices[i], conf->samples.items[play->turn % conf->samples.n_items]);
    }
    play->turn++;
}

/* ---- answering ------------------------------------------------------------------------------------- */

/* The longest request that was heard, and what is said to it. */
struct offer {
    const struct gw_device *device;
    const char *sample;
    size_t len;
    char value[SERIAL_VAR_LEN]; /* of a command; empty: none */
};

/* Variables that an answer brings (the speed of a meter) are those of the samples: a request is known without them. */
static void consider(struct play *play, struct gw_device *device, const char *send,
                     const struct serial_append_conf *checksum, const char *sample,
                     struct offer *offer)
{
    struct serial_device *state = device->state;
    size_t len;

    if (send &&
        serial_render(send, checksum, &state->vars, play->text, sizeof play->text, &len, NULL) ==
            GW_OK &&
        len > offer->len && len <= play->n_heard &&
        memcmp(play->heard + play->n_heard - len, play->text, len) == 0)
        *offer = (struct offer){device, sample, len, ""};
}

/* Takes from a sample what the step's pattern names, as the gateway does. */
static void take_variables(struct play *play, struct gw_device *device,
                           const struct serial_step_conf *step)
{
    const struct serial_device_conf *conf = device->conf;
    struct serial_device *state = device->state;
    size_t pattern = step->expect ? serial_reader_pattern(&state->reader, step->expect) : SIZE_MAX;
    size_t len;

    if (pattern != SIZE_MAX && step->sample &&
        serial_render(step->sample, &conf->sample_checksum, &state->vars, play->text,
                      sizeof play->text, &len, NULL) == GW_OK &&
        serial_reader_fits(&state->reader, pattern, play->text, len))
        serial_vars_take(&state->vars, &state->reader, pattern, play->text);
}

static void consider_steps(struct play *play, struct gw_device *device,
                           const struct gw_items *steps, struct offer *offer)
{
    const struct serial_step_conf *step = steps->items;

    for (size_t i = 0; i < steps->n_items; i++)
        consider(play, device, step[i].send, &step[i].checksum, step[i].sample, offer);
}

/* Reads the value of a command back out of what was heard: what stands in place of ${value} for the whole to be the text
 * with it. Its first byte follows what stands before it. */
static void consider_value(struct play *play, struct gw_device *device,
                           const struct serial_point_conf *point, const char *mark,
                           struct offer *offer)
{
    struct serial_device *state = device->state;
    char before[TEXT_MAX_BYTES];
    size_t n_before, n_text = (size_t)(mark - point->write), n_all;

    if (n_text >= sizeof before || !serial_vars_set(&state->vars, "value", "0", 1) ||
        serial_render(point->write, &point->write_checksum, &state->vars, play->text,
                      sizeof play->text, &n_all, NULL) != GW_OK)
        return;
    memcpy(before, point->write, n_text);
    before[n_text] = '\0';
    if (serial_render(before, NULL, &state->vars, play->text, sizeof play->text, &n_before, NULL) !=
        GW_OK)
        return;
    for (size_t len = 1; len < SERIAL_VAR_LEN && n_all - 1 + len <= play->n_heard; len++) {
        const uint8_t *from = play->heard + play->n_heard - (n_all - 1 + len);

        size_t n_best = offer->len;

        if (serial_vars_set(&state->vars, "value", (const char *)from + n_before, len))
            consider(play, device, point->write, &point->write_checksum, point->write_sample,
                     offer);
        if (offer->len > n_best)
            snprintf(offer->value, sizeof offer->value, "%.*s", (int)len, from + n_before);
    }
}

static void consider_commands(struct play *play, struct gw_device *device, struct offer *offer)
{
    for (size_t i = 0; i < device->n_points; i++) {
        const struct serial_point_conf *point = device->points[i];
        const char *mark = point->write ? strstr(point->write, "${value}") : NULL;

        if (mark)
            consider_value(play, device, point, mark, offer);
        else
            consider(play, device, point->write, &point->write_checksum, point->write_sample,
                     offer);
    }
}

static void consider_device(struct play *play, struct gw_device *device, struct offer *offer)
{
    const struct serial_device_conf *conf = device->conf;
    const struct serial_poll_conf *poll = conf->polls.items;

    for (size_t i = 0; i < conf->polls.n_items; i++) {
        consider_steps(play, device, &poll[i].steps, offer);
        consider(play, device, poll[i].send, &poll[i].checksum, poll[i].sample, offer);
    }
    consider_steps(play, device, &conf->on_open, offer);
    consider_commands(play, device, offer);
}

static void hear(struct play *play, const uint8_t *bytes, size_t len)
{
    const struct gw_bus *bus = play->sim->bus;

    for (size_t k = 0; k < len; k++) {
        struct offer offer = {NULL, NULL, 0, ""};

        if (play->n_heard == sizeof play->heard)
            play->n_heard = 0;
        play->heard[play->n_heard++] = bytes[k];
        for (size_t i = 0; i < bus->n_devices; i++)
            consider_device(play, &bus->devices[i], &offer);
        if (!offer.device)
            continue;
        struct serial_device *state = offer.device->state;
        if (offer.value[0])
            serial_vars_set(&state->vars, "value", offer.value, strlen(offer.value));
        say(play, offer.device, offer.sample);
        play->n_heard = 0;
    }
}

/* ---- life ------------------------------------------------------------------------------------------ */

static void prepare(struct play *play)
{
    const struct gw_bus *bus = play->sim->bus;

    for (size_t i = 0; i < bus->n_devices; i++) {
        const struct serial_device_conf *conf = bus->devices[i].conf;
        const struct serial_poll_conf *poll = conf->polls.items;

        for (size_t k = 0; k < conf->polls.n_items; k++)
            for (size_t s = 0; s < poll[k].steps.n_items; s++)
                take_variables(play, &bus->devices[i],
                               (const struct serial_step_conf *)poll[k].steps.items + s);
    }
}

static void run(struct play *play)
{
    const struct gw_host *host = play->sim->bus->host;
    uint8_t bytes[256];
    size_t len;

    while (serial_stage_step(&play->stage, play->say_us, play->sim->stop_fd, bytes, sizeof bytes,
                             &len) == GW_OK) {
        hear(play, bytes, len);
        if (host->now_us(host->ctx) < play->say_us)
            continue;
        say_unasked(play);
        play->say_us += SAY_US;
    }
}

enum gw_err serial_simulate(const struct gw_sim *sim, struct gw_driver_diag *diag)
{
    const struct serial_bus_conf *conf = sim->bus->conf;
    const struct serial_line line = {conf->baud, (int)conf->data_bits, conf->parity,
                                     (int)conf->stop_bits, SERIAL_FLOW_NONE};
    struct play *play = calloc(1, sizeof *play);

    if (!play)
        return GW_E_NOMEM;
    play->sim = sim;
    play->moving = 0.5;
    play->random = (uint64_t)sim->faults.seed << 1 | 1; /* not 0, or the dice would not roll */
    enum gw_err err = serial_stage_open(&play->stage, conf->port, &line, sim->bus->host, diag);
    if (err == GW_OK) {
        prepare(play);
        play->say_us = sim->bus->host->now_us(sim->bus->host->ctx) + SAY_US;
        sim->ready(sim->ctx, conf->port);
        run(play);
        serial_stage_close(&play->stage);
    }
    free(play);
    return err;
}
