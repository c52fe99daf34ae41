/* SPDX-License-Identifier: MIT
 * Arguments, results and errors of the methods of primitives, for primitives of this process and for proxies. The
 * object is at 1. The state's own thread; nothing blocks. */
#ifndef BRAID_LPRIMITIVEBASE_H
#define BRAID_LPRIMITIVEBASE_H

#include <lua.h>
#include <stdbool.h>

#include "core/base/status.h"

/* ---- arguments, at 2; these raise when the argument is wrong ---- */

/* The deadline of condition:wait and barrier:wait, which wait even when the timeout is 0. */
int64_t primitive_deadline(lua_State *L);

/* semaphore:release(count?) */
lua_Integer primitive_count(lua_State *L);

/* condition:notify(n?) */
lua_Integer primitive_most(lua_State *L);

/* ---- results ---- */

/* With a timeout of 0, a try that found nothing counts as a timeout. */
static inline enum braid_status primitive_once(enum braid_status status) {
  return status == BRAID_EMPTY ? BRAID_TIMEOUT : status;
}

/* Pushes true, or nil and an error; returns how many values. */
int primitive_answer(lua_State *L, enum braid_status status, const char *what);

/* The same for an acquire. If `hold`, pushes the object in place of true; a `<close>` variable then releases it. */
int primitive_taken(lua_State *L, enum braid_status status, const char *what, bool hold);

/* ---- misuse: these raise ---- */

int primitive_refuse_again(lua_State *L);   /* the task holds the lock already */
int primitive_refuse_release(lua_State *L); /* the task does not hold the lock */
int primitive_refuse_surplus(lua_State *L); /* it would get more turns than its limit */
int primitive_refuse_wait(lua_State *L);    /* the task does not hold the condition's lock */
int primitive_refuse_notice(lua_State *L);  /* the same */

#endif
