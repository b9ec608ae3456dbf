/* sim: plays the instruments of a bus on a pty: they answer what they are asked, and say what they say unasked, as their
 * samples have it. Values do not change: a sample is what the maker's manual shows.
 *
 * A request is known by its bytes, wherever it begins, so that noise before it does no harm. */
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

/* Says a sample, or what the faults make of it. A delay and an exception are silence: an instrument has neither. */
static void say(struct play *play, const struct gw_device *device, const char *sample)
{
    const struct gw_sim_faults *faults = &play->sim->faults;
    struct serial_device *state = device->state;
    double drawn = draw_percent(play), silent = faults->drop + faults->delay + faults->exception;
    size_t len;

    if (!sample || drawn < silent ||
        serial_render(sample, NULL, &state->vars, play->text, sizeof play->text, &len, NULL) !=
            GW_OK)
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

/* Variables that an answer brings (the speed of a meter) are those of the samples: a request is known without them. */
static bool is_asked(struct play *play, const struct gw_device *device, const char *send,
                     const struct serial_append_conf *checksum)
{
    struct serial_device *state = device->state;
    size_t len;

    return send &&
           serial_render(send, checksum, &state->vars, play->text, sizeof play->text, &len, NULL) ==
               GW_OK &&
           len > 0 && len <= play->n_heard &&
           memcmp(play->heard + play->n_heard - len, play->text, len) == 0;
}

/* Takes from a sample what the step's pattern names, as the gateway does. */
static void take_variables(struct play *play, struct gw_device *device,
                           const struct serial_step_conf *step)
{
    struct serial_device *state = device->state;
    size_t pattern = step->expect ? serial_reader_pattern(&state->reader, step->expect) : SIZE_MAX;
    size_t len;

    if (pattern != SIZE_MAX && step->sample &&
        serial_render(step->sample, NULL, &state->vars, play->text, sizeof play->text, &len,
                      NULL) == GW_OK &&
        serial_reader_fits(&state->reader, pattern, play->text, len))
        serial_vars_take(&state->vars, &state->reader, pattern, play->text);
}

static bool answer_steps(struct play *play, struct gw_device *device, const struct gw_items *steps)
{
    const struct serial_step_conf *step = steps->items;

    for (size_t i = 0; i < steps->n_items; i++)
        if (is_asked(play, device, step[i].send, &step[i].checksum)) {
            say(play, device, step[i].sample);
            return true;
        }
    return false;
}

static bool answer(struct play *play, struct gw_device *device)
{
    const struct serial_device_conf *conf = device->conf;
    const struct serial_poll_conf *poll = conf->polls.items;

    for (size_t i = 0; i < conf->polls.n_items; i++) {
        if (answer_steps(play, device, &poll[i].steps))
            return true;
        if (is_asked(play, device, poll[i].send, &poll[i].checksum)) {
            say(play, device, poll[i].sample);
            return true;
        }
    }
    return answer_steps(play, device, &conf->on_open);
}

static void hear(struct play *play, const uint8_t *bytes, size_t len)
{
    const struct gw_bus *bus = play->sim->bus;

    for (size_t k = 0; k < len; k++) {
        if (play->n_heard == sizeof play->heard)
            play->n_heard = 0;
        play->heard[play->n_heard++] = bytes[k];
        for (size_t i = 0; i < bus->n_devices; i++)
            if (answer(play, &bus->devices[i])) {
                play->n_heard = 0;
                break;
            }
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
