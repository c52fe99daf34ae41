/* SPDX-License-Identifier: MIT
 * Reductions along an axis, moving windows and convolution, for lua/braid/kernels, which makes the arrays for the
 * results. They suspend, except for short arrays. */
#include <lauxlib.h>

#include "kernels/axis.h"
#include "kernels/window.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"

enum { FEW = 32 * 1024 };

static int finish_axis(lua_State *L, void *arguments) {
  lrow_check_status(L, ((struct braid_axis_call *)arguments)->status);
  return 0;
}

static const struct lkernel axis_kernel = {"reduce", braid_axis, finish_axis, NULL};

/* matrix_reduce(array, rows, columns, what, along_rows, out, threads) */
static int matrix_reduce(lua_State *L) {
  static const char *const names[] = {"sum", "min", "max", NULL};
  struct braid_axis_call this = {.matrix = lrow_check(L, 1, "array")};
  this.rows = (size_t)larg_integer(L, 2, "rows", 1);
  this.columns = (size_t)larg_integer(L, 3, "columns", 1);
  lrow_check_count(L, &this.matrix, "array", this.rows * this.columns);
  this.what = (enum braid_axis_value)luaL_checkoption(L, 4, NULL, names);
  this.along_rows = lua_toboolean(L, 5);
  struct braid_row out = lrow_check_out_type(L, 6, "out", braid_row_is_float(this.matrix.type) ? BRAID_F64 : BRAID_I64);
  lrow_check_count(L, &out, "out", this.along_rows ? this.columns : this.rows);
  this.out = out.data;
  unsigned threads = lkernel_threads(L, 7);
  *(struct braid_axis_call *)lkernel_new(L, &axis_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.matrix.count < FEW);
}

struct window {
  struct braid_row values, other, out;
  size_t width, first;
  enum braid_window_value what;
  enum braid_status status;
};

static int finish_window(lua_State *L, void *arguments) {
  lrow_check_status(L, ((struct window *)arguments)->status);
  return 0;
}

static void run_window(struct braid_team *team, void *arguments) {
  struct window *this = arguments;
  this->status = braid_window(team, this->values.data, this->values.count, this->width, this->what, this->out.data);
}

static const struct lkernel window_kernel = {"windows", run_window, finish_window, NULL};

/* matrix_windows(values, width, what, out, threads): arrays of f64 */
static int matrix_windows(lua_State *L) {
  static const char *const names[] = {"sum", "min", "max", NULL};
  struct window this = {.values = lrow_check_type(L, 1, "array", BRAID_F64)};
  this.width = (size_t)larg_between(L, 2, "n", 1, (lua_Integer)this.values.count);
  this.what = (enum braid_window_value)luaL_checkoption(L, 3, NULL, names);
  this.out = lrow_check_out_type(L, 4, "out", BRAID_F64);
  lrow_check_count(L, &this.out, "out", this.values.count - this.width + 1);
  unsigned threads = lkernel_threads(L, 5);
  *(struct window *)lkernel_new(L, &window_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.values.count < FEW / 8);
}

static void run_convolve(struct braid_team *team, void *arguments) {
  struct window *this = arguments;
  this->status = braid_convolve(team, this->values.data, this->values.count, this->other.data, this->other.count,
                                this->first, this->out.count, this->out.data);
}

static const struct lkernel convolve_kernel = {"convolve", run_convolve, finish_window, NULL};

/* matrix_convolve(a, b, first, out, threads): arrays of f64; a and b have elements */
static int matrix_convolve(lua_State *L) {
  struct window this = {.values = lrow_check_type(L, 1, "a", BRAID_F64),
                        .other = lrow_check_type(L, 2, "b", BRAID_F64)};
  size_t full = this.values.count + this.other.count - 1;
  if (this.values.count == 0 || this.other.count == 0) return lerror_misuse(L, "arrays with elements expected");
  this.first = (size_t)larg_between(L, 3, "first", 0, (lua_Integer)full);
  this.out = lrow_check_out_type(L, 4, "out", BRAID_F64);
  if (this.out.count > full - this.first) return lerror_misuse(L, "bad argument 'out' (too many elements)");
  lrow_check_apart(L, &this.out, "out", &this.values, false);
  lrow_check_apart(L, &this.out, "out", &this.other, false);
  unsigned threads = lkernel_threads(L, 5);
  *(struct window *)lkernel_new(L, &convolve_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.out.count * this.other.count < FEW);
}

void lmatrix_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"matrix_reduce", matrix_reduce},
                                       {"matrix_windows", matrix_windows},
                                       {"matrix_convolve", matrix_convolve},
                                       {NULL, NULL}};
  sched_register(L, functions);
}
