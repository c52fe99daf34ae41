/* SPDX-License-Identifier: MIT
 * Arrays for the parts that compute with them. The state's own thread; nothing blocks. */
#ifndef BRAID_LARRAY_H
#define BRAID_LARRAY_H

#include <lua.h>

#include "core/memory/array.h"

struct larray_view {
  enum braid_array_type type;
  void *data;
  size_t length;             /* in elements */
  struct braid_array *array; /* the box's: who needs it beyond the box's life takes a reference */
};

/* Whether the value at `index` is an array; fills the view in then. */
bool larray_test(lua_State *L, int index, struct larray_view *view);

/* The array at `index`; a misuse error that names the argument when it is none. */
struct larray_view larray_check(lua_State *L, int index, const char *name);

/* Pushes a new array of zeroes. Raises when memory is out, or kind "system" when the system refuses. */
struct larray_view larray_new(lua_State *L, enum braid_array_type type, size_t length);

#endif
