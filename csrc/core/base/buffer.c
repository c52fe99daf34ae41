/* SPDX-License-Identifier: MIT
 * The capacity doubles, so n appended bytes cost O(n) copies. */
#include "core/base/buffer.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void braid_buffer_init(struct braid_buffer *buffer) { *buffer = (struct braid_buffer){0}; }

void braid_buffer_term(struct braid_buffer *buffer) {
  free(buffer->data);
  braid_buffer_init(buffer);
}

char *braid_buffer_reserve(struct braid_buffer *buffer, size_t more) {
  if (more > SIZE_MAX / 2 - buffer->size) return NULL;
  size_t need = buffer->size + more;
  if (need > buffer->capacity || !buffer->data) {
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    while (capacity < need) capacity *= 2;
    char *data = realloc(buffer->data, capacity);
    if (!data) return NULL;
    buffer->data = data;
    buffer->capacity = capacity;
  }
  return buffer->data + buffer->size;
}

bool braid_buffer_append(struct braid_buffer *buffer, const void *data, size_t size) {
  char *room = braid_buffer_reserve(buffer, size);
  if (!room) return false;
  if (size > 0) memcpy(room, data, size);
  buffer->size += size;
  return true;
}
