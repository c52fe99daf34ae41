/* SPDX-License-Identifier: MIT
 * Memory that one thread allocates and another one frees, again and again. malloc uses locks for that. Here each thread
 * caches free blocks, and batches of blocks move between threads. Any thread; nothing blocks. */
#ifndef BRAID_BLOCK_H
#define BRAID_BLOCK_H

#include "core/base/base.h"

enum { BRAID_BLOCK_MOST = 2048 }; /* bytes; larger memory comes directly from malloc */

/* Allocates at least `size` bytes. NULL when memory is out. */
void *braid_block_take(size_t size);

/* Frees memory of braid_block_take. `size` is the size given there, or a smaller one. */
void braid_block_give(void *memory, size_t size);

/* Returns this thread's cached blocks, and the batches of the depots, to malloc. */
void braid_block_trim(void);

#endif
