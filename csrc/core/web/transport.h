/* SPDX-License-Identifier: MIT
 * How a connection's bytes travel: as they are, or encrypted by a class of another room or module. The owner's thread
 * only; nothing blocks. */
#ifndef BRAID_TRANSPORT_H
#define BRAID_TRANSPORT_H

#include <sys/uio.h>

#include "core/base/base.h"

struct braid_transport;

/* Sizes, or negated error numbers. -EAGAIN: nothing could be done before the descriptor has an event. A class whose
 * reads wait for room to write, or whose writes wait for bytes to read, changes `read_wants` or `write_wants`. */
struct braid_transport_class {
  const char *name;
  bool half_closes; /* a client may end its side and still read */
  ssize_t (*read)(struct braid_transport *transport, void *data, size_t size); /* 0: the end */
  ssize_t (*write)(struct braid_transport *transport, const struct iovec *pieces, int count);
  /* Sends bytes of a file; 0: the file is shorter. NULL: it cannot, the caller reads the file. */
  ssize_t (*send_file)(struct braid_transport *transport, int file, uint64_t offset, size_t size);
  /* Sends what `write` has taken and the descriptor has not. 0: all has gone; or a negated error number. NULL: there is
   * never anything. */
  int (*flush)(struct braid_transport *transport);
  /* Whether bytes may have come that `read` gives without an event of the descriptor. NULL: never. */
  bool (*pending)(const struct braid_transport *transport);
  /* The protocol that both sides have agreed on (ALPN), after the first read; NULL: none. May be NULL itself. */
  const char *(*protocol)(const struct braid_transport *transport, size_t *size);
  /* Tells the client that nothing more will be sent. */
  void (*shutdown)(struct braid_transport *transport);
  /* Gives back everything but the descriptor. `cut`: the client is to see that something is missing. */
  void (*term)(struct braid_transport *transport, bool cut);
};

struct braid_transport {
  const struct braid_transport_class *class;
  void *state;                     /* the class's own */
  int fd;                          /* the connection closes it */
  uint8_t read_wants, write_wants; /* BRAID_READ or BRAID_WRITE; at first the obvious ones */
  bool more;                       /* the class's own: see `pending` */
};

/* The bytes as they are. */
extern const struct braid_transport_class braid_transport_plain;

#endif
