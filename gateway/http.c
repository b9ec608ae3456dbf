#include "gateway/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "gateway/http_page.h"

enum {
    CONNECTIONS_MAX = 32,
    CONNECTION_BYTES = 16 * 1024, /* for a request: longer ones are refused */
    TIMEOUT_S = 30,
    STACK_BYTES = 256 * 1024,
    EVENTS_MAX = 16, /* connections that stay open to hear of changes */
    EVENT_CHUNK = 32 * 1024,
    PEM_MAX = 64 * 1024,
};

struct gw_http {
    const struct gw_http_conf *conf;
    struct gw_board *board;
    struct MHD_Daemon *daemon;
    char *cert, *key;
    bool is_loopback;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t stopping;
    bool is_stopping;
    unsigned n_events;
};

/* ---- answers --------------------------------------------------------------------------------------- */

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned code,
                                     const char *type, struct MHD_Response *response)
{
    static const char *const headers[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
         "data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-store"},
    };

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (code == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate",
                                "Basic realm=\"field2mqtt: any user, the token as password\"");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    return send_response(connection, code, "text/plain; charset=utf-8",
                         MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                         MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result send_printed(struct gw_http *http, struct MHD_Connection *connection,
                                    const char *type, void (*print)(struct gw_board *, FILE *))
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    print(http->board, out);
    if (fclose(out) != 0) {
        free(text);
        return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    }
    return send_response(connection, MHD_HTTP_OK, type,
                         MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE));
}

/* ---- events: what changes, once a second, for as long as the client stays ---------------------------- */

struct events {
    struct gw_http *http;
    struct gw_board_cursor cursor;
    char *text;
    size_t len, at;
    bool has_begun;
};

/* Waits for the next second; false when the server ends. */
static bool wait_second(struct gw_http *http)
{
    const struct timespec until = gw_timespec(gw_now_us(&gw_system_clock) + 1000000);
    int rc = 0;

    pthread_mutex_lock(&http->lock);
    while (!http->is_stopping && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&http->stopping, &http->lock, &until);
    bool goes_on = !http->is_stopping;
    pthread_mutex_unlock(&http->lock);
    return goes_on;
}

static bool print_events(struct events *events)
{
    FILE *out;

    free(events->text);
    events->text = NULL;
    events->at = events->len = 0;
    out = open_memstream(&events->text, &events->len);
    if (!out)
        return false;
    fputs("event: status\ndata: ", out);
    gw_board_print_status(events->http->board, out);
    fputs("\n\nevent: points\ndata: ", out);
    gw_board_print_changes(events->http->board, &events->cursor, out);
    fputs("\n\n", out);
    return fclose(out) == 0;
}

static ssize_t read_events(void *ctx, uint64_t pos, char *buf, size_t max)
{
    struct events *events = ctx;

    (void)pos;
    if (events->at == events->len) {
        if (events->has_begun && !wait_second(events->http))
            return MHD_CONTENT_READER_END_OF_STREAM;
        events->has_begun = true;
        if (!print_events(events))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = events->len - events->at < max ? events->len - events->at : max;
    memcpy(buf, events->text + events->at, n);
    events->at += n;
    return (ssize_t)n;
}

static void end_events(void *ctx)
{
    struct events *events = ctx;

    pthread_mutex_lock(&events->http->lock);
    events->http->n_events--;
    pthread_mutex_unlock(&events->http->lock);
    free(events->cursor.versions);
    free(events->text);
    free(events);
}

static enum MHD_Result send_events(struct gw_http *http, struct MHD_Connection *connection)
{
    struct events *events = NULL;

    pthread_mutex_lock(&http->lock);
    if (http->n_events < EVENTS_MAX && (events = calloc(1, sizeof *events)))
        http->n_events++;
    pthread_mutex_unlock(&http->lock);
    if (!events)
        return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many watch already\n");
    events->http = http;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, EVENT_CHUNK, read_events, events, end_events);
    if (!response)
        end_events(events);
    return send_response(connection, MHD_HTTP_OK, "text/event-stream", response);
}

/* ---- who may ask ----------------------------------------------------------------------------------- */

/* Takes as long for a wrong text as for a right one. */
static bool is_equal(const char *a, const char *b)
{
    size_t n = strlen(a);
    unsigned char differs = strlen(b) != n;

    for (size_t i = 0; i < n; i++)
        differs |= (unsigned char)(a[i] ^ b[differs ? 0 : i]);
    return differs == 0;
}

static bool is_allowed(const struct gw_http *http, struct MHD_Connection *connection)
{
    static const char bearer[] = "Bearer ";
    const char *given;
    char *password = NULL;

    if (!http->conf->token)
        return true;
    given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    if (given && strncmp(given, bearer, strlen(bearer)) == 0)
        return is_equal(given + strlen(bearer), http->conf->token);
    char *user = MHD_basic_auth_get_username_password(connection, &password);
    bool is_good = password && is_equal(password, http->conf->token);

    MHD_free(user);
    MHD_free(password);
    return is_good;
}

/* A page from elsewhere may have its own name lead to this machine: without a token only the machine's own names are
 * answered on the loopback. */
static bool is_own_name(const struct gw_http *http, struct MHD_Connection *connection)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

    if (!http->is_loopback || http->conf->token || !host)
        return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);

        if (strncasecmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
            return true;
    }
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.:") == strlen(host);
}

/* ---- requests -------------------------------------------------------------------------------------- */

static enum MHD_Result send_health(struct gw_http *http, struct MHD_Connection *connection)
{
    return gw_board_is_alive(http->board) ? send_text(connection, MHD_HTTP_OK, "ok\n")
                                          : send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                                      "a thread hangs; see the log\n");
}

static enum MHD_Result send_readiness(struct gw_http *http, struct MHD_Connection *connection)
{
    return gw_board_is_ready(http->board) ? send_text(connection, MHD_HTTP_OK, "ready\n")
                                          : send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                                                      "the broker is not connected\n");
}

static enum MHD_Result send_metrics(struct gw_http *http, struct MHD_Connection *connection)
{
    return send_printed(http, connection, "text/plain; version=0.0.4; charset=utf-8",
                        gw_board_print_metrics);
}

static enum MHD_Result send_status(struct gw_http *http, struct MHD_Connection *connection)
{
    return send_printed(http, connection, "application/json", gw_board_print_status);
}

static enum MHD_Result send_points(struct gw_http *http, struct MHD_Connection *connection)
{
    return send_printed(http, connection, "application/json", gw_board_print_points);
}

static const struct route {
    const char *path;
    bool is_open; /* to everybody: says no more than whether all is well */
    enum MHD_Result (*send)(struct gw_http *http, struct MHD_Connection *connection);
} routes[] = {
    {"/healthz", true, send_health},        {"/readyz", true, send_readiness},
    {"/metrics", false, send_metrics},      {"/api/v1/status", false, send_status},
    {"/api/v1/points", false, send_points}, {"/api/v1/events", false, send_events},
};

static enum MHD_Result send_page(struct MHD_Connection *connection, const struct gw_http_page *page)
{
    return send_response(connection, MHD_HTTP_OK, page->type,
                         MHD_create_response_from_buffer((size_t)(page->end - page->begin),
                                                         (void *)(uintptr_t)page->begin,
                                                         MHD_RESPMEM_PERSISTENT));
}

static enum MHD_Result route_request(struct gw_http *http, struct MHD_Connection *connection,
                                     const char *url)
{
    const struct gw_http_page *page = gw_http_find_page(url);

    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (strcmp(routes[i].path, url) != 0)
            continue;
        if (!routes[i].is_open && !is_allowed(http, connection))
            return send_text(connection, MHD_HTTP_UNAUTHORIZED, "a token is needed\n");
        return routes[i].send(http, connection);
    }
    if (!is_allowed(http, connection))
        return send_text(connection, MHD_HTTP_UNAUTHORIZED, "a token is needed\n");
    if (page)
        return send_page(connection, page);
    return send_text(connection, MHD_HTTP_NOT_FOUND,
                     "not found; there are / /healthz /readyz /metrics /api/v1/status "
                     "/api/v1/points /api/v1/events\n");
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    static char has_headers;

    (void)version, (void)upload;
    if (*state == NULL) { /* the first call: there may be a body still */
        *state = &has_headers;
        return MHD_YES;
    }
    if (*upload_size != 0) {
        *upload_size = 0; /* nobody wants it */
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this is read-only\n");
    if (!is_own_name(ctx, connection))
        return send_text(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                         "not under this name: ask for 127.0.0.1, or set http.token_file\n");
    return route_request(ctx, connection, url);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static socklen_t parse_address(const struct gw_http_conf *conf, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, conf->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)conf->port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, conf->address, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)conf->port);
    return sizeof *v6;
}

/* Gives the socket; -1 with why. */
static int listen_at(struct gw_http *http, char why[GW_HTTP_WHY])
{
    struct sockaddr_storage address;
    socklen_t len = parse_address(http->conf, &address);
    const int on = 1;
    int fd =
        len > 0 ? socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    http->is_loopback =
        strncmp(http->conf->address, "127.", 4) == 0 || strcmp(http->conf->address, "::1") == 0;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&address, len) == 0 && listen(fd, 16) == 0)
        return fd;
    snprintf(why, GW_HTTP_WHY, "%s",
             len == 0              ? "this is no IP address"
             : errno == EADDRINUSE ? "another program listens there"
                                   : strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool read_pem(const char *file, char **ret_text, char why[GW_HTTP_WHY])
{
    FILE *in = fopen(file, "re");
    size_t n;

    *ret_text = calloc(1, PEM_MAX);
    if (!in || !*ret_text) {
        snprintf(why, GW_HTTP_WHY, "%s: %s", file, strerror(errno));
        if (in)
            fclose(in);
        return false;
    }
    n = fread(*ret_text, 1, PEM_MAX - 1, in);
    fclose(in);
    return n > 0;
}

static struct MHD_Daemon *start_daemon(struct gw_http *http, int fd)
{
    const bool is_tls = http->cert != NULL;
    const unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                           MHD_USE_POLL | (is_tls ? MHD_USE_TLS : 0);
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, http->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, http->key},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

    return MHD_start_daemon(flags, 0, NULL, NULL, handle, http, MHD_OPTION_LISTEN_SOCKET, fd,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S,
                            MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_ARRAY,
                            is_tls ? tls : none, MHD_OPTION_END);
}

static struct gw_http *new_http(const struct gw_http_conf *conf, struct gw_board *board)
{
    struct gw_http *http = calloc(1, sizeof *http);

    if (!http)
        return NULL;
    http->conf = conf;
    http->board = board;
    pthread_mutex_init(&http->lock, NULL);
    gw_cond_init(&http->stopping);
    return http;
}

static void free_http(struct gw_http *http)
{
    pthread_cond_destroy(&http->stopping);
    pthread_mutex_destroy(&http->lock);
    if (http->key)
        explicit_bzero(http->key, PEM_MAX);
    free(http->cert);
    free(http->key);
    free(http);
}

enum gw_err gw_http_start(const struct gw_http_conf *conf, struct gw_board *board,
                          struct gw_http **ret_http, char why[GW_HTTP_WHY])
{
    struct gw_http *http = new_http(conf, board);

    if (!http)
        return GW_E_NOMEM;
    if (conf->cert_file && (!read_pem(conf->cert_file, &http->cert, why) ||
                            !read_pem(conf->key_file, &http->key, why))) {
        free_http(http);
        return GW_E_LINK;
    }
    int fd = listen_at(http, why);
    if (fd >= 0) {
        http->daemon = start_daemon(http, fd);
        if (!http->daemon) {
            snprintf(why, GW_HTTP_WHY, "%s",
                     http->cert ? "certificate and key cannot be used" : strerror(errno));
            close(fd);
        }
    }
    if (!http->daemon) {
        free_http(http);
        return GW_E_LINK;
    }
    *ret_http = http;
    return GW_OK;
}

void gw_http_stop(struct gw_http *http)
{
    if (!http)
        return;
    pthread_mutex_lock(&http->lock);
    http->is_stopping = true;
    pthread_cond_broadcast(&http->stopping);
    pthread_mutex_unlock(&http->lock);
    MHD_stop_daemon(http->daemon);
    free_http(http);
}
