/* config_words: a bus without devices from words of the command line, for verbs that need a port and no configuration. */
#ifndef GW_CONFIG_WORDS_H
#define GW_CONFIG_WORDS_H

#include "gateway/config.h"

/* Makes a configuration of one bus of the driver, with no devices, from words KEY=VALUE that are keys of its bus. A word
 * that is no KEY=VALUE is the address: the value of the driver's first key that says where the hardware is.
 * Errors: GW_E_CONFIG with all mistakes added to diags.
 * Owns:   *ret_config by the caller, gw_config_free; words and driver are borrowed until then. */
GW_MUST_CHECK enum gw_err gw_config_of_words(const struct gw_driver *driver,
                                             const char *const *words, size_t n_words,
                                             struct gw_diags *diags, struct gw_config **ret_config);

#endif
