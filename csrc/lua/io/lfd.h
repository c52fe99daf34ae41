/* SPDX-License-Identifier: MIT
 * Descriptors that we own: non-blocking, closed on exec, at most one reader and one writer waiting at a time. The
 * state's own thread. */
#ifndef BRAID_LFD_H
#define BRAID_LFD_H

#include <lua.h>

#include "lua/sched/lsched.h"

/* One direction of a descriptor: a watch stands in the loop while somebody waits. */
struct fd_wait {
  struct braid_watch watch;
  struct braid_waiter *waiter; /* NULL: nobody waits */
  int64_t deadline;
  int asked, ready;
  bool busy; /* a call is under way, waiting or letting others run */
};

struct descriptor {
  int fd; /* -1: closed */
  bool socket;
  struct fd_wait reader, writer;
};

/* Pushes a descriptor that is closed; nothing can be lost if this raises. */
struct descriptor *lfd_new(lua_State *L);

/* It owns `fd` from here on. Cannot fail. */
void lfd_adopt(struct descriptor *descriptor, int fd);

/* Ends the waits for it with BRAID_CLOSED. Nothing happens when it is closed. */
void lfd_close(struct descriptor *descriptor);

/* The descriptor at `index`; anything else raises. */
struct descriptor *lfd_check(lua_State *L, int index);

/* A call that may wait, on the descriptor at index 1: begins with lfd_begin, which raises when such a call is under way
 * already and takes the last argument for its timeout; `return lfd_wait(...)` when nothing is ready, which goes on at
 * `k`; and there lfd_end tells how the wait ended. `doing`: "reading from"; `what`: "stream:read". */
struct fd_wait *lfd_begin(lua_State *L, struct fd_wait *wait, const char *doing);
int lfd_wait(lua_State *L, struct fd_wait *wait, int events, const char *what, lua_KFunction k);
enum braid_status lfd_end(struct sched *sched, struct fd_wait *wait);

/* Two ends, the reading one first, that close themselves on exec; 0 or an error number. */
int lfd_pipe(int ends[2]);

#endif
