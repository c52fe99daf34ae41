/* SPDX-License-Identifier: MIT
 * Descriptors that braid owns. They are non-blocking and close-on-exec. At most one task reads and one writes at a
 * time. The state's own thread. */
#ifndef BRAID_LFD_H
#define BRAID_LFD_H

#include <lua.h>

#include "lua/sched/lsched.h"

struct braid_tls;

/* One direction of a descriptor. Its watch is started while a task waits. */
struct fd_wait {
  struct braid_watch watch;
  struct braid_waiter *waiter; /* NULL: no task waits */
  int64_t deadline;
  int asked, ready;
  bool busy;  /* a call is in progress: it waits, or lets other tasks run first */
  bool known; /* a watch was started for this descriptor before */
};

struct descriptor {
  int fd; /* -1: closed */
  bool socket;
  bool terminal; /* ours of a pseudoterminal: EIO is its end */
  struct fd_wait reader, writer;
  bool receiving;        /* the read in progress is lmessages.c's */
  struct braid_tls *tls; /* what its bytes pass through: see ltls.h; NULL: nothing */
  size_t unsent;         /* bytes of the current write that `tls` has taken, and not sent completely */
};

/* Pushes a closed descriptor. Call it before the descriptor is opened: so nothing leaks if this raises. */
struct descriptor *lfd_new(lua_State *L);

/* From here on it owns `fd`. Cannot fail. */
void lfd_adopt(struct descriptor *descriptor, int fd);

/* Ends the waits for it with BRAID_CLOSED and closes it. Does nothing when it is closed. */
void lfd_close(struct descriptor *descriptor);

/* The same, but leaves the system's descriptor open: it is somebody else's now. */
void lfd_disown(struct descriptor *descriptor);

/* The descriptor at `index`; raises if it is something else. */
struct descriptor *lfd_check(lua_State *L, int index);

/* How to write a call that may wait, on the descriptor at index 1. It begins with lfd_begin, which reads the timeout
 * (the last argument) and raises if another call is in progress. When nothing is ready it does `return lfd_wait(...)`,
 * which continues at `k`. There lfd_end tells how the wait ended. `doing`: "reading from"; `what`: "stream:read". */
struct fd_wait *lfd_begin(lua_State *L, struct fd_wait *wait, const char *doing);
int lfd_wait(lua_State *L, struct fd_wait *wait, int events, const char *what, lua_KFunction k);
enum braid_status lfd_end(struct sched *sched, struct fd_wait *wait);

/* The same for a call that waits until either of two descriptors can be read. `k` calls lfd_end for the first one, and
 * lfd_leave for the second one. */
int lfd_wait_either(lua_State *L, struct descriptor *first, struct descriptor *second, const char *what,
                    lua_KFunction k);
void lfd_leave(struct sched *sched, struct fd_wait *wait);

/* Makes a pipe, close-on-exec; ends[0] is for reading. Returns 0 or an error number. */
int lfd_pipe(int ends[2]);

#endif
