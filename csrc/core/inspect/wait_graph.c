/* SPDX-License-Identifier: MIT
 * Nodes are tasks, states and pools. A node goes on, or it does not yet. Rounds over all waits mark further nodes,
 * until a round marks none. A hash table finds nodes by process, kind and number. */
#include "core/inspect/wait_graph.h"

#include <stdlib.h>
#include <string.h>

enum node_kind { TASK, STATE, OBJECT, POOL, JOB, TICKET, SCOPE, NUMBER, PROCESS };

struct node {
  uint64_t process, id;
  enum node_kind kind;
  bool goes_on;
  bool known;                           /* a task, a state, a process: it has told */
  const struct braid_wait_record *self; /* of a task or a state */
  const struct braid_wait_record *wait; /* of a task; NULL: it waits for nothing that can be named */
  const struct braid_wait_record *text;
  struct node *link;  /* of a task: its state; of a state: its pool; of a job, a ticket: the task that runs it; of a
                         number: the object; of an object: the task that holds it, if it is a lock */
  struct node *scope; /* of a task: its scope; of a job: its pool */
  uint64_t refs, accounted; /* of an object; of a process: its states, and those that have told */
  uint64_t workers;         /* of a pool: those that have told */
  bool stuck_job;           /* of a pool: one of its jobs does not go on */
  bool open;                /* of a scope: a child does not go on; of an object or a pool: somebody outside knows it */
  size_t place;             /* of a stuck task: its index in the result */
};

struct graph {
  struct node **table; /* open addressing */
  size_t room, count;
  struct braid_buffer edges; /* struct edge: who knows an object */
  bool failed;               /* memory is out */
};

struct edge {
  struct node *who, *what; /* what: NULL: it is not known */
};

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static size_t hash(uint64_t process, enum node_kind kind, uint64_t id) {
  uint64_t mixed = (id >> 3) * UINT64_C(0x9E3779B97F4A7C15) ^ process * UINT64_C(0xC2B2AE3D27D4EB4F) ^ (uint64_t)kind;
  return (size_t)(mixed ^ mixed >> 29);
}

static struct node **slot_of(struct node **table, size_t room, uint64_t process, enum node_kind kind, uint64_t id) {
  size_t at = hash(process, kind, id) & (room - 1);
  while (table[at] && (table[at]->id != id || table[at]->kind != kind || table[at]->process != process))
    at = (at + 1) & (room - 1);
  return &table[at];
}

static bool grow(struct graph *graph) {
  size_t room = graph->room ? graph->room * 2 : 256;
  struct node **table = calloc(room, sizeof(struct node *));
  if (!table) return false;
  for (size_t i = 0; i < graph->room; i++)
    if (graph->table[i])
      *slot_of(table, room, graph->table[i]->process, graph->table[i]->kind, graph->table[i]->id) = graph->table[i];
  free(graph->table);
  graph->table = table;
  graph->room = room;
  return true;
}

/* NULL: there is none. */
static struct node *find(const struct graph *graph, uint64_t process, enum node_kind kind, uint64_t id) {
  return graph->room ? *slot_of(graph->table, graph->room, process, kind, id) : NULL;
}

/* Makes the node when there is none. NULL when memory is out. */
static struct node *node_of(struct graph *graph, uint64_t process, enum node_kind kind, uint64_t id) {
  if (graph->count * 2 >= graph->room && !grow(graph)) graph->failed = true;
  if (graph->failed) return NULL;
  struct node **slot = slot_of(graph->table, graph->room, process, kind, id);
  if (*slot) return *slot;
  struct node *node = *slot = calloc(1, sizeof *node);
  graph->failed = !node;
  if (!node) return NULL;
  *node = (struct node){.process = process, .kind = kind, .id = id, .place = SIZE_MAX};
  graph->count++;
  return node;
}

static void term(struct graph *graph) {
  for (size_t i = 0; i < graph->room; i++) free(graph->table[i]);
  free(graph->table);
  braid_buffer_term(&graph->edges);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static const struct braid_wait_record *next(const struct braid_buffer *list, size_t *at) {
  if (list->size < sizeof(struct braid_wait_record) || *at > list->size - sizeof(struct braid_wait_record)) return NULL;
  const struct braid_wait_record *record = (const void *)(list->data + *at);
  *at += braid_wait_record_size(record);
  return *at <= list->size ? record : NULL;
}

static void add_edge(struct graph *graph, struct node *who, struct node *what) {
  struct edge edge = {who, what};
  if (!who || !what || !braid_buffer_append(&graph->edges, &edge, sizeof edge)) graph->failed = true;
}

static void read_task(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *task = node_of(graph, process, TASK, record->who);
  struct node *state = node_of(graph, process, STATE, record->what);
  struct node *scope = node_of(graph, process, SCOPE, record->other);
  if (graph->failed) return;
  task->self = record;
  task->known = true;
  task->link = state;
  task->scope = scope;
}

static void read_state(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *state = node_of(graph, process, STATE, record->who);
  struct node *pool = record->what ? node_of(graph, process, POOL, record->what) : NULL;
  if (graph->failed) return;
  state->self = record;
  state->known = true;
  state->goes_on = record->flags & BRAID_WAIT_OPEN;
  state->link = pool;
  if (pool) pool->workers++;
  struct node *whole = node_of(graph, process, PROCESS, 0);
  if (whole) whole->accounted++;
}

static void read_run(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *task = node_of(graph, process, TASK, record->who), *job = node_of(graph, process, JOB, record->what);
  struct node *pool = node_of(graph, process, POOL, record->other);
  if (graph->failed) return;
  job->link = task;
  job->scope = pool;
  if (record->count && (job = node_of(graph, process, TICKET, record->count))) job->link = task;
}

/* What `other` knows by this number of the process that tells it. */
static struct node *number_of(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  return node_of(graph, record->who & 1 ? process : record->other, NUMBER, record->who);
}

/* Another process knows the object: as long as that goes on, anything may happen to the object. */
static void read_export(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *object = node_of(graph, process, OBJECT, record->what);
  struct node *number = number_of(graph, process, record), *other = node_of(graph, record->other, PROCESS, 0);
  if (graph->failed) return;
  number->link = object;
  object->accounted += record->count;
  add_edge(graph, other, object);
}

/* The same through a process in the middle, which knows the object by a number, too. */
static void read_relay(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *home = node_of(graph, record->count, NUMBER, record->what);
  struct node *number = number_of(graph, process, record), *other = node_of(graph, record->other, PROCESS, 0);
  if (graph->failed) return;
  number->link = home;
  add_edge(graph, other, home);
}

/* NULL: it is not known. */
static struct node *object_of(struct node *number) {
  enum { MOST_STEPS = 64 };
  for (int steps = 0; number && number->kind == NUMBER && steps < MOST_STEPS; steps++) number = number->link;
  return number && number->kind == OBJECT ? number : NULL;
}

static void read_owner(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *object = node_of(graph, process, OBJECT, record->what);
  uint64_t home = record->flags & BRAID_WAIT_FAR ? record->count : process;
  struct node *owner = node_of(graph, home, TASK, record->other);
  if (!graph->failed) object->link = owner;
}

static void read_hold(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *state = node_of(graph, process, STATE, record->who);
  struct node *object = node_of(graph, process, OBJECT, record->what);
  if (graph->failed) return;
  object->accounted += record->count;
  add_edge(graph, state, object);
}

static void read_child(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *child = node_of(graph, record->who, PROCESS, 0);
  struct node *pool = node_of(graph, process, POOL, record->what);
  if (graph->failed) return;
  pool->workers++;
  add_edge(graph, child, pool);
}

static void read_record(struct graph *graph, uint64_t process, const struct braid_wait_record *record) {
  struct node *node;
  switch (record->kind) {
    case BRAID_WAIT_STATE: read_state(graph, process, record); break;
    case BRAID_WAIT_TASK: read_task(graph, process, record); break;
    case BRAID_WAIT_TEXT:
      if ((node = node_of(graph, process, TASK, record->who))) node->text = record;
      break;
    case BRAID_WAIT_HOLD: read_hold(graph, process, record); break;
    case BRAID_WAIT_REFS:
      node = node_of(graph, process, OBJECT, record->what);
      if (node && record->count > node->refs) node->refs = record->count;
      break;
    case BRAID_WAIT_RUN: read_run(graph, process, record); break;
    case BRAID_WAIT_OWNER: read_owner(graph, process, record); break;
    case BRAID_WAIT_CHILD: read_child(graph, process, record); break;
    case BRAID_WAIT_EXPORT: read_export(graph, process, record); break;
    case BRAID_WAIT_RELAY: read_relay(graph, process, record); break;
    default:
      if ((node = node_of(graph, process, TASK, record->who))) node->wait = record;
  }
}

static void read_list(struct graph *graph, const struct braid_buffer *list) {
  const struct braid_wait_record *record;
  uint64_t process = 0;
  for (size_t at = 0; !graph->failed && (record = next(list, &at));) {
    if (record->kind != BRAID_WAIT_PROCESS) {
      read_record(graph, process, record);
      continue;
    }
    process = record->who;
    struct node *node = node_of(graph, process, PROCESS, 0);
    if (!node) return;
    node->known = true;
    node->refs = record->count;
  }
  struct edge *edges = (struct edge *)(void *)graph->edges.data;
  for (size_t i = 0; i < graph->edges.size / sizeof *edges; i++)
    if (edges[i].what->kind == NUMBER) edges[i].what = object_of(edges[i].what);
}

/* ---- who goes on ---------------------------------------------------------------------------------------------- */

static bool task_goes_on(const struct node *task) { return !task || !task->known || task->goes_on; }
static bool state_goes_on(const struct node *state) { return !state || !state->known || state->goes_on; }

/* Whether a process goes on whatever its states do: it has not told, or not of all states; or it has no state, because
 * it is starting or ending. */
static bool process_moves(const struct node *process) {
  return !process->known || process->refs == 0 || process->accounted < process->refs;
}

/* An object that somebody knows of whom nothing is known, or somebody who goes on. */
static bool object_goes_on(const struct node *object) {
  return !object || object->open || object->refs != object->accounted;
}

/* Whether a job that has not begun may begin. */
static bool pool_goes_on(const struct node *pool, uint32_t workers) {
  return !pool || pool->open || pool->workers < workers || pool->workers == 0;
}

/* The task that alone can end the wait; NULL: there is no single one, or it is not known. */
static const struct node *awaited(const struct graph *graph, const struct node *task) {
  const struct braid_wait_record *wait = task->wait;
  const struct node *node;
  switch (wait->kind) {
    case BRAID_WAIT_FOR_TASK: return find(graph, task->process, TASK, wait->what);
    case BRAID_WAIT_FOR_LOCK: node = find(graph, task->process, OBJECT, wait->what); return node ? node->link : NULL;
    case BRAID_WAIT_FOR_JOB: node = find(graph, task->process, JOB, wait->what); return node ? node->link : NULL;
    case BRAID_WAIT_FOR_FAR_JOB: node = find(graph, wait->count, TICKET, wait->what); return node ? node->link : NULL;
    case BRAID_WAIT_FOR_FAR_LOCK:
      node = object_of(find(graph, wait->count, NUMBER, wait->what));
      return node ? node->link : NULL;
    default: return NULL;
  }
}

static bool may_end(const struct graph *graph, const struct node *task) {
  const struct braid_wait_record *wait = task->wait;
  const struct node *node;
  switch (wait->kind) {
    case BRAID_WAIT_FOR_SCOPE: node = find(graph, task->process, SCOPE, wait->what); return !node || !node->open;
    case BRAID_WAIT_FOR_LOCAL: return state_goes_on(task->link);
    case BRAID_WAIT_FOR_OBJECT:
    case BRAID_WAIT_FOR_WORK: return object_goes_on(find(graph, task->process, OBJECT, wait->what));
    case BRAID_WAIT_FOR_POOL: return pool_goes_on(find(graph, task->process, POOL, wait->what), wait->count);
    case BRAID_WAIT_FOR_REST: node = find(graph, task->process, POOL, wait->what); return !node || !node->stuck_job;
    case BRAID_WAIT_FOR_FAR_OBJECT: return object_goes_on(object_of(find(graph, wait->count, NUMBER, wait->what)));
    default: return task_goes_on(awaited(graph, task));
  }
}

/* Takes back what only holds as long as nobody more goes on. */
static void begin_round(struct node **nodes, size_t count) {
  for (size_t i = 0; i < count; i++) nodes[i]->open = nodes[i]->stuck_job = false;
}

/* What the marks of the tasks mean for states, scopes, jobs and objects. */
static void pass_on(const struct graph *graph, struct node **nodes, size_t count) {
  begin_round(nodes, count);
  for (size_t i = 0; i < count; i++) {
    struct node *node = nodes[i];
    bool task = node->kind == TASK && node->known;
    if (task && node->goes_on) node->link->goes_on = true;
    if (task && !node->goes_on && !(node->self->flags & BRAID_WAIT_DAEMON)) node->scope->open = true;
    if (node->kind == JOB && !task_goes_on(node->link)) node->scope->stuck_job = true;
  }
  for (size_t i = 0; i < count; i++) { /* a process goes on if one of its states does */
    struct node *node = nodes[i], *process = find(graph, node->process, PROCESS, 0);
    if (node->kind == PROCESS && process_moves(node)) node->goes_on = true;
    if (node->kind != STATE || !state_goes_on(node)) continue;
    if (process) process->goes_on = true;
    if (node->link) node->link->open = true;
  }
  const struct edge *edges = (const struct edge *)(const void *)graph->edges.data;
  for (size_t i = 0; i < graph->edges.size / sizeof *edges; i++)
    if (edges[i].what && (edges[i].who->goes_on || (edges[i].who->kind == STATE && !edges[i].who->known)))
      edges[i].what->open = true;
}

/* False: nobody more goes on. */
static bool mark_more(const struct graph *graph, struct node **nodes, size_t count) {
  bool more = false;
  for (size_t i = 0; i < count; i++) {
    struct node *task = nodes[i];
    if (task->kind != TASK || !task->known || task->goes_on) continue;
    if (task->wait && !may_end(graph, task)) continue;
    task->goes_on = more = true;
  }
  return more;
}

static bool is_same(const struct node *node, const struct node *old) {
  if (!old || !old->known || old->self->what != node->self->what) return false;
  if (node->kind == STATE) return old->self->other == node->self->other;
  return old->wait && node->wait && old->self->count == node->self->count;
}

/* What was not there before, or has run since, counts as something that goes on. A lock that has another holder than
 * before may just have been handed over. */
static void compare(const struct graph *before, struct node **nodes, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct node *node = nodes[i];
    const struct node *old = find(before, node->process, node->kind, node->id);
    bool moves = node->kind == TASK || node->kind == STATE;
    if (moves && node->known && !is_same(node, old)) node->goes_on = true;
    if (node->kind != OBJECT || !node->link) continue;
    bool held = old && old->link && old->link->process == node->link->process && old->link->id == node->link->id;
    if (!held) node->link = NULL;
  }
}

static bool is_stuck(const struct node *node) {
  return node && node->kind == TASK && node->known && !node->goes_on && node->wait->kind != BRAID_WAIT_FOR_WORK &&
         !(node->self->flags & BRAID_WAIT_UNREAL);
}

static struct braid_wait_stuck *list_stuck(const struct graph *graph, struct node **nodes, size_t all, size_t *count) {
  *count = 0;
  for (size_t i = 0; i < all; i++)
    if (is_stuck(nodes[i])) nodes[i]->place = (*count)++;
  struct braid_wait_stuck *list = *count ? calloc(*count, sizeof *list) : NULL;
  for (size_t i = 0; list && i < all; i++) {
    const struct node *node = nodes[i], *other = is_stuck(node) ? awaited(graph, node) : NULL;
    if (!is_stuck(node)) continue;
    list[node->place] = (struct braid_wait_stuck){.process = node->process,
                                                  .task = node->id,
                                                  .state = node->link->id,
                                                  .since = node->self->count,
                                                  .kind = node->wait->kind,
                                                  .flags = node->self->flags,
                                                  .text = node->text,
                                                  .for_whom = other ? other->place : SIZE_MAX};
  }
  if (!list) *count = 0;
  return list;
}

/* Returns all nodes; NULL when memory is out. */
static struct node **gather(const struct graph *graph) {
  struct node **nodes = malloc((graph->count + 1) * sizeof(struct node *));
  size_t count = 0;
  for (size_t i = 0; nodes && i < graph->room; i++)
    if (graph->table[i]) nodes[count++] = graph->table[i];
  return nodes;
}

static struct braid_wait_stuck *solve(struct graph *graph, const struct graph *before, size_t *count) {
  enum { MOST_WORK = 200 * 1000 * 1000 }; /* a long chain of waits needs many rounds: then nothing is found */
  struct node **nodes = gather(graph);
  struct braid_wait_stuck *list = NULL;
  bool more = nodes != NULL;
  if (nodes) compare(before, nodes, graph->count);
  for (size_t work = 0; more && work < MOST_WORK; work += graph->count) {
    pass_on(graph, nodes, graph->count);
    more = mark_more(graph, nodes, graph->count);
  }
  if (nodes && !more) list = list_stuck(graph, nodes, graph->count, count);
  free(nodes);
  return list;
}

struct braid_wait_stuck *braid_wait_graph_find(const struct braid_buffer *now, const struct braid_buffer *before,
                                               size_t *count) {
  struct graph graph = {0}, old = {0};
  *count = 0;
  read_list(&graph, now);
  read_list(&old, before);
  struct braid_wait_stuck *list = graph.failed || old.failed ? NULL : solve(&graph, &old, count);
  term(&graph);
  term(&old);
  return list;
}
