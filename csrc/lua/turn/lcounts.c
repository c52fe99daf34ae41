/* SPDX-License-Identifier: MIT
 * An answer is lines of fields with tabs between them; lua/braid/command/top/sample.lua reads them. A field has no tab
 * and no end of line. A state tells at most MOST_TASKS tasks, those first that were spawned first. */
#include "lua/turn/lcounts.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/visible.h"
#include "core/process/object_server.h"
#include "core/process/proxy.h"
#include "core/sync/queue.h"
#include "lua/base/lposition.h"
#include "lua/codec/lcodec.h"
#include "lua/pool/lworkerjob.h"
#include "lua/sched/lobject.h"
#include "lua/sched/ltaskname.h"
#include "lua/turn/lobserver.h"

enum { MOST_TASKS = 200, MOST_OBJECTS = 200, MOST_PROCESSES = 256 };

struct counting {
  lua_State *L;
  struct sched *sched;
  struct braid_buffer *text;
  int64_t lag; /* ns from the question to the answer */
  unsigned tasks, waiting, ready, objects;
};

/* Appends like printf. Texts of others go through `add_text`. */
__attribute__((format(printf, 2, 3))) static void add(struct braid_buffer *to, const char *format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (size > 0 && (size_t)size < sizeof line) braid_buffer_append(to, line, (size_t)size);
}

/* A field of its own. */
static void add_text(struct braid_buffer *to, const char *text) {
  braid_buffer_append(to, "\t", 1);
  braid_visible_append(to, text, strlen(text), false);
}

static unsigned long long number(const void *address) { return (unsigned long long)(uintptr_t)address; }

/* ---- tasks ---------------------------------------------------------------------------------------------------- */

static bool waits(const struct task *task) {
  return (task->waiter.flags & TASK_PARKED) && braid_waiter_waiting(&task->waiter);
}

static void count_task(struct task *task, void *context) {
  struct counting *counting = context;
  if (tree_is_guest(task)) return;
  counting->tasks++;
  counting->waiting += waits(task);
  counting->ready += !waits(task);
}

static const struct active *job_of(const struct sched *sched, const struct task *task) {
  const struct worker *worker = worker_of(sched);
  for (struct braid_list *at = worker ? worker->active.next : NULL; at && at != &worker->active; at = at->next) {
    const struct active *active = braid_container(at, struct active, link);
    if (active->task == task && active->job) return active;
  }
  return NULL;
}

/* Pushes the name: of a job that of its function. */
static void push_name(lua_State *L, const struct active *active, const struct task *task) {
  if (active) {
    lcodec_push_callee(L, active->job->call);
    return;
  }
  sched_push_task(L, task);
  task->nursery->tree->shown--; /* it is not kept */
  taskname_push(L, -1);
  if (lua_isnil(L, -1)) lua_pushliteral(L, "");
  luaL_tolstring(L, -1, NULL);
}

static void tell_task(struct task *task, void *context) {
  struct counting *counting = context;
  lua_State *L = counting->L;
  struct sched *sched = counting->sched;
  if (tree_is_guest(task) || counting->tasks >= MOST_TASKS) return;
  int top = lua_gettop(L);
  const struct active *active = job_of(sched, task);
  bool own = sched->worker && !active && task->nursery == sched->tree.script.scope; /* a part of the worker */
  const struct braid_wait_queue *queue = atomic_load(&task->waiter.node.queue);
  const struct worker *worker = worker_of(sched);
  if (own || (worker && queue == &worker->core->pool->jobs->getters)) return;
  counting->tasks++;
  luaL_checkstack(L, 10, "too deep to tell");
  push_name(L, active, task);
  const char *name = lua_tostring(L, -1);
  if (task->waiter.state == FUTURE_PENDING)
    lua_pushliteral(L, "");
  else
    position_place(L, task->co);
  double seconds = waits(task) ? sched_waited(task) : 0;
  if (active) seconds = (double)(braid_clock_now() - active->began) / (double)BRAID_SECOND;
  const char *how = task->waiter.state == FUTURE_PENDING ? "new" : waits(task) ? "waits" : "ready";
  add(counting->text, "task\t%llx\t%s\t%s\t%.1f", number(task), active ? "job" : "task", how, seconds);
  add_text(counting->text, name);
  add_text(counting->text, lua_tostring(L, -1));
  add(counting->text, "\n");
  lua_settop(L, top);
}

/* ---- objects -------------------------------------------------------------------------------------------------- */

static void tell_queue(struct counting *counting, struct braid_queue *queue) {
  struct braid_queue_facts facts = braid_queue_look(queue);
  add(counting->text, "queue\t%llx\t%zu\t%zu\t%llu\t%u\t%u\t%s\n", number(&queue->object), facts.size, facts.maxsize,
      (unsigned long long)facts.arrived, facts.getters, facts.putters, facts.closed ? "closed" : "open");
}

static void tell_primitive(struct counting *counting, struct braid_primitive *primitive, const char *what) {
  uint64_t process = 0, owner = 0;
  if (primitive->object.class == &braid_lock_class) owner = braid_object_server_owner(primitive, &process);
  struct braid_primitive_facts facts = braid_primitive_look(primitive);
  if (facts.waiters == 0 && !owner) return;
  add(counting->text, "lock\t%llx\t%s\t%u\t%lld\t%llx\t%llu\n", number(&primitive->object), what, facts.waiters,
      (long long)facts.count, (unsigned long long)owner, (unsigned long long)process);
}

static void tell_object(struct braid_object *object, void *context) {
  struct counting *counting = context;
  const struct braid_class *class = object->class;
  if (counting->objects++ >= MOST_OBJECTS || braid_proxy_is(object)) return;
  if (class == &braid_queue_class)
    tell_queue(counting, braid_container(object, struct braid_queue, object));
  else if (class == &braid_lock_class || class == &braid_semaphore_class || class == &braid_event_class ||
           class == &braid_condition_class || class == &braid_barrier_class)
    tell_primitive(counting, braid_container(object, struct braid_primitive, object), class->name + 6);
}

/* ---- pools ---------------------------------------------------------------------------------------------------- */

/* Arguments: the text, a job. */
static int tell_begun(lua_State *L) {
  const struct braid_begun *begun = lua_touserdata(L, 2);
  lcodec_push_callee(L, begun->job->call);
  struct braid_buffer *text = lua_touserdata(L, 1);
  add(text, "job\t%d\t%.1f", begun->pid, (double)(braid_clock_now() - begun->since) / (double)BRAID_SECOND);
  add_text(text, lua_tostring(L, -1));
  add(text, "\n");
  return 0;
}

static void tell_processes(struct counting *counting, struct braid_pool *pool) {
  int pids[MOST_PROCESSES];
  struct braid_begun list[MOST_PROCESSES];
  unsigned count = pool->kind->pids(pool, pids, MOST_PROCESSES), begun = pool->kind->begun(pool, list, MOST_PROCESSES);
  for (unsigned i = 0; i < count; i++) add(counting->text, "child\t%d\n", pids[i]);
  for (unsigned i = 0; i < begun; i++) {
    lua_pushcfunction(counting->L, tell_begun);
    lua_pushlightuserdata(counting->L, counting->text);
    lua_pushlightuserdata(counting->L, &list[i]);
    if (lua_pcall(counting->L, 2, 0, 0) != LUA_OK) lua_pop(counting->L, 1);
  }
  for (unsigned i = 0; i < begun; i++) braid_job_unref(list[i].job);
}

static void tell_pool(struct counting *counting, struct braid_pool *pool) {
  struct braid_pool_facts facts = braid_pool_look(pool);
  if (facts.alive == 0) return;
  add(counting->text, "pool\t%s\t%u\t%zu\t%zu\t%llu\t%llu\t%llu\t%llu", pool->kind->apart ? "processes" : "threads",
      facts.alive, facts.queued, facts.running, (unsigned long long)facts.stats.done,
      (unsigned long long)facts.stats.failed, (unsigned long long)facts.stats.cancelled,
      (unsigned long long)facts.stats.busy);
  add_text(counting->text, pool->name);
  add(counting->text, "\n");
  if (pool->kind->apart) tell_processes(counting, pool);
}

/* ---- the state ------------------------------------------------------------------------------------------------ */

static void walk(struct sched *sched, void (*visit)(struct task *task, void *context), void *context) {
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer) tree_walk(scope, visit, context);
}

static int tell(lua_State *L) {
  struct counting *counting = lua_touserdata(L, 1);
  struct sched *sched = counting->sched;
  counting->L = L;
  walk(sched, count_task, counting);
  long long bytes = (long long)lua_gc(L, LUA_GCCOUNT) * 1024 + lua_gc(L, LUA_GCCOUNTB);
  add(counting->text, "loop");
  add_text(counting->text, sched->state.name);
  add(counting->text, "\t%d\tfree\t%lld\t%llu\t%u\t%u\t%u\t%lld\t%lld\t%u\n", sched->state.thread_number,
      (long long)sched->loop.idle, (unsigned long long)sched->passed, counting->tasks, counting->waiting,
      counting->ready, bytes, (long long)counting->lag, sched->jobs);
  counting->tasks = 0;
  walk(sched, tell_task, counting);
  lobject_visit(L, tell_object, counting);
  luaL_checkstack(L, 4, NULL);
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = at->next)
    tell_pool(counting, braid_container(at, struct braid_pool, sibling));
  return 0;
}

void counts_attend(struct sched *sched) {
  if (!(atomic_fetch_and(&sched->state.asked, ~(unsigned)BRAID_STATE_COUNT) & BRAID_STATE_COUNT)) return;
  struct braid_buffer text;
  braid_buffer_init(&text);
  struct counting counting = {
      .sched = sched, .text = &text, .lag = braid_clock_now() - atomic_load(&sched->state.asked_at)};
  observer_call(sched, tell, &counting);
  braid_state_tell(&sched->state, &text);
}
