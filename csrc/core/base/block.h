/* SPDX-License-Identifier: MIT
 * Memory that one thread takes and another one gives back, again and again. malloc has locks in that path. Here each
 * thread keeps some free blocks, and whole batches of them go from thread to thread. Any thread; nothing blocks. */
#ifndef BRAID_BLOCK_H
#define BRAID_BLOCK_H

#include "core/base/base.h"

enum { BRAID_BLOCK_MOST = 2048 }; /* bytes: what is larger comes from malloc, and goes back there */

/* At least so many bytes; NULL when memory is out. */
void *braid_block_take(size_t size);

/* Gives back what braid_block_take gave for this size, or for a larger one. */
void braid_block_give(void *memory, size_t size);

/* What this thread keeps, and the batches between threads, go back to malloc. */
void braid_block_trim(void);

#endif
