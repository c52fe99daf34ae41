/* SPDX-License-Identifier: MIT
 * A message: encoded Lua values, and the shared objects that they refer to. Reference-counted. Nobody changes a message
 * after it was sent, so any thread may read it. */
#ifndef BRAID_MESSAGE_H
#define BRAID_MESSAGE_H

#include "core/base/object.h"
#include "core/loop/waiter.h"

struct braid_message {
  atomic_uint refs;
  uint32_t object_count;
  size_t size;
  struct braid_object **objects; /* owned references; the array lies behind the bytes */
  char bytes[];
};

/* Makes a message with a copy of the bytes and with new references to the objects. NULL when memory is out. Any thread;
 * does not block. */
struct braid_message *braid_message_new(const void *bytes, size_t size, struct braid_object *const *objects,
                                        uint32_t object_count);

/* The same, but takes over the caller's references to the objects when it succeeds. */
struct braid_message *braid_message_take(const void *bytes, size_t size, struct braid_object *const *objects,
                                         uint32_t object_count);

/* For encoders that write the bytes in place: makes an encode buffer with this room, or resizes `draft`. NULL when
 * memory is out; then the old buffer is unchanged. The buffer belongs to the writer alone, which ends it with
 * braid_message_seal or free(). Any thread; does not block. */
struct braid_message *braid_message_draft(struct braid_message *draft, size_t room);

/* Turns the buffer, whose first `size` bytes are written, into a message that takes over the caller's references to the
 * objects. NULL when memory is out; then buffer and references are still the caller's. Any thread; does not block. */
struct braid_message *braid_message_seal(struct braid_message *draft, size_t size, struct braid_object *const *objects,
                                         uint32_t object_count);

/* Any thread; does not block. */
void braid_message_ref(struct braid_message *message);
void braid_message_unref(struct braid_message *message);

/* Drops what the item owns: the reference to a message. Any thread; does not block. */
static inline void braid_item_drop(struct braid_item item) {
  if (item.tag == BRAID_ITEM_MESSAGE) braid_message_unref((struct braid_message *)(uintptr_t)item.bits);
}

/* Returns how often the item refers to the object. Any thread; does not block. */
static inline unsigned braid_item_mentions(struct braid_item item, const struct braid_object *object) {
  unsigned count = 0;
  if (item.tag != BRAID_ITEM_MESSAGE) return 0;
  const struct braid_message *message = (const struct braid_message *)(uintptr_t)item.bits;
  for (uint32_t i = 0; i < message->object_count; i++) count += message->objects[i] == object;
  return count;
}

#endif
