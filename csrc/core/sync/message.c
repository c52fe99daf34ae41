/* SPDX-License-Identifier: MIT
 * One allocation: the objects stand behind the bytes. */
#include "core/sync/message.h"

#include <stdlib.h>
#include <string.h>

struct braid_message *braid_message_draft(struct braid_message *draft, size_t room) {
  return room > SIZE_MAX - sizeof *draft ? NULL : realloc(draft, sizeof *draft + room);
}

struct braid_message *braid_message_seal(struct braid_message *draft, size_t size, struct braid_object *const *objects,
                                         uint32_t object_count) {
  const size_t unit = sizeof(struct braid_object *);
  if (size > SIZE_MAX / 2) return NULL;
  size_t place = (size + unit - 1) / unit * unit;
  struct braid_message *message = braid_message_draft(draft, object_count ? place + object_count * unit : size);
  if (!message) return NULL;
  atomic_init(&message->refs, 1);
  message->size = size;
  message->object_count = object_count;
  message->objects = object_count ? (struct braid_object **)(void *)(message->bytes + place) : NULL;
  for (uint32_t i = 0; i < object_count; i++) {
    braid_object_ref(objects[i]);
    message->objects[i] = objects[i];
  }
  return message;
}

struct braid_message *braid_message_new(const void *bytes, size_t size, struct braid_object *const *objects,
                                        uint32_t object_count) {
  struct braid_message *message = braid_message_seal(NULL, size, objects, object_count);
  if (message && size > 0) memcpy(message->bytes, bytes, size);
  return message;
}

void braid_message_ref(struct braid_message *message) {
  atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
}

void braid_message_unref(struct braid_message *message) {
  if (atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) != 1) return;
  for (uint32_t i = 0; i < message->object_count; i++) braid_object_unref(message->objects[i]);
  free(message);
}
