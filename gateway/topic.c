#include "gateway/topic.h"

#include <stdio.h>
#include <string.h>

#include "gateway/diag.h"

enum { CANDIDATES_MAX = 64 };

const struct gw_variable *gw_variable_find(const struct gw_variable *variables, const char *name,
                                           size_t len)
{
    for (const struct gw_variable *v = variables; v; v = v->outer)
        if (strncmp(v->name, name, len) == 0 && v->name[len] == '\0')
            return v;
    return NULL;
}

static bool is_kept(const char *const *kept, const char *name, size_t len)
{
    for (; kept && *kept; kept++)
        if (strncmp(*kept, name, len) == 0 && (*kept)[len] == '\0')
            return true;
    return false;
}

/* The innermost of a name is the one that holds, so it is named once. */
static size_t names_of(const struct gw_variable *variables, const char *const *kept,
                       const char *names[CANDIDATES_MAX])
{
    size_t n = 0;

    for (const struct gw_variable *v = variables; v && n < CANDIDATES_MAX; v = v->outer)
        if (gw_variable_find(variables, v->name, strlen(v->name)) == v)
            names[n++] = v->name;
    for (; kept && *kept && n < CANDIDATES_MAX; kept++)
        if (!gw_variable_find(variables, *kept, strlen(*kept)))
            names[n++] = *kept;
    return n;
}

static enum gw_err unknown_variable(const struct gw_variable *variables, const char *const *kept,
                                    const char *name, size_t len, char why[GW_TOPIC_WHY])
{
    const char *names[CANDIDATES_MAX], *near;
    char word[GW_VARIABLE_NAME_MAX + 1];
    const size_t n = names_of(variables, kept, names);
    size_t at;

    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), name);
    near = gw_suggest(word, names, n);
    if (near) {
        snprintf(why, GW_TOPIC_WHY, "unknown variable ${%s}; did you mean ${%s}?", word, near);
        return GW_E_CONFIG;
    }
    at = (size_t)snprintf(why, GW_TOPIC_WHY, "unknown variable ${%s}%s", word,
                          n ? "; here are" : "");
    for (size_t i = 0; i < n && at + GW_VARIABLE_NAME_MAX + 8 < GW_TOPIC_WHY; i++)
        at += (size_t)snprintf(why + at, GW_TOPIC_WHY - at, "%s ${%s}", i ? "," : "", names[i]);
    return GW_E_CONFIG;
}

struct sink {
    char *buf;
    size_t size, len;
};

static void put(struct sink *sink, const char *text, size_t len)
{
    if (sink->len + len < sink->size)
        memcpy(sink->buf + sink->len, text, len);
    sink->len += len;
}

enum gw_err gw_text_expand(const char *text, const struct gw_variable *variables,
                           const char *const *kept, char *buf, size_t size, char why[GW_TOPIC_WHY])
{
    struct sink sink = {buf, size, 0};
    const char *p = text, *open;

    for (; (open = strstr(p, "${")) != NULL;) {
        const char *name = open + 2, *close = strchr(name, '}');

        if (!close) {
            snprintf(why, GW_TOPIC_WHY, "\"${\" has no closing \"}\"");
            return GW_E_CONFIG;
        }
        const struct gw_variable *v = gw_variable_find(variables, name, (size_t)(close - name));
        bool stays = !v && is_kept(kept, name, (size_t)(close - name));
        if (!v && !stays)
            return unknown_variable(variables, kept, name, (size_t)(close - name), why);
        put(&sink, p, (size_t)(open - p) + (stays ? (size_t)(close + 1 - open) : 0));
        if (v)
            put(&sink, v->value, strlen(v->value));
        p = close + 1;
    }
    put(&sink, p, strlen(p));
    if (sink.len >= size) {
        snprintf(why, GW_TOPIC_WHY,
                 "is too long with its variables put in (%zu bytes; at most %zu)", sink.len,
                 size - 1);
        return GW_E_RANGE;
    }
    buf[sink.len] = '\0';
    return GW_OK;
}

static enum gw_err fault(char why[GW_TOPIC_WHY], const char *sentence)
{
    snprintf(why, GW_TOPIC_WHY, "%s", sentence);
    return GW_E_CONFIG;
}

static enum gw_err check_characters(const char *topic, char why[GW_TOPIC_WHY])
{
    for (const unsigned char *p = (const unsigned char *)topic; *p; p++) {
        if (*p == '+' || *p == '#') {
            snprintf(why, GW_TOPIC_WHY, "holds a \"%c\", which is for subscriptions only", *p);
            return GW_E_CONFIG;
        }
        if (*p < 0x20 || *p == 0x7f || (*p == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0)) {
            snprintf(why, GW_TOPIC_WHY, "holds the control character 0x%02X",
                     *p == 0xC2 ? p[1] : *p);
            return GW_E_CONFIG;
        }
    }
    return GW_OK;
}

enum gw_err gw_topic_check(const char *topic, bool is_template, char why[GW_TOPIC_WHY])
{
    size_t len = strlen(topic);

    if (len == 0)
        return fault(why, "is empty");
    if (topic[0] == '/')
        return fault(why, "begins with \"/\", which makes an empty level");
    if (topic[len - 1] == '/')
        return fault(why, "ends with \"/\", which makes an empty level");
    if (strstr(topic, "//"))
        return fault(why, "has an empty level (\"//\")");
    if (topic[0] == '$' && !(is_template && topic[1] == '{'))
        return fault(why, "begins with \"$\", which belongs to the broker");
    if (check_characters(topic, why) != GW_OK)
        return GW_E_CONFIG;
    if (!is_template && len > GW_TOPIC_MAX_BYTES) {
        snprintf(why, GW_TOPIC_WHY, "is too long (%zu bytes; at most %d)", len, GW_TOPIC_MAX_BYTES);
        return GW_E_CONFIG;
    }
    return GW_OK;
}
