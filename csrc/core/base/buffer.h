/* SPDX-License-Identifier: MIT
 * A byte array that grows. It has no lock: only its owner's thread may use it. */
#ifndef BRAID_BUFFER_H
#define BRAID_BUFFER_H

#include "core/base/base.h"

struct braid_buffer {
  char *data;
  size_t size, capacity;
};

void braid_buffer_init(struct braid_buffer *buffer);
void braid_buffer_term(struct braid_buffer *buffer);

/* Returns room for `more` bytes after the last one. NULL when memory is out; the buffer is unchanged then. */
char *braid_buffer_reserve(struct braid_buffer *buffer, size_t more);

/* False when memory is out; the buffer is unchanged then. */
bool braid_buffer_append(struct braid_buffer *buffer, const void *data, size_t size);

#endif
