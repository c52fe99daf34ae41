/* SPDX-License-Identifier: MIT
 * The names of the statuses. */
#include "core/base/status.h"

const char *braid_status_name(enum braid_status status) {
  static const char *const names[] = {
      [BRAID_OK] = "ok",
      [BRAID_WAIT] = "wait",
      [BRAID_TIMEOUT] = "timeout",
      [BRAID_CANCELLED] = "cancelled",
      [BRAID_INTERRUPTED] = "interrupted",
      [BRAID_DEADLOCK] = "deadlock",
      [BRAID_CLOSED] = "closed",
      [BRAID_FULL] = "full",
      [BRAID_EMPTY] = "empty",
      [BRAID_OWNER_DIED] = "owner_died",
      [BRAID_BROKEN] = "broken",
      [BRAID_MISUSE] = "misuse",
      [BRAID_NO_MEMORY] = "no_memory",
      [BRAID_GONE] = "worker_died",
      [BRAID_SYSTEM] = "system",
  };
  return names[status];
}
