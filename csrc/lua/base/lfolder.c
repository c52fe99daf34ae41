/* SPDX-License-Identifier: MIT
 * The same for every state of the process, so the first to come asks for it. */
#include "lua/base/lfolder.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static char *folder; /* written once */

static void look(void) { folder = getcwd(NULL, 0); }

const char *folder_at_start(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look);
  return folder;
}
