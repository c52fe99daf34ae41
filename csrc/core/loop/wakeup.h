/* SPDX-License-Identifier: MIT
 * Wakes a loop that sleeps in its poller: an eventfd, or a pipe where there is none. */
#ifndef BRAID_WAKEUP_H
#define BRAID_WAKEUP_H

struct braid_doorbell {
  int read_fd, write_fd;
};

/* 0 or an error number. */
int braid_doorbell_open(struct braid_doorbell *bell);
void braid_doorbell_close(struct braid_doorbell *bell);

/* Any thread, and a signal handler too; does not block. */
void braid_doorbell_ring(struct braid_doorbell *bell);

/* The loop's thread: quiet again. */
void braid_doorbell_answer(struct braid_doorbell *bell);

#endif
