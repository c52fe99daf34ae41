/* SPDX-License-Identifier: MIT
 * At most one limit applies at a time: the pool's, until there is a connection; then the writing's, then the
 * reading's. */
#include "core/http/patience.h"

#include "core/base/clock.h"

/* The limit that applies now; 0: none. */
static int64_t current(const struct braid_patience *patience, const char **what) {
  if (!patience->placed) {
    *what = "no connection was free";
    return patience->limits.pool;
  }
  if (!patience->connected || patience->paused) return 0;
  *what = patience->sending ? "nothing could be sent" : "nothing was received";
  return patience->sending ? patience->limits.write : patience->limits.read;
}

static int64_t shortest(const struct braid_patience_limits *limits) {
  int64_t least = BRAID_NEVER;
  if (limits->read > 0) least = limits->read;
  if (limits->write > 0 && limits->write < least) least = limits->write;
  return least;
}

int64_t braid_patience_next(const struct braid_patience *patience, int64_t now) {
  const char *what;
  int64_t limit = current(patience, &what);
  if (limit > 0) return limit < BRAID_NEVER - patience->moved ? patience->moved + limit : BRAID_NEVER;
  int64_t least = shortest(&patience->limits);
  return least < BRAID_NEVER - now ? now + least : BRAID_NEVER;
}

const char *braid_patience_spent(const struct braid_patience *patience, int64_t now, int64_t *limit) {
  const char *what = NULL;
  *limit = current(patience, &what);
  return *limit > 0 && now - patience->moved >= *limit ? what : NULL;
}
