/* cmd_monitor_screen: the terminal of `field2mqtt monitor`. Source of the codes: ECMA-48; xterm, "Control Sequences". */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "gateway/cmd_monitor.h"

enum { NAME_MIN = 24, VALUE_COLUMNS = 24, QUALITY_COLUMNS = 24, AGE_COLUMNS = 9, HEAD_LINES = 3 };

static struct termios before;
static bool is_begun;

void gw_monitor_screen_begin(void)
{
    struct termios raw;

    if (tcgetattr(STDIN_FILENO, &before) == 0) {
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        is_begun = true;
    }
    fputs("\033[?1049h\033[?25l", stdout); /* another screen, no cursor */
}

void gw_monitor_screen_end(void)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    if (is_begun)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* Writes at most `columns` characters, filled up with spaces. What a device says must not move the cursor. */
static void put_cell(const char *text, int columns)
{
    int n = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c && n < columns; n++) {
        putchar(*c < 0x20 || *c == 0x7f ? '?' : *c);
        for (c++; (*c & 0xC0) == 0x80; c++) /* the rest of a character */
            putchar(*c);
    }
    for (; n < columns; n++)
        putchar(' ');
}

static void print_age(char text[16], int64_t wall_ms)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t s10 = ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - wall_ms) / 100;
    if (s10 < 0)
        s10 = 0;
    if (wall_ms == 0)
        snprintf(text, 16, "never");
    else if (s10 < 1000)
        snprintf(text, 16, "%lld.%lld s", (long long)(s10 / 10), (long long)(s10 % 10));
    else if (s10 < 72000)
        snprintf(text, 16, "%lld min", (long long)(s10 / 600));
    else
        snprintf(text, 16, "%lld h", (long long)(s10 / 36000));
}

static void put_row(const struct gw_monitor_row *row, int name_columns)
{
    char age[16];

    print_age(age, row->wall_ms);
    fputs(row->is_good ? "" : "\033[31m", stdout);
    put_cell(row->name, name_columns);
    putchar(' ');
    put_cell(row->is_good ? row->value : "-", VALUE_COLUMNS);
    putchar(' ');
    put_cell(row->is_good ? "good" : row->reason, QUALITY_COLUMNS);
    putchar(' ');
    put_cell(age, AGE_COLUMNS);
    fputs(row->is_good ? "\033[K\n" : "\033[0m\033[K\n", stdout);
}

void gw_monitor_screen_draw(const char *url, const struct gw_monitor_view *view,
                            const struct gw_monitor_row *rows, size_t n, size_t *first,
                            const char *error)
{
    static const char *const orders[] = {"as configured", "by name", "oldest first"};
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    size_t n_bad = 0;

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    const size_t n_lines = size.ws_row > HEAD_LINES + 1 ? size.ws_row - HEAD_LINES - 1u : 1;
    int name_columns = size.ws_col - VALUE_COLUMNS - QUALITY_COLUMNS - AGE_COLUMNS - 4;
    if (name_columns < NAME_MIN)
        name_columns = NAME_MIN;
    for (size_t i = 0; i < n; i++)
        n_bad += !rows[i].is_good;
    if (*first + n_lines > n)
        *first = n > n_lines ? n - n_lines : 0;
    printf("\033[H\033[1m%s\033[0m  %zu points, %zu bad, %s%s\033[K\n", url, n, n_bad,
           orders[view->order], view->bad_only ? ", bad only" : "");
    printf("%s%s%s\033[K\n\033[7m", error ? "\033[31m" : "",
           error ? error : "q quit  b bad only  s sort  arrows and page keys",
           error ? "\033[0m" : "");
    put_cell("POINT", name_columns + 1);
    put_cell("VALUE", VALUE_COLUMNS + 1);
    put_cell("QUALITY", QUALITY_COLUMNS + 1);
    put_cell("AGE", AGE_COLUMNS);
    fputs("\033[0m\033[K\n", stdout);
    for (size_t i = *first; i < n && i < *first + n_lines; i++)
        put_row(&rows[i], name_columns);
    fputs("\033[J", stdout);
    fflush(stdout);
}

int gw_monitor_screen_key(int timeout_ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char keys[8] = "";

    if (poll(&in, 1, timeout_ms) <= 0 || !(in.revents & POLLIN))
        return 0;
    ssize_t n = read(STDIN_FILENO, keys, sizeof keys - 1);
    if (n <= 0)
        return 'q'; /* the terminal is gone */
    if (keys[0] != '\033')
        return keys[0];
    return strcmp(keys + 1, "[A") == 0    ? 'k'
           : strcmp(keys + 1, "[B") == 0  ? 'j'
           : strcmp(keys + 1, "[5~") == 0 ? 'u'
           : strcmp(keys + 1, "[6~") == 0 ? 'd'
                                          : 0;
}
