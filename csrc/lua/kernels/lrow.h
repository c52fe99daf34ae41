/* SPDX-License-Identifier: MIT
 * Arrays as kernels take them: rows. The state's own thread; nothing blocks. */
#ifndef BRAID_LROW_H
#define BRAID_LROW_H

#include <lua.h>

#include "core/base/status.h"
#include "kernels/row.h"

/* The array at `index`; a misuse error that names the argument when it is none. It lives as long as it is on the
 * stack. */
struct braid_row lrow_check(lua_State *L, int index, const char *name);

/* An array of this type; a misuse error when it is of another. */
struct braid_row lrow_check_type(lua_State *L, int index, const char *name, enum braid_array_type type);

/* Raises misuse unless the array at `index` (the argument `name`) has `count` elements. */
void lrow_check_count(lua_State *L, const struct braid_row *row, const char *name, size_t count);

/* Raises misuse when the result `name` shares memory with what it is computed from, unless (`same`) both are the same
 * elements. */
void lrow_check_apart(lua_State *L, const struct braid_row *result, const char *name, const struct braid_row *from,
                      bool same);

/* How a kernel ended that cannot fail otherwise: raises when memory was out. */
void lrow_check_status(lua_State *L, enum braid_status status);

#endif
