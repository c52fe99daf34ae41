/* SPDX-License-Identifier: MIT
 * Jobs of pools, for Lua. The future of a job has the job's waiter in it. So the registry keeps the future until the
 * waiter has arrived. */
#include "lua/pool/lpooljob.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/process/child.h"
#include "core/process/marshal.h"
#include "lua/base/larg.h"
#include "lua/base/lerror.h"
#include "lua/base/lregistry.h"
#include "lua/codec/lcarry.h"
#include "lua/codec/lcodec.h"
#include "lua/codec/litem.h"
#include "lua/sched/lsentinel.h"
#include "lua/sched/ltrace.h"
#include "lua/task/lfailure.h"
#include "lua/task/ljob.h"
#include "lua/task/ltask.h"

/* A key of the registry, by its address. */
static const char PENDING; /* the futures of jobs that have not arrived */

/* ---- dead pools and workers ----------------------------------------------------------------------------------- */

/* Pushes how a process died. */
static void push_death(lua_State *L, int status) {
  if (status == BRAID_CHILD_UNKNOWN)
    lua_pushliteral(L, "ended, but its status was taken by somebody else (is SIGCHLD ignored?)");
  else if (WIFSIGNALED(status))
    lua_pushfstring(L, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else
    lua_pushfstring(L, "exited with status %d", WEXITSTATUS(status));
}

/* Sets no `signal` or `status` when that is not known. */
static void set_death_fields(lua_State *L, int status, int pid) {
  if (status != BRAID_CHILD_UNKNOWN) {
    lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    lua_setfield(L, -2, WIFSIGNALED(status) ? "signal" : "status");
  }
  if (pid == 0) return;
  lua_pushinteger(L, pid);
  lua_setfield(L, -2, "pid");
}

/* Pushes the error that broke a pool, if there is no message for it. It never changes after that. */
static void push_pool_death(lua_State *L, const struct braid_pool *pool) {
  if (pool->error) {
    lerror_push(L, "system", "a worker%s could not be started: %s", pool->kind->apart ? " process" : "",
                strerror(pool->error));
    lua_pushinteger(L, pool->error);
    lua_setfield(L, -2, "code");
    return;
  }
  push_death(L, pool->death);
  lerror_push(L, "worker_died", "its worker processes die before they are ready: the last one %s", lua_tostring(L, -1));
  lua_remove(L, -2);
  set_death_fields(L, pool->death, 0);
}

int pooljob_push_failure(lua_State *L, struct braid_pool *pool) {
  struct braid_message *failure;
  if (!braid_pool_is_given_up(pool, &failure)) return 0;
  if (failure) return lcodec_decode(L, failure);
  push_pool_death(L, pool);
  return 1;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------- */

static void give_up_job(struct job_future *this) {
  braid_job_unref(this->job);
  this->job = NULL;
}

/* Makes sure that a slot is free, so that `anchor` cannot fail. Raises when memory is out. */
static void reserve_slot(lua_State *L, struct sched *sched) {
  struct job_slots *slots = &sched->job_slots;
  if (slots->count > 0) return;
  if (slots->made == slots->room) {
    int room = slots->room ? 2 * slots->room : 16;
    int *more = realloc(slots->free, (size_t)room * sizeof *more);
    if (!more) lerror_memory(L);
    slots->free = more;
    slots->room = room;
  }
  lregistry_table(L, &PENDING, NULL);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, slots->made + 1);
  lua_pop(L, 1);
  slots->free[slots->count++] = ++slots->made;
}

static int reserve_again(lua_State *L) {
  reserve_slot(L, sched_open(L));
  return 0;
}

/* Whether a slot is still free, or another one could be made: a __braid_pack may have submitted a job, too. Does not
 * raise. */
static bool has_slot(lua_State *L, struct sched *sched) {
  if (sched->job_slots.count > 0) return true;
  lua_pushcfunction(L, reserve_again);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/* Keeps the future, which is on the top of the stack, until `release`. */
static void anchor(lua_State *L, struct sched *sched, struct job_future *this) {
  this->slot = sched->job_slots.free[--sched->job_slots.count];
  lregistry_table(L, &PENDING, NULL);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, this->slot);
  lua_pop(L, 1);
}

/* Pushes the future, which is anchored no more. */
static void release(lua_State *L, struct sched *sched, const struct job_future *this) {
  lregistry_table(L, &PENDING, NULL);
  lua_rawgeti(L, -1, this->slot);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -3, this->slot);
  lua_remove(L, -2);
  sched->job_slots.free[sched->job_slots.count++] = this->slot;
}

static int refuse_closed(lua_State *L, struct braid_pool *pool) {
  if (braid_pool_is_stopped(pool))
    return lerror_raise(L, "cancelled", "cancelled: an error has ended what this pool was for");
  return lerror_misuse(L, "this pool is closed: it takes no more jobs");
}

static int refuse(lua_State *L, struct job_future *this, enum braid_status status) {
  struct braid_pool *pool = this->pool;
  braid_job_unref(this->job); /* the pool's reference; the submitter's is dropped in the next line */
  give_up_job(this);
  if (this->slot) {
    release(L, sched_of(L), this);
    lua_pop(L, 1);
  }
  if (status != BRAID_CLOSED) return lerror_memory(L);
  lua_settop(L, 0);
  if (pooljob_push_failure(L, pool) == 0) return refuse_closed(L, pool);
  lua_settop(L, 1);
  if (lerror_is(L, 1, "broken") || lerror_shortage(L, 1)) return lua_error(L);
  return lerror_raise(L, "broken", "this pool is broken: %s", lerror_text(L, 1));
}

/* Returns the pool. If argument 1 is a table with the pool as `_core`, the table stays at 1, so it is not collected:
 * its collection would close the pool. */
static struct braid_pool *receiver(lua_State *L) {
  sched_check_fork(L);
  if (!lua_istable(L, 1)) return pooljob_pool(L);
  lua_getfield(L, 1, "_core");
  struct braid_object *object = lobject_test(L, -1, &braid_pool_class);
  if (!object) {
    lua_replace(L, 1);
    return pooljob_pool(L); /* raises */
  }
  lua_pop(L, 1);
  sched_check_fork(L);
  return braid_container(object, struct braid_pool, object);
}

/* The future, on the top of the stack, gets a job with this call, and the pool gets the job. */
static int submit_call(lua_State *L, struct sched *sched, struct job_future *this, struct braid_message *call) {
  struct braid_pool *pool = this->pool;
  this->job = braid_job_new(call, &this->future.waiter);
  if (!this->job) {
    braid_message_unref(call);
    return lerror_memory(L);
  }
  enum braid_status status = has_slot(L, sched) ? BRAID_OK : BRAID_NO_MEMORY;
  if (status == BRAID_OK) anchor(L, sched, this);
  if (braid_trace_is_on()) {
    trace_name_by(L, 2, this->job);
    braid_trace_record(BRAID_TRACE_SUBMIT, this->job, NULL);
  }
  if (status == BRAID_OK) status = pool->kind->submit(pool, this->job);
  if (status != BRAID_OK) return refuse(L, this, status);
  braid_object_ref(&pool->object); /* until the job has arrived */
  sched->jobs++;
  if (sched->current == &sched->tree.script) sentinel_renew(L, sched); /* the job may need what the script holds now */
  return 1;
}

static struct job_future *push_future(lua_State *L, struct sched *sched, struct braid_pool *pool) {
  reserve_slot(L, sched);
  struct job_future *this = lua_newuserdatauv(L, sizeof *this, 1);
  *this = (struct job_future){.pool = pool};
  braid_waiter_init(&this->future.waiter, &sched->loop, BRAID_WAITER_JOB);
  lua_rawgeti(L, LUA_REGISTRYINDEX, sched->task_metatable);
  lua_setmetatable(L, -2);
  return this;
}

/* pool:submit(fn, ...) -> future. It is also the method `submit` of tables with the pool as `_core`, because a Lua
 * function between would cost a large part of the whole. */
int pooljob_submit(lua_State *L) {
  struct sched *sched = sched_of(L);
  struct braid_pool *pool = receiver(L);
  larg_function(L, 2, "fn");
  int count = lua_gettop(L) - 1;
  carry_wrap(L, sched, 2, CARRY_JOB);
  struct job_future *this = push_future(L, sched, pool);
  struct braid_message *call =
      lcodec_encode_across(L, 2, count, "argument", pool->kind->apart ? braid_marshal_refuse : NULL);
  if (lua_istable(L, 2)) { /* from carry_wrap */
    lua_rawgeti(L, 2, 1);
    lua_replace(L, 2);
  }
  return submit_call(L, sched, this, call);
}

/* pool:submit_frozen(bytes, list or nil) -> future. Function and arguments come from core.freeze, of any process. */
int pooljob_submit_frozen(lua_State *L) {
  struct sched *sched = sched_of(L);
  lua_settop(L, 3);
  struct braid_pool *pool = pooljob_pool(L);
  struct job_future *this = push_future(L, sched, pool);
  struct braid_message *call = lcodec_thawed(L, 2);
  const struct braid_object *which;
  const char *why = pool->kind->apart ? braid_marshal_refuse_message(call, &which) : NULL;
  if (!why) return submit_call(L, sched, this, call);
  lua_pushfstring(L, "a %s cannot be sent to another process: %s", which->class->name, why);
  braid_message_unref(call);
  return lerror_misuse(L, "%s", lua_tostring(L, -1));
}

/* Pushes the error of a job whose worker process ended without a reply. */
static int push_job_death(lua_State *L, const struct job_future *this) {
  const struct braid_job *job = this->job;
  if (job->pid == 0) {
    push_pool_death(L, this->pool);
  } else if (job->outcome == BRAID_JOB_OVERDUE) {
    lerror_push(L, "limit", "the job took longer than its time limit, and its worker process had to be killed");
  } else {
    if (job->outcome == BRAID_JOB_SILENT)
      lua_pushliteral(L, "gave no sign of life (is it stopped?), and was killed at the end of its pool");
    else if (job->fault)
      lua_pushfstring(L, "was ended, for its connection failed (%s),", job->fault);
    else
      push_death(L, job->death);
    lerror_push(L, "worker_died", "the worker process (pid %d) %s while it had this job", job->pid,
                lua_tostring(L, -1));
    lua_remove(L, -2);
    set_death_fields(L, job->death, job->pid);
  }
  return 1;
}

/* Pushes an error of kind "system". */
static int push_system(lua_State *L, int error, const char *what) {
  lerror_system(L, error, what);
  lua_remove(L, -2); /* the nil */
  return 1;
}

/* Pushes the error of a job whose arguments or results could not be read by the other process. */
static int push_refusal(lua_State *L, const struct braid_job *job) {
  const char *what = job->outcome == BRAID_JOB_NOT_TAKEN
                         ? "the worker process (pid %d) could not take in the arguments"
                         : "the results of the worker process (pid %d) could not be taken in";
  push_system(L, job->error, lua_pushfstring(L, what, job->pid));
  lua_remove(L, -2);
  return 1;
}

/* Pushes the results, or the error, of a job. Returns how many values. */
static int push_reply(lua_State *L, const struct job_future *this) {
  if (this->job->reply) return lcodec_decode(L, this->job->reply);
  switch (this->job->outcome) {
    case BRAID_JOB_DIED:
    case BRAID_JOB_OVERDUE:
    case BRAID_JOB_SILENT: return push_job_death(L, this);
    case BRAID_JOB_NOT_TAKEN:
    case BRAID_JOB_REPLY_LOST: return push_refusal(L, this->job);
    case BRAID_JOB_NO_WORKER: return push_system(L, this->job->error, "no worker could be made for this job");
    case BRAID_JOB_FAILED: return push_system(L, ENOMEM, "the job failed, and its worker had no memory to say how");
    default: return 0;
  }
}

/* Argument: the future. Stores the results or the error in its user value. */
static int unpack(lua_State *L) {
  struct job_future *this = lua_touserdata(L, 1);
  lua_settop(L, 1);
  int count = push_reply(L, this);
  if (this->job->outcome == BRAID_JOB_DONE && count == 1) {
    this->future.waiter.flags |= TASK_SINGLE;
  } else if (this->job->outcome == BRAID_JOB_CANCELLED) {
    return 0; /* who cancelled it may have left the error there */
  } else if (this->job->outcome != BRAID_JOB_DONE) {
    lua_settop(L, 3); /* the error and its traceback */
    failure_make(L);
  } else {
    lua_createtable(L, count, 1);
    lua_insert(L, 2);
    for (int i = count; i >= 1; i--) lua_rawseti(L, 2, i);
    lua_pushinteger(L, count);
    lua_setfield(L, 2, "n");
  }
  lua_setiuservalue(L, 1, 1);
  return 0;
}

/* Calls the function with the future on the top of the stack. If it fails, the error is above the future. */
static bool call_with(lua_State *L, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_pushvalue(L, -2);
  return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

static int keep_error(lua_State *L) {
  lua_settop(L, 3);
  failure_make(L);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

/* A worker thread has recorded its part itself. For a worker process it is recorded here, from the times in the
 * reply. */
static void trace_home(const struct braid_job *job) {
  if (job->ended) {
    braid_trace_record_of(BRAID_TRACE_RUN, job, job->ended - job->busy, job->pid);
    braid_trace_record_of(BRAID_TRACE_DONE, job, job->ended, job->pid);
  }
  braid_trace_record(BRAID_TRACE_HOME, job, NULL);
}

void pooljob_arrive(struct sched *sched, struct braid_waiter *waiter) {
  static const enum future_state states[] = {
      [BRAID_JOB_DONE] = FUTURE_DONE,           [BRAID_JOB_FAILED] = FUTURE_FAILED,
      [BRAID_JOB_CANCELLED] = FUTURE_CANCELLED, [BRAID_JOB_DIED] = FUTURE_FAILED,
      [BRAID_JOB_OVERDUE] = FUTURE_FAILED,      [BRAID_JOB_SILENT] = FUTURE_FAILED,
      [BRAID_JOB_NO_WORKER] = FUTURE_FAILED,    [BRAID_JOB_NOT_TAKEN] = FUTURE_FAILED,
      [BRAID_JOB_REPLY_LOST] = FUTURE_FAILED,
  };
  lua_State *L = sched->L;
  struct job_future *this = braid_container(waiter, struct job_future, future.waiter);
  if (!this->job) return; /* it was dropped at the end of the state */
  sched->jobs--;
  if (braid_trace_is_on()) trace_home(this->job);
  release(L, sched, this);
  enum future_state state = states[this->job->outcome];
  if (this->job->result.tag) { /* cannot fail */
    litem_push_small(L, this->job->result);
    lua_setiuservalue(L, -2, 1);
    waiter->flags |= TASK_SINGLE;
  } else if (!call_with(L, unpack)) { /* most likely memory is out; then the job has failed */
    lua_pushcfunction(L, keep_error);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
    lua_pop(L, 1);
    state = FUTURE_FAILED;
  }
  waiter->state = (uint8_t)state;
  give_up_job(this);
  braid_object_unref(&this->pool->object);
  if (state == FUTURE_FAILED && !call_with(L, failure_record)) lua_pop(L, 1);
  future_settle(L, sched, &this->future);
  lua_pop(L, 1);
}

void pooljob_visit(lua_State *L, void (*visit)(struct job_future *future, void *context), void *context) {
  luaL_checkstack(L, 4, NULL);
  lregistry_table(L, &PENDING, NULL);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    struct job_future *this = lua_touserdata(L, -1);
    if (this && this->job) visit(this, context);
  }
  lua_pop(L, 1);
}

/* Threads that do not end must not post waiters that are about to be freed. */
void pooljob_orphan(struct sched *sched) {
  lua_State *L = sched->L;
  lregistry_table(L, &PENDING, NULL);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    struct job_future *this = lua_touserdata(L, -1);
    if (!this) continue; /* a free slot */
    if (!braid_pool_forsake(this->job)) braid_loop_await(&sched->loop, &this->future.waiter);
    give_up_job(this);
    braid_object_unref(&this->pool->object);
    future_forsake(&this->future);
  }
  lua_pop(L, 1);
}
