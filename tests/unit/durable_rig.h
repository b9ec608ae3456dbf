/* durable_rig: an outbox on disk whose writer is stepped by hand, with a clock that is turned by hand. */
#ifndef DURABLE_RIG_H
#define DURABLE_RIG_H

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/outbox_durable.h"
#include "tests/unit/random.h"

#define RIG __attribute__((unused)) static

static const int64_t rig_wall_ms = 1795000000000; /* November 2026 */

struct rig {
    char folder[64], path[128];
    struct gw_clock clock;
    int64_t now_us, wall_ms;
    struct gw_buffer_conf conf;
    struct gw_durable *self; /* NULL: not running */
    struct gw_outbox *outbox;
};

static int64_t rig_now_us(void *ctx)
{
    return ((struct rig *)ctx)->now_us;
}

static int64_t rig_wall(void *ctx)
{
    return ((struct rig *)ctx)->wall_ms;
}

RIG int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    snprintf(rig->folder, sizeof rig->folder, "/tmp/field2mqtt-test-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(rig->path, sizeof rig->path, "%s/outbox.db", rig->folder);
    rig->clock = (struct gw_clock){rig, rig_now_us, rig_wall};
    rig->now_us = 1000000000;
    rig->wall_ms = rig_wall_ms;
    rig->conf = (struct gw_buffer_conf){
        .durability = GW_DURABLE_ALWAYS,
        .path = rig->path,
        .max_bytes = 64 << 20,
        .max_age_us = 7 * 86400 * (int64_t)1000000,
        .commit_interval_us = 1000000,
        .drain_rate = {500, 500},
    };
    *state = rig;
    return 0;
}

RIG void rig_start(struct rig *rig)
{
    assert_int_equal(gw_durable_new(&rig->conf, &rig->clock, &rig->self), GW_OK);
    rig->outbox = &rig->self->base;
}

RIG void rig_stop(struct rig *rig)
{
    gw_outbox_free(rig->outbox);
    rig->outbox = NULL;
    rig->self = NULL;
}

/* Lets time pass, with the steps of the writer that fall into it. */
RIG void rig_pass_ms(struct rig *rig, int64_t ms)
{
    const int64_t until_us = rig->now_us + ms * 1000;

    for (int guard = 0; guard < 1000000; guard++) {
        const int64_t due_us = gw_durable_step(rig->self);

        if (due_us > until_us && !rig->self->has_to_refill && !rig->self->has_to_trim)
            break;
        if (due_us > rig->now_us && due_us <= until_us) {
            rig->wall_ms += (due_us - rig->now_us) / 1000;
            rig->now_us = due_us;
        }
    }
    rig->wall_ms += (until_us - rig->now_us) / 1000;
    rig->now_us = until_us;
    gw_durable_step(rig->self);
}

RIG enum gw_err rig_put_on(struct rig *rig, const char *topic, const char *payload)
{
    return rig->outbox->ops->put(rig->outbox, &(struct gw_message){
                                                  .topic = topic,
                                                  .payload = payload,
                                                  .payload_len = strlen(payload),
                                                  .qos = 1,
                                                  .retain = payload[0] == 'r',
                                                  .acquired_wall_ms = rig->wall_ms,
                                              });
}

RIG void rig_put(struct rig *rig, const char *payload)
{
    assert_int_equal(rig_put_on(rig, "plant/tank/level", payload), GW_OK);
}

RIG void rig_put_number(struct rig *rig, int number)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    rig_put(rig, text);
}

/* Takes the next message, which may have to be read first; its number. */
RIG uint64_t rig_next(struct rig *rig, const char *payload)
{
    struct gw_message message;

    enum gw_err err = rig->outbox->ops->next(rig->outbox, &message);
    if (err == GW_E_CLOSED) {
        gw_durable_step(rig->self);
        err = rig->outbox->ops->next(rig->outbox, &message);
    }
    assert_int_equal(err, GW_OK);
    if (message.payload_len != strlen(payload) ||
        memcmp(message.payload, payload, message.payload_len) != 0)
        fail_msg("next is %.*s instead of %s", (int)message.payload_len,
                 (const char *)message.payload, payload);
    return message.seq;
}

RIG uint64_t rig_next_number(struct rig *rig, int number)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    return rig_next(rig, text);
}

RIG void rig_nothing(struct rig *rig)
{
    struct gw_message message;

    assert_int_equal(rig->outbox->ops->next(rig->outbox, &message), GW_E_CLOSED);
}

RIG void rig_ack(struct rig *rig, uint64_t seq)
{
    rig->outbox->ops->ack(rig->outbox, seq);
}

RIG void rig_link(struct rig *rig, bool is_up)
{
    if (!is_up)
        rig->outbox->ops->rewind(rig->outbox);
    rig->outbox->ops->link(rig->outbox, is_up);
}

RIG struct gw_outbox_stats rig_stats(struct rig *rig)
{
    struct gw_outbox_stats stats;

    rig->outbox->ops->stats(rig->outbox, &stats);
    return stats;
}

RIG bool rig_is_readable(struct rig *rig)
{
    struct pollfd fd = {.fd = rig->outbox->event_fd, .events = POLLIN};
    uint64_t n;

    if (poll(&fd, 1, 0) != 1)
        return false;
    assert_int_equal(read(rig->outbox->event_fd, &n, sizeof n), sizeof n);
    return true;
}

/* ---- files ---- */

RIG void rig_copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb"), *out;
    char bytes[65536];
    size_t n;

    if (!in) {
        unlink(to);
        return;
    }
    out = fopen(to, "wb");
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof bytes, in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* What kill -9 or a power loss leaves behind: file and log as they are. */
RIG void rig_snapshot(const struct rig *rig, const char *to)
{
    char from_log[200], to_log[200];

    snprintf(from_log, sizeof from_log, "%s-wal", rig->path);
    snprintf(to_log, sizeof to_log, "%s-wal", to);
    rig_copy_file(rig->path, to);
    rig_copy_file(from_log, to_log);
}

RIG void rig_kill(struct rig *rig)
{
    char copy[160], log[170], path_log[170];

    snprintf(copy, sizeof copy, "%s/killed", rig->folder);
    snprintf(log, sizeof log, "%s-wal", copy);
    snprintf(path_log, sizeof path_log, "%s-wal", rig->path);
    rig_snapshot(rig, copy);
    rig_stop(rig);
    rig_copy_file(copy, rig->path);
    rig_copy_file(log, path_log);
    unlink(copy);
    unlink(log);
}

/* How many files begin with outbox.db.WORD. */
RIG int rig_count_asides(const struct rig *rig, const char *word)
{
    DIR *folder = opendir(rig->folder);
    char prefix[64];
    int n = 0;

    snprintf(prefix, sizeof prefix, "outbox.db.%s-", word);
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && !strstr(entry->d_name, "-wal");
    closedir(folder);
    return n;
}

RIG void rig_empty_folder(const char *name)
{
    DIR *folder = opendir(name);
    char path[400];

    for (const struct dirent *entry; (entry = readdir(folder));) {
        snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0) {
            rig_empty_folder(path);
            rmdir(path);
        }
    }
    closedir(folder);
}

RIG int rig_teardown(void **state)
{
    struct rig *rig = *state;

    if (rig->outbox)
        rig_stop(rig);
    chmod(rig->folder, 0700);
    rig_empty_folder(rig->folder);
    rmdir(rig->folder);
    free(rig);
    return 0;
}

#endif
