/* server_url: mqtt://HOST[:PORT] and mqtts://HOST[:PORT]. Pure. */
#ifndef GW_SERVER_URL_H
#define GW_SERVER_URL_H

#include <stdbool.h>

#include "gateway/err.h"

enum { GW_SERVER_URL_WHY = 200, GW_SERVER_HOST_MAX = 255 };

struct gw_server_url {
    bool is_tls;
    char host[GW_SERVER_HOST_MAX + 1]; /* an IPv6 address without its brackets */
    int port;
};

/* Errors: GW_E_CONFIG; why tells, to be read after `server "..."`. */
GW_MUST_CHECK enum gw_err gw_server_url_parse(const char *text, struct gw_server_url *ret_url,
                                              char why[GW_SERVER_URL_WHY]);
/* Tells whether what is sent there stays on this machine. */
bool gw_server_is_loopback(const struct gw_server_url *url);

#endif
