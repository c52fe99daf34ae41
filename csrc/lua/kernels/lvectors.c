/* SPDX-License-Identifier: MIT
 * Kernels over arrays for lua/braid/kernels/vectors.lua, which makes the arrays for the results. They suspend. */
#include <lauxlib.h>

#include "kernels/histogram.h"
#include "kernels/matmul.h"
#include "kernels/random.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "kernels/search.h"
#include "kernels/sort.h"
#include "kernels/unique.h"
#include "lua/base/larg.h"
#include "lua/kernels/lkernel.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"

/* A pass over fewer elements takes less time than starting a team. */
enum { FEW = 32 * 1024, FEW_TO_SORT = 2 * 1024 };

struct call {
  struct braid_row a, b, out;
  enum braid_reduction what;
  enum braid_scan_kind scan;
  struct braid_reduced reduced;
  bool flag;
  size_t found;
  enum braid_status status;
};

static int finish_nothing(lua_State *L, void *arguments) {
  struct call *call = arguments;
  lrow_check_status(L, call->status);
  return 0;
}

/* ---- reductions -------------------------------------------------------------------------------------------------- */

static void run_reduce(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  const struct braid_row *b = call->what == BRAID_REDUCE_DOT ? &call->b : NULL;
  call->status = braid_reduce(team, call->what, &call->a, b, &call->reduced);
}

static int finish_reduce(lua_State *L, void *arguments) {
  struct call *call = arguments;
  const struct braid_reduced *reduced = &call->reduced;
  lrow_check_status(L, call->status);
  if (call->what == BRAID_REDUCE_VARIANCE) lua_pushnumber(L, reduced->mean);
  if (reduced->is_float)
    lua_pushnumber(L, reduced->number);
  else
    lua_pushinteger(L, reduced->integer);
  if (call->what != BRAID_REDUCE_VARIANCE) lua_pushinteger(L, (lua_Integer)reduced->place + 1);
  return 2;
}

static const struct lkernel reduce_kernel = {"reduce", run_reduce, finish_reduce, NULL};

/* vector_reduce(what, a, b?, threads). "sum", "dot" -> the number. "min", "max" -> the number and its index; nothing if
 * the array is empty. "variance" -> the mean, and the sum of the squared differences from it */
static int vector_reduce(lua_State *L) {
  static const char *const names[] = {"sum", "dot", "min", "max", "variance", NULL};
  enum braid_reduction what = (enum braid_reduction)luaL_checkoption(L, 1, NULL, names);
  struct braid_row a = lrow_check(L, 2, what == BRAID_REDUCE_DOT ? "a" : "array"), b = {0};
  if (what == BRAID_REDUCE_DOT) {
    b = lrow_check(L, 3, "b");
    lrow_check_count(L, &b, "b", a.count);
  }
  unsigned threads = lkernel_threads(L, 4);
  if (a.count == 0 && (what == BRAID_REDUCE_LEAST || what == BRAID_REDUCE_MOST)) return 0;
  struct call *call = lkernel_new(L, &reduce_kernel, sizeof *call);
  call->what = what;
  call->a = a;
  call->b = b;
  return lkernel_run(L, threads, a.count < FEW);
}

/* ---- arrays to arrays -------------------------------------------------------------------------------------------- */

static void run_scan(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_scan(team, call->scan, &call->a, &call->out);
}

static const struct lkernel scan_kernel = {"scan", run_scan, finish_nothing, NULL};

/* vector_scan(array, out, threads, what). what: "sum" (default), "product", "min", "max" */
static int vector_scan(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "array"), out;
  if (braid_row_is_float(a.type)) {
    out = lrow_check_out(L, 2, "out");
    if (!braid_row_is_float(out.type)) lrow_check_out_type(L, 2, "out", BRAID_F64);
  } else {
    out = lrow_check_out_type(L, 2, "out", a.type == BRAID_U64 ? BRAID_U64 : BRAID_I64);
  }
  lrow_check_count(L, &out, "out", a.count);
  lrow_check_apart(L, &out, "out", &a, true);
  unsigned threads = lkernel_threads(L, 3);
  static const char *const names[] = {"sum", "product", "min", "max", NULL};
  enum braid_scan_kind kind = (enum braid_scan_kind)luaL_checkoption(L, 4, "sum", names);
  struct call *call = lkernel_new(L, &scan_kernel, sizeof *call);
  call->scan = kind;
  call->a = a;
  call->out = out;
  return lkernel_run(L, threads, a.count < FEW);
}

static void run_sort(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_sort(team, &call->a, &call->out, call->flag);
}

static const struct lkernel sort_kernel = {"sort", run_sort, finish_nothing, NULL};

/* vector_sort(array, out, descending, threads). `out` may be the array */
static int vector_sort(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "array"), out = lrow_check_out_type(L, 2, "out", a.type);
  lrow_check_count(L, &out, "out", a.count);
  lrow_check_apart(L, &out, "out", &a, true);
  unsigned threads = lkernel_threads(L, 4);
  struct call *call = lkernel_new(L, &sort_kernel, sizeof *call);
  call->a = a;
  call->out = out;
  call->flag = lua_toboolean(L, 3);
  return lkernel_run(L, threads, a.count < FEW_TO_SORT);
}

static void run_order(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_sort_order(team, &call->a, call->flag, call->out.data);
}

static const struct lkernel order_kernel = {"sort", run_order, finish_nothing, NULL};

/* vector_order(array, order, descending, threads). Writes into `order` (i64) the indices of the elements in sorted
 * order */
static int vector_order(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "array"), out = lrow_check_out_type(L, 2, "out", BRAID_I64);
  lrow_check_count(L, &out, "out", a.count);
  lrow_check_apart(L, &out, "out", &a, false);
  unsigned threads = lkernel_threads(L, 4);
  struct call *call = lkernel_new(L, &order_kernel, sizeof *call);
  call->a = a;
  call->out = out;
  call->flag = lua_toboolean(L, 3);
  return lkernel_run(L, threads, a.count < FEW_TO_SORT);
}

static void run_take(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_sort_take(team, &call->a, call->b.data, &call->out);
}

static const struct lkernel take_kernel = {"sort", run_take, finish_nothing, NULL};

/* vector_take(array, order, out, threads). out[i] = array[order[i]]; `order` comes from vector_order */
static int vector_take(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "array"), order = lrow_check_type(L, 2, "order", BRAID_I64);
  struct braid_row out = lrow_check_out_type(L, 3, "out", a.type);
  lrow_check_count(L, &order, "order", a.count);
  lrow_check_count(L, &out, "out", a.count);
  lrow_check_apart(L, &out, "out", &a, false);
  unsigned threads = lkernel_threads(L, 4);
  struct call *call = lkernel_new(L, &take_kernel, sizeof *call);
  call->a = a;
  call->b = order;
  call->out = out;
  return lkernel_run(L, threads, a.count < FEW);
}

static void run_unique(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  struct braid_row *values = call->flag ? &call->out : NULL;
  call->status = braid_unique(team, &call->a, values, call->b.data, &call->found);
}

static int finish_unique(lua_State *L, void *arguments) {
  struct call *call = arguments;
  lrow_check_status(L, call->status);
  lua_pushinteger(L, (lua_Integer)call->found);
  return 1;
}

static const struct lkernel unique_kernel = {"unique", run_unique, finish_unique, NULL};

/* vector_unique(sorted, values?, counts?, threads) -> number of different elements. `values` and `counts` must have
 * that length */
static int vector_unique(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "array"), values = {0}, counts = {0};
  if (!lua_isnoneornil(L, 2)) values = lrow_check_out_type(L, 2, "values", a.type);
  if (!lua_isnoneornil(L, 3)) counts = lrow_check_out_type(L, 3, "counts", BRAID_I64);
  unsigned threads = lkernel_threads(L, 4);
  struct call *call = lkernel_new(L, &unique_kernel, sizeof *call);
  call->a = a;
  call->out = values;
  call->b = counts;
  call->flag = !lua_isnoneornil(L, 2);
  return lkernel_run(L, threads, a.count < FEW);
}

static void run_histogram(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_histogram(team, &call->a, call->b.data, call->out.count, call->out.data);
}

static const struct lkernel histogram_kernel = {"histogram", run_histogram, finish_nothing, NULL};

/* vector_histogram(array, low, high, counts, edges, threads). low < high, and high - low is finite. `counts` (i64) has
 * an element for each bin, `edges` (f64) one more */
static int vector_histogram(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "array"), counts = lrow_check_out_type(L, 4, "counts", BRAID_I64);
  struct braid_row edges = lrow_check_out_type(L, 5, "edges", BRAID_F64);
  lrow_check_count(L, &edges, "edges", counts.count + 1);
  double low = larg_number(L, 2, "low"), high = larg_number(L, 3, "high");
  unsigned threads = lkernel_threads(L, 6);
  braid_histogram_edges(low, high, counts.count, edges.data);
  struct call *call = lkernel_new(L, &histogram_kernel, sizeof *call);
  call->a = a;
  call->b = edges;
  call->out = counts;
  return lkernel_run(L, threads, a.count + counts.count < FEW);
}

static void run_search(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->status = braid_search(team, &call->a, &call->b, call->flag, &call->out);
}

static const struct lkernel search_kernel = {"searchsorted", run_search, finish_nothing, NULL};

/* vector_search(sorted, values, right, places, threads). `places` (i64) is as long as `values` */
static int vector_search(lua_State *L) {
  struct braid_row a = lrow_check(L, 1, "sorted"), b = lrow_check(L, 2, "values");
  struct braid_row out = lrow_check_out_type(L, 4, "out", BRAID_I64);
  lrow_check_count(L, &out, "out", b.count);
  lrow_check_apart(L, &out, "out", &a, false);
  lrow_check_apart(L, &out, "out", &b, false);
  if (!braid_row_is_float(a.type) && !braid_row_is_float(b.type) && (a.type == BRAID_U64) != (b.type == BRAID_U64))
    lrow_check_type(L, 2, "values", a.type);
  unsigned threads = lkernel_threads(L, 5);
  struct call *call = lkernel_new(L, &search_kernel, sizeof *call);
  call->a = a;
  call->b = b;
  call->out = out;
  call->flag = lua_toboolean(L, 3);
  return lkernel_run(L, threads, b.count < FEW_TO_SORT);
}

struct matmul {
  struct braid_row a, b, c;
  size_t m, k, n;
  enum braid_status status;
};

static void run_matmul(struct braid_team *team, void *arguments) {
  struct matmul *this = arguments;
  this->status = braid_matmul(team, &this->a, &this->b, &this->c, this->m, this->k, this->n);
}

static int finish_matmul(lua_State *L, void *arguments) {
  struct matmul *this = arguments;
  lrow_check_status(L, this->status);
  return 0;
}

static const struct lkernel matmul_kernel = {"matmul", run_matmul, finish_matmul, NULL};

/* vector_matmul(a, b, out, m, k, n, threads). a is m x k, b is k x n */
static int vector_matmul(lua_State *L) {
  struct matmul this = {.a = lrow_check(L, 1, "a"), .b = lrow_check(L, 2, "b"), .c = lrow_check_out(L, 3, "out")};
  this.m = (size_t)larg_integer(L, 4, "m", 0);
  this.k = (size_t)larg_integer(L, 5, "k", 0);
  this.n = (size_t)larg_integer(L, 6, "n", 0);
  lrow_check_count(L, &this.a, "a", this.m * this.k);
  lrow_check_count(L, &this.b, "b", this.k * this.n);
  lrow_check_count(L, &this.c, "out", this.m * this.n);
  lrow_check_apart(L, &this.c, "out", &this.a, false);
  lrow_check_apart(L, &this.c, "out", &this.b, false);
  unsigned threads = lkernel_threads(L, 7);
  *(struct matmul *)lkernel_new(L, &matmul_kernel, sizeof this) = this;
  return lkernel_run(L, threads, this.m * this.n * (this.k + 1) < FEW);
}

struct fill {
  struct braid_random random;
  struct braid_row row;
  enum braid_status status;
};

static void run_random(struct braid_team *team, void *arguments) {
  struct fill *fill = arguments;
  fill->status = braid_random_fill(team, &fill->random, &fill->row);
}

static int finish_random(lua_State *L, void *arguments) {
  struct fill *fill = arguments;
  lrow_check_status(L, fill->status);
  return 0;
}

static const struct lkernel random_kernel = {"random", run_random, finish_random, NULL};

/* vector_random(array, seed, distribution, a, b, threads). a and b: "uniform": the limits, integers if the array has
 * integers; "normal": mean and deviation; "exponential": the mean; "poisson": the mean; "binomial": the number of
 * tries, and the probability */
static int vector_random(lua_State *L) {
  static const char *const names[] = {"uniform", "normal", "exponential", "poisson", "binomial", NULL};
  struct fill fill = {.row = lrow_check_out(L, 1, "array")};
  struct braid_random *random = &fill.random;
  random->seed = (uint64_t)larg_integer(L, 2, "seed", LUA_MININTEGER);
  random->distribution = (enum braid_distribution)luaL_checkoption(L, 3, NULL, names);
  switch (random->distribution) {
    case BRAID_UNIFORM:
      if (braid_row_is_float(fill.row.type)) {
        random->low = larg_number(L, 4, "low");
        random->high = larg_number(L, 5, "high");
      } else {
        random->least = larg_integer(L, 4, "low", LUA_MININTEGER);
        random->most = larg_integer(L, 5, "high", LUA_MININTEGER);
      }
      break;
    case BRAID_NORMAL:
      random->deviation = larg_number(L, 5, "deviation");
      random->mean = larg_number(L, 4, "mean");
      break;
    case BRAID_BINOMIAL:
      random->tries = larg_integer(L, 4, "tries", 0);
      random->probability = larg_number(L, 5, "probability");
      break;
    default: random->mean = larg_number(L, 4, "mean");
  }
  unsigned threads = lkernel_threads(L, 6);
  *(struct fill *)lkernel_new(L, &random_kernel, sizeof fill) = fill;
  return lkernel_run(L, threads, fill.row.count < FEW_TO_SORT);
}

void lvectors_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"vector_reduce", vector_reduce},
                                       {"vector_scan", vector_scan},
                                       {"vector_sort", vector_sort},
                                       {"vector_order", vector_order},
                                       {"vector_take", vector_take},
                                       {"vector_unique", vector_unique},
                                       {"vector_search", vector_search},
                                       {"vector_histogram", vector_histogram},
                                       {"vector_matmul", vector_matmul},
                                       {"vector_random", vector_random},
                                       {NULL, NULL}};
  sched_register(L, functions);
}
