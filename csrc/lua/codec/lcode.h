/* SPDX-License-Identifier: MIT
 * Lua functions and their bytecode. A function is dumped once, and a state that has loaded the code of a function
 * without a state of its own keeps it for the next time. The state's own thread; nothing blocks. */
#ifndef BRAID_LCODE_H
#define BRAID_LCODE_H

#include <lua.h>

#include "core/base/bytecode.h"

/* The code of the Lua function at `index` if it is known; else NULL. The function's: it lives as long. */
struct braid_bytecode *lcode_known(lua_State *L, int index);

/* The same; dumps it when it is not known, with all debug information. Raises when memory is out. */
struct braid_bytecode *lcode_of(lua_State *L, int index);

/* Pushes a new function with this code. Its upvalues are nil, but the first may be the table of globals. */
void lcode_load(lua_State *L, const struct braid_bytecode *code);

/* Pushes the state's one function with this code, whose only upvalue, if it has one, is the table of globals. */
void lcode_push(lua_State *L, struct braid_bytecode *code);

void lcode_open(lua_State *L);

#endif
