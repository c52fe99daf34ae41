/* SPDX-License-Identifier: MIT
 * Programs that a Lua state has started. The state's own thread; nothing blocks. */
#ifndef BRAID_LPROCESS_H
#define BRAID_LPROCESS_H

#include <lua.h>

#include "core/process/child.h"

/* All children of the state. Raises when memory is out. */
struct braid_children *process_children(lua_State *L);

/* Pushes a box for a child and returns where to store the child. A collected box releases its child. */
struct braid_child **process_box(lua_State *L);

#endif
