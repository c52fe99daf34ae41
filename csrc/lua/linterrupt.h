/* SPDX-License-Identifier: MIT
 * SIGINT while a script waits in the loop. The main thread. */
#ifndef BRAID_LINTERRUPT_H
#define BRAID_LINTERRUPT_H

#include <lua.h>

#include "../core/loop.h"

/* From here to interrupt_end SIGINT asks the loop for attention and arms `hook` in the coroutine that *running names,
 * to be called some 100 ms of computing later, for code that never waits; a second SIGINT ends the process with status
 * 130. Nothing happens where somebody has SIGINT ignored, or inside another such pair. */
void interrupt_begin(struct braid_loop *loop, lua_State *const *running, lua_Hook hook);

/* The host's handler is back. */
void interrupt_end(struct braid_loop *loop);

#endif
