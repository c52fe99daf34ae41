/* SPDX-License-Identifier: MIT
 * The signal handler only writes one byte to a pipe. It ignores a full pipe, because then the reader will wake
 * anyway. */
#include "core/web/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static struct {
  int ends[2]; /* of the pipe that the handler writes to */
  int taken[BRAID_SIGNALS_MOST];
  struct sigaction before[BRAID_SIGNALS_MOST]; /* the former handlers */
  size_t count;
} signals = {.ends = {-1, -1}};

static void on_signal(int number) {
  int error = errno;
  char byte = (char)number;
  if (write(signals.ends[1], &byte, 1) < 0) errno = error;
  errno = error;
}

static int set_flags(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK) ? errno : 0; }

int braid_signals_open(const int *numbers, size_t count, int *fd) {
  if (signals.ends[0] >= 0) return EBUSY;
  if (pipe(signals.ends)) return errno;
  if (set_flags(signals.ends[0]) || set_flags(signals.ends[1])) {
    int error = errno;
    braid_signals_close();
    return error;
  }
  struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  for (size_t i = 0; i < count; i++) {
    if (sigaction(numbers[i], &ours, &signals.before[signals.count])) continue;
    signals.taken[signals.count++] = numbers[i];
  }
  *fd = signals.ends[0];
  return 0;
}

int braid_signals_next(void) {
  char byte;
  return signals.ends[0] >= 0 && read(signals.ends[0], &byte, 1) == 1 ? byte : 0;
}

void braid_signals_close(void) {
  while (signals.count > 0) {
    signals.count--;
    sigaction(signals.taken[signals.count], &signals.before[signals.count], NULL);
  }
  for (int i = 0; i < 2; i++) {
    if (signals.ends[i] >= 0) close(signals.ends[i]);
    signals.ends[i] = -1;
  }
}
