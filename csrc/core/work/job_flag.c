/* SPDX-License-Identifier: MIT
 * A file without a name, mapped by both. */
#include "core/work/job_flag.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/limit.h"

static int open_nameless(void) {
#ifdef __linux__
  return memfd_create("braid.permits", MFD_CLOEXEC);
#else
  char name[] = "/tmp/braid.XXXXXX";
  int fd = mkstemp(name);
  if (fd < 0) return -1;
  unlink(name);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
#endif
}

struct braid_permit *braid_permits_map(unsigned count, int fd) {
  void *memory = mmap(NULL, count * sizeof(struct braid_permit), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

struct braid_permit *braid_permits_new(unsigned count, int *fd) {
  do *fd = open_nameless();
  while (*fd < 0 && braid_limit_raised());
  if (*fd < 0) return NULL;
  struct braid_permit *permits = NULL;
  if (!ftruncate(*fd, (off_t)(count * sizeof *permits))) permits = braid_permits_map(count, *fd);
  if (!permits) close(*fd);
  return permits;
}

void braid_permits_free(struct braid_permit *permits, unsigned count) { munmap(permits, count * sizeof *permits); }
