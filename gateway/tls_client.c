#include "gateway/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct gw_tls_client {
    SSL_CTX *context;
    SSL *ssl;
};

bool gw_tls_expect_host(SSL *ssl, const char *host, bool verify)
{
    unsigned char number[16];
    const bool is_number =
        inet_pton(AF_INET, host, number) == 1 || inet_pton(AF_INET6, host, number) == 1;

    if (!is_number && SSL_set_tlsext_host_name(ssl, host) != 1)
        return false;
    if (!verify)
        return true;
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    return (is_number ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host)
                      : SSL_set1_host(ssl, host)) == 1;
}

static enum gw_err say(char why[GW_TLS_WHY], enum gw_err err, const char *text)
{
    snprintf(why, GW_TLS_WHY, "%s", text);
    return err;
}

static enum gw_err prepare(struct gw_tls_client *client, int fd, const char *host,
                           const char *ca_file, char why[GW_TLS_WHY])
{
    client->context = SSL_CTX_new(TLS_client_method());
    if (!client->context)
        return say(why, GW_E_NOMEM, gw_err_str(GW_E_NOMEM));
    SSL_CTX_set_cipher_list(client->context, GW_TLS_CIPHERS);
    SSL_CTX_set_min_proto_version(client->context, TLS1_2_VERSION);
    if (!ca_file) {
        SSL_CTX_set_default_verify_paths(client->context);
    } else if (SSL_CTX_load_verify_locations(client->context, ca_file, NULL) != 1) {
        snprintf(why, GW_TLS_WHY, "%.150s: there is no certificate in it", ca_file);
        return GW_E_CONFIG;
    }
    client->ssl = SSL_new(client->context);
    if (!client->ssl || SSL_set_fd(client->ssl, fd) != 1 ||
        !gw_tls_expect_host(client->ssl, host, true))
        return say(why, GW_E_NOMEM, gw_err_str(GW_E_NOMEM));
    return GW_OK;
}

static enum gw_err shake_hands(struct gw_tls_client *client, const char *host, char why[GW_TLS_WHY])
{
    const int rc = SSL_connect(client->ssl);
    const long verdict = SSL_get_verify_result(client->ssl);

    if (rc == 1)
        return GW_OK;
    if (verdict != X509_V_OK) {
        snprintf(why, GW_TLS_WHY, "the certificate of %.60s is not believed: %.60s", host,
                 X509_verify_cert_error_string(verdict));
        return GW_E_REFUSED;
    }
    if (SSL_get_error(client->ssl, rc) == SSL_ERROR_WANT_READ)
        return say(why, GW_E_TIMEOUT, gw_err_str(GW_E_TIMEOUT));
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    snprintf(why, GW_TLS_WHY, "no TLS connection: %.150s",
             reason ? reason : "the other side closes it");
    return GW_E_LINK;
}

enum gw_err gw_tls_client_new(int fd, const char *host, const char *ca_file,
                              struct gw_tls_client **ret_client, char why[GW_TLS_WHY])
{
    struct gw_tls_client *client = calloc(1, sizeof *client);

    if (!client)
        return say(why, GW_E_NOMEM, gw_err_str(GW_E_NOMEM));
    ERR_clear_error();
    enum gw_err err = prepare(client, fd, host, ca_file, why);
    if (err == GW_OK)
        err = shake_hands(client, host, why);
    ERR_clear_error();
    if (err != GW_OK) {
        gw_tls_client_free(client);
        return err;
    }
    *ret_client = client;
    return GW_OK;
}

void gw_tls_client_free(struct gw_tls_client *client)
{
    if (!client)
        return;
    if (client->ssl && SSL_is_init_finished(client->ssl))
        SSL_shutdown(client->ssl);
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    ERR_clear_error();
    free(client);
}

/* What came of a call, as recv() tells it. An end that was not announced may be a cut by a third party: no good end. */
static ssize_t told(struct gw_tls_client *client, int rc)
{
    if (rc > 0)
        return rc;
    const int error = SSL_get_error(client->ssl, rc);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

static int bounded(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

ssize_t gw_tls_client_send(struct gw_tls_client *client, const void *bytes, size_t len)
{
    ERR_clear_error();
    return told(client, SSL_write(client->ssl, bytes, bounded(len)));
}

ssize_t gw_tls_client_receive(struct gw_tls_client *client, void *bytes, size_t size)
{
    ERR_clear_error();
    return told(client, SSL_read(client->ssl, bytes, bounded(size)));
}
