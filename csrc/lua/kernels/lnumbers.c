/* SPDX-License-Identifier: MIT
 * Number theory for Lua. Numbers are copied into a kernel's arguments; the results are pushed as lists. */
#include <lauxlib.h>
#include <stdlib.h>

#include "kernels/factor.h"
#include "kernels/prime.h"
#include "kernels/sieve.h"
#include "lua/base/larg.h"
#include "lua/sync/larray.h"
#include "lua/base/lerror.h"
#include "lua/kernels/lkernel.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/base/lposition.h"

/* ---- arguments ------------------------------------------------------------------------------------------------ */

/* Argument 1 of a kernel: a number, a list of them, or an array. */
struct row {
  uint64_t *numbers; /* by malloc */
  size_t count;
  bool single; /* it was one number, so the result is not a list either */
};

/* The allowed numbers. */
struct domain {
  bool as_unsigned; /* negative integers are unsigned ones with the same bits, as for %u of string.format */
  uint64_t least;
};

/* Raises: the value on the top of the stack, at `place` of the list (0: it is no list), is not in the domain. */
static void refuse(lua_State *L, const struct domain *domain, size_t place) {
  const char *got = lua_type(L, -1) == LUA_TNUMBER ? luaL_tolstring(L, -1, NULL) : luaL_typename(L, -1);
  if (place > 0) got = lua_pushfstring(L, "%s at %I", got, (LUAI_UACINT)place);
  position_callee(L);
  lerror_misuse(L, "bad argument 'n' to '%s' (%s from %d expected, got %s)", lua_tostring(L, -1),
                domain->as_unsigned ? "unsigned integers" : "integers", (int)domain->least, got);
}

static bool fits(const struct domain *domain, lua_Integer value) {
  return (value >= 0 || domain->as_unsigned) && (uint64_t)value >= domain->least;
}

/* Reads the number on the top of the stack; pops it. */
static uint64_t take_number(lua_State *L, const struct domain *domain, size_t place) {
  int whole;
  lua_Integer value = lua_tointegerx(L, -1, &whole);
  if (!whole || lua_type(L, -1) != LUA_TNUMBER || !fits(domain, value)) refuse(L, domain, place);
  lua_pop(L, 1);
  return (uint64_t)value;
}

static void make_room(lua_State *L, struct row *row, size_t count) {
  row->count = count;
  row->numbers = malloc((count ? count : 1) * sizeof *row->numbers);
  if (!row->numbers) lerror_memory(L);
}

static void read_array(lua_State *L, struct row *row, struct domain domain, const struct larray_view *view) {
  const lua_Integer *data = view->data;
  if (view->type != BRAID_I64 && view->type != BRAID_U64) larg_error(L, 1, "n", "an array of i64 or u64");
  domain.as_unsigned = domain.as_unsigned || view->type == BRAID_U64;
  make_room(L, row, view->length);
  for (size_t i = 0; i < row->count; i++) {
    row->numbers[i] = (uint64_t)data[i];
    if (fits(&domain, (lua_Integer)row->numbers[i])) continue;
    lua_pushinteger(L, (lua_Integer)row->numbers[i]);
    refuse(L, &domain, i + 1);
  }
}

static void read_row(lua_State *L, struct row *row, struct domain domain) {
  struct larray_view view;
  row->single = lua_type(L, 1) == LUA_TNUMBER;
  if (larray_test(L, 1, &view)) {
    read_array(L, row, domain, &view);
    return;
  }
  make_room(L, row, row->single ? 1 : larg_list(L, 1, "n", "an integer, a list or an array"));
  for (size_t i = 0; i < row->count; i++) {
    if (row->single)
      lua_pushvalue(L, 1);
    else
      lua_rawgeti(L, 1, (lua_Integer)i + 1);
    row->numbers[i] = take_number(L, &domain, row->single ? 0 : i + 1);
  }
}

/* ---- factorize ------------------------------------------------------------------------------------------------ */

struct factorize {
  struct row row;
  struct braid_factor_list list;
};

static void factorize_run(struct braid_team *team, void *arguments) {
  braid_factor_run(team, &((struct factorize *)arguments)->list);
}

static void push_factors(lua_State *L, const uint64_t *factors, unsigned count) {
  lua_createtable(L, (int)count, 0);
  for (unsigned i = 0; i < count; i++) {
    lua_pushinteger(L, (lua_Integer)factors[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static int factorize_finish(lua_State *L, void *arguments) {
  const struct factorize *this = arguments;
  const struct braid_factor_list *list = &this->list;
  const uint64_t *at = NULL;
  if (list->out_of_memory) return lerror_memory(L);
  if (!this->row.single) lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    if (i % list->grain == 0) at = list->rows[i / list->grain];
    push_factors(L, at, list->counts[i]);
    if (list->counts[i]) at += list->counts[i];
    if (!this->row.single) lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void factorize_release(void *arguments) {
  struct factorize *this = arguments;
  struct braid_factor_list *list = &this->list;
  for (size_t i = 0; list->rows && i * list->grain < list->count; i++) free(list->rows[i]);
  free(list->rows);
  free(list->counts);
  free(this->row.numbers);
}

/* Whether the work takes less time than starting a team. */
static bool is_small(const struct braid_factor_list *list) {
  enum { FEW = 4 };
  const uint64_t quick = UINT64_C(1) << 28;
  if (!list->trial) return list->count <= FEW;
  for (size_t i = 0; i < list->count; i++)
    if (i >= FEW || list->numbers[i] > quick) return false;
  return true;
}

/* factorize(numbers, trial, threads, unsigned) -> list of factors; if numbers is a list, a list of those. Suspends. */
static int factorize(lua_State *L) {
  enum { GRAIN = 32 };
  static const struct lkernel kernel = {"factorize", factorize_run, factorize_finish, factorize_release};
  unsigned threads = lkernel_threads(L, 3);
  struct factorize *this = lkernel_new(L, &kernel, sizeof *this);
  struct braid_factor_list *list = &this->list;
  read_row(L, &this->row, (struct domain){.as_unsigned = lua_toboolean(L, 4), .least = 1});
  list->trial = lua_toboolean(L, 2);
  list->numbers = this->row.numbers;
  list->count = this->row.count;
  list->grain = list->trial ? 1 : GRAIN;
  list->counts = calloc(list->count + 1, sizeof *list->counts);
  list->rows = calloc(list->count / list->grain + 1, sizeof *list->rows);
  if (!list->counts || !list->rows) return lerror_memory(L);
  return lkernel_run(L, threads, is_small(list));
}

/* ---- is_prime ------------------------------------------------------------------------------------------------- */

struct is_prime {
  struct row row;
  struct braid_prime_list list;
};

static void is_prime_run(struct braid_team *team, void *arguments) {
  braid_prime_run(team, &((struct is_prime *)arguments)->list);
}

static int is_prime_finish(lua_State *L, void *arguments) {
  const struct is_prime *this = arguments;
  if (!this->row.single) lua_createtable(L, (int)this->list.count, 0);
  for (size_t i = 0; i < this->list.count; i++) {
    lua_pushboolean(L, this->list.primes[i]);
    if (!this->row.single) lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void is_prime_release(void *arguments) {
  struct is_prime *this = arguments;
  free(this->list.primes);
  free(this->row.numbers);
}

/* is_prime(numbers, threads, unsigned) -> boolean; if numbers is a list, a list of those. Suspends. */
static int is_prime(lua_State *L) {
  enum { FEW = 32 };
  static const struct lkernel kernel = {"is_prime", is_prime_run, is_prime_finish, is_prime_release};
  unsigned threads = lkernel_threads(L, 2);
  struct is_prime *this = lkernel_new(L, &kernel, sizeof *this);
  read_row(L, &this->row, (struct domain){.as_unsigned = lua_toboolean(L, 3)});
  this->list.numbers = this->row.numbers;
  this->list.count = this->row.count;
  this->list.primes = calloc(this->list.count + 1, sizeof *this->list.primes);
  if (!this->list.primes) return lerror_memory(L);
  return lkernel_run(L, threads, this->list.count <= FEW);
}

/* ---- sieves --------------------------------------------------------------------------------------------------- */

struct sieve {
  struct braid_sieve sieve;
  size_t chunks;
};

static void sieve_run(struct braid_team *team, void *arguments) {
  braid_sieve_run(team, &((struct sieve *)arguments)->sieve);
}

static bool is_short(uint64_t limit) { return limit <= UINT64_C(1) << 20; }

/* On the stack: 2 the threads, 3 the array of counts. */
static int count_finish(lua_State *L, void *arguments) {
  const struct sieve *this = arguments;
  lua_Integer total = 0;
  if (this->sieve.out_of_memory) return lerror_memory(L);
  for (size_t i = 0; i < this->chunks; i++) total += this->sieve.counts[i];
  lua_pushinteger(L, total);
  lua_pushvalue(L, 3);
  return 2;
}

static uint64_t check_limit(lua_State *L) {
  lua_Integer limit = larg_integer(L, 1, "limit", 0);
  if ((uint64_t)limit > BRAID_SIEVE_MOST) larg_error(L, 1, "limit", "an integer up to 10000000000000");
  return (uint64_t)limit;
}

/* count_primes(limit, threads) -> number of primes, array with the number in each chunk. Suspends. */
static int count_primes(lua_State *L) {
  static const struct lkernel kernel = {"count_primes", sieve_run, count_finish, NULL};
  uint64_t limit = check_limit(L);
  unsigned threads = lkernel_threads(L, 2);
  lua_settop(L, 2);
  struct larray_view counts = larray_new(L, BRAID_I64, braid_sieve_chunks(limit));
  struct sieve *this = lkernel_new(L, &kernel, sizeof *this);
  *this = (struct sieve){.sieve = {.limit = limit, .counts = counts.data}, .chunks = counts.length};
  return lkernel_run(L, threads, is_short(limit));
}

/* On the stack: 5 the array. */
static int list_finish(lua_State *L, void *arguments) {
  if (((const struct sieve *)arguments)->sieve.out_of_memory) return lerror_memory(L);
  lua_pushvalue(L, 5);
  return 1;
}

/* list_primes(limit, threads, total, counts) -> array. total and counts come from count_primes. Suspends. */
static int list_primes(lua_State *L) {
  static const struct lkernel kernel = {"primes", sieve_run, list_finish, NULL};
  uint64_t limit = check_limit(L);
  unsigned threads = lkernel_threads(L, 2);
  struct larray_view counts = larray_check(L, 4, "counts");
  lua_settop(L, 4);
  struct larray_view primes = larray_new(L, BRAID_I64, (size_t)larg_integer(L, 3, "total", 0));
  struct sieve *this = lkernel_new(L, &kernel, sizeof *this);
  this->sieve = (struct braid_sieve){.limit = limit, .counts = counts.data, .primes = primes.data};
  return lkernel_run(L, threads, is_short(limit));
}

/* --------------------------------------------------------------------------------------------------------------- */

void lnumbers_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"factorize", factorize},
                                       {"is_prime", is_prime},
                                       {"count_primes", count_primes},
                                       {"list_primes", list_primes},
                                       {NULL, NULL}};
  sched_register(L, functions);
}
