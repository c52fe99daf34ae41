/* SPDX-License-Identifier: MIT
 * Ringing twice before an answer is one ring. */
#include "core/loop/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "core/base/limit.h"

#ifdef __linux__
#include <sys/eventfd.h>

int braid_doorbell_open(struct braid_doorbell *bell) {
  do bell->read_fd = bell->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  while (bell->read_fd < 0 && braid_limit_raised());
  return bell->read_fd < 0 ? errno : 0;
}
#else
int braid_doorbell_open(struct braid_doorbell *bell) {
  int ends[2];
  if (pipe(ends)) return errno;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  bell->read_fd = ends[0];
  bell->write_fd = ends[1];
  return 0;
}
#endif

void braid_doorbell_close(struct braid_doorbell *bell) {
  close(bell->read_fd);
  if (bell->write_fd != bell->read_fd) close(bell->write_fd);
}

void braid_doorbell_ring(struct braid_doorbell *bell) {
  int saved = errno; /* a signal handler must leave it alone */
  uint64_t one = 1;
  ssize_t ignored = write(bell->write_fd, &one, sizeof one); /* full: it is ringing already */
  (void)ignored;
  errno = saved;
}

void braid_doorbell_answer(struct braid_doorbell *bell) {
  char drain[512];
  while (read(bell->read_fd, drain, sizeof drain) == (ssize_t)sizeof drain) {
  }
}
