/* SPDX-License-Identifier: MIT
 * Counts the jobs of each pool that have not ended. When the process ends, it reports jobs that are dropped. */
#ifndef BRAID_TALLY_H
#define BRAID_TALLY_H

#include "core/base/base.h"

struct braid_tally;

/* Makes a tally for a pool of this kind ("threads") and name ("": none); both are copied. NULL when memory is out. Any
 * thread; does not block. */
struct braid_tally *braid_tally_open(const char *kind, const char *name);
/* Makes it free for the next pool. Any thread; does not block. */
void braid_tally_close(struct braid_tally *tally);

/* Counts one job more, or one less. Any thread; these and the next three do not block. */
void braid_tally_add(struct braid_tally *tally);
void braid_tally_remove(struct braid_tally *tally);

/* The current count; 0 is exact if nobody adds meanwhile. The total of all jobs ever counted, with those of an earlier
 * pool that used this tally; and how many of these have ended. */
unsigned braid_tally_count(const struct braid_tally *tally);
uint64_t braid_tally_total(const struct braid_tally *tally);
uint64_t braid_tally_ended(const struct braid_tally *tally);

/* Writes a line to stderr for each pool that has jobs left, because they are dropped. Does so once in a process. It
 * also runs at exit(). Any thread, and signal handlers; blocks as write() does. */
void braid_tally_tell(void);

#endif
