/* SPDX-License-Identifier: MIT
 * Waits for events of descriptors. The build chooses one backend, epoll or kqueue. Only one loop's thread may use a
 * poller. */
#ifndef BRAID_POLLER_H
#define BRAID_POLLER_H

#include "core/base/base.h"

/* BRAID_HANGUP: only that both sides have ended, or that the connection is broken. */
enum { BRAID_READ = 1, BRAID_WRITE = 2, BRAID_BOTH = 3, BRAID_HANGUP = 4 };

struct braid_event {
  int fd;
  int events; /* BRAID_READ | BRAID_WRITE; errors and hang-ups count as all of them */
};

struct braid_poller {
  int fd;
  bool coarse; /* it cannot wait for less than a millisecond: an older kernel, or a sandbox */
};

/* 0 or an error number. */
int braid_poller_open(struct braid_poller *poller);
void braid_poller_close(struct braid_poller *poller);

/* Changes the watched events of a descriptor from `before` to `after`. `before` may be wrong when the number was closed
 * and reused. Returns 0 or an error number; EPERM: such a descriptor is always ready. */
int braid_poller_set(struct braid_poller *poller, int fd, int before, int after);

/* Blocks for at most `timeout` nanoseconds (BRAID_NEVER: no limit). Returns the number of events; 0 also when a signal
 * came. */
int braid_poller_wait(struct braid_poller *poller, int64_t timeout, struct braid_event *events, int room);

#endif
