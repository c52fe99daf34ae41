/* SPDX-License-Identifier: MIT
 * Wakes a loop that sleeps in its poller. An eventfd, or a pipe where there is none. */
#ifndef BRAID_WAKEUP_H
#define BRAID_WAKEUP_H

struct braid_wakeup {
  int read_fd, write_fd;
};

/* 0 or an error number. */
int braid_wakeup_open(struct braid_wakeup *wakeup);
void braid_wakeup_close(struct braid_wakeup *wakeup);

/* Any thread, and signal handlers; does not block. */
void braid_wakeup_signal(struct braid_wakeup *wakeup);

/* Resets it. The loop's thread. */
void braid_wakeup_clear(struct braid_wakeup *wakeup);

#endif
