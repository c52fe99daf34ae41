/* SPDX-License-Identifier: MIT
 * The flags are in an unlinked file, which both processes map. */
#include "core/work/job_flag.h"

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/nameless_file.h"

struct braid_job_flag *braid_job_flags_map(unsigned count, int fd) {
  void *memory = mmap(NULL, count * sizeof(struct braid_job_flag), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

struct braid_job_flag *braid_job_flags_new(unsigned count, int *fd) {
  *fd = braid_nameless_file_open();
  if (*fd < 0) return NULL;
  struct braid_job_flag *flags = NULL;
  if (!ftruncate(*fd, (off_t)(count * sizeof *flags))) flags = braid_job_flags_map(count, *fd);
  if (!flags) close(*fd);
  return flags;
}

void braid_job_flags_free(struct braid_job_flag *flags, unsigned count) { munmap(flags, count * sizeof *flags); }
