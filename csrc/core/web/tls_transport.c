/* SPDX-License-Identifier: MIT
 * Small pieces are put together before they are encrypted, because each write becomes a record of its own. */
#include "core/web/tls_transport.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "core/loop/poller.h"

enum { RECORD = 16 << 10 };

static struct braid_tls *tls_of(const struct braid_transport *transport) { return transport->state; }

/* The status of a call that did nothing. */
static ssize_t refusal(struct braid_transport *transport, enum braid_tls_status status, uint8_t *wants) {
  if (status == BRAID_TLS_WANT_READ || status == BRAID_TLS_WANT_WRITE) {
    *wants = status == BRAID_TLS_WANT_READ ? BRAID_READ : BRAID_WRITE;
    return -EAGAIN;
  }
  if (status == BRAID_TLS_END) return 0;
  const struct braid_tls_failure *failure = braid_tls_failure(tls_of(transport));
  return failure->kind == BRAID_TLS_SYSTEM && failure->code != EAGAIN ? -failure->code : -EPROTO;
}

static ssize_t tls_read(struct braid_transport *transport, void *data, size_t size) {
  size_t count;
  enum braid_tls_status status = braid_tls_read(tls_of(transport), data, size, &count);
  transport->more = status == BRAID_TLS_DONE && braid_tls_has_more(tls_of(transport));
  if (status != BRAID_TLS_DONE) return refusal(transport, status, &transport->read_wants);
  transport->read_wants = BRAID_READ;
  return (ssize_t)count;
}

static ssize_t tls_write(struct braid_transport *transport, const struct iovec *pieces, int count) {
  char record[RECORD];
  const char *data = pieces->iov_base;
  size_t size = pieces->iov_len, taken;
  if (count > 1) {
    size = 0;
    for (int i = 0; i < count && size < RECORD; i++) {
      size_t part = pieces[i].iov_len < RECORD - size ? pieces[i].iov_len : RECORD - size;
      memcpy(record + size, pieces[i].iov_base, part);
      size += part;
    }
    data = record;
  }
  enum braid_tls_status status = braid_tls_write(tls_of(transport), data, size, &taken);
  if (status != BRAID_TLS_DONE) return refusal(transport, status, &transport->write_wants);
  transport->write_wants = BRAID_WRITE;
  return (ssize_t)taken;
}

static int tls_flush(struct braid_transport *transport) {
  enum braid_tls_status status = braid_tls_flush(tls_of(transport));
  if (status == BRAID_TLS_DONE) return 0;
  ssize_t error = refusal(transport, status, &transport->write_wants);
  return error < 0 ? (int)error : -EPROTO;
}

static bool tls_pending(const struct braid_transport *transport) { return transport->more; }

static const char *tls_protocol(const struct braid_transport *transport, size_t *size) {
  return braid_tls_protocol(tls_of(transport), size);
}

static void tls_shutdown(struct braid_transport *transport) {
  braid_tls_finish(tls_of(transport));
  shutdown(transport->fd, SHUT_WR);
}

static void tls_term(struct braid_transport *transport, bool cut) {
  if (cut) braid_tls_cut(tls_of(transport));
  braid_tls_close(tls_of(transport));
}

const struct braid_transport_class braid_transport_tls = {
    .name = "tls",
    .read = tls_read,
    .write = tls_write,
    .flush = tls_flush,
    .pending = tls_pending,
    .protocol = tls_protocol,
    .shutdown = tls_shutdown,
    .term = tls_term,
};

bool braid_transport_secure(struct braid_transport *transport, struct braid_tls_context *context) {
  struct braid_tls *tls = braid_tls_open(context, transport->fd, NULL, NULL);
  if (!tls) return false;
  transport->class = &braid_transport_tls;
  transport->state = tls;
  return true;
}

struct braid_tls *braid_transport_take_tls(const struct braid_transport *transport) {
  return transport->class == &braid_transport_tls ? tls_of(transport) : NULL;
}
