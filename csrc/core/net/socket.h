/* SPDX-License-Identifier: MIT
 * TCP and Unix stream sockets and their addresses. Descriptors are non-blocking and close-on-exec, except where noted.
 * Where a function returns an int, a negative value is a negated error number. Any thread; nothing blocks. */
#ifndef BRAID_SOCKET_H
#define BRAID_SOCKET_H

#include <sys/socket.h>

#include "core/base/base.h"

struct braid_address {
  struct sockaddr_storage bytes;
  socklen_t size;
};

enum {
  BRAID_ADDRESS_TEXT = 128 /* size of an address as text; the longest is a Unix socket's path */
};

/* Writes what an error number means into `text`. For EMFILE: the limit, and what the user can do. */
void braid_socket_explain(int error, char *text, size_t size);

/* Opens a socket, close-on-exec but blocking. When no descriptor is left, it raises the soft limit. */
int braid_socket_open(int family, int type, int protocol);

/* Makes the address of a Unix socket's path. Returns 0 or a positive error number. */
int braid_address_unix(struct braid_address *address, const char *path);

/* Writes the host or the path, and the port (0 for a path). */
void braid_address_text(const struct braid_address *address, char text[BRAID_ADDRESS_TEXT], int *port);

/* Starts a connection and returns its descriptor. `*pending`: it is not yet established. */
int braid_socket_connect(const struct braid_address *address, bool *pending);

/* The outcome of a pending connection: 0, or a positive error number. */
int braid_socket_outcome(int fd);

/* Returns a listening descriptor. Replaces a Unix socket's file at which nobody listens any more. */
int braid_socket_listen(const struct braid_address *address, int backlog, bool reuse_port);

/* Returns a connection's descriptor; -EAGAIN: none has come; else an error of the listener. */
int braid_socket_accept(int listener, struct braid_address *peer);

#endif
