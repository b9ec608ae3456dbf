#include "gateway/mqtt_inbox.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/log.h"
#include "gateway/queue.h"

enum {
    INBOXES_MAX = 16,   /* 4 bits of a context, */
    CONNECTIONS = 4096, /* 12 bits, which wrap, */
                        /* and 16 bits of slot make 32: a pointer on small machines */
    EVENT_BATCH = 64,
    NOTE_BYTES = 256,
};

struct item {
    struct gw_mqtt_event event;
    uint16_t connection;
};

struct gw_inbox {
    size_t index; /* in inboxes[] */
    struct gw_queue *queue;
    uint16_t connection; /* modulo CONNECTIONS; written under the lock */
    bool is_overrun;     /* under the lock */
    struct gw_queue *messages;
    bool is_message_lost; /* told; under the lock */
    char note[NOTE_BYTES];
    char note_out[NOTE_BYTES];
};

/* Where callbacks find the inbox of their context. Held while they push, so that none is freed then. */
static struct gw_inbox *inboxes[INBOXES_MAX];
static pthread_mutex_t inboxes_lock = PTHREAD_MUTEX_INITIALIZER;

static uint16_t connection_of(const void *context)
{
    return (uint16_t)((uintptr_t)context >> 16 & (CONNECTIONS - 1));
}

static struct gw_inbox *inbox_of(const void *context)
{
    return inboxes[(uintptr_t)context >> 28 & (INBOXES_MAX - 1)];
}

static bool register_inbox(struct gw_inbox *inbox)
{
    bool is_found = false;

    pthread_mutex_lock(&inboxes_lock);
    for (size_t i = 0; i < INBOXES_MAX && !is_found; i++) {
        if (inboxes[i])
            continue;
        inboxes[i] = inbox;
        inbox->index = i;
        is_found = true;
    }
    pthread_mutex_unlock(&inboxes_lock);
    return is_found;
}

struct gw_inbox *gw_inbox_new(size_t max_events)
{
    struct gw_inbox *inbox = calloc(1, sizeof *inbox);

    if (!inbox)
        return NULL;
    inbox->index = INBOXES_MAX;
    inbox->queue = gw_queue_new(sizeof(struct item), max_events);
    if (!inbox->queue || !register_inbox(inbox)) {
        gw_inbox_free(inbox);
        return NULL;
    }
    return inbox;
}

void gw_inbox_free(struct gw_inbox *inbox)
{
    if (!inbox)
        return;
    pthread_mutex_lock(&inboxes_lock);
    if (inbox->index < INBOXES_MAX)
        inboxes[inbox->index] = NULL;
    pthread_mutex_unlock(&inboxes_lock);
    gw_queue_free(inbox->queue);
    free(inbox);
}

void *gw_inbox_context(const struct gw_inbox *inbox, uint16_t slot)
{
    return (void *)((uintptr_t)inbox->index << 28 | (uintptr_t)inbox->connection << 16 | slot);
}

uint16_t gw_inbox_slot(const void *context)
{
    return (uint16_t)((uintptr_t)context & 0xffff);
}

void gw_inbox_post(void *context, struct gw_mqtt_event event)
{
    const struct item item = {event, connection_of(context)};

    pthread_mutex_lock(&inboxes_lock);
    struct gw_inbox *inbox = inbox_of(context);
    if (inbox && inbox->connection == item.connection &&
        gw_queue_push(inbox->queue, &item) != GW_OK)
        inbox->is_overrun = true;
    pthread_mutex_unlock(&inboxes_lock);
}

void gw_inbox_set_messages(struct gw_inbox *inbox, struct gw_queue *messages)
{
    inbox->messages = messages;
}

void gw_inbox_deliver(void *context, const struct gw_mqtt_message *message)
{
    bool is_new_loss = false;

    pthread_mutex_lock(&inboxes_lock);
    struct gw_inbox *inbox = inbox_of(context);
    if (inbox && inbox->messages) {
        const bool is_lost = gw_queue_push(inbox->messages, message) != GW_OK;

        is_new_loss = is_lost && !inbox->is_message_lost;
        inbox->is_message_lost = is_lost;
    }
    pthread_mutex_unlock(&inboxes_lock);
    if (is_new_loss)
        gw_log(GW_LOG_WARN, "mqtt", "more commands come in than can be looked at, dropping them");
}

void gw_inbox_note(void *context, const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\0'))
        len--;
    pthread_mutex_lock(&inboxes_lock);
    struct gw_inbox *inbox = inbox_of(context);
    if (inbox && inbox->connection == connection_of(context) && inbox->note[0] == '\0')
        snprintf(inbox->note, sizeof inbox->note, "%.*s", (int)len, text);
    pthread_mutex_unlock(&inboxes_lock);
}

const char *gw_inbox_noted(struct gw_inbox *inbox)
{
    pthread_mutex_lock(&inboxes_lock);
    memcpy(inbox->note_out, inbox->note, sizeof inbox->note_out);
    pthread_mutex_unlock(&inboxes_lock);
    return inbox->note_out;
}

static bool take_overrun(struct gw_inbox *inbox)
{
    pthread_mutex_lock(&inboxes_lock);
    const bool is_overrun = inbox->is_overrun;
    inbox->is_overrun = false;
    pthread_mutex_unlock(&inboxes_lock);
    return is_overrun;
}

size_t gw_inbox_take(struct gw_inbox *inbox, struct gw_mqtt_event *ret_events, size_t max_events)
{
    struct item items[EVENT_BATCH];
    const size_t n_wanted = max_events < EVENT_BATCH ? max_events : EVENT_BATCH;
    const size_t n = gw_queue_pop(inbox->queue, items, n_wanted);

    for (size_t i = 0; i < n; i++)
        ret_events[i] = items[i].event;
    if (n < n_wanted && take_overrun(inbox)) {
        ret_events[n] = (struct gw_mqtt_event){.kind = GW_MQTT_OVERRUN};
        return n + 1;
    }
    return n;
}

void gw_inbox_renew(struct gw_inbox *inbox)
{
    struct item items[EVENT_BATCH];

    pthread_mutex_lock(&inboxes_lock);
    inbox->connection = (uint16_t)((inbox->connection + 1) % CONNECTIONS);
    inbox->note[0] = '\0';
    inbox->is_overrun = false;
    /* Post compares the connection under the same lock, so what is left is all there will be of the old one. */
    while (gw_queue_pop(inbox->queue, items, EVENT_BATCH) > 0)
        ;
    pthread_mutex_unlock(&inboxes_lock);
}

int gw_inbox_fd(const struct gw_inbox *inbox)
{
    return gw_queue_fd(inbox->queue);
}
