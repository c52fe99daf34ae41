/* SPDX-License-Identifier: MIT
 * A state tells about itself between two turns, so it costs nothing while nobody asks. What a task waits for is known
 * by the wait queue that its node is in, together with the object of the method that it has called: that is the first
 * value of the innermost frame. A wait that is not known for certain is not told; then the task counts as one that goes
 * on. */
#include "lua/turn/lwaits.h"

#include <lauxlib.h>
#include <stdlib.h>

#include "core/base/visible.h"
#include "core/inspect/wait_record.h"
#include "core/process/object_server.h"
#include "core/process/proxy.h"
#include "core/process/worker_process.h"
#include "core/sync/queue.h"
#include "lua/base/larg.h"
#include "lua/base/lopen.h"
#include "lua/base/lposition.h"
#include "lua/codec/lcodec.h"
#include "lua/pool/lpooljob.h"
#include "lua/pool/lworkerjob.h"
#include "lua/sched/lobject.h"
#include "lua/sched/ltaskname.h"
#include "lua/task/ljob.h"
#include "lua/task/ltask.h"
#include "lua/turn/lobserver.h"

enum {
  LONG = 3,    /* ticks that a wait lasts before it is suspicious */
  SHARE = 500, /* looks take at most this part of the time */
  MOST_TEXTS = 256
};

struct telling {
  lua_State *L;
  struct sched *sched;
  struct braid_buffer *list;
  int texts;
};

static uint64_t id(const void *address) { return (uint64_t)(uintptr_t)address; }

static void add(struct telling *telling, struct braid_wait_record record) {
  braid_wait_record_add(telling->list, record);
}

/* ---- what a task waits for ------------------------------------------------------------------------------------ */

static uint32_t ticks_since(const struct task *task) {
  enum { MASK = UINT32_MAX / TASK_SINCE };
  return ((uint32_t)(braid_clock_now() >> BRAID_WAIT_TICK) - task->waiter.flags / TASK_SINCE) & MASK;
}

/* Whether a deadline of a scope around the task ends its wait. */
static bool is_timed(const struct task *task) {
  for (const struct scope *scope = task->scope; scope; scope = scope->outer)
    if (scope->alarm.place) return true;
  return false;
}

/* Whether the task waits for something that has to come from others. A wait that has begun just now does not count: so
 * the time of its beginning identifies a wait. */
static bool waits_for_others(const struct sched *sched, struct task *task) {
  const struct worker *worker = worker_of(sched);
  return (task->waiter.flags & TASK_PARKED) && braid_waiter_waiting(&task->waiter) && !task->waiter.node.place &&
         atomic_load(&task->waiter.node.queue) && ticks_since(task) > 0 &&
         !(worker && worker->settings->time_limit > 0);
}

/* Its holder's state tells that it holds the lock. */
static struct braid_wait_record for_lock(const struct braid_primitive *lock) {
  return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_LOCK, .what = id(&lock->object)};
}

static struct braid_wait_record for_object(const struct braid_object *object) {
  return (struct braid_wait_record){.kind = object->guard.shared ? BRAID_WAIT_FOR_OBJECT : BRAID_WAIT_FOR_LOCAL,
                                    .what = id(object)};
}

static struct braid_wait_record for_primitive(struct braid_primitive *primitive, const struct braid_wait_queue *queue) {
  bool own = queue == &primitive->waiters;
  if (own && primitive->object.class == &braid_lock_class) return for_lock(primitive);
  if (own) return for_object(&primitive->object);
  if (primitive->lock && queue == &primitive->lock->waiters) return for_lock(primitive->lock);
  return (struct braid_wait_record){0};
}

static struct braid_wait_record for_queue(const struct braid_queue *own, const struct braid_wait_queue *queue) {
  if (queue == &own->getters || queue == &own->putters || queue == &own->joiners) return for_object(&own->object);
  return (struct braid_wait_record){0};
}

static enum braid_wait_kind kind_of_call(enum braid_call_operation operation) {
  switch (operation) {
    case BRAID_LOCK_ACQUIRE: return BRAID_WAIT_FOR_FAR_LOCK;
    case BRAID_QUEUE_JOIN:
    case BRAID_SEMAPHORE_ACQUIRE:
    case BRAID_EVENT_WAIT:
    case BRAID_CONDITION_WAIT:
    case BRAID_BARRIER_WAIT: return BRAID_WAIT_FOR_FAR_OBJECT;
    default: return 0; /* it waits only for the answer */
  }
}

/* An object of another process. */
static struct braid_wait_record for_proxy(struct braid_proxy *proxy, const struct braid_wait_queue *queue) {
  struct braid_object_name name = braid_import_name(proxy->keeper, true);
  struct braid_wait_record wait = {.what = name.number, .count = (uint32_t)name.worker};
  if (!name.worker) return wait;
  if (queue->guard == &braid_proxies.guard)
    wait.kind = (uint8_t)kind_of_call(braid_container(queue, struct braid_proxy_call, waiters)->operation);
  else if (proxy->queue && (queue == &proxy->queue->getters || queue == &proxy->queue->putters))
    wait.kind = BRAID_WAIT_FOR_FAR_OBJECT;
  return wait;
}

static struct braid_wait_record for_boxed(struct braid_object *object, const struct braid_wait_queue *queue) {
  const struct braid_class *class = object->class;
  if (class == &braid_queue_class) return for_queue(braid_container(object, struct braid_queue, object), queue);
  if (class == &braid_lock_class || class == &braid_semaphore_class || class == &braid_event_class ||
      class == &braid_condition_class || class == &braid_barrier_class)
    return for_primitive(braid_container(object, struct braid_primitive, object), queue);
  if (braid_proxy_is(object)) return for_proxy(braid_proxy_of(object), queue);
  const struct braid_pool *pool = braid_container(object, struct braid_pool, object);
  if (class == &braid_pool_class && (queue == &pool->ended || queue == &pool->resting))
    return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_REST, .what = id(object)};
  return (struct braid_wait_record){0};
}

/* The worker process that has begun the job, and the job's ticket there. 0: none has. */
static int begun_in(struct braid_pool *pool, const struct braid_job *job, uint64_t *ticket) {
  enum { MOST = 256 };
  struct braid_begun list[MOST];
  unsigned count = pool->kind->begun ? pool->kind->begun(pool, list, MOST) : 0;
  int pid = 0;
  for (unsigned i = 0; i < count; i++) {
    if (list[i].job == job) {
      pid = list[i].pid;
      *ticket = job->ticket;
    }
    braid_job_unref(list[i].job);
  }
  return pid;
}

static struct braid_wait_record for_job(const struct job_future *future) {
  struct braid_wait_record wait = {0};
  struct braid_job *job = future->job;
  if (!job || braid_pool_is_elsewhere(future->pool) || atomic_load(&job->state) == BRAID_JOB_ENDED) return wait;
  uint64_t ticket = 0;
  int pid = begun_in(future->pool, job, &ticket);
  if (pid)
    return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_FAR_JOB, .what = (uint32_t)ticket, .count = (uint32_t)pid};
  if (!future->pool->kind->apart && atomic_load(&job->state) == BRAID_JOB_RUNNING)
    return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_JOB, .what = id(job)};
  wait.kind = BRAID_WAIT_FOR_POOL;
  wait.what = id(&future->pool->object);
  wait.count = braid_pool_look(future->pool).alive;
  return wait;
}

static struct braid_wait_record for_future(const struct future *future, const struct braid_wait_queue *queue) {
  if (future->joiners != queue) return (struct braid_wait_record){0};
  if (future->waiter.kind == BRAID_WAITER_JOB) return for_job(braid_container(future, struct job_future, future));
  return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_TASK, .what = id(future)};
}

/* The object or the future whose method the coroutine has called. */
static struct braid_wait_record for_argument(const struct sched *sched, lua_State *co,
                                             const struct braid_wait_queue *queue) {
  struct braid_wait_record wait = {0};
  struct braid_object *object = NULL;
  lua_Debug ar;
  if (!lua_checkstack(co, 4) || !lua_getstack(co, 0, &ar) || !lua_getlocal(co, &ar, 1)) return wait;
  const struct future *future = future_test(co, sched, -1);
  if (future)
    wait = for_future(future, queue);
  else if (lobject_is_box(co, -1, &object) && object)
    wait = for_boxed(object, queue);
  lua_pop(co, 1);
  return wait;
}

static struct braid_wait_record wait_of(const struct sched *sched, struct task *task) {
  const struct braid_wait_queue *queue = atomic_load(&task->waiter.node.queue);
  const struct worker *worker = worker_of(sched);
  if (!queue || is_timed(task)) return (struct braid_wait_record){0};
  for (const struct scope *scope = task->scope; scope && scope != task->nursery; scope = scope->outer)
    if (queue == &scope->ended) return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_SCOPE, .what = id(scope)};
  if (worker && queue == &worker->core->pool->jobs->getters)
    return (struct braid_wait_record){.kind = BRAID_WAIT_FOR_WORK, .what = id(&worker->core->pool->pool.object)};
  return for_argument(sched, task->co ? task->co : sched->L, queue);
}

/* ---- tasks ---------------------------------------------------------------------------------------------------- */

static const struct active *job_of(const struct sched *sched, const struct task *task) {
  const struct worker *worker = worker_of(sched);
  for (struct braid_list *at = worker ? worker->active.next : NULL; at && at != &worker->active; at = at->next) {
    const struct active *active = braid_container(at, struct active, link);
    if (active->task == task && active->job) return active;
  }
  return NULL;
}

/* Pushes what the task is called. */
static void push_name(lua_State *L, const struct sched *sched, const struct task *task) {
  const struct active *active = job_of(sched, task);
  if (!task->co) {
    lua_pushliteral(L, "the script");
  } else if (active) {
    lcodec_push_callee(L, active->job->call);
    lua_pushfstring(L, "job %s", lua_tostring(L, -1));
  } else {
    sched_push_task(L, task);
    task->nursery->tree->shown--; /* it is not kept */
    taskname_push(L, -1);
    const char *name = lua_isnil(L, -1) ? NULL : luaL_tolstring(L, -1, NULL);
    lua_pushfstring(L, name ? "task %s" : "a task", name);
  }
}

/* Whether the task is a part of a worker, and none of the user's. */
static bool is_workers_own(const struct sched *sched, const struct task *task) {
  if (!sched->worker) return false;
  return !task->co || (task->nursery == sched->tree.script.scope && !job_of(sched, task));
}

static void tell_text(struct telling *telling, struct task *task) {
  static const char blanks[sizeof(struct braid_wait_record)];
  lua_State *L = telling->L;
  struct sched *sched = telling->sched;
  struct braid_buffer text;
  int top = lua_gettop(L);
  if (telling->texts++ >= MOST_TEXTS) return;
  luaL_checkstack(L, 12, "too deep to report");
  push_name(L, sched, task);
  const char *name = lua_tostring(L, -1);
  position_place(L, task->co ? task->co : sched->L);
  braid_buffer_init(&text); /* nothing below raises */
  braid_visible_format(&text, "%s (%s, thread %d)", name, sched->state.name, sched->state.thread_number);
  braid_buffer_append(&text, "\t", 1);
  braid_visible_format(&text, "waits in %s", lua_tostring(L, -1));
  add(telling, (struct braid_wait_record){.kind = BRAID_WAIT_TEXT, .count = (uint32_t)text.size, .who = id(task)});
  braid_buffer_append(telling->list, text.data, text.size);
  if (text.size % sizeof blanks) braid_buffer_append(telling->list, blanks, sizeof blanks - text.size % sizeof blanks);
  braid_buffer_term(&text);
  lua_settop(L, top);
}

static void tell_task(struct task *task, void *context) {
  struct telling *telling = context;
  struct sched *sched = telling->sched;
  struct braid_wait_record wait = {0};
  if (task->nursery && tree_is_guest(task)) return;
  if (waits_for_others(sched, task)) wait = wait_of(sched, task);
  uint32_t flags = task->waiter.flags;
  add(telling, (struct braid_wait_record){.kind = BRAID_WAIT_TASK,
                                          .flags = (uint8_t)((is_workers_own(sched, task) ? BRAID_WAIT_UNREAL : 0) |
                                                             (flags & TASK_DAEMON ? BRAID_WAIT_DAEMON : 0) |
                                                             (flags & TASK_MASKED ? BRAID_WAIT_FIXED : 0)),
                                          .count = flags / TASK_SINCE,
                                          .who = id(task),
                                          .what = id(&sched->state),
                                          .other = id(task->nursery)});
  wait.who = id(task);
  if (!wait.kind) return;
  add(telling, wait);
  if (wait.kind != BRAID_WAIT_FOR_WORK) tell_text(telling, task);
}

/* ---- the state, and what it knows ----------------------------------------------------------------------------- */

/* The state accounts for one reference of the object. */
static void hold(struct telling *telling, struct braid_object *object) {
  add(telling, (struct braid_wait_record){
                   .kind = BRAID_WAIT_HOLD, .count = 1, .who = id(&telling->sched->state), .what = id(object)});
  add(telling,
      (struct braid_wait_record){.kind = BRAID_WAIT_REFS, .count = atomic_load(&object->refs), .what = id(object)});
}

static void tell_box(struct braid_object *object, void *context) {
  if (!braid_proxy_is(object)) hold(context, object);
}

/* A lock that was handed over to a task which has not gone on yet is told by nobody: then its waiters count as ones
 * that go on. */
static void tell_held(struct telling *telling) {
  struct braid_list *held = &telling->sched->held;
  for (struct braid_list *at = held->next; at != held; at = at->next) {
    struct braid_primitive *lock = braid_container(at, struct braid_primitive, held);
    add(telling, (struct braid_wait_record){
                     .kind = BRAID_WAIT_OWNER, .what = id(&lock->object), .other = braid_lock_owner(lock)});
  }
}

static void hold_all(const struct braid_message *message, void *context) {
  for (uint32_t i = 0; message && i < message->object_count; i++) tell_box(message->objects[i], context);
}

/* A job that is not home holds what was sent with it. Code runs when it ends, if it has callbacks; and a job that has
 * not begun is code that may run. */
static void tell_job(struct job_future *future, void *context) {
  struct telling *telling = context;
  hold(telling, &future->pool->object);
  hold_all(future->job->call, telling);
  struct braid_wait_record wait = for_job(future);
  bool queued = wait.kind == BRAID_WAIT_FOR_POOL && future->job->call->object_count > 0;
  if (!queued && !(future->future.waiter.flags & TASK_WATCHED)) return;
  wait.who = id(future);
  add(telling, (struct braid_wait_record){.kind = BRAID_WAIT_TASK,
                                          .flags = BRAID_WAIT_DAEMON | BRAID_WAIT_UNREAL,
                                          .who = id(future),
                                          .what = id(&telling->sched->state)});
  if (wait.kind) add(telling, wait);
}

static void tell_pools(struct telling *telling) {
  struct sched *sched = telling->sched;
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = at->next) {
    enum { MOST = 256 };
    struct braid_pool *pool = braid_container(at, struct braid_pool, sibling);
    int pids[MOST];
    unsigned count = pool->kind->pids ? pool->kind->pids(pool, pids, MOST) : 0;
    hold(telling, &pool->object);
    for (unsigned i = 0; i < count; i++)
      add(telling,
          (struct braid_wait_record){.kind = BRAID_WAIT_CHILD, .who = (uint64_t)pids[i], .what = id(&pool->object)});
  }
}

static void tell_worker(struct telling *telling, const struct worker *worker) {
  struct braid_object *pool = &worker->core->pool->pool.object;
  hold(telling, pool); /* its thread's reference */
  if (worker->core->index == 0) {
    hold_all(worker->settings->table, telling);
    braid_worker_process_visit(worker->core->pool, hold_all, telling);
  }
  for (struct braid_list *at = worker->active.next; at != &worker->active; at = at->next) {
    const struct active *active = braid_container(at, struct active, link);
    if (!active->job || !active->scope) continue;
    add(telling, (struct braid_wait_record){.kind = BRAID_WAIT_RUN,
                                            .count = (uint32_t)active->job->ticket,
                                            .who = id(active->task),
                                            .what = id(active->job),
                                            .other = id(pool)});
  }
}

/* Whether Lua may run in this state although none of its tasks goes on. */
static bool is_open(const struct sched *sched) {
  const struct worker *worker = worker_of(sched);
  return sched->loop.watch_count > 0 || sched->loop.alarms.count > 0 || sched->loop.ready.first ||
         !braid_list_empty(&sched->abandoned) || sched->closing || sched->ending || sched->leaving ||
         sched->simulation || atomic_load(&sched->loop.interrupts) || (worker && worker->init);
}

static void tell_state(struct telling *telling) {
  struct sched *sched = telling->sched;
  const struct worker *worker = worker_of(sched);
  add(telling, (struct braid_wait_record){.kind = BRAID_WAIT_STATE,
                                          .flags = is_open(sched) ? BRAID_WAIT_OPEN : 0,
                                          .who = id(&sched->state),
                                          .what = worker ? id(&worker->core->pool->pool.object) : 0,
                                          .other = sched->passed});
  if (worker) tell_worker(telling, worker);
  tell_pools(telling);
  tell_held(telling);
}

static int tell(lua_State *L) {
  struct telling *telling = lua_touserdata(L, 1);
  struct sched *sched = telling->sched;
  telling->L = L;
  tell_state(telling);
  lobject_visit(L, tell_box, telling);
  pooljob_visit(L, tell_job, telling);
  tell_task(&sched->tree.script, telling);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, tell_task, telling);
  return 0;
}

/* ---- questions ------------------------------------------------------------------------------------------------ */

/* If something fails, the list lacks the state, which then counts as one that goes on. */
static void answer(struct sched *sched) {
  struct braid_buffer list;
  braid_buffer_init(&list);
  struct telling telling = {.sched = sched, .list = &list};
  if (!observer_call(sched, tell, &telling)) braid_buffer_term(&list);
  braid_state_tell_waits(&sched->state, &list);
}

struct sentence {
  struct sched *sched;
  struct braid_doom doom;
};

static void carry_out(struct task *task, void *context) {
  struct sentence *sentence = context;
  struct sched *sched = sentence->sched;
  bool same = id(task) == sentence->doom.task && task->waiter.flags / TASK_SINCE == sentence->doom.since;
  if (!same || (task->waiter.flags & (TASK_PARKED | TASK_MASKED)) != TASK_PARKED || sched->verdict) return;
  if (!braid_loop_end_wait(&sched->loop, &task->waiter, BRAID_DEADLOCK)) return;
  sched->verdict = sentence->doom.text;
  sentence->doom.text = NULL;
}

static void end_one(struct sched *sched) {
  struct sentence sentence = {sched, braid_state_take_doom(&sched->state)};
  carry_out(&sched->tree.script, &sentence);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, carry_out, &sentence);
  free(sentence.doom.text);
}

void waits_attend(struct sched *sched) {
  unsigned asked = atomic_fetch_and(&sched->state.asked, ~(unsigned)(BRAID_STATE_WAITS | BRAID_STATE_DOOM));
  if (asked & BRAID_STATE_DOOM) end_one(sched);
  if (asked & BRAID_STATE_WAITS) answer(sched);
}

/* ---- suspicion ------------------------------------------------------------------------------------------------ */

struct suspicion {
  struct sched *sched;
  bool stands;
};

/* Waits for tasks inside are left out: a deadlock has others as well. So are those of workers without a job. */
static void suspect(struct task *task, void *context) {
  struct suspicion *suspicion = context;
  struct sched *sched = suspicion->sched;
  if (suspicion->stands || (task->nursery && tree_is_guest(task)) || !waits_for_others(sched, task)) return;
  if (ticks_since(task) < LONG) return;
  const struct braid_wait_queue *queue = atomic_load(&task->waiter.node.queue);
  const struct worker *worker = worker_of(sched);
  for (const struct scope *scope = task->scope; scope && scope != task->nursery; scope = scope->outer)
    if (queue == &scope->ended) return;
  suspicion->stands = !(worker && queue == &worker->core->pool->jobs->getters);
}

void waits_look(struct sched *sched, int64_t now) {
  struct suspicion suspicion = {sched, false};
  bool still = sched->looked == sched->passed;
  sched->look = BRAID_NEVER;
  sched->looked = sched->passed;
  if (braid_deadlocks_mode() == BRAID_DEADLOCK_OFF || sched->closing) return;
  suspect(&sched->tree.script, &suspicion);
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, suspect, &suspicion);
  int64_t took = braid_clock_now() - now;
  if (!still) sched->look = now + (took * SHARE > WAITS_LOOK ? took * SHARE : WAITS_LOOK);
  if (suspicion.stands) braid_deadlocks_suspect(still);
}

/* ---- for Lua -------------------------------------------------------------------------------------------------- */

/* deadlocks(mode or nil) -> the mode before */
static int lua_deadlocks(lua_State *L) {
  static const char *const names[] = {"report", "raise", "off", NULL};
  enum braid_deadlock_mode mode = braid_deadlocks_mode();
  if (!lua_isnoneornil(L, 1)) mode = braid_deadlocks_set((enum braid_deadlock_mode)luaL_checkoption(L, 1, NULL, names));
  lua_pushstring(L, names[mode]);
  return 1;
}

static const luaL_Reg functions[] = {{"deadlocks", lua_deadlocks}, {NULL, NULL}};

static void tie(void) {
  braid_deadlocks_tie(&(struct braid_deadlock_ties){.settle = braid_object_server_settle,
                                                    .exports = braid_object_server_tell,
                                                    .has_parent = braid_worker_process_suspect});
}

void waits_open(lua_State *L) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, tie);
  sched_register(L, functions);
}
