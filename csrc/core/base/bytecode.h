/* SPDX-License-Identifier: MIT
 * The bytecode of a Lua function, as a counted object. Messages refer to it instead of copying it, and a state that has
 * loaded it recognises it by its address. It is immutable, so any thread may read it. */
#ifndef BRAID_BYTECODE_H
#define BRAID_BYTECODE_H

#include "core/base/object.h"

struct braid_bytecode {
  struct braid_object object;
  size_t size;
  int upvalues; /* the function's number of upvalues */
  char bytes[];
};

extern const struct braid_class braid_bytecode_class;

/* Copies the bytes. NULL when memory is out. Any thread; does not block. */
struct braid_bytecode *braid_bytecode_new(const void *bytes, size_t size, int upvalues);

#endif
