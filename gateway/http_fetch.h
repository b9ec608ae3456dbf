/* http_fetch: one GET over plain HTTP, for asking a running gateway on the same machine. Blocks; no TLS. */
#ifndef GW_HTTP_FETCH_H
#define GW_HTTP_FETCH_H

#include <stddef.h>

#include "gateway/err.h"

enum { GW_FETCH_WHY = 200, GW_FETCH_MAX_BYTES = 64 * 1024 * 1024 };

/* Gets `path` of `url` ("http://HOST[:PORT]"); token may be NULL.
 * Errors: GW_E_CONFIG: url is none; GW_E_LINK, GW_E_TIMEOUT (5 s of silence), GW_E_REFUSED (an answer other than 200),
 *         GW_E_NOMEM (or more than GW_FETCH_MAX_BYTES): why says it in words.
 * Owns:   *ret_body, with a NUL behind it, by the caller: free. */
GW_MUST_CHECK enum gw_err gw_http_fetch(const char *url, const char *path, const char *token,
                                        char **ret_body, size_t *ret_len, char why[GW_FETCH_WHY]);

#endif
