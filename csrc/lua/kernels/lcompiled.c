/* SPDX-License-Identifier: MIT
 * Kernels that were compiled at run time, for lua/braid/kernels/compile. A library stays loaded until the process ends,
 * because its code may be on the stack of a native thread. */
#include <dlfcn.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernels/compiled.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/kernels/lkernel.h"
#include "lua/kernels/lkernelcache.h"
#include "lua/kernels/lrow.h"
#include "lua/sched/lsched.h"
#include "lua/sync/larray.h"

#define METATABLE "braid.compiled"

enum { MOST_ARGUMENTS = 64, FIRST_ARGUMENT = 11 };

struct library {
  braid_compiled_run *run;
  braid_compiled_fold *fold;
  bool alone; /* an array that is written may not share elements with another one */
};

struct call {
  struct braid_compiled_call call;
  struct braid_compiled_argument arguments[];
};

/* ---- libraries --------------------------------------------------------------------------------------------------- */

/* compiled_open(path, alone) -> library; or nil, why not. The file counts as used now. May block for the file. */
static int compiled_open(lua_State *L) {
  const char *path = larg_string(L, 1, "path", NULL);
  struct library *library = lua_newuserdatauv(L, sizeof *library, 0);
  const char *why = lkernelcache_refusal(path, false);
  void *handle = why ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle) utimensat(AT_FDCWD, path, NULL, 0);
  if (!why && !handle) why = dlerror();
  if (!why) {
    *(void **)&library->run = dlsym(handle, "k_kernel");
    *(void **)&library->fold = dlsym(handle, "k_fold");
    library->alone = lua_toboolean(L, 2);
    if (!library->run) why = "it is no kernel";
  }
  if (why) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  luaL_setmetatable(L, METATABLE);
  return 1;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

/* An array argument for the check of aliases. */
struct use {
  const char *begin, *end; /* its bytes */
  char written, own;       /* `own`: all its accesses are at the same place of each iteration, named by this letter */
  int number;
  const struct braid_compiled_argument *argument;
};

/* Reads the array whose six values begin at `index`: array, elements before it, rows, columns, steps. */
static struct use read_array(lua_State *L, int index, struct braid_compiled_argument *argument) {
  struct larray_view view = larray_check(L, index, "array");
  lua_Integer length = (lua_Integer)view.length;
  lua_Integer first = larg_between(L, index + 1, "first", 0, length);
  lua_Integer rows = larg_between(L, index + 2, "rows", 0, length);
  lua_Integer columns = larg_between(L, index + 3, "columns", 0, length);
  lua_Integer row_step = larg_between(L, index + 4, "row_step", 0, length);
  lua_Integer column_step = larg_between(L, index + 5, "column_step", 0, length);
  lua_Integer down = 0, across = 0;
  bool empty = rows == 0;
  bool inside = __builtin_mul_overflow(rows - 1, row_step, &down) == 0 &&
                (columns == 0 || __builtin_mul_overflow(columns - 1, column_step, &across) == 0) && down < length &&
                across < length && first + down + across < length;
  if (!empty && !inside) lerror_misuse(L, "a view reaches beyond its array");
  size_t width = braid_array_width(view.type);
  char *data = (char *)view.data + (size_t)first * width;
  *argument = (struct braid_compiled_argument){.value.data = data, .rows = rows, .columns = columns};
  argument->row_step = row_step;
  argument->column_step = column_step;
  size_t elements = empty ? 0 : (size_t)(down + across) + 1;
  return (struct use){.begin = data, .end = data + elements * width};
}

static bool overlap(const struct use *a, const struct use *b) {
  return a->begin != a->end && b->begin != b->end && a->begin < b->end && b->begin < a->end;
}

static bool same_place(const struct braid_compiled_argument *a, const struct braid_compiled_argument *b) {
  return a->value.data == b->value.data && a->rows == b->rows && a->columns == b->columns &&
         a->row_step == b->row_step && a->column_step == b->column_step;
}

/* Whether an iteration touches only its own elements, though the two arguments are one array. */
static bool is_own(const struct use *a, const struct use *b) {
  return a->own != '0' && a->own == b->own && same_place(a->argument, b->argument);
}

/* Pushes false, "alias" or (the code for arrays that are alone cannot run, other code can) "shared", and the numbers of
 * two arguments that share elements, if there are such. */
static int refuse_aliases(lua_State *L, const struct use *uses, int count, bool alone) {
  for (int i = 0; i < count; i++)
    for (int j = 0; j < i; j++) {
      if ((!uses[i].written && !uses[j].written) || !overlap(&uses[i], &uses[j])) continue;
      bool own = is_own(&uses[i], &uses[j]);
      if (own && !alone) continue;
      lua_pushboolean(L, 0);
      lua_pushstring(L, own ? "shared" : "alias");
      lua_pushinteger(L, uses[j].number);
      lua_pushinteger(L, uses[i].number);
      return 4;
    }
  return 0;
}

static void run_compiled(struct braid_team *team, void *arguments) {
  struct call *call = arguments;
  call->call.arguments = call->arguments;
  braid_compiled_execute(team, &call->call);
}

static int finish_compiled(lua_State *L, void *arguments) {
  const struct braid_compiled_call *call = &((struct call *)arguments)->call;
  lrow_check_status(L, call->status);
  lua_pushboolean(L, !call->faulty);
  if (call->faulty) {
    const struct braid_compiled_fault *fault = &call->fault;
    lua_pushliteral(L, "fault");
    const int64_t numbers[] = {fault->site, fault->value, fault->limit, fault->i, fault->j};
    for (int i = 0; i < 5; i++) lua_pushinteger(L, numbers[i]);
    return 7;
  }
  if (call->reduction == BRAID_COMPILED_NONE || braid_compiled_count(call) == 0) return 1;
  for (unsigned i = 0; i < call->results; i++)
    if (call->is_float[i])
      lua_pushnumber(L, call->value[i].number);
    else
      lua_pushinteger(L, call->value[i].integer);
  return 1 + (int)call->results;
}

static const struct lkernel kernel = {"kernel", run_compiled, finish_compiled, NULL};

/* Reads the arguments that `spec` describes into `list`; fills `uses`. Returns how many there are. */
static int read_arguments(lua_State *L, const char *spec, struct braid_compiled_argument *list, struct use *uses,
                          int *arrays) {
  int count = 0, index = FIRST_ARGUMENT;
  *arrays = 0;
  for (; *spec; spec++, count++) {
    if (count == MOST_ARGUMENTS) return lerror_misuse(L, "a kernel takes at most %d arguments", MOST_ARGUMENTS);
    list[count] = (struct braid_compiled_argument){0};
    switch (*spec) {
      case 'i': list[count].value.integer = lua_tointeger(L, index++); break;
      case 'f': list[count].value.number = lua_tonumber(L, index++); break;
      case 'b': list[count].value.integer = lua_toboolean(L, index++); break;
      default: {
        struct use *use = &uses[(*arrays)++];
        *use = read_array(L, index, &list[count]);
        use->written = *spec == 'w';
        if (use->written) larray_check_writable(L, larray_check(L, index, "array").array, "array");
        use->own = *++spec;
        use->number = count + 1;
        use->argument = &list[count];
        index += 6;
      }
    }
  }
  return count;
}

/* compiled_run(library, i_first, i_last, j_first, j_last, threads, small, reduction, results, spec, argument...) ->
 * true and the results of a reduction; or false, "fault", site, value, limit, i, j; or false, "alias" or "shared", and
 * the numbers of two arguments. `results` has "f" or "i" for each result. `spec` has "i", "f" or "b" for a number, and
 * for an array "a" (read) or "w" (written) and its letter of struct use; an array is passed as six values. Suspends,
 * unless small. */
static int compiled_run(lua_State *L) {
  const struct library *library = larg_object(L, 1, METATABLE);
  unsigned threads = lkernel_threads(L, 6);
  bool small = lua_toboolean(L, 7);
  size_t results;
  const char *types = larg_string(L, 9, "results", &results), *spec = larg_string(L, 10, "spec", NULL);
  if (results > BRAID_COMPILED_RESULTS)
    return lerror_misuse(L, "a kernel has at most %d results", BRAID_COMPILED_RESULTS);
  struct braid_compiled_argument list[MOST_ARGUMENTS];
  struct use uses[MOST_ARGUMENTS];
  int arrays, count = read_arguments(L, spec, list, uses, &arrays);
  int refused = refuse_aliases(L, uses, arrays, library->alone);
  if (refused) return refused;
  struct call *call = lkernel_new(L, &kernel, sizeof *call + (size_t)count * sizeof *list);
  call->call = (struct braid_compiled_call){.run = library->run, .fold = library->fold, .results = (unsigned)results};
  for (int i = 0; i < 2; i++) {
    call->call.first[i] = lua_tointeger(L, 2 + 2 * i);
    call->call.last[i] = lua_tointeger(L, 3 + 2 * i);
  }
  call->call.reduction = (enum braid_compiled_reduction)larg_between(L, 8, "reduction", 0, BRAID_COMPILED_FOLD);
  for (size_t i = 0; i < results; i++) call->call.is_float[i] = types[i] == 'f';
  memcpy(call->arguments, list, (size_t)count * sizeof *list);
  return lkernel_run(L, threads, small || braid_compiled_count(&call->call) == 0);
}

void lcompiled_open(lua_State *L) {
  static const luaL_Reg methods[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"compiled_open", compiled_open},
      {"compiled_run", compiled_run},
      {NULL, NULL},
  };
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
  sched_register(L, functions);
}
