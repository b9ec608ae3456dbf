#include "gateway/readable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool gw_are_readable(const char *const *files, size_t n_files, char *ret_text, size_t text_size)
{
    for (size_t i = 0; i < n_files; i++) {
        if (!files[i])
            continue;
        const int fd = open(files[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            snprintf(ret_text, text_size, "%s: %s", files[i], strerror(errno));
            return false;
        }
        close(fd);
    }
    return true;
}
