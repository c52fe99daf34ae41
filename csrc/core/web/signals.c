/* SPDX-License-Identifier: MIT
 * The handler writes one byte to a pipe, and does nothing else. When the pipe is full, enough has been said. */
#include "core/web/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int ends[2] = {-1, -1};
static int taken[BRAID_SIGNALS_MOST];
static struct sigaction before[BRAID_SIGNALS_MOST];
static size_t taken_count;

static void on_signal(int number) {
  int error = errno;
  char byte = (char)number;
  if (write(ends[1], &byte, 1) < 0) errno = error;
  errno = error;
}

static int set_flags(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK) ? errno : 0; }

int braid_signals_open(const int *numbers, size_t count, int *fd) {
  if (ends[0] >= 0) return EBUSY;
  if (pipe(ends)) return errno;
  if (set_flags(ends[0]) || set_flags(ends[1])) {
    int error = errno;
    braid_signals_close();
    return error;
  }
  struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  for (size_t i = 0; i < count; i++) {
    if (sigaction(numbers[i], &ours, &before[taken_count])) continue;
    taken[taken_count++] = numbers[i];
  }
  *fd = ends[0];
  return 0;
}

int braid_signals_next(void) {
  char byte;
  return ends[0] >= 0 && read(ends[0], &byte, 1) == 1 ? byte : 0;
}

void braid_signals_close(void) {
  while (taken_count > 0) {
    taken_count--;
    sigaction(taken[taken_count], &before[taken_count], NULL);
  }
  for (int i = 0; i < 2; i++) {
    if (ends[i] >= 0) close(ends[i]);
    ends[i] = -1;
  }
}
