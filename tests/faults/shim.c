/* shim: stands between a program and its system (LD_PRELOAD) and lets it fail on demand: the wall clock jumps, names are not
 * found for a while, memory runs out at one call, a disk gives errors. Needs no root and no package. What is to fail stands in
 * a file that tests/e2e/shim.py writes while the program runs, and that counts the calls. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Also in shim.py, in this order. */
struct control {
    int64_t wall_offset_ms; /* added to what clocks of the wall show */
    int64_t
        dns_hang_ms; /* so long each question for a name takes, which then has no answer; 0: as ever */
    int64_t dns_begun, dns_ended;
    int64_t io_errno, io_from, io_until; /* calls from-until of the disk fail with this; 0: none */
    int64_t io_calls, io_failed;         /* of outbox files only */
    int64_t alloc_at;                    /* this call for memory fails; 0: none */
    int64_t
        alloc_everywhere; /* 0: counted are calls of the program itself; 1: of its libraries too */
    int64_t alloc_calls, alloc_failed;
    int64_t heap_asked, heap_answered; /* asked by one more, it is answered with */
    int64_t heap_bytes;                /* what is allocated now */
};

static struct control nothing, *control = &nothing;
static uintptr_t program_begin, program_end;
static bool is_over; /* main() has returned: what a compiler adds to the end is not the program's */
static int (*real_main)(int, char **, char **);

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static int find_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size, (void)ctx;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
            program_begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            program_end = program_begin + info->dlpi_phdr[i].p_memsz;
        }
    return 1; /* the first is the program */
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FIELD2MQTT_SHIM");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    dl_iterate_phdr(find_program, NULL);
    if (fd < 0)
        return;
    at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        control = at;
}

static int watched_main(int argc, char **argv, char **environment)
{
    const int rc = real_main(argc, argv, environment);

    __atomic_store_n(&is_over, true, __ATOMIC_SEQ_CST);
    return rc;
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
    int (*real)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *) = dlsym(RTLD_NEXT, "__libc_start_main");

    real_main = main;
    return real(watched_main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* ---- clocks ---------------------------------------------------------------------------------------- */

static void move(struct timespec *time, int64_t by_ms)
{
    const int64_t ns = time->tv_nsec + by_ms % 1000 * 1000000;

    time->tv_sec += by_ms / 1000 + (ns < 0 ? -1 : ns >= 1000000000 ? 1 : 0);
    time->tv_nsec = ns < 0 ? ns + 1000000000 : ns >= 1000000000 ? ns - 1000000000 : ns;
}

/* Called where every thread passes all the time. */
static void answer_for_heap(void)
{
    const int64_t asked = __atomic_load_n(&control->heap_asked, __ATOMIC_SEQ_CST);

    if (asked == __atomic_load_n(&control->heap_answered, __ATOMIC_SEQ_CST))
        return;
    const struct mallinfo2 info = mallinfo2(); /* of all arenas */
    control->heap_bytes = (int64_t)(info.uordblks + info.hblkhd);
    __atomic_store_n(&control->heap_answered, asked, __ATOMIC_SEQ_CST);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    answer_for_heap();
    int rc = (int)syscall(SYS_clock_gettime, clock, time);

    if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        move(time, control->wall_offset_ms);
    return rc;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_time)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

/* The kernel waits by its own clock. A time of the monotonic one is small. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec own = *until;

    if (!real)
        real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real)
        real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (control->wall_offset_ms && until->tv_sec > 1000000000)
        move(&own, -control->wall_offset_ms);
    return real(cond, mutex, &own);
}

/* ---- names ----------------------------------------------------------------------------------------- */

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict ret_list)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    const int64_t ms = control->dns_hang_ms;

    if (!real)
        real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (ms == 0 || !node || strspn(node, "0123456789.:") == strlen(node) ||
        (hints && hints->ai_flags & AI_NUMERICHOST))
        return real(node, service, hints, ret_list);
    __atomic_add_fetch(&control->dns_begun, 1, __ATOMIC_SEQ_CST);
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
    __atomic_add_fetch(&control->dns_ended, 1, __ATOMIC_SEQ_CST);
    return EAI_AGAIN;
}

/* ---- the disk -------------------------------------------------------------------------------------- */

static bool is_outbox(int fd)
{
    char link[40], path[512];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    return strstr(path, "outbox.db") != NULL;
}

static bool disk_fails(int fd)
{
    if (control == &nothing || !is_outbox(fd))
        return false;
    const int64_t call = __atomic_add_fetch(&control->io_calls, 1, __ATOMIC_SEQ_CST);
    if (control->io_errno == 0 || call < control->io_from || call > control->io_until)
        return false;
    __atomic_add_fetch(&control->io_failed, 1, __ATOMIC_SEQ_CST);
    errno = (int)control->io_errno;
    return true;
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return disk_fails(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return disk_fails(fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, n, at);
}

int fdatasync(int fd)
{
    return disk_fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return disk_fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

int ftruncate64(int fd, off64_t len)
{
    return disk_fails(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

/* ---- memory ---------------------------------------------------------------------------------------- */

static bool memory_fails(const void *caller)
{
    if (control == &nothing || __atomic_load_n(&is_over, __ATOMIC_SEQ_CST))
        return false;
    if (!control->alloc_everywhere &&
        ((uintptr_t)caller < program_begin || (uintptr_t)caller >= program_end))
        return false;
    if (__atomic_add_fetch(&control->alloc_calls, 1, __ATOMIC_SEQ_CST) != control->alloc_at)
        return false;
    __atomic_add_fetch(&control->alloc_failed, 1, __ATOMIC_SEQ_CST);
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    return memory_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}
