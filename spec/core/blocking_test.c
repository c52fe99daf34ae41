/* SPDX-License-Identifier: MIT
 * Work that blocks: it is done once, whoever waits is told, and what is given up ends soon. */
#include "core/loop/blocking.h"

#include <stdlib.h>
#include <time.h>

#include "actor.h"

struct sum {
  struct braid_blocking work;
  int count, done;
};

static atomic_int living;

static void destroy(struct braid_object *object) {
  struct sum *sum = braid_container(object, struct sum, work.object);
  braid_blocking_term(&sum->work);
  free(sum);
  atomic_fetch_sub(&living, 1);
}

static const struct braid_class class = {"sum", destroy};

/* Takes about 0.1 ms for each of `count`. */
static void run(struct braid_blocking *work) {
  struct sum *sum = braid_container(work, struct sum, work);
  struct timespec moment = {.tv_nsec = 100 * 1000};
  while (sum->done < sum->count && !braid_blocking_is_abandoned(work)) {
    nanosleep(&moment, NULL);
    sum->done++;
  }
}

static struct sum *started(int count, enum braid_blocking_kind kind) {
  struct sum *sum = calloc(1, sizeof *sum);
  if (!sum) abort();
  atomic_fetch_add(&living, 1);
  braid_blocking_init(&sum->work, &class, run);
  sum->count = count;
  check(braid_blocking_submit(&sum->work, kind));
  return sum;
}

static void let_go(struct sum *sum) { braid_object_unref(&sum->work.object); }

/* The threads give up their references a moment later. */
static void expect_nothing_left(void) {
  struct timespec moment = {.tv_nsec = 1000 * 1000};
  for (int i = 0; i < 5000 && atomic_load(&living) > 0; i++) nanosleep(&moment, NULL);
  check(atomic_load(&living) == 0);
}

static void who_waits_is_told(void) {
  struct actor actor;
  actor_open(&actor, 1);
  for (int i = 0; i < 200; i++) {
    struct sum *sum = started(i % 3, (enum braid_blocking_kind)(i % BRAID_BLOCKING_KINDS));
    check(actor_await(&actor, braid_blocking_wait(&sum->work, actor_arm(&actor)), BRAID_NEVER) == BRAID_OK);
    check(sum->done == sum->count);
    let_go(sum);
  }
  actor_close(&actor);
  expect_nothing_left();
}

static void many_at_once_and_some_are_given_up(void) {
  enum { COUNT = 300 };
  struct actor actor;
  struct sum *sums[COUNT];
  actor_open(&actor, 2);
  for (int i = 0; i < COUNT; i++) sums[i] = started(3, BRAID_BLOCKING_FILE);
  for (int i = 0; i < COUNT; i++) {
    enum braid_status status = actor_await_rashly(&actor, braid_blocking_wait(&sums[i]->work, actor_arm(&actor)));
    check(status == BRAID_OK || actor_gave_up(status));
    if (actor_gave_up(status)) braid_blocking_abandon(&sums[i]->work);
    let_go(sums[i]);
  }
  actor_close(&actor);
  expect_nothing_left();
}

static void abandoned_work_ends_soon(void) {
  struct sum *sum = started(1000 * 1000, BRAID_BLOCKING_FILE);
  braid_blocking_abandon(&sum->work);
  braid_blocking_await(&sum->work);
  check(sum->done < sum->count);
  let_go(sum);
  expect_nothing_left();
}

static void kinds_do_not_stop_each_other(void) {
  struct sum *slow[20];
  for (int i = 0; i < 20; i++) slow[i] = started(1000 * 1000, BRAID_BLOCKING_LOOKUP);
  struct sum *quick = started(1, BRAID_BLOCKING_FILE);
  braid_blocking_await(&quick->work);
  check(quick->done == 1);
  let_go(quick);
  for (int i = 0; i < 20; i++) {
    braid_blocking_abandon(&slow[i]->work);
    let_go(slow[i]);
  }
  expect_nothing_left();
}

CHECK_MAIN({"blocking: who waits is told", who_waits_is_told},
           {"blocking: many at once, and some are given up", many_at_once_and_some_are_given_up},
           {"blocking: abandoned work ends soon", abandoned_work_ends_soon},
           {"blocking: kinds do not stop each other", kinds_do_not_stop_each_other})
