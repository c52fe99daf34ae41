/* SPDX-License-Identifier: MIT */
#include "core/process/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/limit.h"

static int find_path(int fd, char path[BRAID_TERMINAL_PATH]) {
#ifdef __linux__
  return ptsname_r(fd, path, BRAID_TERMINAL_PATH);
#else
  const char *name = ptsname(fd);
  if (!name || strlen(name) >= BRAID_TERMINAL_PATH) return ENAMETOOLONG;
  strcpy(path, name);
  return 0;
#endif
}

static int prepare(int fd, int rows, int columns, char path[BRAID_TERMINAL_PATH]) {
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (grantpt(fd) || unlockpt(fd) || ioctl(fd, TIOCSWINSZ, &size)) return errno;
  return find_path(fd, path);
}

int braid_terminal_open(int rows, int columns, char path[BRAID_TERMINAL_PATH]) {
  int fd;
  do fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  while (fd < 0 && braid_limit_raised());
  if (fd < 0) return -errno;
  int error = prepare(fd, rows, columns, path);
  if (error) close(fd);
  return error ? -error : fd;
}
