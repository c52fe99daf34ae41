/* SPDX-License-Identifier: MIT
 * Part of every program in a build that counts (see `make coverage`): gcov's counts are written when a process ends by
 * exit. The linker sends calls of _exit here (--wrap), where they are written, too. */
#include <gcov.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

/* Where files may not be large (ulimit -f) the counts would be spoilt. */
static bool may_write(void) {
  const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

void __wrap__exit(int status) {
  if (may_write()) __gcov_dump();
  __real__exit(status);
}

static void leave(int status, void *nothing) {
  (void)nothing;
  if (may_write()) return;
  fflush(NULL);
  __real__exit(status);
}

__attribute__((constructor)) static void begin(void) { on_exit(leave, NULL); }
