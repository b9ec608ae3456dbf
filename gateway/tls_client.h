/* tls_client: a TLS connection of ours over a socket that is connected already: whom it believes, and reading and writing.
 * Blocks as the socket does (its SO_RCVTIMEO and SO_SNDTIMEO count). Knows neither MQTT nor HTTP. */
#ifndef GW_TLS_CLIENT_H
#define GW_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "gateway/err.h"

/* What all connections accept: security level 2 (RSA of 2048 bits at least), which also means TLS 1.2 at least. */
#define GW_TLS_CIPHERS "DEFAULT:@SECLEVEL=2"

enum { GW_TLS_WHY = 200 };

struct ssl_st;
struct gw_tls_client;

/* Says which server is meant, for servers with several names; with verify the certificate has to be that host's.
 * host: a name, or an IP address (IPv6 without brackets). False: memory. */
bool gw_tls_expect_host(struct ssl_st *ssl, const char *host, bool verify);

/* Shakes hands, and checks the certificate against ca_file (PEM), or against the system's authorities when NULL.
 * Errors: GW_E_CONFIG: nothing to be used in ca_file; GW_E_REFUSED: the certificate is not believed; GW_E_TIMEOUT,
 *         GW_E_LINK; GW_E_NOMEM: why says it in words.
 * Owns:   *ret_client, by the caller: gw_tls_client_free; fd stays the caller's. */
GW_MUST_CHECK enum gw_err gw_tls_client_new(int fd, const char *host, const char *ca_file,
                                            struct gw_tls_client **ret_client,
                                            char why[GW_TLS_WHY]);
/* Says goodbye; client may be NULL. */
void gw_tls_client_free(struct gw_tls_client *client);

/* As send() and recv() do: a count, 0 at the end that the other side has announced, or -1 with errno (EAGAIN: its time is up).
 * The caller ignores SIGPIPE. */
ssize_t gw_tls_client_send(struct gw_tls_client *client, const void *bytes, size_t len);
ssize_t gw_tls_client_receive(struct gw_tls_client *client, void *bytes, size_t size);

#endif
