/* SPDX-License-Identifier: MIT
 * OpenSSL's way to the socket. What it writes is always taken: what the socket does not take waits here. So a write of
 * OpenSSL never has to be repeated, and an error of the socket does not disturb its state. The connection's thread;
 * nothing blocks. */
#ifndef BRAID_TLS_TRANSPORT_H
#define BRAID_TLS_TRANSPORT_H

#include <openssl/bio.h>

#include "core/base/buffer.h"

struct braid_tls_transport {
  int fd;
  bool ended;                 /* the peer has ended the connection */
  int read_error, send_error; /* error numbers; 0: none */
  struct braid_buffer out;    /* what waits, from `sent` on */
  size_t sent;
};

void braid_tls_transport_init(struct braid_tls_transport *transport, int fd);
void braid_tls_transport_term(struct braid_tls_transport *transport);

/* How such a BIO works; it must outlive all of them. NULL when memory is out. Free it with BIO_meth_free. */
BIO_METHOD *braid_tls_transport_method(void);

/* NULL when memory is out. The transport must outlive it. */
BIO *braid_tls_transport_bio(struct braid_tls_transport *transport, const BIO_METHOD *method);

/* Bytes that wait. */
static inline size_t braid_tls_transport_pending(const struct braid_tls_transport *transport) {
  return transport->out.size - transport->sent;
}

/* Sends what waits, as far as the socket takes it. */
void braid_tls_transport_flush(struct braid_tls_transport *transport);

#endif
