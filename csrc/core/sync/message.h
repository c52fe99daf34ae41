/* SPDX-License-Identifier: MIT
 * A parcel: encoded Lua values, and the shared objects they mention. Counted; never changed once it is sent, so any
 * thread may read it. */
#ifndef BRAID_MESSAGE_H
#define BRAID_MESSAGE_H

#include "core/base/object.h"
#include "core/loop/waiter.h"

struct braid_message {
  atomic_uint refs;
  uint32_t object_count;
  size_t size;
  struct braid_object **objects; /* owned references; behind the bytes */
  char bytes[];
};

/* A message with a copy of the bytes and references of its own to the objects; NULL when memory is out.
 * Any thread; does not block. */
struct braid_message *braid_message_new(const void *bytes, size_t size, struct braid_object *const *objects,
                                        uint32_t object_count);

/* For who writes the bytes in place: a draft with room for so many; a new one when `draft` is NULL. NULL when memory
 * is out: the old one is as it was. A draft is its writer's alone, who ends it by braid_message_seal or free(). */
struct braid_message *braid_message_draft(struct braid_message *draft, size_t room);

/* The draft's first `size` bytes are written: makes it a message with references of its own to the objects. NULL when
 * memory is out: it is a draft still. */
struct braid_message *braid_message_seal(struct braid_message *draft, size_t size, struct braid_object *const *objects,
                                         uint32_t object_count);

/* Any thread; does not block. */
void braid_message_ref(struct braid_message *message);
void braid_message_unref(struct braid_message *message);

/* Gives up what an item owns. Any thread; does not block. */
static inline void braid_item_drop(struct braid_item item) {
  if (item.tag == BRAID_ITEM_MESSAGE) braid_message_unref((struct braid_message *)(uintptr_t)item.bits);
}

/* How often the item mentions an object. Any thread; does not block. */
static inline unsigned braid_item_mentions(struct braid_item item, const struct braid_object *object) {
  unsigned count = 0;
  if (item.tag != BRAID_ITEM_MESSAGE) return 0;
  const struct braid_message *message = (const struct braid_message *)(uintptr_t)item.bits;
  for (uint32_t i = 0; i < message->object_count; i++) count += message->objects[i] == object;
  return count;
}

#endif
