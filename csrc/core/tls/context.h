/* SPDX-License-Identifier: MIT
 * A context: the rules of connections. It does not change after it was made, except for its sessions and ticket keys,
 * which have their own mutexes. Any thread. */
#ifndef BRAID_TLS_CONTEXT_H
#define BRAID_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "core/net/tls.h"
#include "core/tls/sessions.h"
#include "core/tls/tickets.h"

struct braid_tls_context {
  struct braid_tls_head head;
  atomic_uint refs;
  bool server, any_name, close_notify_is_free, resume;
  SSL_CTX **identities; /* each with one identity; a client has one, maybe without */
  unsigned identity_count;
  BIO_METHOD *method;
  unsigned char *protocols; /* of a server, for ALPN */
  unsigned protocols_size;
  struct braid_tls_sessions sessions; /* of a client */
  struct braid_tls_tickets tickets;   /* of a server */
};

/* See core/net/tls.h. */
struct braid_tls_context *braid_tls_context_make(const struct braid_tls_options *options,
                                                 struct braid_tls_failure *failure);
void braid_tls_context_take(struct braid_tls_context *context);
void braid_tls_context_give(struct braid_tls_context *context);

#endif
