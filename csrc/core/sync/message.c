/* SPDX-License-Identifier: MIT
 * A message is one allocation; the objects lie behind the bytes. */
#include "core/sync/message.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/block.h"

struct braid_message *braid_message_draft(struct braid_message *draft, size_t room) {
  return room > SIZE_MAX - sizeof *draft ? NULL : realloc(draft, sizeof *draft + room);
}

enum { UNIT = sizeof(struct braid_object *) };

/* The offset of the objects: behind the bytes, aligned. */
static size_t place_of(size_t size) { return (size + UNIT - 1) / UNIT * UNIT; }

/* The size of bytes and objects together, with the header. */
static size_t room_of(size_t size, uint32_t object_count) {
  return sizeof(struct braid_message) + (object_count ? place_of(size) + (size_t)object_count * UNIT : size);
}

/* Small messages are allocated as blocks (base/block.h). A large message keeps the memory of the encode buffer. */
static struct braid_message *make(struct braid_message *draft, size_t size, size_t room) {
  if (draft && room > BRAID_BLOCK_MOST) return realloc(draft, room);
  struct braid_message *message = braid_block_take(room);
  if (draft && message) {
    memcpy(message->bytes, draft->bytes, size);
    free(draft);
  }
  return message;
}

struct braid_message *braid_message_seal(struct braid_message *draft, size_t size, struct braid_object *const *objects,
                                         uint32_t object_count) {
  if (size > SIZE_MAX / 2) return NULL;
  struct braid_message *message = make(draft, size, room_of(size, object_count));
  if (!message) return NULL;
  atomic_init(&message->refs, 1);
  message->size = size;
  message->object_count = object_count;
  message->objects = object_count ? (struct braid_object **)(void *)(message->bytes + place_of(size)) : NULL;
  for (uint32_t i = 0; i < object_count; i++) message->objects[i] = objects[i];
  return message;
}

struct braid_message *braid_message_new(const void *bytes, size_t size, struct braid_object *const *objects,
                                        uint32_t object_count) {
  struct braid_message *message = braid_message_take(bytes, size, objects, object_count);
  for (uint32_t i = 0; message && i < object_count; i++) braid_object_ref(objects[i]);
  return message;
}

struct braid_message *braid_message_take(const void *bytes, size_t size, struct braid_object *const *objects,
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
  braid_block_give(message, room_of(message->size, message->object_count));
}
