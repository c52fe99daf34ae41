/* SPDX-License-Identifier: MIT
 * Starts a program by fork, for what posix_spawn cannot do: as another user. */
#ifndef BRAID_FORK_START_H
#define BRAID_FORK_START_H

#include "core/process/user.h"

struct braid_fork_plan {
  const char *file; /* of the program; a path */
  char *const *argv;
  char *const *environment;
  const char *directory; /* NULL: ours */
  const char *terminal;  /* path of the terminal that becomes its 0, 1 and 2; NULL: none */
  const struct braid_user *user;
  const int *from; /* our descriptors that become its 0, 1, 2, ...; each is its own place or lies above all places */
  int from_count;
  const int *passed; /* descriptors that keep their numbers */
  int passed_count;
  bool group; /* gets a process group */
};

/* Returns 0 and the child's number, or an error number: that of the step that has failed in the child. Any thread;
 * blocks until the program is loaded. */
int braid_fork_start(const struct braid_fork_plan *plan, pid_t *pid);

#endif
