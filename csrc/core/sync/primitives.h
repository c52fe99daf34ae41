/* SPDX-License-Identifier: MIT
 * Lock, semaphore, event, condition and barrier: whoever comes waits for a turn, and turns are handed over first
 * come, first served. One object, because they differ only in who gives the turns. Any thread; blocks only for the
 * guard. */
#ifndef BRAID_PRIMITIVES_H
#define BRAID_PRIMITIVES_H

#include "core/base/object.h"
#include "core/loop/waiter.h"

struct braid_primitive {
  struct braid_object object;
  struct braid_wait_queue waiters;
  int64_t count;  /* semaphore: turns left; event: 1 when set; barrier: how many have come */
  int64_t limit;  /* semaphore: the most there may be (INT64_MAX: no bound); barrier: how many must come */
  uint64_t owner; /* lock: who holds it; 0: nobody. barrier: the round */
  bool orphaned;  /* lock: an owner ended while holding it, and nobody has been told yet */
  bool broken;    /* barrier */
  struct braid_primitive *lock; /* condition: whose waits give this lock up */
  struct braid_list held;       /* lock: among the locks of its owner's state; the owner's thread only */
};

extern const struct braid_class braid_lock_class, braid_semaphore_class, braid_event_class, braid_condition_class,
    braid_barrier_class;

/* NULL when memory is out. */
struct braid_primitive *braid_primitive_new(const struct braid_class *class, int64_t count, int64_t limit);

/* A condition with a reference of its own to the lock; NULL when memory is out. */
struct braid_primitive *braid_condition_new(struct braid_primitive *lock);

/* In all of these BRAID_WAIT means that the wait node stands in the wait queue and will be handed its turn. Without a
 * wait node the answer is BRAID_EMPTY instead. */

/* `owner` is a number that is unique among all that may own locks. BRAID_OWNER_DIED: the last owner ended while
 * holding the lock; the caller does not hold it. BRAID_MISUSE: it holds it already. */
enum braid_status braid_lock_acquire(struct braid_primitive *primitive, uint64_t owner, struct braid_wait_node *node);
/* BRAID_MISUSE: somebody else holds it, or nobody. */
enum braid_status braid_lock_release(struct braid_primitive *primitive, uint64_t owner);
/* The owner has ended: the next one is told, and the lock goes on. */
void braid_lock_abandon(struct braid_primitive *primitive);
uint64_t braid_lock_owner(struct braid_primitive *primitive);

enum braid_status braid_semaphore_acquire(struct braid_primitive *primitive, struct braid_wait_node *node);
/* BRAID_MISUSE: more than there were; nothing is released then. */
enum braid_status braid_semaphore_release(struct braid_primitive *primitive, int64_t turns);

enum braid_status braid_event_wait(struct braid_primitive *primitive, struct braid_wait_node *node);
void braid_event_set(struct braid_primitive *primitive, bool set);

/* Always BRAID_WAIT: the wait node stands in the wait queue before the caller gives up its lock. */
enum braid_status braid_condition_wait(struct braid_primitive *primitive, struct braid_wait_node *node);
/* Wakes at most `most`. */
void braid_condition_notify(struct braid_primitive *primitive, int64_t most);

/* BRAID_OK for the last to come. The turn (1 for the first) is in node->bits either way. BRAID_BROKEN after an abort.
 * A wait that timed out or was cancelled must be followed by braid_barrier_desert: the others would wait in vain. */
enum braid_status braid_barrier_wait(struct braid_primitive *primitive, struct braid_wait_node *node);
/* Breaks the barrier, unless the round that the wait node stood in is over: the last has come while it gave up. */
void braid_barrier_desert(struct braid_primitive *primitive, const struct braid_wait_node *node);
/* Those who wait get BRAID_BROKEN; it stays broken until it is reset. */
void braid_barrier_abort(struct braid_primitive *primitive);
/* Those who wait get BRAID_BROKEN; it is as new. */
void braid_barrier_reset(struct braid_primitive *primitive);

/* count, guarded. */
int64_t braid_primitive_count(struct braid_primitive *primitive);

#endif
