/* SPDX-License-Identifier: MIT
 * Arrays for other Lua bindings, such as kernels. The state's own thread; nothing blocks. */
#ifndef BRAID_LARRAY_H
#define BRAID_LARRAY_H

#include <lua.h>

#include "core/memory/array.h"

struct larray_view {
  enum braid_array_type type;
  void *data;
  size_t length;             /* number of elements */
  struct braid_array *array; /* without a reference: who needs it after the userdata is collected must take one */
};

/* Whether the value at `index` is an array; if so, fills `view`. */
bool larray_test(lua_State *L, int index, struct larray_view *view);

/* Returns the array at `index`. Raises an error that names the argument when it is none; kind "system" if its file was
 * truncated. */
struct larray_view larray_check(lua_State *L, int index, const char *name);

/* Raises misuse if the array, the argument `name`, cannot be written: it maps a file for reading only. */
void larray_check_writable(lua_State *L, const struct braid_array *array, const char *name);

/* Raises kind "system": a file that arrays map was truncated. */
int larray_raise_torn(lua_State *L);

/* The type whose name is at `index`. Raises an error that names the argument when it is none. */
enum braid_array_type larray_type(lua_State *L, int index);

/* Pushes a new array of zeroes. Raises when memory is out; kind "system" when the system refuses. */
struct larray_view larray_new(lua_State *L, enum braid_array_type type, size_t length);

#endif
