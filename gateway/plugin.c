/* plugin: the shared objects of one folder as driver tables. Only file that includes dlfcn.h.
 *
 * DESIGN: a plug-in is code of ours once it is loaded, so what may be loaded is checked before: a regular file that
 * nobody but root or this user can have written. A damaged file can kill the process inside dlopen (a truncated one
 * does, with SIGBUS), so each file is first tried in a child process that loads and checks it just as the parent
 * will; a child that dies is a sentence like any other. Runs before any thread is started. */
#include "gateway/plugin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PLUGINS_MAX = 64,  /* files of a folder */
    DRIVERS_MAX = 128, /* of all plug-ins */
    NAME_MAX_LEN = 64,
    SENTENCE_MAX = 640,
    TRIAL_MS = 10000, /* a plug-in that takes longer to load hangs */
};

struct gw_plugins {
    const struct gw_driver *drivers[DRIVERS_MAX];
    char files[DRIVERS_MAX][NAME_MAX_LEN + 4]; /* which file each is from */
    size_t n_drivers;
};

/* ---- one plug-in ----------------------------------------------------------------------------------- */

/* What dlerror says, without the path in front that we say ourselves. */
static const char *load_error(const char *path)
{
    const char *text = dlerror();
    size_t len = strlen(path);

    if (!text)
        return "cannot be loaded";
    if (strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        return text + len + 2;
    return text;
}

/* Checks what all plug-ins have in front: numbers that tell which header they were built with. */
static bool check_abi(const struct gw_plugin *plugin, char *sentence)
{
    const char *what = NULL;
    unsigned has = 0, want = 0;

    if (plugin->abi != GW_DRIVER_ABI)
        what = "ABI", has = plugin->abi, want = GW_DRIVER_ABI;
    else if (plugin->driver_size != sizeof(struct gw_driver))
        what = "a driver table of size", has = plugin->driver_size, want = sizeof(struct gw_driver);
    else if (plugin->key_size != sizeof(struct gw_key))
        what = "key tables of size", has = plugin->key_size, want = sizeof(struct gw_key);
    if (!what)
        return true;
    snprintf(sentence, SENTENCE_MAX,
             "has %s %u, this gateway takes %u; build it again with this gateway's driver.h", what,
             has, want);
    return false;
}

static bool check_drivers(const struct gw_plugin *plugin, char *sentence)
{
    if (!plugin->drivers || !plugin->drivers[0]) {
        snprintf(sentence, SENTENCE_MAX, "holds no driver");
        return false;
    }
    for (size_t i = 0; plugin->drivers[i]; i++) {
        if (gw_driver_fault(plugin->drivers[i], sentence, SENTENCE_MAX))
            return false;
        for (size_t k = 0; k < i; k++)
            if (strcmp(plugin->drivers[k]->name, plugin->drivers[i]->name) == 0) {
                snprintf(sentence, SENTENCE_MAX, "driver \"%s\" stands in it twice",
                         plugin->drivers[i]->name);
                return false;
            }
    }
    return true;
}

/* Gives the table of a plug-in, or NULL with the sentence filled in. The object is never unmapped: text of its tables
 * may have been handed out. */
static const struct gw_plugin *load_object(const char *path, char *sentence)
{
    const struct gw_plugin *plugin;
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!object) {
        snprintf(sentence, SENTENCE_MAX, "%s", load_error(path));
        return NULL;
    }
    plugin = dlsym(object, GW_PLUGIN_SYMBOL);
    if (!plugin) {
        snprintf(sentence, SENTENCE_MAX, "has no symbol %s: it is not a plug-in of field2mqtt",
                 GW_PLUGIN_SYMBOL);
        return NULL;
    }
    return check_abi(plugin, sentence) && check_drivers(plugin, sentence) ? plugin : NULL;
}

/* ---- the trial in a child -------------------------------------------------------------------------- */

/* Writes '+' when the plug-in is good, else '-' and the sentence; nothing when it has killed us. */
static _Noreturn void try_object(const char *path, int fd)
{
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
    char sentence[SENTENCE_MAX + 1] = "+";
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core file of it */
    if (null >= 0) { /* what a sanitizer or a constructor prints is not for the user */
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++)
        signal(deadly[i], SIG_DFL);
    if (!load_object(path, sentence + 1))
        sentence[0] = '-';
    ssize_t written = write(fd, sentence, strlen(sentence));
    _exit(written > 0 ? 0 : 1);
}

/* Reads what the child says until it ends, hangs or has said more than a sentence. */
static size_t hear_child(int fd, char *buf, size_t size)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    size_t len = 0;
    ssize_t n = 1;

    while (n > 0 && len < size - 1) {
        int ready = poll(&waiting, 1, TRIAL_MS);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        n = read(fd, buf + len, size - 1 - len);
        if (n > 0)
            len += (size_t)n;
    }
    buf[len] = '\0';
    return n == 0 ? len : 0; /* without its end it is not the whole sentence */
}

static void end_child(pid_t child, char *sentence, size_t len)
{
    int status = 0;

    kill(child, SIGKILL); /* no harm when it has ended */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (len != 0)
        return;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        snprintf(sentence, SENTENCE_MAX, "hangs when it is loaded");
    else if (WIFSIGNALED(status))
        snprintf(sentence, SENTENCE_MAX, "is damaged: loading it dies of \"%s\"",
                 strsignal(WTERMSIG(status)));
    else
        snprintf(sentence, SENTENCE_MAX, "is damaged: loading it ends the program");
}

static bool survives_trial(const char *path, char *sentence)
{
    char heard[SENTENCE_MAX + 1];
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0) {
        snprintf(sentence, SENTENCE_MAX, "cannot be tried: %s", strerror(errno));
        return false;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        try_object(path, fds[1]);
    close(fds[1]);
    if (child < 0) {
        snprintf(sentence, SENTENCE_MAX, "cannot be tried: %s", strerror(errno));
        close(fds[0]);
        return false;
    }
    size_t len = hear_child(fds[0], heard, sizeof heard);
    close(fds[0]);
    end_child(child, sentence, len);
    if (len != 0 && heard[0] == '-')
        snprintf(sentence, SENTENCE_MAX, "%s", heard + 1);
    return len != 0 && heard[0] == '+';
}

/* ---- the folder ------------------------------------------------------------------------------------ */

/* Nobody but root and this user may have written it. A folder may be shared with a group: the files count. */
static bool is_trusted(const struct stat *info, mode_t forbidden, char *sentence)
{
    if (info->st_uid != 0 && info->st_uid != geteuid()) {
        snprintf(sentence, SENTENCE_MAX,
                 "belongs to user %lu, neither to root nor to the user of this gateway",
                 (unsigned long)info->st_uid);
        return false;
    }
    if (info->st_mode & forbidden) {
        snprintf(sentence, SENTENCE_MAX, "can be written by others (mode %04o)",
                 (unsigned)(info->st_mode & 07777));
        return false;
    }
    return true;
}

static bool check_file(const char *path, const char *name, char *sentence)
{
    struct stat info;
    size_t len = strlen(name) - 3; /* without ".so" */

    if (len == 0 || len > NAME_MAX_LEN ||
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len) {
        snprintf(sentence, SENTENCE_MAX, "is not called NAME.so with a name of a-z 0-9 _ -");
        return false;
    }
    if (lstat(path, &info) != 0) {
        snprintf(sentence, SENTENCE_MAX, "%s", strerror(errno));
        return false;
    }
    if (!S_ISREG(info.st_mode)) {
        snprintf(sentence, SENTENCE_MAX, "is not a regular file");
        return false;
    }
    return is_trusted(&info, S_IWGRP | S_IWOTH, sentence);
}

static bool check_duplicates(const struct gw_plugins *plugins, const struct gw_plugin *plugin,
                             char *sentence)
{
    size_t n = 0;

    for (; plugin->drivers[n]; n++)
        for (size_t k = 0; k < plugins->n_drivers; k++)
            if (strcmp(plugins->drivers[k]->name, plugin->drivers[n]->name) == 0) {
                snprintf(sentence, SENTENCE_MAX, "driver \"%s\" is already in %s",
                         plugin->drivers[n]->name, plugins->files[k]);
                return false;
            }
    if (plugins->n_drivers + n <= DRIVERS_MAX)
        return true;
    snprintf(sentence, SENTENCE_MAX, "is left out: more than %d drivers", DRIVERS_MAX);
    return false;
}

static bool load_file(struct gw_plugins *plugins, const char *path, const char *name,
                      char *sentence)
{
    if (!check_file(path, name, sentence) || !survives_trial(path, sentence))
        return false;
    const struct gw_plugin *plugin = load_object(path, sentence);
    if (!plugin || !check_duplicates(plugins, plugin, sentence))
        return false;
    for (size_t i = 0; plugin->drivers[i]; i++) {
        snprintf(plugins->files[plugins->n_drivers], sizeof plugins->files[0], "%.*s",
                 NAME_MAX_LEN + 3, name);
        plugins->drivers[plugins->n_drivers++] = plugin->drivers[i];
    }
    return true;
}

static int is_object(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return len >= 3 && strcmp(entry->d_name + len - 3, ".so") == 0;
}

static bool check_folder(const char *dir, char *sentence)
{
    struct stat info;

    if (stat(dir, &info) != 0)
        snprintf(sentence, SENTENCE_MAX, "%s", strerror(errno));
    else if (!S_ISDIR(info.st_mode))
        snprintf(sentence, SENTENCE_MAX, "is not a folder");
    else
        return is_trusted(&info, S_IWOTH, sentence);
    return false;
}

struct teller {
    void (*problem)(void *ctx, const char *sentence);
    void *ctx;
};

static void tell(const struct teller *teller, const char *path, const char *sentence)
{
    char text[PATH_MAX + SENTENCE_MAX + 8];

    if (!teller->problem)
        return;
    snprintf(text, sizeof text, "%s: %s", path, sentence);
    teller->problem(teller->ctx, text);
}

static void load_entry(struct gw_plugins *plugins, const struct teller *teller, const char *dir,
                       const char *name)
{
    char path[PATH_MAX], sentence[SENTENCE_MAX] = "";

    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        tell(teller, dir, "is too long a name");
    else if (!load_file(plugins, path, name, sentence))
        tell(teller, path, sentence);
}

enum gw_err gw_plugins_load(const char *dir, void (*problem)(void *ctx, const char *sentence),
                            void *ctx, struct gw_plugins **ret_plugins)
{
    const struct teller teller = {problem, ctx};
    char sentence[SENTENCE_MAX] = "";
    struct dirent **entries;
    int n;

    if (!check_folder(dir, sentence) || (n = scandir(dir, &entries, is_object, alphasort)) < 0) {
        tell(&teller, dir, sentence[0] ? sentence : strerror(errno));
        return GW_E_CONFIG;
    }
    struct gw_plugins *plugins = calloc(1, sizeof *plugins);
    for (int i = 0; i < n; i++) {
        if (plugins && i < PLUGINS_MAX)
            load_entry(plugins, &teller, dir, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (n > PLUGINS_MAX)
        tell(&teller, dir, "holds more than 64 plug-ins; the rest is left out");
    if (!plugins)
        return GW_E_NOMEM;
    *ret_plugins = plugins;
    return GW_OK;
}

void gw_plugins_free(struct gw_plugins *plugins)
{
    free(plugins);
}

const struct gw_driver *gw_plugins_find(void *plugins, const char *name)
{
    const struct gw_plugins *all = plugins;

    for (size_t i = 0; i < all->n_drivers; i++)
        if (strcmp(all->drivers[i]->name, name) == 0)
            return all->drivers[i];
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t gw_plugins_names(void *plugins, const char **names, size_t max)
{
    const struct gw_plugins *all = plugins;
    const char *sorted[DRIVERS_MAX] = {NULL};
    size_t n = all->n_drivers < max ? all->n_drivers : max;

    for (size_t i = 0; i < all->n_drivers; i++)
        sorted[i] = all->drivers[i]->name;
    qsort(sorted, all->n_drivers, sizeof sorted[0], compare_names);
    memcpy(names, sorted, n * sizeof *names);
    return n;
}
