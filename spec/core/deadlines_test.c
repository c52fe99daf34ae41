/* SPDX-License-Identifier: MIT
 * The deadlines against a model that looks through everything: with keys in any order, and with those of a program,
 * whose times rise and which waits for few different lengths of time. */
#include "core/base/deadlines.h"

#include <string.h>

#include "check.h"

enum { PLACES = 300, STEPS = 200000 };

struct model {
  uint32_t places[PLACES]; /* as the set keeps them */
  int64_t keys[PLACES];
  bool in[PLACES];
  int64_t now;
};

static int64_t smallest(const struct model *model) {
  int64_t key = INT64_MAX;
  for (int i = 0; i < PLACES; i++)
    if (model->in[i] && model->keys[i] < key) key = model->keys[i];
  return key;
}

static void check_pop(struct braid_deadlines *deadlines, struct model *model, int64_t limit) {
  int64_t first = smallest(model);
  uint32_t *place = braid_deadlines_pop(deadlines, limit);
  if (first == INT64_MAX || first > limit) {
    check(place == NULL);
    return;
  }
  check(place != NULL);
  if (!place) return;
  long which = place - model->places;
  check(model->in[which] && model->keys[which] == first && *place == 0);
  model->in[which] = false;
}

static void remove_one(struct braid_deadlines *deadlines, struct model *model, uint32_t which) {
  braid_deadlines_remove(deadlines, &model->places[which]); /* also what is not in */
  model->in[which] = false;
  check(model->places[which] == 0);
}

static void push_one(struct braid_deadlines *deadlines, struct model *model, uint32_t which, int64_t key) {
  if (model->in[which]) return;
  model->keys[which] = key;
  check(braid_deadlines_push(deadlines, key, &model->places[which]));
  model->in[which] = true;
}

static void check_count(const struct braid_deadlines *deadlines, const struct model *model) {
  uint32_t count = 0;
  for (int i = 0; i < PLACES; i++) count += model->in[i];
  check(deadlines->count == count && braid_deadlines_first(deadlines) == smallest(model));
}

static void run_model(int64_t (*next_key)(struct model *model, uint32_t *random), uint32_t removals) {
  struct braid_deadlines deadlines;
  struct model model = {0};
  uint32_t random = 12345;
  braid_deadlines_init(&deadlines);
  for (int i = 0; i < STEPS; i++) {
    uint32_t which = check_random(&random) % PLACES, what = check_random(&random) % 8;
    if (what == 0)
      check_pop(&deadlines, &model, model.now + (int64_t)(check_random(&random) % 1000));
    else if (what <= removals)
      remove_one(&deadlines, &model, which);
    else
      push_one(&deadlines, &model, which, next_key(&model, &random));
    check_count(&deadlines, &model);
  }
  while (deadlines.count > 0) check_pop(&deadlines, &model, INT64_MAX);
  check(smallest(&model) == INT64_MAX);
  braid_deadlines_term(&deadlines);
}

static int64_t any_key(struct model *model, uint32_t *random) {
  (void)model;
  return (int64_t)(check_random(random) % 1000) - 500;
}

static int64_t rising_key(struct model *model, uint32_t *random) {
  static const int64_t lengths[] = {10, 1000, 30000, 500000, 7};
  model->now += check_random(random) % 20;
  return model->now + lengths[check_random(random) % 5];
}

static void any_order(void) { run_model(any_key, 3); }
static void rising_order(void) { run_model(rising_key, 3); }
static void mostly_removed(void) { run_model(rising_key, 5); }

/* One deadline far in the future, and millions that are removed soon: the run stays small. */
static void removed_ones_take_no_room(void) {
  enum { COUNT = 3000000, AHEAD = 20 };
  static uint32_t places[AHEAD];
  uint32_t stays = 0;
  struct braid_deadlines deadlines;
  braid_deadlines_init(&deadlines);
  check(braid_deadlines_push(&deadlines, 0, &stays));
  for (int i = 0; i < COUNT; i++) {
    braid_deadlines_remove(&deadlines, &places[i % AHEAD]);
    check(braid_deadlines_push(&deadlines, i, &places[i % AHEAD]));
  }
  check(deadlines.count == AHEAD + 1 && deadlines.runs[0].capacity + deadlines.runs[1].capacity <= 256);
  check(deadlines.heap.count == 0);
  check(braid_deadlines_pop(&deadlines, 0) == &stays && stays == 0);
  braid_deadlines_term(&deadlines);
}

CHECK_MAIN({"deadlines: in any order they agree with the model", any_order},
           {"deadlines: rising ones agree with the model", rising_order},
           {"deadlines: most of them removed they agree with the model", mostly_removed},
           {"deadlines: those that were removed take no room", removed_ones_take_no_room})
