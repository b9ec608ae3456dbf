/* key_text: a key of a table in words, for help, manual and editors. Pure. */
#ifndef GW_KEY_TEXT_H
#define GW_KEY_TEXT_H

#include "gateway/driver.h"

enum { GW_KEY_WORDS = 2048 };

/* Says what may be written: "true or false", "1-247", "number 0-2", "none | even | odd", "duration 1ms-10m",
 * "text of up to 64 bytes". Both return buf. */
const char *gw_key_values(const struct gw_key *key, char buf[GW_KEY_WORDS]);

/* The help in one paragraph, with the values and what each choice means. */
const char *gw_key_description(const struct gw_key *key, char buf[GW_KEY_WORDS]);

/* "baud rate", "registers", ... of a number; empty where the type says it or there is none. */
const char *gw_key_unit(const struct gw_key *key);

#endif
