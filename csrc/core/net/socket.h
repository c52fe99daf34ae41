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

/* Makes the address of a Unix socket's path; "@name" is an abstract one, where the system has those. Returns 0 or a
 * positive error number. */
int braid_address_unix(struct braid_address *address, const char *path);

/* Writes the host or the path, and the port (0 for a path). An IPv4 address that an IPv6 socket has seen is written as
 * an IPv4 address. */
void braid_address_text(const struct braid_address *address, char text[BRAID_ADDRESS_TEXT], int *port);

struct braid_socket_options {
  const struct braid_address *from; /* the local address; NULL: the system chooses */
  int keepalive;                    /* seconds of silence until it asks for the peer; -1: the system's; 0: never */
  bool delay;                       /* small pieces wait for each other (no TCP_NODELAY) */
};

/* Starts a connection and returns its descriptor. `*pending`: it is not yet established. */
int braid_socket_connect(const struct braid_address *address, const struct braid_socket_options *options,
                         bool *pending);

/* The outcome of a pending connection: 0, or a positive error number. */
int braid_socket_outcome(int fd);

struct braid_listen_options {
  int backlog;
  int v6only; /* an IPv6 socket takes no IPv4 connections: 1 or 0; -1: as the system has it */
  bool reuse_port;
};

/* Returns a listening descriptor. Replaces a Unix socket's file at which nobody listens any more. */
int braid_socket_listen(const struct braid_address *address, const struct braid_listen_options *options);

/* Returns a connection's descriptor; -EAGAIN: none has come; else an error of the listener. */
int braid_socket_accept(int listener, struct braid_address *peer);

#endif
