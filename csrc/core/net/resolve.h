/* SPDX-License-Identifier: MIT
 * Resolves host names to addresses. */
#ifndef BRAID_RESOLVE_H
#define BRAID_RESOLVE_H

#include "core/loop/blocking.h"
#include "core/net/socket.h"

/* One question. */
struct braid_resolution {
  struct braid_blocking work;
  int error;  /* 0 or an error of getaddrinfo; EAI_SYSTEM: `number` tells */
  int number; /* an errno value */
  unsigned count;
  struct braid_address *addresses; /* in the order in which to try them */
  int port;
  char host[];
};

extern const struct braid_class braid_resolution_class;

/* Starts to resolve. Numeric addresses and "localhost" are answered at once. Host NULL: all addresses of this machine,
 * for a listener. NULL when memory is out. Any thread; does not block. */
struct braid_resolution *braid_resolution_new(const char *host, int port);

#endif
