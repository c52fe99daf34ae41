/* SPDX-License-Identifier: MIT
 * kqueue for macOS and the BSDs: one filter for each direction. Nobody has built or tried it yet. */
#include "core/loop/poller.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/event.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"

int braid_poller_open(struct braid_poller *poller) {
  poller->fd = kqueue();
  if (poller->fd < 0) return errno;
  fcntl(poller->fd, F_SETFD, FD_CLOEXEC);
  return 0;
}

void braid_poller_close(struct braid_poller *poller) { close(poller->fd); }

static int change(struct braid_poller *poller, int fd, short filter, bool want) {
  struct kevent event;
  EV_SET(&event, (uintptr_t)fd, filter, want ? EV_ADD : EV_DELETE, 0, 0, NULL);
  if (!kevent(poller->fd, &event, 1, NULL, 0, NULL)) return 0;
  return !want && errno == ENOENT ? 0 : errno;
}

/* Adding a filter that exists is harmless, so a wrong `before` is, too. */
int braid_poller_set(struct braid_poller *poller, int fd, int before, int after) {
  int gone = before & ~after, error = 0;
  if (after & BRAID_READ) error = change(poller, fd, EVFILT_READ, true);
  if (!error && (after & BRAID_WRITE)) error = change(poller, fd, EVFILT_WRITE, true);
  if (!error && (gone & BRAID_READ)) error = change(poller, fd, EVFILT_READ, false);
  if (!error && (gone & BRAID_WRITE)) error = change(poller, fd, EVFILT_WRITE, false);
  return error;
}

int braid_poller_wait(struct braid_poller *poller, int64_t timeout, struct braid_event *events, int room) {
  enum { MOST = 256 };
  struct kevent found[MOST];
  struct timespec time = {.tv_sec = (time_t)(timeout / BRAID_SECOND), .tv_nsec = (long)(timeout % BRAID_SECOND)};
  int count = kevent(poller->fd, NULL, 0, found, room < MOST ? room : MOST, timeout == BRAID_NEVER ? NULL : &time);
  for (int i = 0; i < count; i++) {
    events[i].fd = (int)found[i].ident;
    events[i].events = found[i].filter == EVFILT_READ ? BRAID_READ : BRAID_WRITE;
    if (found[i].flags & EV_ERROR) events[i].events = BRAID_BOTH;
  }
  return count < 0 ? 0 : count;
}
