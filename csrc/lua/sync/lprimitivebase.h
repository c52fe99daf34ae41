/* SPDX-License-Identifier: MIT
 * What the methods of primitives take, answer and refuse, whether the primitive is of this process or of another one.
 * The object is at 1. The state's own thread; nothing blocks. */
#ifndef BRAID_LPRIMITIVEBASE_H
#define BRAID_LPRIMITIVEBASE_H

#include <lua.h>
#include <stdbool.h>

#include "core/base/status.h"

/* ---- arguments, at 2 ---- */

/* condition:wait, barrier:wait: who comes there waits, even when the timeout is 0. */
int64_t primitive_deadline(lua_State *L);

/* semaphore:release(count?) */
lua_Integer primitive_count(lua_State *L);

/* condition:notify(n?) */
lua_Integer primitive_most(lua_State *L);

/* ---- answers ---- */

/* What a try that found nothing becomes where the timeout was 0. */
static inline enum braid_status primitive_once(enum braid_status status) {
  return status == BRAID_EMPTY ? BRAID_TIMEOUT : status;
}

/* true; or nil and an error. */
int primitive_answer(lua_State *L, enum braid_status status, const char *what);

/* The same of an acquire; of a hold the object itself, which `<close>` releases. */
int primitive_taken(lua_State *L, enum braid_status status, const char *what, bool hold);

/* ---- misuse: never return ---- */

int primitive_refuse_again(lua_State *L);   /* the task holds the lock already */
int primitive_refuse_release(lua_State *L); /* another task holds the lock, or none */
int primitive_refuse_surplus(lua_State *L); /* the semaphore has all its turns */
int primitive_refuse_wait(lua_State *L);    /* the task does not hold the condition's lock */
int primitive_refuse_notice(lua_State *L);  /* the same */

#endif
