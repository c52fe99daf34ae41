/* SPDX-License-Identifier: MIT
 * Arrays as arguments of kernels: rows. The state's own thread; nothing blocks. */
#ifndef BRAID_LROW_H
#define BRAID_LROW_H

#include <lua.h>

#include "core/base/status.h"
#include "kernels/row.h"

/* The array at `index`; raises misuse, with the argument's name, if it is none. The row is valid while the array is on
 * the stack. */
struct braid_row lrow_check(lua_State *L, int index, const char *name);

/* The same for an array of this type; raises misuse if it has another. */
struct braid_row lrow_check_type(lua_State *L, int index, const char *name, enum braid_array_type type);

/* The same two for an array that the kernel writes: raises misuse if it cannot be written. */
struct braid_row lrow_check_out(lua_State *L, int index, const char *name);
struct braid_row lrow_check_out_type(lua_State *L, int index, const char *name, enum braid_array_type type);

/* Raises misuse unless the array at `index` (the argument `name`) has `count` elements. */
void lrow_check_count(lua_State *L, const struct braid_row *row, const char *name, size_t count);

/* Raises misuse if the result `name` overlaps the row from which it is computed. If `same`, it may be identical to it.
 */
void lrow_check_apart(lua_State *L, const struct braid_row *result, const char *name, const struct braid_row *from,
                      bool same);

/* Raises if the kernel failed because memory was out. */
void lrow_check_status(lua_State *L, enum braid_status status);

#endif
