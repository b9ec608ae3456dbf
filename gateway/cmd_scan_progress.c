/* cmd_scan_progress: how far a scan is, and how long it still takes. Predicted from the time that silence takes, and
 * corrected by how long it really took so far. */
#include <string.h>
#include <unistd.h>

#include "gateway/clock.h"
#include "gateway/cmd_scan.h"
#include "gateway/duration.h"

enum { TERMINAL_US = 100000, LINES_US = 15000000, TRUST_US = 2000000 };

int64_t gw_scan_now_us(void)
{
    return gw_now_us(&gw_system_clock);
}

static void clear_line(struct gw_scan *scan)
{
    if (scan->progress.is_line_open)
        fputs("\r\033[K", stderr);
    scan->progress.is_line_open = false;
}

static const char *left(const struct gw_scan *scan, char text[GW_DURATION_TEXT])
{
    int64_t took_us = gw_scan_now_us() - scan->progress.start_us - scan->progress.aside_us;
    double left_us = (double)(scan->progress.total_us - scan->progress.done_us);

    if (scan->progress.done_us > TRUST_US)
        left_us *= (double)took_us / (double)scan->progress.done_us;
    /* In whole seconds: it is an estimate. */
    return gw_duration_print(left_us > 0 ? ((int64_t)(left_us / 1e6) + 1) * 1000000 : 0, text);
}

void gw_scan_progress_begin(struct gw_scan *scan)
{
    char time_text[GW_DURATION_TEXT];

    scan->progress.is_terminal = isatty(STDERR_FILENO);
    scan->progress.start_us = gw_scan_now_us();
    fprintf(stderr, "asking %zu %s%s", scan->n_addresses, scan->driver->scan->address_key,
            scan->n_addresses == 1 ? "" : "s");
    if (scan->n_settings > 1)
        fprintf(stderr, " at %zu settings of the line%s", scan->n_settings,
                scan->has_all_settings ? "" : ", until one is found at which somebody answers");
    fprintf(stderr, ": about %s if nobody answers; Ctrl-C ends it with what was found\n",
            left(scan, time_text));
}

void gw_scan_progress_pass(struct gw_scan *scan, const struct gw_scan_setting *setting,
                           unsigned question)
{
    char name[80], time_text[GW_DURATION_TEXT];

    gw_scan_setting_name(setting, name);
    scan->progress.told_us = gw_scan_now_us();
    if (scan->progress.is_terminal)
        return;
    fprintf(stderr, "%s%squestion %u of %u, %zu found, about %s left\n", name, *name ? ": " : "",
            question + 1, scan->is_quick ? 1 : scan->driver->scan->n_questions, scan->n_found,
            left(scan, time_text));
}

void gw_scan_progress_at(struct gw_scan *scan, const struct gw_scan_setting *setting,
                         uint16_t address)
{
    char name[80], time_text[GW_DURATION_TEXT];
    int64_t now_us = gw_scan_now_us();

    if (now_us - scan->progress.told_us < (scan->progress.is_terminal ? TERMINAL_US : LINES_US))
        return;
    scan->progress.told_us = now_us;
    clear_line(scan);
    gw_scan_setting_name(setting, name);
    fprintf(stderr, "%s%s%s %u: %d %%, %zu found, about %s left%s", name, *name ? ", " : "",
            scan->driver->scan->address_key, address,
            (int)(100 * scan->progress.done_us / (scan->progress.total_us + 1)), scan->n_found,
            left(scan, time_text), scan->progress.is_terminal ? "" : "\n");
    fflush(stderr);
    scan->progress.is_line_open = scan->progress.is_terminal;
}

void gw_scan_progress_found(struct gw_scan *scan, const struct gw_scan_setting *setting,
                            const struct gw_scan_device *device)
{
    char name[80];

    clear_line(scan);
    gw_scan_setting_name(setting, name);
    fprintf(stderr, "%s%s%s %u answers%s%s\n", name, *name ? ": " : "",
            scan->driver->scan->address_key, device->address,
            device->probed.refusal ? ", and refuses: " : "",
            device->probed.refusal ? device->probed.reason : "");
}

void gw_scan_progress_end(struct gw_scan *scan)
{
    clear_line(scan);
    if (scan->is_stopped)
        fprintf(stderr, "stopped\n");
}
