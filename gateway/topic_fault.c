#include "gateway/topic_fault.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gateway/outbox.h"

/* Reads one character; gives its length, 0 when it is not valid UTF-8 (RFC 3629). */
static size_t read_char(const unsigned char *text, uint32_t *ret_char)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t n = text[0] < 0x80             ? 1
                     : (text[0] & 0xe0) == 0xc0 ? 2
                     : (text[0] & 0xf0) == 0xe0 ? 3
                     : (text[0] & 0xf8) == 0xf0 ? 4
                                                : 0;
    if (n == 0)
        return 0;
    uint32_t c = n == 1 ? text[0] : text[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (text[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret_char = c;
    return n;
}

static const char *char_fault(uint32_t c)
{
    if (c == '+' || c == '#')
        return "the topic has a + or #";
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return "the topic has a control character";
    if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
        return "the topic has a character that Unicode excludes";
    return NULL;
}

const char *gw_topic_fault(const char *topic)
{
    const unsigned char *at = (const unsigned char *)topic;

    if (*at == '\0')
        return "the topic is empty";
    if (strlen(topic) > GW_TOPIC_MAX)
        return "the topic is longer than 256 bytes";
    while (*at) {
        uint32_t c = 0;
        const size_t n = read_char(at, &c);
        const char *fault = n == 0 ? "the topic is not valid UTF-8" : char_fault(c);
        if (fault)
            return fault;
        at += n;
    }
    return NULL;
}
