/* SPDX-License-Identifier: MIT
 * Lock, semaphore, event, condition and barrier. Who cannot go on joins a wait queue; turns go to the waiters in FIFO
 * order. All five are one struct, because they differ only in who gives the turns. Any thread; each function blocks
 * only to enter the guard, which others hold for a few instructions. */
#ifndef BRAID_PRIMITIVES_H
#define BRAID_PRIMITIVES_H

#include "core/base/object.h"
#include "core/loop/waiter.h"

struct braid_primitive {
  struct braid_object object;
  struct braid_wait_queue waiters;
  int64_t count;                /* semaphore: turns left; event: 1 when set; barrier: how many wait in this round */
  int64_t limit;                /* semaphore: the most turns (INT64_MAX: no bound); barrier: the size of a round */
  uint64_t owner;               /* lock: the holder's number, 0: nobody; barrier: the number of the round */
  bool orphaned;                /* lock: a holder ended without releasing it, and nobody has been told yet */
  bool broken;                  /* barrier */
  struct braid_primitive *lock; /* condition: the lock that a wait releases */
  struct braid_list held; /* lock: link in the list of locks that its holder's state holds; the holder's thread only */
};

extern const struct braid_class braid_lock_class, braid_semaphore_class, braid_event_class, braid_condition_class,
    braid_barrier_class;

/* NULL when memory is out. */
struct braid_primitive *braid_primitive_new(const struct braid_class *class, int64_t count, int64_t limit);

/* Makes a condition with a new reference to the lock. NULL when memory is out. */
struct braid_primitive *braid_condition_new(struct braid_primitive *lock);

/* In all functions below, BRAID_WAIT means: the wait node is in the wait queue, and its waiter will be claimed when it
 * gets its turn. Without a wait node they return BRAID_EMPTY instead; only braid_barrier_wait must have one. */

/* `owner` is a number that is unique among all that may own locks. BRAID_OWNER_DIED: the last owner ended while it held
 * the lock; the caller does not hold the lock. BRAID_MISUSE: the owner holds it already. */
enum braid_status braid_lock_acquire(struct braid_primitive *primitive, uint64_t owner, struct braid_wait_node *node);
/* BRAID_MISUSE: `owner` does not hold it. */
enum braid_status braid_lock_release(struct braid_primitive *primitive, uint64_t owner);
/* The owner has ended. The next waiter, or else the next caller, gets BRAID_OWNER_DIED; the waiter after it gets the
 * lock. */
void braid_lock_abandon(struct braid_primitive *primitive);
uint64_t braid_lock_owner(struct braid_primitive *primitive);

enum braid_status braid_semaphore_acquire(struct braid_primitive *primitive, struct braid_wait_node *node);
/* BRAID_MISUSE: that would be more turns than the limit. Then none is released. */
enum braid_status braid_semaphore_release(struct braid_primitive *primitive, int64_t turns);

enum braid_status braid_event_wait(struct braid_primitive *primitive, struct braid_wait_node *node);
void braid_event_set(struct braid_primitive *primitive, bool set);

/* Returns BRAID_WAIT. The wait node joins the wait queue here, before the caller releases the lock, so that no notify
 * is missed. */
enum braid_status braid_condition_wait(struct braid_primitive *primitive, struct braid_wait_node *node);
/* Wakes at most `most` waiters. */
void braid_condition_notify(struct braid_primitive *primitive, int64_t most);

/* BRAID_OK for the last one of the round. node->bits gets the turn (1 for the first), also after BRAID_WAIT.
 * BRAID_BROKEN after an abort. When a wait has timed out or was cancelled, the caller must call braid_barrier_desert:
 * else the others would wait for ever. */
enum braid_status braid_barrier_wait(struct braid_primitive *primitive, struct braid_wait_node *node);
/* Breaks the barrier, unless the round of the wait node is over. It is over when the last one has come in the
 * meantime. */
void braid_barrier_desert(struct braid_primitive *primitive, const struct braid_wait_node *node);
/* All waiters get BRAID_BROKEN. The barrier stays broken until braid_barrier_reset. */
void braid_barrier_abort(struct braid_primitive *primitive);
/* All waiters get BRAID_BROKEN. Then a new round begins, and the barrier is not broken. */
void braid_barrier_reset(struct braid_primitive *primitive);

struct braid_primitive_facts {
  int64_t count;
  unsigned waiters;
};
struct braid_primitive_facts braid_primitive_look(struct braid_primitive *primitive);

/* Returns `count`, read under the guard. */
int64_t braid_primitive_count(struct braid_primitive *primitive);

#endif
