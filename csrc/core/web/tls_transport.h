/* SPDX-License-Identifier: MIT
 * The transport of connections with TLS. */
#ifndef BRAID_TLS_TRANSPORT_CLASS_H
#define BRAID_TLS_TRANSPORT_CLASS_H

#include "core/net/tls.h"
#include "core/web/transport.h"

extern const struct braid_transport_class braid_transport_tls;

/* Begins TLS, as a server, on the transport's descriptor. False when memory is out. The handshake runs in the first
 * read. The owner's thread; does not block. */
bool braid_transport_secure(struct braid_transport *transport, struct braid_tls_context *context);

/* The TLS of a transport that its connection has given up; NULL: it has none. From here on it is the caller's. */
struct braid_tls *braid_transport_take_tls(const struct braid_transport *transport);

#endif
