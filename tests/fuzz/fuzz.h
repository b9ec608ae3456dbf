/* What all fuzz targets need. A target gives bytes to one parser and asserts what must hold whatever they are. */
#ifndef FUZZ_H
#define FUZZ_H

#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly this size on the heap, so that ASan sees a read beyond its end; with a NUL behind it for texts. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size, size_t n_nul)
{
    uint8_t *copy = calloc(1, size + n_nul ? size + n_nul : 1);

    assert(copy);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

/* The bytes as a file; always the same name, since names are kept for the life of the process. */
static inline const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char name[64];
    static int fd = -1;

    if (fd < 0) {
        const char digits[] = "0123456789";
        fd = memfd_create("fuzz", 0);
        assert(fd >= 0 && fd < 10);
        memcpy(name, "/proc/self/fd/?", 16);
        name[14] = digits[fd];
    }
    assert(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
    return name;
}

#endif
