/* SPDX-License-Identifier: MIT
 * Linear algebra, for lua/braid/kernels/linear.lua, which makes the arrays. */
#include <lauxlib.h>

#include "kernels/lapack.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"

static int finish_lapack(lua_State *L, void *arguments) {
  const struct braid_lapack *this = arguments;
  if (this->missing) return lerror_raise(L, "system", "LAPACK was not found (Debian: liblapack3)");
  lrow_check_status(L, this->status);
  lua_pushinteger(L, this->info);
  return 1;
}

static const struct lkernel kernel = {"lapack", braid_lapack_run, finish_lapack, NULL};

/* The numbers of the array of f64 at `index`, which must have so many; NULL for nil. */
static double *numbers(lua_State *L, int index, const char *name, int rows, int columns) {
  if (lua_isnoneornil(L, index)) return NULL;
  struct braid_row row = lrow_check_out_type(L, index, name, BRAID_F64);
  lrow_check_count(L, &row, name, (size_t)rows * (size_t)columns);
  return row.data;
}

/* lapack(operation, m, n, k, a, b, c, s) -> LAPACK's info: 0, or above 0 when it failed for these numbers. The arrays
 * are those of kernels/lapack.h; nil where there is none. Suspends. */
static int lapack(lua_State *L) {
  static const char *const names[] = {"solve", "cholesky", "qr", "svd", "eigh", NULL};
  struct braid_lapack this = {.operation = (enum braid_lapack_operation)luaL_checkoption(L, 1, NULL, names)};
  this.m = (int)larg_between(L, 2, "m", 0, INT32_MAX);
  this.n = (int)larg_between(L, 3, "n", 0, INT32_MAX);
  this.k = (int)larg_between(L, 4, "k", 0, INT32_MAX);
  bool solves = this.operation == BRAID_LAPACK_SOLVE;
  bool is_eigh = this.operation == BRAID_LAPACK_EIGH;
  this.a = numbers(L, 5, "a", this.m, this.n);
  this.b = numbers(L, 6, "b", solves ? this.n : this.m, this.k);
  this.c = numbers(L, 7, "c", this.k, this.n);
  this.s = numbers(L, 8, "s", is_eigh ? this.n : this.k, 1);
  *(struct braid_lapack *)lkernel_new(L, &kernel, sizeof this) = this;
  return lkernel_run(L, 1, false);
}

void llapack_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"lapack", lapack}, {NULL, NULL}};
  sched_register(L, functions);
}
