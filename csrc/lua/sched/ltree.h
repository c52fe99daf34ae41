/* SPDX-License-Identifier: MIT
 * Who belongs to whom: tasks are children of scopes, scopes are entered by tasks. Cancels spread down this tree. No
 * Lua is run here. The state's own thread; nothing blocks. */
#ifndef BRAID_LTREE_H
#define BRAID_LTREE_H

#include <lua.h>

#include "core/loop/loop.h"

/* Of a future: what state() tells. In waiter.state. */
enum future_state { FUTURE_PENDING, FUTURE_RUNNING, FUTURE_DONE, FUTURE_FAILED, FUTURE_CANCELLED };

/* In waiter.flags. */
enum task_flag {
  TASK_CANCELLED = 1,   /* its own cancel, not a scope's */
  TASK_INTERRUPTED = 2, /* that cancel came from SIGINT */
  TASK_LINKED = 4,      /* its failure is its scope's */
  TASK_DAEMON = 8,      /* does not keep its scope open */
  TASK_ASKED = 16,      /* somebody has seen its failure */
  TASK_WATCHED = 32,    /* has callbacks */
  TASK_SINGLE = 64,     /* its result is one value, not a list */
  TASK_PARKED = 128,    /* in a wait */
  TASK_MASKED = 256,    /* that wait is not cancelled */
  TASK_HOLDS = 512,     /* has held a lock */
  TASK_APART = 1024,    /* a pool's: its failure is no scope's */
  TASK_HELD = 2048,     /* has not been started: not ready yet */
  TASK_RAISED = 4096,   /* a cancel from outside was raised in it */
  TASK_CLOSER = 8192,   /* begins though it is cancelled: it closes a generator */
  TASK_SINCE = 16384    /* times the tick at which it was parked: the upper bits of the flags */
};

/* A result that is not there yet: of a task, or of a job that a worker runs. */
struct future {
  struct braid_waiter waiter;       /* state: enum future_state; flags: enum task_flag */
  struct braid_wait_queue *joiners; /* who waits for its end; made when somebody does */
};

/* A coroutine that the loop moves. Userdata "braid.task"; user value 1 is its result or its failure. It is kept
 * small: an idle task is this and its coroutine. */
struct task {
  union {
    struct future future;
    struct { /* the same, for short */
      struct braid_waiter waiter;
      struct braid_wait_queue *joiners;
    };
  };
  struct braid_list sibling; /* in its nursery's children */
  struct scope *nursery;     /* the scope it was spawned into; NULL: the script */
  struct scope *scope;       /* the innermost it has entered; its nursery when it has entered none */
  lua_State *co;             /* NULL once it has ended, and for the script */
};

enum scope_flag {
  SCOPE_CANCELLED = 1,
  SCOPE_SHIELD = 2,   /* cancels from outside stop here */
  SCOPE_NURSERY = 4,  /* takes children */
  SCOPE_ENDED = 8,    /* takes no more */
  SCOPE_EXPIRED = 16, /* its deadline has cancelled it */
  SCOPE_FAILED = 32,  /* the Lua layer keeps failures of its children */
  SCOPE_GATHER = 64,  /* a linked child that is cancelled cancels it, as one that fails does */
  SCOPE_WAITED = 128, /* its end had to wait for children */
  SCOPE_FRAME = 256,  /* a generator's: around the scopes that were entered inside it */
  SCOPE_RUN = 512     /* the pools that are made inside are its own: a run, or a job */
};

/* How often a cancel was raised that somebody goes on after. */
struct insistence {
  unsigned raises;
  bool stopped;  /* wherever it stood, and reported */
  int64_t since; /* the second raise */
  int64_t last;  /* when it was stopped last, or its patience began to end */
};

/* Userdata "braid.scope", on the stack of whoever entered it. */
struct scope {
  struct scope *outer; /* the scope around it; NULL: the script's */
  struct task *owner;  /* who entered it */
  struct tree *tree;
  struct braid_list children;
  struct braid_wait_queue ended; /* the owner waits here for its children */
  struct braid_alarm alarm;
  uint64_t serial;  /* no other scope has had it */
  const void *doom; /* what is cancelled around it, with no shield between: a cancel that spread has left it here */
  unsigned alive;   /* children that keep it open */
  unsigned flags;
  int slot;                     /* in which the Lua layer keeps it */
  struct insistence insistence; /* of its owner with the scope's own cancel */
};

struct tree {
  struct braid_loop *loop;
  struct task script;
  struct scope root;
  uint64_t entered; /* scopes, ever */
  unsigned cancels; /* scopes and tasks that are cancelled now: 0 spares everybody the look upwards */
};

void tree_init(struct tree *tree, struct braid_loop *loop);

/* The innermost of the cancelled scopes and tasks around `task` (a struct scope or a struct task), or NULL. */
const void *tree_canceller(const struct tree *tree, const struct task *task);

/* Enters a scope: it becomes the innermost of `owner`. */
void tree_enter(struct tree *tree, struct scope *scope, struct task *owner, unsigned flags);
/* Leaves it, innermost or not. Children that are left are cancelled and go to the nursery outside. Nothing happens the
 * second time. */
void tree_leave(struct scope *scope);

/* A generator's scopes, those inside its frame, change hands. At its yield they leave the task that drives it, and
 * belong to `guest`, a party without a coroutine that is a child of `home`, a nursery, but does not keep it open. */
void tree_lay_aside(struct scope *frame, struct task *guest, struct scope *home);
/* Before its next step they come to the task that drives it then. A cancel that has come to them meanwhile stays. */
void tree_take_back(struct scope *frame, struct task *guest, struct task *task);
static inline bool tree_is_guest(const struct task *child) { return child->co == NULL; }
/* Of what is around `inner`: the scope at this address that had this serial; or the nearest nursery, when it is gone.
 */
struct scope *tree_home(struct scope *inner, const struct scope *scope, uint64_t serial);

/* The nearest scope around the task that takes children. */
struct scope *tree_nursery(const struct task *task);
/* The nearest run around the task, or NULL. */
struct scope *tree_run(const struct task *task);
void tree_adopt(struct scope *scope, struct task *task);
/* Makes a task ready that was held. Nothing happens the second time. */
void tree_start(struct tree *tree, struct task *task);
/* From now on its nursery does not wait for it. */
void tree_set_daemon(struct task *task);
/* The task has ended: its nursery may have, too. */
void tree_release(struct tree *tree, struct task *task);

/* From now on every wait inside is cancelled, those that stand now first. */
void tree_cancel_scope(struct scope *scope);
void tree_cancel_task(struct tree *tree, struct task *task, unsigned flags);

/* Calls `visit` for each task below the scope, parents first. */
void tree_walk(struct scope *scope, void (*visit)(struct task *task, void *context), void *context);

#endif
