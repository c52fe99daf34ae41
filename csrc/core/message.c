/* SPDX-License-Identifier: MIT
 * One allocation for the bytes, a second only when objects travel along. */
#include "message.h"

#include <stdlib.h>
#include <string.h>

struct braid_message *braid_message_new(const void *bytes, size_t size, struct braid_object *const *objects,
                                        uint32_t object_count) {
  if (size > SIZE_MAX - sizeof(struct braid_message)) return NULL;
  struct braid_message *message = malloc(sizeof *message + size);
  if (!message) return NULL;
  message->objects = object_count ? malloc(object_count * sizeof *objects) : NULL;
  if (object_count && !message->objects) {
    free(message);
    return NULL;
  }
  atomic_init(&message->refs, 1);
  message->size = size;
  message->object_count = object_count;
  if (size > 0) memcpy(message->bytes, bytes, size);
  for (uint32_t i = 0; i < object_count; i++) {
    braid_object_ref(objects[i]);
    message->objects[i] = objects[i];
  }
  return message;
}

void braid_message_ref(struct braid_message *message) {
  atomic_fetch_add_explicit(&message->refs, 1, memory_order_relaxed);
}

void braid_message_unref(struct braid_message *message) {
  if (atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) != 1) return;
  for (uint32_t i = 0; i < message->object_count; i++) braid_object_unref(message->objects[i]);
  free(message->objects);
  free(message);
}
