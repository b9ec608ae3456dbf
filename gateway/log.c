#include "gateway/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024, RECENT_LINES = 200, RECENT_BYTES = 400 };

/* The last lines, for whoever looks at the gateway from outside. */
static struct {
    pthread_mutex_t lock;
    struct {
        enum gw_log_level level;
        int64_t wall_ms;
        char text[RECENT_BYTES];
    } lines[RECENT_LINES];
    size_t at, n;
} recent = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum gw_log_level log_level = GW_LOG_INFO;
static bool
    is_journal; /* systemd sets JOURNAL_STREAM: it adds the time, and reads <N> as the priority */

void gw_log_init(enum gw_log_level most_verbose)
{
    log_level = most_verbose;
    is_journal = getenv("JOURNAL_STREAM") != NULL;
}

static size_t put_head(char *line, size_t size, enum gw_log_level level)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};
    static const int priorities[] = {3, 4, 6, 7}; /* syslog.h */
    struct timespec now;
    struct tm tm;
    size_t n;

    if (is_journal)
        return (size_t)snprintf(line, size, "<%d>", priorities[level]);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    n = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n +
           (size_t)snprintf(line + n, size - n, ".%03ldZ %s ", now.tv_nsec / 1000000, words[level]);
}

static void remember(enum gw_log_level level, const char *text, size_t len)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (len >= RECENT_BYTES)
        for (len = RECENT_BYTES - 1; len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80; len--)
            ; /* not within a character */
    pthread_mutex_lock(&recent.lock);
    recent.lines[recent.at].level = level;
    recent.lines[recent.at].wall_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    memcpy(recent.lines[recent.at].text, text, len);
    recent.lines[recent.at].text[len] = '\0';
    recent.at = (recent.at + 1) % RECENT_LINES;
    if (recent.n < RECENT_LINES)
        recent.n++;
    pthread_mutex_unlock(&recent.lock);
}

void gw_log_each_recent(void (*visit)(void *ctx, enum gw_log_level level, int64_t wall_ms,
                                      const char *text),
                        void *ctx)
{
    pthread_mutex_lock(&recent.lock);
    for (size_t i = 0; i < recent.n; i++) {
        size_t k = (recent.at + RECENT_LINES - recent.n + i) % RECENT_LINES;

        visit(ctx, recent.lines[k].level, recent.lines[k].wall_ms, recent.lines[k].text);
    }
    pthread_mutex_unlock(&recent.lock);
}

void gw_log(enum gw_log_level level, const char *subject, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    size_t head, n;
    int len;
    va_list args;

    if (level > log_level)
        return;
    head = n = put_head(line, sizeof line, level);
    if (subject)
        n += (size_t)snprintf(line + n, sizeof line / 2 - n, "%s: ", subject);
    if (n >= sizeof line / 2)
        n = sizeof line / 2 - 1;
    va_start(args, fmt);
    len = vsnprintf(line + n, sizeof line - n - 1, fmt, args);
    va_end(args);
    n += len < 0 ? 0 : (size_t)len;
    if (n > sizeof line - 2)
        n = sizeof line - 2;
    for (size_t i = head; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    remember(level, line + head, n - head);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere left to say it */
}
