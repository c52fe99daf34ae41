/* SPDX-License-Identifier: MIT
 * How an operation of the core ended. It is never an errno value: where the system failed, errno tells. */
#ifndef BRAID_STATUS_H
#define BRAID_STATUS_H

enum braid_status {
  BRAID_OK,
  BRAID_WAIT,        /* the node waits; the waiter will be woken */
  BRAID_TIMEOUT,     /* the deadline came first */
  BRAID_CANCELLED,   /* a scope around the wait was cancelled */
  BRAID_INTERRUPTED, /* SIGINT */
  BRAID_DEADLOCK,    /* no task is left that could end the wait */
  BRAID_CLOSED,
  BRAID_FULL,
  BRAID_EMPTY,
  BRAID_OWNER_DIED, /* a lock's owner ended while holding it */
  BRAID_BROKEN,     /* a barrier that was aborted or reset */
  BRAID_MISUSE,
  BRAID_NO_MEMORY,
  BRAID_GONE,  /* the process that has the object has ended */
  BRAID_SYSTEM /* errno has the reason */
};

/* The status as a string: the `kind` of a Lua error. Any thread; does not block. */
const char *braid_status_name(enum braid_status status);

#endif
