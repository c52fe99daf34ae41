/* SPDX-License-Identifier: MIT
 * Companions: work is done in the order in which it was submitted, and can be touched only while it is done. */
#include "core/loop/companion.h"

#include <stdlib.h>
#include <time.h>

#include "actor.h"

struct step {
  struct braid_blocking work;
  int number;
  atomic_bool *gate; /* it waits until this is true; NULL: it does not wait */
};

static atomic_int living, last; /* last: the number of the step that was done last */
static atomic_int out_of_order;

static void destroy(struct braid_object *object) {
  struct step *step = braid_container(object, struct step, work.object);
  braid_blocking_term(&step->work);
  free(step);
  atomic_fetch_sub(&living, 1);
}

static const struct braid_class class = {"step", destroy};

static void pause_briefly(void) {
  struct timespec moment = {.tv_nsec = 100 * 1000};
  nanosleep(&moment, NULL);
}

static void run(struct braid_blocking *work) {
  struct step *step = braid_container(work, struct step, work);
  while (step->gate && !atomic_load(step->gate)) pause_briefly();
  if (atomic_exchange(&last, step->number) != step->number - 1) atomic_fetch_add(&out_of_order, 1);
}

/* The caller and the companion hold references. */
static struct step *submitted(struct braid_companion *companion, int number, atomic_bool *gate) {
  struct step *step = calloc(1, sizeof *step);
  if (!step) abort();
  atomic_fetch_add(&living, 1);
  braid_blocking_init(&step->work, &class, run);
  step->number = number;
  step->gate = gate;
  braid_object_ref(&step->work.object);
  braid_companion_submit(companion, &step->work);
  return step;
}

static struct braid_companion *started(void) {
  struct braid_companion *companion = NULL;
  if (braid_companion_start(&companion)) abort();
  atomic_store(&last, 0);
  atomic_store(&out_of_order, 0);
  return companion;
}

static void expect_nothing_left(void) {
  for (int i = 0; i < 50000 && atomic_load(&living) > 0; i++) pause_briefly();
  check(atomic_load(&living) == 0);
}

static void work_is_done_in_order(void) {
  enum { COUNT = 500 };
  struct braid_companion *companion = started();
  struct actor actor;
  actor_open(&actor, 1);
  for (int i = 1; i <= COUNT; i++) {
    struct step *step = submitted(companion, i, NULL);
    if (i % 3 == 0)
      check(actor_await(&actor, braid_blocking_wait(&step->work, actor_arm(&actor)), BRAID_NEVER) == BRAID_OK);
    braid_object_unref(&step->work.object);
  }
  braid_companion_end(companion); /* what was submitted is still done */
  expect_nothing_left();
  check(atomic_load(&last) == COUNT && atomic_load(&out_of_order) == 0);
  actor_close(&actor);
}

static void count(void *context) { ++*(int *)context; }

static void only_what_is_done_now_can_be_touched(void) {
  atomic_bool gate = false;
  int touched = 0;
  struct braid_companion *companion = started();
  check(!braid_companion_touch(companion, NULL, count, &touched));
  struct step *first = submitted(companion, 1, &gate), *second = submitted(companion, 2, &gate);
  while (!braid_companion_touch(companion, &first->work, count, &touched)) pause_briefly();
  check(touched == 1);
  check(!braid_companion_touch(companion, &second->work, count, &touched) && touched == 1);
  check(braid_companion_touch(companion, NULL, count, &touched) && touched == 2);
  atomic_store(&gate, true);
  braid_blocking_await(&second->work);
  check(!braid_companion_touch(companion, &first->work, count, &touched) && touched == 2);
  braid_object_unref(&first->work.object);
  braid_object_unref(&second->work.object);
  braid_companion_end(companion);
  expect_nothing_left();
}

CHECK_MAIN({"companion: work is done in order", work_is_done_in_order},
           {"companion: only what is done now can be touched", only_what_is_done_now_can_be_touched})
