/* SPDX-License-Identifier: MIT
 * Expressions over arrays. A compiled one is a userdata, which lua/braid/kernels/vectors.lua caches. */
#include <lauxlib.h>
#include <string.h>

#include "kernels/map.h"
#include "lua/base/larg.h"
#include "lua/sync/larray.h"
#include "lua/base/lerror.h"
#include "lua/kernels/lkernel.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"

#define METATABLE "braid.expression"

/* Work on fewer elements takes less time than starting a team. */
enum { FEW = 16 * 1024 };

struct call {
  const struct braid_expression *expression; /* kept alive by the stack */
  struct braid_row result;
  enum braid_status status;
  struct braid_map_value values[];
};

/* expression_new(source) -> expression; or nil, column, message if it is not valid */
static int expression_new(lua_State *L) {
  size_t size;
  const char *source = larg_string(L, 1, "expression", &size);
  if (strlen(source) != size) {
    lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)strlen(source) + 1);
    lua_pushliteral(L, "a byte 0");
    return 3;
  }
  struct braid_expression *expression = lua_newuserdatauv(L, sizeof *expression, 0);
  luaL_setmetatable(L, METATABLE);
  struct braid_expression_error error;
  if (braid_expression_parse(expression, source, &error)) return 1;
  lua_pushnil(L);
  lua_pushinteger(L, (lua_Integer)error.column);
  lua_pushstring(L, error.message);
  return 3;
}

/* expression:names() -> list of its variables, in the order of their first appearance */
static int expression_names(lua_State *L) {
  const struct braid_expression *expression = larg_object(L, 1, METATABLE);
  lua_createtable(L, (int)expression->names, 0);
  for (unsigned i = 0; i < expression->names; i++) {
    lua_pushstring(L, expression->name[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void run_map(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_map(team, call->expression, call->values, &call->result);
}

static int finish_map(lua_State *L, void *arguments) {
  struct call *call = arguments;
  lrow_check_status(L, call->status);
  return 0;
}

static const struct lkernel map_kernel = {"map", run_map, finish_map, NULL};

/* Reads the value of the variable `name` at `index`. */
static struct braid_map_value check_value(lua_State *L, int index, const char *name, const struct braid_row *result) {
  struct braid_map_value value = {.is_row = lua_type(L, index) != LUA_TNUMBER};
  if (value.is_row) {
    value.row = lrow_check(L, index, name);
    lrow_check_count(L, &value.row, name, result->count);
    lrow_check_apart(L, result, "out", &value.row, true);
  } else {
    value.number = lua_tonumber(L, index);
    value.is_integer = lua_isinteger(L, index);
    if (value.is_integer) value.integer = lua_tointeger(L, index);
  }
  return value;
}

/* vector_map(expression, threads, out, value...). Each value is a number, or an array as long as `out`; they are those
 * of the expression's variables, in order. Suspends. */
static int vector_map(lua_State *L) {
  const struct braid_expression *expression = larg_object(L, 1, METATABLE);
  unsigned threads = lkernel_threads(L, 2);
  struct braid_row result = lrow_check_out(L, 3, "out");
  struct braid_map_value values[BRAID_EXPRESSION_NAMES];
  for (unsigned i = 0; i < expression->names; i++) values[i] = check_value(L, (int)i + 4, expression->name[i], &result);
  struct call *call = lkernel_new(L, &map_kernel, sizeof *call + expression->names * sizeof *values);
  call->expression = expression;
  call->result = result;
  memcpy(call->values, values, expression->names * sizeof *values);
  return lkernel_run(L, threads, result.count * expression->steps < FEW);
}

void lmap_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"names", expression_names}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"expression_new", expression_new}, {"vector_map", vector_map}, {NULL, NULL}};
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
