#include "gateway/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

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
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nowhere left to say it */
}
