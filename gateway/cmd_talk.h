/* cmd_talk: one device of a configuration, spoken to from the command line. Shared by the verbs read and write. */
#ifndef GW_CMD_TALK_H
#define GW_CMD_TALK_H

#include "gateway/bus_run.h"
#include "gateway/cmd.h"

struct gw_talk {
    const struct gw_verb *verb;
    struct gw_cmd_paths paths;
    char *simulated_dir; /* NULL: the real hardware */
    int port_offset;
    struct gw_plugins *plugins;
    struct gw_config *config;
    char *texts;
    struct gw_bus_conf bus_conf; /* the bus of the device, with this device alone */
    const struct gw_device_conf *device;
    struct gw_outbox outbox; /* keeps nothing */
    struct gw_bus_loop *loop;
};

/* Takes an option that both verbs have: 1 taken, 0 not ours, -1 its argument is missing or wrong. */
int gw_talk_take(struct gw_talk *talk, int argc, char **argv, int *i);
/* Loads the configuration and finds the device, DEVICE or BUS/DEVICE. GW_EXIT_OK, or the exit code after a sentence. */
int gw_talk_begin(struct gw_talk *talk, const struct gw_verb *verb, const char *device);
void gw_talk_end(struct gw_talk *talk);

/* Steps the bus until is_done says so; false when that took longer than timeout_us. */
bool gw_talk_until(struct gw_talk *talk, bool (*is_done)(const struct gw_talk *talk, void *ctx),
                   void *ctx, int64_t timeout_us);
/* Every point that is polled was read, or found to be unreadable. */
bool gw_talk_has_read(const struct gw_talk *talk, void *ctx);

#endif
