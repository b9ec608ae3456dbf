/* mqtt_address: the text of a server, its addresses, and whether something listens there.
 * The client library resolves names under a lock that all its calls share and tries one address only; and it does
 * not say why a connection failed. Knows nothing of MQTT. */
#ifndef GW_MQTT_ADDRESS_H
#define GW_MQTT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/err.h"

enum { GW_ADDRESS_MAX = 8 };

struct gw_server {
    bool is_tls;
    char host[256]; /* name or number; IPv6 without brackets */
    char port[6];
    char authority[272]; /* host:port as written */
};

struct gw_address {
    char text[72]; /* as a number; IPv6 in brackets, so that ":port" can follow */
};

/* Takes "mqtt://host:port" or "mqtts://host:port" apart. GW_E_RANGE: it is not of that form. */
GW_MUST_CHECK enum gw_err gw_server_parse(const char *text, struct gw_server *ret_server);

/* Gives the addresses of the host in the order in which they should be tried, and their number; 0 with the
 * resolver's words in *ret_why when there is none. Blocks as long as the resolver does. */
size_t gw_server_resolve(const struct gw_server *server, struct gw_address *ret_addresses,
                         size_t max, const char **ret_why);

/* Gives which of them the client library takes when it is given the name: it prefers IPv4, and tries no other. */
size_t gw_address_of_library(const struct gw_address *addresses, size_t n);

/* Connects. Gives a non-blocking descriptor that the caller closes; -1 with *ret_errno when it cannot be done.
 * Blocks for timeout_us at most. */
int gw_server_open(const struct gw_server *server, const struct gw_address *address,
                   int64_t timeout_us, int *ret_errno);

#endif
