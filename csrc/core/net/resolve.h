/* SPDX-License-Identifier: MIT
 * Names of hosts into addresses, asked for in threads of their own because the system's way blocks. A few threads for
 * the whole process; each ends when nobody asks any more. */
#ifndef BRAID_RESOLVE_H
#define BRAID_RESOLVE_H

#include "core/base/list.h"
#include "core/base/object.h"
#include "core/net/socket.h"
#include "core/loop/waiter.h"

/* One question, held by whoever asks and by the thread that answers. */
struct braid_resolution {
  struct braid_object object;
  struct braid_wait_queue waiters; /* who waits for the answer; guarded by object.guard, as is `done` */
  struct braid_list turn;          /* among those that no thread has taken yet */
  bool done;                       /* what follows is there, and will not change */
  int error;                       /* 0, or one of getaddrinfo's; EAI_SYSTEM: number_of tells */
  int number;                      /* an error number */
  unsigned count;
  struct braid_address *addresses; /* in the order in which to try them */
  int port;
  char host[];
};

extern const struct braid_class braid_resolution_class;

/* Begins to ask; numbers and "localhost" are answered at once. Host NULL: every address of this machine, to listen at.
 * NULL when memory is out. Any thread; does not block. */
struct braid_resolution *braid_resolution_new(const char *host, int port);

/* BRAID_OK when it is done; else BRAID_WAIT, and the wait node stands in the wait queue (BRAID_EMPTY without one). Any
 * thread; does not block. */
enum braid_status braid_resolution_wait(struct braid_resolution *resolution, struct braid_wait_node *node);

#endif
