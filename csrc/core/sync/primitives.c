/* SPDX-License-Identifier: MIT
 * Owned by its references; guarded by object.guard. Turns are handed over, never thrown up for grabs: a gate with
 * somebody in line has no turn left. */
#include "core/sync/primitives.h"

#include <stdlib.h>

#include "core/loop/loop.h"

static void destroy(struct braid_object *object) {
  struct braid_gate *gate = braid_container(object, struct braid_gate, object);
  braid_line_dissolve(&gate->line);
  braid_list_remove(&gate->held);
  if (gate->lock) braid_object_unref(&gate->lock->object);
  free(gate);
}

const struct braid_class braid_lock_class = {"braid.lock", destroy};
const struct braid_class braid_semaphore_class = {"braid.semaphore", destroy};
const struct braid_class braid_event_class = {"braid.event", destroy};
const struct braid_class braid_condition_class = {"braid.condition", destroy};
const struct braid_class braid_barrier_class = {"braid.barrier", destroy};

struct braid_gate *braid_gate_new(const struct braid_class *class, int64_t count, int64_t limit) {
  struct braid_gate *gate = calloc(1, sizeof *gate);
  if (!gate) return NULL;
  braid_object_init(&gate->object, class);
  braid_line_init(&gate->line, &gate->object.guard);
  braid_list_init(&gate->held);
  gate->count = count;
  gate->limit = limit;
  return gate;
}

struct braid_gate *braid_condition_new(struct braid_gate *lock) {
  struct braid_gate *gate = braid_gate_new(&braid_condition_class, 0, 0);
  if (!gate) return NULL;
  braid_object_ref(&lock->object);
  gate->lock = lock;
  return gate;
}

static void enter(struct braid_gate *gate) { braid_guard_enter(&gate->object.guard); }

static void leave(struct braid_gate *gate, struct braid_road *woken) {
  braid_guard_leave(&gate->object.guard);
  if (woken) braid_loop_post_all(woken);
}

static enum braid_status stand(struct braid_gate *gate, struct braid_hook *hook) {
  if (!hook) return BRAID_EMPTY;
  braid_hook_join(hook, &gate->line);
  return BRAID_WAIT;
}

int64_t braid_gate_count(struct braid_gate *gate) {
  enter(gate);
  int64_t count = gate->count;
  leave(gate, NULL);
  return count;
}

/* ---- lock ----------------------------------------------------------------------------------------------------- */

enum braid_status braid_lock_acquire(struct braid_gate *gate, uint64_t owner, struct braid_hook *hook) {
  enum braid_status status = BRAID_OK;
  enter(gate);
  if (gate->owner == owner) {
    status = BRAID_MISUSE;
  } else if (gate->orphaned) {
    gate->orphaned = false;
    status = BRAID_OWNER_DIED;
  } else if (gate->owner == 0) {
    gate->owner = owner;
  } else {
    if (hook) hook->bits = owner;
    status = stand(gate, hook);
  }
  leave(gate, NULL);
  return status;
}

static void hand_over(struct braid_gate *gate, struct braid_road *woken) {
  struct braid_hook *next = braid_line_claim(&gate->line, BRAID_OK);
  gate->owner = next ? next->bits : 0;
  if (next) braid_road_push(woken, braid_hook_waiter(next));
}

enum braid_status braid_lock_release(struct braid_gate *gate, uint64_t owner) {
  struct braid_road woken = {0};
  enter(gate);
  bool held = gate->owner == owner;
  if (held) hand_over(gate, &woken);
  leave(gate, &woken);
  return held ? BRAID_OK : BRAID_MISUSE;
}

void braid_lock_abandon(struct braid_gate *gate) {
  struct braid_road woken = {0};
  enter(gate);
  struct braid_hook *told = braid_line_claim(&gate->line, BRAID_OWNER_DIED);
  gate->orphaned = !told;
  if (told) braid_road_push(&woken, braid_hook_waiter(told));
  hand_over(gate, &woken);
  leave(gate, &woken);
}

uint64_t braid_lock_owner(struct braid_gate *gate) {
  enter(gate);
  uint64_t owner = gate->owner;
  leave(gate, NULL);
  return owner;
}

/* ---- semaphore ------------------------------------------------------------------------------------------------ */

enum braid_status braid_semaphore_acquire(struct braid_gate *gate, struct braid_hook *hook) {
  enum braid_status status = BRAID_OK;
  enter(gate);
  if (gate->count > 0)
    gate->count--;
  else
    status = stand(gate, hook);
  leave(gate, NULL);
  return status;
}

enum braid_status braid_semaphore_release(struct braid_gate *gate, int64_t turns) {
  struct braid_road woken = {0};
  enter(gate);
  bool fits = turns <= gate->limit - gate->count;
  for (; fits && turns > 0; turns--) {
    struct braid_hook *next = braid_line_claim(&gate->line, BRAID_OK);
    if (!next) break;
    braid_road_push(&woken, braid_hook_waiter(next));
  }
  if (fits) gate->count += turns;
  leave(gate, &woken);
  return fits ? BRAID_OK : BRAID_MISUSE;
}

/* ---- event ---------------------------------------------------------------------------------------------------- */

enum braid_status braid_event_wait(struct braid_gate *gate, struct braid_hook *hook) {
  enter(gate);
  enum braid_status status = BRAID_WAIT;
  if (!gate->count)
    status = stand(gate, hook);
  else if (braid_hook_may_take(hook))
    status = BRAID_OK;
  leave(gate, NULL);
  return status;
}

void braid_event_set(struct braid_gate *gate, bool set) {
  struct braid_road woken = {0};
  enter(gate);
  gate->count = set;
  if (set) braid_line_claim_all(&gate->line, BRAID_OK, &woken);
  leave(gate, &woken);
}

/* ---- condition ------------------------------------------------------------------------------------------------ */

enum braid_status braid_condition_wait(struct braid_gate *gate, struct braid_hook *hook) {
  enter(gate);
  enum braid_status status = stand(gate, hook);
  leave(gate, NULL);
  return status;
}

void braid_condition_notify(struct braid_gate *gate, int64_t most) {
  struct braid_road woken = {0};
  enter(gate);
  struct braid_hook *next;
  while (most-- > 0 && (next = braid_line_claim(&gate->line, BRAID_OK)))
    braid_road_push(&woken, braid_hook_waiter(next));
  leave(gate, &woken);
}

/* ---- barrier -------------------------------------------------------------------------------------------------- */

enum braid_status braid_barrier_wait(struct braid_gate *gate, struct braid_hook *hook) {
  struct braid_road woken = {0};
  enum braid_status status = BRAID_OK;
  enter(gate);
  if (gate->broken) {
    status = BRAID_BROKEN;
  } else {
    hook->bits = (uint64_t)++gate->count;
    hook->key = (double)gate->owner;
    if (gate->count < gate->limit) {
      status = stand(gate, hook);
    } else {
      gate->count = 0;
      gate->owner++;
      braid_line_claim_all(&gate->line, BRAID_OK, &woken);
    }
  }
  leave(gate, &woken);
  return status;
}

/* Inside the guard. */
static void dismiss(struct braid_gate *gate, bool broken, struct braid_road *woken) {
  gate->count = 0;
  gate->owner++;
  gate->broken = broken;
  braid_line_claim_all(&gate->line, BRAID_BROKEN, woken);
}

void braid_barrier_desert(struct braid_gate *gate, const struct braid_hook *hook) {
  struct braid_road woken = {0};
  enter(gate);
  if (hook->key == (double)gate->owner) dismiss(gate, true, &woken);
  leave(gate, &woken);
}

void braid_barrier_abort(struct braid_gate *gate) {
  struct braid_road woken = {0};
  enter(gate);
  dismiss(gate, true, &woken);
  leave(gate, &woken);
}

void braid_barrier_reset(struct braid_gate *gate) {
  struct braid_road woken = {0};
  enter(gate);
  dismiss(gate, false, &woken);
  leave(gate, &woken);
}
