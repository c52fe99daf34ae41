/* SPDX-License-Identifier: MIT
 * Where code stands, in words: for error messages and reports. braid's own Lua files are not what a user wants to be
 * pointed at, so their frames are passed over. The state's own thread; nothing blocks. */
#ifndef BRAID_LPOSITION_H
#define BRAID_LPOSITION_H

#include <lua.h>
#include <stdbool.h>

/* Frames of files that begin with this prefix (a source name as Lua has it, "@/usr/share/lua/5.4/braid/") are ours; and
 * those that begin with `moved`, which is the same for a relative one after the program has gone to another folder. */
void position_set_home(const char *prefix, const char *moved);

/* Whether a frame (its "S") is ours. Any thread. */
bool position_is_ours(const lua_Debug *ar);

/* Pushes "file:line: " of the innermost Lua frame from `level` on that is not ours; "" when there is none. */
void position_where(lua_State *L, int level);

/* Pushes what the coroutine is doing: "queue:get at file:line". */
void position_place(lua_State *L, lua_State *co);

/* Pushes which of the user's functions `co` runs: "name at file:line". */
void position_stand(lua_State *L, lua_State *co);

/* Pushes the name of the C function that runs, as it was called or as its module has it; "?" failing that. */
void position_callee(lua_State *L);

/* Pushes "table.sort" for the function on the top of the stack, which it pops, when it is a field of a loaded module;
 * else false. */
int position_global_name(lua_State *L);

/* Pushes "table.sort" for the innermost C function on L that Lua cannot suspend; false when there is none. */
int position_culprit(lua_State *L);

#endif
