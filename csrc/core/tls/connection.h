/* SPDX-License-Identifier: MIT
 * A connection: see core/net/tls.h. The callbacks of its context find it by its SSL. */
#ifndef BRAID_TLS_CONNECTION_H
#define BRAID_TLS_CONNECTION_H

#include <openssl/ssl.h>

#include "core/tls/context.h"
#include "core/tls/transport.h"

struct braid_tls {
  struct braid_tls_head head;
  struct braid_tls_context *context; /* a reference */
  SSL *ssl;
  struct braid_tls_transport transport;
  char *name;    /* of the server, as a client has asked for it; NULL: none */
  char *session; /* where the client's sessions are kept; NULL: they are not */
  char *protocol;
  X509 *refused; /* the peer's certificate when it was refused */
  bool ready;    /* both sides have agreed */
  bool settled;  /* and our last part of the handshake is sent */
  bool finished; /* close_notify is written, or a write was cut */
  bool cut;      /* see braid_tls_cut */
  bool more;     /* see braid_tls_has_more */
  bool failed;
  struct braid_tls_failure failure;
};

static inline struct braid_tls *braid_tls_of(const SSL *ssl) { return SSL_get_app_data(ssl); }

extern const struct braid_tls_functions braid_tls_table;

#endif
