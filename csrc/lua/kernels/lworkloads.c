/* SPDX-License-Identifier: MIT
 * Kernels that are whole workloads, for Lua. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/circle.h"
#include "kernels/digest.h"
#include "kernels/mandelbrot.h"
#include "kernels/words.h"
#include "lua/base/larg.h"
#include "lua/sync/larray.h"
#include "lua/base/lerror.h"
#include "lua/kernels/lkernel.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/base/lposition.h"

/* ---- monte_carlo_pi ------------------------------------------------------------------------------------------- */

static int circle_finish(lua_State *L, void *arguments) {
  struct braid_circle *circle = arguments;
  uint64_t inside = atomic_load(&circle->inside);
  lua_pushnumber(L, 4 * (lua_Number)inside / (lua_Number)circle->points);
  lua_pushinteger(L, (lua_Integer)inside);
  return 2;
}

/* monte_carlo_pi(n, seed, threads) -> estimate, number of points inside. Suspends. */
static int monte_carlo_pi(lua_State *L) {
  enum { FEW = 1 << 15 };
  static const struct lkernel kernel = {"monte_carlo_pi", braid_circle_run, circle_finish, NULL};
  lua_Integer points = larg_integer(L, 1, "n", 1), seed = larg_integer(L, 2, "seed", LUA_MININTEGER);
  unsigned threads = lkernel_threads(L, 3);
  struct braid_circle *circle = lkernel_new(L, &kernel, sizeof *circle);
  circle->points = (uint64_t)points;
  circle->seed = (uint64_t)seed;
  return lkernel_run(L, threads, points <= FEW);
}

/* ---- mandelbrot ----------------------------------------------------------------------------------------------- */

/* On the stack: 9 the array. */
static int mandelbrot_finish(lua_State *L, void *arguments) {
  (void)arguments;
  lua_pushvalue(L, 9);
  return 1;
}

/* mandelbrot(width, height, left, right, bottom, top, iterations, threads) -> array of u32. Suspends. */
static int mandelbrot(lua_State *L) {
  enum { SMALL = 1 << 15 };
  static const struct lkernel kernel = {"mandelbrot", braid_mandelbrot_run, mandelbrot_finish, NULL};
  size_t width = (size_t)larg_integer(L, 1, "width", 0), height = (size_t)larg_integer(L, 2, "height", 0);
  lua_Integer iterations = larg_integer(L, 7, "iterations", 0);
  unsigned threads = lkernel_threads(L, 8);
  if (width > INT32_MAX) larg_error(L, 1, "width", "an integer below 2^31");
  if (height > INT32_MAX) larg_error(L, 2, "height", "an integer below 2^31");
  if (iterations > UINT32_MAX) larg_error(L, 7, "iterations", "an integer below 2^32");
  lua_settop(L, 8);
  struct larray_view counts = larray_new(L, BRAID_U32, width * height);
  struct braid_mandelbrot *picture = lkernel_new(L, &kernel, sizeof *picture);
  *picture = (struct braid_mandelbrot){.width = width,
                                       .height = height,
                                       .left = larg_number(L, 3, "left"),
                                       .right = larg_number(L, 4, "right"),
                                       .bottom = larg_number(L, 5, "bottom"),
                                       .top = larg_number(L, 6, "top"),
                                       .iterations = (uint32_t)iterations,
                                       .counts = counts.data};
  double work = (double)width * (double)height * (double)iterations;
  return lkernel_run(L, threads, work <= (double)SMALL);
}

/* ---- lists of texts ------------------------------------------------------------------------------------------- */

/* Reads the list at index 1 into `texts`, which has room for it. Replaces the list by a copy, which keeps the strings
 * alive even if the caller changes its list. */
static void read_texts(lua_State *L, struct braid_text *texts, size_t count, bool files) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, 1, (lua_Integer)i + 1) != LUA_TSTRING) {
      const char *got = lua_pushfstring(L, "%s at %I", luaL_typename(L, -1), (LUAI_UACINT)i + 1);
      position_callee(L);
      lerror_misuse(L, "bad argument 'list' to '%s' (strings expected, got %s)", lua_tostring(L, -1), got);
    }
    texts[i].data = lua_tolstring(L, -1, &texts[i].size);
    if (files && strlen(texts[i].data) != texts[i].size) lerror_misuse(L, "a file's name has no zeroes in it");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_replace(L, 1);
}

static bool are_few(const struct braid_text *texts, size_t count) {
  const size_t little = 16 * 1024;
  size_t bytes = 0;
  for (size_t i = 0; i < count && bytes <= little; i++) bytes += texts[i].size + 64;
  return bytes <= little;
}

/* Returns nil and an error for the file at this index of the list. */
static int fail_file(lua_State *L, size_t place, int error, const char *what) {
  lua_rawgeti(L, 1, (lua_Integer)place + 1);
  return lerror_system(L, error, lua_pushfstring(L, "%s: %s", what, lua_tostring(L, -1)));
}

/* ---- hash ----------------------------------------------------------------------------------------------------- */

static void push_digest(lua_State *L, const struct braid_digest *digest) {
  static const char digits[] = "0123456789abcdef";
  char text[2 * BRAID_DIGEST_MOST];
  for (size_t i = 0; i < digest->size; i++) {
    text[2 * i] = digits[digest->bytes[i] >> 4];
    text[2 * i + 1] = digits[digest->bytes[i] & 15];
  }
  lua_pushlstring(L, text, 2 * (size_t)digest->size);
}

/* On the stack: 1 the list. */
static int hash_finish(lua_State *L, void *arguments) {
  const struct braid_digest_list *list = arguments;
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    if (list->digests[i].error) return fail_file(L, i, list->digests[i].error, "hash");
    push_digest(L, &list->digests[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void hash_release(void *arguments) {
  struct braid_digest_list *list = arguments;
  free((void *)(uintptr_t)list->texts);
  free(list->digests);
}

/* hash(list, algorithm, files, threads) -> list of hexadecimal digests | nil, err. Suspends. */
static int hash(lua_State *L) {
  static const struct lkernel kernel = {"hash", braid_digest_run, hash_finish, hash_release};
  const char *name = larg_string(L, 2, "algorithm", NULL);
  unsigned threads = lkernel_threads(L, 4);
  bool files = lua_toboolean(L, 3);
  size_t count = larg_list(L, 1, "list", "a list of strings");
  struct braid_digest_library evp;
  const char *problem = braid_digest_load(&evp);
  if (problem) return lerror_raise(L, "system", "hash: %s", problem);
  struct braid_digest_list *list = lkernel_new(L, &kernel, sizeof *list);
  list->evp = evp;
  struct braid_text *texts = calloc(count + 1, sizeof *texts);
  list->texts = texts;
  list->digests = calloc(count + 1, sizeof *list->digests);
  if (!list->texts || !list->digests) return lerror_memory(L);
  list->algorithm = evp.find(name);
  if (!list->algorithm) larg_error(L, 2, "algorithm", "the name of one that OpenSSL has, as \"sha256\",");
  read_texts(L, texts, count, files);
  list->count = count;
  list->files = files;
  return lkernel_run(L, threads, !files && are_few(texts, count));
}

/* ---- word_count ----------------------------------------------------------------------------------------------- */

static void set_total(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* On the stack: 1 the list. */
static int words_finish(lua_State *L, void *arguments) {
  const struct braid_words_list *list = arguments;
  if (list->out_of_memory) return lerror_memory(L);
  for (size_t i = 0; i < list->count; i++)
    if (list->errors[i]) return fail_file(L, i, list->errors[i], "word_count");
  const struct braid_words *words = &list->tables[0];
  lua_createtable(L, 0, (int)words->used);
  for (size_t i = 0; i < words->room; i++) {
    const struct braid_word *word = &words->places[i];
    if (word->count == 0) continue;
    lua_pushlstring(L, word->text, word->size);
    lua_pushinteger(L, (lua_Integer)word->count);
    lua_rawset(L, -3);
  }
  lua_createtable(L, 0, 3);
  set_total(L, "lines", words->lines);
  set_total(L, "words", words->total);
  set_total(L, "bytes", words->bytes);
  return 2;
}

static void words_release(void *arguments) {
  struct braid_words_list *list = arguments;
  for (unsigned seat = 0; list->tables && seat < list->seats; seat++) braid_words_free(&list->tables[seat]);
  free(list->tables);
  free(list->errors);
  free((void *)(uintptr_t)list->texts);
}

/* word_count(list, files, threads) -> table of counts, table of totals | nil, err. Suspends. */
static int word_count(lua_State *L) {
  static const struct lkernel kernel = {"word_count", braid_words_run, words_finish, words_release};
  unsigned threads = lkernel_threads(L, 3);
  bool files = lua_toboolean(L, 2);
  size_t count = larg_list(L, 1, "list", "a list of strings");
  struct braid_words_list *list = lkernel_new(L, &kernel, sizeof *list);
  struct braid_text *texts = calloc(count + 1, sizeof *texts);
  list->texts = texts;
  list->errors = calloc(count + 1, sizeof *list->errors);
  list->seats = threads;
  list->tables = calloc(list->seats, sizeof *list->tables);
  if (!list->texts || !list->errors || !list->tables) return lerror_memory(L);
  read_texts(L, texts, count, files);
  list->count = count;
  list->files = files;
  return lkernel_run(L, threads, !files && are_few(texts, count));
}

/* --------------------------------------------------------------------------------------------------------------- */

void lworkloads_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"monte_carlo_pi", monte_carlo_pi},
                                       {"mandelbrot", mandelbrot},
                                       {"hash", hash},
                                       {"word_count", word_count},
                                       {NULL, NULL}};
  sched_register(L, functions);
}
