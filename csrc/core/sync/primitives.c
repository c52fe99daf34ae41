/* SPDX-License-Identifier: MIT
 * Reference-counted; object.guard protects everything else. A turn is handed to the first waiter directly. So while the
 * wait queue is not empty, no turn is free, and nobody can overtake the waiters. */
#include "core/sync/primitives.h"

#include <stdlib.h>

#include "core/loop/loop.h"

static void destroy(struct braid_object *object) {
  struct braid_primitive *primitive = braid_container(object, struct braid_primitive, object);
  braid_wait_queue_dissolve(&primitive->waiters);
  braid_list_remove(&primitive->held);
  if (primitive->lock) braid_object_unref(&primitive->lock->object);
  free(primitive);
}

const struct braid_class braid_lock_class = {"braid.lock", destroy};
const struct braid_class braid_semaphore_class = {"braid.semaphore", destroy};
const struct braid_class braid_event_class = {"braid.event", destroy};
const struct braid_class braid_condition_class = {"braid.condition", destroy};
const struct braid_class braid_barrier_class = {"braid.barrier", destroy};

struct braid_primitive *braid_primitive_new(const struct braid_class *class, int64_t count, int64_t limit) {
  struct braid_primitive *primitive = calloc(1, sizeof *primitive);
  if (!primitive) return NULL;
  braid_object_init(&primitive->object, class);
  braid_wait_queue_init(&primitive->waiters, &primitive->object.guard);
  braid_list_init(&primitive->held);
  primitive->count = count;
  primitive->limit = limit;
  return primitive;
}

struct braid_primitive *braid_condition_new(struct braid_primitive *lock) {
  struct braid_primitive *primitive = braid_primitive_new(&braid_condition_class, 0, 0);
  if (!primitive) return NULL;
  braid_object_ref(&lock->object);
  primitive->lock = lock;
  return primitive;
}

static void enter(struct braid_primitive *primitive) { braid_guard_enter(&primitive->object.guard); }

static void leave(struct braid_primitive *primitive, struct braid_wake_list *woken) {
  braid_guard_leave(&primitive->object.guard);
  if (woken) braid_loop_post_all(woken);
}

static enum braid_status stand(struct braid_primitive *primitive, struct braid_wait_node *node) {
  if (!node) return BRAID_EMPTY;
  braid_wait_node_join(node, &primitive->waiters);
  return BRAID_WAIT;
}

struct braid_primitive_facts braid_primitive_look(struct braid_primitive *primitive) {
  enter(primitive);
  struct braid_primitive_facts facts = {primitive->count, braid_wait_queue_length(&primitive->waiters)};
  leave(primitive, NULL);
  return facts;
}

int64_t braid_primitive_count(struct braid_primitive *primitive) {
  enter(primitive);
  int64_t count = primitive->count;
  leave(primitive, NULL);
  return count;
}

/* ---- lock ----------------------------------------------------------------------------------------------------- */

enum braid_status braid_lock_acquire(struct braid_primitive *primitive, uint64_t owner, struct braid_wait_node *node) {
  enum braid_status status = BRAID_OK;
  enter(primitive);
  if (primitive->owner == owner) {
    status = BRAID_MISUSE;
  } else if (primitive->orphaned) {
    primitive->orphaned = false;
    status = BRAID_OWNER_DIED;
  } else if (primitive->owner == 0) {
    primitive->owner = owner;
  } else {
    if (node) node->bits = owner;
    status = stand(primitive, node);
  }
  leave(primitive, NULL);
  return status;
}

static void hand_over(struct braid_primitive *primitive, struct braid_wake_list *woken) {
  struct braid_wait_node *next = braid_wait_queue_claim(&primitive->waiters, BRAID_OK);
  primitive->owner = next ? next->bits : 0;
  if (next) braid_wake_list_push(woken, braid_wait_node_waiter(next));
}

enum braid_status braid_lock_release(struct braid_primitive *primitive, uint64_t owner) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  bool held = primitive->owner == owner;
  if (held) hand_over(primitive, &woken);
  leave(primitive, &woken);
  return held ? BRAID_OK : BRAID_MISUSE;
}

void braid_lock_abandon(struct braid_primitive *primitive) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  struct braid_wait_node *told = braid_wait_queue_claim(&primitive->waiters, BRAID_OWNER_DIED);
  primitive->orphaned = !told;
  if (told) braid_wake_list_push(&woken, braid_wait_node_waiter(told));
  hand_over(primitive, &woken);
  leave(primitive, &woken);
}

uint64_t braid_lock_owner(struct braid_primitive *primitive) {
  enter(primitive);
  uint64_t owner = primitive->owner;
  leave(primitive, NULL);
  return owner;
}

/* ---- semaphore ------------------------------------------------------------------------------------------------ */

enum braid_status braid_semaphore_acquire(struct braid_primitive *primitive, struct braid_wait_node *node) {
  enum braid_status status = BRAID_OK;
  enter(primitive);
  if (primitive->count > 0)
    primitive->count--;
  else
    status = stand(primitive, node);
  leave(primitive, NULL);
  return status;
}

enum braid_status braid_semaphore_release(struct braid_primitive *primitive, int64_t turns) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  bool fits = turns <= primitive->limit - primitive->count;
  for (; fits && turns > 0; turns--) {
    struct braid_wait_node *next = braid_wait_queue_claim(&primitive->waiters, BRAID_OK);
    if (!next) break;
    braid_wake_list_push(&woken, braid_wait_node_waiter(next));
  }
  if (fits) primitive->count += turns;
  leave(primitive, &woken);
  return fits ? BRAID_OK : BRAID_MISUSE;
}

/* ---- event ---------------------------------------------------------------------------------------------------- */

enum braid_status braid_event_wait(struct braid_primitive *primitive, struct braid_wait_node *node) {
  enter(primitive);
  enum braid_status status = BRAID_WAIT;
  if (!primitive->count)
    status = stand(primitive, node);
  else if (braid_wait_node_may_take(node))
    status = BRAID_OK;
  leave(primitive, NULL);
  return status;
}

void braid_event_set(struct braid_primitive *primitive, bool set) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  primitive->count = set;
  if (set) braid_wait_queue_claim_all(&primitive->waiters, BRAID_OK, &woken);
  leave(primitive, &woken);
}

/* ---- condition ------------------------------------------------------------------------------------------------ */

enum braid_status braid_condition_wait(struct braid_primitive *primitive, struct braid_wait_node *node) {
  enter(primitive);
  enum braid_status status = stand(primitive, node);
  leave(primitive, NULL);
  return status;
}

void braid_condition_notify(struct braid_primitive *primitive, int64_t most) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  struct braid_wait_node *next;
  while (most-- > 0 && (next = braid_wait_queue_claim(&primitive->waiters, BRAID_OK)))
    braid_wake_list_push(&woken, braid_wait_node_waiter(next));
  leave(primitive, &woken);
}

/* ---- barrier -------------------------------------------------------------------------------------------------- */

/* Whether all the others, who are in the list now, still waited. If not, a wait had ended just before, by a cancel or a
 * timeout, and its task has not left yet: the barrier breaks. Under the guard. */
static bool all_came(struct braid_primitive *primitive, const struct braid_wake_list *others) {
  int64_t count = 1;
  for (const struct braid_waiter *at = others->first; at; at = at->next) count++;
  if (count == primitive->limit) return true;
  for (struct braid_waiter *at = others->first; at; at = at->next) at->status = BRAID_BROKEN;
  primitive->broken = true;
  return false;
}

enum braid_status braid_barrier_wait(struct braid_primitive *primitive, struct braid_wait_node *node) {
  struct braid_wake_list woken = {0};
  enum braid_status status = BRAID_OK;
  enter(primitive);
  if (primitive->broken) {
    status = BRAID_BROKEN;
  } else {
    node->bits = (uint64_t)++primitive->count;
    node->key = (double)primitive->owner;
    if (primitive->count < primitive->limit) {
      status = stand(primitive, node);
    } else {
      primitive->count = 0;
      primitive->owner++;
      braid_wait_queue_claim_all(&primitive->waiters, BRAID_OK, &woken);
      if (!all_came(primitive, &woken)) status = BRAID_BROKEN;
    }
  }
  leave(primitive, &woken);
  return status;
}

/* Ends the round. Under the guard. */
static void dismiss(struct braid_primitive *primitive, bool broken, struct braid_wake_list *woken) {
  primitive->count = 0;
  primitive->owner++;
  primitive->broken = broken;
  braid_wait_queue_claim_all(&primitive->waiters, BRAID_BROKEN, woken);
}

void braid_barrier_desert(struct braid_primitive *primitive, const struct braid_wait_node *node) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  if (node->key == (double)primitive->owner) dismiss(primitive, true, &woken);
  leave(primitive, &woken);
}

void braid_barrier_abort(struct braid_primitive *primitive) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  dismiss(primitive, true, &woken);
  leave(primitive, &woken);
}

void braid_barrier_reset(struct braid_primitive *primitive) {
  struct braid_wake_list woken = {0};
  enter(primitive);
  dismiss(primitive, false, &woken);
  leave(primitive, &woken);
}
