/* SPDX-License-Identifier: MIT
 * Positions in the source, as text for error messages and reports. Frames of braid's own Lua files are skipped: a user
 * wants to see his own code. The state's own thread; nothing blocks. */
#ifndef BRAID_LPOSITION_H
#define BRAID_LPOSITION_H

#include <lua.h>
#include <stdbool.h>

/* Says which frames are braid's own: those whose source name ("@/usr/share/lua/5.4/braid/...") begins with `prefix` or
 * with `moved`. If `prefix` is relative, `moved` is the same folder as an absolute path. */
void position_set_home(const char *prefix, const char *moved);

/* Whether a frame is braid's own; its field `source` must be set (lua_getinfo "S"). Any thread. */
bool position_is_ours(const lua_Debug *ar);

/* Pushes "file:line: " of the innermost Lua frame of the user at `level` or further out; "" if there is none. */
void position_where(lua_State *L, int level);

/* Pushes what the coroutine does now: "queue:get at file:line". */
void position_place(lua_State *L, lua_State *co);

/* Pushes the user's function that `co` runs: "name at file:line". */
void position_stand(lua_State *L, lua_State *co);

/* Pushes the name of the running C function: the name in the call, else the name in its module, else "?". */
void position_callee(lua_State *L);

/* Pops the function on the top of the stack. If it is a field of a loaded module, pushes its name ("table.sort") and
 * returns 1; else returns 0. */
int position_global_name(lua_State *L);

/* Pushes the name ("table.sort") of the innermost C function on L that Lua cannot suspend. Returns 0 if there is none.
 */
int position_culprit(lua_State *L);

#endif
