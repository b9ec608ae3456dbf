#include "gateway/server_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum gw_err wrong(char why[GW_SERVER_URL_WHY], const char *sentence)
{
    snprintf(why, GW_SERVER_URL_WHY, "%s", sentence);
    return GW_E_CONFIG;
}

/* Gives what stands behind the scheme; NULL without a known one. */
static const char *take_scheme(const char *text, struct gw_server_url *url,
                               char why[GW_SERVER_URL_WHY])
{
    static const struct {
        const char *scheme, *meant;
    } others[] = {{"tcp://", "mqtt://"},
                  {"ssl://", "mqtts://"},
                  {"tls://", "mqtts://"},
                  {"mqtt+ssl://", "mqtts://"}};
    const char *end = strstr(text, "://");

    if (strncmp(text, "mqtt://", 7) == 0 || strncmp(text, "mqtts://", 8) == 0) {
        url->is_tls = text[4] == 's';
        url->port = url->is_tls ? 8883 : 1883; /* Source: IANA, mqtt and secure-mqtt */
        return end + 3;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strncasecmp(text, others[i].scheme, strlen(others[i].scheme)) == 0) {
            snprintf(why, GW_SERVER_URL_WHY,
                     "must begin with mqtt:// or mqtts://; did you mean \"%s%.100s\"?",
                     others[i].meant, text + strlen(others[i].scheme));
            return NULL;
        }
    if (!end)
        snprintf(why, GW_SERVER_URL_WHY,
                 "must begin with mqtt:// or mqtts://; did you mean \"mqtt://%.100s\"?", text);
    else
        snprintf(why, GW_SERVER_URL_WHY, "must begin with mqtt:// or mqtts://");
    return NULL;
}

static enum gw_err take_host(const char **p, struct gw_server_url *url, char why[GW_SERVER_URL_WHY])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    static const char letters_v6[] = /* with a zone: fe80::1%eth0 */
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:%";
    bool is_v6 = **p == '[';
    const char *from = *p + is_v6;
    size_t len = strspn(from, is_v6 ? letters_v6 : letters);

    if (is_v6 && from[len] != ']')
        return wrong(why, "has a \"[\" without an IPv6 address and a \"]\"");
    if (len == 0)
        return wrong(why, "has no host");
    if (len > GW_SERVER_HOST_MAX)
        return wrong(why, "has too long a host name");
    memcpy(url->host, from, len);
    url->host[len] = '\0';
    *p = from + len + is_v6;
    return GW_OK;
}

enum gw_err gw_server_url_parse(const char *text, struct gw_server_url *ret_url,
                                char why[GW_SERVER_URL_WHY])
{
    struct gw_server_url url = {0};
    const char *p = take_scheme(text, &url, why);

    if (!p)
        return GW_E_CONFIG;
    if (strchr(p, '@'))
        return wrong(why, "must not hold a user; use username and password");
    if (take_host(&p, &url, why) != GW_OK)
        return GW_E_CONFIG;
    if (*p == ':') {
        size_t len = strspn(p + 1, "0123456789");
        long port = strtol(p + 1, NULL, 10);

        if (len == 0 || (p[1 + len] && p[1 + len] != '/'))
            return wrong(why, "has no number as its port");
        if (len > 5 || port < 1 || port > 65535) {
            snprintf(why, GW_SERVER_URL_WHY, "has port %.*s, which is out of range (1-65535)",
                     (int)(len > 20 ? 20 : len), p + 1);
            return GW_E_CONFIG;
        }
        url.port = (int)port;
        p += 1 + len;
    }
    if (strcmp(p, "/") == 0)
        p++;
    if (*p == '/')
        return wrong(why, "must not have a path");
    if (*p) {
        snprintf(why, GW_SERVER_URL_WHY, "has \"%.20s\" behind its host", p);
        return GW_E_CONFIG;
    }
    *ret_url = url;
    return GW_OK;
}

bool gw_server_is_loopback(const struct gw_server_url *url)
{
    return strncmp(url->host, "127.", 4) == 0 || strcmp(url->host, "::1") == 0 ||
           strcasecmp(url->host, "localhost") == 0;
}
