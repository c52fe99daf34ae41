/* SPDX-License-Identifier: MIT
 * The trace (core/inspect/trace.h) for Lua, and the names of what is traced. */
#ifndef BRAID_LTRACE_H
#define BRAID_LTRACE_H

#include <lua.h>

#include "core/inspect/trace.h"

/* Records where the function at `index` is defined, as the name of `whose`. If it is defined in braid itself, takes the
 * first function of the user among the values above it. Does not raise. The state's own thread. */
void trace_name_by(lua_State *L, int index, const void *whose);

#endif
