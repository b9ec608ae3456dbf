#include "gateway/mqtt_tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "gateway/clock.h"
#include "gateway/tls_client.h"

enum { REFUSAL_WAIT_US = 500000 };

struct trial {
    const struct gw_server *server;
    const struct gw_mqtt_tls *conf;
    SSL_CTX *context;
    SSL *ssl;
    int64_t deadline_us;
    char *text;
    size_t text_size;
};

static enum gw_mqtt_why say(struct trial *trial, enum gw_mqtt_why why, const char *what,
                            const char *detail)
{
    snprintf(trial->text, trial->text_size, "%s%s", what, detail);
    return why;
}

static const char *reason_of_library(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    return reason ? reason : "the broker closes the connection";
}

static int give_password(char *buffer, int size, int is_writing, void *ctx)
{
    const struct gw_mqtt_tls *conf = ctx;
    const char *password = conf->key_password ? conf->key_password : "";

    (void)is_writing;
    return snprintf(buffer, (size_t)size, "%s", password) < size ? (int)strlen(password) : 0;
}

static enum gw_mqtt_why use_files(struct trial *trial)
{
    const struct gw_mqtt_tls *conf = trial->conf;
    const char *key_file = conf->key_file ? conf->key_file : conf->cert_file;

    if (conf->ca_file && SSL_CTX_load_verify_locations(trial->context, conf->ca_file, NULL) != 1)
        return say(trial, GW_MQTT_WHY_FILE, conf->ca_file, ": there is no certificate in it");
    if (!conf->ca_file)
        SSL_CTX_set_default_verify_paths(trial->context);
    if (!conf->cert_file)
        return GW_MQTT_WHY_NONE;
    SSL_CTX_set_default_passwd_cb(trial->context, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(trial->context, (void *)(uintptr_t)conf);
    if (SSL_CTX_use_certificate_chain_file(trial->context, conf->cert_file) != 1)
        return say(trial, GW_MQTT_WHY_FILE, conf->cert_file, ": there is no certificate in it");
    if (SSL_CTX_use_PrivateKey_file(trial->context, key_file, SSL_FILETYPE_PEM) == 1)
        return GW_MQTT_WHY_NONE;
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return say(trial, GW_MQTT_WHY_FILE, key_file, ": the key does not belong to cert_file");
    return say(trial, GW_MQTT_WHY_FILE, key_file,
               conf->key_password ? ": there is no key in it, or key_password is wrong"
                                  : ": there is no key in it, or it needs a key_password");
}

/* Waits for what the last call asked for. false: it failed for good, or time is up. */
static bool wait_ready(struct trial *trial, int rc)
{
    const int error = SSL_get_error(trial->ssl, rc);
    const int64_t left_us = trial->deadline_us - gw_now_us(&gw_system_clock);
    struct pollfd poll_fd = {.fd = SSL_get_fd(trial->ssl)};

    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return false;
    poll_fd.events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return left_us > 0 && poll(&poll_fd, 1, (int)(left_us / 1000)) > 0;
}

static enum gw_mqtt_why shake_hands(struct trial *trial)
{
    char byte;
    int rc;

    while ((rc = SSL_connect(trial->ssl)) != 1)
        if (!wait_ready(trial, rc))
            break;
    const long verdict = SSL_get_verify_result(trial->ssl);
    if (rc != 1 && verdict != X509_V_OK)
        return say(trial, GW_MQTT_WHY_CERTIFICATE, "", X509_verify_cert_error_string(verdict));
    if (rc != 1 && gw_now_us(&gw_system_clock) >= trial->deadline_us)
        return GW_MQTT_WHY_TIMEOUT;
    if (rc != 1)
        return say(trial, GW_MQTT_WHY_TLS, "", reason_of_library());
    /* With TLS 1.3 the broker says only now that it does not like our certificate. */
    trial->deadline_us = gw_now_us(&gw_system_clock) + REFUSAL_WAIT_US;
    while ((rc = SSL_read(trial->ssl, &byte, 1)) != 1)
        if (!wait_ready(trial, rc))
            break;
    if (rc != 1 && SSL_get_error(trial->ssl, rc) == SSL_ERROR_SSL)
        return say(trial, GW_MQTT_WHY_TLS, "", reason_of_library());
    return GW_MQTT_WHY_CLOSED;
}

static enum gw_mqtt_why try_it(struct trial *trial, const struct gw_address *address)
{
    enum gw_mqtt_why why = GW_MQTT_WHY_NONE;
    int error;

    SSL_CTX_set_cipher_list(trial->context, GW_TLS_CIPHERS);
    SSL_CTX_set_min_proto_version(trial->context, TLS1_2_VERSION);
    if ((why = use_files(trial)) != GW_MQTT_WHY_NONE)
        return why;
    trial->ssl = SSL_new(trial->context);
    const int64_t left_us = trial->deadline_us - gw_now_us(&gw_system_clock);
    const int fd = gw_server_open(trial->server, address, left_us, &error);
    if (fd < 0 || !trial->ssl) {
        why = say(trial, GW_MQTT_WHY_UNREACHABLE, "", strerror(error));
    } else {
        SSL_set_fd(trial->ssl, fd);
        (void)gw_tls_expect_host(trial->ssl, trial->server->host, trial->conf->verify);
        why = shake_hands(trial);
    }
    SSL_free(trial->ssl);
    if (fd >= 0)
        close(fd);
    return why;
}

static enum gw_mqtt_why explain_tls(const struct gw_server *server,
                                    const struct gw_address *address,
                                    const struct gw_mqtt_tls *conf, int64_t timeout_us,
                                    char *ret_text, size_t text_size)
{
    struct trial trial = {
        .server = server,
        .conf = conf,
        .context = SSL_CTX_new(TLS_client_method()),
        .deadline_us = gw_now_us(&gw_system_clock) + timeout_us,
        .text = ret_text,
        .text_size = text_size,
    };

    ret_text[0] = '\0';
    if (!trial.context)
        return say(&trial, GW_MQTT_WHY_TLS, "", reason_of_library());
    ERR_clear_error();
    const enum gw_mqtt_why why = try_it(&trial, address);
    SSL_CTX_free(trial.context);
    ERR_clear_error();
    return why;
}

enum gw_mqtt_why gw_server_explain(const struct gw_server *server, const struct gw_address *address,
                                   const struct gw_mqtt_tls *conf, int64_t timeout_us,
                                   char *ret_text, size_t text_size)
{
    int error = 0;
    const int fd = gw_server_open(server, address, timeout_us, &error);

    *ret_text = '\0';
    if (fd >= 0)
        close(fd);
    else
        snprintf(ret_text, text_size, "%s", strerror(error));
    if (error == ECONNREFUSED)
        return GW_MQTT_WHY_NO_LISTENER;
    if (error == ETIMEDOUT)
        return GW_MQTT_WHY_TIMEOUT;
    if (error != 0)
        return GW_MQTT_WHY_UNREACHABLE;
    return server->is_tls ? explain_tls(server, address, conf, timeout_us, ret_text, text_size)
                          : GW_MQTT_WHY_CLOSED;
}
