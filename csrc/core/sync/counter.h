/* SPDX-License-Identifier: MIT
 * A shared 64-bit integer. Every operation on it is one atomic instruction. Any thread; nothing blocks. */
#ifndef BRAID_COUNTER_H
#define BRAID_COUNTER_H

#include "core/base/object.h"

struct braid_counter {
  struct braid_object object;
  _Atomic int64_t value;
};

extern const struct braid_class braid_counter_class;

/* NULL when memory is out. */
struct braid_counter *braid_counter_new(int64_t start);

#endif
