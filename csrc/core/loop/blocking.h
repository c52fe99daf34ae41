/* SPDX-License-Identifier: MIT
 * Calls of the system that block and have no other form: look-ups of host names, files. A few threads of the process
 * make them, so that no loop is held. A thread that has had nothing to do for a moment ends.
 *
 * A piece of work is a counted object: the caller and the thread that does it hold references. */
#ifndef BRAID_BLOCKING_H
#define BRAID_BLOCKING_H

#include "core/base/list.h"
#include "core/base/object.h"
#include "core/loop/waiter.h"

/* Each kind has threads of its own, so that a server of names that does not answer stops no file. */
enum braid_blocking_kind { BRAID_BLOCKING_LOOKUP, BRAID_BLOCKING_FILE, BRAID_BLOCKING_KINDS };

struct braid_blocking {
  struct braid_object object;
  struct braid_wait_queue waiters;          /* for its end; object.guard guards it and `done` */
  struct braid_list turn;                   /* in the list of work that no thread has taken */
  void (*run)(struct braid_blocking *work); /* on a thread of ours */
  atomic_bool abandoned;                    /* nobody wants the result: `run` may leave out what is left */
  bool submitted;                           /* the caller's */
  bool done;                                /* what `run` has written does not change any more */
};

/* The caller gets the first reference. Any thread. */
void braid_blocking_init(struct braid_blocking *work, const struct braid_class *class,
                         void (*run)(struct braid_blocking *work));

/* For `destroy` of the class. */
void braid_blocking_term(struct braid_blocking *work);

/* Gives the work to a thread. False: no thread could be started; then it is as before. Any thread; does not block. */
bool braid_blocking_submit(struct braid_blocking *work, enum braid_blocking_kind kind);

/* BRAID_OK when it is done. Else BRAID_WAIT, and the node waits; BRAID_EMPTY when `node` is NULL. Any thread; does not
 * block. */
enum braid_status braid_blocking_wait(struct braid_blocking *work, struct braid_wait_node *node);

/* For a thread that does work: it is done. Wakes who waits, and drops a reference. Does not block. */
void braid_blocking_finish(struct braid_blocking *work);

/* Blocks until it is done, if it was submitted. For a state that closes. */
void braid_blocking_await(struct braid_blocking *work);

/* Marks work whose result nobody wants. Any thread; does not block. */
static inline void braid_blocking_abandon(struct braid_blocking *work) {
  atomic_store_explicit(&work->abandoned, true, memory_order_relaxed);
}
static inline bool braid_blocking_is_abandoned(const struct braid_blocking *work) {
  return atomic_load_explicit(&work->abandoned, memory_order_relaxed);
}

#endif
