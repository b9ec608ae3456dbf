/* key_reference: the tables of keys as text: the help of a driver in a terminal, and the manual's reference of all keys. */
#ifndef GW_KEY_REFERENCE_H
#define GW_KEY_REFERENCE_H

#include <stdio.h>

#include "gateway/schema.h"

/* Prints a driver's keys for a terminal of 96 columns. */
void gw_print_driver_keys(const struct gw_driver *driver, FILE *out);

/* Prints the reference of all sections and drivers as Markdown. */
void gw_print_reference(const struct gw_driver *const *drivers, size_t n_drivers, FILE *out);

#endif
