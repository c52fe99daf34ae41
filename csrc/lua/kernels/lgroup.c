/* SPDX-License-Identifier: MIT
 * Values of groups, for lua/braid/kernels/groups.lua, which makes the arrays for the results. */
#include <lauxlib.h>

#include "kernels/group.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"

enum { FEW = 16 * 1024, MOST_COLUMNS = 64, FIRST_COLUMN = 5 };

struct call {
  struct braid_group_call call;
  struct braid_row keys, values[MOST_COLUMNS];
  struct braid_group_column columns[MOST_COLUMNS];
};

static void run_group(struct braid_team *team, void *arguments) {
  struct call *this = arguments;
  this->call.keys = &this->keys;
  this->call.columns = this->columns;
  for (size_t i = 0; i < this->call.count; i++) this->columns[i].values = &this->values[i];
  braid_group(team, &this->call);
}

static int finish_group(lua_State *L, void *arguments) {
  struct call *this = arguments;
  lrow_check_status(L, this->call.status);
  lua_pushboolean(L, !this->call.out_of_range);
  if (this->call.out_of_range) lua_pushinteger(L, (lua_Integer)this->call.bad + 1);
  return this->call.out_of_range ? 2 : 1;
}

static const struct lkernel kernel = {"group", run_group, finish_group, NULL};

/* Reads the column whose three arguments begin at `index`. */
static void read_column(lua_State *L, int index, struct call *this, size_t at) {
  static const char *const names[] = {"count", "sum", "min", "max", "first", NULL};
  struct braid_group_column *column = &this->columns[at];
  column->what = (enum braid_group_value)luaL_checkoption(L, index, NULL, names);
  if (column->what != BRAID_GROUP_COUNT && column->what != BRAID_GROUP_FIRST) {
    this->values[at] = lrow_check(L, index + 1, "values");
    lrow_check_count(L, &this->values[at], "values", this->keys.count);
    column->is_float = braid_row_is_float(this->values[at].type);
  }
  struct braid_row out = lrow_check_out_type(L, index + 2, "out", column->is_float ? BRAID_F64 : BRAID_I64);
  lrow_check_count(L, &out, "out", this->call.groups);
  column->out = out.data;
}

/* group(keys, low, groups, threads, what, values or nil, out, ...) -> true; or false and the place of a key that is in
 * no group. */
static int group(lua_State *L) {
  struct braid_row keys = lrow_check(L, 1, "keys");
  if (braid_row_is_float(keys.type)) return lerror_misuse(L, "bad argument 'keys' (an array of integers expected)");
  lua_Integer low = larg_integer(L, 2, "low", LUA_MININTEGER);
  lua_Integer groups = larg_between(L, 3, "groups", 0, (lua_Integer)UINT32_MAX);
  unsigned threads = lkernel_threads(L, 4);
  size_t count = (size_t)(lua_gettop(L) - FIRST_COLUMN + 1) / 3;
  if (count > MOST_COLUMNS) return lerror_misuse(L, "at most %d columns", MOST_COLUMNS);
  struct call *this = lkernel_new(L, &kernel, sizeof *this);
  this->keys = keys;
  this->call = (struct braid_group_call){.low = low, .groups = (size_t)groups, .count = count};
  for (size_t i = 0; i < count; i++) read_column(L, FIRST_COLUMN + 3 * (int)i, this, i);
  return lkernel_run(L, threads, keys.count < FEW);
}

void lgroup_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"group", group}, {NULL, NULL}};
  sched_register(L, functions);
}
