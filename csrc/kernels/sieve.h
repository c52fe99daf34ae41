/* SPDX-License-Identifier: MIT
 * The primes up to a limit, counted or listed. */
#ifndef BRAID_SIEVE_H
#define BRAID_SIEVE_H

#include "core/work/crew.h"

#define BRAID_SIEVE_MOST UINT64_C(10000000000000) /* 10^13 */

struct braid_sieve {
  uint64_t limit;  /* up to BRAID_SIEVE_MOST */
  int64_t *counts; /* for each chunk: its number of primes */
  int64_t *primes; /* NULL: only count. Else write the primes here; `counts` comes from an earlier run */
  atomic_bool out_of_memory;
};

/* The number of chunks. Any thread; does not block. */
size_t braid_sieve_chunks(uint64_t limit);

/* The kernel; `arguments` is a braid_sieve. */
void braid_sieve_run(struct braid_team *team, void *arguments);

#endif
