/* SPDX-License-Identifier: MIT
 * Makes OpenSSL's contexts of our options. A server has one for each identity, and chooses by the name that the client
 * asks for; tickets and verification are those of the first. */
#include "core/tls/context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tls/connection.h"
#include "core/tls/failure.h"
#include "core/tls/store.h"

static struct braid_tls_context *context_of(const SSL *ssl) { return braid_tls_of(ssl)->context; }

/* ---- callbacks ------------------------------------------------------------------------------------------------ */

/* The password of an encrypted key. Without one it is refused: nobody is asked. */
static int on_password(char *text, int size, int writing, void *password) {
  (void)writing;
  size_t length = password ? strlen(password) : 0;
  if (!password || length > (size_t)size) return -1;
  memcpy(text, password, length);
  return (int)length;
}

/* Notes the certificate that is refused: OpenSSL does not keep it. */
static int on_verify(int good, X509_STORE_CTX *store) {
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct braid_tls *tls = braid_tls_of(ssl);
  X509 *peer = X509_STORE_CTX_get0_cert(store);
  if (good || tls->refused || !peer) return good;
  X509_up_ref(peer);
  tls->refused = peer;
  return good;
}

static int on_session(SSL *ssl, SSL_SESSION *session) {
  const struct braid_tls *tls = braid_tls_of(ssl);
  if (tls->session) braid_tls_sessions_keep(&tls->context->sessions, tls->session, session);
  return 0; /* OpenSSL keeps its own reference */
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int encrypt) {
  int result = braid_tls_tickets_prepare(&context_of(ssl)->tickets, name, iv, cipher, mac, encrypt);
  bool renew = result == 1 && !encrypt && SSL_version(ssl) >= TLS1_3_VERSION; /* a ticket is for one connection */
  return renew ? 2 : result;
}

static int on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *size, const unsigned char *asked,
                        unsigned asked_size, void *unused) {
  (void)unused;
  const struct braid_tls_context *context = context_of(ssl);
  unsigned char *found;
  int result = SSL_select_next_proto(&found, size, context->protocols, context->protocols_size, asked, asked_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

static int on_name(SSL *ssl, int *alert, void *unused) {
  (void)alert, (void)unused;
  const struct braid_tls_context *context = context_of(ssl);
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  for (unsigned i = 0; name && i < context->identity_count; i++) {
    X509 *certificate = SSL_CTX_get0_certificate(context->identities[i]);
    if (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1) continue;
    SSL_set_SSL_CTX(ssl, context->identities[i]);
    break;
  }
  return SSL_TLSEXT_ERR_OK;
}

/* ---- the parts of a context ----------------------------------------------------------------------------------- */

static bool is_text(const char *pem) { return strstr(pem, "-----BEGIN ") != NULL; }

/* The first certificate is the identity's, the others stand behind it. */
static bool use_chain(SSL_CTX *ctx, BIO *bio) {
  X509 *first = PEM_read_bio_X509_AUX(bio, NULL, on_password, NULL), *next;
  bool used = first && SSL_CTX_use_certificate(ctx, first) == 1;
  X509_free(first);
  while (used && (next = PEM_read_bio_X509(bio, NULL, on_password, NULL))) {
    used = SSL_CTX_add0_chain_cert(ctx, next) == 1;
    if (!used) X509_free(next);
  }
  if (used) ERR_clear_error(); /* it ends where no other begins */
  return used;
}

static bool use_key(SSL_CTX *ctx, BIO *bio, const char *password) {
  EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, (void *)(uintptr_t)password);
  bool used = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
  EVP_PKEY_free(key);
  return used;
}

static BIO *open_pem(const char *pem) { return is_text(pem) ? BIO_new_mem_buf(pem, -1) : BIO_new_file(pem, "r"); }

static bool set_identity(SSL_CTX *ctx, const struct braid_tls_identity *identity, const char *password,
                         struct braid_tls_failure *failure) {
  const char *key = identity->key ? identity->key : identity->certificate;
  BIO *bio = open_pem(identity->certificate);
  bool used = bio && use_chain(ctx, bio);
  BIO_free(bio);
  if (!used) {
    braid_tls_failure_take(failure, is_text(identity->certificate) ? "the certificate" : identity->certificate);
    return false;
  }
  bio = open_pem(key);
  used = bio && use_key(ctx, bio, password);
  BIO_free(bio);
  if (!used) braid_tls_failure_take(failure, is_text(key) ? "the key" : key);
  return used;
}

/* Names of TLS 1.3's ciphers begin with "TLS_"; OpenSSL takes those apart from the others. */
static bool set_ciphers(SSL_CTX *ctx, const char *ciphers) {
  char *copy = strdup(ciphers), *rest = copy, *name;
  size_t size = strlen(ciphers) + 1;
  char *lists = calloc(2, size), *older = lists, *newer = lists ? lists + size : NULL;
  bool set = copy && lists;
  while (set && (name = strsep(&rest, ":"))) {
    char *list = strncmp(name, "TLS_", 4) == 0 ? newer : older;
    if (*list) strcat(list, ":");
    strcat(list, name);
  }
  if (set && *older) set = SSL_CTX_set_cipher_list(ctx, older) == 1;
  if (set && *newer) set = SSL_CTX_set_ciphersuites(ctx, newer) == 1;
  if (set && !*older) set = SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1;
  if (set && !*newer) set = SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1;
  free(lists);
  free(copy);
  return set;
}

/* Whose certificates are good. */
static bool set_trust(SSL_CTX *ctx, const struct braid_tls_options *options, struct braid_tls_failure *failure) {
  SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
  if (!options->verify) return true;
  X509_STORE *store = braid_tls_store_get(options->ca_file, options->ca_path, failure);
  if (!store) return false;
  SSL_CTX_set_cert_store(ctx, store); /* takes the reference */
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (options->demand ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), on_verify);
  if (!options->server || !options->ca_file) return true;
  STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->ca_file);
  if (names) SSL_CTX_set_client_CA_list(ctx, names);
  return true;
}

static void digest_file(EVP_MD_CTX *digest, const char *path) {
  char piece[4096];
  size_t count;
  FILE *file = path ? fopen(path, "re") : NULL;
  while (file && (count = fread(piece, 1, sizeof piece, file)) > 0) EVP_DigestUpdate(digest, piece, count);
  if (file) fclose(file);
}

/* A session is resumed only where the clients' certificates are judged in the same way, and only as long as the server
 * has the same certificate: a resumed handshake does not show a new one. After set_identity. */
static bool set_session_rules(SSL_CTX *ctx, const struct braid_tls_options *options) {
  unsigned char id[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  bool done = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
  if (done) {
    digest_file(digest, options->ca_file);
    if (options->ca_path) EVP_DigestUpdate(digest, options->ca_path, strlen(options->ca_path) + 1);
    if (X509_digest(SSL_CTX_get0_certificate(ctx), EVP_sha256(), id, &size)) EVP_DigestUpdate(digest, id, size);
    done = EVP_DigestFinal_ex(digest, id, &size) == 1 && SSL_CTX_set_session_id_context(ctx, id, size) == 1;
  }
  EVP_MD_CTX_free(digest);
  return done;
}

static void set_server(SSL_CTX *ctx, const struct braid_tls_options *options) {
  if (options->protocols) SSL_CTX_set_alpn_select_cb(ctx, on_protocols, NULL);
  if (options->identity_count > 1) SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept in memory */
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
  if (!options->resume) SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  if (!options->resume) SSL_CTX_set_num_tickets(ctx, 0);
}

static bool set_client(SSL_CTX *ctx, const struct braid_tls_options *options) {
  if (options->protocols && SSL_CTX_set_alpn_protos(ctx, options->protocols, (unsigned)options->protocols_size))
    return false;
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  if (options->resume) SSL_CTX_sess_set_new_cb(ctx, on_session);
  return true;
}

/* OpenSSL's number: TLS 1.0 is 0x301. */
static int version_of(int number) { return TLS1_VERSION + number - 10; }

static bool set_all(SSL_CTX *ctx, const struct braid_tls_options *options) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  if (options->close_notify_is_free) SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(ctx, 1); /* a record and its head at once; OpenSSL moves what is behind them each time */
  if (SSL_CTX_set_min_proto_version(ctx, version_of(options->least)) != 1) return false;
  if (options->most && SSL_CTX_set_max_proto_version(ctx, version_of(options->most)) != 1) return false;
  if (options->ciphers && !set_ciphers(ctx, options->ciphers)) return false;
  if (!options->server) return set_client(ctx, options);
  set_server(ctx, options);
  return true;
}

static SSL_CTX *make_part(const struct braid_tls_options *options, const struct braid_tls_identity *identity,
                          struct braid_tls_failure *failure) {
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
  if (!ctx || !set_all(ctx, options)) {
    braid_tls_failure_take(failure, NULL);
  } else if (set_trust(ctx, options, failure) &&
             (!identity || set_identity(ctx, identity, options->password, failure))) {
    if (!options->server || set_session_rules(ctx, options)) return ctx;
    braid_tls_failure_take(failure, NULL);
  }
  SSL_CTX_free(ctx);
  return NULL;
}

/* ---- the context ---------------------------------------------------------------------------------------------- */

static bool make_parts(struct braid_tls_context *context, const struct braid_tls_options *options,
                       struct braid_tls_failure *failure) {
  unsigned count = options->identity_count ? options->identity_count : 1;
  context->identities = calloc(count, sizeof(SSL_CTX *));
  if (!context->identities) return false;
  for (unsigned i = 0; i < count; i++) {
    SSL_CTX *part = make_part(options, options->identity_count ? &options->identities[i] : NULL, failure);
    if (!part) return false;
    context->identities[context->identity_count++] = part;
  }
  return true;
}

static bool copy_protocols(struct braid_tls_context *context, const struct braid_tls_options *options) {
  if (!options->protocols || !options->server) return true;
  context->protocols = malloc(options->protocols_size);
  if (!context->protocols) return false;
  memcpy(context->protocols, options->protocols, options->protocols_size);
  context->protocols_size = (unsigned)options->protocols_size;
  return true;
}

struct braid_tls_context *braid_tls_context_make(const struct braid_tls_options *options,
                                                 struct braid_tls_failure *failure) {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); /* threads may still use it while the process ends */
  braid_tls_failure_set(failure, BRAID_TLS_SYSTEM, ENOMEM, strerror(ENOMEM));
  struct braid_tls_context *context = calloc(1, sizeof *context);
  if (!context) return NULL;
  context->head.functions = &braid_tls_table;
  atomic_init(&context->refs, 1);
  context->server = options->server;
  context->any_name = options->any_name;
  context->close_notify_is_free = options->close_notify_is_free;
  context->resume = options->resume;
  braid_tls_sessions_init(&context->sessions);
  context->method = braid_tls_transport_method();
  bool made = braid_tls_tickets_init(&context->tickets, options->secret) && context->method &&
              copy_protocols(context, options) && make_parts(context, options, failure);
  if (made) return context;
  braid_tls_context_give(context);
  return NULL;
}

void braid_tls_context_take(struct braid_tls_context *context) {
  atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
}

void braid_tls_context_give(struct braid_tls_context *context) {
  if (atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1) return;
  for (unsigned i = 0; i < context->identity_count; i++) SSL_CTX_free(context->identities[i]);
  free(context->identities);
  braid_tls_sessions_term(&context->sessions);
  braid_tls_tickets_term(&context->tickets);
  BIO_meth_free(context->method);
  free(context->protocols);
  free(context);
}
