/* SPDX-License-Identifier: MIT
 * A connection. OpenSSL's errors are a list of the thread: it is emptied before each call, because others use it, too.
 *
 * The writing side cannot disturb the reading one: what OpenSSL writes is always taken (transport.c). So a read never
 * waits for the socket to take something, except at the end of the handshake. */
#include "core/tls/connection.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "core/tls/certificate.h"
#include "core/tls/failure.h"

enum {
  BURST = 131072, /* the most that one write encrypts: about 100 us */
  FLOOD = 65536   /* a peer that makes us answer, and reads nothing, ends when so many bytes wait */
};

/* ---- failures ------------------------------------------------------------------------------------------------- */

static enum braid_tls_status fail(struct braid_tls *tls, enum braid_tls_kind kind, int code, const char *reason) {
  braid_tls_failure_set(&tls->failure, kind, code, reason);
  tls->failed = true;
  return BRAID_TLS_FAILED;
}

static enum braid_tls_status fail_by_system(struct braid_tls *tls, int error) {
  bool left = error == EPIPE || error == ECONNRESET;
  return fail(tls, left ? BRAID_TLS_CLOSED : BRAID_TLS_SYSTEM, error,
              left ? "the other side has reset the connection" : strerror(error));
}

/* What OpenSSL has noted. For a certificate that is refused: why. */
static enum braid_tls_status fail_by_rules(struct braid_tls *tls) {
  bool verify = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  long result = SSL_get_verify_result(tls->ssl);
  braid_tls_failure_take(&tls->failure, NULL);
  tls->failed = true;
  if (verify && result != X509_V_OK)
    braid_tls_failure_set(&tls->failure, BRAID_TLS_REFUSED, (int)result, X509_verify_cert_error_string(result));
  return BRAID_TLS_FAILED;
}

/* Whether the bytes that have come end with a whole record. */
static bool at_boundary(const struct braid_tls *tls) {
  return !SSL_has_pending(tls->ssl) && strcmp(SSL_rstate_string(tls->ssl), "RH") == 0;
}

static enum braid_tls_status end_without_notice(struct braid_tls *tls) {
  if (!tls->ready)
    return fail(tls, BRAID_TLS_REFUSED, SSL_R_UNEXPECTED_EOF_WHILE_READING,
                "the other side has ended the connection during the handshake");
  if (tls->context->close_notify_is_free && at_boundary(tls)) return BRAID_TLS_END; /* see set_all in context.c */
  return fail(tls, BRAID_TLS_REFUSED, SSL_R_UNEXPECTED_EOF_WHILE_READING,
              "the other side has ended the connection without close_notify");
}

/* What a call of OpenSSL that was not successful means. */
static enum braid_tls_status outcome(struct braid_tls *tls, int result) {
  int error = SSL_get_error(tls->ssl, result);
  if (error == SSL_ERROR_WANT_READ) return BRAID_TLS_WANT_READ;
  if (error == SSL_ERROR_WANT_WRITE) return BRAID_TLS_WANT_WRITE;
  if (error == SSL_ERROR_ZERO_RETURN) return tls->transport.ended ? end_without_notice(tls) : BRAID_TLS_END;
  unsigned long noted = ERR_peek_error();
  bool ended = ERR_GET_LIB(noted) == ERR_LIB_SSL && ERR_GET_REASON(noted) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  if (noted && !ended) return fail_by_rules(tls);
  if (tls->transport.read_error) return fail_by_system(tls, tls->transport.read_error);
  if (tls->transport.ended) return end_without_notice(tls);
  return fail_by_system(tls, tls->transport.send_error ? tls->transport.send_error : EPROTO);
}

/* The socket takes nothing more. Maybe the peer has said why before it left. */
static enum braid_tls_status fail_to_send(struct braid_tls *tls) {
  char byte;
  size_t count;
  int error = tls->transport.send_error;
  ERR_clear_error();
  if (!SSL_peek_ex(tls->ssl, &byte, 1, &count) && ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_SSL &&
      ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return fail_by_rules(tls);
  ERR_clear_error();
  if (tls->failed) return BRAID_TLS_FAILED;
  bool left = error == EPIPE || error == ECONNRESET;
  braid_tls_failure_set(&tls->failure, left ? BRAID_TLS_CLOSED : BRAID_TLS_SYSTEM, error,
                        left ? "the other side has closed" : strerror(error));
  return BRAID_TLS_FAILED; /* what was received can still be read */
}

/* ---- opening -------------------------------------------------------------------------------------------------- */

/* The server is told the host, and its certificate must be this host's, or this address's. */
static bool set_name(struct braid_tls *tls, const char *name) {
  SSL *ssl = tls->ssl;
  bool check = !tls->context->any_name;
  ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
  bool is_address = address != NULL;
  ASN1_OCTET_STRING_free(address);
  tls->name = strdup(name);
  if (!tls->name) return false;
  if (is_address) return !check || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set_tlsext_host_name(ssl, name) == 1 && (!check || SSL_set1_host(ssl, name) == 1);
}

static bool set_session(struct braid_tls *tls, const char *place) {
  if (!place || !tls->context->resume) return true;
  size_t size = strlen(place) + 1, name = tls->name ? strlen(tls->name) : 0;
  tls->session = malloc(name + 1 + size); /* the name is a part of it: it was verified */
  if (!tls->session) return false;
  if (name) memcpy(tls->session, tls->name, name);
  tls->session[name] = ' ';
  memcpy(tls->session + name + 1, place, size);
  SSL_SESSION *session = braid_tls_sessions_take(&tls->context->sessions, tls->session);
  if (session) SSL_set_session(tls->ssl, session);
  SSL_SESSION_free(session);
  return true;
}

static bool prepare(struct braid_tls *tls, const char *name, const char *place) {
  tls->ssl = SSL_new(tls->context->identities[0]);
  BIO *bio = tls->ssl ? braid_tls_transport_bio(&tls->transport, tls->context->method) : NULL;
  if (!bio) return false;
  SSL_set_app_data(tls->ssl, tls);
  SSL_set_bio(tls->ssl, bio, bio);
  if (tls->context->server) {
    SSL_set_accept_state(tls->ssl);
    return true;
  }
  SSL_set_connect_state(tls->ssl);
  return (!name || set_name(tls, name)) && set_session(tls, place);
}

static void destroy(struct braid_tls *tls) {
  SSL_free(tls->ssl);
  braid_tls_transport_term(&tls->transport);
  X509_free(tls->refused);
  free(tls->name);
  free(tls->session);
  free(tls->protocol);
  braid_tls_context_give(tls->context);
  free(tls);
}

static struct braid_tls *tls_open(struct braid_tls_context *context, int fd, const char *name, const char *place) {
  struct braid_tls *tls = calloc(1, sizeof *tls);
  if (!tls) return NULL;
  tls->head.functions = &braid_tls_table;
  tls->context = context;
  braid_tls_context_take(context);
  braid_tls_transport_init(&tls->transport, fd);
  ERR_clear_error();
  if (prepare(tls, name, place)) return tls;
  destroy(tls);
  return NULL;
}

/* Tickets that nobody has read would make the system reset the connection, and the peer lose what we have written. */
static void take_tickets(struct braid_tls *tls) {
  char byte;
  size_t count;
  if (tls->ready && !tls->failed) SSL_peek_ex(tls->ssl, &byte, 1, &count);
}

static void tls_close(struct braid_tls *tls) {
  ERR_clear_error();
  if (!tls->cut) {
    braid_tls_transport_flush(&tls->transport);
    take_tickets(tls);
    if (tls->ready && !tls->finished && !tls->failed) SSL_shutdown(tls->ssl);
  }
  destroy(tls);
}

/* ---- the handshake -------------------------------------------------------------------------------------------- */

/* A session of TLS 1.2 can be used again. */
static void keep_session(struct braid_tls *tls) {
  if (!tls->session || !SSL_session_reused(tls->ssl) || SSL_version(tls->ssl) >= TLS1_3_VERSION) return;
  braid_tls_sessions_keep(&tls->context->sessions, tls->session, SSL_get0_session(tls->ssl));
}

/* The last part of the handshake must have left before anybody waits for an answer. */
static enum braid_tls_status settle(struct braid_tls *tls) {
  if (tls->settled) return BRAID_TLS_DONE;
  braid_tls_transport_flush(&tls->transport);
  if (braid_tls_transport_pending(&tls->transport) > 0) return BRAID_TLS_WANT_WRITE;
  tls->settled = true;
  return BRAID_TLS_DONE;
}

static enum braid_tls_status tls_handshake(struct braid_tls *tls) {
  if (tls->ready) return settle(tls);
  if (tls->failed) return BRAID_TLS_FAILED;
  ERR_clear_error();
  braid_tls_transport_flush(&tls->transport);
  int result = SSL_do_handshake(tls->ssl);
  if (result == 1) {
    tls->ready = true;
    keep_session(tls);
    return settle(tls);
  }
  enum braid_tls_status status = outcome(tls, result);
  if (status == BRAID_TLS_WANT_READ && braid_tls_transport_pending(&tls->transport) > 0) return BRAID_TLS_WANT_WRITE;
  if (status != BRAID_TLS_END) return status;
  return fail(tls, BRAID_TLS_REFUSED, SSL_R_UNEXPECTED_EOF_WHILE_READING,
              "the other side has ended the connection during the handshake");
}

/* ---- bytes ---------------------------------------------------------------------------------------------------- */

/* SSL_get_error wants an empty list of errors. It almost always is, and looking costs less than clearing. */
static void clear_errors(void) {
  if (ERR_peek_error()) ERR_clear_error();
}

static enum braid_tls_status tls_read(struct braid_tls *tls, char *data, size_t room, size_t *count) {
  size_t piece;
  *count = 0;
  enum braid_tls_status status = tls->settled ? BRAID_TLS_DONE : tls_handshake(tls);
  if (status != BRAID_TLS_DONE) return status;
  if (tls->failed) return BRAID_TLS_FAILED;
  clear_errors();
  do {
    if (SSL_read_ex(tls->ssl, data + *count, room - *count, &piece) != 1) {
      status = outcome(tls, 0);
      break;
    }
    *count += piece;
  } while (*count < room && SSL_has_pending(tls->ssl));
  tls->more = status == BRAID_TLS_DONE ? SSL_has_pending(tls->ssl) : status != BRAID_TLS_WANT_READ;
  if (*count > 0) return BRAID_TLS_DONE; /* a failure is sticky: the next call tells it */
  if (status == BRAID_TLS_WANT_READ && braid_tls_transport_pending(&tls->transport) > FLOOD && !tls->finished)
    return fail(tls, BRAID_TLS_CLOSED, EPIPE, "the other side asks, and reads no answers");
  return status;
}

static bool has_more(const struct braid_tls *tls) { return tls->more; }

static enum braid_tls_status tls_flush(struct braid_tls *tls) {
  braid_tls_transport_flush(&tls->transport);
  if (tls->transport.send_error) return fail_to_send(tls);
  return braid_tls_transport_pending(&tls->transport) > 0 ? BRAID_TLS_WANT_WRITE : BRAID_TLS_DONE;
}

static enum braid_tls_status tls_write(struct braid_tls *tls, const char *data, size_t size, size_t *count) {
  size_t piece;
  *count = 0;
  enum braid_tls_status status = tls->settled ? tls_flush(tls) : tls_handshake(tls);
  if (status != BRAID_TLS_DONE) return status;
  if (tls->failed) return BRAID_TLS_FAILED;
  if (tls->finished) {
    braid_tls_failure_set(&tls->failure, BRAID_TLS_CLOSED, EPIPE, "writing has ended");
    return BRAID_TLS_FAILED;
  }
  clear_errors();
  if (size > BURST) size = BURST;
  while (*count < size && braid_tls_transport_pending(&tls->transport) == 0) {
    if (SSL_write_ex(tls->ssl, data + *count, size - *count, &piece) != 1) return outcome(tls, 0);
    *count += piece;
  }
  return tls->transport.send_error ? fail_to_send(tls) : BRAID_TLS_DONE;
}

static enum braid_tls_status tls_finish(struct braid_tls *tls) {
  enum braid_tls_status status = tls_handshake(tls);
  if (status != BRAID_TLS_DONE) return status;
  if (!tls->finished && !tls->failed) {
    clear_errors();
    tls->finished = true;
    SSL_shutdown(tls->ssl);
  }
  return tls_flush(tls);
}

static void tls_cut(struct braid_tls *tls) { tls->cut = tls->finished = true; }

/* ---- what was agreed ------------------------------------------------------------------------------------------ */

static const char *tls_protocol(const struct braid_tls *tls, size_t *size) {
  const unsigned char *name;
  unsigned length;
  SSL_get0_alpn_selected(tls->ssl, &name, &length);
  *size = length;
  return length > 0 ? (const char *)name : NULL;
}

static const struct braid_tls_failure *tls_failure(const struct braid_tls *tls) { return &tls->failure; }

static bool tls_describe(struct braid_tls *tls, struct braid_tls_info *info) {
  size_t size;
  const char *protocol = tls_protocol(tls, &size);
  if (protocol && !tls->protocol && !(tls->protocol = strndup(protocol, size))) return false;
  *info = (struct braid_tls_info){.version = SSL_get_version(tls->ssl),
                                  .cipher = SSL_get_cipher_name(tls->ssl),
                                  .protocol = tls->protocol,
                                  .server_name = tls->name,
                                  .resumed = SSL_session_reused(tls->ssl) == 1};
  if (tls->context->server) info->server_name = SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name);
  X509 *peer = tls->refused ? tls->refused : SSL_get0_peer_certificate(tls->ssl);
  if (!peer) return true;
  info->has_peer = braid_tls_certificate_read(&info->peer, peer);
  return info->has_peer;
}

static void forget(struct braid_tls_info *info) {
  if (info->has_peer) braid_tls_certificate_term(&info->peer);
}

const struct braid_tls_functions braid_tls_table = {
    .context_new = braid_tls_context_make,
    .context_ref = braid_tls_context_take,
    .context_unref = braid_tls_context_give,
    .open = tls_open,
    .close = tls_close,
    .handshake = tls_handshake,
    .read = tls_read,
    .has_more = has_more,
    .write = tls_write,
    .flush = tls_flush,
    .finish = tls_finish,
    .cut = tls_cut,
    .protocol = tls_protocol,
    .failure = tls_failure,
    .describe = tls_describe,
    .forget = forget,
};
