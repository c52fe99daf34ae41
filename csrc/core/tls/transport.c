/* SPDX-License-Identifier: MIT
 * A BIO that sends and receives itself: OpenSSL's own one raises SIGPIPE. */
#include "core/tls/transport.h"

#include <errno.h>
#include <sys/socket.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* the descriptor has F_SETNOSIGPIPE: see lfd.c */
#endif

enum { KEPT = 65536 }; /* an empty buffer that is larger is freed */

void braid_tls_transport_init(struct braid_tls_transport *transport, int fd) {
  *transport = (struct braid_tls_transport){.fd = fd};
  braid_buffer_init(&transport->out);
}

void braid_tls_transport_term(struct braid_tls_transport *transport) { braid_buffer_term(&transport->out); }

/* Sends, and returns how much the socket has taken. Notes its error, after which everything is dropped. */
static size_t send_some(struct braid_tls_transport *transport, const char *data, size_t size) {
  size_t sent = 0;
  while (sent < size) {
    ssize_t count = send(transport->fd, data + sent, size - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return sent;
    if (count < 0) {
      transport->send_error = errno;
      return size;
    }
    sent += (size_t)count;
  }
  return sent;
}

void braid_tls_transport_flush(struct braid_tls_transport *transport) {
  struct braid_buffer *out = &transport->out;
  if (transport->sent == out->size) return;
  transport->sent += send_some(transport, out->data + transport->sent, out->size - transport->sent);
  if (transport->sent < out->size) return;
  transport->sent = out->size = 0;
  if (out->capacity > KEPT) braid_buffer_term(out);
}

static int bio_write(BIO *bio, const char *data, int size) {
  struct braid_tls_transport *transport = BIO_get_data(bio);
  if (size <= 0 || transport->send_error) return size;
  size_t sent = 0, all = (size_t)size;
  if (braid_tls_transport_pending(transport) == 0) sent = send_some(transport, data, all);
  if (sent < all && !braid_buffer_append(&transport->out, data + sent, all - sent)) transport->send_error = ENOMEM;
  return size;
}

static int bio_read(BIO *bio, char *data, int room) {
  struct braid_tls_transport *transport = BIO_get_data(bio);
  ssize_t count;
  BIO_clear_retry_flags(bio);
  if (room <= 0) return 0;
  do count = recv(transport->fd, data, (size_t)room, 0);
  while (count < 0 && errno == EINTR);
  if (count > 0) return (int)count;
  if (count == 0) {
    transport->ended = true;
    return 0;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    BIO_set_retry_read(bio);
  else
    transport->read_error = errno;
  return -1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
  (void)number, (void)pointer;
  const struct braid_tls_transport *transport = BIO_get_data(bio);
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return transport->ended;
    default: return 0;
  }
}

BIO_METHOD *braid_tls_transport_method(void) {
  enum { OURS = 250 }; /* any number that no kind of OpenSSL's own has */
  BIO_METHOD *method = BIO_meth_new(OURS | BIO_TYPE_SOURCE_SINK, "braid");
  if (!method) return NULL;
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_ctrl(method, bio_control);
  return method;
}

BIO *braid_tls_transport_bio(struct braid_tls_transport *transport, const BIO_METHOD *method) {
  BIO *bio = BIO_new(method);
  if (!bio) return NULL;
  BIO_set_data(bio, transport);
  BIO_set_init(bio, 1);
  return bio;
}
