/* SPDX-License-Identifier: MIT
 * The soft limit exists for programs that use select(). braid does not use it. */
#include "core/base/limit.h"

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>

static bool raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= limit.rlim_max) return false;
  limit.rlim_cur = limit.rlim_max;
#ifdef OPEN_MAX
  if (limit.rlim_cur > OPEN_MAX) limit.rlim_cur = OPEN_MAX;
#endif
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool braid_limit_raised(void) {
  int error = errno;
  bool raised = error == EMFILE && raise_limit();
  errno = error;
  return raised;
}
