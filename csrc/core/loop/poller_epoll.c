/* SPDX-License-Identifier: MIT
 * Level-triggered epoll. Uses epoll_pwait2 for nanosecond timeouts where the system has it. */
#include "core/loop/poller.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/limit.h"

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 35)
#define HAVE_PWAIT2 1
#endif
#endif

int braid_poller_open(struct braid_poller *poller) {
  poller->coarse = false;
  do poller->fd = epoll_create1(EPOLL_CLOEXEC);
  while (poller->fd < 0 && braid_limit_raised());
  return poller->fd < 0 ? errno : 0;
}

void braid_poller_close(struct braid_poller *poller) { close(poller->fd); }

int braid_poller_set(struct braid_poller *poller, int fd, int before, int after) {
  struct epoll_event event = {.data.fd = fd};
  if (after & BRAID_READ) event.events |= EPOLLIN | EPOLLRDHUP;
  if (after & BRAID_WRITE) event.events |= EPOLLOUT;
  if (after == 0) return epoll_ctl(poller->fd, EPOLL_CTL_DEL, fd, &event) ? errno : 0;
  int first = before ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (!epoll_ctl(poller->fd, first, fd, &event)) return 0;
  if (errno == ENOENT) return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) ? errno : 0;
  if (errno == EEXIST) return epoll_ctl(poller->fd, EPOLL_CTL_MOD, fd, &event) ? errno : 0;
  return errno;
}

static int wait_milliseconds(int fd, int64_t timeout, struct epoll_event *events, int room) {
  int64_t milliseconds = timeout == BRAID_NEVER ? -1 : (timeout + 999999) / 1000000;
  if (milliseconds > INT_MAX) milliseconds = INT_MAX;
  return epoll_wait(fd, events, room, (int)milliseconds);
}

static int wait_exactly(struct braid_poller *poller, int64_t timeout, struct epoll_event *events, int room) {
#ifdef HAVE_PWAIT2
  if (!poller->coarse && timeout != BRAID_NEVER && timeout != 0) {
    struct timespec time = {.tv_sec = timeout / BRAID_SECOND, .tv_nsec = timeout % BRAID_SECOND};
    int count = epoll_pwait2(poller->fd, events, room, &time, NULL);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    poller->coarse = true;
  }
#endif
  return wait_milliseconds(poller->fd, timeout, events, room);
}

int braid_poller_wait(struct braid_poller *poller, int64_t timeout, struct braid_event *events, int room) {
  enum { MOST = 256 };
  struct epoll_event found[MOST];
  int count = wait_exactly(poller, timeout, found, room < MOST ? room : MOST);
  for (int i = 0; i < count; i++) {
    uint32_t bits = found[i].events;
    events[i].fd = found[i].data.fd;
    events[i].events = (bits & (EPOLLIN | EPOLLRDHUP) ? BRAID_READ : 0) | (bits & EPOLLOUT ? BRAID_WRITE : 0);
    if (bits & (EPOLLERR | EPOLLHUP)) events[i].events = BRAID_BOTH | BRAID_HANGUP;
  }
  return count < 0 ? 0 : count;
}
