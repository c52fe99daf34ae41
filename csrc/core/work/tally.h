/* SPDX-License-Identifier: MIT
 * How many jobs each pool of the process has on their way, for who ends the process: what is dropped then is said. */
#ifndef BRAID_TALLY_H
#define BRAID_TALLY_H

#include "core/base/base.h"

struct braid_tally;

/* For a pool of this kind ("threads") and name ("": none), which stay the caller's. NULL when memory is out. Any
 * thread; does not block. */
struct braid_tally *braid_tally_open(const char *kind, const char *name);
void braid_tally_close(struct braid_tally *tally);

/* One job more, or less: how many there are then. Any thread; does not block, as what follows. */
void braid_tally_add(struct braid_tally *tally);
unsigned braid_tally_remove(struct braid_tally *tally);

/* How many there are, and how many there have ever been, at least: the tally may have had another pool. */
unsigned braid_tally_count(const struct braid_tally *tally);
uint64_t braid_tally_total(const struct braid_tally *tally);

/* A line on stderr for each pool that has jobs: they are dropped. Once in a process; also at exit(). Any thread, and
 * signal handlers; blocks as write does. */
void braid_tally_tell(void);

#endif
