/* SPDX-License-Identifier: MIT
 * How an operation of the core ended. Never an error number of the system: those travel as errno. */
#ifndef BRAID_STATUS_H
#define BRAID_STATUS_H

enum braid_status {
  BRAID_OK,
  BRAID_WAIT,        /* the wait node stands in the wait queue: the waiter will be woken */
  BRAID_TIMEOUT,     /* the deadline came first */
  BRAID_CANCELLED,   /* a scope around the wait was cancelled */
  BRAID_INTERRUPTED, /* SIGINT */
  BRAID_DEADLOCK,    /* nobody is left who could end the wait */
  BRAID_CLOSED,
  BRAID_FULL,
  BRAID_EMPTY,
  BRAID_OWNER_DIED, /* a lock's owner ended while holding it */
  BRAID_BROKEN,     /* a barrier that was aborted or reset */
  BRAID_MISUSE,
  BRAID_NO_MEMORY,
  BRAID_GONE,  /* the process in which the object lives has ended */
  BRAID_SYSTEM /* errno tells */
};

/* The status as the `kind` of a Lua error. Any thread; does not block. */
const char *braid_status_name(enum braid_status status);

#endif
