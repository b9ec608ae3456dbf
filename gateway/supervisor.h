/* supervisor: starts outbox, publisher and buses of a configuration, waits for signals, changes or stops all in order. */
#ifndef GW_SUPERVISOR_H
#define GW_SUPERVISOR_H

#include "gateway/generation.h"

/* Runs a gateway until SIGTERM or SIGINT, which stop polling, flush the outbox and end it within 5 s: then the whole
 * process ends with status 0 without a return if a thread hangs; else GW_OK. SIGHUP loads the configuration again.
 * Errors: GW_E_NOMEM, GW_E_CONFIG (the MQTT settings are refused): logged; nothing runs any more.
 * Owns:   source is borrowed; config is taken over and goes back to source->free. version is for the log.
 * Thread: main, before any other one was started (the signals are blocked in all of them). */
GW_MUST_CHECK enum gw_err gw_supervisor_run(const struct gw_config_source *source,
                                            struct gw_config *config, const char *version);

#endif
