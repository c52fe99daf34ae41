/* SPDX-License-Identifier: MIT
 * See the header. */
#include "core/web/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sendfile.h>
#endif

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* elsewhere the socket has SO_NOSIGPIPE */
#endif

static ssize_t outcome(ssize_t count) {
  if (count >= 0) return count;
  return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static ssize_t plain_read(struct braid_transport *transport, void *data, size_t size) {
  ssize_t count;
  do count = recv(transport->fd, data, size, 0);
  while (count < 0 && errno == EINTR);
  return outcome(count);
}

static ssize_t plain_write(struct braid_transport *transport, const struct iovec *pieces, int count) {
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
  ssize_t sent;
  do
    sent = count == 1 ? send(transport->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
                      : sendmsg(transport->fd, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return outcome(sent);
}

#ifdef __linux__
/* A client that has gone raises no SIGPIPE here: the kernel's sendfile sends with MSG_NOSIGNAL. */
static ssize_t plain_send_file(struct braid_transport *transport, int file, uint64_t offset, size_t size) {
  off_t at = (off_t)offset;
  ssize_t sent;
  do sent = sendfile(transport->fd, file, &at, size);
  while (sent < 0 && errno == EINTR);
  return outcome(sent);
}
#else
#define plain_send_file NULL
#endif

static void plain_shutdown(struct braid_transport *transport) { shutdown(transport->fd, SHUT_WR); }

static void plain_term(struct braid_transport *transport, bool cut) { (void)transport, (void)cut; }

const struct braid_transport_class braid_transport_plain = {
    .name = "plain",
    .half_closes = true,
    .read = plain_read,
    .write = plain_write,
    .send_file = plain_send_file,
    .shutdown = plain_shutdown,
    .term = plain_term,
};
