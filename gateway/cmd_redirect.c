/* cmd_redirect: points the buses of a configuration at where `field2mqtt simulate` serves them. Shared by the two verbs
 * that have to agree on that place: simulate and run. */
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cmd.h"

enum { ADDRESS_TEXT = 512 };

int gw_cmd_redirect(const struct gw_verb *verb, struct gw_config *config, const char *dir,
                    int port_offset, char **ret_texts)
{
    char *texts = calloc(config->n_buses + 1, ADDRESS_TEXT);

    *ret_texts = texts;
    if (!texts)
        return GW_EXIT_FAILED;
    for (size_t i = 0; i < config->n_buses; i++) {
        struct gw_bus_conf *bus = &config->buses[i];
        const struct gw_sim_place place = {.dir = dir, .port_offset = port_offset, .bus_index = i};

        if (!bus->driver->redirect ||
            bus->driver->redirect(bus->driver_conf, bus->name, &place, texts + i * ADDRESS_TEXT,
                                  ADDRESS_TEXT) != GW_OK) {
            fprintf(stderr, "field2mqtt %s: bus %s cannot be simulated by driver %s\n", verb->name,
                    bus->name, bus->driver->name);
            return GW_EXIT_FAILED;
        }
    }
    return GW_EXIT_OK;
}
