/* SPDX-License-Identifier: MIT
 * The bytecode of a Lua function: a counted object, so that messages mention it instead of copying it, and a state
 * that has loaded it once knows it again. Never changed once it is made, so any thread may read it. */
#ifndef BRAID_BYTECODE_H
#define BRAID_BYTECODE_H

#include "core/base/object.h"

struct braid_bytecode {
  struct braid_object object;
  size_t size;
  int upvalues; /* how many the function has */
  char bytes[];
};

extern const struct braid_class braid_bytecode_class;

/* With a copy of the bytes; NULL when memory is out. Any thread; does not block. */
struct braid_bytecode *braid_bytecode_new(const void *bytes, size_t size, int upvalues);

#endif
