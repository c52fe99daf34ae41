/* SPDX-License-Identifier: MIT
 * Resolves host names to addresses. The system's function blocks, so a few threads call it for the whole process. Each
 * thread ends when there are no more questions. */
#ifndef BRAID_RESOLVE_H
#define BRAID_RESOLVE_H

#include "core/base/list.h"
#include "core/base/object.h"
#include "core/net/socket.h"
#include "core/loop/waiter.h"

/* One question. The asker and the thread that answers hold references. */
struct braid_resolution {
  struct braid_object object;
  struct braid_wait_queue waiters; /* for the answer; object.guard guards it and `done` */
  struct braid_list turn;          /* in the list of questions that no thread has taken */
  bool done;                       /* the fields below are set, and do not change any more */
  int error;                       /* 0 or an error of getaddrinfo; EAI_SYSTEM: `number` tells */
  int number;                      /* an errno value */
  unsigned count;
  struct braid_address *addresses; /* in the order in which to try them */
  int port;
  char host[];
};

extern const struct braid_class braid_resolution_class;

/* Starts to resolve. Numeric addresses and "localhost" are answered at once. Host NULL: all addresses of this machine,
 * for a listener. NULL when memory is out. Any thread; does not block. */
struct braid_resolution *braid_resolution_new(const char *host, int port);

/* BRAID_OK when it is done. Else BRAID_WAIT, and the node waits; BRAID_EMPTY when `node` is NULL. Any thread; does not
 * block. */
enum braid_status braid_resolution_wait(struct braid_resolution *resolution, struct braid_wait_node *node);

#endif
