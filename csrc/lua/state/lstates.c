/* SPDX-License-Identifier: MIT
 * Entries belong to their states' registries. Who asks waits a moment only: a state that is inside a C function that
 * does not return is named, and that it did not answer. A state that runs Lua is poked: the signal's handler, on the
 * state's own thread, arms a hook there. */
#include "lua/state/lstates.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/work/pool.h"
#include "core/base/thread.h"
#include "lua/base/larg.h"
#include "lua/codec/lcodec.h"
#include "lua/sched/linterrupt.h"
#include "lua/base/lopen.h"
#include "lua/base/lposition.h"

static const char ENTRY; /* its address is the registry's key */

enum { PATIENCE = BRAID_SECOND / 4 }; /* for answers: a state inside a long C function has none */

static struct {
  pthread_mutex_t asking; /* one asks at a time */
  pthread_mutex_t mutex;
  struct braid_list entries;
  int missing; /* answers that have not come */
} states = {.asking = PTHREAD_MUTEX_INITIALIZER,
            .mutex = PTHREAD_MUTEX_INITIALIZER,
            .entries = {&states.entries, &states.entries}};

/* The states of this thread: changed by it alone, and read in its signals' handlers. */
static BRAID_THREAD_LOCAL struct states_entry *_Atomic here;

void states_visit(void (*visit)(struct states_entry *entry, void *context), void *context) {
  pthread_mutex_lock(&states.mutex);
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next)
    visit(braid_container(at, struct states_entry, link), context);
  pthread_mutex_unlock(&states.mutex);
}

void states_poke(struct states_entry *entry) {
  braid_wakeup_signal(&entry->sched->loop.wakeup);
  interrupt_poke(entry->thread);
}

static struct states_entry *entry_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &ENTRY);
  struct states_entry *entry = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return entry;
}

void states_name(struct sched *sched, const char *format, ...) {
  struct states_entry *entry = entry_of(sched->L);
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&states.mutex);
  vsnprintf(entry->name, sizeof entry->name, format, arguments);
  pthread_mutex_unlock(&states.mutex);
  va_end(arguments);
}

/* ---- what a state does ---------------------------------------------------------------------------------------- */

struct telling {
  lua_State *L;
  struct sched *sched;
  struct braid_buffer *text;
};

/* The names in it may hold anything: what is no text is shown as it is written in Lua, so that none can write a line of
 * its own, or order a terminal about. The format's own end of line stays. */
__attribute__((format(printf, 2, 3))) static void add(struct braid_buffer *text, const char *format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  int written = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (written <= 0) return;
  size_t size = (size_t)written < sizeof line ? (size_t)written : sizeof line - 1;
  bool ends = format[strlen(format) - 1] == '\n';
  position_show(text, line, ends && line[size - 1] == '\n' ? size - 1 : size, false);
  if (ends) braid_buffer_append(text, "\n", 1);
}

static int depth_of(const struct task *task) {
  int depth = 0;
  while (task->nursery && task->nursery->owner && task->nursery->owner->nursery) {
    task = task->nursery->owner;
    depth++;
  }
  return depth;
}

static void tell_work(struct telling *telling, struct task *task) {
  lua_State *L = telling->L;
  struct sched *sched = telling->sched;
  bool runs = task == sched->current && sched->running;
  if (task->waiter.state == FUTURE_PENDING) {
    add(telling->text, "not started\n");
    return;
  }
  if (runs)
    position_stand(L, sched->running);
  else
    position_place(L, task->co);
  const char *place = lua_tostring(L, -1);
  if (runs)
    add(telling->text, "computing %s\n", place);
  else if ((task->waiter.flags & TASK_PARKED) && braid_waiter_waiting(&task->waiter))
    add(telling->text, "waiting in %s, for %.1f s\n", place, sched_waited(task));
  else
    add(telling->text, "ready: %s\n", place);
}

static void tell_task(struct task *task, void *context) {
  if (tree_is_guest(task)) return;
  struct telling *telling = context;
  lua_State *L = telling->L;
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, "too deep to report");
  sched_push_task(L, task);
  sched_push_name(L, -1);
  const char *name = lua_isnil(L, -1) ? "" : luaL_tolstring(L, -1, NULL);
  add(telling->text, "%*stask %s%s", 2 + 2 * depth_of(task), "", name, *name ? ": " : "");
  tell_work(telling, task);
  lua_settop(L, top);
}

static int tell(lua_State *L) {
  struct telling *telling = lua_touserdata(L, 1);
  struct sched *sched = telling->sched;
  telling->L = L;
  struct states_entry *entry = entry_of(L);
  add(telling->text, "%s (thread %d)", entry->name, entry->tid);
  if (sched->current == &sched->tree.script && sched->running) {
    position_stand(L, sched->running);
    add(telling->text, ": computing %s", lua_tostring(L, -1));
  }
  add(telling->text, "\n");
  for (struct scope *scope = sched->tree.script.scope; scope; scope = scope->outer)
    tree_walk(scope, tell_task, telling);
  return 0;
}

/* ---- what its pools do ---------------------------------------------------------------------------------------- */

/* Arguments: the text, a job, what to put in front. */
static int tell_job(lua_State *L) {
  const struct braid_begun *begun = lua_touserdata(L, 2);
  const char *mark = lua_touserdata(L, 3);
  double seconds = (double)(braid_clock_now() - begun->since) / (double)BRAID_SECOND;
  lcodec_push_callee(L, begun->job->call);
  add(lua_touserdata(L, 1), "%s runs %s, for %.1f s", mark, lua_tostring(L, -1), seconds);
  return 0;
}

/* What the process has begun, as the parent knows it: the process itself may be past answering. */
static void tell_process(lua_State *L, struct braid_buffer *text, int pid, struct braid_begun *list, unsigned count) {
  const char *mark = ":";
  add(text, "  worker process %d", pid);
  for (unsigned i = 0; i < count; i++) {
    if (list[i].pid != pid) continue;
    lua_pushcfunction(L, tell_job);
    lua_pushlightuserdata(L, text);
    lua_pushlightuserdata(L, &list[i]);
    lua_pushlightuserdata(L, (void *)(uintptr_t)mark);
    if (lua_pcall(L, 3, 0, 0) != LUA_OK) lua_pop(L, 1);
    mark = ";";
  }
  add(text, "\n");
}

static void tell_processes(lua_State *L, struct braid_pool *pool, struct braid_buffer *text) {
  enum { MOST = 256 };
  int pids[MOST];
  struct braid_begun list[MOST];
  unsigned count = pool->kind->pids(pool, pids, MOST), begun = pool->kind->begun(pool, list, MOST);
  for (unsigned i = 0; i < count; i++) tell_process(L, text, pids[i], list, begun);
  for (unsigned i = 0; i < begun; i++) braid_job_unref(list[i].job);
}

/* How much the pool has to do; its threads tell of themselves. */
static void tell_pool(lua_State *L, struct braid_pool *pool, struct braid_buffer *text) {
  pthread_mutex_lock(&pool->mutex);
  struct braid_pool_stats stats = pool->stats;
  unsigned alive = pool->alive;
  size_t queued = pool->kind->queued(pool);
  if (pool->kind->complete) pool->kind->complete(pool, &stats);
  pthread_mutex_unlock(&pool->mutex);
  if (alive == 0) return;
  add(text, "pool %s%s(%s): workers %u, jobs running %llu, waiting %zu\n", pool->name, *pool->name ? " " : "",
      pool->kind->pids ? "processes" : "threads", alive, (unsigned long long)stats.running, queued);
  if (pool->kind->pids) tell_processes(L, pool, text);
}

/* Adds what this state does. Does not raise: what memory allows is told. */
static void tell_state(struct sched *sched, struct braid_buffer *text) {
  lua_State *L = sched->running ? sched->running : sched->L;
  struct telling telling = {.sched = sched, .text = text};
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, tell);
  lua_pushlightuserdata(L, &telling);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  for (struct braid_list *at = sched->pools.next; at != &sched->pools; at = at->next)
    tell_pool(L, braid_container(at, struct braid_pool, sibling), text);
}

/* ---- asking and answering ------------------------------------------------------------------------------------- */

static void answer(struct sched *sched) {
  struct states_entry *entry = entry_of(sched->L);
  struct braid_buffer text;
  braid_buffer_init(&text);
  tell_state(sched, &text);
  pthread_mutex_lock(&states.mutex);
  if (entry->tells) {
    braid_buffer_term(&entry->told);
    entry->told = text;
    entry->tells = false;
    states.missing--;
    braid_buffer_init(&text);
  }
  pthread_mutex_unlock(&states.mutex);
  braid_buffer_term(&text);
}

/* The step that runs names itself. */
static int tell_slow(lua_State *L) {
  struct sched *sched = sched_open(L);
  sched_push_task(L, sched->current);
  sched_push_name(L, -1);
  const char *name = lua_isnil(L, -1) ? "" : luaL_tolstring(L, -1, NULL);
  position_stand(L, sched->running);
  fprintf(stderr, "braid: slow step: task %s%s(%s) has held its loop for %.2f s, %s\n", name, *name ? " " : "",
          entry_of(L)->name, (double)(braid_clock_now() - sched->polled) / 1e9, lua_tostring(L, -1));
  return 0;
}

void states_attend(struct sched *sched) {
  unsigned asked = atomic_exchange(&sched->asked, 0);
  if (asked & SCHED_TELL) answer(sched);
  if ((asked & SCHED_SLOW) && sched->running && sched->current->co) {
    lua_pushcfunction(sched->running, tell_slow);
    if (lua_pcall(sched->running, 0, 0, 0) != LUA_OK) lua_pop(sched->running, 1);
  }
}

/* In the signal's handler, for states whose thread is no worker's. */
static void on_poke(void) {
  for (struct states_entry *entry = here; entry; entry = entry->below) {
    struct sched *sched = entry->sched;
    lua_State *L = sched->stopper.computing;
    if (L && atomic_load(&sched->asked)) hook_arm(&sched->hooks, L, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
  }
}

static void ask(struct states_entry *entry) {
  entry->tells = true;
  states.missing++;
  atomic_fetch_or(&entry->sched->asked, SCHED_TELL);
  states_poke(entry);
}

/* With the mutex of all states: all have answered, or had their time. The thread's own states answer meanwhile, should
 * they be asked, too. */
static void take_answers(struct braid_buffer *text) {
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct states_entry *entry = braid_container(at, struct states_entry, link);
    if (entry->tells) add(text, "%s (thread %d): inside a C function, or starting\n", entry->name, entry->tid);
    entry->tells = false;
    braid_buffer_append(text, entry->told.data, entry->told.size);
    braid_buffer_term(&entry->told);
  }
}

/* Adds what every state does but those of `except` (NULL: none). With `asking` taken; blocks for PATIENCE at most. */
static void ask_states(struct braid_buffer *text, const pthread_t *except) {
  int64_t deadline = braid_clock_after((double)PATIENCE / BRAID_SECOND);
  pthread_mutex_lock(&states.mutex);
  states.missing = 0;
  for (struct braid_list *at = states.entries.next; at != &states.entries; at = at->next) {
    struct states_entry *entry = braid_container(at, struct states_entry, link);
    if (!entry->mute && !(except && pthread_equal(entry->thread, *except))) ask(entry);
  }
  while (states.missing > 0 && braid_clock_now() < deadline) {
    pthread_mutex_unlock(&states.mutex);
    usleep(1000);
    pthread_mutex_lock(&states.mutex);
  }
  take_answers(text);
  pthread_mutex_unlock(&states.mutex);
}

/* On the thread that answers other processes. */
static void collect(struct braid_buffer *text) {
  pthread_mutex_lock(&states.asking);
  ask_states(text, NULL);
  pthread_mutex_unlock(&states.asking);
}

/* tell_states() -> what every other state of this process does, as text. Blocks until all have answered, for 0.25 s at
 * most. States that ask each other at once answer each other. */
static int tell_states(lua_State *L) {
  struct sched *sched = sched_of(L);
  pthread_t own = pthread_self();
  struct braid_buffer text;
  braid_buffer_init(&text);
  while (pthread_mutex_trylock(&states.asking)) {
    states_attend(sched);
    usleep(1000);
  }
  ask_states(&text, &own);
  pthread_mutex_unlock(&states.asking);
  lua_pushlstring(L, text.data ? text.data : "", text.size);
  braid_buffer_term(&text);
  return 1;
}

/* tell_state() -> what this state does, as text */
static int tell_own(lua_State *L) {
  struct braid_buffer text;
  braid_buffer_init(&text);
  tell_state(sched_of(L), &text);
  lua_pushlstring(L, text.data ? text.data : "", text.size);
  braid_buffer_term(&text);
  return 1;
}

/* ---- entries -------------------------------------------------------------------------------------------------- */

static int leave(lua_State *L) {
  struct states_entry *entry = lua_touserdata(L, 1);
  struct states_entry *_Atomic *at = &here;
  while (*at && *at != entry) at = &(*at)->below;
  if (*at) *at = entry->below;
  pthread_mutex_lock(&states.mutex);
  if (entry->tells) states.missing--;
  braid_buffer_term(&entry->told);
  braid_list_remove(&entry->link);
  pthread_mutex_unlock(&states.mutex);
  return 0;
}

static void enter(lua_State *L, struct sched *sched) {
  struct states_entry *entry = lua_newuserdatauv(L, sizeof *entry, 0);
  memset(entry, 0, sizeof *entry);
  entry->sched = sched;
  entry->thread = pthread_self();
  entry->tid = braid_thread_number();
  snprintf(entry->name, sizeof entry->name, "script");
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, leave);
  lua_setfield(L, -2, "__gc");
  pthread_mutex_lock(&states.mutex);
  braid_list_push(&states.entries, &entry->link);
  pthread_mutex_unlock(&states.mutex);
  entry->below = here;
  here = entry;
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &ENTRY);
}

void states_mute(struct sched *sched) {
  struct states_entry *entry = entry_of(sched->L);
  pthread_mutex_lock(&states.mutex);
  entry->mute = true;
  pthread_mutex_unlock(&states.mutex);
}

/* pid() -> the number of this process */
static int own_pid(lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* thread_id() -> the system's number of this thread */
static int thread_id(lua_State *L) {
  lua_pushinteger(L, braid_thread_number());
  return 1;
}

static const luaL_Reg functions[] = {
    {"thread_id", thread_id}, {"pid", own_pid}, {"tell_state", tell_own}, {"tell_states", tell_states}, {NULL, NULL},
};

void lstates_open(lua_State *L) {
  struct sched *sched = sched_open(L);
  sched->attend = states_attend;
  interrupt_answer_by(collect);
  if (!sched->interrupted) interrupt_on_poke(on_poke);
  enter(L, sched);
  sched_register(L, functions);
}
