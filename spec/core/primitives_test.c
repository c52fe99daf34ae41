/* SPDX-License-Identifier: MIT
 * Who gets a turn, in one thread; and what must never happen, between several whose waits end at random. */
#include "core/sync/primitives.h"

#include "actor.h"

/* ---- one thread ----------------------------------------------------------------------------------------------- */

enum { WAITERS = 4 };
static struct braid_loop loop;
static struct braid_waiter waiters[WAITERS];

static struct braid_wait_node *arm(int which) {
  braid_waiter_arm(&waiters[which]);
  return &waiters[which].node;
}

static struct braid_primitive *open_primitive(const struct braid_class *class, int64_t count, int64_t limit) {
  check(braid_loop_open(&loop) == 0);
  for (int i = 0; i < WAITERS; i++) braid_waiter_init(&waiters[i], &loop, BRAID_WAITER_TASK);
  struct braid_primitive *primitive = braid_primitive_new(class, count, limit);
  if (!primitive) abort();
  return primitive;
}

static void close_primitive(struct braid_primitive *primitive) {
  check(braid_loop_next(&loop) == NULL && braid_list_empty(&primitive->waiters.nodes));
  braid_object_unref(&primitive->object);
  braid_loop_close(&loop);
}

/* The number of the waiter that has come home with `status`, and its wait node has left; -1: none. */
static int next_home(enum braid_status status) {
  struct braid_waiter *waiter = braid_loop_next(&loop);
  if (!waiter) return -1;
  check(waiter->status == status);
  braid_wait_node_leave(&waiter->node);
  return (int)(waiter - waiters);
}

static void a_lock_is_handed_over(void) {
  struct braid_primitive *lock = open_primitive(&braid_lock_class, 0, 0);
  check(braid_lock_owner(lock) == 0);
  check(braid_lock_acquire(lock, 10, arm(0)) == BRAID_OK && braid_lock_owner(lock) == 10);
  check(braid_lock_acquire(lock, 10, arm(0)) == BRAID_MISUSE); /* not twice */
  check(braid_lock_acquire(lock, 11, NULL) == BRAID_EMPTY);
  for (int i = 1; i < WAITERS; i++) check(braid_lock_acquire(lock, 10 + (uint64_t)i, arm(i)) == BRAID_WAIT);
  check(braid_loop_end_wait(&loop, &waiters[1], BRAID_TIMEOUT) && next_home(BRAID_TIMEOUT) == 1);
  check(braid_lock_release(lock, 12) == BRAID_MISUSE); /* not its */
  check(braid_lock_release(lock, 10) == BRAID_OK);
  check(braid_lock_owner(lock) == 12 && next_home(BRAID_OK) == 2);
  check(braid_lock_acquire(lock, 10, NULL) == BRAID_EMPTY); /* it was never free */
  check(braid_lock_release(lock, 12) == BRAID_OK && next_home(BRAID_OK) == 3);
  check(braid_lock_release(lock, 13) == BRAID_OK && braid_lock_owner(lock) == 0);
  check(braid_lock_release(lock, 13) == BRAID_MISUSE);
  close_primitive(lock);
}

static void an_owners_death_is_told_once(void) {
  struct braid_primitive *lock = open_primitive(&braid_lock_class, 0, 0);
  check(braid_lock_acquire(lock, 10, arm(0)) == BRAID_OK);
  check(braid_lock_acquire(lock, 11, arm(1)) == BRAID_WAIT && braid_lock_acquire(lock, 12, arm(2)) == BRAID_WAIT);
  braid_lock_abandon(lock);
  check(next_home(BRAID_OWNER_DIED) == 1 && next_home(BRAID_OK) == 2 && braid_lock_owner(lock) == 12);
  braid_lock_abandon(lock); /* nobody waits: the next to come is told */
  check(braid_lock_owner(lock) == 0);
  check(braid_lock_acquire(lock, 13, arm(3)) == BRAID_OWNER_DIED && braid_lock_owner(lock) == 0);
  check(braid_lock_acquire(lock, 13, arm(3)) == BRAID_OK && braid_lock_release(lock, 13) == BRAID_OK);
  close_primitive(lock);
}

static void a_semaphore_counts(void) {
  struct braid_primitive *semaphore = open_primitive(&braid_semaphore_class, 2, 2);
  check(braid_semaphore_release(semaphore, 1) == BRAID_MISUSE && braid_primitive_count(semaphore) == 2);
  check(braid_semaphore_acquire(semaphore, arm(0)) == BRAID_OK && braid_semaphore_acquire(semaphore, NULL) == BRAID_OK);
  check(braid_semaphore_acquire(semaphore, NULL) == BRAID_EMPTY);
  for (int i = 0; i < 3; i++) check(braid_semaphore_acquire(semaphore, arm(i)) == BRAID_WAIT);
  check(braid_loop_end_wait(&loop, &waiters[0], BRAID_CANCELLED) && next_home(BRAID_CANCELLED) == 0);
  check(braid_semaphore_release(semaphore, 1) == BRAID_OK && next_home(BRAID_OK) == 1);
  check(braid_primitive_count(semaphore) == 0 && next_home(BRAID_OK) == -1);
  check(braid_semaphore_release(semaphore, 2) == BRAID_OK && next_home(BRAID_OK) == 2);
  check(braid_primitive_count(semaphore) == 1);
  check(braid_semaphore_release(semaphore, 2) == BRAID_MISUSE && braid_primitive_count(semaphore) == 1);
  close_primitive(semaphore);
  semaphore = open_primitive(&braid_semaphore_class, 0, INT64_MAX); /* no bound */
  check(braid_semaphore_release(semaphore, 1000) == BRAID_OK && braid_primitive_count(semaphore) == 1000);
  close_primitive(semaphore);
}

static void an_event_wakes_all(void) {
  struct braid_primitive *event = open_primitive(&braid_event_class, 0, 0);
  for (int i = 0; i < 3; i++) check(braid_event_wait(event, arm(i)) == BRAID_WAIT);
  braid_event_set(event, true);
  for (int i = 0; i < 3; i++) check(next_home(BRAID_OK) == i);
  check(braid_event_wait(event, arm(0)) == BRAID_OK && braid_primitive_count(event) == 1);
  braid_event_set(event, false);
  check(braid_event_wait(event, NULL) == BRAID_EMPTY && braid_primitive_count(event) == 0);
  close_primitive(event);
}

static void a_condition_wakes_so_many(void) {
  struct braid_primitive *condition = open_primitive(&braid_condition_class, 0, 0);
  braid_condition_notify(condition, 5); /* nobody: forgotten */
  for (int i = 0; i < WAITERS; i++) check(braid_condition_wait(condition, arm(i)) == BRAID_WAIT);
  check(braid_loop_end_wait(&loop, &waiters[0], BRAID_TIMEOUT) && next_home(BRAID_TIMEOUT) == 0);
  braid_condition_notify(condition, 2);
  check(next_home(BRAID_OK) == 1 && next_home(BRAID_OK) == 2 && next_home(BRAID_OK) == -1);
  braid_condition_notify(condition, INT64_MAX);
  check(next_home(BRAID_OK) == 3);
  close_primitive(condition);
}

static void a_barrier_opens_for_the_last(void) {
  struct braid_primitive *barrier = open_primitive(&braid_barrier_class, 0, 3);
  for (int round = 0; round < 3; round++) {
    check(braid_barrier_wait(barrier, arm(0)) == BRAID_WAIT && braid_barrier_wait(barrier, arm(1)) == BRAID_WAIT);
    struct braid_wait_node *last = arm(2);
    check(braid_barrier_wait(barrier, last) == BRAID_OK && last->bits == 3);
    check(next_home(BRAID_OK) == 0 && waiters[0].node.bits == 1);
    check(next_home(BRAID_OK) == 1 && waiters[1].node.bits == 2);
  }
  close_primitive(barrier);
}

static void a_barrier_breaks(void) {
  struct braid_primitive *barrier = open_primitive(&braid_barrier_class, 0, 3);
  check(braid_barrier_wait(barrier, arm(0)) == BRAID_WAIT);
  braid_barrier_abort(barrier);
  check(next_home(BRAID_BROKEN) == 0 && braid_barrier_wait(barrier, arm(0)) == BRAID_BROKEN);
  braid_barrier_reset(barrier);
  check(braid_barrier_wait(barrier, arm(0)) == BRAID_WAIT && waiters[0].node.bits == 1);
  braid_barrier_reset(barrier);
  check(next_home(BRAID_BROKEN) == 0 && braid_primitive_count(barrier) == 0);
  close_primitive(barrier);
}

/* ---- many threads --------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 3000 };

static struct braid_primitive *primitive, *second;
static int unguarded; /* TSan sees when two touch it at once */
static atomic_int inside, told, died;

static void run_threads(void *(*body)(void *)) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) check(braid_thread_start(&threads[i], body, (void *)(uintptr_t)(i + 1)) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static struct braid_primitive *shared_primitive(const struct braid_class *class, int64_t count, int64_t limit) {
  struct braid_primitive *fresh = braid_primitive_new(class, count, limit);
  braid_object_share(&fresh->object);
  return fresh;
}

static void *lock_often(void *argument) {
  uint64_t owner = (uintptr_t)argument;
  struct actor actor;
  actor_open(&actor, (uint32_t)owner);
  for (int i = 0; i < ROUNDS;) {
    enum braid_status status = braid_lock_acquire(primitive, owner, actor_arm(&actor));
    status = actor_await_rashly(&actor, status);
    check(status == BRAID_OK || status == BRAID_OWNER_DIED || actor_gave_up(status));
    if (status == BRAID_OWNER_DIED) atomic_fetch_add(&told, 1);
    if (status != BRAID_OK) continue;
    check(braid_lock_owner(primitive) == owner);
    unguarded++;
    i++;
    if (check_random(&actor.random) % 50 == 0) {
      atomic_fetch_add(&died, 1);
      braid_lock_abandon(primitive);
    } else {
      check(braid_lock_release(primitive, owner) == BRAID_OK);
    }
  }
  actor_close(&actor);
  return NULL;
}

static void one_at_a_time_holds_a_lock(void) {
  primitive = shared_primitive(&braid_lock_class, 0, 0);
  unguarded = 0;
  atomic_store(&told, 0);
  atomic_store(&died, 0);
  run_threads(lock_often);
  check(unguarded == THREADS * ROUNDS && braid_lock_owner(primitive) == 0);
  int untold = atomic_load(&died) - atomic_load(&told); /* a death that nobody was told of hides later ones */
  check(atomic_load(&died) > 0 && untold >= 0);
  braid_object_unref(&primitive->object);
}

static void *pass_often(void *argument) {
  struct actor actor;
  actor_open(&actor, (uint32_t)(uintptr_t)argument);
  for (int i = 0; i < ROUNDS; i++) {
    enum braid_status status = braid_semaphore_acquire(primitive, actor_arm(&actor));
    status = actor_await_rashly(&actor, status);
    if (status != BRAID_OK) continue;
    check(atomic_fetch_add(&inside, 1) < 2);
    if (i % 8 == 0) usleep(10);
    atomic_fetch_sub(&inside, 1);
    check(braid_semaphore_release(primitive, 1) == BRAID_OK);
  }
  actor_close(&actor);
  return NULL;
}

static void a_semaphore_keeps_its_bound(void) {
  primitive = shared_primitive(&braid_semaphore_class, 2, 2);
  run_threads(pass_often);
  check(braid_primitive_count(primitive) == 2 && braid_semaphore_release(primitive, 1) == BRAID_MISUSE);
  braid_object_unref(&primitive->object);
}

static void *follow_events(void *argument) {
  struct actor actor;
  actor_open(&actor, (uint32_t)(uintptr_t)argument);
  for (int i = 0; i < ROUNDS; i++) {
    bool first = (uintptr_t)argument % 2;
    enum braid_status status = braid_event_wait(first ? primitive : second, actor_arm(&actor));
    check(actor_await(&actor, status, BRAID_NEVER) == BRAID_OK);
    braid_event_set(first ? second : primitive, true); /* the others' turn; whoever comes late finds it set */
    if (i % 16 == 0) braid_event_set(first ? primitive : second, false);
    braid_event_set(first ? primitive : second, true);
  }
  actor_close(&actor);
  return NULL;
}

static void events_wake_across_threads(void) {
  primitive = shared_primitive(&braid_event_class, 1, 0);
  second = shared_primitive(&braid_event_class, 0, 0);
  run_threads(follow_events);
  braid_object_unref(&primitive->object);
  braid_object_unref(&second->object);
}

/* A box for one number: even threads fill it, odd ones empty it, as a monitor with a lock and a condition. */
static int box, filled;

static void lock(struct actor *actor, uint64_t owner) {
  enum braid_status status = braid_lock_acquire(primitive, owner, actor_arm(actor));
  check(actor_await(actor, status, BRAID_NEVER) == BRAID_OK);
}

static void *use_box(void *argument) {
  uint64_t owner = (uintptr_t)argument;
  int wanted = owner % 2 ? 1 : 0; /* what the box must hold for this thread to go on */
  struct actor actor;
  actor_open(&actor, (uint32_t)owner);
  for (int i = 0; i < ROUNDS; i++) {
    lock(&actor, owner);
    while (box != wanted) {
      enum braid_status status = braid_condition_wait(second, actor_arm(&actor));
      check(status == BRAID_WAIT && braid_lock_release(primitive, owner) == BRAID_OK);
      status = actor_await_rashly(&actor, status);
      check(status == BRAID_OK || actor_gave_up(status));
      lock(&actor, owner);
    }
    box = !box;
    filled += box;
    braid_condition_notify(second, INT64_MAX);
    check(braid_lock_release(primitive, owner) == BRAID_OK);
  }
  actor_close(&actor);
  return NULL;
}

static void a_condition_loses_no_wake(void) {
  primitive = shared_primitive(&braid_lock_class, 0, 0);
  second = shared_primitive(&braid_condition_class, 0, 0);
  box = filled = 0;
  run_threads(use_box);
  check(box == 0 && filled == THREADS / 2 * ROUNDS);
  braid_object_unref(&primitive->object);
  braid_object_unref(&second->object);
}

static atomic_int arrivals[ROUNDS], turns[ROUNDS];

static void *meet_often(void *argument) {
  struct actor actor;
  actor_open(&actor, (uint32_t)(uintptr_t)argument);
  for (int i = 0; i < ROUNDS; i++) {
    atomic_fetch_add(&arrivals[i], 1);
    struct braid_wait_node *node = actor_arm(&actor);
    enum braid_status status = braid_barrier_wait(primitive, node);
    check(actor_await(&actor, status, BRAID_NEVER) == BRAID_OK);
    check(atomic_load(&arrivals[i]) == THREADS); /* nobody goes on before all have come */
    atomic_fetch_or(&turns[i], 1 << node->bits);
  }
  actor_close(&actor);
  return NULL;
}

static void a_barrier_holds_everybody(void) {
  primitive = shared_primitive(&braid_barrier_class, 0, THREADS);
  run_threads(meet_often);
  for (int i = 0; i < ROUNDS; i++) check(atomic_load(&turns[i]) == (1 << (THREADS + 1)) - 2); /* each turn once */
  braid_object_unref(&primitive->object);
}

CHECK_MAIN({"lock: is handed over", a_lock_is_handed_over},
           {"lock: an owner's death is told once", an_owners_death_is_told_once},
           {"semaphore: counts", a_semaphore_counts}, {"event: wakes all", an_event_wakes_all},
           {"condition: wakes so many", a_condition_wakes_so_many},
           {"barrier: opens for the last", a_barrier_opens_for_the_last}, {"barrier: breaks", a_barrier_breaks},
           {"lock: one at a time holds it", one_at_a_time_holds_a_lock},
           {"semaphore: keeps its bound", a_semaphore_keeps_its_bound},
           {"event: wakes across threads", events_wake_across_threads},
           {"condition: loses no wake", a_condition_loses_no_wake},
           {"barrier: holds everybody", a_barrier_holds_everybody})
