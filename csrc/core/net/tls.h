/* SPDX-License-Identifier: MIT
 * TLS on a connected socket, for whoever drives it: streams of Lua, and the web server. A *context* says how to behave
 * (certificates, whom to trust); any number of connections use it. A connection belongs to one thread at a time. It
 * reads and writes the socket itself, never waits, and does not own the descriptor.
 *
 * The code is in csrc/core/tls, in a module of its own (braid.tls_core) that is linked with OpenSSL. Only `struct
 * braid_tls_functions` connects it with the rest: whoever has loaded that module has a pointer to them, each context
 * and each connection has it, too, and the inline functions below call through it. So nothing else is linked with
 * OpenSSL, and a program that uses no TLS does not load it.
 *
 * A server: make a context once, then braid_tls_open for each connection that was accepted. The handshake runs in the
 * first read or write; or call braid_tls_handshake to know when it is done. */
#ifndef BRAID_TLS_H
#define BRAID_TLS_H

#include <stdint.h>

#include "core/base/base.h"

struct braid_tls_context;
struct braid_tls;

enum {
  BRAID_TLS_SECRET = 32, /* bytes */
  BRAID_TLS_REASON = 256
};

enum braid_tls_status {
  BRAID_TLS_DONE,
  BRAID_TLS_WANT_READ,  /* call again when the socket can be read */
  BRAID_TLS_WANT_WRITE, /* call again when the socket can be written */
  BRAID_TLS_END,        /* the peer has ended its data */
  BRAID_TLS_FAILED,     /* braid_tls_failure says why; every later call fails in the same way */
};

enum braid_tls_kind {
  BRAID_TLS_REFUSED, /* by the rules of TLS, ours or the peer's: `code` is OpenSSL's reason, or X509_V_ERR_... */
  BRAID_TLS_CLOSED,  /* the peer has reset the connection, or this side has ended its writing */
  BRAID_TLS_SYSTEM   /* `code` is an error number */
};

struct braid_tls_failure {
  enum braid_tls_kind kind;
  int code;
  char reason[BRAID_TLS_REASON];
};

/* A chain of certificates and its key, as PEM: each the path of a file, or the text itself. */
struct braid_tls_identity {
  const char *certificate, *key; /* key NULL: it is at the same place */
};

/* All texts are only read during the call that gets them. */
struct braid_tls_options {
  bool server;
  bool verify;                    /* check the peer's certificate */
  bool demand;                    /* a server that verifies: refuse clients without a certificate */
  bool any_name;                  /* a client that verifies: the certificate need not be for the name */
  bool close_notify_is_free;      /* an end without close_notify is an end, not a failure */
  bool resume;                    /* sessions are kept, or tickets given out */
  int least, most;                /* the lowest and the highest version: 10 to 13; most 0: any */
  const char *ca_file, *ca_path;  /* whom to trust; both NULL: whom the system trusts */
  const char *ciphers;            /* names with colons; those of TLS 1.3 ("TLS_...") and of 1.2; NULL: OpenSSL's */
  const unsigned char *protocols; /* for ALPN, in its form: a byte with the size before each name; NULL: no ALPN */
  size_t protocols_size;
  const struct braid_tls_identity *identities; /* the first is used where no other fits the name that is asked for */
  unsigned identity_count;                     /* a server: at least 1 */
  const char *password;                        /* of their keys; NULL: none */
  const unsigned char *secret; /* BRAID_TLS_SECRET bytes, a server: the keys of its tickets are made of it and of the
                                  time. Workers with the same one resume each other's sessions; NULL: a random one */
};

/* What a certificate says. Texts end with a zero; they are freed with the info. */
struct braid_tls_certificate {
  char *subject, *issuer;
  char **names; /* of hosts, and addresses */
  unsigned name_count;
  int64_t not_before, not_after; /* seconds since 1970 */
  char sha256[65];               /* hexadecimal */
};

struct braid_tls_info {
  const char *version, *cipher; /* "TLSv1.3"; they live as long as the connection, as do the next two */
  const char *protocol;         /* of ALPN; NULL: none */
  const char *server_name;      /* NULL: none */
  bool resumed;
  bool has_peer;
  struct braid_tls_certificate peer;
};

/* The functions below, for the inline functions that call them. */
struct braid_tls_functions {
  struct braid_tls_context *(*context_new)(const struct braid_tls_options *options, struct braid_tls_failure *failure);
  void (*context_ref)(struct braid_tls_context *context);
  void (*context_unref)(struct braid_tls_context *context);
  struct braid_tls *(*open)(struct braid_tls_context *context, int fd, const char *name, const char *session);
  void (*close)(struct braid_tls *tls);
  enum braid_tls_status (*handshake)(struct braid_tls *tls);
  enum braid_tls_status (*read)(struct braid_tls *tls, char *data, size_t room, size_t *count);
  bool (*has_more)(const struct braid_tls *tls);
  enum braid_tls_status (*write)(struct braid_tls *tls, const char *data, size_t size, size_t *count);
  enum braid_tls_status (*flush)(struct braid_tls *tls);
  enum braid_tls_status (*finish)(struct braid_tls *tls);
  void (*cut)(struct braid_tls *tls);
  const char *(*protocol)(const struct braid_tls *tls, size_t *size);
  const struct braid_tls_failure *(*failure)(const struct braid_tls *tls);
  bool (*describe)(struct braid_tls *tls, struct braid_tls_info *info);
  void (*forget)(struct braid_tls_info *info);
};

/* The beginnings of contexts and connections: the rest is of csrc/core/tls. */
struct braid_tls_head {
  const struct braid_tls_functions *functions;
};

static inline const struct braid_tls_functions *braid_tls_functions_of(const void *object) {
  return ((const struct braid_tls_head *)object)->functions;
}

/* ---- contexts: any thread ------------------------------------------------------------------------------------- */

/* Reads the files of certificates and keys. NULL and the failure when they are not good, or memory is out. */
static inline struct braid_tls_context *braid_tls_context_new(const struct braid_tls_functions *functions,
                                                              const struct braid_tls_options *options,
                                                              struct braid_tls_failure *failure) {
  return functions->context_new(options, failure);
}

static inline void braid_tls_context_ref(struct braid_tls_context *context) {
  braid_tls_functions_of(context)->context_ref(context);
}

/* Its connections have references of their own. */
static inline void braid_tls_context_unref(struct braid_tls_context *context) {
  braid_tls_functions_of(context)->context_unref(context);
}

/* ---- connections ---------------------------------------------------------------------------------------------- */

/* Begins TLS on the socket, which must be connected and must not block. A client: `name` is the host or the address
 * that the server's certificate must have (NULL: any), and sessions are resumed between connections with the same
 * `session` (NULL: none are). NULL when memory is out. */
static inline struct braid_tls *braid_tls_open(struct braid_tls_context *context, int fd, const char *name,
                                               const char *session) {
  return braid_tls_functions_of(context)->open(context, fd, name, session);
}

/* Sends close_notify if the socket takes it now, and frees the connection. The descriptor stays open. */
static inline void braid_tls_close(struct braid_tls *tls) { braid_tls_functions_of(tls)->close(tls); }

/* DONE when both sides have agreed, also when they had before. Else WANT_READ, WANT_WRITE or FAILED. */
static inline enum braid_tls_status braid_tls_handshake(struct braid_tls *tls) {
  return braid_tls_functions_of(tls)->handshake(tls);
}

/* DONE with at least one byte. It may have further bytes that the socket does not show any more: so wait only after
 * WANT_READ or WANT_WRITE, or when braid_tls_has_more says no. A failure comes after the bytes before it. */
static inline enum braid_tls_status braid_tls_read(struct braid_tls *tls, char *data, size_t room, size_t *count) {
  return braid_tls_functions_of(tls)->read(tls, data, room, count);
}

/* After a read that gave bytes: whether there is more that the socket does not show, bytes or a failure. */
static inline bool braid_tls_has_more(const struct braid_tls *tls) {
  return braid_tls_functions_of(tls)->has_more(tls);
}

/* Encrypts and sends. DONE: `count` bytes were taken, at least one, maybe not all; whatever the socket did not take of
 * them waits in the connection: braid_tls_flush sends it, as does the next write. Else nothing was taken. */
static inline enum braid_tls_status braid_tls_write(struct braid_tls *tls, const char *data, size_t size,
                                                    size_t *count) {
  return braid_tls_functions_of(tls)->write(tls, data, size, count);
}

/* DONE: the socket has taken everything. Else WANT_WRITE or FAILED. */
static inline enum braid_tls_status braid_tls_flush(struct braid_tls *tls) {
  return braid_tls_functions_of(tls)->flush(tls);
}

/* Ends writing with close_notify, and sends all that waits; reading goes on. As braid_tls_handshake. */
static inline enum braid_tls_status braid_tls_finish(struct braid_tls *tls) {
  return braid_tls_functions_of(tls)->finish(tls);
}

/* A message was left in its middle: later writes fail, and braid_tls_close will not touch the socket, so that the peer
 * sees that something is missing. Also for a connection that belongs to the parent of this process. */
static inline void braid_tls_cut(struct braid_tls *tls) { braid_tls_functions_of(tls)->cut(tls); }

/* The protocol that ALPN has chosen; NULL before the handshake is done, and when there is none. Not terminated. */
static inline const char *braid_tls_protocol(const struct braid_tls *tls, size_t *size) {
  return braid_tls_functions_of(tls)->protocol(tls, size);
}

static inline const struct braid_tls_failure *braid_tls_failure(const struct braid_tls *tls) {
  return braid_tls_functions_of(tls)->failure(tls);
}

/* What was agreed; after a failure, the peer's certificate if it has sent one. False when memory is out. Call
 * braid_tls_forget afterwards. */
static inline bool braid_tls_describe(struct braid_tls *tls, struct braid_tls_info *info) {
  return braid_tls_functions_of(tls)->describe(tls, info);
}

static inline void braid_tls_forget(const struct braid_tls *tls, struct braid_tls_info *info) {
  braid_tls_functions_of(tls)->forget(info);
}

#endif
