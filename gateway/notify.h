/* notify: what the service manager is told. Knows systemd, and that there may be none: then nothing happens. */
#ifndef GW_NOTIFY_H
#define GW_NOTIFY_H

#include <stdint.h>

#include "gateway/err.h"

/* Ready: started, or a reload is over. */
void gw_notify_ready(void);
void gw_notify_reloading(void);
void gw_notify_stopping(void);
/* One line for `systemctl status`. */
void gw_notify_status(const char *fmt, ...) GW_PRINTF(1, 2);

/* How often the service manager wants to hear that all is well, at the least; 0: never. */
int64_t gw_notify_watchdog_us(void);
void gw_notify_alive(void);

#endif
