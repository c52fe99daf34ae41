/* SPDX-License-Identifier: MIT
 * Lua functions and their bytecode. Each function is dumped only once. A function without own state (no upvalues but
 * _ENV) is loaded only once in each Lua state. The state's own thread; nothing blocks. */
#ifndef BRAID_LCODE_H
#define BRAID_LCODE_H

#include <lua.h>

#include "core/base/bytecode.h"

/* The code of the Lua function at `index`, if it is known; else NULL. The caller has no reference: the code lives as
 * long as the function. */
struct braid_bytecode *lcode_known(lua_State *L, int index);

/* The same, but dumps the function if its code is not known, with debug information. Raises when memory is out. */
struct braid_bytecode *lcode_of(lua_State *L, int index);

/* Pushes a new function with this code. Its first upvalue, if it has one, may be the table of globals; others are nil.
 */
void lcode_load(lua_State *L, const struct braid_bytecode *code);

/* Pushes the state's one function with this code. Its only upvalue, if it has one, is the table of globals. */
void lcode_push(lua_State *L, struct braid_bytecode *code);

void lcode_open(lua_State *L);

#endif
