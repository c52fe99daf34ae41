/* SPDX-License-Identifier: MIT
 * The heap against a model that looks through everything. */
#include "core/base/heap.h"

#include "check.h"

enum { PLACES = 200, STEPS = 200000 };

struct model {
  uint32_t places[PLACES]; /* as the heap keeps them */
  int64_t keys[PLACES];
  bool in[PLACES];
};

static int64_t smallest(const struct model *model) {
  int64_t key = INT64_MAX;
  for (int i = 0; i < PLACES; i++)
    if (model->in[i] && model->keys[i] < key) key = model->keys[i];
  return key;
}

static void check_pop(struct braid_heap *heap, struct model *model, int64_t limit) {
  int64_t first = smallest(model);
  uint32_t *place = braid_heap_pop(heap, limit);
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

static void step(struct braid_heap *heap, struct model *model, uint32_t *random) {
  uint32_t which = check_random(random) % PLACES, what = check_random(random) % 8;
  if (what == 0) {
    check_pop(heap, model, (int64_t)(check_random(random) % 1000) - 500);
  } else if (what <= 2) {
    braid_heap_remove(heap, &model->places[which]); /* also what is not in */
    model->in[which] = false;
    check(model->places[which] == 0);
  } else if (!model->in[which]) {
    model->keys[which] = (int64_t)(check_random(random) % 1000) - 500;
    check(braid_heap_push(heap, model->keys[which], &model->places[which]));
    model->in[which] = true;
  }
  check(braid_heap_first(heap) == smallest(model));
}

static void agrees_with_the_model(void) {
  struct braid_heap heap;
  struct model model = {0};
  uint32_t random = 12345;
  braid_heap_init(&heap);
  for (int i = 0; i < STEPS; i++) step(&heap, &model, &random);
  while (heap.count > 0) check_pop(&heap, &model, INT64_MAX);
  check(smallest(&model) == INT64_MAX);
  braid_heap_term(&heap);
}

static void pops_in_order(void) {
  enum { COUNT = 10000 };
  static uint32_t places[COUNT];
  static int64_t keys[COUNT];
  struct braid_heap heap;
  uint32_t random = 99;
  braid_heap_init(&heap);
  for (int i = 0; i < COUNT; i++) {
    keys[i] = (int64_t)check_random(&random);
    check(braid_heap_push(&heap, keys[i], &places[i]));
  }
  int64_t last = INT64_MIN;
  for (int i = 0; i < COUNT; i++) {
    uint32_t *place = braid_heap_pop(&heap, INT64_MAX);
    check(place && keys[place - places] >= last);
    if (place) last = keys[place - places];
  }
  check(braid_heap_pop(&heap, INT64_MAX) == NULL);
  check(braid_heap_first(&heap) == INT64_MAX);
  braid_heap_term(&heap);
}

CHECK_MAIN({"heap: agrees with the model", agrees_with_the_model}, {"heap: pops in order", pops_in_order})
