/* fault_vfs: the file system as SQLite sees it, failing on demand: at the n-th call, or from now on. */
#ifndef FAULT_VFS_H
#define FAULT_VFS_H

#include <sqlite3.h>
#include <string.h>

static struct {
    sqlite3_vfs vfs, *real;
    long n_calls;              /* that change or read files, since the count was reset */
    long fail_at;              /* this one fails; 0: none */
    long n_failed;             /* ever */
    int code;                  /* with this */
    int writes_code;           /* all writes fail with this; 0: they work */
    int reads_code;            /* and all reads */
    void (*before)(void *ctx); /* called in front of that call, which then works; NULL: it fails */
    void *before_ctx;
} faults;

struct fault_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static int fault_here(int all_code)
{
    if (++faults.n_calls == faults.fail_at && faults.before) {
        faults.before(faults.before_ctx);
    } else if (faults.n_calls == faults.fail_at) {
        faults.n_failed++;
        return faults.code;
    }
    if (all_code)
        faults.n_failed++;
    return all_code;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct fault_file *)(void *)file)->real;
}

static int fault_close(sqlite3_file *file)
{
    return real_of(file)->pMethods ? real_of(file)->pMethods->xClose(real_of(file)) : SQLITE_OK;
}

static int fault_read(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
    const int code = fault_here(faults.reads_code);

    return code ? code : real_of(file)->pMethods->xRead(real_of(file), bytes, n, at);
}

static int fault_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
    const int code = fault_here(faults.writes_code);

    /* A disk that fails in the midst of a write leaves a part of it. */
    if (code && code != SQLITE_FULL && n > 1)
        real_of(file)->pMethods->xWrite(real_of(file), bytes, n / 2, at);
    return code ? code : real_of(file)->pMethods->xWrite(real_of(file), bytes, n, at);
}

static int fault_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    const int code = fault_here(faults.writes_code);

    return code ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int fault_sync(sqlite3_file *file, int flags)
{
    const int code = fault_here(faults.writes_code == SQLITE_FULL ? 0 : faults.writes_code);

    return code ? code : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int fault_size(sqlite3_file *file, sqlite3_int64 *size)
{
    const int code = fault_here(0);

    return code ? code : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int fault_lock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xLock(real_of(file), lock);
}

static int fault_unlock(sqlite3_file *file, int lock)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), lock);
}

static int fault_reserved(sqlite3_file *file, int *is_reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), is_reserved);
}

static int fault_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int fault_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int fault_device(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                      int *ret_flags)
{
    static const sqlite3_io_methods methods = {
        1,
        fault_close,
        fault_read,
        fault_write,
        fault_truncate,
        fault_sync,
        fault_size,
        fault_lock,
        fault_unlock,
        fault_reserved,
        fault_control,
        fault_sector,
        fault_device,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
    };
    struct fault_file *self = (struct fault_file *)(void *)file;
    const int code = fault_here(0);

    (void)vfs;
    memset(self, 0, sizeof *self);
    if (code)
        return SQLITE_CANTOPEN;
    self->real = (sqlite3_file *)(void *)(self + 1);
    const int rc = faults.real->xOpen(faults.real, name, self->real, flags, ret_flags);
    self->base.pMethods = self->real->pMethods ? &methods : NULL;
    return rc;
}

static int fault_delete(sqlite3_vfs *vfs, const char *name, int has_to_sync)
{
    const int code = fault_here(0);

    (void)vfs;
    return code ? SQLITE_IOERR_DELETE : faults.real->xDelete(faults.real, name, has_to_sync);
}

/* From now on all files of SQLite are opened through here. */
static int fault_vfs_install(void **state)
{
    (void)state;
    faults.real = sqlite3_vfs_find(NULL);
    faults.vfs = *faults.real;
    faults.vfs.zName = "faults";
    faults.vfs.szOsFile = (int)sizeof(struct fault_file) + faults.real->szOsFile;
    faults.vfs.xOpen = fault_open;
    faults.vfs.xDelete = fault_delete;
    return sqlite3_vfs_register(&faults.vfs, 1);
}

static void fault_none(void)
{
    faults.fail_at = faults.n_failed = faults.n_calls = 0;
    faults.code = faults.writes_code = faults.reads_code = 0;
    faults.before = NULL;
}

#endif
