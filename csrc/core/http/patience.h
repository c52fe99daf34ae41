/* SPDX-License-Identifier: MIT
 * How long a transfer may wait for a connection, for bytes from the server, and for room to send. The time in which its
 * own program is slow does not count. Its owner's thread only; nothing blocks. */
#ifndef BRAID_PATIENCE_H
#define BRAID_PATIENCE_H

#include "core/base/base.h"

/* Nanoseconds; 0: no limit. */
struct braid_patience_limits {
  int64_t pool, read, write;
};

struct braid_patience {
  struct braid_patience_limits limits;
  int64_t moved;          /* when it has last gone on */
  int64_t received, sent; /* bytes of bodies so far */
  bool placed, connected; /* it makes or has a connection; it has one, and the request is under way */
  bool sending;           /* not all of the request's body is sent */
  bool paused;            /* it waits for its own program */
};

static inline bool braid_patience_limited(const struct braid_patience *patience) {
  return patience->limits.pool > 0 || patience->limits.read > 0 || patience->limits.write > 0;
}

/* When to ask next whether it has waited too long. BRAID_NEVER: not any more. */
int64_t braid_patience_next(const struct braid_patience *patience, int64_t now);

/* What it has waited too long for, with the limit's nanoseconds in `limit`; NULL: nothing. */
const char *braid_patience_spent(const struct braid_patience *patience, int64_t now, int64_t *limit);

#endif
