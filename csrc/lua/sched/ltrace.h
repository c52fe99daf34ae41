/* SPDX-License-Identifier: MIT
 * The log of core/inspect/trace.h as Lua reads it; and how what is traced is named. */
#ifndef BRAID_LTRACE_H
#define BRAID_LTRACE_H

#include <lua.h>

#include "core/inspect/trace.h"

/* Writes down, as the name, where the function at `index` was defined; where that is braid's own, the first of its
 * arguments above that is a function of the user's. Does not raise. The state's own thread. */
void trace_name_by(lua_State *L, int index, const void *whose);

#endif
