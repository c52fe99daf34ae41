/* SPDX-License-Identifier: MIT
 * Counted objects: what Lua holds through a box and a message carries by reference lives outside every Lua heap. */
#ifndef BRAID_OBJECT_H
#define BRAID_OBJECT_H

#include <stdatomic.h>

#include "core/base/thread.h"

struct braid_object;

struct braid_class {
  const char *name;                       /* "braid.queue": also the name of the box's metatable */
  void (*destroy)(struct braid_object *); /* the last reference is gone; runs on whichever thread dropped it */
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

/* No reference is left: ends it. */
static inline void braid_object_end(struct braid_object *object) {
  braid_guard_enter(&object->guard); /* who has given its reference up inside is outside then */
  braid_guard_leave(&object->guard);
  braid_guard_term(&object->guard);
  object->class->destroy(object);
}

/* Any thread; does not block unless it drops the last reference and the class's destroy does. */
static inline void braid_object_unref(struct braid_object *object) {
  if (atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) == 1) braid_object_end(object);
}

/* The same inside the object's guard, which the caller leaves then and does not touch again. Returns how many are left:
 * 0: it is the caller's to end, outside. */
static inline unsigned braid_object_resign(struct braid_object *object) {
  return atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) - 1;
}

/* From here on more threads than one know the object. The only thread that knows it yet. */
static inline void braid_object_share(struct braid_object *object) { object->guard.shared = true; }

#endif
