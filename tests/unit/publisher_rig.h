/* publisher_rig: what all tests of the publisher need around it: a log that can be waited for, and an outbox that
 * keeps everything in arrays. */
#ifndef PUBLISHER_RIG_H
#define PUBLISHER_RIG_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/clock.h"
#include "gateway/log.h"
#include "gateway/outbox.h"

#define RIG static __attribute__((unused))

enum { PATIENCE_MS = 20000 };

RIG int64_t rig_now_us(void)
{
    return gw_now_us(&gw_system_clock);
}

/* ---- the log ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t log_grew = PTHREAD_COND_INITIALIZER;
static char log_text[65536];

void gw_log(enum gw_log_level level, const char *subject, const char *fmt, ...)
{
    va_list args;
    char line[1024];

    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (getenv("RIG_SHOW_LOG"))
        fprintf(stderr, "# %d %s: %s\n", level, subject, line);
    pthread_mutex_lock(&log_lock);
    const size_t n = strlen(log_text);
    snprintf(log_text + n, sizeof log_text - n, "%s: %s\n", subject, line);
    pthread_cond_broadcast(&log_grew);
    pthread_mutex_unlock(&log_lock);
}

RIG int log_count(const char *part)
{
    int n = 0;

    pthread_mutex_lock(&log_lock);
    for (const char *at = log_text; (at = strstr(at, part)) != NULL; at++)
        n++;
    pthread_mutex_unlock(&log_lock);
    return n;
}

RIG void log_clear(void)
{
    pthread_mutex_lock(&log_lock);
    log_text[0] = '\0';
    pthread_mutex_unlock(&log_lock);
}

/* Waits until the log holds the text. */
RIG void log_wait(const char *part)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&log_lock);
    while (!strstr(log_text, part))
        if (pthread_cond_timedwait(&log_grew, &log_lock, &until) == ETIMEDOUT)
            break;
    const bool is_there = strstr(log_text, part) != NULL;
    if (!is_there)
        print_error("the log never said \"%s\"; it said:\n%s", part, log_text);
    pthread_mutex_unlock(&log_lock);
    assert_true(is_there);
}

/* ---- an outbox that never drops ---- */

struct kept {
    char topic[GW_TOPIC_MAX + 8], *payload;
    struct gw_message message;
    bool is_acked;
};

struct list_outbox {
    struct gw_outbox outbox;
    pthread_mutex_t lock;
    pthread_cond_t acked;
    struct kept *kept;
    size_t n, max, at, n_acked, n_rewinds;
};

static enum gw_err list_put(struct gw_outbox *outbox, const struct gw_message *message)
{
    struct list_outbox *list = (struct list_outbox *)outbox;

    pthread_mutex_lock(&list->lock);
    assert_true(list->n < list->max);
    const bool was_empty = list->at == list->n;
    struct kept *kept = &list->kept[list->n];
    snprintf(kept->topic, sizeof kept->topic, "%s", message->topic);
    kept->payload = malloc(message->payload_len + 1);
    memcpy(kept->payload, message->payload, message->payload_len);
    kept->payload[message->payload_len] = '\0';
    kept->message = *message;
    kept->message.topic = kept->topic;
    kept->message.payload = kept->payload;
    kept->message.seq = ++list->n;
    pthread_mutex_unlock(&list->lock);
    if (was_empty)
        eventfd_write(outbox->event_fd, 1);
    return GW_OK;
}

static enum gw_err list_next(struct gw_outbox *outbox, struct gw_message *ret_message)
{
    struct list_outbox *list = (struct list_outbox *)outbox;
    enum gw_err err = GW_E_CLOSED;

    pthread_mutex_lock(&list->lock);
    while (list->at < list->n && list->kept[list->at].is_acked)
        list->at++;
    if (list->at < list->n) {
        *ret_message = list->kept[list->at++].message;
        err = GW_OK;
    }
    pthread_mutex_unlock(&list->lock);
    return err;
}

static void list_ack(struct gw_outbox *outbox, uint64_t seq)
{
    struct list_outbox *list = (struct list_outbox *)outbox;

    pthread_mutex_lock(&list->lock);
    assert_true(seq >= 1 && seq <= list->n);
    assert_false(list->kept[seq - 1].is_acked);
    list->kept[seq - 1].is_acked = true;
    list->n_acked++;
    pthread_cond_broadcast(&list->acked);
    pthread_mutex_unlock(&list->lock);
}

static void list_drop(struct gw_outbox *outbox, uint64_t seq, enum gw_drop reason)
{
    (void)reason;
    list_ack(outbox, seq);
}

static void list_rewind(struct gw_outbox *outbox)
{
    struct list_outbox *list = (struct list_outbox *)outbox;

    pthread_mutex_lock(&list->lock);
    list->at = 0;
    list->n_rewinds++;
    pthread_mutex_unlock(&list->lock);
}

static void list_stats(struct gw_outbox *outbox, struct gw_outbox_stats *ret_stats)
{
    struct list_outbox *list = (struct list_outbox *)outbox;

    pthread_mutex_lock(&list->lock);
    ret_stats->n_messages = list->n - list->n_acked;
    pthread_mutex_unlock(&list->lock);
}

static void list_free(struct gw_outbox *outbox)
{
    struct list_outbox *list = (struct list_outbox *)outbox;

    for (size_t i = 0; i < list->n; i++)
        free(list->kept[i].payload);
    free(list->kept);
    close(outbox->event_fd);
    free(list);
}

static const struct gw_outbox_ops list_ops = {
    .put = list_put,
    .next = list_next,
    .ack = list_ack,
    .drop = list_drop,
    .rewind = list_rewind,
    .stats = list_stats,
    .free = list_free,
};

RIG struct list_outbox *list_new(size_t max)
{
    struct list_outbox *list = calloc(1, sizeof *list);

    list->outbox = (struct gw_outbox){&list_ops, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    list->kept = calloc(max, sizeof *list->kept);
    list->max = max;
    pthread_mutex_init(&list->lock, NULL);
    pthread_cond_init(&list->acked, NULL);
    return list;
}

RIG void list_add(struct list_outbox *list, const char *topic, const char *payload, int qos,
                  bool retain)
{
    const struct gw_message message = {.topic = topic,
                                       .payload = payload,
                                       .payload_len = strlen(payload),
                                       .qos = qos,
                                       .retain = retain};

    assert_int_equal(list_put(&list->outbox, &message), GW_OK);
}

RIG size_t list_acked(struct list_outbox *list)
{
    pthread_mutex_lock(&list->lock);
    const size_t n = list->n_acked;
    pthread_mutex_unlock(&list->lock);
    return n;
}

/* Waits until so many messages have left the outbox. */
RIG void list_wait_acked(struct list_outbox *list, size_t n)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&list->lock);
    while (list->n_acked < n)
        if (pthread_cond_timedwait(&list->acked, &list->lock, &until) == ETIMEDOUT)
            break;
    const size_t n_acked = list->n_acked;
    pthread_mutex_unlock(&list->lock);
    if (n_acked < n)
        print_error("only %zu of %zu messages left the outbox; log:\n%s", n_acked, n, log_text);
    assert_true(n_acked >= n);
}

#endif
