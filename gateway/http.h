/* http: the board over HTTP: health, metrics, JSON, and the status page. Read-only. Knows the library, no content.
 *
 * DESIGN: a thread for each connection, of which there are few; a slow client holds up itself only and is thrown out
 * after a while. What it sends is bounded, what it gets was printed before. */
#ifndef GW_HTTP_H
#define GW_HTTP_H

#include "gateway/board.h"
#include "gateway/config.h"

struct gw_http;

enum { GW_HTTP_WHY = 160 };

/* Listens and answers from now on.
 * Errors: GW_E_LINK: it cannot listen there, or the certificate cannot be used; why says what is wrong. GW_E_NOMEM.
 * Owns:   conf and board are borrowed until gw_http_stop. */
GW_MUST_CHECK enum gw_err gw_http_start(const struct gw_http_conf *conf, struct gw_board *board,
                                        struct gw_http **ret_http, char why[GW_HTTP_WHY]);
void gw_http_stop(struct gw_http *http); /* NULL is fine */

#endif
