/* readable: finds the file that cannot be read, before a library fails over it without saying which. */
#ifndef GW_READABLE_H
#define GW_READABLE_H

#include <stdbool.h>
#include <stddef.h>

/* Opens each file (NULL ones are skipped). Gives false with "NAME: why" in ret_text at the first that fails. */
bool gw_are_readable(const char *const *files, size_t n_files, char *ret_text, size_t text_size);

#endif
