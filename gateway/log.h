/* log: one line per event to stderr; the journal takes the level from the <N> in front of it.
 * Log transitions, not repetitions. Who logs: bus, publisher, supervisor, the verbs. Everything below returns errors. */
#ifndef GW_LOG_H
#define GW_LOG_H

#include <stdint.h>

#include "gateway/err.h"

enum gw_log_level { GW_LOG_ERROR, GW_LOG_WARN, GW_LOG_INFO, GW_LOG_DEBUG };

/* Sets what is written from now on; default GW_LOG_INFO. Not thread-safe: call before threads start. */
void gw_log_init(enum gw_log_level most_verbose);

/* Writes one line, "subject: sentence"; subject may be NULL.
 * Thread: any. One write(2) for a line, so lines of threads do not mix. Control characters become '?'. */
void gw_log(enum gw_log_level level, const char *subject, const char *fmt, ...) GW_PRINTF(3, 4);

/* Hands over the last lines that were written (200 at most), oldest first. Thread: any; visit must not log. */
void gw_log_each_recent(void (*visit)(void *ctx, enum gw_log_level level, int64_t wall_ms,
                                      const char *text),
                        void *ctx);

#endif
