/* SPDX-License-Identifier: MIT
 * Bytes that grow. Not locked: its owner's thread only. */
#ifndef BRAID_BUFFER_H
#define BRAID_BUFFER_H

#include "core/base/base.h"

struct braid_buffer {
  char *data;
  size_t size, capacity;
};

void braid_buffer_init(struct braid_buffer *buffer);
void braid_buffer_term(struct braid_buffer *buffer);

/* Room for `more` bytes behind the last one; NULL when memory is out, the buffer is then as it was. */
char *braid_buffer_reserve(struct braid_buffer *buffer, size_t more);

/* False when memory is out; then nothing has changed. */
bool braid_buffer_append(struct braid_buffer *buffer, const void *data, size_t size);

#endif
