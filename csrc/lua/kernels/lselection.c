/* SPDX-License-Identifier: MIT
 * Elements by index and by mask, for lua/braid/kernels/selection.lua, which makes the arrays for the results. They
 * suspend, except for short arrays. */
#include <lauxlib.h>
#include <math.h>

#include "kernels/selection.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"

enum { FEW = 32 * 1024 };

struct call {
  struct braid_row a, b, out, mask;
  struct braid_selection_value left, right;
  bool flag;
  double first, step, last;
  int64_t first_integer, step_integer;
  size_t found;
  struct braid_selection selection;
};

static struct braid_row check_integers(lua_State *L, int index, const char *name) {
  struct braid_row row = lrow_check(L, index, name);
  if (braid_row_is_float(row.type)) lerror_misuse(L, "bad argument '%s' (an array of integers expected)", name);
  return row;
}

static int finish_selection(lua_State *L, void *arguments) {
  struct call *call = arguments;
  lrow_check_status(L, call->selection.status);
  if (!call->selection.out_of_range) return 0;
  int64_t index;
  index = *braid_row_integers(&call->b, call->selection.bad, 1, &index);
  size_t length = call->flag ? call->out.count : call->a.count;
  return lerror_misuse(L, "indices[%I] is %I: there is no such element in an array of %I",
                       (LUAI_UACINT)call->selection.bad + 1, (LUAI_UACINT)index, (LUAI_UACINT)length);
}

static void run_take(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->selection = braid_selection_take(team, &call->a, &call->b, &call->out);
}

static const struct lkernel take_kernel = {"take", run_take, finish_selection, NULL};

/* selection_take(array, indices, out, threads) */
static int selection_take(lua_State *L) {
  struct call this = {.a = lrow_check(L, 1, "array"), .b = check_integers(L, 2, "indices")};
  this.out = lrow_check_out_type(L, 3, "out", this.a.type);
  lrow_check_count(L, &this.out, "out", this.b.count);
  lrow_check_apart(L, &this.out, "out", &this.a, false);
  lrow_check_apart(L, &this.out, "out", &this.b, false);
  unsigned threads = lkernel_threads(L, 4);
  *(struct call *)lkernel_new(L, &take_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.b.count < FEW);
}

static void run_put(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->selection = braid_selection_put(team, &call->out, &call->b, &call->a, call->left.integer != 0);
}

static const struct lkernel put_kernel = {"put", run_put, finish_selection, NULL};

/* selection_put(target, indices, values, add) */
static int selection_put(lua_State *L) {
  struct call this = {.out = lrow_check_out(L, 1, "target"), .b = check_integers(L, 2, "indices"), .flag = true};
  this.a = lrow_check(L, 3, "values");
  lrow_check_count(L, &this.a, "values", this.b.count);
  if (!braid_row_is_float(this.out.type) && braid_row_is_float(this.a.type))
    return lerror_misuse(L, "bad argument 'values' (an array of integers expected, as the target is)");
  lrow_check_apart(L, &this.out, "target", &this.a, false);
  lrow_check_apart(L, &this.out, "target", &this.b, false);
  this.left.integer = lua_toboolean(L, 4);
  *(struct call *)lkernel_new(L, &put_kernel, sizeof this) = this;
  return lkernel_run(L, 1, this.b.count < FEW);
}

static void run_count(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->selection.status = braid_selection_count(team, &call->mask, &call->found);
}

static int finish_count(lua_State *L, void *arguments) {
  struct call *call = arguments;
  lrow_check_status(L, call->selection.status);
  lua_pushinteger(L, (lua_Integer)call->found);
  return 1;
}

static const struct lkernel count_kernel = {"count", run_count, finish_count, NULL};

/* selection_count(mask, threads) -> how many elements are not 0 */
static int selection_count(lua_State *L) {
  struct call this = {.mask = check_integers(L, 1, "mask")};
  unsigned threads = lkernel_threads(L, 2);
  *(struct call *)lkernel_new(L, &count_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.mask.count < FEW);
}

static void run_compress(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->selection.status = braid_selection_compress(team, call->flag ? &call->a : NULL, &call->mask, &call->out);
}

static const struct lkernel compress_kernel = {"compress", run_compress, finish_selection, NULL};

/* selection_compress(array or nil, mask, out, threads). nil: the indices, into `out` of i64 */
static int selection_compress(lua_State *L) {
  struct call this = {.mask = check_integers(L, 2, "mask"), .flag = !lua_isnil(L, 1)};
  if (this.flag) {
    this.a = lrow_check(L, 1, "array");
    lrow_check_count(L, &this.mask, "mask", this.a.count);
  }
  this.out = lrow_check_out_type(L, 3, "out", this.flag ? this.a.type : BRAID_I64);
  lrow_check_apart(L, &this.out, "out", &this.mask, false);
  unsigned threads = lkernel_threads(L, 4);
  *(struct call *)lkernel_new(L, &compress_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.mask.count < FEW);
}

static void run_where(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  if (call->left.row) call->left.row = &call->a;
  if (call->right.row) call->right.row = &call->b;
  call->selection.status = braid_selection_where(team, &call->mask, &call->left, &call->right, &call->out);
}

static const struct lkernel where_kernel = {"where", run_where, finish_selection, NULL};

static void check_value(lua_State *L, int index, const char *name, const struct call *call, struct braid_row *row,
                        struct braid_selection_value *value) {
  if (lua_type(L, index) == LUA_TNUMBER) {
    value->number = lua_tonumber(L, index);
    value->integer = lua_tointeger(L, index);
    return;
  }
  *row = lrow_check(L, index, name);
  lrow_check_count(L, row, name, call->mask.count);
  value->row = row; /* set again when the kernel runs: the call is copied */
}

/* selection_where(mask, a, b, out, threads): a and b are arrays or numbers */
static int selection_where(lua_State *L) {
  struct call this = {.mask = check_integers(L, 1, "mask")};
  check_value(L, 2, "a", &this, &this.a, &this.left);
  check_value(L, 3, "b", &this, &this.b, &this.right);
  this.out = lrow_check_out(L, 4, "out");
  lrow_check_count(L, &this.out, "out", this.mask.count);
  unsigned threads = lkernel_threads(L, 5);
  *(struct call *)lkernel_new(L, &where_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.mask.count < FEW);
}

static void run_ramp(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->selection.status = braid_selection_ramp(team, &call->out, call->first, call->step, call->last,
                                                call->first_integer, call->step_integer);
}

static const struct lkernel ramp_kernel = {"ramp", run_ramp, finish_selection, NULL};

/* selection_ramp(out, first, step, last or nil, threads) */
static int selection_ramp(lua_State *L) {
  struct call this = {.out = lrow_check_out(L, 1, "out")};
  this.first = larg_number(L, 2, "first");
  this.step = larg_number(L, 3, "step");
  this.first_integer = lua_tointeger(L, 2);
  this.step_integer = lua_tointeger(L, 3);
  this.last = lua_isnil(L, 4) ? NAN : larg_number(L, 4, "last");
  unsigned threads = lkernel_threads(L, 5);
  *(struct call *)lkernel_new(L, &ramp_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.out.count < FEW);
}

void lselection_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"selection_take", selection_take},
      {"selection_put", selection_put},
      {"selection_count", selection_count},
      {"selection_compress", selection_compress},
      {"selection_where", selection_where},
      {"selection_ramp", selection_ramp},
      {NULL, NULL},
  };
  sched_register(L, functions);
}
