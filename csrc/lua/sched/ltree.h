/* SPDX-License-Identifier: MIT
 * The tree of tasks and scopes: a task is a child of a scope; a scope is entered by a task. Cancels spread down this
 * tree. Nothing here runs Lua. The state's own thread; nothing blocks. */
#ifndef BRAID_LTREE_H
#define BRAID_LTREE_H

#include <lua.h>

#include "core/loop/loop.h"

/* The state of a future, kept in waiter.state. */
enum future_state { FUTURE_PENDING, FUTURE_RUNNING, FUTURE_DONE, FUTURE_FAILED, FUTURE_CANCELLED };

/* Flags of a task or future, kept in waiter.flags. */
enum task_flag {
  TASK_CANCELLED = 1,   /* by its own cancel, not by a scope's */
  TASK_INTERRUPTED = 2, /* SIGINT was the reason for that cancel */
  TASK_LINKED = 4,      /* its failure fails its scope */
  TASK_DAEMON = 8,      /* does not keep its scope open */
  TASK_ASKED = 16,      /* somebody has seen its failure */
  TASK_WATCHED = 32,    /* has callbacks */
  TASK_SINGLE = 64,     /* its result is one value, not a list */
  TASK_PARKED = 128,    /* it waits */
  TASK_MASKED = 256,    /* this wait is not cancelled */
  TASK_HOLDS = 512,     /* has held a lock */
  TASK_APART = 1024,    /* a pool's task: its failure belongs to no scope */
  TASK_HELD = 2048,     /* not started yet, so not ready */
  TASK_RAISED = 4096,   /* a cancel from outside was raised in it */
  TASK_CLOSER = 8192,   /* begins although it is cancelled: it closes a generator */
  TASK_SINCE = 16384    /* the upper bits of the flags are the time (tick) at which it parked */
};

/* A result that comes later, of a task or of a job that a worker runs. */
struct future {
  struct braid_waiter waiter;       /* state: enum future_state; flags: enum task_flag */
  struct braid_wait_queue *joiners; /* who waits for its end; made by the first of them */
};

/* A coroutine that the loop resumes. Userdata "braid.task"; user value 1 is its result or failure. It is kept small: an
 * idle task is this struct and its coroutine. */
struct task {
  union {
    struct future future;
    struct { /* the same fields under short names */
      struct braid_waiter waiter;
      struct braid_wait_queue *joiners;
    };
  };
  struct braid_list sibling; /* in its nursery's children */
  struct scope *nursery;     /* the scope into which it was spawned; NULL: the script */
  struct scope *scope;       /* the innermost scope it has entered; its nursery if there is none */
  lua_State *co;             /* NULL after its end, and for the script */
};

enum scope_flag {
  SCOPE_CANCELLED = 1,
  SCOPE_SHIELD = 2,   /* stops cancels from outside */
  SCOPE_NURSERY = 4,  /* takes children */
  SCOPE_ENDED = 8,    /* takes no more children */
  SCOPE_EXPIRED = 16, /* its deadline has cancelled it */
  SCOPE_FAILED = 32,  /* the Lua layer keeps failures of its children */
  SCOPE_GATHER = 64,  /* also a cancelled linked child cancels it, not only a failed one */
  SCOPE_WAITED = 128, /* its end had to wait for children */
  SCOPE_FRAME = 256,  /* a generator's: around the scopes entered inside it */
  SCOPE_RUN = 512     /* a run or a job: owns the pools that are made inside */
};

/* Counts the raises of a cancel that the code catches. */
struct insistence {
  unsigned raises;
  bool stopped;  /* the hook has stopped the code and reported it */
  int64_t since; /* time of the second raise */
  int64_t last;  /* time of the last stop, or when the time to clean up began */
};

/* Userdata "braid.scope". It is on the stack of the code that entered it. */
struct scope {
  struct scope *outer; /* the scope around it; NULL: the outermost of the script */
  struct task *owner;  /* the task that entered it */
  struct tree *tree;
  struct braid_list children;
  struct braid_wait_queue ended; /* its owner waits here for its children */
  struct braid_alarm alarm;
  uint64_t serial;  /* no other scope of the state has it */
  const void *doom; /* the cancelled scope or task around it, with no shield between; set when that cancel spread */
  unsigned alive;   /* children that keep it open */
  unsigned flags;
  int slot;                     /* its slot in the table of entered scopes */
  struct insistence insistence; /* of its owner, for the scope's own cancel */
};

struct tree {
  struct braid_loop *loop;
  struct task script;
  struct scope root;
  uint64_t entered; /* number of scopes ever entered */
  unsigned cancels; /* number of cancelled scopes and tasks now; 0 saves every look up the tree */
  unsigned shown;   /* how often Lua code was given one of the tasks or scopes: it may keep it */
};

void tree_init(struct tree *tree, struct braid_loop *loop);

/* Returns the innermost cancelled scope or task around `task`; NULL: it is not cancelled. */
const void *tree_canceller(const struct tree *tree, const struct task *task);

/* Enters a scope: it becomes the innermost of `owner`. */
void tree_enter(struct tree *tree, struct scope *scope, struct task *owner, unsigned flags);
/* Leaves a scope, innermost or not. Children that are left are cancelled and move to the next nursery outside. A second
 * call does nothing. */
void tree_leave(struct scope *scope);

/* A generator's scopes are those inside its frame. At its yield they leave the task that drives it, and belong to
 * `guest`: a task struct without a coroutine, child of the nursery `home`, which it does not keep open. */
void tree_lay_aside(struct scope *frame, struct task *guest, struct scope *home);
/* Before its next step they move to the task that drives it then. A cancel that reached them in between stays. */
void tree_take_back(struct scope *frame, struct task *guest, struct task *task);
static inline bool tree_is_guest(const struct task *child) { return child->co == NULL; }
/* Finds around `inner` the scope with this address and serial number. If it is gone, returns the nearest nursery. */
struct scope *tree_home(struct scope *inner, const struct scope *scope, uint64_t serial);

/* The nearest scope around the task that takes children. */
struct scope *tree_nursery(const struct task *task);
/* The nearest run around the task; NULL: none. */
struct scope *tree_run(const struct task *task);
void tree_adopt(struct scope *scope, struct task *task);
/* Makes a held task ready. A second call does nothing. */
void tree_start(struct tree *tree, struct task *task);
/* From now on the task's nursery does not wait for it. */
void tree_set_daemon(struct task *task);
/* The task has ended: takes it out of its nursery, and wakes the nursery's owner if it was the last child. */
void tree_release(struct tree *tree, struct task *task);

/* From now on every wait inside is cancelled, beginning with the waits of now. */
void tree_cancel_scope(struct scope *scope);
void tree_cancel_task(struct tree *tree, struct task *task, unsigned flags);

/* Calls `visit` for each task below the scope, parents before children. */
void tree_walk(struct scope *scope, void (*visit)(struct task *task, void *context), void *context);

#endif
