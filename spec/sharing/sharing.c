/* SPDX-License-Identifier: MIT
 * Two groups of threads, each with its own queue, pool or loop: prints which cache lines both groups touch although one
 * of them writes, and ends with status 1 if they do so more often than once in two operations. First a check that such
 * lines are found at all: both groups use one queue. `make sharing` runs it. See docs/scaling.md. */
#include "lines.h"

#include "../core/jobs.h"

enum { ITEMS = 20000, JOBS = 2000, SLEEPS = 2000, SHOWN = 5 };

/* ---- the two groups --------------------------------------------------------------------------------------------- */

struct side {
  int group;
  struct braid_queue *queue;
  struct braid_thread_pool *pool;
};

static pthread_barrier_t gate; /* all threads and main: warm, counted, done */

static void at_gate(void) { pthread_barrier_wait(&gate); }

/* Runs the work twice: to warm up, and counted. */
static void twice(const struct side *side, void (*work_once)(const struct side *)) {
  lines_join(side->group);
  work_once(side);
  at_gate();
  at_gate();
  work_once(side);
  at_gate();
}

static int measure(const char *what, void *(*bodies[])(void *), struct side *sides[], int count,
                   unsigned operations) {
  pthread_t threads[8];
  pthread_barrier_init(&gate, NULL, (unsigned)count + 1);
  for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, bodies[i], sides[i]);
  at_gate();
  lines_begin();
  for (int i = 0; i < count; i++) {
    const struct side *side = sides[i];
    if (side->queue) lines_name(side->queue, sizeof *side->queue, side->group ? "queue B" : "queue A");
    if (side->pool) lines_name(side->pool, sizeof *side->pool, side->group ? "pool B" : "pool A");
    if (side->pool) lines_name(side->pool->jobs, sizeof *side->pool->jobs, side->group ? "jobs B" : "jobs A");
  }
  at_gate();
  at_gate();
  lines_end();
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&gate);
  struct lines_shared shared = lines_tell(SHOWN, operations / 2);
  printf("%s: %d lines touched; both groups touch %d often and %d rarely\n", what, lines_count(), shared.often,
         shared.rarely);
  return shared.often;
}

/* ---- queues ----------------------------------------------------------------------------------------------------- */

static void put_all(const struct side *side) {
  struct actor actor;
  actor_open(&actor, 1);
  for (uint64_t i = 1; i <= ITEMS; i++) {
    struct braid_wait_node *node = actor_arm(&actor);
    struct braid_item item = {i, BRAID_ITEM_INTEGER};
    check(actor_await(&actor, braid_queue_put(side->queue, item, 0, node), BRAID_NEVER) == BRAID_OK);
  }
  actor_close(&actor);
}

static void get_all(const struct side *side) {
  struct actor actor;
  actor_open(&actor, 2);
  for (uint64_t i = 1; i <= ITEMS; i++) {
    struct braid_wait_node *node = actor_arm(&actor);
    struct braid_item item;
    check(actor_await(&actor, braid_queue_get(side->queue, &item, node), BRAID_NEVER) == BRAID_OK);
  }
  actor_close(&actor);
}

static void *putter(void *side) {
  twice(side, put_all);
  return NULL;
}

static void *getter(void *side) {
  twice(side, get_all);
  return NULL;
}

static struct braid_queue *new_queue(void) {
  struct braid_queue *queue = braid_queue_new(1024, BRAID_FIFO);
  braid_object_share(&queue->object);
  return queue;
}

static int queues(const char *what, struct braid_queue *a, struct braid_queue *b) {
  struct side side_a = {.group = 0, .queue = a}, side_b = {.group = 1, .queue = b};
  void *(*bodies[])(void *) = {putter, getter, putter, getter};
  struct side *sides[] = {&side_a, &side_a, &side_b, &side_b};
  int shared = measure(what, bodies, sides, 4, ITEMS);
  braid_object_unref(&a->object);
  if (a != b) braid_object_unref(&b->object);
  return shared;
}

/* ---- pools ------------------------------------------------------------------------------------------------------ */

static void work_in_group(struct braid_worker *worker) {
  lines_join(*(int *)worker->pool->settings);
  work(worker);
}

static void keep(void *settings) { (void)settings; }

static void submit_all(const struct side *side) {
  struct braid_loop loop;
  check(braid_loop_open(&loop) == 0);
  for (int i = 0; i < JOBS; i++) {
    struct task task;
    check(task_submit(&task, &loop, &side->pool->pool, "do") == BRAID_OK);
    tasks_await(&loop, 1);
    task_forget(&task);
  }
  braid_loop_close(&loop);
}

static void *submitter(void *side) {
  twice(side, submit_all);
  return NULL;
}

static void end_pool(struct braid_thread_pool *pool) {
  pool->pool.kind->close(&pool->pool, false);
  check(braid_pool_await(&pool->pool, BRAID_NEVER));
  while (atomic_load(&pool->pool.object.refs) > 1) usleep(100);
  braid_object_unref(&pool->pool.object);
}

static int pools(void) {
  static int groups[] = {0, 1};
  struct side a = {.group = 0, .pool = braid_thread_pool_new(2, work_in_group, &groups[0], keep)};
  struct side b = {.group = 1, .pool = braid_thread_pool_new(2, work_in_group, &groups[1], keep)};
  void *(*bodies[])(void *) = {submitter, submitter};
  struct side *sides[] = {&a, &b};
  check(braid_pool_count(&a.pool->pool) && braid_pool_count(&b.pool->pool));
  int shared = measure("two pools of two workers, jobs one by one", bodies, sides, 2, JOBS);
  end_pool(a.pool);
  end_pool(b.pool);
  return shared;
}

/* ---- loops ------------------------------------------------------------------------------------------------------ */

static void sleep_often(const struct side *side) {
  (void)side;
  struct actor actor;
  actor_open(&actor, 3);
  for (int i = 0; i < SLEEPS; i++) {
    actor_arm(&actor);
    check(actor_await(&actor, BRAID_WAIT, braid_clock_now() + 1000) == BRAID_TIMEOUT);
    actor_arm(&actor);
    braid_waiter_claim(&actor.waiter, BRAID_OK);
    braid_loop_post(&actor.waiter);
    check(braid_loop_next(&actor.loop) == &actor.waiter);
  }
  actor_close(&actor);
}

static void *sleeper(void *side) {
  twice(side, sleep_often);
  return NULL;
}

static int loops(void) {
  struct side a = {.group = 0}, b = {.group = 1};
  void *(*bodies[])(void *) = {sleeper, sleeper};
  struct side *sides[] = {&a, &b};
  return measure("two loops: deadlines, posts, polls", bodies, sides, 2, SLEEPS);
}

int main(void) {
  struct braid_queue *one = new_queue();
  signal(BRAID_POKE_SIGNAL, SIG_IGN);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (queues("one queue for both groups, for comparison", one, one) == 0) return 1;
  struct braid_queue *a = new_queue(), *b = new_queue();
  int shared = queues("two queues, a putter and a getter each", a, b);
  shared += pools() + loops();
  return shared > 0 || check_failures > 0;
}
