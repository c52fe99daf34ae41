/* SPDX-License-Identifier: MIT
 * A parcel: encoded Lua values, and the shared objects they mention. Counted; never changed once it is sent, so any
 * thread may read it. */
#ifndef BRAID_MESSAGE_H
#define BRAID_MESSAGE_H

#include "refs.h"
#include "waiter.h"

struct braid_message {
  atomic_uint refs;
  uint32_t object_count;
  size_t size;
  struct braid_object **objects; /* owned references */
  char bytes[];
};

/* A message with a copy of the bytes and references of its own to the objects; NULL when memory is out.
 * Any thread; does not block. */
struct braid_message *braid_message_new(const void *bytes, size_t size, struct braid_object *const *objects,
                                        uint32_t object_count);

/* Any thread; does not block. */
void braid_message_ref(struct braid_message *message);
void braid_message_unref(struct braid_message *message);

/* Gives up what an item owns. Any thread; does not block. */
static inline void braid_item_drop(struct braid_item item) {
  if (item.tag == BRAID_ITEM_MESSAGE) braid_message_unref((struct braid_message *)(uintptr_t)item.bits);
}

#endif
