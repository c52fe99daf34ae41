/* SPDX-License-Identifier: MIT
 * Stream sockets and their addresses, TCP and unix. Descriptors are born non-blocking and closed on exec. Where a call
 * answers with a number, a negative one is an error number with its sign turned. Any thread; nothing blocks. */
#ifndef BRAID_SOCKET_H
#define BRAID_SOCKET_H

#include <sys/socket.h>

#include "core/base/base.h"

struct braid_address {
  struct sockaddr_storage bytes;
  socklen_t size;
};

enum {
  BRAID_ADDRESS_TEXT = 128 /* room for an address as text: the longest is a unix socket's path */
};

/* What an error number means here, into `text`: for EMFILE the limit, and what can be done about it. */
void braid_socket_explain(int error, char *text, size_t size);

/* A descriptor closed on exec, not yet non-blocking; when none is left the limit is raised as far as it goes. */
int braid_socket_open(int family, int type, int protocol);

/* The address of a path; 0 or an error number. */
int braid_address_unix(struct braid_address *address, const char *path);

/* Host or path, and port (0 for a path). */
void braid_address_text(const struct braid_address *address, char text[BRAID_ADDRESS_TEXT], int *port);

/* A descriptor whose connection is made (`*pending` is false) or is being made. */
int braid_socket_connect(const struct braid_address *address, bool *pending);

/* 0 when a connection that was pending stands, else why it does not. */
int braid_socket_outcome(int fd);

/* A descriptor that listens. A unix socket's path that nobody listens at any more is taken over. */
int braid_socket_listen(const struct braid_address *address, int backlog, bool reuse_port);

/* A connection's descriptor, -EAGAIN when none has come, or what is wrong with the listener. */
int braid_socket_accept(int listener, struct braid_address *peer);

#endif
