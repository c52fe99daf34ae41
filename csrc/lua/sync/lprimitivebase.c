/* SPDX-License-Identifier: MIT
 * The arguments, results and errors of primitives: see the header. */
#include "lua/sync/lprimitivebase.h"

#include "core/base/virtual_clock.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"

int64_t primitive_deadline(lua_State *L) {
  int64_t deadline = larg_timeout(L, 2);
  return deadline == LARG_ONCE ? braid_time_now() : deadline;
}

static lua_Integer one_or(lua_State *L, const char *name, lua_Integer least) {
  return lua_isnoneornil(L, 2) ? 1 : larg_integer(L, 2, name, least);
}

lua_Integer primitive_count(lua_State *L) { return one_or(L, "count", 1); }

lua_Integer primitive_most(lua_State *L) { return one_or(L, "n", 0); }

int primitive_answer(lua_State *L, enum braid_status status, const char *what) {
  if (status != BRAID_OK) return lerror_return(L, status, what);
  lua_pushboolean(L, 1);
  return 1;
}

int primitive_taken(lua_State *L, enum braid_status status, const char *what, bool hold) {
  if (status != BRAID_OK || !hold) return primitive_answer(L, status, what);
  lua_pushvalue(L, 1);
  return 1;
}

int primitive_refuse_again(lua_State *L) {
  return lerror_misuse(L, "this task holds the lock already: it would wait for itself");
}

int primitive_refuse_release(lua_State *L) {
  return lerror_misuse(L, "only the task that holds a lock may release it");
}

int primitive_refuse_surplus(lua_State *L) {
  return lerror_misuse(L, "the semaphore was released more often than acquired");
}

int primitive_refuse_wait(lua_State *L) {
  return lerror_misuse(L, "a condition is waited for with its lock held: acquire it first");
}

int primitive_refuse_notice(lua_State *L) {
  return lerror_misuse(L, "a condition is notified with its lock held: acquire it first");
}
