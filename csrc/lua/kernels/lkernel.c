/* SPDX-License-Identifier: MIT
 * Each call of a kernel is a userdata with its arguments, and with its team while it runs. The arguments are always
 * freed after the team has ended. */
#include "lua/kernels/lkernel.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "core/inspect/trace.h"
#include "core/memory/shm.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lopen.h"
#include "lua/sched/lsched.h"
#include "lua/state/lsample.h"
#include "lua/sync/larray.h"

#define METATABLE "braid.kernel"

struct call {
  const struct lkernel *kernel; /* NULL: the arguments are freed */
  struct braid_team *team;      /* NULL: it does not run */
  enum braid_status stopped;    /* why it was stopped; 0: it was not */
  int64_t began;                /* when its team did, during a profile; 0: no profile */
  unsigned torn;                /* braid_shm_torn at its beginning */
  _Alignas(max_align_t) char arguments[];
};

static void release(struct call *call) {
  const struct lkernel *kernel = call->kernel;
  call->kernel = NULL;
  if (kernel && kernel->release) kernel->release(call->arguments);
}

static void end_team(struct call *call) {
  if (!call->team) return;
  braid_team_unref(call->team);
  call->team = NULL;
}

/* Only needed if the state closes while the kernel runs, or if it was never run. */
static int call_gc(lua_State *L) {
  struct call *call = lua_touserdata(L, 1);
  if (call->team) {
    braid_team_stop(call->team);
    braid_team_await(call->team);
    end_team(call);
  }
  release(call);
  return 0;
}

void *lkernel_new(lua_State *L, const struct lkernel *kernel, size_t size) {
  struct call *call = lua_newuserdatauv(L, sizeof *call + size, 0);
  memset(call, 0, sizeof *call + size);
  call->kernel = kernel;
  call->torn = braid_shm_torn();
  luaL_setmetatable(L, METATABLE);
  return call->arguments;
}

static int finish(lua_State *L, struct call *call) {
  end_team(call);
  braid_trace_note(BRAID_TRACE_KERNEL_END, call);
  sample_kernel(sched_of(L), L, call->kernel->name, call->began);
  if (call->stopped) {
    release(call);
    return sched_raise(L, sched_of(L), call->stopped);
  }
  if (call->torn != braid_shm_torn()) {
    release(call);
    return larray_raise_torn(L);
  }
  int count = call->kernel->finish(L, call->arguments);
  release(call);
  return count;
}

static int run_here(lua_State *L, struct call *call) {
  call->kernel->run(NULL, call->arguments);
  return finish(L, call);
}

static int run_here_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  enum braid_status end = sched_end(sched_of(L));
  return sched_stopped(end) ? sched_raise(L, sched_of(L), end) : run_here(L, (struct call *)context);
}

static int run_k(lua_State *L, int status, lua_KContext context);

/* Waits for the team. The task's waiter is armed. */
static int await(lua_State *L, struct call *call) {
  struct sched *sched = sched_of(L);
  if (braid_team_join(call->team, &sched_waiter(sched)->node) == BRAID_WAIT)
    return sched_park(L, sched, BRAID_NEVER, run_k, (lua_KContext)call);
  sched_forget(sched);
  return finish(L, call);
}

static int run_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct sched *sched = sched_of(L);
  struct call *call = (struct call *)context;
  enum braid_status end = sched_end(sched);
  if (!sched_stopped(end)) return finish(L, call);
  call->stopped = end;
  braid_team_stop(call->team);
  sched_begin_masked(L, sched);
  return await(L, call);
}

int lkernel_run(lua_State *L, unsigned threads, bool small) {
  struct sched *sched = sched_of(L);
  struct call *call = lua_touserdata(L, -1);
  if (braid_trace_is_on()) braid_trace_record(BRAID_TRACE_KERNEL, call, call->kernel->name);
  if (small) {
    if (sched_enter(L, sched)) return sched_pass(L, sched, run_here_k, (lua_KContext)call);
    return run_here(L, call);
  }
  if (atomic_load_explicit(&sched->state.sampling.rate, memory_order_relaxed)) call->began = braid_clock_now();
  sched_begin(L, sched);
  call->team = braid_team_start(call->kernel->run, call->arguments, threads);
  if (call->team) return await(L, call);
  int error = errno;
  sched_forget(sched);
  return lerror_raise(L, "system", "%s: no thread could be started: %s", call->kernel->name, strerror(error));
}

static unsigned usual_threads(lua_State *L) {
  unsigned threads = braid_team_default();
  if (threads == 0)
    lerror_misuse(L, "bad value of the environment's BRAID_THREADS (an integer from 1 to %d expected, got '%s')",
                  BRAID_TEAM_MOST, getenv("BRAID_THREADS"));
  return threads;
}

unsigned lkernel_threads(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return usual_threads(L);
  lua_Integer threads = larg_integer(L, index, "threads", 1);
  if (threads > BRAID_TEAM_MOST) larg_error(L, index, "threads", "an integer from 1 to 256");
  return (unsigned)threads;
}

void lkernel_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"__gc", call_gc}, {NULL, NULL}};
  sched_class(L, METATABLE, methods);
  lua_pop(L, 1);
}
