/* SPDX-License-Identifier: MIT
 * Counted objects. They live outside every Lua heap. Lua holds one through a box, a message holds it by reference. */
#ifndef BRAID_OBJECT_H
#define BRAID_OBJECT_H

#include <stdatomic.h>

#include "core/base/thread.h"

struct braid_object;

struct braid_class {
  const char *name;                       /* "braid.queue"; the box's metatable has the same name */
  void (*destroy)(struct braid_object *); /* called without references left, on the thread that dropped the last */
};

struct braid_object {
  const struct braid_class *class;
  atomic_uint refs;
  struct braid_guard guard;
};

static inline void braid_object_init(struct braid_object *object, const struct braid_class *class) {
  object->class = class;
  atomic_init(&object->refs, 1);
  braid_guard_init(&object->guard, false);
}

/* Any thread that holds a reference; does not block. */
static inline void braid_object_ref(struct braid_object *object) {
  atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
}

/* Destroys the object. No reference may be left. */
static inline void braid_object_end(struct braid_object *object) {
  braid_guard_enter(&object->guard); /* waits for a thread that gave up its reference inside the guard */
  braid_guard_leave(&object->guard);
  braid_guard_term(&object->guard);
  object->class->destroy(object);
}

/* Any thread; does not block, unless it drops the last reference and `destroy` blocks. */
static inline void braid_object_unref(struct braid_object *object) {
  if (atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) == 1) braid_object_end(object);
}

/* Drops a reference inside the object's guard. The caller then leaves the guard and does not touch the object again.
 * Returns how many references are left. At 0 the caller calls braid_object_end after it has left the guard. */
static inline unsigned braid_object_resign(struct braid_object *object) {
  return atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) - 1;
}

/* From here on several threads know the object. Called by the only thread that knows it so far. */
static inline void braid_object_share(struct braid_object *object) { object->guard.shared = true; }

#endif
