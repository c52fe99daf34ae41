/* SPDX-License-Identifier: MIT
 * Several signals before the loop clears the wakeup count as one. */
#include "core/loop/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "core/base/limit.h"

#ifdef __linux__
#include <sys/eventfd.h>

int braid_wakeup_open(struct braid_wakeup *wakeup) {
  do wakeup->read_fd = wakeup->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  while (wakeup->read_fd < 0 && braid_limit_raised());
  return wakeup->read_fd < 0 ? errno : 0;
}
#else
int braid_wakeup_open(struct braid_wakeup *wakeup) {
  int ends[2];
  if (pipe(ends)) return errno;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  wakeup->read_fd = ends[0];
  wakeup->write_fd = ends[1];
  return 0;
}
#endif

void braid_wakeup_close(struct braid_wakeup *wakeup) {
  close(wakeup->read_fd);
  if (wakeup->write_fd != wakeup->read_fd) close(wakeup->write_fd);
}

void braid_wakeup_signal(struct braid_wakeup *wakeup) {
  int saved = errno; /* a signal handler must leave it alone */
  uint64_t one = 1;
  ssize_t ignored = write(wakeup->write_fd, &one, sizeof one); /* full: it is signalled already */
  (void)ignored;
  errno = saved;
}

void braid_wakeup_clear(struct braid_wakeup *wakeup) {
  char drain[512];
  while (read(wakeup->read_fd, drain, sizeof drain) == (ssize_t)sizeof drain) {
  }
}
