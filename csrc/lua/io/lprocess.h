/* SPDX-License-Identifier: MIT
 * Programs that a Lua state has started. The state's own thread; nothing blocks. */
#ifndef BRAID_LPROCESS_H
#define BRAID_LPROCESS_H

#include <lua.h>

#include "core/process/child.h"

/* The children of the state. */
struct braid_children *process_children(lua_State *L);

/* Pushes a box for a child, which it releases when it is collected, and returns where that goes. */
struct braid_child **process_box(lua_State *L);

#endif
