/* reader: what reader.c and values.c share. Others see extract.h. */
#ifndef SERIAL_READER_H
#define SERIAL_READER_H

#include "drivers/serial/extract.h"
#include "drivers/serial/number.h"
#include "drivers/serial/pattern.h"

struct serial_known_pattern {
    const char *text; /* as in the configuration */
    struct serial_pattern *compiled;
    bool is_of_frames, fits; /* it looks at every frame; at the last one it did fit */
};

struct serial_patterns {
    size_t n;
    struct serial_known_pattern list[];
};

/* Compiles a pattern of a device, its address put in. NULL with a sentence. Owns: serial_pattern_free. */
struct serial_pattern *serial_device_pattern(const struct serial_device_conf *conf,
                                             const char *text, struct gw_driver_diag *diag);
bool serial_is_one_of(const struct gw_list *list, struct serial_slice text);

#endif
