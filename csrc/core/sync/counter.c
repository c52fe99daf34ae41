/* SPDX-License-Identifier: MIT
 * The value is one atomic integer. An overflow wraps around, as Lua's integers do. */
#include "core/sync/counter.h"

#include <stdlib.h>

static void destroy(struct braid_object *object) { free(braid_container(object, struct braid_counter, object)); }

const struct braid_class braid_counter_class = {"braid.counter", destroy};

struct braid_counter *braid_counter_new(int64_t start) {
  struct braid_counter *counter = malloc(sizeof *counter);
  if (!counter) return NULL;
  braid_object_init(&counter->object, &braid_counter_class);
  atomic_init(&counter->value, start);
  return counter;
}
