/* http_fetch: one GET over HTTP or HTTPS, for asking a running gateway. Blocks. */
#ifndef GW_HTTP_FETCH_H
#define GW_HTTP_FETCH_H

#include <stddef.h>

#include "gateway/err.h"
#include "gateway/tls_client.h"

enum { GW_FETCH_WHY = GW_TLS_WHY, GW_FETCH_MAX_BYTES = 64 * 1024 * 1024 };

struct gw_fetch_from {
    const char *url;     /* "http://HOST[:PORT]" or "https://HOST[:PORT]" */
    const char *token;   /* or NULL */
    const char *ca_file; /* whom to believe with https; NULL: the authorities of the system */
};

/* Gets `path` of a gateway. The caller ignores SIGPIPE.
 * Errors: GW_E_CONFIG: url or ca_file is none; GW_E_LINK, GW_E_TIMEOUT (5 s of silence), GW_E_REFUSED (an answer other than
 *         200, or a certificate that is not believed), GW_E_NOMEM (or more than GW_FETCH_MAX_BYTES): why says it in words.
 * Owns:   *ret_body, with a NUL behind it, by the caller: free. */
GW_MUST_CHECK enum gw_err gw_http_fetch(const struct gw_fetch_from *from, const char *path,
                                        char **ret_body, size_t *ret_len, char why[GW_FETCH_WHY]);

#endif
