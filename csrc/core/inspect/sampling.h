/* SPDX-License-Identifier: MIT
 * The part of a state for profiles: see sampler.h. */
#ifndef BRAID_SAMPLING_H
#define BRAID_SAMPLING_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/buffer.h"

struct braid_sampling {
  atomic_uint rate;          /* of the profile, ticks in a second; 0: there is none */
  atomic_uint ticks;         /* for which the state has not told yet what ran */
  pthread_mutex_t mutex;     /* guards the lines */
  struct braid_buffer lines; /* what it has told */
};

#endif
