/* SPDX-License-Identifier: MIT
 * All states of the process share the folder. The first state reads it from the system. */
#include "lua/base/lfolder.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

const char *folder_at_start(void) {
  static _Atomic(char *) folder; /* written once */
  char *found = atomic_load(&folder), *own;
  if (found || !(own = getcwd(NULL, 0))) return found;
  if (atomic_compare_exchange_strong(&folder, &found, own)) return own;
  free(own);
  return found;
}
