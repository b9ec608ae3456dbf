/* cmd_outbox: `field2mqtt outbox FILE`: what waits in the file of a gateway that is stopped. Only reads. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cmd.h"
#include "gateway/store.h"

struct report {
    uint64_t n, n_bytes, n_damaged, first_seq, last_seq;
    int64_t oldest_wall_ms, newest_wall_ms;
};

static bool add_up(void *ctx, uint64_t seq, const struct gw_record *record)
{
    struct report *report = ctx;

    if (report->n + report->n_damaged == 0)
        report->first_seq = seq;
    report->last_seq = seq;
    if (!record) {
        report->n_damaged++;
        return true;
    }
    if (report->n++ == 0)
        report->oldest_wall_ms = record->acquired_wall_ms;
    report->newest_wall_ms = record->acquired_wall_ms;
    report->n_bytes += record->topic_len + record->payload_len;
    return true;
}

static void print_report(const struct report *report)
{
    printf("messages  %" PRIu64 "\nbytes     %" PRIu64 "\ndamaged   %" PRIu64 "\n", report->n,
           report->n_bytes, report->n_damaged);
    if (report->n > 0)
        printf("numbers   %" PRIu64 " to %" PRIu64 "\nacquired  %" PRId64 " to %" PRId64
               " (ms since 1970)\n",
               report->first_seq, report->last_seq, report->oldest_wall_ms, report->newest_wall_ms);
}

/* As a JSON text. What is no UTF-8 is given as hexadecimal by the caller. */
static void print_text(const char *text, size_t len)
{
    putchar('"');
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static bool is_plain(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static bool print_line(void *ctx, uint64_t seq, const struct gw_record *record)
{
    (void)ctx;
    if (!record)
        printf("%" PRIu64 "  damaged\n", seq);
    else
        printf("%" PRIu64 "  %" PRId64 "  %.*s  %zu bytes, qos %d%s\n", seq,
               record->acquired_wall_ms, (int)record->topic_len, record->topic, record->payload_len,
               record->qos, record->retain ? ", retained" : "");
    return true;
}

static void print_bytes(const char *name, const char *bytes, size_t len)
{
    if (is_plain(bytes, len)) {
        printf(",\"%s\":", name);
        print_text(bytes, len);
        return;
    }
    printf(",\"%s_hex\":\"", name);
    for (size_t i = 0; i < len; i++)
        printf("%02x", (unsigned char)bytes[i]);
    putchar('"');
}

static bool print_json(void *ctx, uint64_t seq, const struct gw_record *record)
{
    (void)ctx;
    if (!record) {
        printf("{\"seq\":%" PRIu64 ",\"damaged\":true}\n", seq);
        return true;
    }
    printf("{\"seq\":%" PRIu64 ",\"acquired\":%" PRId64, seq, record->acquired_wall_ms);
    print_bytes("topic", record->topic, record->topic_len);
    printf(",\"qos\":%d,\"retain\":%s", record->qos, record->retain ? "true" : "false");
    print_bytes("payload", record->payload, record->payload_len);
    puts("}");
    return true;
}

static int fail(const char *path, enum gw_store_fault fault, const char *why)
{
    if (fault == GW_STORE_BUSY)
        fprintf(stderr, "field2mqtt outbox: a gateway is running on %s; stop it first\n", path);
    else
        fprintf(stderr, "field2mqtt outbox: %s cannot be read: %s\n", path, why);
    return GW_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    static const struct {
        const char *word;
        gw_store_visit *visit;
    } actions[] = {{"list", print_line}, {"export", print_json}};
    struct report report = {0};
    gw_store_visit *visit = add_up;
    struct gw_store *store;
    char why[GW_STORE_WHY];

    if (argc < 2 || argc > 3 || argv[1][0] == '-')
        return gw_cmd_usage(&gw_cmd_outbox, "it needs the file of an outbox");
    for (size_t i = 0; argc == 3 && i < 2; i++)
        if (strcmp(argv[2], actions[i].word) == 0)
            visit = actions[i].visit;
    if (argc == 3 && visit == add_up)
        return gw_cmd_usage(&gw_cmd_outbox, "%s is not list or export", argv[2]);
    enum gw_store_fault fault = gw_store_open(argv[1], true, 0, &store, why);
    if (fault != GW_STORE_OK)
        return fail(argv[1], fault, why);
    fault = gw_store_read(store, 0, INT64_MAX, visit, &report);
    if (fault == GW_STORE_OK && visit == add_up)
        print_report(&report);
    const int code = fault == GW_STORE_OK ? GW_EXIT_OK : fail(argv[1], fault, gw_store_why(store));
    gw_store_close(store);
    return code;
}

const struct gw_verb gw_cmd_outbox = {
    .name = "outbox",
    .usage = "outbox FILE [list | export]",
    .summary = "what waits for the broker in the file of a gateway that is stopped",
    .run = run,
};
