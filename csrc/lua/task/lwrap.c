/* SPDX-License-Identifier: MIT
 * braid.wrap: a coroutine whose yields go to its iterator, and whose waits suspend the task that drives it.
 *
 * Scopes that are entered in a generator are inside its frame, a scope of its own. From the beginning of a step to the
 * yield the frame is in the chain of the driving task. At the yield the scopes are set aside: they then belong to the
 * generator's guest, a child of the nursery in which the generator was made (ltree.h), and keep the coroutine alive, so
 * nothing in it is finalized. When the iterator is collected, or this nursery ends, they are cancelled. A task then
 * resumes the coroutine, and an error is raised at the yield. */
#include "lua/task/lwrap.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/base/larg.h"
#include "lua/sched/lbottom.h"
#include "lua/base/lerror.h"
#include "lua/task/lfailure.h"
#include "lua/base/lopen.h"
#include "lua/sched/lseal.h"
#include "lua/task/ltask.h"
#include "lua/base/ltraceback.h"

#define HANDLE_METATABLE "braid.generator"

enum fate { NEW, RUNS, WAITS, YIELDED, ENDED };

/* Userdata; its user value is the coroutine, whose body has it as first argument. The iterator holds a handle that
 * points here. Scopes that are set aside keep the coroutine and the generator alive; then only the handle is collected.
 */
struct generator {
  struct sched *sched;
  struct task guest;       /* owns the scopes while they are set aside; its nursery is NULL otherwise */
  struct scope frame;      /* around these scopes */
  struct braid_list aside; /* in a list of the scheduler while they are set aside */
  struct scope *home;      /* with serial: the nursery in which the generator was made */
  uint64_t serial;
  lua_State *co;
  enum fate fate;
  bool failed;
  unsigned refusals; /* while it is closed: 1 + its yields since then. 0: it is not being closed */
};

/* Index of the message handler in the body's frame. An error unwinds inside the body, where `<close>` variables may
 * wait.
 */
enum { BODY_HANDLER = BOTTOM_GENERATOR + 1 };

static struct generator *generator_of(lua_State *co) { return lua_touserdata(co, BOTTOM_GENERATOR); }

static int end_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - BODY_HANDLER;
  generator_of(L)->failed = true;
  return 1;
}

static int body_k(lua_State *L, int status, lua_KContext context) {
  const struct scope *frame = &generator_of(L)->frame;
  if (frame->owner->scope == frame) return end_k(L, status, context);
  return task_end_scopes(L, status, BODY_HANDLER, context, end_k);
}

static int body(lua_State *L) {
  lua_pushcfunction(L, failure_handler);
  lua_insert(L, BODY_HANDLER);
  int arguments = lua_gettop(L) - BODY_HANDLER - 1;
  return body_k(L, lua_pcallk(L, arguments, LUA_MULTRET, BODY_HANDLER, 0, body_k), 0);
}

/* ---- its scopes ----------------------------------------------------------------------------------------------- */

static bool is_aside(const struct generator *gen) { return gen->guest.nursery != NULL; }

/* Before a step of this task: its scopes join the task's. */
static void come(struct generator *gen, struct task *task) {
  if (!is_aside(gen)) {
    tree_enter(&gen->sched->tree, &gen->frame, task, SCOPE_FRAME);
    return;
  }
  braid_list_remove(&gen->aside);
  tree_take_back(&gen->frame, &gen->guest, task);
  gen->guest.nursery = NULL;
}

/* At its yield: its scopes leave the task's. */
static void go(struct generator *gen) {
  if (gen->frame.owner->scope == &gen->frame) {
    tree_leave(&gen->frame);
    return;
  }
  tree_lay_aside(&gen->frame, &gen->guest, tree_home(gen->frame.outer, gen->home, gen->serial));
  braid_list_push(&gen->sched->aside, &gen->aside);
}

/* The generator has ended. */
static void end(struct generator *gen) {
  gen->fate = ENDED;
  while (gen->frame.owner->scope != &gen->frame) tree_leave(gen->frame.owner->scope);
  tree_leave(&gen->frame);
}

/* ---- a step --------------------------------------------------------------------------------------------------- */

static int drive_k(lua_State *L, int status, lua_KContext context);

/* Resumes the coroutine. Returns its status and the number of its results. */
static int resume(lua_State *L, struct generator *gen, int arguments, int *results) {
  struct sched *sched = gen->sched;
  lua_State *before = sched->running, *co = gen->co;
  bool script = sched->current == &sched->tree.script;
  /* Where the task could not be suspended from here, nothing inside may wait either. */
  sched->running = L == before && (script || lua_isyieldable(L)) ? co : NULL;
  stop_hand_on(sched, L, co);
  if (gen->fate != NEW) seal_break(&sched->seal, co);
  gen->fate = RUNS;
  lua_State *computing = sched_compute(sched, co);
  int status = lua_resume(co, L, arguments, results);
  hook_share(&sched->hooks, co, L);
  sched->running = before;
  sched->hooks.leaving = NULL;
  if (status > LUA_YIELD) lua_resetthread(co); /* its handler could not take the error */
  sched_compute(sched, computing);
  if (status == LUA_YIELD) {
    gen->fate = !script && (sched->current->waiter.flags & TASK_PARKED) ? WAITS : YIELDED;
    seal_close(&sched->seal, co);
  }
  return status;
}

/* An error is raised in it at its next instruction. */
static void leave(struct generator *gen) {
  gen->sched->hooks.leaving = gen->co;
  hook_arm(&gen->sched->hooks, gen->co, LUA_MASKCOUNT, 1);
}

/* Closes its variables here, where they cannot wait. Empties its stack. */
static void close_hard(struct generator *gen) {
  seal_break(&gen->sched->seal, gen->co);
  lua_State *computing = sched_compute(gen->sched, gen->co);
  lua_resetthread(gen->co);
  sched_compute(gen->sched, computing);
  lua_settop(gen->co, 0);
}

static int answer(lua_State *L, struct generator *gen, int results) {
  luaL_checkstack(L, results, "too many values");
  lua_xmove(gen->co, L, results);
  if (!gen->failed) return results;
  failure_place(L, gen->co);
  return traceback_raise_on(L);
}

static int drive(lua_State *L, struct generator *gen, int arguments) {
  enum { MOST = 1000 };
  int results, status;
  while ((status = resume(L, gen, arguments, &results)) == LUA_YIELD) {
    if (gen->fate == WAITS) {
      lua_pop(gen->co, results);
      return lua_yieldk(L, 0, (lua_KContext)gen, drive_k);
    }
    if (!gen->refusals) {
      go(gen);
      return answer(L, gen, results);
    }
    lua_pop(gen->co, results);
    if (++gen->refusals > MOST) break;
    leave(gen);
    arguments = 0;
  }
  if (status == LUA_YIELD) {
    close_hard(gen);
    lua_pushliteral(gen->co, "a generator that was left goes on yielding");
  }
  if (status != LUA_OK) {
    gen->failed = true;
    results = 1;
  }
  end(gen);
  return answer(L, gen, results);
}

static int drive_k(lua_State *L, int status, lua_KContext context) {
  (void)status;
  return drive(L, (struct generator *)context, 0);
}

/* The iterator. Upvalue 2 is the handle. */
static int next_value(lua_State *L) {
  struct generator *gen = *(struct generator **)lua_touserdata(L, lua_upvalueindex(2));
  int arguments = lua_gettop(L);
  if (gen->fate == WAITS) return lerror_misuse(L, "this iterator waits already: another task has called it");
  if (gen->fate == RUNS) return lerror_misuse(L, "this iterator runs already: it cannot call itself");
  if (gen->fate == ENDED) return lerror_misuse(L, "this iterator has ended");
  if (gen->refusals)
    return lerror_misuse(L, "this iterator is being closed: the scope in which it was made has come to its end");
  if (is_aside(gen)) sched_check(L, gen->sched); /* its scopes have to wait at their end */
  if (!lua_checkstack(gen->co, arguments)) return lerror_memory(L);
  come(gen, gen->sched->current);
  lua_xmove(L, gen->co, arguments);
  return drive(L, gen, gen->fate == NEW ? arguments + 2 : arguments);
}

/* ---- left behind ---------------------------------------------------------------------------------------------- */

static int closed_k(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) return 0;
  if (lerror_is(L, -1, "cancelled")) return 0;
  failure_place(L, L);
  return traceback_raise(L);
}

static int continue_closing(lua_State *L) {
  struct generator *gen = lua_touserdata(L, 1);
  leave(gen);
  return drive(L, gen, 0);
}

/* The body of the task that closes a generator, which is argument 1. */
static int close_body(lua_State *L) {
  lua_pushcfunction(L, failure_handler);
  lua_insert(L, 1);
  lua_pushcfunction(L, continue_closing);
  lua_insert(L, 2);
  return closed_k(L, lua_pcallk(L, 1, 0, 1, 0, closed_k), 0);
}

/* Argument: a generator whose scopes are set aside. Cancels them and gives them to a new task. */
static int start_closing(lua_State *L) {
  struct generator *gen = lua_touserdata(L, 1);
  struct sched *sched = gen->sched;
  struct scope *home = gen->guest.nursery;
  lua_pushcfunction(L, close_body);
  lua_insert(L, 1);
  sched->current = home->owner; /* the task inherits the owner's locals */
  struct task *task = task_spawn(L, sched, home, 1, TASK_CLOSER);
  come(gen, task);
  tree_cancel_scope(&gen->frame);
  braid_wake_list_push(&sched->loop.ready, &task->waiter);
  return 0;
}

/* Starts to close a generator. Does not raise. When memory is out, closes the coroutine here, and nothing in it may
 * wait.
 */
static void begin_closing(lua_State *L, struct generator *gen) {
  struct sched *sched = gen->sched;
  struct sched_frame frame = {sched->current, sched->running};
  gen->refusals = 1;
  lua_pushcfunction(L, start_closing);
  bottom_push(L, gen->co, BOTTOM_GENERATOR);
  bool begun = lua_pcall(L, 1, 0, 0) == LUA_OK;
  sched_return(sched, frame);
  if (begun) return;
  lua_pop(L, 1);
  come(gen, sched->current);
  close_hard(gen);
  end(gen);
}

void wrap_close_guests(lua_State *L, struct scope *home) {
  struct braid_list *at = home->children.next;
  while (at != &home->children) {
    struct task *child = braid_container(at, struct task, sibling);
    bool guest = tree_is_guest(child);
    if (guest) begin_closing(L, braid_container(child, struct generator, guest));
    at = guest ? home->children.next : at->next;
  }
}

void wrap_close_all(lua_State *L, struct braid_list *which) {
  while (!braid_list_empty(which)) begin_closing(L, braid_container(which->next, struct generator, aside));
}

/* The iterator was collected. A finalizer may interrupt a walk over tasks, so the loop does the rest. */
static int handle_gc(lua_State *L) {
  struct generator *gen = *(struct generator **)lua_touserdata(L, 1);
  if (!gen || !is_aside(gen) || gen->refusals || gen->sched->closing) return 0;
  braid_list_remove(&gen->aside);
  braid_list_push(&gen->sched->abandoned, &gen->aside);
  return 0;
}

/* ---- what Lua calls ------------------------------------------------------------------------------------------- */

static void make(lua_State *L, struct sched *sched, struct generator *gen) {
  lua_State *co = lua_newthread(L);
  memset(gen, 0, sizeof *gen);
  gen->sched = sched;
  gen->co = co;
  gen->home = tree_nursery(sched->current);
  gen->serial = gen->home->serial;
  braid_waiter_init(&gen->guest.waiter, &sched->loop, BRAID_WAITER_TASK);
  gen->guest.waiter.state = FUTURE_RUNNING;
  gen->guest.waiter.flags = TASK_DAEMON;
  lua_setiuservalue(L, -2, 1);
  lua_pushcfunction(co, body);
}

/* wrap(fn) -> iterator, as coroutine.wrap returns it. Code inside may wait. */
static int lua_wrap(lua_State *L) {
  struct sched *sched = sched_of(L);
  larg_function(L, 1, "fn");
  lua_settop(L, 1);
  lua_pushlightuserdata(L, sched);
  struct generator **handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = NULL;
  luaL_setmetatable(L, HANDLE_METATABLE);
  struct generator *gen = lua_newuserdatauv(L, sizeof *gen, 1);
  make(L, sched, gen);
  lua_pushvalue(L, -1);
  lua_pushvalue(L, 1);
  lua_xmove(L, gen->co, 2);
  lua_setiuservalue(L, -2, 1);
  *handle = gen;
  lua_pushcclosure(L, next_value, 2);
  return 1;
}

static const luaL_Reg functions[] = {{"wrap", lua_wrap}, {NULL, NULL}};

void lwrap_open(lua_State *L) {
  struct sched *sched = sched_open(L);
  sched->wrap_body = body;
  sched_register(L, functions);
  luaL_newmetatable(L, HANDLE_METATABLE);
  lua_pushcfunction(L, handle_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
