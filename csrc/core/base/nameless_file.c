/* SPDX-License-Identifier: MIT
 * A memfd. If the system has none, or a sandbox forbids it, an unnamed file (O_TMPFILE) in /dev/shm or /tmp. Systems
 * other than Linux get a POSIX shared memory object whose name is removed at once. */
#include "core/base/nameless_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/limit.h"

#ifdef __linux__
static int open_in_folder(void) {
  static const char *const folders[] = {"/dev/shm", "/tmp"};
  int fd = -1;
  for (int i = 0; i < 2 && fd < 0; i++) fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  return fd;
}

static int open_memfd(void) { return memfd_create("braid", MFD_CLOEXEC | MFD_ALLOW_SEALING); }

/* Whether the system has no memfd_create, or a sandbox forbids it. */
static bool is_forbidden(int error) { return error == ENOSYS || error == EPERM; }

static int try_to_open(void) {
  int fd = open_memfd();
  return fd < 0 && is_forbidden(errno) ? open_in_folder() : fd;
}

bool braid_nameless_file_is_memfd(void) {
  int fd = open_memfd();
  if (fd < 0) return !is_forbidden(errno);
  close(fd);
  return true;
}
#else
#include <stdatomic.h>
#include <stdio.h>

static int try_to_open(void) {
  static atomic_uint count;
  char name[40];
  snprintf(name, sizeof name, "/braid.%ld.%u", (long)getpid(), atomic_fetch_add(&count, 1));
  int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return -1;
  shm_unlink(name);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}
#endif

int braid_nameless_file_open(void) {
  int fd;
  do fd = try_to_open();
  while (fd < 0 && braid_limit_raised());
  return fd;
}
